//! Rows in memory while a data set is made: labels and words by provisional ids.

use std::collections::HashMap;
use std::sync::Arc;

use lexmax_corpus::{CorpusError, Event, Observer, SourceFile, Split, Unit, prepared};
use sha2::{Digest, Sha256};

use crate::read::read_file;
use crate::{DatasetError, DatasetOptions, Valid};

/// Names in order of first appearance.
#[derive(Debug, Default)]
pub(crate) struct Names {
    names: Vec<Arc<str>>,
    ids: HashMap<Arc<str>, u32>,
}

impl Names {
    /// Id of a name, new or known; none where there are too many for u32.
    fn id(&mut self, name: &str) -> Option<u32> {
        if let Some(&id) = self.ids.get(name) {
            return Some(id);
        }
        // The last number stands for no name, once names get their final ids.
        let id = u32::try_from(self.names.len()).ok().filter(|&id| id != u32::MAX)?;
        let name: Arc<str> = Arc::from(name);
        self.names.push(Arc::clone(&name));
        self.ids.insert(name, id);
        Some(id)
    }

    pub(crate) fn all(&self) -> &[Arc<str>] {
        &self.names
    }
}

/// Rows of one part as read.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) labels: Vec<u32>,
    words: Vec<u32>,
    ends: Vec<usize>,
    /// First bytes of the SHA-256 of label and text as read: an order that follows from the example
    /// alone.
    pub(crate) hashes: Vec<u64>,
}

impl Rows {
    pub(crate) fn len(&self) -> usize {
        self.labels.len()
    }

    /// Words of a row; none where cleaning left nothing.
    pub(crate) fn words(&self, row: usize) -> &[u32] {
        let start = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.words[start..self.ends[row]]
    }
}

/// Everything read: the three parts, the names, the files.
#[derive(Debug, Default)]
pub(crate) struct Read {
    /// Train, valid and test; valid is empty where it is held out of train later.
    pub(crate) parts: [Rows; 3],
    pub(crate) labels: Names,
    pub(crate) words: Names,
    pub(crate) files: Vec<SourceFile>,
    /// Rows left out since their label is excluded.
    pub(crate) excluded: u64,
}

/// Files with the part that each belongs to.
pub(crate) fn files_of(options: &DatasetOptions) -> Vec<(Split, &std::path::PathBuf)> {
    let valid: &[_] = match &options.valid {
        Valid::Files(files) => files,
        _ => &[],
    };
    let parts = [(Split::Train, &options.train[..]), (Split::Valid, valid), (Split::Test, &options.test)];
    parts.into_iter().flat_map(|(split, files)| files.iter().map(move |file| (split, file))).collect()
}

impl Read {
    /// Reads all files once. Memory: ids of all words, and the names.
    pub(crate) fn all(options: &DatasetOptions, observer: &mut dyn Observer) -> Result<Read, DatasetError> {
        let files = files_of(options);
        let sizes = files.iter().map(|(_, path)| prepared::file_size(path));
        let total = sizes.sum::<Result<u64, CorpusError>>()?;
        let mut read = Read::default();
        let mut seen = vec![false; options.exclude.len()];
        let mut before = 0;
        let mut told = None;
        for (split, path) in files {
            let Read { parts, labels, words, excluded, .. } = &mut read;
            let rows = &mut parts[split as usize];
            let source = read_file(path, split, &options.format, &mut |row, bytes| {
                let done = (before + bytes).min(total);
                if told != Some(done) {
                    told = Some(done);
                    observer.tell(Event::Pass { pass: "reading", unit: Unit::Bytes, done, total });
                    if observer.stop() {
                        return Err(CorpusError::Interrupted.into());
                    }
                }
                if let Some(at) = options.exclude.iter().position(|label| label == row.label) {
                    seen[at] = true;
                    *excluded += 1;
                    return Ok(());
                }
                let too_many =
                    || DatasetError::row(path, row.line, "one name too many", "at most 2^32 names");
                rows.labels.push(labels.id(row.label).ok_or_else(too_many)?);
                rows.hashes.push(hash_of(row.label, row.text));
                let mut fits = true;
                options.words.each_word(row.text, |word| match words.id(word) {
                    Some(id) => rows.words.push(id),
                    None => fits = false,
                });
                rows.ends.push(rows.words.len());
                if fits { Ok(()) } else { Err(too_many()) }
            })?;
            before += source.bytes;
            read.files.push(source);
        }
        observer.tell(Event::Pass { pass: "reading", unit: Unit::Bytes, done: total, total });
        if let Some(at) = seen.iter().position(|seen| !seen) {
            let expected = "a label that some row has";
            return Err(DatasetError::option("exclude", format!("{:?}", options.exclude[at]), expected));
        }
        Ok(read)
    }
}

/// Hash of an example, by its label and text as they stand in the file.
fn hash_of(label: &str, text: &str) -> u64 {
    first_bytes(Sha256::new().chain_update(label).chain_update([0]).chain_update(text))
}

/// Hash of a label, by which classes of equal count are ordered.
pub(crate) fn hash_of_label(label: &str) -> u64 {
    first_bytes(Sha256::new().chain_update("class").chain_update([0]).chain_update(label))
}

fn first_bytes(hasher: Sha256) -> u64 {
    let digest = hasher.finalize();
    digest.iter().take(8).fold(0, |hash, &byte| hash << 8 | u64::from(byte))
}
