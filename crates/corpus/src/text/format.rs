//! Recognising by its first bytes what a file is that turned out to be no text.
//!
//! Text is read as what it is: these signatures are looked at only once a byte was found that no
//! UTF-8 text has, so a text that begins with `PK` or `BZh` is never refused for its first letters.

use std::io::{BufReader, Read};

use super::packing::Packing;

/// Bytes from the beginning of a file that [`recognise`] looks at.
pub(crate) const HEAD_BYTES: usize = 4096;

/// A format that is no plain UTF-8 text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Format {
    /// Name in messages, as in `zip data`.
    pub(crate) name: String,
    kind: Kind,
}

/// Use that can be made of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Read where its name says so.
    Readable(Packing),
    /// One packed file.
    Packed,
    /// Several files in one.
    Archive,
    /// Text in another encoding.
    Encoding(&'static str),
    /// No text at all.
    Other,
}

use Kind::{Archive, Encoding, Other, Packed, Readable};

/// First bytes, the name, what it is. Longer signatures stand before their beginnings.
const SIGNATURES: &[(&[u8], &str, Kind)] = &[
    (b"\x1f\x8b", "gzip data", Readable(Packing::Gzip)),
    (b"\x28\xb5\x2f\xfd", "zstd data", Readable(Packing::Zstd)),
    (b"PK\x03\x04", "zip data", Archive),
    (b"PK\x05\x06", "zip data", Archive),
    (b"PK\x07\x08", "zip data", Archive),
    (b"7z\xbc\xaf\x27\x1c", "7z data", Archive),
    (b"Rar!\x1a\x07", "rar data", Archive),
    (b"MSCF\0\0\0\0", "cab data", Archive),
    (b"!<arch>\n", "an ar archive", Archive),
    (b"070701", "a cpio archive", Archive),
    (b"070702", "a cpio archive", Archive),
    (b"070707", "a cpio archive", Archive),
    (b"\xc7\x71", "a cpio archive", Archive),
    (b"xar!\0", "a xar archive", Archive),
    (b"\xfd7zXZ\0", "xz data", Packed),
    (b"LZIP\x01", "lzip data", Packed),
    (b"\x5d\0\0", "lzma data", Packed),
    (b"\x04\x22\x4d\x18", "lz4 data", Packed),
    (b"\x02\x21\x4c\x18", "lz4 data", Packed),
    (b"\x89LZO\0", "lzop data", Packed),
    (b"\xff\x06\0\0sNaPpY", "snappy data", Packed),
    (b"\x1f\x9d", "compress data (.Z)", Packed),
    (b"\x1f\xa0", "compress data (.Z)", Packed),
    (b"\x1f\x1e", "pack data (.z)", Packed),
    (b"\x78\x01", "zlib data", Packed),
    (b"\x78\x9c", "zlib data", Packed),
    (b"\x78\xda", "zlib data", Packed),
    (b"\xff\xfe\0\0", "UTF-32 data", Encoding("UTF-32")),
    (b"\0\0\xfe\xff", "UTF-32 data", Encoding("UTF-32")),
    (b"\xff\xfe", "UTF-16 data", Encoding("UTF-16")),
    (b"\xfe\xff", "UTF-16 data", Encoding("UTF-16")),
    (b"\x84\x31\x95\x33", "GB18030 data", Encoding("GB18030")),
    (b"PAR1", "Parquet data", Other),
    (b"ARROW1\0\0", "Arrow data", Other),
    (b"Obj\x01", "Avro data", Other),
    (b"SQLite format 3\0", "an SQLite database", Other),
    (b"\x89HDF\r\n\x1a\n", "HDF5 data", Other),
    (b"\x93NUMPY", "a NumPy array", Other),
    (b"\x80\x02", "Python pickle data", Other),
    (b"\x80\x03", "Python pickle data", Other),
    (b"\x80\x04", "Python pickle data", Other),
    (b"\x80\x05", "Python pickle data", Other),
    (b"GGUF", "GGUF data", Other),
    (b"%PDF-", "a PDF file", Other),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Office file of the old format", Other),
    (b"\x89PNG\r\n\x1a\n", "a PNG image", Other),
    (b"\xff\xd8\xff", "a JPEG image", Other),
    (b"GIF87a", "a GIF image", Other),
    (b"GIF89a", "a GIF image", Other),
    (b"RIFF", "RIFF data (WAV, AVI, WebP)", Other),
    (b"OggS", "Ogg data", Other),
    (b"fLaC", "FLAC audio", Other),
    (b"ID3\x03", "MP3 audio", Other),
    (b"\x7fELF", "an ELF program", Other),
    (b"\xca\xfe\xba\xbe", "a Java class or a Mach-O program", Other),
    (b"\xcf\xfa\xed\xfe", "a Mach-O program", Other),
    (b"\0asm", "a WebAssembly program", Other),
    (b"MZ\x90\0", "a Windows program", Other),
];

/// The format of a file that begins with `head`, where it is one of those that are known.
pub(crate) fn recognise(head: &[u8]) -> Option<Format> {
    let format = |name: &str, kind| Some(Format { name: name.to_owned(), kind });
    if let Some(proof) = tar_proof(head) {
        return format(&format!("a tar archive ({proof})"), Archive);
    }
    if is_bzip2(head) {
        return format("bzip2 data", Packed);
    }
    if is_skippable_frame(head) {
        return format("zstd data", Readable(Packing::Zstd));
    }
    if let Some(&(_, name, kind)) = SIGNATURES.iter().find(|(magic, ..)| head.starts_with(magic)) {
        // An archive in a packed file is what its user has to know of.
        return match kind {
            Readable(packing) => match recognise(&unpacked_head(head, packing)) {
                Some(inner) if inner.kind == Archive => {
                    format(&format!("{name} that holds {}", inner.name), Archive)
                }
                _ => format(name, kind),
            },
            _ => format(name, kind),
        };
    }
    if is_safetensors(head) {
        return format("safetensors data", Other);
    }
    let encoding = wide_encoding(head)?;
    format(&format!("{encoding} data without a byte order mark"), Encoding(encoding))
}

impl Format {
    /// Part of a message that says what the file seems to be and what to do; `inside` where it was
    /// unpacked already.
    pub(crate) fn hint(&self, inside: bool) -> String {
        let name = &self.name;
        let subject = if inside { "the unpacked data starts" } else { "the file starts" };
        let advice = match self.kind {
            Readable(packing) if !inside => {
                return format!(
                    "; the file starts like {name}, expected a name that ends in {} for that",
                    packing.suffix()
                );
            }
            Readable(_) => "it was packed twice, unpack it once".to_owned(),
            Packed => "unpack it first, or pack it with gzip or zstd as .gz or .zst".to_owned(),
            Archive => "unpack it and give the text files in it".to_owned(),
            Encoding(encoding) => {
                format!("convert it to UTF-8 first, as `iconv -f {encoding} -t UTF-8` does")
            }
            Other => "expected a plain text file".to_owned(),
        };
        format!("; {subject} like {name}: {advice}")
    }

    /// Whether it is text in an encoding of 16 or 32 bits.
    pub(crate) fn is_encoding(&self) -> bool {
        matches!(self.kind, Encoding(_))
    }
}

/// Fills `head` from what is left of `input`, as far as both go.
pub(crate) fn fill_head(head: &mut Vec<u8>, input: &mut dyn Read) {
    let missing = HEAD_BYTES.saturating_sub(head.len()) as u64;
    // A damaged file shows less of itself.
    let _ = input.take(missing).read_to_end(head);
}

/// Whether bytes begin a tar archive: recognised by `ustar`, or before 1988 by its header's
/// checksum alone.
fn tar_proof(head: &[u8]) -> Option<&'static str> {
    let header = head.get(..512)?;
    if &header[257..262] == b"ustar" {
        return Some("`ustar` at byte 257");
    }
    // The sum of all bytes, its own field read as blanks, in octal digits.
    let field = header[148..156].split(|byte| matches!(byte, 0 | b' '));
    let digits = field.into_iter().find(|part| !part.is_empty())?;
    let stated = u32::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()?;
    let bytes = header.iter().enumerate();
    let sum: u32 =
        bytes.map(|(at, &byte)| u32::from(if (148..156).contains(&at) { b' ' } else { byte })).sum();
    (stated == sum).then_some("header checksum at byte 148")
}

/// `BZh` and a digit begin many a text; the mark of the first block or of the end does not follow
/// by chance.
fn is_bzip2(head: &[u8]) -> bool {
    let block = head.get(4..10);
    head.starts_with(b"BZh") && (block == Some(b"1AY&SY") || block == Some(b"\x17\x72\x45\x38\x50\x90"))
}

/// Frames that decoders of zstd pass over, as parallel packers write first.
pub(crate) fn is_skippable_frame(head: &[u8]) -> bool {
    head.len() >= 4 && head[0] & 0xf0 == 0x50 && head[1..4] == *b"\x2a\x4d\x18"
}

/// A length of 8 bytes, then JSON.
fn is_safetensors(head: &[u8]) -> bool {
    let Some((length, rest)) = head.split_first_chunk::<8>() else { return false };
    (2..100_000_000).contains(&u64::from_le_bytes(*length)) && rest.starts_with(b"{\"")
}

/// Text of 16 or 32 bits a character has NULs where the high bytes of its Latin letters and blanks
/// are.
fn wide_encoding(head: &[u8]) -> Option<&'static str> {
    let words = head.len() / 4;
    let nuls: Vec<usize> =
        (0..4).map(|at| head.chunks_exact(4).filter(|word| word[at] == 0).count()).collect();
    let many = |at: usize| nuls[at] * 4 >= words.max(1);
    let few = |at: usize| nuls[at] * 20 <= words;
    match [0, 1, 2, 3].map(|at| (many(at), few(at))) {
        [(_, true), (true, _), (true, _), (true, _)] => Some("UTF-32LE"),
        [(true, _), (true, _), (true, _), (_, true)] => Some("UTF-32BE"),
        [(_, true), (true, _), (_, true), (true, _)] => Some("UTF-16LE"),
        [(true, _), (_, true), (true, _), (_, true)] => Some("UTF-16BE"),
        _ => None,
    }
}

/// Unpacks as much of a packed file's head as there is, at most one of its own size.
fn unpacked_head(head: &[u8], packing: Packing) -> Vec<u8> {
    let mut unpacked = Vec::new();
    if let Ok(mut input) = packing.decode(BufReader::new(head)) {
        fill_head(&mut unpacked, &mut input);
    }
    unpacked
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn name(head: &[u8]) -> Option<String> {
        recognise(head).map(|format| format.name)
    }

    #[test]
    fn tar_header_without_ustar_is_known_by_its_checksum() {
        let mut header = [0; 512];
        header[..5].copy_from_slice(b"a.txt");
        header[100..108].copy_from_slice(b"0000644\0");
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum::<u32>() + 8 * 32;
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        assert_eq!(name(&header).unwrap(), "a tar archive (header checksum at byte 148)");
        header[0] = b'b';
        assert_eq!(name(&header), None);
        assert_eq!(name(&[0; 512]), None);
    }

    #[test]
    fn prose_with_the_letters_of_a_signature_is_nothing() {
        for text in ["BZh91 is how bzip2 files begin", "PK is not PKZIP", "Rar! said the cat", "7z a"] {
            assert_eq!(name(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn wide_encoding_is_told_by_the_place_of_its_nuls() {
        let units: Vec<u16> = "a line of text\nanother one\n".encode_utf16().collect();
        let bytes = |to: fn(u16) -> [u8; 2]| units.iter().flat_map(|&unit| to(unit)).collect::<Vec<u8>>();
        let wide =
            |to: fn(u32) -> [u8; 4]| units.iter().flat_map(|&unit| to(u32::from(unit))).collect::<Vec<u8>>();
        assert_eq!(wide_encoding(&bytes(u16::to_le_bytes)), Some("UTF-16LE"));
        assert_eq!(wide_encoding(&bytes(u16::to_be_bytes)), Some("UTF-16BE"));
        assert_eq!(wide_encoding(&wide(u32::to_le_bytes)), Some("UTF-32LE"));
        assert_eq!(wide_encoding(&wide(u32::to_be_bytes)), Some("UTF-32BE"));
        assert_eq!(wide_encoding(&[b"a stray \0 in ".as_slice(), &[b'x'; 200]].concat()), None);
        assert_eq!(wide_encoding(b""), None);
        assert_eq!(wide_encoding(&[0; 64]), None);
    }
}
