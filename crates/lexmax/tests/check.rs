//! A configuration is refused by the check in the words of the constructor, and nothing else is.
#![allow(clippy::unwrap_used)]

use lexmax::OutputConfig;
use lexmax::output::{BuildContext, WordCounts};
use tch::{Device, Kind, Tensor, nn};

const V: i64 = 10;
const D: i64 = 8;

/// The refusals of the check and of the constructor, with an input embedding `[V, width]`.
fn refusals(text: &str, width: i64, init_range: f64) -> (Option<String>, Option<String>) {
    let config: OutputConfig = toml::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let counts = WordCounts::new((1..=V as u64).rev().collect()).unwrap();
    let store = nn::VarStore::new(Device::Cpu);
    let context = BuildContext {
        counts: Some(&counts),
        embedding: Some(Tensor::zeros([V, width], (Kind::Float, Device::Cpu))),
        init_range: Some(init_range),
        ..BuildContext::new(store.root(), V, D, 1)
    };
    let check = config.check(&context.sizes()).err().map(|error| error.to_string());
    (check, config.build(&context).err().map(|error| error.to_string()))
}

#[test]
fn check_refuses_in_the_words_of_the_constructor() {
    for (text, words) in [
        ("layer = \"full\"\nsoft_cap = nan", "soft_cap"),
        ("layer = \"full\"\nsoft_cap = inf", "soft_cap"),
        ("layer = \"full\"\ntemperature = nan", "temperature"),
        ("layer = \"full\"\ngradient_filter = nan", "gradient_filter"),
        ("layer = \"full\"\nz_loss = 1e39", "z_loss"),
        ("layer = \"full\"\nfocal_gamma = inf", "focal_gamma"),
        ("layer = \"full\"\nlogit_adjustment = -1e39", "logit_adjustment"),
        ("layer = \"full\"\nloss = { label_smoothing = nan }", "label_smoothing"),
        (
            "layer = \"full\"\nloss = { class_weights = [1.0, 2.0] }",
            "2 numbers, expected one weight for each of 10",
        ),
        (
            "layer = \"mos\"\nloss = { class_weights = [1, 1, 1, nan, 1, 1, 1, 1, 1, 1] }",
            "class_weights is NaN for class 3",
        ),
        (
            "layer = \"hierarchical\"\nloss = { class_weights = [1e39, 1, 1, 1, 1, 1, 1, 1, 1, 1] }",
            "class_weights is 1e39 for class 0",
        ),
        ("layer = \"mos\"\ncomponents = 0", "components"),
        ("layer = \"mos\"\ncomponents = 4000000000000", "at most"),
        ("layer = \"mos\"\nlatent_size = 0", "latent_size"),
        ("layer = \"adaptive\"\ncutoffs = [5, 10]", "cutoffs"),
        ("layer = \"adaptive\"\ncutoffs = [5]\ndiv_value = 1e-300", "div_value"),
        ("layer = \"adaptive\"\ndiv_value = nan", "div_value"),
        ("layer = \"hierarchical\"\ntree = \"two-level\"\nclasses = 11", "classes"),
        ("layer = \"hierarchical\"\nloss = { label_smoothing = 1.0 }", "label_smoothing"),
        ("layer = \"sampled\"\nproposal = \"unigram\"\npower = nan", "power"),
        ("layer = \"sampled\"\nloss = { label_smoothing = 0.1 }", "label_smoothing"),
        ("layer = \"sampled\"\nsamples = 0", "samples"),
        ("layer = \"sampled\"\nunique = true\nsamples = 11", "samples"),
    ] {
        let (check, build) = refusals(text, D, 0.1);
        assert!(check.as_ref().is_some_and(|check| check.contains(words)), "{text}: {check:?}");
        assert_eq!(check, build, "{text}");
    }
}

#[test]
fn check_looks_at_embedding_and_start_range() {
    for layer in ["full", "mos", "sampled", "sigsoftmax"] {
        let text = format!("layer = \"{layer}\"\ntied = true");
        let (check, build) = refusals(&text, 4, 0.1);
        assert!(check.as_ref().is_some_and(|check| check.contains("[10, 4], expected [10, 8]")), "{check:?}");
        assert_eq!(check, build, "{layer}");
        assert_eq!(refusals(&text, D, 0.1), (None, None), "{layer}");
    }
    assert_eq!(refusals("layer = \"mos\"\ntied = true\nlatent_size = 4", 4, 0.1), (None, None));
    for layer in ["full", "mos", "sampled", "sigsoftmax", "adaptive", "hierarchical"] {
        let text = format!("layer = \"{layer}\"");
        for range in [1e39, 2e38, f64::NAN, 1e-50] {
            let (check, build) = refusals(&text, D, range);
            assert!(check.as_ref().is_some_and(|check| check.contains("init_range")), "{layer} {range:e}");
            assert_eq!(check, build);
        }
        assert_eq!(refusals(&text, D, 1.6e38), (None, None), "{layer}");
    }
}

#[test]
fn check_counts_the_negatives_of_a_batch() {
    let config: OutputConfig =
        toml::from_str("layer = \"sampled\"\nnegatives = \"per-row\"\nsamples = 1000000").unwrap();
    let store = nn::VarStore::new(Device::Cpu);
    let mut sizes = BuildContext::new(store.root(), V, D, 1).sizes();
    assert!(config.check(&sizes).is_ok());
    sizes.rows = Some(1 << 20);
    let refusal = config.check(&sizes).unwrap_err().to_string();
    assert!(refusal.contains("1048576 rows with 1000000 of their own"), "{refusal}");
}
