//! One golden file: tensors by name, options, and the comparison.

use std::path::Path;

use lexmax::output::{BuildContext, OutputLayer, WordCounts};
use lexmax::{OutputConfig, kernels::seed::generator};
use safetensors::SafeTensors;
use tch::{Device, Kind, Tensor, nn};

/// Relative tolerance: both sides compute in f64, in another order.
const TOLERANCE: f64 = 1e-9;

pub struct Case {
    pub name: String,
    pub options: serde_json::Value,
    tensors: Vec<(String, Tensor)>,
}

impl Case {
    pub fn read(file: &Path) -> Self {
        let bytes = std::fs::read(file).unwrap();
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let text = header.metadata().as_ref().and_then(|metadata| metadata.get("options").cloned());
        let options = serde_json::from_str(&text.unwrap_or_else(|| "{}".to_owned())).unwrap();
        let tensors = Tensor::read_safetensors(file).unwrap();
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        Self { name, options, tensors }
    }

    pub fn find(&self, name: &str) -> Option<Tensor> {
        self.tensors.iter().find(|(own, _)| own == name).map(|(_, tensor)| tensor.copy())
    }

    /// Every tensor of the file with its name.
    pub fn tensors(&self) -> &[(String, Tensor)] {
        &self.tensors
    }

    pub fn get(&self, name: &str) -> Tensor {
        self.find(name).unwrap_or_else(|| panic!("{}: no tensor {name}", self.name))
    }

    pub fn flag(&self, option: &str) -> bool {
        self.options[option].as_bool().unwrap_or(false)
    }

    pub fn assert_close(&self, what: &str, got: &Tensor, expected: &Tensor) {
        assert_eq!(got.size(), expected.size(), "{}: shape of {what}", self.name);
        let scale = expected.abs().max().double_value(&[]).max(1e-3);
        let error = (got - expected).abs().max().double_value(&[]);
        assert!(error <= TOLERANCE * scale, "{}: {what} is off by {error:.3e} of {scale:.3e}", self.name);
    }
}

/// A layer built in f64 from a configuration, its parameters set to those of the file.
pub struct Golden {
    pub layer: Box<dyn OutputLayer>,
    store: nn::VarStore,
}

impl Golden {
    pub fn build(config: serde_json::Value, sizes: (i64, i64), counts: Option<&WordCounts>) -> Self {
        let config: OutputConfig = serde_json::from_value(config).unwrap();
        let mut store = nn::VarStore::new(Device::Cpu);
        store.set_kind(Kind::Double);
        let mut context = BuildContext::new(store.root(), sizes.0, sizes.1, 1);
        context.counts = counts;
        let layer = config.build(&context).unwrap();
        Self { layer, store }
    }

    pub fn variable(&self, name: &str) -> Tensor {
        let variables = self.store.variables();
        let known = || variables.keys().cloned().collect::<Vec<_>>().join(", ");
        variables
            .get(name)
            .unwrap_or_else(|| panic!("no variable {name}, there are {}", known()))
            .shallow_clone()
    }

    pub fn set(&self, name: &str, value: &Tensor) {
        tch::no_grad(|| self.variable(name).copy_(value));
    }

    /// Loss of the layer under a given upstream gradient; gradients are then in the variables and
    /// in `hidden`.
    pub fn backward(&mut self, hidden: &Tensor, targets: &Tensor, upstream: Option<&Tensor>) -> Tensor {
        let loss = self.layer.loss_with(hidden, targets, &mut generator(1, "negatives", 0)).unwrap();
        match upstream {
            Some(upstream) => (loss.tensor() * upstream).sum(Kind::Double).backward(),
            None => loss.tensor().sum(Kind::Double).backward(),
        }
        loss.tensor().detach()
    }
}
