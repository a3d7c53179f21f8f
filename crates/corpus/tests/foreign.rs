//! Files that are no UTF-8 text are named for what they are, at the outside and inside of a packed
//! file.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;

use common::foreign::{TEXT, files, gzip, skippable, tar, zst, zst_of_window, zst_that_claims};
use common::{Folder, splits};
use lexmax_corpus::{CorpusError, Split};

/// Builds from one file and gives the message of the refusal, which names it; nothing may be left.
fn refusal(name: &str, bytes: &[u8]) -> String {
    let folder = Folder::new();
    let path = folder.file(name, bytes);
    let error = folder.build(&splits(&path, None, None)).unwrap_err();
    assert_eq!(folder.names(), [name], "something was left behind");
    let message = error.to_string();
    assert!(message.contains(name), "{message}");
    message
}

/// Builds from one file of [`TEXT`].
fn reads(name: &str, bytes: &[u8]) {
    let folder = Folder::new();
    let path = folder.file(name, bytes);
    let corpus = folder.build(&splits(&path, None, None)).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!((corpus.tokens(Split::Train).len(), corpus.vocab().len()), (5, 3), "{name}");
}

#[test]
fn foreign_file_is_named_for_what_it_is() {
    for (name, bytes, called) in files() {
        let message = refusal(name, &bytes);
        assert!(message.contains(&format!("the file starts like {called}")), "{message}");
    }
}

#[test]
fn foreign_file_in_a_packed_one_is_named_for_what_it_is() {
    for (name, bytes, called) in files() {
        for (suffix, packed) in [("gz", gzip(&bytes)), ("zst", zst(&bytes)), ("GZ", gzip(&bytes))] {
            let message = refusal(&format!("{name}.{suffix}"), &packed);
            assert!(message.contains(&format!("the unpacked data starts like {called}")), "{message}");
        }
    }
}

#[test]
fn file_packed_twice_is_told_so() {
    let (gz, zst_data) = (gzip(TEXT), zst(TEXT));
    for (name, bytes, called) in [
        ("a.gz", gzip(&gz), "gzip data"),
        ("b.gz", gzip(&zst_data), "zstd data"),
        ("c.zst", zst(&gz), "gzip data"),
        ("d.zst", zst(&zst_data), "zstd data"),
    ] {
        let message = refusal(name, &bytes);
        assert!(message.contains(&format!("starts like {called}: it was packed twice")), "{message}");
    }
}

#[test]
fn packed_archive_under_a_name_of_its_own_shows_the_archive() {
    for (name, bytes, packing) in [("t.tgz", gzip(&tar(true)), "gzip"), ("t.tzst", zst(&tar(false)), "zstd")]
    {
        let message = refusal(name, &bytes);
        assert!(message.contains(&format!("{packing} data that holds a tar archive")), "{message}");
    }
    let message = refusal("t.txt", &gzip(TEXT));
    assert!(message.contains("expected a name that ends in .gz"), "{message}");
}

#[test]
fn name_of_a_packed_file_with_other_contents_is_refused() {
    for (name, bytes, found) in [
        ("plain.gz", TEXT.to_vec(), "plain text"),
        ("plain.zst", TEXT.to_vec(), "plain text"),
        ("z.gz", zst(TEXT), "zstd data"),
        ("g.zst", gzip(TEXT), "gzip data"),
        ("t.tar.gz", tar(true), "a tar archive"),
    ] {
        let message = refusal(name, &bytes);
        assert!(message.contains(&format!("the file starts like {found}")), "{message}");
    }
}

#[test]
fn text_that_begins_like_a_foreign_file_is_read() {
    for text in
        ["BZh91AY is a mark", "PK was here", "Rar! he said", "7z x y", "%PDF-1.4 is", "ustar a b", "PAR1 a b"]
    {
        let folder = Folder::new();
        let path = folder.file("t.txt", text);
        let corpus = folder.build(&splits(&path, None, None)).unwrap();
        assert_eq!(corpus.tokens(Split::Train).len(), text.split(' ').count());
    }
}

#[test]
fn nul_byte_anywhere_is_refused_with_its_line() {
    let late = [b"a b\n".repeat(200_000).as_slice(), b"a \0 b\n", &b"a b\n".repeat(1000)].concat();
    for (name, bytes, line) in [
        ("first.txt", b"\0a b\n".to_vec(), 1),
        ("alone.txt", b"a b\nc\n\0\n".to_vec(), 3),
        ("last.txt", b"a b\nc\0".to_vec(), 2),
        ("late.txt", late.clone(), 200_001),
        ("late.gz", gzip(&late), 200_001),
        ("late.zst", zst(&late), 200_001),
    ] {
        let message = refusal(name, &bytes);
        assert!(message.contains(&format!("{name} line {line}: NUL byte: UTF-16?")), "{message}");
    }
}

#[test]
fn nul_byte_in_a_held_out_split_is_refused() {
    let folder = Folder::new();
    let good = folder.file("good.txt", TEXT);
    let bad = folder.file("bad.txt", b"a b\na \0b\n");
    let before = folder.names();
    for options in [splits(&good, Some(&bad), None), splits(&good, Some(&good), Some(&bad))] {
        let message = folder.build(&options).unwrap_err().to_string();
        assert!(message.contains("bad.txt line 2: NUL byte: UTF-16?"), "{message}");
        assert_eq!(folder.names(), before);
    }
}

#[test]
fn utf16_text_without_latin_letters_is_refused() {
    // No high byte is 0 but those of blanks and line ends.
    let units: Vec<u8> = "日本 語\n本\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let message = refusal("japanese.txt", &units);
    assert!(message.contains("japanese.txt line 1"), "{message}");
}

#[test]
fn zstd_of_any_window_that_zstd_makes_is_read() {
    for log in [10, 27, 28] {
        reads("t.zst", &zst_of_window(TEXT, log));
    }
    for log in [10, 28, 29, 30, 31] {
        reads("t.zst", &zst_that_claims(TEXT, log));
    }
}

#[test]
fn zstd_of_a_window_over_the_limit_is_refused_with_both_sizes() {
    for (log, window) in [(32, 1_u64 << 32), (36, 1 << 36), (41, 1 << 41)] {
        let skipped = [skippable(b"first"), zst_that_claims(TEXT, log)].concat();
        for bytes in [zst_that_claims(TEXT, log), skipped] {
            let message = refusal("t.zst", &bytes);
            assert!(message.contains(&format!("a window of {window} bytes")), "{message}");
            assert!(message.contains("at most 2147483648") && message.contains("--long=31"), "{message}");
        }
    }
}

/// Highest resident memory of this process so far, MiB.
#[cfg(target_os = "linux")]
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

#[test]
#[cfg(target_os = "linux")]
fn window_that_the_text_does_not_fill_takes_no_memory() {
    let before = peak_mib();
    for log in [29, 31] {
        reads("t.zst", &zst_that_claims(TEXT, log));
    }
    // Other tests of this process run beside it, in some megabytes.
    assert!(peak_mib() - before < 256, "{before} MiB, then {} MiB", peak_mib());
}

#[test]
fn zstd_of_several_and_of_skippable_frames_is_read() {
    let (first, second) = TEXT.split_at(4);
    reads("two.zst", &[zst(first), zst(second)].concat());
    reads("skip.zst", &[skippable(b"x"), zst(TEXT)].concat());
    reads(
        "between.zst",
        &[zst(first), skippable(b""), zst_of_window(second, 28), skippable(b"end")].concat(),
    );
}

#[test]
fn data_after_the_last_frame_is_refused() {
    for (name, bytes) in [("t.zst", zst(TEXT)), ("t.gz", gzip(TEXT))] {
        for garbage in [b"garbage after it".as_slice(), &[0; 40], b"\x28\xb5\x2f\xfd"] {
            let message = refusal(name, &[&bytes, garbage].concat());
            assert!(message.contains("truncated or damaged"), "{message}");
        }
    }
}

#[test]
fn every_truncation_of_a_packed_file_is_refused() {
    for (name, bytes) in [("t.zst", zst(TEXT)), ("t.gz", gzip(TEXT)), ("long.zst", zst_of_window(TEXT, 28))] {
        for length in 1..bytes.len() {
            let folder = Folder::new();
            let path = folder.file(name, &bytes[..length]);
            let error = folder.build(&splits(&path, None, None)).unwrap_err();
            assert!(matches!(error, CorpusError::Compressed { .. }), "{name} {length}: {error}");
        }
    }
}

#[test]
fn reader_of_damaged_bytes_ends_in_text_or_an_error() {
    // Every bit of small files once wrong: no panic, no endless reading.
    for (name, bytes) in
        [("t.zst", zst(TEXT)), ("t.gz", gzip(TEXT)), ("t.txt", TEXT.to_vec()), ("t.tar", tar(true))]
    {
        for bit in 0..bytes.len().min(600) * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let words = lexmax_corpus::Tokenizer::Words;
            let Ok(mut reader) = lexmax_corpus::TextReader::new(&damaged[..], Path::new(name), words) else {
                continue;
            };
            let mut pieces = 0;
            while let Ok(Some(_)) = reader.next_piece() {
                pieces += 1;
            }
            assert!(pieces < 1000, "{name} bit {bit}");
        }
    }
}
