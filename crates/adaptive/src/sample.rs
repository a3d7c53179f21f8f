//! Exact draws: an entry of the head, then, where it is a cluster, a word within the cluster.

use lexmax_kernels::seed::Generator;
use lexmax_output::Result;
use tch::Tensor;

use crate::Adaptive;
use crate::partition::rows_by_part;

impl Adaptive {
    /// One draw for each row, `[N]`. The generator serves the head first, then the clusters in
    /// their order.
    pub(crate) fn draw(&self, hidden: &Tensor, rng: &mut Generator) -> Result<Tensor> {
        let _guard = tch::no_grad_guard();
        let mut ids = self.head(hidden).sample(rng, &self.path)?;
        let part = ids.f_sub_scalar(self.partition.shortlist - 1)?.f_clamp_min(0)?;
        let rows_of_clusters = rows_by_part(&part, self.tails.len() as i64)?;
        for (tail, rows) in self.tails.iter().zip(&rows_of_clusters).filter(|(_, rows)| rows.numel() > 0) {
            let projected = tail.project(&hidden.f_index_select(0, rows)?)?;
            let within = tail.linear(&projected).sample(rng, &self.path)?;
            ids = ids.f_index_copy(0, rows, &within.f_add_scalar(tail.cluster.start)?)?;
        }
        Ok(ids)
    }
}
