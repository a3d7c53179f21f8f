//! Files of labelled rows to a data set directory.

use std::path::Path;

use lexmax_corpus::prepared::{Staging, Unobserved};
use lexmax_corpus::{Observer, Split};

use crate::held_out::hold_out;
use crate::ids::Ids;
use crate::info::{Changes, DatasetInfo, LAYOUT, PartInfo, Parts, recipe};
use crate::repeats::{Part, leaks, within, without_repeats};
use crate::rows::Read;
use crate::write::{PartFiles, write_table};
use crate::{Dataset, DatasetError, DatasetOptions, RepeatCounts, Valid, noise, request, tail};

/// Builds a data set at `out` from files of labelled rows.
///
/// The rows go this way: excluded labels are left out, repeats dropped, examples held out for
/// validation, the tail is cut, labels are flipped. Then classes get ids by falling training count
/// with ties broken by the hash of the label, words by falling training count with ties in byte
/// order. Only the training part is ever changed. The examples of each part stand in the order of
/// their hash, so any first rows are a fair sample, though files often come sorted by class.
///
/// Cost: one pass over the files and a sort; memory: 4 bytes a word, 20 a row, and the names. The
/// directory appears when it is complete; of several processes that build it at once the first
/// makes it, and the others wait and open it.
///
/// # Errors
/// Options that cannot be used, files that cannot be read, a row that is damaged or odd (with file,
/// line and what was expected), a split that stays empty though files or a share were given for
/// it, an `out` that holds anything but a data set made with the same options from the same files,
/// which is opened.
pub fn build(options: &DatasetOptions, out: &Path) -> Result<Dataset, DatasetError> {
    build_observed(options, out, &mut Unobserved)
}

/// Builds as [`build`] does, tells its progress to `observer`, and ends early where that says so.
///
/// # Errors
/// Those of [`build`], and [`lexmax_corpus::CorpusError::Interrupted`] where the observer stops it;
/// nothing is left behind.
pub fn build_observed(
    options: &DatasetOptions,
    out: &Path,
    observer: &mut dyn Observer,
) -> Result<Dataset, DatasetError> {
    options.validate()?;
    let Some(staging) = Staging::start(out, observer)? else {
        return request::open(options, out, observer);
    };
    let read = Read::all(options, observer)?;
    let info = prepare(options, &read, request::name(options, out), staging.dir())?;
    Dataset::seal(staging.dir(), info)?;
    if staging.publish()? { Dataset::open(out) } else { request::open(options, out, observer) }
}

/// Writes all files but `dataset.toml`; the description, without hashes.
fn prepare(
    options: &DatasetOptions,
    read: &Read,
    name: String,
    dir: &Path,
) -> Result<DatasetInfo, DatasetError> {
    let mut changes = Changes { excluded: read.excluded, ..Changes::default() };
    let [train_rows, valid_rows, test_rows] = &read.parts;

    let mut train: Vec<usize> = (0..train_rows.len()).collect();
    if options.drop_repeats {
        train = without_repeats(train_rows, [valid_rows, test_rows]);
        changes.dropped = (train_rows.len() - train.len()) as u64;
    }
    let (mut train, held) = hold_out(train_rows, train, &options.valid, &read.labels)?;
    if let Some(of_tail) = &options.tail {
        let before = train.len();
        train = tail::cut(train_rows, &train, of_tail, &read.labels);
        changes.cut = (before - train.len()) as u64;
    }
    let (valid_rows, mut valid) = match options.valid {
        Valid::None | Valid::Files(_) => (valid_rows, (0..valid_rows.len()).collect()),
        Valid::EachClass(_) | Valid::Share(_) => (train_rows, held),
    };
    let mut test: Vec<usize> = (0..test_rows.len()).collect();
    for (rows, kept) in [(train_rows, &mut train), (valid_rows, &mut valid), (test_rows, &mut test)] {
        kept.sort_by_key(|&row| rows.hashes[row]);
    }
    check_sizes(options, [train.len(), valid.len(), test.len()])?;

    let kept = [(train_rows, &train), (valid_rows, &valid), (test_rows, &test)];
    let parts = kept.map(|(rows, kept)| Part { rows, kept });
    let held = [parts[1], parts[2]];
    let (valid_leaks, of_valid) = leaks(parts[0], parts[1]);
    let (test_leaks, of_test) = leaks(parts[0], parts[2]);
    let repeats = Parts { train: within(parts[0]), valid: of_valid, test: of_test };

    let mut labels: Vec<u32> = parts[0].labels().collect();
    if let Some(of_noise) = &options.label_noise {
        let mut classes = labels.clone();
        classes.sort_unstable();
        classes.dedup();
        changes.flipped = noise::flip(&mut labels, &classes, of_noise);
    }
    let classes = Ids::of_classes(&read.labels, &labels, held);
    let words = Ids::of_words(&read.words, parts[0], held, &options.words);
    changes.emptied =
        parts.iter().flat_map(|part| part.words()).filter(|words| words.is_empty()).count() as u64;
    changes.cold_classes = classes.counts().iter().filter(|&&count| count == 0).count() as u64;

    write_table(dir, Dataset::WORDS_FILE, &words.table())?;
    write_table(dir, Dataset::CLASSES_FILE, &classes.table())?;
    let files = |split: Split, labels: &mut dyn Iterator<Item = u32>, leaks: &[u32]| {
        PartFiles { split, part: parts[split as usize], leaks }.write(dir, labels, &words, &classes)
    };
    let sizes = Parts {
        train: files(Split::Train, &mut labels.iter().copied(), &[])?,
        valid: files(Split::Valid, &mut parts[1].labels(), &valid_leaks)?,
        test: files(Split::Test, &mut parts[2].labels(), &test_leaks)?,
    };
    Ok(describe(options, read, name, [words.len(), classes.len()], sizes, changes, repeats))
}

fn describe(
    options: &DatasetOptions,
    read: &Read,
    name: String,
    [words, classes]: [usize; 2],
    parts: Parts<PartInfo>,
    changes: Changes,
    repeats: Parts<RepeatCounts>,
) -> DatasetInfo {
    DatasetInfo {
        layout: LAYOUT,
        name,
        hash: String::new(),
        words: words as u64,
        classes: classes as u64,
        parts,
        changes,
        repeats,
        options: recipe(options),
        files: read.files.clone(),
        contents: std::collections::BTreeMap::new(),
    }
}

/// A part must have examples where files or a rule were given for it.
fn check_sizes(options: &DatasetOptions, [train, valid, test]: [usize; 3]) -> Result<(), DatasetError> {
    let empty = |split, reason: &str| Err(DatasetError::EmptySplit { split, reason: reason.to_owned() });
    if train == 0 {
        return empty(Split::Train, "no row of its files is kept");
    }
    if valid == 0 {
        match options.valid {
            Valid::None => {}
            Valid::Files(_) => return empty(Split::Valid, "no row in its files"),
            Valid::EachClass(_) | Valid::Share(_) => {
                return empty(Split::Valid, "no class has enough training examples for the rule");
            }
        }
    }
    if test == 0 && !options.test.is_empty() {
        return empty(Split::Test, "no row in its files");
    }
    Ok(())
}
