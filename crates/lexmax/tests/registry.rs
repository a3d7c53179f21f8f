//! The registry and the configuration name the same layers.
#![allow(clippy::unwrap_used)]

use lexmax::kernels::seed::generator;
use lexmax::output::BuildContext;
use lexmax::{LAYERS, OutputConfig};
use tch::{Device, Kind, Tensor, nn};

#[test]
fn configuration_and_registry_name_the_same_layers() {
    // serde lists what it knows.
    let text = toml::from_str::<OutputConfig>("layer = \"none of them\"").unwrap_err().to_string();
    let (_, known) = text.split_once("expected one of ").unwrap();
    let mut known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
    let mut listed: Vec<&str> = LAYERS.iter().map(|entry| entry.layer).collect();
    known.sort_unstable();
    listed.sort_unstable();
    assert_eq!(known, listed, "{text}");
    for entry in LAYERS {
        let samples = if entry.layer == "sampled" { "\nsamples = 5" } else { "" };
        let config: OutputConfig = toml::from_str(&format!("layer = \"{}\"{samples}", entry.layer)).unwrap();
        assert_eq!((config.layer(), config.entry().layer), (entry.layer, entry.layer));
        assert_eq!(config.family(), entry.family);
    }
}

#[cfg(feature = "full")]
#[test]
fn sigsoftmax_is_the_full_layer_under_its_transform() {
    let losses =
        ["layer = \"sigsoftmax\"", "layer = \"full\"\ntransform = \"sigsoftmax\"", "layer = \"full\""].map(
            |text| {
                let config: OutputConfig = toml::from_str(text).unwrap();
                let store = nn::VarStore::new(Device::Cpu);
                let layer = config.build(&BuildContext::new(store.root(), 50, 8, 1)).unwrap();
                let hidden = Tensor::arange(32, (Kind::Float, Device::Cpu)).sin().view([4, 8]);
                let targets = Tensor::from_slice(&[0_i64, 7, 20, 49]);
                layer
                    .loss_with(&hidden, &targets, &mut generator(1, "negatives", 0))
                    .unwrap()
                    .value()
                    .unwrap()
            },
        );
    assert!(losses[0] == losses[1] && losses[0] != losses[2], "{losses:?}");
}
