//! Training counts to a vocabulary.

use std::sync::Arc;

use super::options::BuildOptions;
use super::words::Words;
use crate::vocab::Vocab;

/// In place of the id of a word that has none.
const NONE: u32 = u32::MAX;

/// Ids while the text is written: the training vocabulary, and `unk` as its last id once something
/// needs it.
pub(crate) struct Ids {
    words: Vec<Arc<str>>,
    counts: Vec<u64>,
    /// Id of each word, by its number in the text.
    ids: Vec<u32>,
    unk: Option<Arc<str>>,
    unk_id: Option<u32>,
}

/// A word with the count that it has in the vocabulary.
struct Entry<'a> {
    word: &'a str,
    count: u64,
    /// Number of the word in the text; none where the text lacks it.
    number: Option<u32>,
}

impl Ids {
    /// Ids of the words to keep, by falling count, ties in byte order of the word; `counts` are
    /// those of the training split. Where `unk` is given, it takes the count of all that is
    /// dropped; it is absent where nothing is dropped and the text has none.
    pub(crate) fn select(words: &Words, counts: &[u64], options: &BuildOptions) -> Ids {
        let entries = (0..).zip(counts).filter(|&(_, &count)| count > 0);
        let entries =
            entries.map(|(number, &count)| Entry { word: words.word(number), count, number: Some(number) });
        let is_reserved =
            |word: &str| [&options.unk, &options.eos].into_iter().flatten().any(|other| **other == *word);
        let (reserved, mut kept): (Vec<_>, Vec<_>) = entries.partition(|entry| is_reserved(entry.word));
        let mut dropped = 0;
        kept.retain(|entry| {
            let keep = entry.count >= options.min_count;
            dropped += if keep { 0 } else { entry.count };
            keep
        });
        let unk = options.unk.as_deref();
        if let Some(max_vocab) = options.max_vocab {
            sort(&mut kept);
            // An unk that the text lacks may still be needed by valid or test.
            let late_unk = unk.is_some() && !reserved.iter().any(|entry| unk == Some(entry.word));
            let room = max_vocab.saturating_sub(reserved.len() + usize::from(late_unk));
            dropped += kept.iter().skip(room).map(|entry| entry.count).sum::<u64>();
            kept.truncate(room);
        }
        kept.extend(reserved);
        if let Some(unk) = unk.filter(|_| dropped > 0) {
            match kept.iter_mut().find(|entry| entry.word == unk) {
                Some(entry) => entry.count += dropped,
                None => kept.push(Entry { word: unk, count: dropped, number: None }),
            }
        }
        sort(&mut kept);
        Ids::new(&kept, words.len(), unk)
    }

    fn new(entries: &[Entry<'_>], words: usize, unk: Option<&str>) -> Ids {
        let mut ids = vec![NONE; words];
        let mut unk_id = None;
        for (id, entry) in (0..).zip(entries) {
            if let Some(number) = entry.number {
                ids[number as usize] = id;
            }
            if unk == Some(entry.word) {
                unk_id = Some(id);
            }
        }
        let counts = entries.iter().map(|entry| entry.count).collect();
        let words = entries.iter().map(|entry| Arc::from(entry.word)).collect();
        Ids { words, counts, ids, unk: unk.map(Arc::from), unk_id }
    }

    /// The id of the word of a number, else of `unk`, else none.
    #[inline]
    pub(crate) fn get(&mut self, number: u32) -> Option<u32> {
        match self.ids[number as usize] {
            NONE => self.unknown(),
            id => Some(id),
        }
    }

    fn unknown(&mut self) -> Option<u32> {
        if self.unk_id.is_none() {
            let unk = self.unk.as_ref()?;
            // Nothing in train became unk, so its count is 0 and the last id keeps the order.
            let id = u32::try_from(self.words.len()).ok()?;
            self.words.push(Arc::clone(unk));
            self.counts.push(0);
            self.unk_id = Some(id);
        }
        self.unk_id
    }

    /// The vocabulary, `unk` included if it was needed.
    pub(crate) fn into_vocab(self) -> Result<Vocab, (usize, String)> {
        Vocab::new(self.words, self.counts, self.unk.as_deref())
    }
}

fn sort(entries: &mut [Entry<'_>]) {
    entries.sort_unstable_by(|one, other| other.count.cmp(&one.count).then_with(|| one.word.cmp(other.word)));
}
