//! Bad input: each gets an error that says what, where and what was expected, and leaves no corpus
//! behind.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::Write;
use std::path::Path;

use common::{Folder, splits};
use lexmax_corpus::{BuildOptions, Corpus, CorpusError, SynthOptions, TextInput, build, synthesize};

/// Builds, expects an error and nothing left of the corpus, and checks the message for `parts`.
fn refused(folder: &Folder, options: &BuildOptions, parts: &[&str]) -> CorpusError {
    let before = folder.names();
    let error = folder.build(options).unwrap_err();
    assert_eq!(folder.names(), before, "something was left behind");
    says(&error, parts);
    error
}

fn says(error: &CorpusError, parts: &[&str]) {
    let message = error.to_string();
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
}

fn opening(dir: &Path, parts: &[&str]) {
    says(&Corpus::open(dir).unwrap_err(), parts);
}

/// A good small corpus to damage.
fn good(folder: &Folder) -> std::path::PathBuf {
    let train = folder.file("good.txt", "a b a c\n");
    folder.build(&splits(&train, Some(&train), None)).unwrap();
    folder.path("corpus")
}

#[test]
fn corpus_without_a_token_is_refused() {
    let folder = Folder::new();
    let blank = folder.file("blank.txt", " \n\n\t\n");
    refused(&folder, &splits(&blank, None, None), &["empty corpus", "blank.txt", "at least one token"]);
    let nothing = BuildOptions::new(TextInput::Splits { train: vec![], valid: vec![], test: vec![] });
    refused(&folder, &nothing, &["empty corpus", "no files"]);
}

#[test]
fn invalid_utf8_is_refused_with_file_line_and_byte() {
    let folder = Folder::new();
    let path = folder.file("latin1.txt", b"one\ntwo\nn\xe9e\n");
    refused(&folder, &splits(&path, None, None), &["latin1.txt line 3", "invalid UTF-8 at byte 9"]);
    // Also beyond the first piece of a long line.
    let mut long = b"word ".repeat(50_000);
    long.push(0xff);
    let path = folder.file("long.txt", &long);
    refused(&folder, &splits(&path, None, None), &["long.txt line 1", "invalid UTF-8 at byte 250000"]);
}

#[test]
fn truncated_packed_file_is_refused() {
    let folder = Folder::new();
    let text: String = (0..20_000).map(|number| format!("word{number} ")).collect();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    let gz = encoder.finish().unwrap();
    let zst = zstd::encode_all(text.as_bytes(), 3).unwrap();
    for (name, bytes, format) in [("text.gz", &gz, "gzip"), ("text.zst", &zst, "zstd")] {
        for length in [5, bytes.len() / 2, bytes.len() - 1] {
            let path = folder.file(name, &bytes[..length]);
            let error = refused(&folder, &splits(&path, None, None), &[name, "truncated or damaged", format]);
            assert!(matches!(error, CorpusError::Compressed { .. }));
        }
    }
    let path = folder.file("not-really.gz", "plain text");
    refused(&folder, &splits(&path, None, None), &["not-really.gz", "gzip"]);
}

#[test]
fn packed_file_under_another_name_is_recognised() {
    let folder = Folder::new();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(b"some text\n").unwrap();
    let gz = folder.file("gz.txt", encoder.finish().unwrap());
    let zst = folder.file("zst.txt", zstd::encode_all(&b"some text\n"[..], 3).unwrap());
    refused(&folder, &splits(&gz, None, None), &["gz.txt line 1", "invalid UTF-8", "gzip", "ends in .gz"]);
    refused(&folder, &splits(&zst, None, None), &["zst.txt line 1", "invalid UTF-8", "zstd", "ends in .zst"]);
}

#[test]
#[cfg(unix)]
fn pipe_or_folder_is_refused_before_it_is_read() {
    let folder = Folder::new();
    let pipe = folder.path("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    refused(&folder, &splits(&pipe, None, None), &["pipe: a pipe or a device", "expected a file", "twice"]);
    refused(&folder, &splits(folder.0.path(), None, None), &["a folder; expected a file"]);
}

#[test]
fn held_out_file_without_a_token_is_refused() {
    let folder = Folder::new();
    let train = folder.file("train.txt", "a b\n");
    let blank = folder.file("blank.txt", " \n");
    refused(&folder, &splits(&train, Some(&blank), None), &["valid split is empty", "blank.txt"]);
    refused(&folder, &splits(&train, Some(&train), Some(&blank)), &["test split is empty", "blank.txt"]);
}

#[test]
fn missing_text_file_is_refused_before_the_first_pass() {
    let folder = Folder::new();
    let train = folder.file("train.txt", b"\xff invalid, but not looked at yet");
    let missing = folder.path("valid.txt");
    refused(&folder, &splits(&train, Some(&missing), None), &["valid.txt", "no such file", "a text file"]);
}

#[test]
fn unknown_word_without_unk_is_refused_with_its_place() {
    let folder = Folder::new();
    let train = folder.file("train.txt", "a b\na\n");
    let valid = folder.file("valid.txt", "a\nb zebra\n");
    refused(&folder, &splits(&train, Some(&valid), None), &["valid.txt line 2", "\"zebra\"", "unk"]);
    let rare = BuildOptions { min_count: 2, ..splits(&train, None, None) };
    refused(&folder, &rare, &["train.txt line 1", "\"b\"", "min_count"]);
}

#[test]
fn ratio_that_does_not_add_up_is_refused() {
    let folder = Folder::new();
    let text = folder.file("text.txt", "a\n".repeat(1000));
    let ratio = |valid, test, block_lines| {
        BuildOptions::new(TextInput::Ratio { files: vec![text.clone()], valid, test, block_lines })
    };
    for (valid, test) in [(0.5, 0.5), (0.9, 0.2), (-0.1, 0.1), (f64::NAN, 0.1), (0.0, 0.0), (0.1, 0.0)] {
        refused(&folder, &ratio(valid, test, 10), &["ratio: given valid", "for training"]);
    }
    refused(&folder, &ratio(0.1, 0.1, 0), &["block_lines: given 0; expected at least 1"]);
    refused(&folder, &ratio(0.05, 0.05, 1000), &["valid split is empty", "1000 lines", "block_lines"]);
}

#[test]
fn option_that_cannot_be_used_is_refused() {
    let folder = Folder::new();
    let text = folder.file("text.txt", "a b\n");
    let base = splits(&text, None, None);
    let some = |word: &str| Some(word.to_owned());
    refused(
        &folder,
        &BuildOptions { min_count: 0, ..base.clone() },
        &["min_count: given 0; expected at least 1"],
    );
    refused(&folder, &BuildOptions { max_vocab: Some(0), ..base.clone() }, &["max_vocab: given 0"]);
    refused(
        &folder,
        &BuildOptions { unk: some("x"), eos: some("x"), ..base.clone() },
        &["unk: given x", "eos"],
    );
    refused(&folder, &BuildOptions { eos: some("\n"), ..base.clone() }, &["eos: given \"\\n\"", "line feed"]);
    refused(&folder, &BuildOptions { unk: some(""), ..base.clone() }, &["unk: given \"\"", "not empty"]);
    refused(&folder, &BuildOptions { name: some(" "), ..base }, &["name: given \" \"", "not empty"]);
}

#[test]
fn output_path_that_is_taken_is_refused() {
    let folder = Folder::new();
    let dir = good(&folder);
    let before = std::fs::read(dir.join("train.bin")).unwrap();
    let other = folder.file("other.txt", "x y z\n");
    says(&build(&splits(&other, None, None), &dir).unwrap_err(), &["corpus: already exists"]);
    assert_eq!(std::fs::read(dir.join("train.bin")).unwrap(), before);
}

#[test]
fn truncated_or_missing_token_file_is_refused() {
    let folder = Folder::new();
    let dir = good(&folder);
    let bytes = std::fs::read(dir.join("train.bin")).unwrap();
    for length in [bytes.len() - 1, bytes.len() - 4, 0] {
        std::fs::write(dir.join("train.bin"), &bytes[..length]).unwrap();
        opening(&dir, &["train.bin", &format!("{length} bytes"), "expected 16 (4 tokens of 4 bytes"]);
    }
    std::fs::write(dir.join("train.bin"), &bytes).unwrap();
    std::fs::remove_file(dir.join("test.bin")).unwrap();
    opening(&dir, &["test.bin", "no such file", "token ids"]);
    opening(&folder.path("nowhere"), &["nowhere", "corpus.toml", "no such file"]);
}

#[test]
fn id_out_of_range_and_changed_id_are_refused() {
    let folder = Folder::new();
    let dir = good(&folder);
    let mut bytes = std::fs::read(dir.join("valid.bin")).unwrap();
    bytes[8..12].copy_from_slice(&3_u32.to_le_bytes());
    std::fs::write(dir.join("valid.bin"), &bytes).unwrap();
    opening(&dir, &["valid.bin", "token 2 has id 3", "less than the vocabulary size 3"]);
    bytes[8..12].copy_from_slice(&1_u32.to_le_bytes());
    std::fs::write(dir.join("valid.bin"), &bytes).unwrap();
    opening(&dir, &["hash", "expected", "corpus.toml"]);
}

#[test]
fn damaged_description_is_refused() {
    let folder = Folder::new();
    let dir = good(&folder);
    let path = dir.join("corpus.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let damage = |from: &str, to: &str, parts: &[&str]| {
        assert!(text.contains(from), "{from:?} is not in {text}");
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
        opening(&dir, parts);
    };
    damage("vocab_size", "vocabulary_size", &["corpus.toml", "unknown field `vocabulary_size`", "expected"]);
    damage("min_count", "mincount", &["corpus.toml", "unknown field `mincount`"]);
    damage("sha256", "sha", &["corpus.toml", "unknown field `sha`"]);
    damage("layout = 1", "layout = 2", &["corpus.toml", "layout 2", "expected layout 1"]);
    damage("vocab_size = 3", "vocab_size = 4", &["vocab_size is 4", "expected 3"]);
    damage("layout = 1", "layout = ", &["corpus.toml"]);
    std::fs::remove_file(&path).unwrap();
    opening(&dir, &["corpus.toml", "no such file"]);
}

#[test]
fn damaged_vocabulary_is_refused() {
    let folder = Folder::new();
    let dir = good(&folder);
    for (contents, parts) in [
        ("a 2\nb\t1\nc\t1\n", ["vocab.tsv line 1", "no tab"]),
        ("a\t2\nb\tone\nc\t1\n", ["vocab.tsv line 2", "\"one\" is no number"]),
        ("b\t1\na\t2\nc\t1\n", ["vocab.tsv line 2", "count 2 after count 1"]),
        ("a\t2\nb\t1\nb\t1\n", ["vocab.tsv line 3", "word \"b\" again"]),
        ("a\t9\nb\t1\nc\t1\n", ["4 training tokens", "expected 11"]),
        ("a\t2\nB\t1\nc\t1\n", ["hash", "files changed"]),
    ] {
        std::fs::write(dir.join("vocab.tsv"), contents).unwrap();
        opening(&dir, &parts);
    }
    std::fs::write(dir.join("vocab.tsv"), b"a\t2\n\xff\t1\nc\t1\n").unwrap();
    opening(&dir, &["vocab.tsv line 2", "invalid UTF-8"]);
}

#[test]
fn option_of_a_language_that_cannot_be_used_is_refused() {
    let folder = Folder::new();
    let base = SynthOptions { vocab_size: 50, classes: 4, train_tokens: 10, ..SynthOptions::default() };
    let refused = |options: SynthOptions, parts: &[&str]| {
        says(&synthesize(&options, &folder.path("corpus")).unwrap_err(), parts);
        assert_eq!(folder.names(), [""; 0]);
    };
    let base = || base.clone();
    refused(SynthOptions { vocab_size: 1, ..base() }, &["vocab_size: given 1; expected 2 or more"]);
    refused(SynthOptions { classes: 51, ..base() }, &["classes: given 51", "at most vocab_size"]);
    refused(SynthOptions { classes: 0, ..base() }, &["classes: given 0"]);
    refused(SynthOptions { order: 3, ..base() }, &["order: given 3; expected 1 or 2"]);
    refused(SynthOptions { rank: 0, ..base() }, &["rank: given 0"]);
    refused(SynthOptions { strength: f64::NAN, ..base() }, &["strength: given NaN"]);
    refused(SynthOptions { exponent: -1.0, ..base() }, &["exponent: given -1"]);
    refused(SynthOptions { interaction: Some(1.5), ..base() }, &["interaction: given 1.5"]);
    refused(
        SynthOptions { interaction: Some(0.5), order: 1, ..base() },
        &["interaction: given 0.5", "order is 1"],
    );
    refused(SynthOptions { seed: 1 << 63, ..base() }, &["seed", "less than 2^63"]);
    refused(SynthOptions { train_tokens: 0, ..base() }, &["empty corpus", "train_tokens = 0"]);
    let huge = SynthOptions { vocab_size: 10_000_000, classes: 100, ..base() };
    refused(huge, &["10000 contexts by 10000000 words", "4053680000 bytes", "at most 2147483648"]);
    // Small tables, vectors of 3.2 TB: an allocation that would end the process.
    let wide = SynthOptions { vocab_size: 632_456, rank: 632_456, ..base() };
    refused(wide, &["rank 632456", "bytes", "lower vocab_size, classes, order or rank"]);
}
