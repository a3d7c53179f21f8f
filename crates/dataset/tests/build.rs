//! Data sets from small files: ids, formats, splits, repeats, tails and noise.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::Write;

use common::{Folder, examples};
use lexmax_dataset::{
    Column, Dataset, DatasetOptions, Format, Json, LabelNoise, Punctuation, RepeatCounts, Split, Table, Tail,
    Tokenizer, Valid, build,
};

/// `n` rows of a class with texts of their own.
fn rows(label: &str, n: usize) -> String {
    (0..n).map(|at| format!("{label}\ttext {at} of {label}\n")).collect()
}

#[test]
fn classes_and_words_have_ids_by_falling_count() {
    let folder = Folder::new();
    let train = "air\ta\ncommon\tb a\ncommon\tb c\nsea\tb\n";
    let dataset = folder.train(train, |_| {}).unwrap();
    assert_eq!(dataset.classes().word(0), "common");
    assert_eq!(dataset.classes().counts(), [2, 1, 1]);
    // Ties of classes are broken by hash, those of words in byte order.
    assert_eq!([1, 2].map(|id| dataset.classes().word(id)), ["sea", "air"]);
    assert_eq!([0, 1, 2].map(|id| dataset.words().word(id)), ["b", "a", "c"]);
    assert_eq!(dataset.words().counts(), [3, 2, 1]);
    assert_eq!(examples(&dataset, Split::Train).len(), 4);
    assert_eq!(dataset.examples(Split::Train).repeats(), [0_u32; 0]);
}

#[test]
fn order_of_rows_in_the_file_changes_nothing() {
    let folder = Folder::new();
    let text = rows("a", 20) + &rows("b", 19) + &rows("c", 19);
    let mut lines: Vec<&str> = text.lines().collect();
    let cut = |options: &mut DatasetOptions| {
        options.valid = Valid::EachClass(2);
        options.tail = Some(Tail::exponential(3.0, 1));
        options.name = Some("same".to_owned());
    };
    let sorted = folder.train(&text, cut).unwrap();
    lines.reverse();
    let reversed = folder.train(&lines.join("\n"), cut).unwrap();
    assert_eq!(sorted.hash(), reversed.hash());
    // The rows of a class do not stand together, though they do in the file.
    let classes = sorted.examples(Split::Train).classes();
    assert!(classes.windows(2).filter(|pair| pair[0] != pair[1]).count() > 6, "{classes:?}");
}

#[test]
fn all_formats_and_packings_give_the_same_examples() {
    let folder = Folder::new();
    let expected =
        [("music".to_owned(), "play \"it\", now".to_owned()), ("news".to_owned(), "read".to_owned())];
    let tsv = "music\tplay \"it\", now\r\nnews\tread";
    let csv = "id,query,intent\n1,\"play \"\"it\"\", now\",music\n2,read,news\n";
    let json = "{\"q\": \"play \\\"it\\\", now\", \"y\": \"music\"}\n{\"y\": \"news\", \"q\": \"read\", \"id\": 2}\n";
    let table = |delimiter, header, label: Column, text: Column| {
        Format::Table(Table { delimiter, header, label, text, ..Table::default() })
    };
    let name = |name: &str| Column::Name(name.to_owned());
    let json_format = Format::Json(Json { label: "y".to_owned(), text: "q".to_owned() });
    for (place, (file, bytes, format)) in [
        ("a.tsv", tsv.as_bytes().to_vec(), Format::default()),
        ("b.tsv", format!("\u{feff}{tsv}").into_bytes(), Format::default()),
        ("a.tsv.gz", gzip(tsv), Format::default()),
        ("a.csv", csv.as_bytes().to_vec(), table(',', true, name("intent"), name("query"))),
        (
            "a.csv.zst",
            zstd::encode_all(csv.as_bytes(), 3).unwrap(),
            table(',', true, Column::Index(2), Column::Index(1)),
        ),
        ("a.jsonl.gz", gzip(json), json_format),
    ]
    .into_iter()
    .enumerate()
    {
        let file = folder.file(file, bytes);
        let options = DatasetOptions { format, ..DatasetOptions::new(vec![file], Valid::None, vec![]) };
        let dataset = build(&options, &folder.path(&format!("data-{place}"))).unwrap();
        assert_eq!(examples(&dataset, Split::Train), expected, "{place}");
    }
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn quoted_field_may_span_lines_and_later_rows_keep_their_number() {
    let folder = Folder::new();
    let format = Format::Table(Table { delimiter: ',', ..Table::default() });
    let csv = "a,\"one\ntwo\"\nb,three\n";
    let dataset = folder.train(csv, |options| options.format = format.clone()).unwrap();
    assert_eq!(examples(&dataset, Split::Train)[0].1, "one two");
    let error =
        folder.train("a,\"one\ntwo\"\nb,three,four\n", |options| options.format = format).unwrap_err();
    assert!(error.to_string().contains("train.tsv line 3: 3 columns"), "{error}");
}

#[test]
fn unknown_word_is_an_entry_only_where_it_is_needed() {
    let folder = Folder::new();
    let with_test = |test: &str| {
        let test = folder.file("test.tsv", test);
        folder.train("a\tx x y\na\tx z\n", |options| options.test = vec![test]).unwrap()
    };
    assert_eq!(with_test("a\ty z\n").words().unk(), None);
    let needed = with_test("a\tnew y\n");
    assert_eq!((needed.words().unk(), needed.words().counts()), (Some(3), &[3, 1, 1, 0][..]));
    let rare = folder.train("a\tx x y\na\tx z\n", |options| options.words.min_count = 2).unwrap();
    assert_eq!((rare.words().word(1), rare.words().counts()), ("<unk>", &[3, 2][..]));
    // A text of signs alone becomes one unknown word.
    let emptied =
        folder.train("a\tx\na\t???\n", |options| options.words.punctuation = Punctuation::Drop).unwrap();
    assert_eq!(emptied.info().changes.emptied, 1);
    assert_eq!(examples(&emptied, Split::Train)[0].1, "<unk>");
}

#[test]
fn class_of_test_alone_is_cold_and_last() {
    let folder = Folder::new();
    let test = folder.file("test.tsv", "new\tx\na\tx\n");
    let dataset = folder.train("a\tx\nb\tx\nb\ty\n", |options| options.test = vec![test.clone()]).unwrap();
    assert_eq!(dataset.classes().counts(), [2, 1, 0]);
    assert_eq!((dataset.classes().word(2), dataset.info().changes.cold_classes), ("new", 1));
    let without = folder.train("a\tx\nb\tx\nb\ty\n", |options| {
        options.test = vec![test];
        options.exclude = vec!["new".to_owned()];
    });
    let without = without.unwrap();
    assert_eq!((without.classes().len(), without.info().changes.excluded), (2, 1));
}

#[test]
fn held_out_examples_are_so_many_of_each_class() {
    let folder = Folder::new();
    let text = rows("a", 20) + &rows("b", 5) + &rows("c", 1);
    let counts = |valid: Valid| {
        let dataset = folder.train(&text, |options| options.valid = valid).unwrap();
        let mut counts = [0; 3];
        dataset.examples(Split::Valid).iter().for_each(|(_, class)| counts[class as usize] += 1);
        let all = [examples(&dataset, Split::Train), examples(&dataset, Split::Valid)].concat();
        assert_eq!(all.len(), 26);
        counts
    };
    // Of one example the only one stays.
    assert_eq!(counts(Valid::Share(0.1)), [2, 1, 0]);
    assert_eq!(counts(Valid::Share(0.9)), [18, 4, 0]);
    let error = folder.train(&text, |options| options.valid = Valid::EachClass(5)).unwrap_err().to_string();
    assert!(error.contains("valid.each_class: given 5") && error.contains("less than 5"), "{error}");
    let two = folder.train(&(rows("a", 20) + &rows("b", 5)), |options| options.valid = Valid::EachClass(4));
    assert_eq!(two.unwrap().classes().counts(), [16, 1]);
}

#[test]
fn held_out_examples_do_not_depend_on_other_classes() {
    let folder = Folder::new();
    let valid_of_a = |text: String| {
        let change = |options: &mut DatasetOptions| {
            options.valid = Valid::EachClass(3);
            // All characters are known, though not all words.
            options.words.tokenizer = Tokenizer::Characters;
        };
        let dataset = folder.train(&text, change).unwrap();
        let mut rows = examples(&dataset, Split::Valid);
        rows.retain(|(label, _)| label == "a");
        rows
    };
    assert_eq!(valid_of_a(rows("a", 30)), valid_of_a(rows("b", 9) + &rows("a", 30)));
}

#[test]
fn repeats_are_counted_marked_and_dropped() {
    let folder = Folder::new();
    let train = "a\tone\na\tone\nb\tone\na\ttwo\nb\tthree\nb\tfour\n";
    let test = folder.file("test.tsv", "a\tnew\na\ttwo\na\tthree\nb\tthree\n");
    let build = |drop_repeats| {
        let change = |options: &mut DatasetOptions| {
            options.test = vec![test.clone()];
            options.drop_repeats = drop_repeats;
        };
        folder.train(train, change).unwrap()
    };
    let kept = build(false);
    let repeats = kept.info().repeats;
    assert_eq!(repeats.train, RepeatCounts { same_label: 1, other_label: 1 });
    assert_eq!(repeats.test, RepeatCounts { same_label: 2, other_label: 1 });
    let test_rows = kept.examples(Split::Test);
    let marked: Vec<&str> =
        test_rows.repeats().iter().map(|&at| kept.words().word(test_rows.words(at as usize)[0])).collect();
    assert_eq!(marked.len(), 3);
    assert!(marked.iter().all(|word| ["two", "three"].contains(word)), "{marked:?}");

    // The same text with another label is no repeat to drop: nobody knows which is right.
    let dropped = build(true);
    assert_eq!(dropped.info().changes.dropped, 3);
    let rows = examples(&dropped, Split::Train);
    assert_eq!(rows.iter().map(|row| row.1.as_str()).collect::<Vec<_>>(), ["one", "four", "one"]);
    assert_eq!(dropped.info().repeats.test, RepeatCounts::default());
    assert_eq!(dropped.examples(Split::Test).len(), 4);
}

#[test]
fn tail_cuts_train_alone_by_its_seed() {
    let folder = Folder::new();
    let names: Vec<String> = (0..9).map(|at| format!("class-{at}")).collect();
    let text: String = names.iter().map(|name| rows(name, 40)).collect();
    let test = folder.file("test.tsv", names.iter().map(|name| rows(name, 2)).collect::<String>());
    let cut = |order_seed| {
        let change = |options: &mut DatasetOptions| {
            options.test = vec![test.clone()];
            options.valid = Valid::EachClass(8);
            options.tail = Some(Tail::exponential(32.0, order_seed));
        };
        folder.train(&text, change).unwrap()
    };
    let one = cut(1);
    // 32 * 32^(-i/8), floored.
    assert_eq!(one.classes().counts(), [32, 20, 13, 8, 5, 3, 2, 1, 1]);
    assert_eq!(one.info().changes.cut, 9 * 32 - 85);
    assert_eq!((one.examples(Split::Valid).len(), one.examples(Split::Test).len()), (72, 18));
    assert_eq!(one.hash(), cut(1).hash());
    // Another seed gives another order of classes, and keeps valid.
    let other = cut(2);
    let order =
        |dataset: &Dataset| (0..9).map(|id| dataset.classes().word(id).to_owned()).collect::<Vec<_>>();
    assert_ne!(order(&one), order(&other));
    assert_eq!(examples(&one, Split::Valid).len(), examples(&other, Split::Valid).len());
}

#[test]
fn label_noise_flips_train_alone() {
    let folder = Folder::new();
    let text = rows("a", 50) + &rows("b", 50);
    let test = folder.file("test.tsv", rows("a", 9));
    let noisy = folder.train(&text, |options| {
        options.test = vec![test];
        options.label_noise = Some(LabelNoise { share: 0.2, seed: 1 });
    });
    let noisy = noisy.unwrap();
    assert_eq!(noisy.info().changes.flipped, 20);
    let wrong = |(label, text): &&(String, String)| !text.ends_with(label.as_str());
    assert_eq!(examples(&noisy, Split::Train).iter().filter(wrong).count(), 20);
    assert_eq!(examples(&noisy, Split::Test).iter().filter(wrong).count(), 0);
}
