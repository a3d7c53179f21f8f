//! `head_*`: transforms and losses on given logits. The layer sees them as hidden states under an
//! identity weight.

use lexmax::output::WordCounts;
use serde_json::json;
use tch::{Kind, Tensor};

use crate::case::{Case, Golden};

pub fn check(case: &Case) {
    let config = match case.name.as_str() {
        "head_focal_gamma2" => json!({"layer": "full", "focal_gamma": 2.0}),
        "head_logit_adjusted_tau1" => json!({"layer": "full", "logit_adjustment": 1.0}),
        "head_softcap_5" => json!({"layer": "full", "soft_cap": 5.0}),
        "head_temperature_sqrt_v" => json!({"layer": "full", "temperature": "sqrt-vocab"}),
        "head_z_loss_1e-2" => json!({"layer": "full", "z_loss": 1e-2}),
        "head_sigsoftmax" => json!({"layer": "sigsoftmax"}),
        "head_one_vs_each" => return crate::sampled::check_one_vs_each(case),
        other => panic!("{other}: no layer answers to this file name"),
    };
    let logits = case.get("logits").set_requires_grad(true);
    let vocab_size = logits.size()[1];
    // The files' classes are not sorted by frequency, ours are: the layer sees them in that order.
    let counts = case.get("counts");
    let order = counts.argsort(0, true);
    let counts = Vec::<f64>::try_from(&counts.index_select(0, &order)).unwrap();
    let counts = WordCounts::new(counts.iter().map(|&count| count as u64).collect()).unwrap();
    let targets = order.argsort(0, false).index_select(0, &case.get("targets"));
    let mut golden = Golden::build(config, (vocab_size, vocab_size), Some(&counts));
    golden.set("weight", &Tensor::eye(vocab_size, (Kind::Double, tch::Device::Cpu)));
    let value = golden.backward(&logits.index_select(1, &order), &targets, None);
    case.assert_close("loss", &value, &case.get("loss"));
    case.assert_close("gradient of logits", &logits.grad(), &case.get("grad_logits"));
}
