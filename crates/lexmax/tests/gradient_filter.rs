//! The key `gradient_filter` of a configuration reaches the computation, and is not written where
//! it is off.
#![cfg(feature = "full")]
#![allow(clippy::unwrap_used)]

use lexmax::OutputConfig;
use lexmax::kernels::seed::generator;
use lexmax::output::BuildContext;
use tch::{Device, Kind, Tensor, nn};

/// Loss and hidden gradient of one step, and the share of entries that was kept.
fn step(config: &str) -> (f64, Tensor, Option<f64>) {
    let config: OutputConfig = toml::from_str(config).unwrap();
    let store = nn::VarStore::new(Device::Cpu);
    let mut context = BuildContext::new(store.root(), 1500, 16, 3);
    context.init_range = Some(2.0);
    let layer = config.build(&context).unwrap();
    let hidden =
        Tensor::arange(16 * 8, (Kind::Float, Device::Cpu)).sin().view([8, 16]).set_requires_grad(true);
    let targets = Tensor::from_slice(&[0_i64, 1, 2, 3, 500, 900, 1200, 1499]);
    let loss = layer.loss_with(&hidden, &targets, &mut generator(1, "negatives", 0)).unwrap();
    let value = loss.value().unwrap();
    loss.backward().unwrap();
    (value, hidden.grad(), layer.left_out().map(|left_out| left_out.share_kept()))
}

#[test]
fn the_key_reaches_the_sweep() {
    let (exact, d_exact, nothing) = step("layer = \"full\"");
    assert_eq!(nothing, None);
    let (value, d_hidden, share) = step("layer = \"full\"\ngradient_filter = 1e-4\nfilter_weight = false");
    assert_eq!(value, exact);
    assert!(share.unwrap() < 1.0 && share.unwrap() > 0.0);
    let off = ((&d_hidden - &d_exact).norm() / d_exact.norm()).double_value(&[]);
    assert!(off > 0.0 && off < 0.05, "{off}");
}

#[test]
fn a_configuration_without_it_is_written_without_it() {
    let written = |text: &str| {
        let config: OutputConfig = toml::from_str(text).unwrap();
        toml::to_string(&config).unwrap()
    };
    assert!(!written("layer = \"full\"").contains("filter"));
    let on = written("layer = \"full\"\ngradient_filter = 1e-5\nfilter_weight = false");
    assert!(on.contains("gradient_filter") && on.contains("filter_weight = false"), "{on}");
}
