//! Label smoothing over the softmaxes of a layer.

use lexmax_output::dense::wide_kind;
use lexmax_output::{BuildContext, Loss, Result};
use tch::{Kind, Tensor};

use crate::partition::Partition;

/// Label smoothing `e` over the `V` classes of the whole distribution.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Smoothing {
    pub smoothing: f64,
    pub classes: usize,
}

/// The smoothing, and the weights of the entries in it, of the head and then of each cluster; none
/// without smoothing. They are f32 for half precision.
#[derive(Debug)]
pub(crate) struct SmoothedEntries {
    pub spread: Smoothing,
    pub weights: Vec<Option<Tensor>>,
    /// Dtype of the weights.
    pub kind: Kind,
}

impl SmoothedEntries {
    pub fn new(context: &BuildContext<'_>, partition: &Partition, loss: &Loss) -> Result<Self> {
        let options = loss.options();
        let weights = if loss.needs_all_classes() {
            smoothing_weights(partition, options.class_weights.as_deref(), context)?
        } else {
            Vec::new()
        };
        let classes = usize::try_from(context.vocab_size).unwrap_or(0);
        let spread = Smoothing { smoothing: options.label_smoothing, classes };
        Ok(Self { spread, weights, kind: wide_kind(context.kind()) })
    }
}

/// Weights of the entries in the smoothing: of a word its class weight, of a cluster's entry in the
/// head the sum of its words'.
fn smoothing_weights(
    partition: &Partition,
    class_weights: Option<&[f64]>,
    context: &BuildContext<'_>,
) -> Result<Vec<Option<Tensor>>> {
    let kind = wide_kind(context.kind());
    let tensor = |weights: &[f64]| Tensor::f_from_slice(weights)?.f_to_kind(kind)?.f_to(context.device());
    let words =
        |start: i64, size: i64| class_weights.map(|weights| &weights[start as usize..][..size as usize]);
    let shortlist = partition.shortlist;
    let mut head = words(0, shortlist).map_or_else(|| vec![1.0; shortlist as usize], <[f64]>::to_vec);
    let mut all = vec![None];
    for cluster in &partition.clusters {
        let words = words(cluster.start, cluster.size);
        head.push(words.map_or(cluster.size as f64, |words| words.iter().sum()));
        all.push(words.map(tensor).transpose()?);
    }
    all[0] = Some(tensor(&head)?);
    Ok(all)
}
