//! Exact top-k of the two-level layer: classes in the order of their probability, which bounds that
//! of their words.

use lexmax_output::dense::log_softmax;
use lexmax_output::{Result, TopK};
use tch::Tensor;

use super::TwoLevel;
use crate::best::Best;
use crate::host::{flat_f64, flat_i64};

/// One row's search: its classes by falling probability, and how many of them are opened.
struct Search {
    best: Best,
    classes: Vec<(f64, i64)>,
    opened: usize,
}

impl Search {
    /// The next class that may hold one of the `k` best words.
    fn next(&mut self) -> Option<usize> {
        let &(bound, class) = self.classes.get(self.opened)?;
        self.opened += 1;
        self.best.admits(bound).then_some(class as usize)
    }
}

impl TwoLevel {
    /// The top `k` of every row of hidden `[N, D]`, and how many words were scored for it, over all
    /// rows.
    ///
    /// Rounds: every row opens its next class, and rows that open the same class share one product.
    pub(super) fn search(&self, hidden: &Tensor, k: i64) -> Result<(TopK, u64)> {
        let _guard = tch::no_grad_guard();
        let class_log_probs = self.class_log_probs(hidden)?;
        let words = self.words_by_class()?;
        let mut searches = searches(&class_log_probs, k as usize)?;
        let mut scored = 0;
        loop {
            let next = searches.iter_mut().enumerate();
            let mut requests: Vec<_> =
                next.filter_map(|(row, search)| Some((search.next()?, row as i64))).collect();
            if requests.is_empty() {
                break;
            }
            requests.sort_unstable();
            for group in requests.chunk_by(|left, right| left.0 == right.0) {
                let class = group[0].0;
                let (weight, bias) = &words[class];
                let rows: Vec<i64> = group.iter().map(|&(_, row)| row).collect();
                let index = Tensor::f_from_slice(&rows)?.f_to(hidden.device())?;
                let logits = hidden.f_index_select(0, &index)?.f_linear(weight, bias.as_ref())?;
                let of_class = class_log_probs.f_narrow(1, class as i64, 1)?.f_index_select(0, &index)?;
                let log_probs = log_softmax(&logits)?.f_add(&of_class)?;
                scored += log_probs.numel() as u64;
                let kept = k.min(log_probs.size()[1]);
                let (values, places) = log_probs.f_topk(kept, -1, true, false)?;
                let (values, places) = (flat_f64(&values)?, flat_i64(&places)?);
                let first = self.classes.first(class);
                for (at, (value, place)) in values.into_iter().zip(places).enumerate() {
                    searches[rows[at / kept as usize] as usize].best.offer(value, first + place);
                }
            }
        }
        let best = searches.into_iter().map(|search| search.best).collect();
        Ok((Best::into_top_k(best, k, self.weight.kind(), hidden.device())?, scored))
    }
}

fn searches(class_log_probs: &Tensor, k: usize) -> Result<Vec<Search>> {
    let count = class_log_probs.size()[1] as usize;
    let (bounds, classes) = class_log_probs.f_sort(1, true)?;
    let pairs: Vec<_> = flat_f64(&bounds)?.into_iter().zip(flat_i64(&classes)?).collect();
    let search = |classes: &[(f64, i64)]| Search { best: Best::new(k), classes: classes.to_vec(), opened: 0 };
    Ok(pairs.chunks_exact(count).map(search).collect())
}
