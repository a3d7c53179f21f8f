//! Read-only arrays of numbers in memory-mapped files.

use std::fs::File;
use std::marker::PhantomData;
use std::path::Path;

use memmap2::Mmap;

use crate::CorpusError;

#[cfg(target_endian = "big")]
compile_error!("corpus files are little endian and are mapped as they are");

/// A number whose file format is its memory format.
///
/// # Safety
/// Every bit pattern of the type's size must be a valid value.
pub unsafe trait Number: Copy + 'static {}

// SAFETY: every pattern of 32 bits is a u32.
unsafe impl Number for u32 {}
// SAFETY: every pattern of 64 bits is a u64.
unsafe impl Number for u64 {}
// SAFETY: every pattern of 64 bits is an f64.
unsafe impl Number for f64 {}

/// A file of little-endian numbers, mapped. The pages are read when they are first touched.
#[derive(Debug)]
pub struct Mapped<T> {
    /// Mapped bytes; `None` for an empty file, which cannot be mapped everywhere.
    map: Option<Mmap>,
    numbers: PhantomData<T>,
}

impl<T: Number> Mapped<T> {
    /// Maps a file that must hold exactly `tokens` numbers; `what` names it where it is missing.
    ///
    /// # Errors
    /// A file that is missing, cannot be mapped or has another size.
    pub fn open(path: &Path, tokens: u64, what: &'static str) -> Result<Self, CorpusError> {
        let file = File::open(path).map_err(CorpusError::open(path, what))?;
        let found = file.metadata().map_err(CorpusError::io("read the size of", path))?.len();
        let item = size_of::<T>() as u64;
        if tokens.checked_mul(item) != Some(found) {
            let path = path.to_path_buf();
            return Err(CorpusError::Size {
                path,
                found,
                expected: tokens.saturating_mul(item),
                tokens,
                item,
            });
        }
        let map = match found {
            0 => None,
            // SAFETY: the map is read-only, and lexmax writes a corpus under another name and
            // renames it, so the file below a map never changes; a user who edits one in place
            // while a program reads it breaks this.
            _ => Some(unsafe { Mmap::map(&file) }.map_err(CorpusError::io("map", path))?),
        };
        Ok(Mapped { map, numbers: PhantomData })
    }

    /// The numbers.
    pub fn as_slice(&self) -> &[T] {
        let Some(map) = &self.map else { return &[] };
        // SAFETY: every bit pattern is a T (trait Number), and `align_to` itself keeps alignment
        // and bounds.
        let (before, numbers, after) = unsafe { map.align_to::<T>() };
        // A map starts on a page and its length was checked, so nothing can be left over at either
        // end.
        debug_assert!(before.is_empty() && after.is_empty());
        numbers
    }

    /// The file's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.map.as_deref().unwrap_or(&[])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn numbers_come_back_as_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("numbers.bin");
        let ids = [0_u32, 1, 0xdead_beef, u32::MAX];
        std::fs::write(&path, ids.iter().flat_map(|id| id.to_le_bytes()).collect::<Vec<_>>()).unwrap();
        assert_eq!(Mapped::<u32>::open(&path, 4, "ids").unwrap().as_slice(), ids);

        let values = [-0.5_f64, f64::MIN_POSITIVE, -1e300];
        std::fs::write(&path, values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())
            .unwrap();
        assert_eq!(Mapped::<f64>::open(&path, 3, "values").unwrap().as_slice(), values);
    }

    #[test]
    fn an_empty_file_is_an_empty_slice_and_a_wrong_size_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("numbers.bin");
        std::fs::write(&path, b"").unwrap();
        assert_eq!(Mapped::<u32>::open(&path, 0, "ids").unwrap().as_slice(), [0_u32; 0]);
        std::fs::write(&path, [0_u8; 7]).unwrap();
        let error = Mapped::<u32>::open(&path, 2, "ids").unwrap_err();
        assert!(
            matches!(error, CorpusError::Size { found: 7, expected: 8, tokens: 2, item: 4, .. }),
            "{error}"
        );
    }
}
