//! Plain, gzip and zstd files: which one a name says, and its bytes unpacked.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use super::format::{Format, is_skippable_frame, recognise};
use crate::CorpusError;

/// Bytes read from a file at a time.
pub(crate) const BUFFER_BYTES: usize = 1 << 18;
/// Binary logarithm of the largest window of a zstd frame that is read, which is the largest that
/// `zstd --long` makes. The decoder keeps a window of unpacked bytes; it reserves it at once, and
/// touches no more of it than is unpacked.
const WINDOW_LOG: u32 = if usize::BITS >= 64 { 31 } else { 30 };

/// Compression of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    /// Plain, not compressed.
    Plain,
    /// gzip, in one or more members.
    Gzip,
    /// zstd, in one or more frames.
    Zstd,
}

impl Packing {
    /// The packing that a file's name says: `.gz` and `.zst` are packed, in capitals too.
    pub(crate) fn of_name(path: &Path) -> Packing {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        match extension.to_ascii_lowercase().as_str() {
            "gz" => Packing::Gzip,
            "zst" => Packing::Zstd,
            _ => Packing::Plain,
        }
    }

    /// End of a name that says this packing.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Packing::Plain => "",
            Packing::Gzip => ".gz",
            Packing::Zstd => ".zst",
        }
    }

    /// The unpacked bytes. `path` is for messages.
    pub(crate) fn unpack<R: Read>(self, stored: R, path: &Path) -> Result<Unpacked<R>, CorpusError> {
        let mut stored = BufReader::with_capacity(BUFFER_BYTES, stored);
        let head = stored.fill_buf().map_err(CorpusError::io("read", path))?;
        self.check_head(head, path)?;
        self.decode(stored).map_err(CorpusError::io("open", path))
    }

    /// The unpacked bytes, whatever the first ones are.
    pub(crate) fn decode<R: Read>(self, stored: BufReader<R>) -> io::Result<Unpacked<R>> {
        Ok(match self {
            Packing::Plain => Unpacked::Plain(stored),
            Packing::Gzip => Unpacked::Gzip(flate2::bufread::MultiGzDecoder::new(stored)),
            Packing::Zstd => {
                let mut unpacked = zstd::Decoder::with_buffer(stored)?;
                unpacked.window_log_max(WINDOW_LOG)?;
                Unpacked::Zstd(unpacked)
            }
        })
    }

    /// Error of reading the unpacked bytes.
    pub(crate) fn read_error(self, path: &Path, source: io::Error) -> CorpusError {
        let format = match self {
            // What the system cannot read carries its error number; what a decoder cannot read does
            // not.
            _ if source.raw_os_error().is_some() => None,
            Packing::Plain => None,
            Packing::Gzip => Some("gzip"),
            Packing::Zstd => Some("zstd"),
        };
        match format {
            Some(format) => CorpusError::Compressed { path: path.to_path_buf(), format, source },
            None => CorpusError::io("read", path)(source),
        }
    }

    /// Refuses what is not what the file's name says, and windows that are too large.
    fn check_head(self, head: &[u8], path: &Path) -> Result<(), CorpusError> {
        let begins = |magic: &[u8]| head.starts_with(magic) || magic.starts_with(head);
        let format = match self {
            Packing::Gzip if !begins(b"\x1f\x8b") => "gzip",
            Packing::Zstd if !(begins(b"\x28\xb5\x2f\xfd") || is_skippable_frame(head)) => "zstd",
            Packing::Zstd => return check_window(head, path),
            _ => return Ok(()),
        };
        let found = match recognise(head) {
            Some(Format { name, .. }) => name,
            None if std::str::from_utf8(head).is_ok_and(|text| !text.contains('\0')) => {
                "plain text".to_owned()
            }
            None => "something else".to_owned(),
        };
        Err(CorpusError::NotPacked { path: path.to_path_buf(), format, found })
    }
}

/// Reader of unpacked bytes, which has no buffer of them.
// One value a file: its size is of no account.
#[allow(clippy::large_enum_variant)]
pub(crate) enum Unpacked<R: Read> {
    Plain(BufReader<R>),
    Gzip(flate2::bufread::MultiGzDecoder<BufReader<R>>),
    Zstd(zstd::Decoder<'static, BufReader<R>>),
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Unpacked::Plain(input) => input.read(into),
            Unpacked::Gzip(input) => input.read(into),
            Unpacked::Zstd(input) => input.read(into),
        }
    }
}

/// Refuses a first frame whose window is too large, before anything is unpacked.
fn check_window(head: &[u8], path: &Path) -> Result<(), CorpusError> {
    match first_window(head) {
        Some(window) if window > 1 << WINDOW_LOG => {
            let path = path.to_path_buf();
            Err(CorpusError::Window { path, window, limit: 1 << WINDOW_LOG, log: WINDOW_LOG })
        }
        _ => Ok(()),
    }
}

/// Bytes of the window of the first frame with data; none where `head` does not reach it. (RFC
/// 8878, section 3.1.1.1)
fn first_window(mut head: &[u8]) -> Option<u64> {
    while is_skippable_frame(head) {
        let length = u32::from_le_bytes(*head.get(4..)?.first_chunk()?);
        head = head.get(8..)?.get(usize::try_from(length).ok()?..)?;
    }
    let descriptor = *head.get(4)?;
    if descriptor & 0x20 != 0 {
        // A single segment: as large as its contents, whose length follows the dictionary's number.
        let skip = [0, 1, 2, 4][usize::from(descriptor & 3)];
        let field = head.get(5 + skip..)?;
        return match descriptor >> 6 {
            0 => Some(u64::from(*field.first()?)),
            1 => Some(u64::from(u16::from_le_bytes(*field.first_chunk()?)) + 256),
            2 => Some(u64::from(u32::from_le_bytes(*field.first_chunk()?))),
            _ => Some(u64::from_le_bytes(*field.first_chunk()?)),
        };
    }
    let window = *head.get(5)?;
    let base = 1_u64 << (10 + (window >> 3));
    Some(base + base / 8 * u64::from(window & 7))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn window_is_read_from_the_first_frame_with_data() {
        let frame = |descriptor: u8, rest: &[u8]| [b"\x28\xb5\x2f\xfd", &[descriptor][..], rest].concat();
        assert_eq!(first_window(&frame(0, &[0])), Some(1 << 10));
        assert_eq!(first_window(&frame(0, &[(28 - 10) << 3])), Some(1 << 28));
        assert_eq!(first_window(&frame(0, &[((31 - 10) << 3) + 1])), Some((1 << 31) + (1 << 28)));
        // Single segments with lengths of 1, 2, 4 and 8 bytes, the third after a dictionary's
        // number.
        assert_eq!(first_window(&frame(0x20, &[9])), Some(9));
        assert_eq!(first_window(&frame(0x60, &[1, 1])), Some(257 + 256));
        assert_eq!(first_window(&frame(0xa1, &[77, 0, 0, 0, 1])), Some(1 << 24));
        assert_eq!(first_window(&frame(0xe0, &[0, 0, 0, 0, 0, 1, 0, 0])), Some(1 << 40));
        let skipped = [b"\x5a\x2a\x4d\x18\x02\0\0\0xx".as_slice(), &frame(0, &[8])].concat();
        assert_eq!(first_window(&skipped), Some(1 << 11));
        assert_eq!(first_window(&skipped[..9]), None);
        assert_eq!(first_window(b""), None);
    }
}
