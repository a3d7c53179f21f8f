//! Options and tensors that do not fit are refused by name.

use lexmax_kernels::seed::generator;
use lexmax_output::fused::Compute;
use lexmax_output::{BuildContext, LossOptions, OutputError, OutputLayer, WordCounts};
use lexmax_sampled::objective::{Scored, loss_rows};
use lexmax_sampled::proposal::{LogUniform, Uniform, Unigram};
use lexmax_sampled::sampler::Drawn;
use lexmax_sampled::{
    ExpectedCount, NegativeSets, Negatives, Objective, ProposalKind, Sampled, SampledConfig,
};
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
            SampledConfig { samples: Some(1_000_000_000_000_000), ..base.clone() },
            "sampled: samples is 1000000000000000, expected at most 2147483647",
        ),
        (SampledConfig { samples: Some(1 << 31), ..base.clone() }, "samples is 2147483648, expected at most"),
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
    let fixture = Fixture::new(&SampledConfig::default());
    let error = |hidden: &Tensor, targets: &Tensor| {
        fixture.layer.loss_with(hidden, targets, &mut generator(1, "negatives", 0)).unwrap_err().to_string()
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
fn negatives_that_do_not_fit_are_errors() {
    let options = (Kind::Double, Device::Cpu);
    let ids = || Tensor::from_slice(&[1_i64, 2, 3]);
    let ones = |n: i64| Tensor::ones([n], options);
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let counts = Tensor::from_slice(&[1.0, bad, 1.0]);
        let error = Negatives::new(ids(), &counts, &ones(4)).unwrap_err().to_string();
        let expected = format!("negatives: expected_count is {bad}, expected finite numbers above zero");
        assert_eq!(error, expected);
        let error = Negatives::new(ids(), &ones(3), &counts).unwrap_err().to_string();
        assert!(error.contains(&format!("negatives: target_expected_count is {bad}, expected")), "{error}");
    }
    let error = Negatives::new(ids(), &ones(3), &ones(4).view([2, 2])).unwrap_err().to_string();
    assert!(error.contains("target_expected_count has shape [2, 2], expected [N]"), "{error}");

    let (hidden, weight, bias) = (Tensor::zeros([4, D], options), Tensor::zeros([V, D], options), ones(V));
    let targets = Tensor::from_slice(&[0_i64, 5, V - 1, 5]);
    let scored = Scored { hidden: &hidden, targets: &targets, weight: &weight, bias: Some(&bias) };
    let made = |ids: Tensor, n, rows| Negatives::new(ids, &ones(n), &ones(rows)).unwrap();
    let error = |scored: &Scored<'_>, negatives: &Negatives| {
        let error = loss_rows(Objective::Nce, scored, negatives, false).unwrap_err();
        assert!(!matches!(error, OutputError::Torch(_)), "not by name: {error}");
        error.to_string()
    };
    assert!(loss_rows(Objective::Nce, &scored, &made(ids(), 3, 4), true).is_ok());
    // One count would be taken for all rows, and five for none.
    for rows in [1, 5] {
        let error = error(&scored, &made(ids(), 3, rows));
        let expected = format!("target_expected_count has shape [{rows}], expected [4], one for each row");
        assert!(error.contains(&expected), "{error}");
    }
    let own = Tensor::zeros([2, 3], (Kind::Int64, Device::Cpu));
    let own = Negatives::new(own, &Tensor::ones([2, 3], options), &ones(2)).unwrap();
    assert!(error(&scored, &own).contains("target_expected_count has shape [2], expected [4]"));
    for bad in [-1, V] {
        let outside = made(Tensor::from_slice(&[1_i64, bad, 3]), 3, 4);
        assert!(error(&scored, &outside).contains(&format!("ids is {bad}, expected classes in 0..23")));
    }
    // The fields are public: what `new` refuses is refused here too.
    let by_hand = |log: &Tensor, of_targets: &Tensor, in_batch| Negatives {
        ids: if in_batch { Tensor::from_slice(&[0_i64, 5, 5, 5]) } else { ids() },
        log_expected_count: log.shallow_clone(),
        target_log_expected_count: of_targets.shallow_clone(),
        in_batch,
    };
    let found = error(&scored, &by_hand(&(ones(3) * f64::NEG_INFINITY), &ones(4), false));
    assert!(found.contains("log_expected_count is -inf, expected finite numbers"), "{found}");
    let found = error(&scored, &by_hand(&ones(3), &(ones(4) * f64::NAN), false));
    assert!(found.contains("target_log_expected_count is NaN, expected finite numbers"), "{found}");
    let found = error(&scored, &by_hand(&ones(4), &ones(4), true));
    assert!(found.contains("expected the targets themselves, [4]: `in_batch` says so"), "{found}");

    let good = made(ids(), 3, 4);
    let (short, narrow) = (hidden.narrow(0, 0, 3), hidden.narrow(1, 0, 2));
    let (outside, floats) = (Tensor::from_slice(&[0_i64, V, 1, 1]), ones(4));
    let (less, flat) = (bias.narrow(0, 0, 3), weight.view([-1]));
    for (scored, expected) in [
        (Scored { hidden: &short, ..scored }, "scored: hidden has shape [3, 5], expected [4, 5]"),
        (Scored { hidden: &narrow, ..scored }, "hidden has shape [4, 2], expected [4, 5]"),
        (Scored { targets: &outside, ..scored }, "target 23 at row 1 names no class, expected 0..23"),
        (Scored { targets: &floats, ..scored }, "targets has kind Double, expected Int64"),
        (Scored { targets: &hidden, ..scored }, "targets has shape [4, 5], expected [N]"),
        (Scored { bias: Some(&less), ..scored }, "bias has shape [3], expected [23]"),
        (Scored { weight: &flat, ..scored }, "weight has shape [115], expected [V, D]"),
    ] {
        let found = error(&scored, &good);
        assert!(found.contains(expected), "{found}\nexpected {expected}");
    }

    let proposal = Uniform::new(V).unwrap();
    let of_set = |id: i64, targets: &Tensor| {
        let drawn = Drawn { ids: vec![id], expected_count: ExpectedCount::Every };
        Negatives::of_set(drawn, &proposal, targets, Objective::Nce, false).unwrap_err().to_string()
    };
    assert!(of_set(V, &targets).contains("a class is 23, expected classes in 0..23"));
    assert!(of_set(0, &outside).contains("a class is 23"));
    assert!(of_set(0, &floats).contains("targets has kind Double, expected Int64"));
    assert!(of_set(0, &targets.view([2, 2])).contains("targets has shape [2, 2], expected [N]"));
}

/// Nothing is allocated before the number is refused.
#[test]
fn more_negatives_than_can_be_held_are_refused() {
    let samples = Some(1 << 30);
    let config = SampledConfig { samples, negatives: NegativeSets::PerRow, ..SampledConfig::default() };
    for compute in [Compute::Fastest, Compute::Reference] {
        let store = nn::VarStore::new(Device::Cpu);
        let mut context = BuildContext::new(store.root(), V, D, 1);
        context.compute = compute;
        let layer = Sampled::new(&context, &config).unwrap();
        let hidden = Tensor::zeros([2, D], (Kind::Float, Device::Cpu));
        let targets = Tensor::zeros([2], (Kind::Int64, Device::Cpu));
        let error = layer.loss_with(&hidden, &targets, &mut generator(1, "negatives", 0)).unwrap_err();
        let expected = "sampled.loss: the number of negatives is 2 rows with 1073741824 of their own, \
            expected at most 2147483647 in a batch";
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn hits_are_left_out_where_the_objective_allows_it() {
    let removes = |json: &str| serde_json::from_str::<SampledConfig>(json).unwrap().remove_accidental_hits();
    for (objective, expected) in
        [("sampled-softmax", true), ("one-vs-each", true), ("nce", false), ("negative-sampling", false)]
    {
        let given = |rest: &str| removes(&format!("{{\"objective\": \"{objective}\"{rest}}}"));
        assert_eq!(given(""), expected, "{objective}");
        assert!(given(", \"remove_accidental_hits\": true"), "{objective}");
        assert!(!given(", \"remove_accidental_hits\": false"), "{objective}");
    }
    // What is written does not leave it to the defaults of another version.
    let config = SampledConfig { objective: Objective::Nce, ..SampledConfig::default() };
    let written = serde_json::to_value(&config).unwrap();
    assert_eq!(written["remove_accidental_hits"], false, "{written}");
    let read: SampledConfig = serde_json::from_value(written).unwrap();
    assert_eq!(read, SampledConfig { remove_accidental_hits: Some(false), ..config });
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
