//! Weights of PyTorch's `nn.AdaptiveLogSoftmaxWithLoss` in the adaptive softmax layer.

use lexmax_output::{Result, copy_saved};
use tch::Tensor;

use crate::Adaptive;

impl Adaptive {
    /// Takes the weights of a PyTorch `nn.AdaptiveLogSoftmaxWithLoss` with the same cutoffs,
    /// `div_value` and `head_bias` (which PyTorch leaves out unless it is asked for), each name
    /// after `prefix`.
    ///
    /// | PyTorch | shape | parameter here |
    /// | --- | --- | --- |
    /// | `head.weight` | `[S + m, D]` | `head.weight` |
    /// | `head.bias` | `[S + m]` | `head.bias` |
    /// | `tail.i.0.weight` | `[d_i, D]` | `tail.i.projection` |
    /// | `tail.i.1.weight` | `[C_i, d_i]` | `tail.i.weight` |
    ///
    /// In Python `safetensors.torch.save_file(model.state_dict(), "model.safetensors")` writes what
    /// `Tensor::read_safetensors` reads; with `model.out` as the adaptive softmax, `prefix` is
    /// `"out."`. Log-probabilities are then those of its `log_prob`.
    ///
    /// # Errors
    /// As [`copy_saved`], also where the file has another number of clusters; nothing changes then.
    ///
    /// ```no_run
    /// # use lexmax_adaptive::{Adaptive, AdaptiveConfig};
    /// # use lexmax_output::BuildContext;
    /// # use tch::{Device, Tensor, nn};
    /// let store = nn::VarStore::new(Device::Cpu);
    /// let config = AdaptiveConfig { head_bias: false, ..AdaptiveConfig::with_cutoffs([2_000, 10_000]) };
    /// let mut layer = Adaptive::new(&BuildContext::new(store.root(), 33_278, 200, 1), &config)?;
    /// layer.load_torch(&Tensor::read_safetensors("model.safetensors")?, "out.")?;
    /// # Ok::<(), lexmax_output::OutputError>(())
    /// ```
    pub fn load_torch(&mut self, saved: &[(String, Tensor)], prefix: &str) -> Result<()> {
        let mut parameters = vec![
            ("head.weight".to_owned(), Some(&self.head_weight)),
            ("head.bias".to_owned(), self.head_bias.as_ref()),
        ];
        for (index, tail) in self.tails.iter().enumerate() {
            let [projection, weight, bias] = tail.parameters();
            parameters.push((format!("tail.{index}.0.weight"), projection));
            parameters.push((format!("tail.{index}.1.weight"), weight));
            parameters.push((format!("tail.{index}.1.bias"), bias));
        }
        // A cluster more than the layer has is another partition.
        parameters.push((format!("tail.{}.0.weight", self.tails.len()), None));
        copy_saved("adaptive.load_torch", saved, prefix, &parameters)
    }
}
