//! `mos_*`: the mixture of softmaxes of Yang et al. 2018, with the rows of one component together.

use serde_json::json;

use crate::case::{Case, Golden};

const NAMES: [(&str, &str); 5] = [
    ("prior_weight", "prior.weight"),
    ("latent_weight", "latent.weight"),
    ("latent_bias", "latent.bias"),
    ("weight", "weight"),
    ("bias", "bias"),
];

pub fn check(case: &Case) {
    let (hidden, weight) = (case.get("hidden").set_requires_grad(true), case.get("weight"));
    let sizes = (weight.size()[0], hidden.size()[1]);
    let components = case.options["components"].clone();
    let config = json!({"layer": "mos", "components": components, "latent_size": weight.size()[1]});
    let mut golden = Golden::build(config, sizes, None);
    for (theirs, ours) in NAMES {
        golden.set(ours, &case.get(theirs));
    }
    let value = golden.backward(&hidden, &case.get("targets"), None);
    case.assert_close("loss", &value, &case.get("loss"));
    case.assert_close("gradient of hidden", &hidden.grad(), &case.get("grad_hidden"));
    for (theirs, ours) in NAMES {
        let expected = case.get(&format!("grad_{theirs}"));
        case.assert_close(&format!("gradient of {ours}"), &golden.variable(ours).grad(), &expected);
    }
    let dense = golden.layer.log_probs(&hidden).unwrap().into_tensor();
    case.assert_close("log_probs", &dense, &case.get("log_probs"));
}
