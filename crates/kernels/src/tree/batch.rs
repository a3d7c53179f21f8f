//! A batch's paths as one trie: rows sorted so that those which share nodes are neighbours, and
//! each node listed once.

use crate::error::{KernelError, Result};

/// The paths of all words, one after the other.
#[derive(Debug, Clone, Copy)]
pub struct Table<'a> {
    /// Start of each word's path in `steps`, then the number of steps: `[V + 1]`.
    pub offsets: &'a [i64],
    /// Steps of all paths, `2 node + code` each, root first. Every node is reached in one way only,
    /// as in a tree.
    pub steps: &'a [i32],
}

impl<'a> Table<'a> {
    /// Number of words, `V`.
    pub fn vocab_size(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    fn path(&self, word: usize) -> Option<&'a [i32]> {
        let at = |index: usize| usize::try_from(*self.offsets.get(index)?).ok();
        self.steps.get(at(word)?..at(word + 1)?)
    }
}

/// The paths of a batch's targets.
///
/// Rows are sorted by their path's codes. Then the rows that visit a node are neighbours, a row
/// shares its first nodes with the one before, and the nodes that a range of rows visits first are
/// its own. Nodes are numbered by that first visit here.
///
/// Cost: `O(N log N + T)` for `T` steps in all. Memory: 4 bytes a step, 24 bytes a row and 24 bytes
/// a node.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Row of the batch at each position, `[N]`.
    pub(super) order: Vec<u32>,
    /// Start of each position's steps, then their number `T`: `[N + 1]`.
    starts: Vec<usize>,
    /// Steps of all positions, `2 visit + code` each, where `visit` numbers nodes by their first
    /// visit, `[T]`.
    steps: Vec<u32>,
    /// Number of nodes visited before each position, then their number `R`: `[N + 1]`.
    pub(super) firsts: Vec<usize>,
    /// The nodes by first visit.
    pub(super) visits: Vec<Visit>,
    nodes: Vec<i64>,
    node_count: usize,
    longest: usize,
}

/// A node that the batch visits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Visit {
    /// Number of the node in the tree.
    pub node: u32,
    /// Index of the node among those of the batch, in rising order.
    pub slot: u32,
    /// The position after the last row that visits it.
    pub end: u32,
}

impl Batch {
    /// Looks up the paths of `targets` `[N]` in a tree of `node_count` nodes.
    ///
    /// # Errors
    /// A target that names no word; a table that is not that of a tree of so many nodes.
    pub fn new(table: Table<'_>, targets: &[i64], node_count: usize) -> Result<Self> {
        let op = "tree.batch";
        let vocab_size = table.vocab_size();
        if targets.len() >= u32::MAX as usize || node_count > 1 << 30 {
            let given = format!("{} rows, {node_count} nodes", targets.len());
            return Err(KernelError::argument(op, "sizes", given, "rows in 32 bits and at most 2^30 nodes"));
        }
        // First where all paths lie, then what they are: so the misses of a table beyond the caches
        // overlap.
        let mut paths = Vec::with_capacity(targets.len());
        for (row, &given) in targets.iter().enumerate() {
            let word = usize::try_from(given).ok().filter(|&word| word < vocab_size).ok_or_else(|| {
                KernelError::Target { op, row, given, vocab_size, or_ignored: String::new() }
            })?;
            paths.push(table.path(word).ok_or_else(|| broken(op, "offsets", word))?);
        }
        let longest = paths.iter().map(|path| path.len()).max().unwrap_or(0);
        let keys = paths.into_iter().enumerate().map(|(row, path)| (key(path), row as u32, path));
        let mut keyed: Vec<_> = keys.collect();
        keyed.sort_unstable_by(|a, b| {
            let deep = |path: &'_ [i32]| path.len() > KEY_STEPS;
            // Codes beyond the key decide only where it cannot.
            let rest = || if deep(a.2) || deep(b.2) { a.2.cmp(b.2) } else { std::cmp::Ordering::Equal };
            a.0.cmp(&b.0).then_with(rest).then(a.1.cmp(&b.1))
        });
        let mut batch = Self {
            order: keyed.iter().map(|&(_, row, _)| row).collect(),
            starts: Vec::with_capacity(keyed.len() + 1),
            steps: Vec::with_capacity(keyed.iter().map(|(_, _, path)| path.len()).sum()),
            firsts: Vec::with_capacity(keyed.len() + 1),
            visits: Vec::new(),
            nodes: Vec::new(),
            node_count,
            longest,
        };
        let by_depth = batch.walk(op, keyed.iter().map(|&(_, _, path)| path))?;
        batch.number(op, by_depth)?;
        Ok(batch)
    }

    /// Fills steps and visits; gives the visits by their depth.
    fn walk<'a>(
        &mut self,
        op: &'static str,
        paths: impl Iterator<Item = &'a [i32]>,
    ) -> Result<Vec<Vec<u32>>> {
        // The path to the row at hand, as `(node, visit)`.
        let mut stack: Vec<(i32, u32)> = Vec::with_capacity(self.longest);
        let mut by_depth = vec![Vec::new(); self.longest];
        for (position, path) in paths.enumerate() {
            self.starts.push(self.steps.len());
            self.firsts.push(self.visits.len());
            let shared = stack.iter().zip(path).take_while(|((node, _), step)| *node == **step >> 1).count();
            for (_, visit) in stack.drain(shared..) {
                self.visits[visit as usize].end = position as u32;
            }
            for (depth, &step) in path.iter().enumerate().skip(shared) {
                let node = u32::try_from(step >> 1).ok().filter(|&node| (node as usize) < self.node_count);
                let node = node.ok_or_else(|| broken(op, "steps", step))?;
                let visit = self.visits.len() as u32;
                self.visits.push(Visit { node, slot: 0, end: 0 });
                by_depth[depth].push(visit);
                stack.push((step >> 1, visit));
            }
            self.steps
                .extend(path.iter().zip(&stack).map(|(step, (_, visit))| 2 * visit + (step & 1) as u32));
        }
        self.starts.push(self.steps.len());
        self.firsts.push(self.visits.len());
        for (_, visit) in stack {
            self.visits[visit as usize].end = self.order.len() as u32;
        }
        Ok(by_depth)
    }

    /// Puts the nodes into rising order.
    fn number(&mut self, op: &'static str, by_depth: Vec<Vec<u32>>) -> Result<()> {
        let node = |visit: &u32| self.visits[*visit as usize].node;
        let mut sorted = by_depth.concat();
        // Where nodes are numbered level by level they are in order now, and this finds one run.
        sorted.sort_by_key(node);
        self.nodes = sorted.iter().map(|visit| i64::from(node(visit))).collect();
        if let Some(twice) = self.nodes.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(broken(op, "steps", format!("node {} on two ways", twice[0])));
        }
        for (slot, visit) in sorted.into_iter().enumerate() {
            self.visits[visit as usize].slot = slot as u32;
        }
        Ok(())
    }

    /// The nodes that the batch visits, rising, each once: `[R]`. Gradients of the nodes have one
    /// row for each of these.
    pub fn nodes(&self) -> &[i64] {
        &self.nodes
    }

    /// Number of rows, `N`.
    pub fn rows(&self) -> usize {
        self.order.len()
    }

    /// Steps of all rows, `T`.
    pub fn step_count(&self) -> usize {
        self.steps.len()
    }

    /// Nodes of the tree.
    pub(super) fn node_count(&self) -> usize {
        self.node_count
    }

    /// Steps of the longest path.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    /// `2 visit + code` of the steps at a position.
    pub(super) fn steps_at(&self, position: usize) -> &[u32] {
        &self.steps[self.starts[position]..self.starts[position + 1]]
    }

    /// Number of nodes at the start of a position's path that the previous position visits too.
    pub(super) fn shared(&self, position: usize) -> usize {
        self.steps_at(position).len() - (self.firsts[position + 1] - self.firsts[position])
    }

    /// Positions of one of `threads` threads: neighbours, with about the same number of steps each.
    pub(super) fn share(&self, thread: usize, threads: usize) -> std::ops::Range<usize> {
        let cut = |thread: usize| {
            if thread == threads {
                return self.rows();
            }
            let steps = self.step_count() * thread / threads;
            self.starts.partition_point(|&start| start < steps).min(self.rows())
        };
        cut(thread)..cut(thread + 1)
    }
}

/// Codes that the key of a path holds.
const KEY_STEPS: usize = u64::BITS as usize;

/// The first codes of a path, the first in the highest bit.
fn key(path: &[i32]) -> u64 {
    let codes = path.iter().take(KEY_STEPS).enumerate();
    codes.fold(0, |key, (depth, step)| key | u64::from((step & 1) as u32) << (KEY_STEPS - 1 - depth))
}

fn broken(op: &'static str, name: &'static str, given: impl ToString) -> KernelError {
    KernelError::argument(op, name, given, "the paths of a tree, whose nodes are numbered from zero")
}
