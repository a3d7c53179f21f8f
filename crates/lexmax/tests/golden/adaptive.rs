//! `adaptive_*`: PyTorch's `nn.AdaptiveLogSoftmaxWithLoss`. Its cluster `i` is `tail.i.0`
//! (projection), `tail.i.1` (words).

use serde_json::json;
use tch::Tensor;

use crate::case::{Case, Golden};

pub fn check(case: &Case) {
    let option = |name: &str| case.options[name].clone();
    let sizes = (option("n_classes").as_i64().unwrap(), option("in_features").as_i64().unwrap());
    let config = json!({
        "layer": "adaptive",
        "cutoffs": option("cutoffs"),
        "div_value": option("div_value"),
        "head_bias": option("head_bias"),
        "tail_bias": false,
    });
    let mut golden = Golden::build(config, sizes, None);
    let mut names = vec![("head.weight".to_owned(), "head.weight".to_owned())];
    if case.flag("head_bias") {
        names.push(("head.bias".to_owned(), "head.bias".to_owned()));
    }
    for cluster in 0..option("cutoffs").as_array().unwrap().len() {
        names.push((format!("tail.{cluster}.0.weight"), format!("tail.{cluster}.projection")));
        names.push((format!("tail.{cluster}.1.weight"), format!("tail.{cluster}.weight")));
    }
    for (theirs, ours) in &names {
        golden.set(ours, &case.get(&format!("param.{theirs}")));
    }

    let hidden = case.get("hidden").set_requires_grad(true);
    let targets = case.get("targets");
    let value = golden.backward(&hidden, &targets, None);
    case.assert_close("loss", &value, &case.get("loss"));
    case.assert_close("gradient of hidden", &hidden.grad(), &case.get("grad_hidden"));
    for (theirs, ours) in &names {
        let expected = case.get(&format!("grad.{theirs}"));
        case.assert_close(&format!("gradient of {ours}"), &golden.variable(ours).grad(), &expected);
    }
    let dense = golden.layer.log_probs(&hidden).unwrap().into_tensor();
    case.assert_close("log_probs", &dense, &case.get("log_probs"));
    let of_targets = golden.layer.log_prob(&hidden, &targets).unwrap().into_tensor();
    case.assert_close("log_prob of targets", &of_targets, &case.get("log_prob_of_targets"));
    let best = golden.layer.top_k(&hidden, 1).unwrap().ids.squeeze_dim(1);
    assert_eq!(best, case.get("predict") as Tensor, "{}: most probable classes", case.name);
}
