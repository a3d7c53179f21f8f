//! Weights of PyTorch's `nn.Linear` in the exact softmax layer.

use lexmax_output::{Result, copy_saved};
use tch::Tensor;

use crate::Full;

impl Full {
    /// Takes the weights of a PyTorch `nn.Linear(D, V)`: `weight` `[V, D]` and, where the layer has
    /// one, `bias` `[V]`, each after `prefix`.
    ///
    /// In Python `safetensors.torch.save_file(model.state_dict(), "model.safetensors")` writes what
    /// `Tensor::read_safetensors` reads; with `model.decoder` as the linear layer, `prefix` is
    /// `"decoder."`. Log-probabilities are then those of
    /// `F.log_softmax(decoder(hidden), -1)`. A tied layer writes the shared embedding.
    ///
    /// # Errors
    /// As [`copy_saved`]; nothing changes then.
    ///
    /// ```
    /// use lexmax_full::{Full, FullConfig};
    /// use lexmax_output::{BuildContext, OutputLayer};
    /// use tch::{Device, Kind, Tensor, nn};
    ///
    /// let store = nn::VarStore::new(Device::Cpu);
    /// let mut layer = Full::new(&BuildContext::new(store.root(), 3, 2, 1), &FullConfig::default())?;
    /// // Tensor::read_safetensors("model.safetensors")? gives such pairs.
    /// let saved = vec![
    ///     ("decoder.weight".to_string(), Tensor::zeros([3, 2], (Kind::Float, Device::Cpu))),
    ///     ("decoder.bias".to_string(), Tensor::from_slice(&[0.5_f32, 0.25, 0.25]).log()),
    /// ];
    /// layer.load_linear(&saved, "decoder.")?;
    /// let hidden = Tensor::ones([1, 2], (Kind::Float, Device::Cpu));
    /// let probability = layer.log_probs(&hidden)?.into_tensor().exp();
    /// assert!((probability.double_value(&[0, 0]) - 0.5).abs() < 1e-6);
    /// # Ok::<(), lexmax_output::OutputError>(())
    /// ```
    pub fn load_linear(&mut self, saved: &[(String, Tensor)], prefix: &str) -> Result<()> {
        let parameters = [("weight".to_owned(), Some(&self.weight)), ("bias".to_owned(), self.bias.as_ref())];
        copy_saved("full.load_linear", saved, prefix, &parameters)
    }
}
