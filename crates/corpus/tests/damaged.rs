//! Damaged corpus directories: an error, no panic, no large allocation.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Folder, splits};
use lexmax_corpus::{Corpus, CorpusInfo, Vocab, describe};
use proptest::prelude::*;

/// A good corpus whose file `name` was changed.
fn changed(name: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Result<Corpus, String> {
    let folder = Folder::new();
    let train = folder.file("good.txt", "a b a c\n");
    folder.build(&splits(&train, Some(&train), None)).unwrap();
    let path = folder.path("corpus").join(name);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, change(bytes)).unwrap();
    Corpus::open(&folder.path("corpus")).map_err(|error| error.to_string())
}

fn refused(name: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>, parts: &[&str]) {
    let message = changed(name, change).unwrap_err();
    assert!(parts.iter().all(|part| message.contains(part)), "{message}");
}

fn replaced(from: &str, to: &str) -> impl FnOnce(Vec<u8>) -> Vec<u8> {
    move |bytes| {
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains(from), "{from:?} is not in {text}");
        text.replacen(from, to, 1).into_bytes()
    }
}

#[test]
fn absurd_sizes_in_the_description_are_refused() {
    refused("corpus.toml", replaced("tokens = 4", "tokens = 9223372036854775807"), &["training tokens"]);
    refused("corpus.toml", replaced("tokens = 4", "tokens = -4"), &["corpus.toml", "-4"]);
    refused("corpus.toml", replaced("vocab_size = 3", "vocab_size = 4611686018427387904"), &["expected 3"]);
    let valid = |text: &str| {
        text.replace("[splits.valid]\ntokens = 4", "[splits.valid]\ntokens = 4611686018427387904")
    };
    let change = |bytes: Vec<u8>| valid(&String::from_utf8(bytes).unwrap()).into_bytes();
    refused("corpus.toml", change, &["valid.bin: 16 bytes", "4611686018427387904 tokens"]);
}

#[test]
fn counts_whose_sum_overflows_are_refused() {
    let huge = u64::MAX;
    refused(
        "vocab.tsv",
        |_| format!("a\t{huge}\nb\t{huge}\nc\t5\n").into_bytes(),
        &["expected 368934881474191032"],
    );
    refused("vocab.tsv", |_| b"a\t99999999999999999999\nb\t1\nc\t1\n".to_vec(), &["line 1", "is no number"]);
    refused("vocab.tsv", |_| b"a\t-2\nb\t1\nc\t1\n".to_vec(), &["line 1", "is no number"]);
}

#[test]
fn vocabulary_in_another_encoding_is_refused() {
    let wide = |bytes: Vec<u8>| bytes.into_iter().flat_map(|byte| [byte, 0]).collect();
    refused("vocab.tsv", wide, &["vocab.tsv line 1: NUL byte: UTF-16?"]);
    refused("vocab.tsv", |bytes| [b"\xff\xfe", &bytes[..]].concat(), &["vocab.tsv line 1: invalid UTF-8"]);
    refused("vocab.tsv", |_| b"a\t2\nb\t1\n\0\t1\n".to_vec(), &["vocab.tsv line 3: NUL byte"]);
}

#[test]
fn token_file_that_is_no_file_is_refused() {
    let folder = Folder::new();
    let train = folder.file("good.txt", "a b a c\n");
    folder.build(&splits(&train, Some(&train), None)).unwrap();
    for name in ["train.bin", "vocab.tsv", "corpus.toml"] {
        let path = folder.path("corpus").join(name);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        let message = Corpus::open(&folder.path("corpus")).unwrap_err().to_string();
        assert!(message.contains(name), "{message}");
        std::fs::remove_dir(&path).unwrap();
        std::fs::write(&path, bytes).unwrap();
    }
    Corpus::open(&folder.path("corpus")).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A corpus that is opened in spite of a change can be described.
    #[test]
    fn any_change_of_any_file_gives_a_corpus_or_an_error(
        file in 0_usize..5,
        at in any::<proptest::sample::Index>(),
        byte in any::<u8>(),
        keep in any::<proptest::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let name = ["corpus.toml", "vocab.tsv", "train.bin", "valid.bin", "test.bin"][file];
        let opened = changed(name, |mut bytes| {
            if !bytes.is_empty() {
                let place = at.index(bytes.len());
                bytes[place] = byte;
                if cut {
                    bytes.truncate(keep.index(bytes.len() + 1));
                }
            }
            bytes
        });
        if let Ok(corpus) = opened {
            prop_assert!(!describe(&corpus).to_string().is_empty());
        }
    }

    #[test]
    fn any_bytes_are_a_vocabulary_or_an_error(bytes in "([a-c\t\n]|[0-9]){0,40}|\\PC{0,20}") {
        if let Ok(vocab) = Vocab::parse(bytes.as_bytes(), Some("a")) {
            prop_assert!(vocab.counts().is_sorted_by(|a, b| a >= b));
        }
        prop_assert!(CorpusInfo::parse(&bytes).is_err());
    }
}
