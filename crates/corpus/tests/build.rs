//! Text to a corpus directory and back.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::HashMap;
use std::io::Write;

use common::{Folder, splits};
use lexmax_corpus::{BuildOptions, Corpus, Origin, Split, TextInput, Tokenizer, build, describe};
use proptest::prelude::*;

/// The words of a split.
fn words(corpus: &Corpus, split: Split) -> Vec<&str> {
    corpus.tokens(split).iter().map(|&id| corpus.vocab().word(id)).collect()
}

fn vocabulary(corpus: &Corpus) -> Vec<(&str, u64)> {
    let words = (0..corpus.vocab().len() as u32).map(|id| corpus.vocab().word(id));
    words.zip(corpus.vocab().counts().iter().copied()).collect()
}

#[test]
fn words_with_line_ends_are_counted_and_sorted() {
    let folder = Folder::new();
    let train = folder.file("train.txt", "b a\n\n  c\tb \r\nb");
    let valid = folder.file("valid.txt", "c a\n");
    let options = BuildOptions { eos: Some("</s>".to_owned()), ..splits(&train, Some(&valid), None) };
    let corpus = folder.build(&options).unwrap();
    assert_eq!(words(&corpus, Split::Train), ["b", "a", "</s>", "</s>", "c", "b", "</s>", "b", "</s>"]);
    assert_eq!(words(&corpus, Split::Valid), ["c", "a", "</s>"]);
    assert!(corpus.tokens(Split::Test).is_empty());
    // By falling count, then byte order.
    assert_eq!(vocabulary(&corpus), [("</s>", 4), ("b", 3), ("a", 1), ("c", 1)]);
    assert_eq!(corpus.vocab().id("b"), Some(1));
    assert_eq!(corpus.vocab().id("x"), None);
    assert_eq!(corpus.name(), "corpus");
    assert_eq!(corpus.info().splits.train.lines, 4);
    assert!(corpus.true_log_probs(Split::Train).is_none());
    assert_eq!(folder.names(), ["corpus", "train.txt", "valid.txt"]);
}

#[test]
fn empty_lines_without_eos_leave_nothing() {
    let folder = Folder::new();
    let train = folder.file("train.txt", "a b\n\nc\n");
    let corpus = folder.build(&splits(&train, None, None)).unwrap();
    assert_eq!(words(&corpus, Split::Train), ["a", "b", "c"]);
}

#[test]
fn characters_keep_blanks_tabs_and_carriage_returns() {
    let folder = Folder::new();
    let train = folder.file("train.txt", "aé \t\\\n\na\ra\n");
    let options = BuildOptions {
        tokenizer: Tokenizer::Characters,
        eos: Some("<eos>".to_owned()),
        ..splits(&train, None, None)
    };
    folder.build(&options).unwrap();
    let corpus = Corpus::open(&folder.path("corpus")).unwrap();
    let expected = ["a", "é", " ", "\t", "\\", "<eos>", "<eos>", "a", "\r", "a", "<eos>"];
    assert_eq!(words(&corpus, Split::Train), expected);
}

#[test]
fn rare_words_become_unk_which_takes_their_counts() {
    let folder = Folder::new();
    let train = folder.file("train.txt", "a a a b b c d <unk>\n");
    let valid = folder.file("valid.txt", "a d e\n");
    let options = BuildOptions { unk: Some("<unk>".to_owned()), ..splits(&train, Some(&valid), None) };

    // Nothing dropped in training: only `e` of valid needs unk, which stands in the text anyway.
    let all = build(&options, &folder.path("all")).unwrap();
    assert_eq!(vocabulary(&all), [("a", 3), ("b", 2), ("<unk>", 1), ("c", 1), ("d", 1)]);
    assert_eq!(words(&all, Split::Valid), ["a", "d", "<unk>"]);

    let often = build(&BuildOptions { min_count: 2, ..options.clone() }, &folder.path("often")).unwrap();
    assert_eq!(vocabulary(&often), [("<unk>", 3), ("a", 3), ("b", 2)]);
    assert_eq!(words(&often, Split::Train), ["a", "a", "a", "b", "b", "<unk>", "<unk>", "<unk>"]);
    assert_eq!(often.vocab().unk(), Some(0));
    assert_eq!(describe(&often).splits[1].unk_tokens, 2);

    let few = build(&BuildOptions { max_vocab: Some(2), ..options }, &folder.path("few")).unwrap();
    assert_eq!(vocabulary(&few), [("<unk>", 5), ("a", 3)]);
}

#[test]
fn unk_is_an_entry_only_where_something_needs_it() {
    let folder = Folder::new();
    let train = folder.file("train.txt", "a b a\n");
    let known = folder.file("known.txt", "b a\n");
    let unseen = folder.file("unseen.txt", "b x y\n");
    let with = |valid| BuildOptions { unk: Some("<unk>".to_owned()), ..splits(&train, Some(valid), None) };
    let without_need = build(&with(&known), &folder.path("known")).unwrap();
    assert_eq!((vocabulary(&without_need), without_need.vocab().unk()), (vec![("a", 2), ("b", 1)], None));
    let needed = build(&with(&unseen), &folder.path("unseen")).unwrap();
    assert_eq!(vocabulary(&needed), [("a", 2), ("b", 1), ("<unk>", 0)]);
    assert_eq!(words(&needed, Split::Valid), ["b", "<unk>", "<unk>"]);
    // A full vocabulary keeps its bound although only valid needs unk.
    let full = BuildOptions { max_vocab: Some(2), ..with(&unseen) };
    assert_eq!(vocabulary(&build(&full, &folder.path("full")).unwrap()), [("a", 2), ("<unk>", 1)]);
}

#[test]
fn compressed_and_plain_text_give_the_same_corpus() {
    let folder = Folder::new();
    let text = "the cat sat on the mat\nthe end\n".repeat(500);
    let plain = folder.file("a.txt", &text);
    let (first, second) = text.as_bytes().split_at(7000);
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    // Two members in one file, as `cat a.gz b.gz` makes.
    let gz = folder.file("a.txt.gz", [gzip(first), gzip(second)].concat());
    let zst = folder.file("a.txt.zst", zstd::encode_all(text.as_bytes(), 3).unwrap());
    let hashes: Vec<String> = [plain, gz, zst]
        .iter()
        .enumerate()
        .map(|(number, path)| {
            let corpus = build(&splits(path, None, None), &folder.path(&format!("corpus-{number}"))).unwrap();
            assert_eq!(corpus.tokens(Split::Train).len(), 8 * 500);
            corpus.hash().to_owned()
        })
        .collect();
    assert!(hashes.iter().all(|hash| *hash == hashes[0]), "{hashes:?}");
}

#[test]
fn a_ratio_deals_out_blocks_of_lines() {
    let folder = Folder::new();
    let line = |number: usize| format!("word{} line\n", number % 10);
    let first = folder.file("1.txt", (0..150).map(line).collect::<String>());
    let second = folder.file("2.txt", (150..400).map(line).collect::<String>());
    let input = TextInput::Ratio { files: vec![first, second], valid: 0.1, test: 0.2, block_lines: 4 };
    let corpus = folder.build(&BuildOptions::new(input.clone())).unwrap();
    let tokens = Split::ALL.map(|split| corpus.tokens(split).len());
    assert_eq!(tokens, [2 * 280, 2 * 40, 2 * 80]);
    let Origin::Text { ratio: Some(ratio), files } = &corpus.info().origin else { panic!("origin") };
    assert_eq!((ratio.valid, ratio.test, ratio.block_lines), (0.1, 0.2, 4));
    assert_eq!(files.iter().map(|file| file.lines).collect::<Vec<_>>(), [150, 250]);
    let again = build(&BuildOptions::new(input), &folder.path("again")).unwrap();
    assert_eq!(again.hash(), corpus.hash());
}

#[test]
fn a_source_that_changed_is_known_by_its_contents() {
    let folder = Folder::new();
    let train = folder.file("train.txt", "one two\n");
    let corpus = folder.build(&splits(&train, None, None)).unwrap();
    let Origin::Text { files, .. } = &corpus.info().origin else { panic!("origin") };
    assert!(files[0].is_still(&train).unwrap());
    for changed in ["one too\n", "one two three\n"] {
        folder.file("train.txt", changed);
        assert!(!files[0].is_still(&train).unwrap(), "{changed}");
    }
    let gone = files[0].is_still(&folder.path("gone.txt")).unwrap_err().to_string();
    assert!(gone.contains("gone.txt"), "{gone}");
}

#[test]
fn describe_agrees_with_sums_by_hand() {
    let folder = Folder::new();
    let train = folder.file("train.txt", "a a a b b c\n");
    let valid = folder.file("valid.txt", "a c\n");
    let corpus = folder.build(&splits(&train, Some(&valid), None)).unwrap();
    let description = describe(&corpus);
    // p(a) = 4/9, p(c) = 2/9.
    let expected = (-((4.0_f64 / 9.0).ln() + (2.0_f64 / 9.0).ln()) / 2.0).exp();
    assert!((description.splits[1].unigram_perplexity.unwrap() / expected - 1.0).abs() < 1e-14);
    assert_eq!(description.splits[2].unigram_perplexity, None);
    assert_eq!((description.vocab_size, description.singletons, description.splits[1].types), (3, 1, 2));
    assert_eq!((description.coverage.len(), description.zipf_exponent), (0, None));
    let table = description.to_string();
    assert!(table.contains("add-one unigram perplexity") && table.contains("3.2"), "{table}");
}

#[test]
fn coverage_counts_the_most_frequent_training_words() {
    let folder = Folder::new();
    // Word i occurs 20 - i times.
    let text: String = (0..20).map(|word| format!("w{word:02} ").repeat(20 - word)).collect();
    let train = folder.file("train.txt", text);
    let test = folder.file("test.txt", "w00 w19 w09 w10");
    let corpus = folder.build(&splits(&train, None, Some(&test))).unwrap();
    let coverage = &describe(&corpus).coverage;
    assert_eq!(coverage.len(), 1);
    assert_eq!(coverage[0].rank, 10);
    assert_eq!(coverage[0].share, [Some(155.0 / 210.0), None, Some(0.5)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn corpus_that_was_built_is_read_back(
        train in proptest::collection::vec("[a-dé \t]{0,12}", 1..30),
        valid in proptest::collection::vec("[a-fé ]{0,12}", 0..10),
        characters in any::<bool>(),
        min_count in 1_u64..4,
        max_vocab in proptest::option::of(3_usize..12),
        eos in any::<bool>(),
    ) {
        let folder = Folder::new();
        let text = |lines: &[String]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
        let train_file = folder.file("train.txt", text(&train));
        let valid_file = folder.file("valid.txt", text(&valid));
        let tokenizer = if characters { Tokenizer::Characters } else { Tokenizer::Words };
        let options = BuildOptions {
            tokenizer,
            min_count,
            max_vocab,
            unk: Some("<unk>".to_owned()),
            eos: eos.then(|| "<eos>".to_owned()),
            ..splits(&train_file, Some(&valid_file), None)
        };
        // The naive tokens.
        let tokens = |lines: &[String]| -> Vec<String> {
            lines.iter().flat_map(|line| {
                let mut tokens: Vec<String> = match tokenizer {
                    Tokenizer::Words => line.split_whitespace().map(str::to_owned).collect(),
                    Tokenizer::Characters => line.chars().map(String::from).collect(),
                };
                tokens.extend(options.eos.clone());
                tokens
            }).collect()
        };
        let (train, valid) = (tokens(&train), tokens(&valid));
        let built = folder.build(&options);
        if train.is_empty() || valid.is_empty() {
            prop_assert!(built.is_err());
            return Ok(());
        }
        let built = built.unwrap();
        let corpus = Corpus::open(&folder.path("corpus")).unwrap();
        prop_assert_eq!(built.hash(), corpus.hash());
        prop_assert_eq!(corpus.info(), built.info());

        // Every token is the word itself or, outside the vocabulary, unk.
        for (split, expected) in [(Split::Train, &train), (Split::Valid, &valid)] {
            let stored = words(&corpus, split);
            prop_assert_eq!(stored.len(), expected.len());
            for (stored, word) in stored.iter().zip(expected) {
                let kept = corpus.vocab().id(word).is_some();
                prop_assert_eq!(*stored, if kept { word.as_str() } else { "<unk>" });
            }
        }
        // Counts are those of the stored ids and fall; min_count and max_vocab hold.
        let counts = corpus.vocab().counts();
        let mut by_id = HashMap::new();
        corpus.tokens(Split::Train).iter().for_each(|&id| *by_id.entry(id).or_insert(0_u64) += 1);
        for (id, &count) in (0_u32..).zip(counts) {
            prop_assert_eq!(count, by_id.get(&id).copied().unwrap_or(0));
            let reserved = ["<unk>", "<eos>"].contains(&corpus.vocab().word(id));
            prop_assert!(reserved || count >= min_count);
        }
        prop_assert!(counts.is_sorted_by(|a, b| a >= b));
        prop_assert!(max_vocab.is_none_or(|most| corpus.vocab().len() <= most));
        // No more was dropped than the options ask.
        if min_count == 1 && max_vocab.is_none() {
            let in_train = |word: &String| corpus.vocab().id(word).is_some();
            prop_assert!(train.iter().all(in_train));
        }
    }
}
