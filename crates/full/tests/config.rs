//! Refusals of configurations, and their texts.
#![allow(clippy::unwrap_used)]

use lexmax_full::{FullConfig, SigsoftmaxConfig};
use lexmax_output::LogitTransform;

#[test]
fn divisors_lie_within_the_range_of_f32() {
    for key in ["temperature", "soft_cap"] {
        for value in ["0.0", "-1.0", "1e-50", "1e300", "nan", "inf"] {
            let config: FullConfig = toml::from_str(&format!("{key} = {value}")).unwrap();
            let text = config.validate(100).unwrap_err().to_string();
            assert!(text.contains(key) && text.contains("within the range of f32"), "{text}");
        }
        let config: FullConfig = toml::from_str(&format!("{key} = 30.0")).unwrap();
        config.validate(100).unwrap();
    }
}

#[test]
fn a_temperature_that_is_no_number_is_told_what_words_there_are() {
    let text = toml::from_str::<FullConfig>("temperature = \"sqrt\"").unwrap_err().to_string();
    assert!(text.contains("a number above zero or the word `sqrt-vocab`"), "{text}");
    assert!(toml::from_str::<FullConfig>("temperature = \"sqrt-vocab\"").is_ok());
}

#[test]
fn named_transform_is_read_and_written_unless_the_identity() {
    let config: FullConfig = toml::from_str("transform = \"sigsoftmax\"").unwrap();
    config.validate(100).unwrap();
    assert_eq!(config.logit_transform(), LogitTransform::Sigsoftmax);
    let text = toml::to_string(&config).unwrap();
    assert!(text.contains("transform = \"sigsoftmax\""), "{text}");
    assert_eq!(toml::from_str::<FullConfig>(&text).unwrap(), config);
    assert!(!toml::to_string(&FullConfig::default()).unwrap().contains("transform"));
}

#[test]
fn transform_of_unknown_name_is_refused_with_known_names() {
    let text = toml::from_str::<FullConfig>("transform = \"sigmoid\"").unwrap_err().to_string();
    assert!(text.contains("unknown transform `sigmoid`, expected one of"), "{text}");
    assert!(
        LogitTransform::NAMED.iter().all(|known| text.contains(&format!("`{}`", known.name()))),
        "{text}"
    );
}

#[test]
fn two_transforms_are_refused_by_name() {
    let config: FullConfig = toml::from_str("transform = \"sigsoftmax\"\nsoft_cap = 30.0").unwrap();
    let text = config.validate(100).unwrap_err().to_string();
    assert!(text.contains("`soft_cap`") && text.contains("`sigsoftmax`"), "{text}");
}

#[test]
fn transform_with_a_number_has_a_key_of_its_own() {
    let config = FullConfig { transform: LogitTransform::SoftCap(3.0), ..FullConfig::default() };
    let text = config.validate(100).unwrap_err().to_string();
    assert!(text.contains("`transform`") && text.contains("`soft_cap`"), "{text}");
    assert!(toml::to_string(&config).unwrap_err().to_string().contains("`soft_cap`"));
}

#[test]
fn sigsoftmax_takes_the_keys_of_its_layer_name_alone() {
    let config: SigsoftmaxConfig = toml::from_str("bias = false\ntied = true").unwrap();
    let full = FullConfig::from(&config);
    assert_eq!((full.bias, full.tied, full.transform), (false, true, LogitTransform::Sigsoftmax));
    assert!(toml::from_str::<SigsoftmaxConfig>("biass = true").is_err());
}
