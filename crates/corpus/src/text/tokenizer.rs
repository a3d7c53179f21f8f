//! How a line of text falls into tokens.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::CorpusError;

/// Words by white space, or characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tokenizer {
    /// What stands between white space (Unicode's `White_Space`) is a word.
    #[default]
    Words,
    /// Every Unicode scalar value of a line is a token, blanks included, the line end not.
    Characters,
}

impl Tokenizer {
    /// Calls `each` with every token of `text`, a part of one line.
    pub(crate) fn split<E>(self, text: &str, mut each: impl FnMut(&str) -> Result<(), E>) -> Result<(), E> {
        match self {
            Tokenizer::Words => text.split_whitespace().try_for_each(each),
            Tokenizer::Characters => {
                let mut utf8 = [0; 4];
                text.chars().try_for_each(|character| each(character.encode_utf8(&mut utf8)))
            }
        }
    }
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
    fn words_and_characters() {
        assert_eq!(tokens(Tokenizer::Words, " a\u{a0}bc\td  é "), ["a", "bc", "d", "é"]);
        assert_eq!(tokens(Tokenizer::Characters, "a é"), ["a", " ", "é"]);
        assert_eq!("characters".parse::<Tokenizer>().unwrap(), Tokenizer::Characters);
        assert!("bytes".parse::<Tokenizer>().unwrap_err().to_string().contains("words or characters"));
    }
}
