//! The fused path against the reference one under every option of the layer, and the layout of its
//! gradients.

use lexmax_conformance::dense_gradient;
use lexmax_kernels::seed::generator;
use lexmax_output::fused::Compute;
use lexmax_output::{BuildContext, LossOptions, OutputLayer, Reduction};
use lexmax_sampled::{NegativeSets, Objective, ProposalKind, Sampled, SampledConfig};
use tch::{Device, Kind, Tensor, nn};

use crate::fixture::{counts, normal};

const V: i64 = 300;
const D: i64 = 21;
const N: i64 = 37;

/// A layer on one path, and what a step of it gives.
struct Run {
    store: nn::VarStore,
    layer: Sampled,
    hidden: Tensor,
    targets: Tensor,
}

impl Run {
    fn new(config: &SampledConfig, kind: Kind, compute: Compute, sparse: bool) -> Self {
        let mut store = nn::VarStore::new(Device::Cpu);
        store.set_kind(kind);
        let counts = counts(V);
        let mut context = BuildContext::new(store.root(), V, D, 3);
        context.counts = Some(&counts);
        context.compute = compute;
        context.sparse_gradients = sparse;
        let layer = Sampled::new(&context, config).unwrap();
        for (name, mut variable) in store.variables() {
            tch::no_grad(|| variable.copy_(&normal(&name, &variable.size(), 0.5)));
        }
        let hidden = normal("hidden", &[N, D], 1.0).to_kind(kind).set_requires_grad(true);
        // Frequent classes many times, so that there are hits, and two that were never seen.
        let targets: Vec<i64> =
            (0..N).map(|row| if row % 3 == 0 { V - 1 - row % 2 } else { row % 5 }).collect();
        Self { store, layer, hidden, targets: Tensor::from_slice(&targets) }
    }

    fn loss(&mut self, step: u64) -> Tensor {
        let mut rng = generator(5, "negatives", step);
        self.layer.loss_with(&self.hidden, &self.targets, &mut rng).unwrap().into_tensor()
    }

    /// Loss, gradient of hidden states, and those of the parameters, dense.
    fn step(&mut self) -> Vec<(String, Tensor)> {
        let loss = self.loss(0);
        let upstream = normal("upstream", &loss.size(), 1.0).to_kind(loss.kind());
        (&loss * upstream).sum(None::<Kind>).backward();
        let mut parts = vec![
            ("loss".to_owned(), loss.detach()),
            ("gradient of hidden".to_owned(), dense_gradient(&self.hidden)),
        ];
        for (name, variable) in self.store.variables() {
            parts.push((format!("gradient of {name}"), dense_gradient(&variable)));
        }
        parts.sort_by(|a, b| a.0.cmp(&b.0));
        parts
    }

    fn weight(&self) -> Tensor {
        self.store.variables()["weight"].shallow_clone()
    }
}

fn all_configs() -> Vec<SampledConfig> {
    let mut configs = Vec::new();
    for objective in Objective::ALL {
        for (remove_accidental_hits, reduction) in [(true, Reduction::Mean), (false, Reduction::None)] {
            let loss = LossOptions { reduction, ignore_index: Some(3), ..LossOptions::default() };
            let remove_accidental_hits = Some(remove_accidental_hits);
            let base = SampledConfig { objective, remove_accidental_hits, loss, ..SampledConfig::default() };
            configs.push(SampledConfig { proposal: ProposalKind::InBatch, ..base.clone() });
            for proposal in [ProposalKind::Uniform, ProposalKind::LogUniform, ProposalKind::Unigram] {
                for negatives in [NegativeSets::Shared, NegativeSets::PerRow] {
                    for unique in [false, true] {
                        let samples = Some(70);
                        configs.push(SampledConfig { proposal, negatives, unique, samples, ..base.clone() });
                    }
                }
            }
        }
    }
    configs
}

#[test]
fn both_paths_agree_under_every_option() {
    // The tensors are tiny: handing them to threads costs more than the work. (The kernel's own
    // tests vary the threads.)
    tch::set_num_threads(1);
    for config in all_configs() {
        for (kind, allowed) in [(Kind::Double, 1e-13), (Kind::Float, 3e-5)] {
            let reference = Run::new(&config, kind, Compute::Reference, false).step();
            // The scattered rows do not depend on the dtype.
            for sparse in if kind == Kind::Double { vec![false, true] } else { vec![true] } {
                let fused = Run::new(&config, kind, Compute::Fastest, sparse).step();
                for ((name, got), (_, expected)) in fused.iter().zip(&reference) {
                    assert_eq!(got.size(), expected.size(), "{name}");
                    let error = (got - expected).abs().max().double_value(&[]);
                    let scale = expected.abs().max().double_value(&[]).max(0.1);
                    assert!(
                        error <= allowed * scale,
                        "{name}: off by {error:e} of {scale:e}\n{config:?}, {kind:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn gradients_are_the_touched_rows_alone() {
    for negatives in [NegativeSets::Shared, NegativeSets::PerRow] {
        for reduction in [Reduction::Mean, Reduction::None] {
            let loss = LossOptions { reduction, ..LossOptions::default() };
            let config = SampledConfig { negatives, samples: Some(4), loss, ..SampledConfig::default() };
            let mut run = Run::new(&config, Kind::Float, Compute::Fastest, true);
            let variables = ["weight", "bias"].map(|name| run.store.variables()[name].shallow_clone());
            let loss = run.loss(0).sum(None::<Kind>);
            let mut rows = Vec::new();
            for (variable, gradient) in
                variables.iter().zip(Tensor::run_backward(&[loss], &variables, true, false))
            {
                assert!(gradient.is_sparse() && gradient.is_coalesced(), "{negatives:?} {reduction:?}");
                assert_eq!(gradient.size(), variable.size());
                let indices = Vec::<i64>::try_from(gradient.indices().view([-1])).unwrap();
                assert!(indices.is_sorted_by(|a, b| a < b), "{indices:?}");
                assert_eq!(gradient.values().size()[0], indices.len() as i64);
                rows.push(indices);
            }
            assert_eq!(rows[0], rows[1], "weight and bias have the same rows");
            let most = if negatives == NegativeSets::Shared { 4 } else { 4 * N as usize };
            assert!(rows[0].len() <= 7 + most && rows[0].contains(&(V - 1)), "{:?}", rows[0]);
            // The reference path keeps dense ones, and so does the fused path unless it is asked.
            for (compute, sparse) in [(Compute::Reference, true), (Compute::Fastest, false)] {
                let mut dense = Run::new(&config, Kind::Float, compute, sparse);
                dense.step();
                assert!(!dense.weight().grad().is_sparse());
            }
        }
    }
}

#[test]
fn sparse_gradients_add_up_over_passes_and_kept_graphs() {
    let config = SampledConfig { samples: Some(9), ..SampledConfig::default() };
    let mut runs = [false, true].map(|sparse| Run::new(&config, Kind::Double, Compute::Fastest, sparse));
    for run in &mut runs {
        for step in 0..2 {
            let loss = run.loss(step);
            Tensor::run_backward(&[&loss], &[run.weight()], true, false);
            loss.backward();
        }
    }
    let [dense, sparse] = runs.map(|run| dense_gradient(&run.weight()));
    assert!((&dense - &sparse).abs().max().double_value(&[]) < 1e-15);

    // The same graph twice: nothing that the first pass gave away may change the second.
    let mut run = Run::new(&config, Kind::Double, Compute::Fastest, true);
    let (loss, weight) = (run.loss(0), run.weight());
    let pass = || Tensor::run_backward(&[&loss], &[&weight, &run.hidden], true, false);
    let mut first = pass();
    let expected = (first[0].to_dense(None, false), first[1].copy());
    let _ = first[0].values().g_mul_scalar_(7.0);
    let _ = first[1].g_mul_scalar_(7.0);
    let second = pass();
    assert_eq!(second[0].to_dense(None, false), expected.0);
    assert_eq!(second[1], expected.1);
}

#[test]
fn one_input_of_several_may_be_asked_for() {
    let config = SampledConfig { samples: Some(9), ..SampledConfig::default() };
    for compute in [Compute::Reference, Compute::Fastest] {
        let mut run = Run::new(&config, Kind::Double, compute, false);
        let (loss, bias) = (run.loss(0), run.store.variables()["bias"].shallow_clone());
        let alone = Tensor::run_backward(&[&loss], &[&bias], true, false).remove(0);
        loss.backward();
        assert_eq!(alone, bias.grad(), "{compute:?}");
    }
}
