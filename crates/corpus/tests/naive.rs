//! Builds beside a naive reader: the whole text in memory, split by the standard library, counted
//! and sorted.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::HashMap;
use std::io::Write;

use common::Folder;
use lexmax_corpus::{BuildOptions, Split, TextInput, Tokenizer, build};
use proptest::prelude::*;

/// A vocabulary with counts, and the ids of the splits; or the word that has no id.
type Built = Result<(Vec<(String, u64)>, [Vec<u32>; 3]), String>;

/// Lines of a text as a reader of the whole sees them.
fn lines(text: &str) -> Vec<&str> {
    text.split_terminator('\n')
        .map(|line| line.strip_suffix('\r').filter(|_| !line.is_empty()).unwrap_or(line))
        .collect()
}

/// Tokens of a text, with `eos` at each line's end.
fn tokens(text: &str, options: &BuildOptions) -> Vec<String> {
    let mut tokens = Vec::new();
    // A byte-order mark is one at the start of a file alone.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // A carriage return belongs to a line end only with a line feed after it.
    let open_end = (!text.ends_with('\n')).then(|| text.rsplit('\n').next().unwrap_or(text));
    let lines = lines(text);
    for (at, &line) in lines.iter().enumerate() {
        let line = match open_end {
            Some(open) if at + 1 == lines.len() => open,
            _ => line,
        };
        match options.tokenizer {
            Tokenizer::Words => tokens.extend(line.split_whitespace().map(str::to_owned)),
            Tokenizer::Characters => tokens.extend(line.chars().map(String::from)),
        }
        tokens.extend(options.eos.clone());
    }
    tokens
}

/// The corpus of three texts by its definition; none where a split that has a text has no token.
fn naive(texts: &[String; 3], options: &BuildOptions) -> Option<Built> {
    let splits = texts.each_ref().map(|text| tokens(text, options));
    if splits.iter().any(Vec::is_empty) {
        return None;
    }
    let mut counts: HashMap<&str, u64> = HashMap::new();
    for token in &splits[0] {
        *counts.entry(token).or_default() += 1;
    }
    let (unk, eos) = (options.unk.as_deref(), options.eos.as_deref());
    let reserved = |word: &str| Some(word) == unk || Some(word) == eos;
    let by_count = |one: &(&str, u64), other: &(&str, u64)| other.1.cmp(&one.1).then(one.0.cmp(other.0));
    let mut ordinary: Vec<(&str, u64)> = counts.iter().map(|(word, count)| (*word, *count)).collect();
    ordinary.retain(|(word, _)| !reserved(word));
    ordinary.sort_by(by_count);
    let present = counts.keys().filter(|word| reserved(word)).count();
    let for_unk = usize::from(unk.is_some_and(|unk| !counts.contains_key(unk)));
    let room = options.max_vocab.map_or(usize::MAX, |most| most.saturating_sub(present + for_unk));
    let frequent = ordinary.iter().filter(|(_, count)| *count >= options.min_count).count();
    let dropped: u64 = ordinary.split_off(frequent.min(room)).iter().map(|(_, count)| count).sum();
    ordinary.extend(counts.iter().filter(|(word, _)| reserved(word)).map(|(word, count)| (*word, *count)));
    if let Some(unk) = unk.filter(|_| dropped > 0) {
        ordinary.retain(|(word, _)| *word != unk);
        ordinary.push((unk, counts.get(unk).copied().unwrap_or(0) + dropped));
    }
    ordinary.sort_by(by_count);
    let known = |ordinary: &[(&str, u64)], word: &str| ordinary.iter().any(|(other, _)| *other == word);
    if let Some(word) = splits.iter().flatten().find(|word| !known(&ordinary, word)) {
        match unk {
            None => return Some(Err(word.clone())),
            Some(unk) if !known(&ordinary, unk) => ordinary.push((unk, 0)),
            Some(_) => {}
        }
    }
    let ids: HashMap<&str, u32> = ordinary.iter().map(|(word, _)| *word).zip(0..).collect();
    let id = |word: &String| ids.get(word.as_str()).copied().unwrap_or_else(|| ids[unk.unwrap()]);
    let splits = splits.each_ref().map(|tokens| tokens.iter().map(id).collect());
    Some(Ok((ordinary.into_iter().map(|(word, count)| (word.to_owned(), count)).collect(), splits)))
}

fn packed(text: &str, suffix: &str) -> Vec<u8> {
    match suffix {
        "gz" => {
            // Two members, the second of which begins anywhere.
            let (one, other) = text.as_bytes().split_at(text.len() / 3);
            let member = |bytes: &[u8]| {
                let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                packer.write_all(bytes).unwrap();
                packer.finish().unwrap()
            };
            [member(one), member(other)].concat()
        }
        "zst" => zstd::encode_all(text.as_bytes(), 1).unwrap(),
        _ => text.as_bytes().to_vec(),
    }
}

/// Pieces of text: short and long words, white space of every kind, line ends.
fn piece() -> impl Strategy<Value = String> {
    let fixed = |piece: &'static str| Just(piece.to_owned());
    prop_oneof![
        6 => "[a-d]{1,2}".prop_map(|word| word),
        2 => "[a-z]{7,9}".prop_map(|word| word),
        1 => prop_oneof![fixed("é"), fixed("日本語"), fixed("\u{2019}s"), fixed("ⓐ"), fixed("😀"), fixed("\u{c2}")],
        1 => prop_oneof![fixed("<unk>"), fixed("<eos>"), fixed("\u{200b}"), fixed("\u{feff}")],
        1 => (60_000_usize..70_000).prop_map(|length| "x".repeat(length)),
        1 => (9_000_usize..40_000).prop_map(|times| "ab c ".repeat(times)),
        6 => fixed(" "),
        3 => prop_oneof![
            fixed("\t"), fixed("\u{b}"), fixed("\u{c}"), fixed("\u{1c}"), fixed("\u{85}"), fixed("\u{a0}"),
            fixed("\u{1680}"), fixed("\u{2003}"), fixed("\u{2028}"), fixed("\u{202f}"), fixed("\u{3000}"),
        ],
        4 => prop_oneof![fixed("\n"), fixed("\r\n"), fixed("\n\n"), fixed("\r")],
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(piece(), 1..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn corpus_of_any_text_in_any_packing_is_that_of_a_naive_reader(
        texts in [text(), text(), text()],
        suffix in prop_oneof![Just("txt"), Just("gz"), Just("zst")],
        characters in any::<bool>(),
        (unk, eos) in any::<(bool, bool)>(),
        min_count in 1..4_u64,
        max_vocab in prop::option::of(3..12_usize),
    ) {
        let folder = Folder::new();
        let path = |name: &str, text: &String| vec![folder.file(&format!("{name}.{suffix}"), packed(text, suffix))];
        let input = TextInput::Splits {
            train: path("train", &texts[0]),
            valid: path("valid", &texts[1]),
            test: path("test", &texts[2]),
        };
        let mut options = BuildOptions::new(input);
        options.tokenizer = if characters { Tokenizer::Characters } else { Tokenizer::Words };
        options.unk = unk.then(|| "<unk>".to_owned());
        options.eos = eos.then(|| "<eos>".to_owned());
        (options.min_count, options.max_vocab) = (min_count, max_vocab);
        let built = build(&options, &folder.path("corpus"));
        match naive(&texts, &options) {
            None => {
                let message = built.unwrap_err().to_string();
                prop_assert!(message.contains("no tokens in"), "{message}");
            }
            Some(Err(word)) => {
                let message = built.unwrap_err().to_string();
                prop_assert!(message.contains(&format!("word {word:?} is not in the vocabulary")), "{message}");
            }
            Some(Ok((vocabulary, splits))) => {
                let corpus = built.unwrap();
                let counts = corpus.vocab().counts();
                let there = (0..).zip(counts).map(|(id, count)| (corpus.vocab().word(id).to_owned(), *count));
                prop_assert_eq!(there.collect::<Vec<_>>(), vocabulary);
                for split in Split::ALL {
                    prop_assert!(corpus.tokens(split) == splits[split as usize], "{split}");
                }
            }
        }
    }
}
