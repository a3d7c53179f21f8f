//! Binary code trees: which choices lead to which word.
//!
//! Only the lengths of the paths matter to a tree's cost, and they never fall with the rank of a
//! word. So every tree here is the canonical one of its lengths (Schwartz & Kallick 1964): on each
//! level the leaves come first, in the order of the ids, then the inner nodes. A whole tree is then
//! described by the number of leaves on each level, every subtree holds consecutive ids, and the
//! nodes of a level are contiguous, which is what lets tensors walk down level by level.

mod balanced;
mod huffman;
mod paths;

use lexmax_output::{OutputError, Result, WordCounts};

pub(crate) use paths::Paths;

/// A full binary tree whose leaves are the words `0..V`; inner nodes `0..V - 1` are numbered level
/// by level, root first.
///
/// ```
/// use lexmax_hierarchical::tree::{CodeTree, Step};
/// use lexmax_output::WordCounts;
///
/// # fn main() -> lexmax_output::Result<()> {
/// let tree = CodeTree::huffman(&WordCounts::new(vec![4, 2, 1, 1])?);
/// assert_eq!(tree.lengths(), [1, 2, 3, 3]);
/// assert_eq!(tree.path(1), [Step { node: 0, code: 1 }, Step { node: 1, code: 0 }]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct CodeTree {
    lengths: Vec<u32>,
    levels: Vec<Level>,
}

/// The nodes at one depth: first `leaves` leaves, then `inner` inner nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// Word of the first leaf.
    pub first_word: i64,
    /// Number of leaves.
    pub leaves: i64,
    /// Number of the first inner node.
    pub first_node: i64,
    /// Number of inner nodes.
    pub inner: i64,
}

/// One choice on a path: at inner node `node`, branch `code`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Inner node, `0..V - 1`.
    pub node: i64,
    /// Branch, 0 or 1.
    pub code: i64,
}

impl CodeTree {
    /// The Huffman tree: the least `sum_w count_w length_w` (Huffman 1952, "A method for the
    /// construction of minimum-redundancy codes"). Equal counts are merged in the order of their
    /// ids, leaves before inner nodes, so the tree is a function of the counts alone and as shallow
    /// as ties allow.
    ///
    /// Time `O(V)`, as the counts are sorted; workspace about 40 bytes a word. No recursion: the
    /// depth may reach `1.45 log2(sum of counts) + log2 V`, where counts grow like Fibonacci
    /// numbers.
    pub fn huffman(counts: &WordCounts) -> Self {
        Self::canonical(huffman::code_lengths(counts.counts()))
    }

    /// The tree whose paths differ by at most one in length; the frequent words get the shorter
    /// ones. Time `O(V)`.
    ///
    /// # Errors
    /// No words.
    pub fn balanced(vocab_size: i64) -> Result<Self> {
        if vocab_size < 1 {
            return Err(OutputError::argument("balanced tree", "vocab_size", vocab_size, "at least 1 word"));
        }
        Ok(Self::canonical(balanced::code_lengths(vocab_size as usize)))
    }

    /// The canonical tree of code lengths that never fall and whose Kraft sum is 1.
    fn canonical(lengths: Vec<u32>) -> Self {
        let depth = lengths.last().copied().unwrap_or(0) as usize;
        let mut leaves = vec![0; depth + 1];
        for &length in &lengths {
            leaves[length as usize] += 1;
        }
        let mut levels = Vec::with_capacity(depth + 1);
        let (mut first_word, mut first_node, mut nodes) = (0, 0, 1);
        for leaves in leaves {
            let inner = nodes - leaves;
            levels.push(Level { first_word, leaves, first_node, inner });
            first_word += leaves;
            first_node += inner;
            nodes = 2 * inner;
        }
        Self { lengths, levels }
    }

    /// Length of each word's path, `V` numbers that never fall with the id.
    pub fn lengths(&self) -> &[u32] {
        &self.lengths
    }

    /// The levels, root first; there is one more than the longest path has steps.
    pub fn levels(&self) -> &[Level] {
        &self.levels
    }

    /// Length of the longest path.
    pub fn depth(&self) -> usize {
        self.levels.len() - 1
    }

    /// Number of words, `V`.
    pub fn vocab_size(&self) -> i64 {
        self.lengths.len() as i64
    }

    /// The choices that lead to a word, root first. Empty for the one word of a tree with `V = 1`.
    ///
    /// # Panics
    /// `word >= V`.
    pub fn path(&self, word: usize) -> Vec<Step> {
        let length = self.lengths[word] as usize;
        let mut steps = Vec::with_capacity(length);
        let mut position = word as i64 - self.levels[length].first_word;
        for level in self.levels[..length].iter().rev() {
            let (parent, code) = (position / 2, position % 2);
            steps.push(Step { node: level.first_node + parent, code });
            position = level.leaves + parent;
        }
        steps.reverse();
        steps
    }

    /// Mean path length under the counts, or over the words where there are none.
    pub fn mean_length(&self, counts: Option<&WordCounts>) -> f64 {
        let lengths = self.lengths.iter().map(|&length| f64::from(length));
        match counts {
            Some(counts) => {
                let weighted = lengths.zip(counts.counts()).map(|(length, &count)| length * count as f64);
                weighted.sum::<f64>() / counts.total()
            }
            None => lengths.sum::<f64>() / self.lengths.len() as f64,
        }
    }
}

#[cfg(test)]
mod tests;
