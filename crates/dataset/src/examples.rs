//! Examples of one part as slices.

/// Examples of one part of a [`crate::Dataset`].
#[derive(Debug, Clone, Copy)]
pub struct Examples<'a> {
    pub(crate) words: &'a [u32],
    pub(crate) ends: &'a [u64],
    pub(crate) classes: &'a [u32],
    pub(crate) repeats: &'a [u32],
}

impl<'a> Examples<'a> {
    /// Number of examples.
    pub fn len(&self) -> usize {
        self.classes.len()
    }

    /// Whether there are no examples.
    pub fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }

    /// Word ids of an example, at least one.
    ///
    /// # Panics
    /// As slice indexing does, if `example >= len()`.
    pub fn words(&self, example: usize) -> &'a [u32] {
        let start = example.checked_sub(1).map_or(0, |before| self.ends[before]);
        // Both were compared with the length of the words when the data set was opened.
        &self.words[start as usize..self.ends[example] as usize]
    }

    /// Class ids of all examples.
    pub fn classes(&self) -> &'a [u32] {
        self.classes
    }

    /// Examples whose text stands in the training part too, with any label, in rising order; none
    /// for the training part itself.
    pub fn repeats(&self) -> &'a [u32] {
        self.repeats
    }

    /// Word ids and class of each example.
    pub fn iter(self) -> impl Iterator<Item = (&'a [u32], u32)> {
        (0..self.len()).map(move |example| (self.words(example), self.classes[example]))
    }
}
