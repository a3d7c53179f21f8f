//! Classes sorted by falling count, and targets mapped to their ranks and back.

use tch::{Device, Kind, Tensor};

use crate::check::check_targets;
use crate::{OutputError, Result, WordCounts, check_elements};

/// Order of the classes by falling training count, for data whose ids are not sorted that way.
///
/// Every layer expects class 0 to be the most frequent one: clusters of the adaptive softmax,
/// log-uniform proposals and trees rely on it. The order maps the ids of a data set to such ranks
/// before training, and ranks back to ids after a query. Classes with the same count keep the
/// order of their ids.
///
/// ```
/// use lexmax_output::ClassOrder;
/// use tch::Tensor;
///
/// let order = ClassOrder::by_count(&[3, 0, 12, 5])?; // ids 2, 3, 0, 1 by falling count
/// let targets = order.ranks(&Tensor::from_slice(&[2_i64, 0, 1]), None)?;
/// assert_eq!(targets, Tensor::from_slice(&[0_i64, 2, 3]));
/// assert_eq!(order.ids(&targets)?, Tensor::from_slice(&[2_i64, 0, 1]));
/// assert_eq!(order.counts().counts(), [12, 5, 3, 0]); // for `BuildContext::with_counts`
/// # Ok::<(), lexmax_output::OutputError>(())
/// ```
#[derive(Debug)]
pub struct ClassOrder {
    counts: WordCounts,
    /// Rank of each id, `[V]`.
    rank_of_id: Tensor,
    /// Id of each rank, `[V]`.
    id_of_rank: Tensor,
}

impl ClassOrder {
    /// Sorts the classes by their training counts, `counts[id]` for each id of the data.
    ///
    /// # Errors
    /// No classes, or nothing counted.
    pub fn by_count(counts: &[u64]) -> Result<Self> {
        let mut ids: Vec<i64> = (0..counts.len() as i64).collect();
        ids.sort_by_key(|&id| std::cmp::Reverse(counts[id as usize]));
        let mut ranks = vec![0_i64; counts.len()];
        for (rank, &id) in (0..).zip(&ids) {
            ranks[id as usize] = rank;
        }
        Ok(Self {
            counts: WordCounts::new(ids.iter().map(|&id| counts[id as usize]).collect())?,
            rank_of_id: Tensor::f_from_slice(&ranks)?,
            id_of_rank: Tensor::f_from_slice(&ids)?,
        })
    }

    /// Counts the ids of a data set's targets, of any shape, and sorts the classes by them; the
    /// ignored index is not counted.
    ///
    /// # Errors
    /// Targets that are not i64; one that names no class of `0..vocab_size` and is not ignored; an
    /// ignored index in `0..vocab_size`; nothing counted.
    pub fn of_targets(targets: &Tensor, vocab_size: i64, ignore_index: Option<i64>) -> Result<Self> {
        check_elements(&[vocab_size])?;
        let known = known("ClassOrder::of_targets", targets, vocab_size, ignore_index)?;
        let counts: Vec<i64> =
            known.f_bincount(None::<&Tensor>, vocab_size)?.f_to(Device::Cpu)?.try_into()?;
        Self::by_count(&counts.into_iter().map(i64::unsigned_abs).collect::<Vec<_>>())
    }

    /// Ranks of the ids in `targets`, of any shape; `ignore_index` stays as it is.
    ///
    /// An ignored index must lie outside `0..V`, or it could not be told from a rank. To ignore a
    /// class, map its id as any other, and give the layer its rank to ignore.
    ///
    /// # Errors
    /// Targets that are not i64; an id that names no class and is not ignored; an ignored index in
    /// `0..V`.
    pub fn ranks(&self, targets: &Tensor, ignore_index: Option<i64>) -> Result<Tensor> {
        let _ = known("ClassOrder::ranks", targets, self.vocab_size(), ignore_index)?;
        let within = targets.f_clamp(0, self.vocab_size() - 1)?;
        let ranks = self.rank_of_id.f_to(targets.device())?.f_take(&within)?;
        Ok(match ignore_index {
            None => ranks,
            Some(index) => targets.f_where_self(&targets.f_eq(index)?, &ranks)?,
        })
    }

    /// Ids of ranks, of any shape: what `top_k` and `sample` answer, in the numbers of the data.
    ///
    /// # Errors
    /// Ranks that are not i64, or one outside `0..V`.
    pub fn ids(&self, ranks: &Tensor) -> Result<Tensor> {
        let _ = known("ClassOrder::ids", ranks, self.vocab_size(), None)?;
        Ok(self.id_of_rank.f_to(ranks.device())?.f_take(ranks)?)
    }

    /// Training counts by rank, for
    /// [`BuildContext::with_counts`](crate::BuildContext::with_counts).
    pub fn counts(&self) -> &WordCounts {
        &self.counts
    }

    /// Number of classes, `V`.
    pub fn vocab_size(&self) -> i64 {
        self.counts.vocab_size()
    }
}

/// Entries that name a class, `[M]`: all but the ignored ones.
///
/// # Errors
/// The first entry that neither names a class nor is ignored, by its place; another kind than i64;
/// an ignored index that names a class.
fn known(op: &'static str, given: &Tensor, vocab_size: i64, ignored: Option<i64>) -> Result<Tensor> {
    if let Some(index) = ignored.filter(|index| (0..vocab_size).contains(index)) {
        let expected = format!("a number outside 0..{vocab_size}, which names no class");
        return Err(OutputError::argument(op, "ignore_index", index, expected));
    }
    if given.kind() != Kind::Int64 {
        let expected = "Int64".to_owned();
        return Err(OutputError::Kind { op, what: "targets", given: given.kind(), expected });
    }
    let flat = given.f_flatten(0, -1)?;
    let Some(index) = ignored else {
        check_targets(op, &flat, vocab_size, None, None)?;
        return Ok(flat);
    };
    let kept = flat.f_ne(index)?.f_nonzero()?.f_squeeze_dim(1)?;
    let flat = flat.f_index_select(0, &kept)?;
    check_targets(op, &flat, vocab_size, ignored, Some(&kept))?;
    Ok(flat)
}
