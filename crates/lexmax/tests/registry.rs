//! The registry and the configuration name the same layers.
#![allow(clippy::unwrap_used)]

use lexmax::{LAYERS, OutputConfig};

#[test]
fn every_layer_of_the_configuration_has_its_line_in_the_registry() {
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
