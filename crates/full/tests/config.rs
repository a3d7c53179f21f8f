//! What a configuration refuses, and how it says so.
#![allow(clippy::unwrap_used)]

use lexmax_full::FullConfig;

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
