//! Classes of consecutive ids, and batches grouped by class.

use lexmax_output::Result;
use tch::{Device, Tensor};

/// `C` classes of consecutive ids.
#[derive(Debug)]
pub(super) struct Classes {
    /// First id of each class, and `V` after the last.
    starts: Vec<i64>,
    /// First id after each class, `[C]`.
    ends: Tensor,
    /// First id of each class, `[C]`.
    firsts: Tensor,
}

/// Rows of a batch in the order of their classes.
#[derive(Debug)]
pub(super) struct Grouped {
    /// Which row stands at each place, `[M]`.
    pub order: Tensor,
    /// The classes that occur, rising, each with its number of rows.
    pub groups: Vec<(usize, i64)>,
}

impl Classes {
    pub fn new(starts: Vec<i64>, device: Device) -> Result<Self> {
        let ends = Tensor::f_from_slice(&starts[1..])?.f_to(device)?;
        let firsts = Tensor::f_from_slice(&starts[..starts.len() - 1])?.f_to(device)?;
        Ok(Self { starts, ends, firsts })
    }

    pub fn count(&self) -> usize {
        self.starts.len() - 1
    }

    /// First id of each class, and `V` after the last.
    pub fn starts(&self) -> &[i64] {
        &self.starts
    }

    pub fn first(&self, class: usize) -> i64 {
        self.starts[class]
    }

    pub fn sizes(&self) -> Vec<i64> {
        self.starts.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }

    /// The class of each word, `[M]`, and the word's place in it, `[M]`.
    pub fn of(&self, words: &Tensor) -> Result<(Tensor, Tensor)> {
        let classes = words.f_bucketize(&self.ends, false, true)?;
        let places = words.f_sub(&self.firsts.f_index_select(0, &classes)?)?;
        Ok((classes, places))
    }

    /// Groups rows by their class, keeping their order within a class.
    pub fn group(&self, classes: &Tensor) -> Result<Grouped> {
        let order = classes.f_argsort_stable(true, 0, false)?;
        let rows = Vec::<i64>::try_from(&classes.f_bincount(None::<&Tensor>, self.count() as i64)?)?;
        let groups = rows.into_iter().enumerate().filter(|&(_, rows)| rows > 0).collect();
        Ok(Grouped { order, groups })
    }
}

impl Grouped {
    /// A tensor of rows in their order of before, cut into one part for each class that occurs.
    pub fn split(&self, rows: &Tensor) -> Result<Vec<Tensor>> {
        let sizes: Vec<i64> = self.groups.iter().map(|&(_, rows)| rows).collect();
        Ok(rows.f_index_select(0, &self.order)?.f_split_with_sizes(&sizes, 0)?)
    }

    /// The inverse of [`Grouped::split`].
    pub fn join(&self, parts: &[Tensor]) -> Result<Tensor> {
        Ok(Tensor::f_cat(parts, 0)?.f_index_select(0, &self.order.f_argsort(0, false)?)?)
    }
}
