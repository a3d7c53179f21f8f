//! Texts to words: cleaning, then a tokenizer of the corpus crate.

use lexmax_corpus::Tokenizer;
use serde::{Deserialize, Serialize};

use crate::DatasetError;

/// Cleaning of texts and their division into words, the key `words`.
///
/// Cleaning is that of all splits alike. It runs in the order of the fields.
///
/// ```
/// use lexmax_dataset::{Punctuation, WordOptions};
///
/// let options = WordOptions { lower: true, punctuation: Punctuation::Drop, ..WordOptions::default() };
/// assert_eq!(options.words("What’s up with my £5, please?"), ["what's", "up", "with", "my", "£", "5", "please"]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WordOptions {
    /// Whether typographic apostrophes (U+2018, U+2019, U+02BC, U+FF07) become the plain one; by
    /// default so.
    pub apostrophe: bool,
    /// Whether capitals become small letters, by Unicode's rules.
    pub lower: bool,
    /// Digits as they are, or masked.
    pub digits: Digits,
    /// Punctuation as it is, apart, or dropped.
    pub punctuation: Punctuation,
    /// Words by white space, or characters.
    pub tokenizer: Tokenizer,
    /// Training words seen less often become `unk`. 1 keeps all.
    pub min_count: u64,
    /// Stands for words outside the vocabulary, and for a text that cleaning leaves without a word.
    /// An entry only where it is needed.
    pub unk: String,
}

/// Treatment of signs that are neither letters, digits nor white space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Punctuation {
    /// Left where it is, so that `card?` is another word than `card`.
    #[default]
    Keep,
    /// Each sign is a word of its own; apostrophes within words stay.
    Apart,
    /// Signs become blanks; apostrophes within words stay, and currency signs are words of their
    /// own, since they carry meaning.
    Drop,
}

/// Treatment of digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Digits {
    /// Left as they are.
    #[default]
    Keep,
    /// Every digit becomes `0`, so that numbers of equal length are one word.
    Mask,
}

impl Default for WordOptions {
    fn default() -> WordOptions {
        WordOptions {
            apostrophe: true,
            lower: false,
            digits: Digits::default(),
            punctuation: Punctuation::default(),
            tokenizer: Tokenizer::default(),
            min_count: 1,
            unk: "<unk>".to_owned(),
        }
    }
}

impl WordOptions {
    /// Words of a text. Cost: a few passes over it.
    pub fn words(&self, text: &str) -> Vec<String> {
        let mut words = Vec::new();
        self.each_word(text, |word| words.push(word.to_owned()));
        words
    }

    /// Calls `each` with every word of a text.
    pub(crate) fn each_word(&self, text: &str, mut each: impl FnMut(&str)) {
        let text = self.clean(text);
        let push = |word: &str| {
            each(word);
            Ok::<(), std::convert::Infallible>(())
        };
        let Ok(()) = self.tokenizer.split(&text, push);
    }

    fn clean(&self, text: &str) -> String {
        // A line break within a row is a blank: a vocabulary has one word a line.
        let plain = |character: char| match character {
            '\u{2018}' | '\u{2019}' | '\u{2bc}' | '\u{ff07}' if self.apostrophe => '\'',
            '\n' | '\r' => ' ',
            other => other,
        };
        let mut text: String = text.chars().map(plain).collect();
        if self.lower {
            text = text.to_lowercase();
        }
        if self.digits == Digits::Mask {
            text = text.chars().map(|c| if c.is_numeric() { '0' } else { c }).collect();
        }
        if self.punctuation == Punctuation::Keep {
            return text;
        }
        let mut cleaned = String::with_capacity(text.len() + 16);
        let mut before = ' ';
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            let within =
                before.is_alphanumeric() && characters.peek().is_some_and(|next| next.is_alphanumeric());
            if !is_sign(character) || (character == '\'' && within) {
                cleaned.push(character);
            } else {
                cleaned.push(' ');
                if self.punctuation == Punctuation::Apart || is_currency(character) {
                    cleaned.push(character);
                    cleaned.push(' ');
                }
            }
            before = character;
        }
        cleaned
    }

    pub(crate) fn validate(&self) -> Result<(), DatasetError> {
        if self.min_count == 0 {
            return Err(DatasetError::option("words.min_count", 0, "at least 1"));
        }
        if self.unk.is_empty() || self.unk.contains(['\n', '\0']) {
            let expected = "a word that is not empty, without a line feed or a NUL";
            return Err(DatasetError::option("words.unk", format!("{:?}", self.unk), expected));
        }
        Ok(())
    }
}

/// Whether a character is neither part of a word nor white space.
fn is_sign(character: char) -> bool {
    // Marks change the letter before them, joiners and selectors the sign.
    let is_mark = matches!(character,
        '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{20d0}'..='\u{20ff}' | '\u{200c}' | '\u{200d}'
        | '\u{fe00}'..='\u{fe0f}');
    !character.is_alphanumeric() && !character.is_whitespace() && !is_mark
}

/// Whether a character is a sign of money (Unicode's category Sc, as far as it is in use).
fn is_currency(character: char) -> bool {
    matches!(character, '$' | '¢'..='¥' | '\u{58f}' | '\u{60b}' | '\u{9f2}' | '\u{9f3}' | '\u{af1}' | '\u{bf9}' | '\u{e3f}'
        | '\u{17db}' | '₠'..='\u{20cf}' | '\u{fdfc}' | '\u{fe69}' | '\u{ff04}' | '\u{ffe0}' | '\u{ffe1}' | '\u{ffe5}' | '\u{ffe6}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(options: &WordOptions, text: &str) -> String {
        options.words(text).join("|")
    }

    #[test]
    fn punctuation_is_kept_set_apart_or_dropped() {
        let text = "Don't \"pay\" €5.50, ok?'";
        let of = |punctuation| words(&WordOptions { punctuation, ..WordOptions::default() }, text);
        assert_eq!(of(Punctuation::Keep), "Don't|\"pay\"|€5.50,|ok?'");
        assert_eq!(of(Punctuation::Apart), "Don't|\"|pay|\"|€|5|.|50|,|ok|?|'");
        assert_eq!(of(Punctuation::Drop), "Don't|pay|€|5|50|ok");
    }

    #[test]
    fn typographic_apostrophe_becomes_the_plain_one_unless_refused() {
        assert_eq!(words(&WordOptions::default(), "what’s mine"), "what's|mine");
        let kept = WordOptions { apostrophe: false, ..WordOptions::default() };
        assert_eq!(words(&kept, "what’s mine"), "what’s|mine");
    }

    #[test]
    fn capitals_and_digits_are_cleaned_on_request_only() {
        assert_eq!(words(&WordOptions::default(), "Flight BA 217"), "Flight|BA|217");
        let cleaned = WordOptions { lower: true, digits: Digits::Mask, ..WordOptions::default() };
        assert_eq!(words(&cleaned, "Flight BÄ 217"), "flight|bä|000");
    }

    #[test]
    fn letters_with_marks_and_lines_within_a_text_stay_whole() {
        let options = WordOptions { punctuation: Punctuation::Drop, ..WordOptions::default() };
        assert_eq!(words(&options, "cafe\u{301} na\u{ef}ve\r\n日本"), "cafe\u{301}|naïve|日本");
        let characters = WordOptions { tokenizer: Tokenizer::Characters, ..WordOptions::default() };
        assert_eq!(words(&characters, "a\nb"), "a| |b");
    }
}
