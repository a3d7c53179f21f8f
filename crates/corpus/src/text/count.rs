//! Training counts to a vocabulary.

use std::collections::HashMap;
use std::sync::Arc;

use super::options::BuildOptions;
use crate::vocab::Vocab;

/// Counts of the training words.
#[derive(Default)]
pub(crate) struct Counts {
    counts: HashMap<Arc<str>, u64>,
}

impl Counts {
    pub(crate) fn add(&mut self, word: &str) {
        match self.counts.get_mut(word) {
            Some(count) => *count += 1,
            None => {
                self.counts.insert(Arc::from(word), 1);
            }
        }
    }

    /// The words to keep with their counts, by falling count, ties in byte order of the word. Where
    /// `unk` is given, it takes the count of all that is dropped; it is absent where nothing is
    /// dropped and the text has none.
    pub(crate) fn select(self, options: &BuildOptions) -> (Vec<Arc<str>>, Vec<u64>) {
        let is_reserved =
            |word: &str| [&options.unk, &options.eos].into_iter().flatten().any(|other| **other == *word);
        let (reserved, mut kept): (Vec<_>, Vec<_>) =
            self.counts.into_iter().partition(|(word, _)| is_reserved(word));
        let mut dropped = 0;
        kept.retain(|&(_, count)| {
            let keep = count >= options.min_count;
            dropped += if keep { 0 } else { count };
            keep
        });
        sort(&mut kept);
        if let Some(max_vocab) = options.max_vocab {
            let is_unk = |word: &str| options.unk.as_deref() == Some(word);
            // An unk that the text lacks may still be needed by valid or test.
            let late_unk = options.unk.is_some() && !reserved.iter().any(|(word, _)| is_unk(word));
            let room = max_vocab.saturating_sub(reserved.len() + usize::from(late_unk));
            dropped += kept.iter().skip(room).map(|(_, count)| count).sum::<u64>();
            kept.truncate(room);
        }
        kept.extend(reserved);
        if let Some(unk) = options.unk.as_deref().filter(|_| dropped > 0) {
            match kept.iter_mut().find(|(word, _)| **word == *unk) {
                Some((_, count)) => *count += dropped,
                None => kept.push((Arc::from(unk), dropped)),
            }
        }
        sort(&mut kept);
        kept.into_iter().unzip()
    }
}

fn sort(words: &mut [(Arc<str>, u64)]) {
    words.sort_unstable_by(|(word, count), (other, other_count)| {
        other_count.cmp(count).then_with(|| word.cmp(other))
    });
}

/// Ids while the text is written: the training vocabulary, and `unk` as its last id once something
/// needs it.
pub(crate) struct Ids {
    words: Vec<Arc<str>>,
    counts: Vec<u64>,
    ids: HashMap<Arc<str>, u32>,
    unk: Option<Arc<str>>,
}

impl Ids {
    pub(crate) fn new(words: Vec<Arc<str>>, counts: Vec<u64>, unk: Option<&str>) -> Ids {
        let ids = words.iter().cloned().zip(0..).collect();
        Ids { words, counts, ids, unk: unk.map(Arc::from) }
    }

    /// The id of a word, else of `unk`, else none.
    pub(crate) fn get(&mut self, word: &str) -> Option<u32> {
        if let Some(&id) = self.ids.get(word) {
            return Some(id);
        }
        let unk = self.unk.as_ref()?;
        if let Some(&id) = self.ids.get(unk) {
            return Some(id);
        }
        // Nothing in train became unk, so its count is 0 and the last id keeps the order.
        let id = u32::try_from(self.words.len()).ok()?;
        self.words.push(Arc::clone(unk));
        self.counts.push(0);
        self.ids.insert(Arc::clone(unk), id);
        Some(id)
    }

    /// The vocabulary, `unk` included if it was needed.
    pub(crate) fn into_vocab(self) -> Result<Vocab, (usize, String)> {
        Vocab::new(self.words, self.counts, self.unk.as_deref())
    }
}
