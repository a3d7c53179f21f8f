//! Lines and their parts: where they end, where they are cut, what is refused.
#![allow(clippy::unwrap_used)]
use super::*;
use sha2::{Digest, Sha256};

fn read(bytes: &[u8], tokenizer: Tokenizer) -> Vec<(String, u64, bool)> {
    let mut reader = TextReader::new(bytes, "text.txt".as_ref(), tokenizer).unwrap();
    let mut pieces = Vec::new();
    while let Some(piece) = reader.next_piece().unwrap() {
        pieces.push((piece.text.to_owned(), piece.line, piece.ends_line));
    }
    assert_eq!(reader.source(None).sha256, crate::hash::hex(&Sha256::digest(bytes)));
    assert_eq!(reader.bytes(), bytes.len() as u64);
    pieces
}

fn pieces(bytes: &[u8]) -> Vec<(String, u64, bool)> {
    read(bytes, Tokenizer::Words)
}

fn refused(bytes: &[u8]) -> String {
    let mut reader = TextReader::new(bytes, "text.txt".as_ref(), Tokenizer::Words).unwrap();
    loop {
        match reader.next_piece() {
            Ok(piece) => assert!(piece.is_some(), "read as text"),
            Err(error) => return error.to_string(),
        }
    }
}

#[test]
fn lines_end_with_any_line_end() {
    let expected = [("a b".to_owned(), 1, true), (String::new(), 2, true), ("c".to_owned(), 3, true)];
    assert_eq!(pieces(b"a b\n\nc\n"), expected);
    assert_eq!(pieces(b"a b\r\n\r\nc"), expected);
    assert_eq!(pieces("\u{feff}a b\n\nc\n".as_bytes()), expected);
    assert_eq!(pieces(b""), []);
    assert_eq!(pieces(b"\n"), [(String::new(), 1, true)]);
}

#[test]
fn long_line_comes_in_parts_that_cut_no_word() {
    let line = "alpha beta ".repeat(20_000);
    let parts = pieces(format!("{line}\nend").as_bytes());
    assert!(parts.len() > 4 && parts.iter().all(|part| part.0.len() <= 2 * PIECE_BYTES));
    let (last, long) = parts.split_last().unwrap();
    assert_eq!(*last, ("end".to_owned(), 2, true));
    assert!(long.iter().all(|part| part.1 == 1));
    assert_eq!(long.iter().filter(|part| part.2).count(), 1);
    assert!(long.last().unwrap().2);
    assert_eq!(long.iter().map(|part| part.0.as_str()).collect::<String>(), line);
    // A word longer than a piece stays whole.
    let word = "x".repeat(3 * PIECE_BYTES);
    assert_eq!(pieces(word.as_bytes()), [(word.clone(), 1, true)]);
    // A line that ends just where a part ends still ends once.
    let exact = format!("{} ", "y".repeat(PIECE_BYTES - 1));
    let parts = pieces(exact.as_bytes());
    assert_eq!(parts.iter().filter(|part| part.2).count(), 1);
    assert!(parts.last().unwrap().2);
}

#[test]
fn long_line_without_spaces_stays_in_bounded_memory() {
    for (blank, tokenizer) in
        [("\t", Tokenizer::Words), ("\u{3000}", Tokenizer::Words), ("", Tokenizer::Characters)]
    {
        let line = format!("日本語{blank}").repeat(60_000);
        let parts = read(line.as_bytes(), tokenizer);
        assert!(parts.len() > 4 && parts.iter().all(|part| part.0.len() <= 2 * PIECE_BYTES), "{blank:?}");
        assert_eq!(parts.iter().map(|part| part.0.as_str()).collect::<String>(), line);
    }
    let message = refused(&vec![b'x'; TOKEN_BYTES + PIECE_BYTES]);
    assert!(message.contains("text.txt line 1") && message.contains("16777216 bytes"), "{message}");
}

#[test]
fn carriage_return_at_a_part_end_stays_with_its_line_feed() {
    let line = "y".repeat(PIECE_BYTES - 1);
    let parts = read(format!("{line}\r\nz").as_bytes(), Tokenizer::Characters);
    assert_eq!(parts.iter().map(|part| part.0.as_str()).collect::<String>(), format!("{line}z"));
}

#[test]
fn nul_byte_late_in_a_long_line_is_found_at_its_place() {
    for before in [0, 70_000, 1_000_000] {
        let bytes = [b"one\ntwo\n".as_slice(), &b"ab ".repeat(before / 3), b"\0 and on"].concat();
        let message = refused(&bytes);
        let place = format!("byte {}", 8 + before / 3 * 3);
        assert!(message.contains("text.txt line 3: NUL byte: UTF-16?"), "{message}");
        assert!(message.contains(&place), "{message}");
    }
}
