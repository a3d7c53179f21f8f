//! Distinct words of a text, numbered by their first occurrence.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::vocab::word_of;

/// Most words: numbers from here on are left to marks.
pub(crate) const MOST: u32 = u32::MAX - 2;

/// Bytes of a short word, which [`first_bytes`] and the length tell from all others.
const SHORT: usize = 8;
/// Binary logarithm of the number of short words at hand.
const RECENT_LOG: u32 = 13;

/// Table of distinct words, numbered from 0 in the order in which they came.
///
/// Memory: the bytes of the words, one after another, and some 40 bytes a word; 128 KiB of short
/// words seen last, which the nearest caches hold.
pub(crate) struct Words {
    /// All words, one after another.
    text: String,
    /// End of each word in `text`.
    ends: Vec<usize>,
    table: HashTable<Known>,
    /// Short word seen last, by the highest bits of its hash.
    recent: Vec<Known>,
    hasher: RandomState,
}

/// Known word. Short ones, which are most, are told apart without a look at the text.
#[derive(Clone, Copy)]
struct Known {
    /// [`first_bytes`] of the word.
    first: u64,
    length: u32,
    number: u32,
}

impl Default for Words {
    fn default() -> Self {
        // No short word has this length.
        let nothing = Known { first: 0, length: u32::MAX, number: 0 };
        Words {
            text: String::new(),
            ends: Vec::new(),
            table: HashTable::new(),
            recent: vec![nothing; 1 << RECENT_LOG],
            hasher: RandomState::default(),
        }
    }
}

impl Words {
    /// The number of a word, which is the next one for a new word; none where numbers or lengths
    /// run out.
    #[inline]
    pub(crate) fn number(&mut self, word: &str) -> Option<u32> {
        let bytes = word.as_bytes();
        let (first, length) = (first_bytes(bytes), u32::try_from(bytes.len()).ok()?);
        let hash = hash_of(&self.hasher, first, bytes);
        if bytes.len() > SHORT {
            return self.look_up(word, first, length, hash).map(|known| known.number);
        }
        let place = (hash >> (u64::BITS - RECENT_LOG)) as usize;
        let recent = self.recent[place];
        if (recent.first, recent.length) == (first, length) {
            return Some(recent.number);
        }
        let known = self.look_up(word, first, length, hash)?;
        self.recent[place] = known;
        Some(known.number)
    }

    fn look_up(&mut self, word: &str, first: u64, length: u32, hash: u64) -> Option<Known> {
        let Words { text, ends, table, hasher, .. } = self;
        let is_word = |known: &Known| {
            (known.first, known.length) == (first, length)
                && (word.len() <= SHORT || word_of(text, ends, known.number) == word)
        };
        let rehash =
            |known: &Known| hash_of(hasher, known.first, word_of(text, ends, known.number).as_bytes());
        match table.entry(hash, is_word, rehash) {
            Entry::Occupied(known) => Some(*known.get()),
            Entry::Vacant(new) => {
                let number = u32::try_from(ends.len()).ok().filter(|&number| number < MOST)?;
                let known = Known { first, length, number };
                new.insert(known);
                text.push_str(word);
                ends.push(text.len());
                Some(known)
            }
        }
    }

    /// Number of distinct words.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The word of a number less than [`Words::len`].
    pub(crate) fn word(&self, number: u32) -> &str {
        word_of(&self.text, &self.ends, number)
    }
}

/// The first eight bytes of a longer word; of a shorter one all, read from both ends.
#[inline]
fn first_bytes(word: &[u8]) -> u64 {
    if let Some(first) = word.first_chunk() {
        return u64::from_le_bytes(*first);
    }
    if let (Some(first), Some(last)) = (word.first_chunk(), word.last_chunk()) {
        return u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32;
    }
    match *word {
        [] => 0,
        [one] => u64::from(one),
        [first, .., last] => u64::from(first) | u64::from(word[1]) << 8 | u64::from(last) << 16,
    }
}

#[inline]
fn hash_of(hasher: &RandomState, first: u64, word: &[u8]) -> u64 {
    if word.len() <= SHORT { hasher.hash_one(first) } else { hasher.hash_one(word) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn words_are_numbered_by_their_first_occurrence() {
        let mut words = Words::default();
        let numbers: Vec<u32> =
            ["b", "a", "b", "", "é", "a", ""].map(|word| words.number(word).unwrap()).to_vec();
        assert_eq!(numbers, [0, 1, 0, 2, 3, 1, 2]);
        assert_eq!((0..4).map(|number| words.word(number)).collect::<Vec<_>>(), ["b", "a", "", "é"]);
    }

    #[test]
    fn words_of_equal_bytes_at_both_ends_stay_apart() {
        let mut words = Words::default();
        // Lengths 0 to 12 of one letter, then words that differ in a single place.
        let mut all: Vec<String> = (0..13).map(|length| "a".repeat(length)).collect();
        for length in 1..13 {
            all.extend((0..length).map(|at| format!("{}b{}", "a".repeat(at), "a".repeat(length - at - 1))));
        }
        let numbers: Vec<u32> = all.iter().map(|word| words.number(word).unwrap()).collect();
        assert_eq!(numbers, (0..all.len() as u32).collect::<Vec<_>>());
        assert!((0..).zip(&all).all(|(number, word)| words.number(word) == Some(number)));
    }

    #[test]
    fn words_keep_their_numbers_while_the_table_grows() {
        let mut words = Words::default();
        for number in 0..20_000_u32 {
            assert_eq!(words.number(&number.to_string()), Some(number));
        }
        for number in (0..20_000_u32).rev() {
            assert_eq!(words.number(&number.to_string()), Some(number));
            assert_eq!(words.word(number), number.to_string());
        }
        assert_eq!(words.len(), 20_000);
    }
}
