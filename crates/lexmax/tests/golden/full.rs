//! `full_*`: PyTorch's `cross_entropy` over `linear`, with every shared option.

use serde_json::json;
use tch::Tensor;

use crate::case::{Case, Golden};

pub fn check(case: &Case) {
    let (hidden, weight, bias) =
        (case.get("hidden").set_requires_grad(true), case.get("weight"), case.find("bias"));
    let class_weights = case.find("class_weights").map(|weights| Vec::<f64>::try_from(&weights).unwrap());
    let loss = json!({
        "ignore_index": case.options.get("ignore_index"),
        "reduction": case.options.get("reduction").unwrap_or(&json!("mean")),
        "label_smoothing": case.options.get("label_smoothing").unwrap_or(&json!(0.0)),
        "class_weights": class_weights,
    });
    let sizes = (weight.size()[0], weight.size()[1]);
    let config = json!({"layer": "full", "bias": bias.is_some(), "loss": loss});
    let mut golden = Golden::build(config, sizes, None);
    golden.set("weight", &weight);
    if let Some(bias) = &bias {
        golden.set("bias", bias);
    }

    let targets = case.get("targets");
    let value = golden.backward(&hidden, &targets, case.find("upstream_grad").as_ref());
    case.assert_close("loss", &value, &case.get("loss"));
    case.assert_close("gradient of hidden", &hidden.grad(), &case.get("grad_hidden"));
    case.assert_close("gradient of weight", &golden.variable("weight").grad(), &case.get("grad_weight"));
    if bias.is_some() {
        case.assert_close("gradient of bias", &golden.variable("bias").grad(), &case.get("grad_bias"));
    }
    let dense = golden.layer.log_probs(&hidden).unwrap().into_tensor();
    case.assert_close("log_probs", &dense, &case.get("log_probs"));
    assert_eq!(Tensor::isfinite(&dense).all().int64_value(&[]), 1, "{}: log_probs are finite", case.name);
}
