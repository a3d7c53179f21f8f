//! Synthetic languages: Zipf-Mandelbrot unigrams, hidden contexts, conditional distributions of
//! known rank.

mod blocks;
mod draw;
mod entropy;
mod language;
mod options;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

pub use options::SynthOptions;

use crate::info::{CorpusInfo, Origin, SplitInfo, Splits, SyntheticInfo};
use crate::observer::{Observer, Progress, Unit, Unobserved};
use crate::request::{Request, Start};
use crate::staging::name_of;
use crate::vocab::{VOCAB_FILE, Vocab};
use crate::{Corpus, CorpusError, Split};
use draw::{Sampler, Words};
use entropy::Facts;
use language::Language;

/// Generates a corpus of a synthetic language at `out`.
///
/// The language is fixed by the seed. Base rank r of V has the weight `b_r = -s ln(r + q)`
/// (Zipf-Mandelbrot, r from 1). Every word belongs to one of M hidden classes `g(w)`, drawn at
/// random. The hidden context of a token is the class of the word before it (order 1) or the
/// classes of the two before it (order 2), so there are C = M or M^2 contexts, and
///
/// ```text
/// log p(w | c) = b_w + strength u_c . v_w / sqrt(rank) - log Z_c
/// ```
///
/// with standard normal `u_c`, `v_w` of `rank` dimensions, normalised exactly in f64. The `[C, V]`
/// matrix of log-probabilities therefore has rank at most `rank + 2` (`b`, `log Z` and the
/// product). At order 2 the share 1 - `interaction` of the variance of `u_c` is a sum of one normal
/// vector per class and position; the rest is drawn for each pair of classes.
///
/// Each split is a draw of its own from the stationary language. Words are named `w0`, `w1`, ... by
/// falling training count. Stored beside the tokens: the true log-probability of each, the true
/// entropy rate, the entropy of the stationary unigrams.
///
/// Cost: O(C V rank) to normalise, O(1) a token. Memory: 12 bytes of alias table for each context
/// and word and 8 bytes for each element of a vector, 12 C V + 8 (C + V) rank, where that is at
/// most 2 GiB. Larger languages keep sums of 256 words, C V / 32 + 8 C M + 28 V + 8 (C + V) rank
/// bytes, again at most 2 GiB, and compute the distribution of 256 words anew at each draw,
/// O(256 rank) a token; their distributions are as exact. Ten million words at order 2 with the
/// default classes and rank need 1 GiB.
///
/// # Errors
/// Options that cannot be used (see [`SynthOptions`]), tables over the limit, an `out` that holds
/// anything but a corpus made with the same options, which is opened.
pub fn synthesize(options: &SynthOptions, out: &Path) -> Result<Corpus, CorpusError> {
    synthesize_observed(options, out, &mut Unobserved)
}

/// Generates as [`synthesize`] does, tells its progress to `observer`, and ends early where that
/// says so.
///
/// # Errors
/// Those of [`synthesize`], and [`CorpusError::Interrupted`] where the observer stops it; nothing
/// is left behind.
pub fn synthesize_observed(
    options: &SynthOptions,
    out: &Path,
    observer: &mut dyn Observer,
) -> Result<Corpus, CorpusError> {
    options.validate()?;
    let asked = Request::language(options, out);
    let staging = match asked.start(out, observer)? {
        Start::Found(corpus) => return Ok(corpus),
        Start::Build(staging) => staging,
    };
    let info = write(options, out, staging.dir(), observer)?;
    asked.finish(staging, out, info, observer)
}

/// Writes the files of a corpus that will stand at `out` into `dir`.
pub(crate) fn write(
    options: &SynthOptions,
    out: &Path,
    dir: &Path,
    observer: &mut dyn Observer,
) -> Result<CorpusInfo, CorpusError> {
    let language = Language::new(options);
    let sampler = Sampler::new(&language, options.tables(), observer)?;
    let facts = Facts::of(&language, &sampler, observer)?;

    let counts = count_training_words(options, &language, &sampler, &facts, observer)?;
    let ranks = by_falling_count(&counts);
    let mut ids = vec![0_u32; options.vocab_size];
    for (id, &rank) in (0_u32..).zip(&ranks) {
        ids[rank] = id;
    }
    let words = (0..options.vocab_size).map(|id| format!("w{id}"));
    let counts = ranks.iter().map(|&rank| counts[rank]).collect();
    drop(ranks);
    let vocab = Vocab::new(words, counts, None).map_err(|(entry, reason)| CorpusError::Vocab {
        path: dir.join(VOCAB_FILE),
        line: entry as u64 + 1,
        reason,
    })?;
    vocab.write(dir)?;
    // Memory that the draws below need not share.
    drop(vocab);
    for split in Split::ALL {
        let words = sampler.draw(&language, &facts.stationary, split)?;
        write_split(dir, split, options.tokens(split), words, &ids, observer)?;
    }

    let sizes = Split::ALL.map(|split| SplitInfo { tokens: options.tokens(split), lines: 0 });
    let splits = Splits::from_sizes(sizes);
    let mut info = CorpusInfo::new(name_of(out), options.vocab_size as u64, splits, Origin::Synthetic {});
    info.synthetic = Some(SyntheticInfo {
        entropy_rate: facts.entropy_rate,
        unigram_entropy: facts.unigram_entropy,
        contexts: language.contexts() as u64,
        options: options.clone(),
    });
    Ok(info)
}

/// Training counts by base rank. The same tokens are drawn again when they are written, so none
/// need be held.
fn count_training_words(
    options: &SynthOptions,
    language: &Language,
    sampler: &Sampler,
    facts: &Facts,
    observer: &mut dyn Observer,
) -> Result<Vec<u64>, CorpusError> {
    let mut counts = vec![0; options.vocab_size];
    let mut progress = Progress::new(observer, "counting", Unit::Items, options.train_tokens);
    let mut words = sampler.draw(language, &facts.stationary, Split::Train)?;
    for token in 0..options.train_tokens {
        if token.is_multiple_of(Progress::STRIDE) {
            progress.at(token)?;
        }
        counts[words.next_word().0] += 1;
    }
    progress.finish();
    Ok(counts)
}

/// Base ranks by falling count, ties by base rank.
fn by_falling_count(counts: &[u64]) -> Vec<usize> {
    let mut ranks: Vec<usize> = (0..counts.len()).collect();
    ranks.sort_by_key(|&rank| std::cmp::Reverse(counts[rank]));
    ranks
}

fn write_split(
    dir: &Path,
    split: Split,
    tokens: u64,
    mut words: Words<'_>,
    ids: &[u32],
    observer: &mut dyn Observer,
) -> Result<(), CorpusError> {
    let create =
        |path: &Path| File::create(path).map(BufWriter::new).map_err(CorpusError::io("create", path));
    let (id_path, log_prob_path) = (dir.join(split.token_file()), dir.join(split.log_prob_file()));
    let (mut id_file, mut log_prob_file) = (create(&id_path)?, create(&log_prob_path)?);
    let mut progress = Progress::new(observer, "writing tokens", Unit::Items, tokens);
    for token in 0..tokens {
        if token.is_multiple_of(Progress::STRIDE) {
            progress.at(token)?;
        }
        let (rank, log_prob) = words.next_word();
        id_file.write_all(&ids[rank].to_le_bytes()).map_err(CorpusError::io("write", &id_path))?;
        log_prob_file.write_all(&log_prob.to_le_bytes()).map_err(CorpusError::io("write", &log_prob_path))?;
    }
    progress.finish();
    id_file.flush().map_err(CorpusError::io("write", &id_path))?;
    log_prob_file.flush().map_err(CorpusError::io("write", &log_prob_path))
}
