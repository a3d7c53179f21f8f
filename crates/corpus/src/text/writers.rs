//! Token files of the three splits in the making.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use crate::{CorpusError, Split};

/// Bytes written to a file at a time.
const BUFFER_BYTES: usize = 1 << 16;

/// One buffered token file for each split.
pub(crate) struct SplitWriters<'a> {
    dir: &'a Path,
    files: [BufWriter<File>; 3],
}

impl<'a> SplitWriters<'a> {
    pub(crate) fn create(dir: &'a Path) -> Result<Self, CorpusError> {
        let create = |split: Split| {
            let path = dir.join(split.token_file());
            let file = File::create(&path).map_err(CorpusError::io("create", &path))?;
            Ok(BufWriter::with_capacity(BUFFER_BYTES, file))
        };
        let files = [create(Split::Train)?, create(Split::Valid)?, create(Split::Test)?];
        Ok(SplitWriters { dir, files })
    }

    #[inline]
    pub(crate) fn push(&mut self, split: Split, id: u32) -> Result<(), CorpusError> {
        let written = self.files[split.index()].write_all(&id.to_le_bytes());
        written.map_err(|source| CorpusError::io("write", &self.dir.join(split.token_file()))(source))
    }

    pub(crate) fn finish(mut self) -> Result<(), CorpusError> {
        for (file, split) in self.files.iter_mut().zip(Split::ALL) {
            file.flush().map_err(CorpusError::io("write", &self.dir.join(split.token_file())))?;
        }
        Ok(())
    }
}
