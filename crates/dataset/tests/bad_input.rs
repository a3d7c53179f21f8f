//! Damaged and odd input: each error names file, line and what was expected, and leaves nothing.
#![allow(clippy::unwrap_used)]

mod common;

use common::Folder;
use lexmax_dataset::{Column, DatasetOptions, Format, Json, LabelNoise, Table, Tail, Valid};
use proptest::prelude::*;

fn csv() -> Format {
    Format::Table(Table { delimiter: ',', ..Table::default() })
}

fn refused(rows: &str, change: impl FnOnce(&mut DatasetOptions)) -> String {
    let folder = Folder::new();
    let error = folder.train(rows, change).unwrap_err().to_string();
    assert_eq!(folder.names(), ["train.tsv"], "{error}");
    error
}

#[test]
fn odd_row_of_a_table_is_named_by_file_and_line() {
    for (rows, part) in [
        ("a\tx\nb\n", "line 2: 1 columns between '\\t'; expected 2, as in the first row"),
        ("a\tx\nb\ty\tz\n", "line 2: 3 columns"),
        ("a\n", "line 1: 1 columns between '\\t'; expected the text in column 1, counted from 0"),
        ("a\tx\n\nb\ty\n", "line 2: an empty line; expected a label and a text"),
        ("a\tx\n\ty\n", "line 2: label \"\"; expected a label"),
        ("a\tx\n b\ty\n", "line 2: label \" b\"; expected a label"),
        ("a\tx\nb\t \n", "line 2: text \" \" of label \"b\"; expected a text that is not empty"),
    ] {
        let error = refused(rows, |_| {});
        assert!(error.contains("train.tsv ") && error.contains(part), "{error}");
    }
}

#[test]
fn quote_that_hides_rows_is_refused() {
    for (rows, part) in [
        // The parser alone would take the rest of the file for one text.
        ("a,x\nb,\"y\nc,z\n", "line 2: a quote that is never closed"),
        ("a,x\nb,y \"z\"\n", "line 2: a quote inside a field"),
        ("a,x\nb,\"y\" z\n", "line 2: text behind a closing quote"),
        ("a,x\nb,\"y\n\n\"\"\n", "line 2: a quote that is never closed"),
    ] {
        let error = refused(rows, |options| options.format = csv());
        assert!(error.contains(part), "{error}");
    }
    // In a TSV file a text may begin with a quotation mark.
    let folder = Folder::new();
    let dataset = folder.train("a\t\"unable\" to pay\nb\t\"open\n", |_| {}).unwrap();
    assert_eq!(dataset.words().id("\"unable\""), Some(1));
}

#[test]
fn header_without_the_columns_asked_for_is_refused() {
    let named = |label: &str, text: &str| {
        let (label, text) = (Column::Name(label.to_owned()), Column::Name(text.to_owned()));
        Format::Table(Table { delimiter: ',', header: true, label, text, ..Table::default() })
    };
    let rows = "intent,query,query\na,b,c\n";
    let error = refused(rows, |options| options.format = named("label", "intent"));
    assert!(error.contains("a header of \"intent\", \"query\", \"query\""), "{error}");
    assert!(error.contains("the column \"label\" of the label once"), "{error}");
    let error = refused(rows, |options| options.format = named("intent", "query"));
    assert!(error.contains("the column \"query\" of the text once"), "{error}");
}

#[test]
fn odd_row_of_json_is_named_by_file_and_line() {
    let good = "{\"label\": 7, \"text\": \"x\"}\n";
    for (row, part) in [
        ("{\"label\": 1", "line 2: EOF"),
        ("[1]", "line 2: invalid type"),
        ("", "line 2: EOF"),
        ("{\"text\": \"x\"}", "line 2: no key \"label\"; expected a string or a whole number as the label"),
        ("{\"label\": 1.5, \"text\": \"x\"}", "line 2: \"label\" is 1.5"),
        ("{\"label\": \"a\", \"text\": null}", "line 2: \"text\" is null; expected a string as the text"),
        ("{\"label\": \"a\", \"text\": \"x\\u0000\"}", "line 2: a NUL character"),
        ("{\"label\": \"a\\nb\", \"text\": \"x\"}", "line 2: label \"a\\nb\""),
    ] {
        let rows = format!("{good}{row}\n{good}");
        let error = refused(&rows, |options| options.format = Format::Json(Json::default()));
        assert!(error.contains("train.tsv ") && error.contains(part), "{error}");
    }
}

#[test]
fn file_that_is_no_text_is_refused_by_the_corpus_readers() {
    let folder = Folder::new();
    for (name, bytes, part) in [
        ("a.tsv", b"a\tx\xff\n".as_slice(), "line 1: invalid UTF-8 at byte 3"),
        ("b.tsv", b"a\tx\nb\t\0\n", "line 2: NUL byte"),
        ("c.tsv.gz", b"a\tx\n", "no gzip data"),
        ("d.tsv", b"\x1f\x8b\x08\0\0\0\0\0", "expected a name that ends in .gz"),
    ] {
        let options = DatasetOptions::new(vec![folder.file(name, bytes)], Valid::None, vec![]);
        let error = folder.build(&options).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(part), "{error}");
    }
    let missing = DatasetOptions::new(vec![folder.path("none.tsv")], Valid::None, vec![]);
    assert!(folder.build(&missing).unwrap_err().to_string().contains("none.tsv: no such file"));
}

#[test]
fn option_out_of_its_range_is_refused_before_a_file_is_read() {
    let tail = |ratio, order_seed| {
        move |options: &mut DatasetOptions| options.tail = Some(Tail::exponential(ratio, order_seed))
    };
    let table = |table: Table| move |options: &mut DatasetOptions| options.format = Format::Table(table);
    type Change = Box<dyn FnOnce(&mut DatasetOptions)>;
    let changes: Vec<(Change, &str)> = vec![
        (Box::new(|options| options.train.clear()), "train: given no file"),
        (Box::new(|options| options.name = Some(" ".to_owned())), "name: given \" \""),
        (Box::new(|options| options.valid = Valid::EachClass(0)), "valid.each_class: given 0"),
        (Box::new(|options| options.valid = Valid::Share(1.0)), "valid.share: given 1"),
        (Box::new(|options| options.valid = Valid::Share(f64::NAN)), "valid.share: given NaN"),
        (Box::new(|options| options.exclude = vec!["a".into(), "a".into()]), "exclude: given \"a\" twice"),
        (Box::new(|options| options.words.min_count = 0), "words.min_count: given 0"),
        (Box::new(|options| options.words.unk.clear()), "words.unk: given \"\""),
        (Box::new(tail(0.5, 0)), "tail.ratio: given 0.5"),
        (Box::new(tail(f64::INFINITY, 0)), "tail.ratio: given inf"),
        (Box::new(tail(2.0, u64::MAX)), "tail.order_seed: given 18446744073709551615"),
        (
            Box::new(|options| options.label_noise = Some(LabelNoise { share: 1.0, seed: 0 })),
            "label_noise.share: given 1",
        ),
        (Box::new(table(Table { delimiter: 'é', ..Table::default() })), "format.delimiter: given 'é'"),
        (Box::new(table(Table { delimiter: '"', ..Table::default() })), "format.delimiter"),
        (Box::new(table(Table { text: Column::Index(0), ..Table::default() })), "format.text"),
        (
            Box::new(table(Table { label: Column::Name("y".into()), ..Table::default() })),
            "format.label: given \"y\"",
        ),
    ];
    for (change, part) in changes {
        // The rows are damaged, which nobody sees.
        let error = refused("damaged", change);
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn split_without_examples_is_refused() {
    let folder = Folder::new();
    let empty = folder.file("empty.tsv", "");
    let error = folder.train("a\tx\n", |options| options.test = vec![empty.clone()]).unwrap_err().to_string();
    assert!(error.contains("test split is empty"), "{error}");
    let error =
        folder.train("a\tx\n", |options| options.valid = Valid::Files(vec![empty])).unwrap_err().to_string();
    assert!(error.contains("valid split is empty"), "{error}");
    assert!(refused("", |_| {}).contains("train split is empty"));
    assert!(
        refused("a\tx\nb\ty\n", |options| options.valid = Valid::Share(0.2)).contains("valid split is empty")
    );
    let error = refused("a\tx\n", |options| options.exclude = vec!["oos".to_owned()]);
    assert!(error.contains("exclude: given \"oos\"; expected a label that some row has"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a file holds, it is a data set or an error that names the file or the split.
    #[test]
    fn bytes_of_any_kind_never_panic(
        bytes in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..80),
            "([ab\"]{0,3}[,\t]){0,2}[ab\" ]{0,4}(\n|\r\n)?".prop_map(String::into_bytes),
            "(\\{\"label\":\"?[a1]{0,2}\"?,\"text\":\"[ab]{0,2}\"\\}?\n){0,4}".prop_map(String::into_bytes),
        ],
        repeat in 1_usize..4,
    ) {
        let json = Format::Json(Json::default());
        for (at, format) in [Format::default(), csv(), json].into_iter().enumerate() {
            let folder = Folder::new();
            let file = folder.file("rows.txt", bytes.repeat(repeat));
            let options = DatasetOptions { format, ..DatasetOptions::new(vec![file], Valid::None, vec![]) };
            match folder.build(&options) {
                Ok(dataset) => prop_assert!(!dataset.classes().is_empty()),
                Err(error) => {
                    let message = error.to_string();
                    let named = message.contains("rows.txt") || message.contains("train split is empty");
                    prop_assert!(named, "{}: {}", at, message);
                    prop_assert_eq!(folder.names(), ["rows.txt"]);
                }
            }
        }
    }
}
