//! Texts of few lines, dealt out by ratio.
#![allow(clippy::unwrap_used)]

mod common;

use common::Folder;
use common::foreign::{gzip, zst};
use lexmax_corpus::build_observed;
use lexmax_corpus::{
    BuildOptions, Corpus, Event, Observer, Origin, Split, SplitUnit, TextInput, Tokenizer, build,
};

fn by_ratio(files: Vec<std::path::PathBuf>, valid: f64, test: f64, block_lines: u64) -> BuildOptions {
    BuildOptions::new(TextInput::Ratio { files, valid, test, block_lines })
}

/// Text like text8: one line without an end.
fn one_line(words: usize) -> String {
    (0..words).map(|word| format!("w{}", word % 7)).collect::<Vec<_>>().join(" ")
}

fn sizes(corpus: &Corpus) -> [usize; 3] {
    Split::ALL.map(|split| corpus.tokens(split).len())
}

fn words(corpus: &Corpus) -> Vec<String> {
    let word = |&id: &u32| corpus.vocab().word(id).to_owned();
    Split::ALL.iter().flat_map(|&split| corpus.tokens(split).iter().map(word)).collect()
}

#[test]
fn one_line_is_dealt_out_in_tokens_in_every_packing() {
    let text = one_line(2000);
    for (name, bytes) in [
        ("text8", text.clone().into_bytes()),
        ("text8.gz", gzip(text.as_bytes())),
        ("text8.zst", zst(text.as_bytes())),
    ] {
        for block_lines in [1, TextInput::BLOCK_LINES] {
            let folder = Folder::new();
            let path = folder.file(name, &bytes);
            let corpus = folder.build(&by_ratio(vec![path], 0.05, 0.05, block_lines)).unwrap();
            assert_eq!(sizes(&corpus), [1800, 100, 100], "{name}");
            assert_eq!(words(&corpus).join(" "), text);
            let Origin::Text { ratio: Some(ratio), .. } = &corpus.info().origin else { panic!("origin") };
            assert_eq!(ratio.dealt_in, SplitUnit::Tokens);
            assert_eq!(Corpus::open(&folder.path("corpus")).unwrap().info(), corpus.info());
        }
    }
}

#[test]
fn line_longer_than_a_piece_is_cut_where_the_shares_say() {
    let folder = Folder::new();
    let text = one_line(100_003);
    let path = folder.file("text8", &text);
    let corpus = folder.build(&by_ratio(vec![path], 0.2, 0.1, 1)).unwrap();
    assert_eq!(sizes(&corpus), [70_002, 20_001, 10_000]);
    assert_eq!(words(&corpus).join(" "), text);
}

#[test]
fn few_huge_lines_of_several_files_are_dealt_out_in_tokens() {
    let folder = Folder::new();
    let first = folder.file("1.txt", format!("{}\n{}\n", one_line(500), one_line(300)));
    let second = folder.file("2.txt", format!("\n\n{}", one_line(200)));
    let options =
        BuildOptions { eos: Some("<eos>".to_owned()), ..by_ratio(vec![first, second], 0.05, 0.04, 1) };
    let corpus = folder.build(&options).unwrap();
    // 1000 words and 5 line ends.
    assert_eq!(sizes(&corpus), [1005 - 50 - 40, 50, 40]);
    let [train, valid, test] = Split::ALL.map(|split| corpus.info().splits.of(split).lines);
    assert_eq!(train + valid + test, 5);
}

#[test]
fn characters_of_one_line_are_dealt_out() {
    let folder = Folder::new();
    let path = folder.file("text8", "日本語 abc".repeat(100));
    let options = BuildOptions { tokenizer: Tokenizer::Characters, ..by_ratio(vec![path], 0.25, 0.25, 100) };
    let corpus = folder.build(&options).unwrap();
    assert_eq!(sizes(&corpus), [350, 175, 175]);
    assert_eq!(words(&corpus).concat(), "日本語 abc".repeat(100));
}

#[test]
fn words_of_held_out_tokens_alone_become_unk() {
    let folder = Folder::new();
    let path = folder.file("text8", format!("{} x y", one_line(18)));
    let options = BuildOptions { unk: Some("<unk>".to_owned()), ..by_ratio(vec![path], 0.05, 0.05, 1) };
    let corpus = folder.build(&options).unwrap();
    assert_eq!(&words(&corpus)[18..], ["<unk>", "<unk>"]);
    assert_eq!(corpus.vocab().len(), 8);
}

#[test]
fn large_share_of_one_line_leaves_tokens_for_training() {
    let folder = Folder::new();
    let path = folder.file("text8", one_line(1000));
    let corpus = folder.build(&by_ratio(vec![path], 0.5, 0.4, 1)).unwrap();
    assert_eq!(sizes(&corpus), [100, 500, 400]);
}

#[test]
fn lines_that_suffice_are_dealt_out_in_lines() {
    let folder = Folder::new();
    let text: String = (0..11).map(|line| format!("w{line} {}\n", one_line(50))).collect();
    let path = folder.file("text.txt", text);
    let unk = Some("<unk>".to_owned());
    let corpus = folder.build(&BuildOptions { unk, ..by_ratio(vec![path], 0.05, 0.05, 1) }).unwrap();
    // The shares lag by half a line at the tenth, and the test's by more at the eleventh.
    assert_eq!(sizes(&corpus), [9 * 51, 51, 51]);
    let Origin::Text { ratio: Some(ratio), .. } = &corpus.info().origin else { panic!("origin") };
    assert_eq!(ratio.dealt_in, SplitUnit::Lines);
    assert!(!std::fs::read_to_string(folder.path("corpus/corpus.toml")).unwrap().contains("dealt_in"));
}

#[test]
fn blocks_too_large_are_refused_with_the_largest_that_serves() {
    let folder = Folder::new();
    let path = folder.file("text.txt", "a b\n".repeat(40));
    let refused = by_ratio(vec![path.clone()], 0.05, 0.05, 100);
    let message = folder.build(&refused).unwrap_err().to_string();
    assert!(
        message.contains("40 lines in blocks of 100 lines") && message.contains("at most 3"),
        "{message}"
    );
    assert!(folder.build(&by_ratio(vec![path], 0.05, 0.05, 3)).is_ok());
}

#[test]
fn tokens_that_are_too_few_are_refused_with_the_shares() {
    let folder = Folder::new();
    for (text, valid, test, parts) in [
        ("a b c", 0.05, 0.3, ["valid split is empty", "3 tokens in 1 lines", "0 for valid"]),
        ("a b", 0.4, 0.4, ["train split is empty", "2 tokens", "0 for training"]),
        ("a", 0.3, 0.6, ["train split is empty", "1 tokens", "1 for test"]),
    ] {
        let path = folder.file("text8", text);
        let message = folder.build(&by_ratio(vec![path], valid, test, 1)).unwrap_err().to_string();
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
    }
    let path = folder.file("text8", " \n");
    let message = folder.build(&by_ratio(vec![path], 0.1, 0.1, 1)).unwrap_err().to_string();
    assert!(message.contains("empty corpus"), "{message}");
    assert_eq!(folder.names(), ["text8"]);
}

#[test]
fn observer_hears_that_tokens_are_dealt_out() {
    struct RecordedProgress(Vec<(u64, u64)>);
    impl Observer for RecordedProgress {
        fn tell(&mut self, event: Event<'_>) {
            if let Event::DealtInTokens { lines, tokens } = event {
                self.0.push((lines, tokens));
            }
        }

        fn stop(&self) -> bool {
            false
        }
    }
    let folder = Folder::new();
    let path = folder.file("text8", one_line(300));
    let mut hears = RecordedProgress(Vec::new());
    build_observed(&by_ratio(vec![path.clone()], 0.1, 0.1, 1), &folder.path("corpus"), &mut hears).unwrap();
    assert_eq!(hears.0, [(1, 300)]);
    let again = build(&by_ratio(vec![path], 0.1, 0.1, 1), &folder.path("again")).unwrap();
    assert_eq!(again.hash(), Corpus::open(&folder.path("corpus")).unwrap().hash());
}
