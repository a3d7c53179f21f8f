//! Options and tensors that do not fit are refused by name.

use lexmax_kernels::seed::generator;
use lexmax_output::{BuildContext, LossOptions, OutputLayer, WordCounts};
use lexmax_sampled::proposal::{LogUniform, Uniform, Unigram};
use lexmax_sampled::{NegativeSets, Negatives, ProposalKind, Sampled, SampledConfig};
use tch::{Device, Kind, Tensor, nn};

use crate::fixture::{D, Fixture, N, V, counts};

fn build_error(config: &SampledConfig) -> String {
    Fixture::of_kind(config, Kind::Float).err().unwrap_or_else(|| panic!("accepted: {config:?}")).to_string()
}

#[test]
fn options_that_cannot_be_honoured_are_refused() {
    let base = SampledConfig::default();
    let in_batch = SampledConfig { proposal: ProposalKind::InBatch, ..base.clone() };
    let unigram =
        |power| SampledConfig { proposal: ProposalKind::Unigram, power: Some(power), ..base.clone() };
    let smoothed = LossOptions { label_smoothing: 0.1, ..LossOptions::default() };
    let cases = [
        (
            SampledConfig { unique: true, ..in_batch.clone() },
            "sampled: the option `unique` is refused: in-batch",
        ),
        (SampledConfig { samples: Some(5), ..in_batch.clone() }, "the option `samples` is refused: in-batch"),
        (
            SampledConfig { negatives: NegativeSets::PerRow, ..in_batch },
            "the option `negatives` is refused: in-batch",
        ),
        (SampledConfig { power: Some(0.5), ..base.clone() }, "the option `power` is refused: only"),
        (unigram(1.5), "power is 1.5, expected 0 <= power <= 1"),
        (unigram(-0.1), "power is -0.1, expected"),
        (unigram(f64::NAN), "power is NaN, expected"),
        (SampledConfig { samples: Some(0), ..base.clone() }, "samples is 0, expected at least 1"),
        (SampledConfig { samples: Some(-3), ..base.clone() }, "samples is -3, expected at least 1"),
        (
            SampledConfig { samples: Some(V + 1), unique: true, ..base.clone() },
            "samples is 24, expected at most 23",
        ),
        (
            SampledConfig { loss: smoothed, ..base.clone() },
            "the option `label_smoothing` is refused: it spreads",
        ),
        (SampledConfig { tied: true, ..base }, "the option `tied` is refused"),
    ];
    for (config, expected) in cases {
        let error = build_error(&config);
        assert!(error.contains(expected), "{error}\nexpected {expected}");
    }
}

#[test]
fn proposals_by_frequency_need_counts() {
    for proposal in [ProposalKind::Unigram, ProposalKind::InBatch] {
        let store = nn::VarStore::new(Device::Cpu);
        let mut context = BuildContext::new(store.root(), V, D, 1);
        let config = SampledConfig { proposal, ..SampledConfig::default() };
        let error = Sampled::new(&context, &config).unwrap_err().to_string();
        assert!(error.contains("counts is not given"), "{error}");
        let short: WordCounts = counts(V - 1);
        context.counts = Some(&short);
        let error = Sampled::new(&context, &config).unwrap_err().to_string();
        assert!(error.contains("one count for each of 23 classes"), "{error}");
    }
    assert!(Unigram::new(&counts(5), 2.0).unwrap_err().to_string().contains("power is 2"));
    assert!(Uniform::new(0).unwrap_err().to_string().contains("vocab_size is 0"));
    assert!(LogUniform::new(-1).unwrap_err().to_string().contains("vocab_size is -1"));
}

#[test]
fn tensors_that_do_not_fit_are_errors() {
    let mut fixture = Fixture::new(&SampledConfig::default());
    let mut error = |hidden: &Tensor, targets: &Tensor| {
        fixture.layer.loss(hidden, targets, &mut generator(1, "negatives", 0)).unwrap_err().to_string()
    };
    let hidden = Tensor::zeros([N, D], (Kind::Double, Device::Cpu));
    let targets = Tensor::zeros([N], (Kind::Int64, Device::Cpu));
    assert!(error(&hidden.narrow(1, 0, 2), &targets).contains("hidden has shape [7, 2]"));
    assert!(error(&hidden, &(&targets + V)).contains("target 23 at row 0"));
    assert!(error(&(&hidden + f64::NAN), &targets).contains("not finite in row 0"));
    assert!(fixture.layer.top_k(&hidden, V + 1).unwrap_err().to_string().contains("k is 24"));

    let ids = || Tensor::from_slice(&[1_i64, 2, 3]);
    let ones = |n| Tensor::ones([n], (Kind::Double, Device::Cpu));
    let given = |ids: Tensor, n, rows| Negatives::new(ids, &ones(n), &ones(rows)).unwrap_err().to_string();
    assert!(given(ids(), 2, 4).contains("expected_count has shape [2], expected [3]"));
    assert!(given(ids().view([3, 1]), 3, 4).contains("ids has shape [3, 1], expected [S] or [4, S]"));
    assert!(given(ids().to_kind(Kind::Int), 3, 4).contains("ids has kind Int, expected Int64"));
}

#[test]
fn an_unknown_or_misspelt_option_is_an_error() {
    let parse = |json: &str| serde_json::from_str::<SampledConfig>(json);
    let config = parse(
        r#"{"objective": "negative-sampling", "proposal": "unigram", "power": 1, "samples": 64,
        "unique": true, "negatives": "per-row", "remove_accidental_hits": false, "bias": false, "tied": true}"#,
    );
    let config = config.unwrap();
    assert_eq!((config.power(), config.samples(10_000)), (1.0, 64));
    assert_eq!(parse(&serde_json::to_string(&config).unwrap()).unwrap(), config);
    assert_eq!(parse("{}").unwrap(), SampledConfig::default());
    assert_eq!((SampledConfig::default().samples(5000), SampledConfig::default().samples(50)), (1024, 50));
    for (json, expected) in [
        (r#"{"sampels": 3}"#, "unknown field `sampels`"),
        (r#"{"objective": "nec"}"#, "unknown variant `nec`"),
        (r#"{"proposal": "bigram"}"#, "unknown variant `bigram`"),
    ] {
        assert!(parse(json).unwrap_err().to_string().contains(expected), "{json}");
    }
}
