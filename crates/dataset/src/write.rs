//! Writers of the files of a data set.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use lexmax_corpus::Split;

use crate::ids::Ids;
use crate::info::PartInfo;
use crate::repeats::Part;
use crate::{Dataset, DatasetError};

/// The rows of one part, on their way to its files.
pub(crate) struct PartFiles<'a> {
    pub(crate) split: Split,
    pub(crate) part: Part<'a>,
    /// Rows that stand in train, by their place.
    pub(crate) leaks: &'a [u32],
}

impl PartFiles<'_> {
    /// Writes words, ends, classes and repeats; the sizes of the part.
    pub(crate) fn write(
        self,
        dir: &Path,
        labels: &mut dyn Iterator<Item = u32>,
        words: &Ids,
        classes: &Ids,
    ) -> Result<PartInfo, DatasetError> {
        let split = self.split;
        let mut info = PartInfo { repeated: self.leaks.len() as u64, ..PartInfo::default() };
        let mut out = Numbers::create(dir, &Dataset::words_file(split))?;
        let mut ends = Numbers::create(dir, &Dataset::ends_file(split))?;
        for row in self.part.words() {
            if row.is_empty() {
                // The unknown word is there, since such a row makes it needed.
                out.put(&words.unk.unwrap_or_default().to_le_bytes())?;
            }
            for &word in row {
                out.put(&words.get(word).to_le_bytes())?;
            }
            info.words += row.len().max(1) as u64;
            info.examples += 1;
            ends.put(&info.words.to_le_bytes())?;
        }
        out.finish()?;
        ends.finish()?;
        let mut of_rows = Numbers::create(dir, &Dataset::class_file(split))?;
        for label in labels {
            of_rows.put(&classes.get(label).to_le_bytes())?;
        }
        of_rows.finish()?;
        let mut repeats = Numbers::create(dir, &Dataset::repeats_file(split))?;
        for place in self.leaks {
            repeats.put(&place.to_le_bytes())?;
        }
        repeats.finish()?;
        Ok(info)
    }
}

/// Writes a vocabulary.
pub(crate) fn write_table(dir: &Path, name: &str, table: &str) -> Result<(), DatasetError> {
    let path = dir.join(name);
    std::fs::write(&path, table).map_err(DatasetError::io("write", &path))
}

/// File of little-endian numbers.
struct Numbers {
    out: BufWriter<File>,
    path: std::path::PathBuf,
}

impl Numbers {
    fn create(dir: &Path, name: &str) -> Result<Numbers, DatasetError> {
        let path = dir.join(name);
        let file = File::create(&path).map_err(DatasetError::io("create", &path))?;
        Ok(Numbers { out: BufWriter::new(file), path })
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), DatasetError> {
        self.out.write_all(bytes).map_err(DatasetError::io("write", &self.path))
    }

    fn finish(mut self) -> Result<(), DatasetError> {
        self.out.flush().map_err(DatasetError::io("write", &self.path))
    }
}
