//! Small files of other formats, as their own tools write them, and packers.
#![allow(clippy::unwrap_used, dead_code)]

use std::io::Write;

/// A text of 5 tokens, 3 types and 2 lines.
pub const TEXT: &[u8] = b"a b c\na b\n";

/// A name, the file, and what a message must call it. Those with text in them hold [`TEXT`].
pub fn files() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let utf16 = |to: fn(u16) -> [u8; 2], mark: &[u8]| {
        let units = TEXT.iter().flat_map(|&byte| to(u16::from(byte)));
        [mark, &units.collect::<Vec<u8>>()].concat()
    };
    let utf32 = |to: fn(u32) -> [u8; 4], mark: &[u8]| {
        let units = TEXT.iter().flat_map(|&byte| to(u32::from(byte)));
        [mark, &units.collect::<Vec<u8>>()].concat()
    };
    let zip = b"PK\x03\x04\x14\0\0\0\0\0\xdc\x55\x7c\x5d\x29\x48\x34\xca\x0a\0\0\0\x0a\0\0\0\x05\0\0\0t.txta b c\na b\n\
        PK\x01\x02\x14\x03\x14\0\0\0\0\0\xdc\x55\x7c\x5d\x29\x48\x34\xca\x0a\0\0\0\x0a\0\0\0\x05\0\0\0\0\0\0\0\0\0\0\0\x80\
        \x01\0\0\0\0t.txtPK\x05\x06\0\0\0\0\x01\0\x01\0\x33\0\0\0\x2d\0\0\0\0\0";
    let bzip2 = b"BZh91AY&SY\xd6\xa6\x88\xcd\0\0\x03\x51\0\0\x10\x40\0\x38\0\x20\0\x21\x83\x41\x9a\0\x14\xc8\x7c\x5d\xc9\
        \x14\xe1\x42\x43\x5a\x9a\x23\x34";
    let xz = b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4\x46\x02\0\x21\x01\x16\0\0\0\x74\x2f\xe5\xa3\x01\0\x09a b c\na b\n\0\0\0\x32\x40\
        \xd8\x93\x72\x08\x83\xc7\0\x01\x22\x0a\x15\x1a\xe1\x67\x1f\xb6\xf3\x7d\x01\0\0\0\0\x04YZ";
    let lzma = b"\x5d\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff\0\x30\x88\x08\x42\x13\xa0\xdb\x3a\xbb\xaa\x23\xfb\xdf\xff\xf7\
        \xb3\xc0\0";
    let lz4 = b"\x04\x22\x4d\x18\x64\x40\xa7\x0a\0\0\x80a b c\na b\n\0\0\0\0\xc0\x9b\x1b\x70";
    let pickle = b"\x80\x04\x95\x11\0\0\0\0\0\0\0\x5d\x94\x28\x8c\x01a\x94\x8c\x01b\x94\x8c\x01c\x94e.";
    let npy = b"\x93NUMPY\x01\0\x76\0{'descr': '<i4', 'fortran_order': False, 'shape': (1,), }\n\0\0\0\0";
    let header = br#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let safetensors = [&(header.len() as u64).to_le_bytes()[..], header, &[0; 4]].concat();
    vec![
        ("t.tar", tar(true), "a tar archive (`ustar` at byte 257)"),
        ("old.tar", tar(false), "a tar archive (header checksum at byte 148)"),
        ("t.zip", zip.to_vec(), "zip data"),
        ("t.bz2", bzip2.to_vec(), "bzip2 data"),
        ("empty.bz2", b"BZh9\x17\x72\x45\x38\x50\x90\0\0\0\0".to_vec(), "bzip2 data"),
        ("t.xz", xz.to_vec(), "xz data"),
        ("t.lzma", lzma.to_vec(), "lzma data"),
        ("t.lz4", lz4.to_vec(), "lz4 data"),
        ("t.zlib", b"\x78\x9c\x4bTHRH\xe6\x4aTH\xe2\x02\0\x0e\x1a\x02\x5e".to_vec(), "zlib data"),
        ("t.Z", b"\x1f\x9d\x90a\x40\xc4\0\x06".to_vec(), "compress data (.Z)"),
        ("t.7z", b"7z\xbc\xaf\x27\x1c\0\x04".to_vec(), "7z data"),
        ("t.rar", b"Rar!\x1a\x07\x01\0".to_vec(), "rar data"),
        ("t.cpio", b"070707000000\0\0".to_vec(), "a cpio archive"),
        ("marked-16le.txt", utf16(u16::to_le_bytes, b"\xff\xfe"), "UTF-16 data"),
        ("marked-16be.txt", utf16(u16::to_be_bytes, b"\xfe\xff"), "UTF-16 data"),
        ("marked-32le.txt", utf32(u32::to_le_bytes, b"\xff\xfe\0\0"), "UTF-32 data"),
        ("marked-32be.txt", utf32(u32::to_be_bytes, b"\0\0\xfe\xff"), "UTF-32 data"),
        ("bare-16le.txt", utf16(u16::to_le_bytes, b""), "UTF-16LE data without a byte order mark"),
        ("bare-16be.txt", utf16(u16::to_be_bytes, b""), "UTF-16BE data without a byte order mark"),
        ("bare-32le.txt", utf32(u32::to_le_bytes, b""), "UTF-32LE data without a byte order mark"),
        ("t.sqlite", b"SQLite format 3\0\x10\0\x01\x01\0\x40\x20\x20\0\0".to_vec(), "an SQLite database"),
        ("t.parquet", b"PAR1\x15\0\x15\x12\x15\x12\x2c\x15\x06PAR1".to_vec(), "Parquet data"),
        ("t.h5", b"\x89HDF\r\n\x1a\n\0\0\0\0".to_vec(), "HDF5 data"),
        ("t.npy", npy.to_vec(), "a NumPy array"),
        ("t.pkl", pickle.to_vec(), "Python pickle data"),
        ("t.safetensors", safetensors, "safetensors data"),
        ("t.pdf", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n".to_vec(), "a PDF file"),
        ("t.png", b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec(), "a PNG image"),
        ("t.jpg", b"\xff\xd8\xff\xe0\0\x10JFIF\0".to_vec(), "a JPEG image"),
        ("t.o", b"\x7fELF\x02\x01\x01\0\0\0\0\0".to_vec(), "an ELF program"),
    ]
}

/// A tar archive of one file `t.txt`: of today, or of the format before 1988.
pub fn tar(ustar: bool) -> Vec<u8> {
    let mut header = [0_u8; 512];
    let mut put = |at: usize, bytes: &[u8]| header[at..][..bytes.len()].copy_from_slice(bytes);
    put(0, b"t.txt");
    put(100, b"0000644\x000000000\x000000000\x00");
    put(124, format!("{:011o}\0", TEXT.len()).as_bytes());
    put(136, b"14712345671\0");
    put(156, b"0");
    if ustar {
        put(257, b"ustar\x0000root\0");
    }
    put(148, b"        ");
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut archive = [&header, TEXT].concat();
    archive.resize(10_240, 0);
    archive
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn zst(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

/// A zstd frame of a window that is larger than the text needs, and whose header states no length.
pub fn zst_of_window(bytes: &[u8], log: u32) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.long_distance_matching(true).unwrap();
    encoder.window_log(log).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A zstd frame of one raw block, written by hand: its header claims a window of `2^log` bytes.
pub fn zst_that_claims(bytes: &[u8], log: u8) -> Vec<u8> {
    let block = (u32::try_from(bytes.len()).unwrap() << 3) | 1;
    [b"\x28\xb5\x2f\xfd\0", &[(log - 10) << 3][..], &block.to_le_bytes()[..3], bytes].concat()
}

/// A frame that decoders pass over.
pub fn skippable(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap().to_le_bytes();
    [b"\x53\x2a\x4d\x18", &length[..], bytes].concat()
}
