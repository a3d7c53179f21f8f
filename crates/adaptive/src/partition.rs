//! The partition of the classes into shortlist and clusters, and the routing of a batch's rows
//! along it.

use lexmax_output::{OutputError, Result, WordCounts};
use tch::{Device, Kind, Tensor};

use crate::{AdaptiveConfig, NAME};

/// Elements of a cluster's weights beyond which no machine holds them: a divisor far below one asks
/// for that.
const MOST_ELEMENTS: f64 = (1_u64 << 40) as f64;

/// Consecutive ids `start..start + size` with weights of one width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cluster {
    pub start: i64,
    pub size: i64,
    pub width: i64,
}

/// Shortlist `0..shortlist` and the clusters after it.
#[derive(Debug)]
pub(crate) struct Partition {
    pub shortlist: i64,
    pub clusters: Vec<Cluster>,
    /// The cutoffs as a tensor, for routing.
    cutoffs: Tensor,
}

/// The rows of a batch by the part that their target falls in.
pub(crate) struct Routing {
    /// Index of each row's target in the head, `[N]`: the word itself, or its cluster's entry.
    pub head: Tensor,
    /// For each cluster its rows, `[M]`, rising; often none.
    pub rows: Vec<Tensor>,
}

impl Partition {
    /// The partition of a checked configuration.
    pub fn new(config: &AdaptiveConfig, vocab_size: i64, hidden_size: i64, device: Device) -> Result<Self> {
        let clusters = clusters(config, vocab_size, hidden_size)?;
        let shortlist = config.cutoffs.first().copied().unwrap_or(vocab_size);
        Ok(Self { shortlist, clusters, cutoffs: Tensor::f_from_slice(&config.cutoffs)?.f_to(device)? })
    }

    /// Number of head entries: the words of the shortlist and one for each cluster.
    pub fn head_size(&self) -> i64 {
        self.shortlist + self.clusters.len() as i64
    }

    /// Expected share of the targets in each cluster: from training counts where there are any, by
    /// size elsewhere.
    pub fn shares(&self, vocab_size: i64, counts: Option<&WordCounts>) -> Vec<f64> {
        let share = |cluster: &Cluster| match counts {
            Some(counts) => {
                let ids = cluster.start as usize..(cluster.start + cluster.size) as usize;
                counts.counts()[ids].iter().map(|&count| count as f64).sum::<f64>() / counts.total()
            }
            None => cluster.size as f64 / vocab_size as f64,
        };
        self.clusters.iter().map(share).collect()
    }

    /// The cluster of a class; `None` for the shortlist.
    pub fn cluster_of(&self, class: i64) -> Option<usize> {
        self.clusters.partition_point(|cluster| cluster.start <= class).checked_sub(1)
    }

    /// Sorts the rows of targets `[N]` by part, with one look at the device.
    pub fn route(&self, targets: &Tensor) -> Result<Routing> {
        if self.clusters.is_empty() {
            return Ok(Routing { head: targets.shallow_clone(), rows: Vec::new() });
        }
        // Part 0 is the shortlist, part i + 1 is cluster i.
        let part = targets.f_bucketize(&self.cutoffs, false, true)?;
        let entry = part.f_add_scalar(self.shortlist - 1)?;
        let head = targets.f_where_self(&part.f_eq(0)?, &entry)?;
        Ok(Routing { head, rows: rows_by_part(&part, self.clusters.len() as i64)? })
    }
}

/// The clusters of a configuration.
///
/// # Errors
/// A divisor far below one, by which a cluster gets more elements than a machine holds.
pub(crate) fn clusters(config: &AdaptiveConfig, vocab_size: i64, hidden_size: i64) -> Result<Vec<Cluster>> {
    let ends = config.cutoffs.iter().skip(1).chain([&vocab_size]);
    let clusters = config.cutoffs.iter().zip(ends).enumerate().map(|(index, (&start, &end))| {
        let size = end - start;
        let width = (hidden_size as f64 / config.div_value.powf(index as f64 + 1.0)).floor().max(1.0);
        if width * size.max(hidden_size) as f64 > MOST_ELEMENTS {
            let expected = format!("a divisor that leaves cluster {index} a width below {width:e}");
            return Err(OutputError::argument(NAME, "div_value", config.div_value, expected));
        }
        Ok(Cluster { start, size, width: width as i64 })
    });
    clusters.collect()
}

/// The rows with part `i + 1`, rising, for each of the `clusters` parts after part 0.
pub(crate) fn rows_by_part(part: &Tensor, clusters: i64) -> Result<Vec<Tensor>> {
    let sizes = part.f_bincount(None::<&Tensor>, clusters + 1)?.f_to_device(Device::Cpu)?;
    let sizes = Vec::<i64>::try_from(&sizes.f_to_kind(Kind::Int64)?)?;
    let order = part.f_argsort_stable(true, 0, false)?;
    Ok(order.f_split_with_sizes(&sizes, 0)?.into_iter().skip(1).collect())
}
