//! The mixture of softmaxes under the laws of `lexmax_conformance`.

use lexmax_conformance::{Case, check};
use lexmax_mixture::{Mixture, MixtureConfig};

fn mixture(name: &str, config: MixtureConfig) {
    check(&Case {
        name,
        vocab_size: 37,
        hidden_size: 6,
        build: &|context, loss| {
            Ok(Box::new(Mixture::new(context, &MixtureConfig { loss, ..config.clone() })?))
        },
        refuses: &[],
    });
}

#[test]
fn three_components() {
    mixture("mos of 3", MixtureConfig { components: 3, ..MixtureConfig::default() });
}

#[test]
fn narrow_latent_without_bias() {
    let config =
        MixtureConfig { components: 2, latent_size: Some(2), bias: false, ..MixtureConfig::default() };
    mixture("mos of 2, narrow", config);
}

#[test]
fn one_component() {
    mixture("mos of 1", MixtureConfig { components: 1, ..MixtureConfig::default() });
}
