//! Tokenizers: the division of a line of text into tokens.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::CorpusError;

/// Words by white space, or characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tokenizer {
    /// Every run of characters between white space (Unicode's `White_Space`) is a word.
    #[default]
    Words,
    /// Every Unicode scalar value of a line is a token, blanks included, the line end not.
    Characters,
}

impl Tokenizer {
    /// Calls `each` with every token of `text`, a part of one line.
    ///
    /// # Errors
    /// Those of `each`, which end the split.
    pub fn split<E>(self, text: &str, mut each: impl FnMut(&str) -> Result<(), E>) -> Result<(), E> {
        match self {
            Tokenizer::Words => split_words(text, each),
            Tokenizer::Characters => {
                let mut utf8 = [0; 4];
                text.chars().try_for_each(|character| each(character.encode_utf8(&mut utf8)))
            }
        }
    }

    /// Finds where a part of a long line can end without cutting a token, as near to its end as
    /// there is. Only the bytes from `new` on are looked at; those before were at the last call.
    /// Bytes that are no UTF-8 end a part.
    pub(crate) fn cut(self, bytes: &[u8], new: usize) -> Option<usize> {
        let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | 0x0b | 0x0c);
        if self == Tokenizer::Words
            && let Some(blank) = bytes[new..].iter().rposition(is_blank)
        {
            return Some(new + blank + 1);
        }
        // The first new byte may lie within a character.
        let is_continuation = |at: usize| bytes.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
        let start = (new.saturating_sub(3)..=new).rev().find(|&at| !is_continuation(at)).unwrap_or(new);
        let text = match std::str::from_utf8(&bytes[start..]) {
            Ok(text) => text,
            Err(error) if error.error_len().is_some() => return Some(bytes.len()),
            // The last character is not whole yet.
            Err(error) => std::str::from_utf8(&bytes[start..][..error.valid_up_to()]).ok()?,
        };
        // A carriage return may belong to the line end.
        let end = match self {
            Tokenizer::Words => {
                let is_blank = |character: char| character.is_whitespace() && character != '\r';
                let blank = text.rfind(is_blank)?;
                start + blank + text[blank..].chars().next()?.len_utf8()
            }
            Tokenizer::Characters => start + text.trim_end_matches('\r').len(),
        };
        (end > 0).then_some(end)
    }
}

/// Meaning of a byte of UTF-8 for white space.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// A part of a word.
    Word,
    /// A blank of one byte.
    Blank,
    /// First of a character that may be white space.
    MayBeBlank,
}

const CLASSES: [Class; 256] = {
    let mut classes = [Class::Word; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte {
            0x09..=0x0d | 0x20 => Class::Blank,
            // U+0085 and U+00A0; U+1680; U+2000 to U+205F; U+3000.
            0xc2 | 0xe1 | 0xe2 | 0xe3 => Class::MayBeBlank,
            _ => Class::Word,
        };
        byte += 1;
    }
    classes
};

/// Calls `each` with every run of characters between white space: `str::split_whitespace` by a
/// table of bytes.
#[inline]
fn split_words<E>(text: &str, mut each: impl FnMut(&str) -> Result<(), E>) -> Result<(), E> {
    let bytes = text.as_bytes();
    let (mut start, mut at) = (0, 0);
    while let Some(&byte) = bytes.get(at) {
        let blank = match CLASSES[usize::from(byte)] {
            Class::Word => {
                at += 1;
                continue;
            }
            Class::Blank => 1,
            Class::MayBeBlank => match text[at..].chars().next().filter(|next| next.is_whitespace()) {
                Some(blank) => blank.len_utf8(),
                None => {
                    at += 1;
                    continue;
                }
            },
        };
        if at > start {
            each(&text[start..at])?;
        }
        at += blank;
        start = at;
    }
    if at > start { each(&text[start..]) } else { Ok(()) }
}

impl fmt::Display for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Tokenizer::Words => "words",
            Tokenizer::Characters => "characters",
        })
    }
}

impl FromStr for Tokenizer {
    type Err = CorpusError;

    fn from_str(name: &str) -> Result<Self, CorpusError> {
        match name {
            "words" => Ok(Tokenizer::Words),
            "characters" => Ok(Tokenizer::Characters),
            _ => Err(CorpusError::option("tokenizer", name, "words or characters")),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn tokens(tokenizer: Tokenizer, text: &str) -> Vec<String> {
        let mut tokens = Vec::new();
        let push = |token: &str| {
            tokens.push(token.to_owned());
            Ok::<_, ()>(())
        };
        tokenizer.split(text, push).unwrap();
        tokens
    }

    #[test]
    fn table_of_bytes_splits_at_white_space_of_unicode_alone() {
        for character in '\0'..=char::MAX {
            let text = format!("a{character}b");
            let expected: Vec<&str> = text.split_whitespace().collect();
            assert_eq!(tokens(Tokenizer::Words, &text), expected, "{character:?}");
        }
    }

    #[test]
    fn words_and_characters() {
        assert_eq!(tokens(Tokenizer::Words, " a\u{a0}bc\td  é "), ["a", "bc", "d", "é"]);
        assert_eq!(tokens(Tokenizer::Characters, "a é"), ["a", " ", "é"]);
        assert_eq!("characters".parse::<Tokenizer>().unwrap(), Tokenizer::Characters);
        assert!("bytes".parse::<Tokenizer>().unwrap_err().to_string().contains("words or characters"));
    }
}
