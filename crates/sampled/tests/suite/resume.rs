//! Losses without a caller's generator: a program that goes on from a checkpoint has the bits of
//! one that was never stopped.

use lexmax_output::{BuildContext, OutputLayer};
use lexmax_sampled::{NegativeSets, ProposalKind, Sampled, SampledConfig};
use tch::{Device, Kind, Tensor, nn, nn::OptimizerConfig};

use crate::fixture::{D, N, V, counts, normal};

/// A layer with the seed of the program, and the state that a checkpoint of it holds.
struct Run {
    layer: Sampled,
    store: nn::VarStore,
}

impl Run {
    fn start(config: &SampledConfig, seed: u64) -> Self {
        let store = nn::VarStore::new(Device::Cpu);
        let counts = counts(V);
        let context = BuildContext::new(store.root(), V, D, seed).with_counts(&counts);
        let layer = Sampled::new(&context, config).unwrap();
        Self { layer, store }
    }

    /// Trains on `[2, N]` rows of the step, as a user's loop does.
    fn train(&mut self, steps: std::ops::Range<i64>) -> Vec<f64> {
        let mut optimizer = nn::Sgd::default().build(&self.store, 0.3).unwrap();
        let losses = steps.map(|step| {
            let hidden = normal(&format!("step {step}"), &[2, N, D], 1.0).to_kind(Kind::Float);
            let targets = (Tensor::arange(2 * N, (Kind::Int64, Device::Cpu)) * (step + 1)).remainder(V);
            let loss = self.layer.loss(&hidden, &targets.view([2, N])).unwrap();
            optimizer.zero_grad();
            loss.backward().unwrap();
            optimizer.step();
            loss.value().unwrap()
        });
        losses.collect()
    }

    fn weight(&self) -> Tensor {
        self.store.variables()["weight"].detach().copy()
    }
}

fn configs() -> Vec<SampledConfig> {
    let plain = SampledConfig { samples: Some(6), ..SampledConfig::default() };
    vec![
        plain.clone(),
        SampledConfig { unique: true, proposal: ProposalKind::Unigram, ..plain.clone() },
        SampledConfig { negatives: NegativeSets::PerRow, ..plain },
    ]
}

#[test]
fn resumed_run_has_the_bits_of_one_never_stopped() {
    for config in configs() {
        let mut whole = Run::start(&config, 5);
        let losses = whole.train(0..8);

        let mut first = Run::start(&config, 5);
        let mut parts = first.train(0..3);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("checkpoint.safetensors");
        first.store.save(&file).unwrap();
        let calls = first.layer.draws().unwrap().calls();
        assert_eq!(calls, 3);

        let mut second = Run::start(&config, 5);
        second.store.load(&file).unwrap();
        second.layer.draws().unwrap().resume_at(calls);
        parts.extend(second.train(3..8));
        assert_eq!(parts, losses, "{config:?}");
        assert!(second.weight().equal(&whole.weight()), "{config:?}");
    }
}

#[test]
fn calls_and_seeds_have_negatives_of_their_own() {
    let config = configs().remove(0);
    let loss = |seed: u64, calls: u64| {
        let run = Run::start(&config, 5);
        let other = Run::start(&config, seed);
        tch::no_grad(|| other.store.variables()["weight"].shallow_clone().copy_(&run.weight()));
        other.layer.draws().unwrap().resume_at(calls);
        let hidden = normal("hidden", &[N, D], 1.0).to_kind(Kind::Float);
        other.layer.loss(&hidden, &Tensor::arange(N, (Kind::Int64, Device::Cpu))).unwrap().value().unwrap()
    };
    assert_eq!(loss(5, 0), loss(5, 0));
    assert_ne!(loss(5, 0), loss(5, 1));
    assert_ne!(loss(5, 0), loss(6, 0));
}

#[test]
fn in_batch_negatives_draw_nothing() {
    let config = SampledConfig { proposal: ProposalKind::InBatch, ..SampledConfig::default() };
    assert!(Run::start(&config, 5).layer.draws().is_none());
}
