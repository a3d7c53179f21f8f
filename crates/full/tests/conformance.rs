//! The exact softmax under the laws of `lexmax_conformance`, plain and with each of its options.

use lexmax_conformance::{Case, check};
use lexmax_full::{Full, FullConfig, Temperature};
use lexmax_output::LogitTransform;

fn conforms(name: &str, config: FullConfig, refuses: &[(&str, &str)]) {
    check(&Case {
        name,
        vocab_size: 37,
        hidden_size: 6,
        build: &|context, loss| Ok(Box::new(Full::new(context, &FullConfig { loss, ..config.clone() })?)),
        refuses,
    });
}

#[test]
fn plain() {
    conforms("full", FullConfig::default(), &[]);
}

#[test]
fn without_bias() {
    conforms("full without bias", FullConfig { bias: false, ..FullConfig::default() }, &[]);
}

#[test]
fn temperature_and_soft_cap() {
    let config =
        FullConfig { temperature: Temperature::Value(1.7), soft_cap: Some(3.0), ..FullConfig::default() };
    conforms("full with temperature and soft cap", config, &[]);
}

#[test]
fn sigsoftmax() {
    let config = FullConfig { transform: LogitTransform::Sigsoftmax, ..FullConfig::default() };
    conforms("sigsoftmax", config.clone(), &[]);
    conforms("sigsoftmax without bias", FullConfig { bias: false, ..config }, &[]);
}

#[test]
fn z_loss() {
    conforms("full with z-loss", FullConfig { z_loss: 0.01, ..FullConfig::default() }, &[]);
}

#[test]
fn focal() {
    let refuses = [("label_smoothing", "the focal factor is defined on one target")];
    conforms("focal", FullConfig { focal_gamma: 2.0, ..FullConfig::default() }, &refuses);
}

#[test]
fn logit_adjusted() {
    conforms("logit-adjusted", FullConfig { logit_adjustment: 1.0, ..FullConfig::default() }, &[]);
}
