//! Weights saved from PyTorch's `nn.Linear` and `nn.AdaptiveLogSoftmaxWithLoss`, loaded by the
//! documented calls, give PyTorch's log-probabilities.

use lexmax::adaptive::{Adaptive, AdaptiveConfig};
use lexmax::full::{Full, FullConfig};
use lexmax::output::{BuildContext, OutputLayer, Result};
use tch::{Device, Kind, Tensor, nn};

use crate::case::Case;

fn double_store() -> nn::VarStore {
    let mut store = nn::VarStore::new(Device::Cpu);
    store.set_kind(Kind::Double);
    store
}

pub fn check_linear(case: &Case) {
    let (weight, saved) = (case.get("weight").size(), case.tensors());
    let store = double_store();
    let context = BuildContext::new(store.root(), weight[0], weight[1], 1);
    let config = FullConfig { bias: case.find("bias").is_some(), ..FullConfig::default() };
    let mut layer = Full::new(&context, &config).unwrap();
    layer.load_linear(saved, "").unwrap();
    let log_probs = layer.log_probs(&case.get("hidden")).unwrap().into_tensor();
    case.assert_close("log_probs of loaded weights", &log_probs, &case.get("log_probs"));

    let other = BuildContext::new(store.root() / "other", weight[0] + 1, weight[1], 1);
    let error = Full::new(&other, &config).unwrap().load_linear(saved, "");
    assert!(error.unwrap_err().to_string().contains("for weight"));
    let other_bias = FullConfig { bias: !config.bias, ..FullConfig::default() };
    let context = BuildContext::new(store.root() / "third", weight[0], weight[1], 1);
    let mut layer = Full::new(&context, &other_bias).unwrap();
    let before = layer.log_probs(&case.get("hidden")).unwrap().into_tensor();
    let error = layer.load_linear(saved, "").unwrap_err().to_string();
    let words = if config.bias { "built without this parameter" } else { "a tensor named bias" };
    assert!(error.contains(words), "{error}");
    let after = layer.log_probs(&case.get("hidden")).unwrap().into_tensor();
    assert!(after.equal(&before), "{}: a refused file changed the layer", case.name);
    let error = layer.load_linear(saved, "decoder.").unwrap_err().to_string();
    assert!(error.contains("decoder.weight") && error.contains("none of"), "{error}");
}

pub fn check_adaptive(case: &Case) {
    let number = |name: &str| case.options[name].as_i64().unwrap();
    let config = |cutoffs: Vec<i64>| AdaptiveConfig {
        cutoffs,
        div_value: case.options["div_value"].as_f64().unwrap(),
        head_bias: case.flag("head_bias"),
        ..AdaptiveConfig::default()
    };
    let cutoffs: Vec<i64> = serde_json::from_value(case.options["cutoffs"].clone()).unwrap();
    let load = |cutoffs: &[i64], saved: &[(String, Tensor)]| -> Result<Adaptive> {
        let store = double_store();
        let context = BuildContext::new(store.root(), number("n_classes"), number("in_features"), 1);
        let mut layer = Adaptive::new(&context, &config(cutoffs.to_vec()))?;
        layer.load_torch(saved, "param.")?;
        Ok(layer)
    };
    let layer = load(&cutoffs, case.tensors()).unwrap();
    let log_probs = layer.log_probs(&case.get("hidden")).unwrap().into_tensor();
    case.assert_close("log_probs of loaded weights", &log_probs, &case.get("log_probs"));

    // A store of f32 takes the numbers of the file rounded.
    let single = nn::VarStore::new(Device::Cpu);
    let context = BuildContext::new(single.root(), number("n_classes"), number("in_features"), 1);
    let mut layer = Adaptive::new(&context, &config(cutoffs.clone())).unwrap();
    layer.load_torch(case.tensors(), "param.").unwrap();
    let rounded = layer.log_probs(&case.get("hidden").to_kind(Kind::Float)).unwrap().into_tensor();
    let off = (rounded.to_kind(Kind::Double) - case.get("log_probs")).abs().max().double_value(&[]);
    assert!(off < 1e-4, "{}: f32 is off by {off}", case.name);

    let fewer = load(&cutoffs[..cutoffs.len() - 1], case.tensors()).unwrap_err().to_string();
    assert!(fewer.contains("adaptive.load_torch"), "{fewer}");
    let error = load(&cutoffs, &case.tensors()[..1]).unwrap_err().to_string();
    assert!(error.contains("a tensor named param."), "{error}");
}
