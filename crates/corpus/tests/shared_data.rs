//! The numbers that the shared corpora must give.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::Read;
use std::path::Path;
use std::time::Instant;

use common::{Folder, shared, splits};
use lexmax_corpus::{BuildOptions, Corpus, Split, build, describe};

fn with_eos(options: BuildOptions) -> BuildOptions {
    BuildOptions { eos: Some("<eos>".to_owned()), ..options }
}

fn all_splits(data: &Path) -> BuildOptions {
    let file = |name: &str| data.join(name);
    with_eos(splits(&file("train.txt.gz"), Some(&file("valid.txt.gz")), Some(&file("test.txt.gz"))))
}

fn sizes(corpus: &Corpus) -> [usize; 3] {
    Split::ALL.map(|split| corpus.tokens(split).len())
}

#[test]
fn wikitext_2_has_its_published_numbers() {
    let Some(data) = shared("wikitext-2") else { return };
    let folder = Folder::new();
    // `<unk>` stands in the text, so that naming it changes nothing.
    let options = BuildOptions { unk: Some("<unk>".to_owned()), ..all_splits(&data) };
    let corpus = folder.build(&options).unwrap();
    assert_eq!(sizes(&corpus), [2_088_628, 217_646, 245_569]);
    assert_eq!(corpus.vocab().len(), 33_278);
    let description = describe(&corpus);
    eprintln!("{description}");
    let [train, valid, test] = &description.splits;
    assert_eq!((train.lines, valid.lines, test.lines), (36_718, 3_760, 4_358));
    assert_eq!((train.unk_tokens, valid.unk_tokens, test.unk_tokens), (54_625, 11_718, 15_218));
    assert_eq!((valid.types, test.types), (13_777, 14_143));
    assert_eq!(format!("{:.1}", valid.unigram_perplexity.unwrap()), "967.6");
    assert_eq!(format!("{:.1}", test.unigram_perplexity.unwrap()), "914.4");
}

/// Reads 114 MB of text six times: three builds of two passes.
#[test]
#[ignore = "takes two minutes without optimisation; run with `cargo test -p lexmax-corpus -- --ignored --nocapture`"]
fn standard_ebooks_has_its_published_numbers() {
    let Some(data) = shared("standard-ebooks-25m") else { return };
    let folder = Folder::new();
    // The training text alone: every type is a word, no unk is needed.
    let start = Instant::now();
    let train =
        build(&with_eos(splits(&data.join("train.txt.gz"), None, None)), &folder.path("train")).unwrap();
    eprintln!("train alone: {:.1} s", start.elapsed().as_secs_f64());
    assert_eq!(sizes(&train), [23_956_374, 0, 0]);
    assert_eq!(train.vocab().len(), 161_435);
    let mut published = String::new();
    let file = std::fs::File::open(data.join("vocab.tsv.gz")).unwrap();
    flate2::read::MultiGzDecoder::new(file).read_to_string(&mut published).unwrap();
    assert!(published == std::fs::read_to_string(folder.path("train").join("vocab.tsv")).unwrap());

    // All splits: valid and test have unseen words, so unk joins as the last id with count 0.
    let start = Instant::now();
    let options = BuildOptions { unk: Some("<unk>".to_owned()), ..all_splits(&data) };
    let corpus = build(&options, &folder.path("all")).unwrap();
    eprintln!("all splits: {:.1} s", start.elapsed().as_secs_f64());
    let description = describe(&corpus);
    eprintln!("{description}");
    assert_eq!(sizes(&corpus), [23_956_374, 241_299, 242_428]);
    assert_eq!((corpus.vocab().len(), corpus.vocab().unk()), (161_436, Some(161_435)));
    assert_eq!(description.train_types, 161_435);
    let [_, valid, test] = &description.splits;
    let unseen = |split: &lexmax_corpus::SplitDescription| {
        format!("{:.2}", 100.0 * split.unk_tokens as f64 / split.tokens as f64)
    };
    assert_eq!((unseen(valid), unseen(test)), ("0.38".to_owned(), "0.40".to_owned()));

    // `--min-count 3` leaves 77,298 words, and unk.
    let rare = BuildOptions { min_count: 3, ..options };
    let corpus = build(&rare, &folder.path("rare")).unwrap();
    assert_eq!(corpus.vocab().len(), 77_299);
    let unk_share = describe(&corpus).splits.map(|split| unseen(&split));
    assert_eq!(unk_share, ["0.44", "0.71", "0.73"]);
}
