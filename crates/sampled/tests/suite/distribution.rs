//! The answers of a layer are the distribution that its objective trains: at the objective's
//! optimum the exact perplexity is that of the data.

use lexmax_kernels::seed::generator;
use lexmax_output::{BuildContext, OutputLayer, WordCounts};
use lexmax_sampled::{Objective, ProposalKind, Sampled, SampledConfig};
use tch::{Device, Kind, Tensor, nn};

const V: i64 = 12;

/// Hidden states of zero: only the bias learns, and its optimum is known. Mean exact nats after
/// training, and those of the unigram distribution itself.
fn trained(objective: Objective, steps: u64) -> (f64, f64) {
    let counts: Vec<u64> = (0..V as u64).map(|id| 400 / (id + 1)).collect();
    let words = WordCounts::new(counts.clone()).unwrap();
    let mut store = nn::VarStore::new(Device::Cpu);
    store.set_kind(Kind::Double);
    let mut context = BuildContext::new(store.root(), V, 3, 1);
    context.counts = Some(&words);
    let config = SampledConfig {
        objective,
        proposal: ProposalKind::Unigram,
        samples: Some(8),
        ..SampledConfig::default()
    };
    let layer = Sampled::new(&context, &config).unwrap();
    let ids: Vec<i64> = (0..V).flat_map(|id| vec![id; counts[id as usize] as usize]).collect();
    let targets = Tensor::from_slice(&ids);
    let hidden = Tensor::zeros([ids.len() as i64, 3], (Kind::Double, Device::Cpu));
    for step in 0..steps {
        let loss = layer.loss_with(&hidden, &targets, &mut generator(3, "negatives", step)).unwrap();
        loss.backward().unwrap();
        for mut variable in store.trainable_variables() {
            let _ = tch::no_grad(|| variable.g_sub_(&(variable.grad() * 0.3)));
            variable.zero_grad();
        }
    }
    let nats = -layer.log_prob(&hidden, &targets).unwrap().tensor().mean(Kind::Double).double_value(&[]);
    let p: Vec<f64> = counts.iter().map(|&count| count as f64 / words.total()).collect();
    (nats, -p.iter().map(|p| p * p.ln()).sum::<f64>())
}

#[test]
fn negative_sampling_is_evaluated_with_the_proposal() {
    let (nats, entropy) = trained(Objective::NegativeSampling, 600);
    assert!(nats < entropy + 0.02, "{nats} nats, the words have {entropy}");
}

#[test]
fn nce_starts_at_the_unigram_distribution() {
    let (nats, entropy) = trained(Objective::Nce, 0);
    assert!((nats - entropy).abs() < 1e-12, "{nats} nats, the words have {entropy}");
    let (proposal, _) = trained(Objective::NegativeSampling, 0);
    assert!(proposal < (V as f64).ln(), "{proposal} nats: it starts at its proposal, not uniform");
    // From zero, as the other objectives start, it would be uniform.
    let (uniform, _) = trained(Objective::SampledSoftmax, 0);
    assert!((uniform - (V as f64).ln()).abs() < 1e-12);
}
