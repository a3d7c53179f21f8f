//! Everything about a run that file and corpus decide, checked before the first process starts.
//!
//! The rules are those of the layers' constructors: both ask `OutputConfig::check`, so no rule is
//! written twice.

use lexmax_corpus::{Corpus, Split};
use lexmax_output::{LayerSizes, OutputError, Reduction};
use tch::Device;
use toml::Value;

use crate::batch::Streams;
use crate::config::number;
use crate::plan::RunConfig;
use crate::{LabError, Result};

/// Checks that the splits for scoring hold a pair of tokens.
pub(crate) fn check_corpus(corpus: &Corpus) -> Result<()> {
    for split in [Split::Valid, Split::Test] {
        let found = corpus.tokens(split).len();
        if found < 2 {
            let message = format!("{found} tokens in the {split} split, expected at least 2");
            return Err(LabError::CorpusUse { name: corpus.name().to_owned(), message });
        }
    }
    Ok(())
}

/// Reason why a run is certain to fail; `None` where none is known.
pub(crate) fn refusal_of(config: &RunConfig, corpus: &Corpus, device: Device) -> Option<String> {
    check(config, corpus, device).err()
}

fn check(config: &RunConfig, corpus: &Corpus, device: Device) -> std::result::Result<(), String> {
    let training = &config.training;
    let found = corpus.tokens(Split::Train).len();
    let Some(streams) = Streams::new(corpus.tokens(Split::Train), training.batch) else {
        let need = training.batch.saturating_mul(2);
        return Err(format!(
            "`batch` is {}, but there are {found} training tokens, expected at least {need} for `batch` streams of 2",
            training.batch
        ));
    };
    let sizes = LayerSizes {
        vocab_size: corpus.vocab().len() as i64,
        hidden_size: config.backbone.hidden(),
        embedding: Some(vec![corpus.vocab().len() as i64, config.backbone.embedding()]),
        init_range: Some(training.init_range),
        fused: training.compute.is_fused(training.dtype.kind(), device),
        precision: training.dtype.precision(),
        rows: Some(training.bptt.min(streams.rows()).saturating_mul(training.batch)),
    };
    config.output.check(&sizes).map_err(|why| why.to_string())?;
    check_reduction(config).map_err(|why| why.to_string())?;
    check_ignored(config, corpus)?;
    check_finite(config)
}

/// Checks that the loss of a batch is one number.
///
/// # Errors
/// The reduction is `none`.
pub(crate) fn check_reduction(config: &RunConfig) -> std::result::Result<(), OutputError> {
    match config.output.loss_options().reduction {
        Reduction::Mean | Reduction::Sum => Ok(()),
        Reduction::None => Err(OutputError::refused(
            config.output.layer(),
            "loss.reduction",
            "it is `none`, but training needs one loss a batch, expected `mean` or `sum`",
        )),
    }
}

/// Checks that not all targets of a split are of the ignored class: nothing would be learned, or
/// scored.
fn check_ignored(config: &RunConfig, corpus: &Corpus) -> std::result::Result<(), String> {
    let Some(ignored) = config.output.loss_options().ignore_index else { return Ok(()) };
    let training = &config.training;
    let limits = [
        (Split::Train, None),
        (Split::Valid, training.valid_tokens),
        (Split::Valid, training.max_valid_tokens),
        (Split::Test, training.max_test_tokens),
    ];
    for (split, most) in limits {
        let tokens = corpus.tokens(split);
        let targets = &tokens[1..most.unwrap_or(tokens.len()).min(tokens.len())];
        if targets.iter().all(|target| i64::from(*target) == ignored) {
            let count = targets.len();
            return Err(format!(
                "`loss.ignore_index` is {ignored}, the class of all {count} targets of the {split} split, expected another"
            ));
        }
    }
    Ok(())
}

/// Checks that every number is finite: JSON, in which a configuration goes to the run's process and
/// into its record, would turn the others into nothing.
fn check_finite(config: &RunConfig) -> std::result::Result<(), String> {
    let unwritable = |why: toml::ser::Error| format!("it cannot be written as TOML: {why}");
    for value in [Value::try_from(&config.output), Value::try_from(&config.training)] {
        if let Some((key, given)) = not_finite("", &value.map_err(unwritable)?) {
            return Err(format!("`{key}` is {}, expected a finite number", number(given)));
        }
    }
    Ok(())
}

/// The first number that is not finite below a key, with its own key.
fn not_finite(key: &str, value: &Value) -> Option<(String, f64)> {
    let below = |inner: &str| if key.is_empty() { inner.to_owned() } else { format!("{key}.{inner}") };
    match value {
        Value::Float(given) if !given.is_finite() => Some((key.to_owned(), *given)),
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(index, item)| not_finite(&below(&index.to_string()), item))
        }
        Value::Table(table) => table.iter().find_map(|(inner, value)| not_finite(&below(inner), value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn numbers_that_json_has_no_word_for_are_found_at_any_depth() {
        let find = |text: &str| not_finite("", &Value::Table(toml::from_str(text).unwrap()));
        assert_eq!(find("a = 1.0\nb = { c = [1, 2.0] }"), None);
        assert_eq!(find("a = 1.0\nb = { c = [1.0, inf] }"), Some(("b.c.1".to_owned(), f64::INFINITY)));
        assert!(find("loss = { x = nan }").is_some_and(|(key, given)| key == "loss.x" && given.is_nan()));
    }
}
