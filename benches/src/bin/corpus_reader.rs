//! Speed of building a corpus from a text, plain and packed, beside two word counters of Python.
//!
//! `cargo run --release -p lexmax-benches --bin corpus_reader -- TEXT [--repeats N]
//! [--python PROGRAM]`
//!
//! The text is packed by gzip and zstd at their default levels. Every build starts in an empty
//! folder and ends with the corpus checked and opened; the ids and the vocabulary of all packings
//! must be the same, which is checked before anything is printed. Packings take turns, so that a
//! busy moment meets all alike.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use lexmax_benches::clock::processor_seconds;
use lexmax_corpus::{BuildOptions, TextInput, build};

/// Words of the vocabulary are seen at least so often.
const MIN_COUNT: u64 = 3;
/// Level of gzip, its own default.
const GZIP_LEVEL: u32 = 6;
/// Level of zstd, its own default.
const ZSTD_LEVEL: i32 = 3;

/// Times corpora of one text in every packing.
#[derive(Debug, Parser)]
#[command(
    after_help = "Example:\n  cargo run --release -p lexmax-benches --bin corpus_reader -- data/text.txt --repeats 5"
)]
struct Options {
    /// A plain text in UTF-8, with enough lines for shares of 5 %.
    text: PathBuf,
    /// Builds of each packing; their median and quartiles are printed.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    repeats: u32,
    /// Python of the counters beside; with the package `tokenizers` for the second one. Without it
    /// that of the workspace's virtual environment, or python3.
    #[arg(long)]
    python: Option<PathBuf>,
}

/// Builds of one packing.
struct Packed {
    name: &'static str,
    path: PathBuf,
    wall: Vec<f64>,
    processor: Vec<f64>,
    hash: Option<String>,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let bytes = std::fs::metadata(&options.text)
        .with_context(|| format!("cannot read {}", options.text.display()))?
        .len();
    let mut packings = pack(&options.text, folder.path())?;
    for _ in 0..options.repeats {
        for packed in &mut packings {
            packed.build(&folder.path().join("corpus"))?;
        }
    }
    let hashes: Vec<_> = packings.iter().map(|packed| packed.hash.as_deref()).collect();
    ensure!(
        hashes.iter().all(|hash| *hash == hashes[0]),
        "the packings give different corpora: {hashes:?}; expected one hash"
    );
    let megabytes = bytes as f64 / 1e6;
    println!(
        "{} ({megabytes:.1} MB), {} builds each, all with the same ids: median [quartiles]",
        options.text.display(),
        options.repeats
    );
    println!("{:8} {:>24} {:>10} {:>24}", "packing", "seconds", "MB/s", "processor seconds");
    for Packed { name, wall, processor, .. } in &packings {
        let [low, median, high] = quartiles(wall);
        let [least, processor, most] = quartiles(processor);
        println!(
            "{name:8} {:>24} {:>10.1} {:>24}",
            format!("{median:.2} [{low:.2}, {high:.2}]"),
            megabytes / median,
            format!("{processor:.2} [{least:.2}, {most:.2}]")
        );
    }
    println!();
    python(&options, &packings[1].path)
}

impl Packed {
    /// Builds a corpus at `out` and removes it.
    fn build(&mut self, out: &Path) -> Result<()> {
        let files = vec![self.path.clone()];
        let input = TextInput::Ratio { files, valid: 0.05, test: 0.05, block_lines: TextInput::BLOCK_LINES };
        let options = BuildOptions {
            min_count: MIN_COUNT,
            unk: Some("<unk>".to_owned()),
            eos: Some("<eos>".to_owned()),
            ..BuildOptions::new(input)
        };
        let (started, processor) = (Instant::now(), processor_seconds());
        let corpus = build(&options, out)?;
        self.wall.push(started.elapsed().as_secs_f64());
        self.processor.push(processor_seconds() - processor);
        let hash = corpus.hash().to_owned();
        let before = self.hash.get_or_insert_with(|| hash.clone());
        ensure!(*before == hash, "{}: two builds gave {before} and {hash}; expected one hash", self.name);
        drop(corpus);
        std::fs::remove_dir_all(out).with_context(|| format!("cannot remove {}", out.display()))
    }
}

/// The text in every packing, in `folder`.
fn pack(text: &Path, folder: &Path) -> Result<[Packed; 3]> {
    let open = || File::open(text).with_context(|| format!("cannot read {}", text.display()));
    let packed = |name, path| Packed { name, path, wall: Vec::new(), processor: Vec::new(), hash: None };
    let (gzip, zstd) = (folder.join("text.gz"), folder.join("text.zst"));
    let mut packer =
        flate2::write::GzEncoder::new(File::create(&gzip)?, flate2::Compression::new(GZIP_LEVEL));
    io::copy(&mut BufReader::new(open()?), &mut packer).context("cannot pack by gzip")?;
    packer.finish()?.flush()?;
    zstd::stream::copy_encode(open()?, File::create(&zstd)?, ZSTD_LEVEL).context("cannot pack by zstd")?;
    // The name of a plain text must not say a packing.
    let plain = folder.join("text.txt");
    std::fs::copy(text, &plain).with_context(|| format!("cannot copy {}", text.display()))?;
    Ok([packed("plain", plain), packed("gzip", gzip), packed("zstd", zstd)])
}

/// Low quartile, median and high quartile.
fn quartiles(numbers: &[f64]) -> [f64; 3] {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| sorted[quarter * (sorted.len() - 1) / 4])
}

/// Prints what the word counters in Python take for the gzip file; says so where there is none.
fn python(options: &Options, gzip: &Path) -> Result<()> {
    let benches = Path::new(env!("CARGO_MANIFEST_DIR"));
    let of_peers = benches.with_file_name(".peers-venv").join("bin").join("python");
    let python = match &options.python {
        Some(python) => python.clone(),
        None if of_peers.exists() => of_peers,
        None => PathBuf::from("python3"),
    };
    let script = benches.join("peers").join("words.py");
    let mut command = Command::new(&python);
    command.arg(script).arg(gzip).args(["--repeats", &options.repeats.to_string()]);
    match command.status() {
        Err(error) => println!("no Python beside: {} does not start ({error})", python.display()),
        Ok(status) => ensure!(status.success(), "{} ended with {status}", python.display()),
    }
    Ok(())
}
