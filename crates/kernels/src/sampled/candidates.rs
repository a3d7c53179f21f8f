//! The classes that a batch looks at, sorted: which are touched, by which targets and by which
//! negatives.

use crate::error::{KernelError, Result};

/// Assignment of negatives to rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sets {
    /// All rows see the same `S` negatives.
    Shared,
    /// Row `i` sees the targets of the other rows; no ids are given, and `S = N`.
    InBatch,
    /// Every row has `S` of its own: `ids` are `[N, S]`.
    PerRow,
}

/// Negatives of `N` rows, with the natural logarithms of their expected counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Negatives {
    /// Rows that see these negatives.
    pub sets: Sets,
    /// Class ids of the negatives: `[S]` if shared, `[N, S]` per row, empty in-batch.
    pub ids: Vec<i64>,
    /// Log expected count of each negative: `[S]`, `[N, S]`, in-batch `[N]`. Shared negatives of
    /// the same class have the same.
    pub log_expected: Vec<f64>,
    /// Log expected count of each row's target, `[N]`.
    pub target_log_expected: Vec<f64>,
    /// Whether a negative that is the row's target is left out of that row. In-batch a row's own
    /// target always is.
    pub leave_hits_out: bool,
}

/// Targets and negatives of a batch, checked, with the classes that they touch in rising order.
///
/// Making it sorts `N` targets and all negatives; nothing in it is as long as the vocabulary.
///
/// ```
/// use lexmax_kernels::sampled::{Candidates, Negatives, Sets};
///
/// let negatives = Negatives {
///     sets: Sets::Shared,
///     ids: vec![7, 2, 7],
///     log_expected: vec![0.0; 3],
///     target_log_expected: vec![0.0; 2],
///     leave_hits_out: true,
/// };
/// let candidates = Candidates::new(vec![4, 2], negatives, 10)?;
/// assert_eq!(candidates.classes(), [2, 4, 7]);
/// # Ok::<(), lexmax_kernels::KernelError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Candidates {
    pub(super) targets: Vec<u32>,
    pub(super) negatives: Negatives,
    pub(super) vocab_size: usize,
    /// Distinct touched classes in rising order, `[R]`.
    classes: Vec<i64>,
    /// Rows by their target: those of the class `classes[u]` are
    /// `by_target[target_starts[u]..target_starts[u + 1]]`.
    by_target: Vec<u32>,
    target_starts: Vec<usize>,
    /// Positions in `ids` by class, as above; empty in-batch.
    by_negative: Vec<u32>,
    negative_starts: Vec<usize>,
}

const OP: &str = "sampled.candidates";

impl Candidates {
    /// Checks targets `[N]` and negatives of a vocabulary and sorts them. Cost: a sort of `N` plus
    /// all negatives.
    ///
    /// # Errors
    /// Lengths that do not fit; a logarithm that is not finite, or differs between shared negatives
    /// of one class; a class outside the vocabulary; more than `2^32` classes or candidates.
    pub fn new(targets: Vec<i64>, negatives: Negatives, vocab_size: usize) -> Result<Self> {
        let rows = targets.len();
        negatives.check(rows)?;
        let count = rows + negatives.ids.len();
        for (name, size) in [("vocab_size", vocab_size), ("candidates", count)] {
            if u32::try_from(size).is_err() {
                return Err(KernelError::argument(OP, name, size, "at most 2^32 - 1"));
            }
        }
        // Class and place in one number: sorted, the places of a class are together and in their
        // order.
        let mut keys = Vec::with_capacity(count);
        for (place, &id) in targets.iter().chain(&negatives.ids).enumerate() {
            match usize::try_from(id) {
                Ok(class) if class < vocab_size => keys.push((class as u64) << 32 | place as u64),
                _ if place < rows => {
                    let or_ignored = String::new();
                    return Err(KernelError::Target {
                        op: OP,
                        row: place,
                        given: id,
                        vocab_size,
                        or_ignored,
                    });
                }
                _ => {
                    let expected = format!("classes in 0..{vocab_size}");
                    return Err(KernelError::argument(OP, "negatives", id, expected));
                }
            }
        }
        keys.sort_unstable();
        let mut sorted = Self {
            targets: targets.into_iter().map(|id| id as u32).collect(),
            vocab_size,
            classes: Vec::new(),
            by_target: Vec::with_capacity(rows),
            target_starts: Vec::new(),
            by_negative: Vec::with_capacity(negatives.ids.len()),
            negative_starts: Vec::new(),
            negatives,
        };
        for same in keys.chunk_by(|a, b| a >> 32 == b >> 32) {
            sorted.classes.push((same[0] >> 32) as i64);
            sorted.target_starts.push(sorted.by_target.len());
            sorted.negative_starts.push(sorted.by_negative.len());
            let of_class = sorted.by_negative.len();
            for key in same {
                let place = *key as u32;
                match place.checked_sub(rows as u32) {
                    Some(position) => sorted.by_negative.push(position),
                    None => sorted.by_target.push(place),
                }
            }
            sorted.negatives.check_repeats(&sorted.by_negative[of_class..])?;
        }
        sorted.target_starts.push(sorted.by_target.len());
        sorted.negative_starts.push(sorted.by_negative.len());
        Ok(sorted)
    }

    /// The classes whose rows of the weight are read, and whose gradients are not zero: `[R]`,
    /// rising, each once.
    pub fn classes(&self) -> &[i64] {
        &self.classes
    }

    /// Number of rows, `N`.
    pub fn rows(&self) -> usize {
        self.targets.len()
    }

    /// Negatives that each row is shown, `S`, those that it leaves out included.
    pub fn samples(&self) -> usize {
        match self.negatives.sets {
            Sets::Shared => self.negatives.ids.len(),
            Sets::InBatch => self.rows(),
            Sets::PerRow => self.negatives.ids.len() / self.rows().max(1),
        }
    }

    /// Rows that see the negatives.
    pub fn sets(&self) -> Sets {
        self.negatives.sets
    }

    /// Rows whose target is the `touched`th class.
    pub(super) fn targets_of(&self, touched: usize) -> &[u32] {
        &self.by_target[self.target_starts[touched]..self.target_starts[touched + 1]]
    }

    /// Positions of the negatives that are the `touched`th class; in-batch they are the rows of
    /// these targets.
    pub(super) fn negatives_of(&self, touched: usize) -> &[u32] {
        match self.negatives.sets {
            Sets::InBatch => self.targets_of(touched),
            _ => &self.by_negative[self.negative_starts[touched]..self.negative_starts[touched + 1]],
        }
    }

    /// Ends of the `touched` classes in shares of about the same number of candidates, one for each
    /// thread.
    pub(super) fn shares(&self, threads: usize) -> Vec<usize> {
        let before = |touched: usize| self.target_starts[touched] + self.negative_starts[touched];
        let (classes, all) = (self.classes.len(), before(self.classes.len()));
        let ends = (1..threads).map(|thread| {
            let wanted = all * thread / threads;
            let (mut low, mut high) = (0, classes);
            while low < high {
                let middle = (low + high) / 2;
                if before(middle) < wanted { low = middle + 1 } else { high = middle }
            }
            low
        });
        ends.chain([classes]).collect()
    }
}

impl Negatives {
    fn check(&self, rows: usize) -> Result<()> {
        let (of, what) = (self.ids.len(), "log_expected");
        let given = self.log_expected.len();
        match self.sets {
            Sets::InBatch => {
                KernelError::check_length(OP, "ids", of, 0, "in-batch negatives are the targets")?;
                KernelError::check_length(OP, what, given, rows, "one for each target")?;
            }
            Sets::Shared | Sets::PerRow if of == 0 && rows > 0 => {
                return Err(KernelError::argument(OP, "negatives", "none", "at least one"));
            }
            Sets::Shared | Sets::PerRow => {
                KernelError::check_length(OP, what, given, of, "one for each negative")?;
            }
        }
        if self.sets == Sets::PerRow && !of.is_multiple_of(rows.max(1)) {
            return Err(KernelError::argument(OP, "ids", of, format!("as many for each of {rows} rows")));
        }
        let given = self.target_log_expected.len();
        KernelError::check_length(OP, "target_log_expected", given, rows, "one for each target")?;
        let all = [(what, &self.log_expected), ("target_log_expected", &self.target_log_expected)];
        for (name, numbers) in all {
            if let Some(bad) = numbers.iter().find(|number| !number.is_finite()) {
                let expected = "finite numbers: the logarithms of expected counts above zero";
                return Err(KernelError::argument(OP, name, bad, expected));
            }
        }
        Ok(())
    }

    /// Negatives of one class that all rows share count once, with the expected count of any of
    /// them.
    fn check_repeats(&self, positions: &[u32]) -> Result<()> {
        let [first, rest @ ..] = positions else { return Ok(()) };
        let expected = self.log_expected[*first as usize];
        let other =
            rest.iter().map(|position| self.log_expected[*position as usize]).find(|x| *x != expected);
        match other {
            Some(other) if self.sets == Sets::Shared => {
                let expected = format!("{expected}, as for the same class at position {first}");
                Err(KernelError::argument(OP, "log_expected", other, expected))
            }
            _ => Ok(()),
        }
    }
}
