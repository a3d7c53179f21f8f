//! Opening a data set: everything is checked once, then examples are plain slices.

use std::collections::BTreeMap;
use std::path::Path;

use lexmax_corpus::prepared::{Mapped, Number, hash_of_parts};
use lexmax_corpus::{Split, Vocab};

use crate::examples::Examples;
use crate::info::INFO_FILE;
use crate::{DatasetError, DatasetInfo};

/// An opened data set: examples memory-mapped, classes and words by falling training count.
#[derive(Debug)]
pub struct Dataset {
    info: DatasetInfo,
    words: Vocab,
    classes: Vocab,
    parts: [Arrays; 3],
}

/// Files of one part.
#[derive(Debug)]
struct Arrays {
    words: Mapped<u32>,
    ends: Mapped<u64>,
    classes: Mapped<u32>,
    repeats: Mapped<u32>,
}

impl Dataset {
    pub(crate) const WORDS_FILE: &str = "words.tsv";
    pub(crate) const CLASSES_FILE: &str = "classes.tsv";

    pub(crate) fn words_file(split: Split) -> String {
        format!("{split}.words.bin")
    }

    pub(crate) fn ends_file(split: Split) -> String {
        format!("{split}.ends.bin")
    }

    pub(crate) fn class_file(split: Split) -> String {
        format!("{split}.classes.bin")
    }

    pub(crate) fn repeats_file(split: Split) -> String {
        format!("{split}.repeats.bin")
    }

    /// Opens and checks a data set.
    ///
    /// Cost: one read of all its files; memory: the names, examples stay in the page cache.
    ///
    /// # Errors
    /// A missing file, an unknown key in `dataset.toml`, a file of another size or with other
    /// contents than were written, ids that do not fit the vocabularies: each names the file and
    /// what was expected.
    pub fn open(dir: &Path) -> Result<Dataset, DatasetError> {
        let info = DatasetInfo::read(dir)?;
        let dataset = Dataset::map(dir, info)?;
        // Before the numbers are compared with each other, so that the file that changed is named.
        let (contents, hash) = dataset.contents(dir)?;
        for (file, hash) in &contents {
            match dataset.info.contents.get(file) {
                Some(expected) if expected == hash => {}
                stated => {
                    let expected = stated.map_or("no such file", String::as_str);
                    let expected = format!("{expected} ({INFO_FILE})");
                    return Err(DatasetError::damaged(
                        &dir.join(file),
                        format!("hashes to {hash}"),
                        expected,
                    ));
                }
            }
        }
        if dataset.info.hash != hash || dataset.info.contents.len() != contents.len() {
            let found = format!("hash {} of {} files", dataset.info.hash, dataset.info.contents.len());
            let expected = format!("{hash}, over {} files", contents.len());
            return Err(DatasetError::damaged(&dir.join(INFO_FILE), found, expected));
        }
        dataset.check(dir)?;
        Ok(dataset)
    }

    /// Completes a directory that holds all other files: checks it, hashes it, writes
    /// `dataset.toml`.
    pub(crate) fn seal(dir: &Path, info: DatasetInfo) -> Result<(), DatasetError> {
        let mut dataset = Dataset::map(dir, info)?;
        dataset.check(dir)?;
        (dataset.info.contents, dataset.info.hash) = dataset.contents(dir)?;
        dataset.info.write(dir)
    }

    /// Reads and maps the files that `info` describes, and checks their sizes.
    fn map(dir: &Path, info: DatasetInfo) -> Result<Dataset, DatasetError> {
        let words = read_names(dir, Dataset::WORDS_FILE, info.words, Some(&info.options.words.unk))?;
        let classes = read_names(dir, Dataset::CLASSES_FILE, info.classes, None)?;
        let arrays = |split: Split| -> Result<Arrays, DatasetError> {
            let size = info.parts.of(split);
            Ok(Arrays {
                words: map_numbers(dir, &Dataset::words_file(split), size.words)?,
                ends: map_numbers(dir, &Dataset::ends_file(split), size.examples)?,
                classes: map_numbers(dir, &Dataset::class_file(split), size.examples)?,
                repeats: map_numbers(dir, &Dataset::repeats_file(split), size.repeated)?,
            })
        };
        let parts = [arrays(Split::Train)?, arrays(Split::Valid)?, arrays(Split::Test)?];
        Ok(Dataset { info, words, classes, parts })
    }

    /// Checks all numbers against each other.
    fn check(&self, dir: &Path) -> Result<(), DatasetError> {
        for split in Split::ALL {
            let Arrays { words, ends, classes, repeats } = &self.parts[split as usize];
            let (words, classes, repeats) = (words.as_slice(), classes.as_slice(), repeats.as_slice());
            check_below(dir, &Dataset::words_file(split), words, self.words.len())?;
            check_below(dir, &Dataset::class_file(split), classes, self.classes.len())?;
            check_ends(dir, &Dataset::ends_file(split), ends.as_slice(), words.len())?;
            let file = Dataset::repeats_file(split);
            check_below(dir, &file, repeats, classes.len())?;
            if let Some(at) = repeats.windows(2).position(|pair| pair[0] >= pair[1]) {
                let found = format!("row {} after row {}", repeats[at + 1], repeats[at]);
                return Err(DatasetError::damaged(&dir.join(file), found, "rows in rising order"));
            }
        }
        let train = &self.parts[Split::Train as usize];
        check_counts(dir, Dataset::WORDS_FILE, self.words.counts(), train.words.as_slice())?;
        check_counts(dir, Dataset::CLASSES_FILE, self.classes.counts(), train.classes.as_slice())
    }

    /// Hash of every file, and of all of them.
    fn contents(&self, dir: &Path) -> Result<(BTreeMap<String, String>, String), DatasetError> {
        let read = |file: &str| {
            let path = dir.join(file);
            std::fs::read(&path).map_err(DatasetError::io("read", &path))
        };
        let tables = [Dataset::WORDS_FILE, Dataset::CLASSES_FILE];
        let texts = [read(tables[0])?, read(tables[1])?];
        let mut files: Vec<(String, &[u8])> =
            tables.iter().zip(&texts).map(|(file, text)| ((*file).to_owned(), text.as_slice())).collect();
        for split in Split::ALL {
            let Arrays { words, ends, classes, repeats } = &self.parts[split as usize];
            files.push((Dataset::words_file(split), words.as_bytes()));
            files.push((Dataset::ends_file(split), ends.as_bytes()));
            files.push((Dataset::class_file(split), classes.as_bytes()));
            files.push((Dataset::repeats_file(split), repeats.as_bytes()));
        }
        let of_file =
            |(file, bytes): &(String, &[u8])| (file.clone(), hash_of_parts([(file.clone(), *bytes)]));
        let contents = files.iter().map(of_file).collect();
        Ok((contents, hash_of_parts(files)))
    }

    /// Name of the data set.
    pub fn name(&self) -> &str {
        &self.info.name
    }

    /// SHA-256 over all files, hexadecimal: two data sets with the same hash train the same model.
    pub fn hash(&self) -> &str {
        &self.info.hash
    }

    /// Words and their training counts, by falling count.
    pub fn words(&self) -> &Vocab {
        &self.words
    }

    /// Labels and their training counts, by falling count; cold classes come last.
    pub fn classes(&self) -> &Vocab {
        &self.classes
    }

    /// Examples of one part, in the order of their hash.
    pub fn examples(&self, split: Split) -> Examples<'_> {
        let Arrays { words, ends, classes, repeats } = &self.parts[split as usize];
        Examples {
            words: words.as_slice(),
            ends: ends.as_slice(),
            classes: classes.as_slice(),
            repeats: repeats.as_slice(),
        }
    }

    /// Description of the data set, from `dataset.toml`.
    pub fn info(&self) -> &DatasetInfo {
        &self.info
    }
}

fn read_names(dir: &Path, file: &str, stated: u64, unk: Option<&str>) -> Result<Vocab, DatasetError> {
    let path = dir.join(file);
    let bytes = std::fs::read(&path).map_err(DatasetError::io("read", &path))?;
    let vocab = Vocab::parse(&bytes, unk).map_err(|(entry, reason)| {
        let expected = "`name TAB count`, by falling count, each name once";
        DatasetError::damaged(&path, format!("line {}: {reason}", entry + 1), expected)
    })?;
    if vocab.len() as u64 != stated {
        let expected = format!("{stated}, as {INFO_FILE} says");
        return Err(DatasetError::damaged(&path, format!("{} entries", vocab.len()), expected));
    }
    Ok(vocab)
}

fn map_numbers<T: Number>(dir: &Path, file: &str, stated: u64) -> Result<Mapped<T>, DatasetError> {
    let path = dir.join(file);
    // The size is compared here for a message that names dataset.toml.
    let found = std::fs::metadata(&path).map_err(DatasetError::io("open", &path))?.len();
    if stated.checked_mul(size_of::<T>() as u64) != Some(found) {
        let expected = format!("{stated} numbers of {} bytes, as {INFO_FILE} says", size_of::<T>());
        return Err(DatasetError::damaged(&path, format!("{found} bytes"), expected));
    }
    Ok(Mapped::open(&path, stated, "an array of a data set")?)
}

fn check_below(dir: &Path, file: &str, ids: &[u32], limit: usize) -> Result<(), DatasetError> {
    match ids.iter().position(|&id| id as usize >= limit) {
        None => Ok(()),
        Some(at) => {
            let found = format!("number {} at place {at}", ids[at]);
            Err(DatasetError::damaged(&dir.join(file), found, format!("numbers below {limit}")))
        }
    }
}

fn check_ends(dir: &Path, file: &str, ends: &[u64], words: usize) -> Result<(), DatasetError> {
    let mut before = 0;
    for (row, &end) in ends.iter().enumerate() {
        if end <= before {
            let found = format!("row {row} ends at word {end}");
            return Err(DatasetError::damaged(&dir.join(file), found, format!("more than {before}")));
        }
        before = end;
    }
    if before != words as u64 {
        let found = format!("the last row ends at word {before}");
        return Err(DatasetError::damaged(&dir.join(file), found, format!("{words}, the number of words")));
    }
    Ok(())
}

/// Counts of a vocabulary must be those of the training part.
fn check_counts(dir: &Path, file: &str, stated: &[u64], ids: &[u32]) -> Result<(), DatasetError> {
    let mut counted = vec![0_u64; stated.len()];
    for &id in ids {
        counted[id as usize] += 1;
    }
    match stated.iter().zip(&counted).position(|(stated, counted)| stated != counted) {
        None => Ok(()),
        Some(id) => {
            let found = format!("count {} in line {}", stated[id], id + 1);
            let expected = format!("{}, as often as it is in the training part", counted[id]);
            Err(DatasetError::damaged(&dir.join(file), found, expected))
        }
    }
}
