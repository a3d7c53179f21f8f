//! Most probable classes of a mixture: by bounds where these decide, dense where they do not.

use lexmax_output::chunked::ChunkMemory;
use lexmax_output::dense::wide_kind;
use lexmax_output::fused::Scratch;
use lexmax_output::{PathMemory, Result, TopK, top_k_of};
use tch::Tensor;

use crate::{Mixture, fused};

/// Bytes that a dense top-k beside the kernels takes for the log-probabilities of the rows that it
/// looks at together.
const DENSE_BYTES: usize = 32 << 20;
/// Tensors `[rows, V]` that live at once while the components are mixed one after the other.
const DENSE_TENSORS: i64 = 4;
/// Rows that show whether bounds decide: where they do not for most of them, the others are dense
/// at once.
const PROBED: i64 = 32;

impl Mixture {
    /// The `k` most probable classes of each row, and the number of rows that were made dense.
    pub(crate) fn search(&self, hidden: &Tensor, k: i64) -> Result<(TopK, i64)> {
        let rows = hidden.size()[0];
        let Some(scratch) = self.path.scratch() else { return Ok((self.dense(hidden, k)?, rows)) };
        let first = PROBED.min(rows);
        let [probed, others] = [hidden.f_narrow(0, 0, first)?, hidden.f_narrow(0, first, rows - first)?];
        let (top, open) = self.by_bounds(&probed, k, scratch)?;
        let (rest, dense) = match 2 * open > first {
            true => (self.dense(&others, k)?, rows - first),
            false => self.by_bounds(&others, k, scratch)?,
        };
        Ok((TopK::joined([top, rest])?, open + dense))
    }

    /// Best classes by bounds, dense where these do not decide, and the number of such rows.
    fn by_bounds(&self, hidden: &Tensor, k: i64, scratch: &Scratch) -> Result<(TopK, i64)> {
        let states = self.states(hidden)?;
        let latent = self.rows(&states)?;
        let Some(log_prior) = &states.log_prior else {
            return Ok((self.linear(&latent).top_k("mos.top_k", k, &self.path)?, 0));
        };
        let (mut top, open) = fused::top_k(self.given(&latent, log_prior), k, scratch)?;
        if open.numel() > 0 {
            let dense = self.dense(&hidden.f_index_select(0, &open)?, k)?;
            top.log_probs = top.log_probs.f_index_copy(0, &open, &dense.log_probs)?;
            top.ids = top.ids.f_index_copy(0, &open, &dense.ids)?;
        }
        Ok((top, open.size()[0]))
    }

    /// From all log-probabilities, of a few rows at a time.
    fn dense(&self, hidden: &Tensor, k: i64) -> Result<TopK> {
        let element = wide_kind(self.weight.kind()).elt_size_in_bytes() as i64;
        let memory = match &self.path {
            PathMemory::Fused(_) => ChunkMemory::new(Some(DENSE_BYTES)),
            path => path.chunk_memory(),
        };
        let of_row = self.loss.vocab_size() * element * DENSE_TENSORS;
        let chunks = memory.chunks(hidden.size()[0], of_row, hidden.device());
        let dense = |rows: &Tensor| top_k_of("mos.top_k", &self.mixed(rows)?, k);
        if chunks.is_one() {
            return dense(hidden);
        }
        let parts = chunks.map(|(first, rows)| dense(&hidden.f_narrow(0, first, rows)?));
        TopK::joined(parts.collect::<Result<Vec<_>>>()?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use lexmax_output::BuildContext;
    use tch::{Device, Kind, nn};

    use super::*;
    use crate::MixtureConfig;

    /// Rows of 80 that are made dense, with so many times the class weight.
    fn dense_rows(factor: f64, components: i64) -> i64 {
        let store = nn::VarStore::new(Device::Cpu);
        let config = MixtureConfig { components, ..MixtureConfig::default() };
        let mixture = Mixture::new(&BuildContext::new(store.root(), 3000, 24, 1), &config).unwrap();
        let steps = Tensor::arange(80 * 24, (Kind::Float, Device::Cpu));
        let hidden = ((steps * 0.7).sin() * 1.5).view([80, 24]);
        tch::no_grad(|| {
            let mut weight = mixture.weight.shallow_clone();
            let _ = weight.f_mul_scalar_(factor).unwrap();
            mixture.search(&hidden, 3).unwrap().1
        })
    }

    #[test]
    fn bounds_decide_uneven_rows_and_a_probe_skips_flat_ones() {
        assert!(dense_rows(1e-3, 4) > 60, "flat");
        assert!(dense_rows(100.0, 4) < 8, "uneven");
        assert_eq!(dense_rows(1e-3, 1), 0, "one component is a softmax");
    }
}
