//! Synthetic languages as corpus directories.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::HashMap;

use common::Folder;
use lexmax_corpus::{Corpus, Origin, Split, SynthOptions, describe, synthesize};

fn small() -> SynthOptions {
    SynthOptions {
        vocab_size: 500,
        classes: 4,
        rank: 3,
        train_tokens: 60_000,
        valid_tokens: 5_000,
        test_tokens: 0,
        ..SynthOptions::default()
    }
}

/// All files of a corpus by name; in `corpus.toml` the name that comes from the directory is left
/// out.
fn contents(folder: &Folder, name: &str) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(folder.path(name))
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let file = entry.file_name().to_string_lossy().into_owned();
            let mut bytes = std::fs::read(entry.path()).unwrap();
            if file == "corpus.toml" {
                bytes =
                    String::from_utf8(bytes).unwrap().replace(&format!("name = \"{name}\""), "").into_bytes();
            }
            (file, bytes)
        })
        .collect();
    files.sort();
    files
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let folder = Folder::new();
    for (name, seed) in [("one", 7), ("two", 7), ("three", 8)] {
        synthesize(&SynthOptions { seed, ..small() }, &folder.path(name)).unwrap();
    }
    let one = contents(&folder, "one");
    let names: Vec<&str> = one.iter().map(|(name, _)| name.as_str()).collect();
    let tokens = ["test.bin", "test.logp.bin", "train.bin", "train.logp.bin", "valid.bin", "valid.logp.bin"];
    assert_eq!(names, [["corpus.toml"].as_slice(), &tokens, &["vocab.tsv"]].concat());
    assert_eq!(one, contents(&folder, "two"));
    for ((name, bytes), (_, others)) in one.iter().zip(contents(&folder, "three")) {
        // The test split is empty here.
        assert!(*bytes != others || name.starts_with("test"), "{name} does not depend on the seed");
    }
}

#[test]
fn ids_fall_in_count_and_log_probs_stand_beside_the_tokens() {
    let folder = Folder::new();
    synthesize(&small(), &folder.path("corpus")).unwrap();
    let corpus = Corpus::open(&folder.path("corpus")).unwrap();
    assert_eq!(corpus.vocab().len(), 500);
    assert!(corpus.vocab().counts().is_sorted_by(|a, b| a >= b));
    assert_eq!(corpus.vocab().word(0), "w0");
    let mut counts = vec![0_u64; 500];
    corpus.tokens(Split::Train).iter().for_each(|&id| counts[id as usize] += 1);
    assert_eq!(counts, corpus.vocab().counts());
    for split in Split::ALL {
        assert_eq!(corpus.true_log_probs(split).unwrap().len(), corpus.tokens(split).len());
    }
    assert_eq!(corpus.info().origin, Origin::Synthetic {});
    let synthetic = corpus.info().synthetic.as_ref().unwrap();
    assert_eq!((&synthetic.options, synthetic.contexts), (&small(), 16));
}

#[test]
fn stored_truth_beats_the_unigram_and_matches_the_entropy_rate() {
    let folder = Folder::new();
    let corpus = synthesize(&small(), &folder.path("corpus")).unwrap();
    let synthetic = corpus.info().synthetic.as_ref().unwrap();
    let description = describe(&corpus);
    let [train, _, test] = &description.splits;
    // The standard deviation of a token's log-probability is about 2 nats.
    let nats = train.true_perplexity.unwrap().ln();
    assert!((nats - synthetic.entropy_rate).abs() < 5.0 * 2.0 / 60_000_f64.sqrt(), "{nats} {synthetic:?}");
    // The add-one unigram of train has seen its own words: a little off the true unigram entropy.
    let unigram = train.unigram_perplexity.unwrap().ln();
    assert!((unigram - synthetic.unigram_entropy).abs() < 0.05, "{unigram} {synthetic:?}");
    assert!(synthetic.unigram_entropy - synthetic.entropy_rate > 0.3, "{synthetic:?}");
    assert_eq!((test.tokens, test.true_perplexity), (0, None));
    assert!(description.to_string().contains("true entropy rate"));
}

/// P(word | stored log-probability) must be the one drawn from: within one hidden context the same
/// word always has the same log-probability, so each word has at most C different ones.
#[test]
fn a_word_has_one_log_probability_for_each_context() {
    let folder = Folder::new();
    let corpus = synthesize(&small(), &folder.path("corpus")).unwrap();
    let mut of_first: Vec<u64> = Vec::new();
    let mut count = 0_u32;
    let mut expected = 0.0;
    for (&id, log_prob) in
        corpus.tokens(Split::Train).iter().zip(corpus.true_log_probs(Split::Train).unwrap())
    {
        if id == 0 {
            of_first.push(log_prob.to_bits());
            count += 1;
            expected += 1.0 / log_prob.exp();
        }
    }
    // Importance weights: E[1{w = 0} / p(0 | c)] = 1 for each token.
    let tokens = 60_000.0;
    assert!((expected / tokens - 1.0).abs() < 0.1, "{}", expected / tokens);
    assert!(count > 500);
    of_first.sort_unstable();
    of_first.dedup();
    assert!((2..=16).contains(&of_first.len()), "{} log-probabilities", of_first.len());
}

#[test]
fn every_option_reaches_the_language() {
    let folder = Folder::new();
    let hash = |name: &str, options: SynthOptions| {
        let corpus = synthesize(&options, &folder.path(name)).unwrap();
        corpus.hash().to_owned()
    };
    let base = || SynthOptions { train_tokens: 2_000, valid_tokens: 10, ..small() };
    let mut hashes = vec![
        hash("base", base()),
        hash("vocab_size", SynthOptions { vocab_size: 501, ..base() }),
        hash("classes", SynthOptions { classes: 5, ..base() }),
        hash("order", SynthOptions { order: 1, ..base() }),
        hash("rank", SynthOptions { rank: 4, ..base() }),
        hash("interaction", SynthOptions { interaction: Some(0.5), ..base() }),
        hash("strength", SynthOptions { strength: 1.0, ..base() }),
        hash("exponent", SynthOptions { exponent: 1.1, ..base() }),
        hash("shift", SynthOptions { shift: 5.0, ..base() }),
        hash("train_tokens", SynthOptions { train_tokens: 2_001, ..base() }),
        hash("valid_tokens", SynthOptions { valid_tokens: 11, ..base() }),
        hash("test_tokens", SynthOptions { test_tokens: 1, ..base() }),
    ];
    let made = hashes.len();
    hashes.sort();
    hashes.dedup();
    assert_eq!(hashes.len(), made);
}

#[test]
fn a_damaged_log_probability_is_seen() {
    let folder = Folder::new();
    let path = folder.path("corpus");
    synthesize(&small(), &path).unwrap();
    let file = path.join("valid.logp.bin");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[16..24].copy_from_slice(&f64::NAN.to_le_bytes());
    std::fs::write(&file, &bytes).unwrap();
    let message = Corpus::open(&path).unwrap_err().to_string();
    assert!(message.contains("valid.logp.bin: token 2 has log-probability NaN"), "{message}");
    std::fs::write(&file, &bytes[..100]).unwrap();
    let message = Corpus::open(&path).unwrap_err().to_string();
    assert!(message.contains("100 bytes") && message.contains("5000 tokens of 8 bytes"), "{message}");
}

#[test]
fn the_context_is_the_words_that_the_order_says() {
    let folder = Folder::new();
    for order in [1, 2] {
        let options = SynthOptions { order, ..small() };
        let corpus = synthesize(&options, &folder.path(&format!("order-{order}"))).unwrap();
        let (tokens, truth) = (corpus.tokens(Split::Train), corpus.true_log_probs(Split::Train).unwrap());
        // Whether the word and the `back` words before it settle the log-probability.
        let settles = |back: usize| {
            let mut seen = HashMap::new();
            let repeats = |end: usize| {
                let first = *seen.entry(&tokens[end - back..=end]).or_insert(truth[end]);
                first == truth[end]
            };
            (back.max(2)..tokens.len()).all(repeats)
        };
        assert_eq!((settles(order), settles(order - 1)), (true, false), "order {order}");
    }
}
