//! Known runs: five steps of training of every kind of layer in f64 end at stored losses, so that
//! a change of the code that should not change numbers is seen when it does.
#![cfg(all(
    feature = "full",
    feature = "sampled",
    feature = "hierarchical",
    feature = "adaptive",
    feature = "mixture"
))]
#![allow(clippy::unwrap_used)]

use lexmax::OutputConfig;
use lexmax::output::{BuildContext, WordCounts};
use tch::{Device, Kind, Tensor, nn};

const V: i64 = 300;
const D: i64 = 24;
const SEED: u64 = 11;

/// Layer, and the training losses before the first step and after the fifth.
#[rustfmt::skip]
const RUNS: [(&str, f64, f64); 20] = [
    ("layer = \"full\"", 5.887885416740666, 5.101960259159388),
    ("layer = \"full\"\ntied = true\ntemperature = \"sqrt-vocab\"\nz_loss = 0.01", 6.136184846317374, 6.130768964885678),
    ("layer = \"full\"\nsoft_cap = 3.0\nfocal_gamma = 2.0", 5.849068566693969, 5.05739279144692),
    ("layer = \"full\"\nlogit_adjustment = 1.0\nloss = { class_weights = {weights} }", 6.231412748658718, 5.369506502908898),
    ("layer = \"full\"\nloss = { label_smoothing = 0.1, reduction = \"sum\" }", 235.11552418450407, 923.2151644652681),
    ("layer = \"full\"\ngradient_filter = 0.005", 5.887885416740666, 5.10740769825797),
    ("layer = \"sigsoftmax\"", 6.039294084806753, 4.587044975780634),
    ("layer = \"sampled\"\nsamples = 50", 3.133514240714593, 2.786573252663931),
    ("layer = \"sampled\"\nsamples = 50\nobjective = \"nce\"\nproposal = \"unigram\"\nunique = true", 5.194164678460456, 4.382571339533357),
    ("layer = \"sampled\"\nsamples = 50\nobjective = \"negative-sampling\"\nproposal = \"uniform\"", 5.091497608275904, 4.361188603774423),
    ("layer = \"sampled\"\nsamples = 50\nobjective = \"one-vs-each\"\nnegatives = \"per-row\"", 229.93150178337157, 5500.31979094408),
    ("layer = \"sampled\"\nproposal = \"in-batch\"", 4.352839713047065, 3.576130760968275),
    ("layer = \"hierarchical\"", 5.865495410725754, 4.778718054569807),
    ("layer = \"hierarchical\"\ntree = \"balanced\"\nloss = { label_smoothing = 0.1 }", 5.895347021807022, 4.998435254696918),
    ("layer = \"hierarchical\"\ntree = \"two-level\"", 5.874005446577613, 4.815078704768663),
    ("layer = \"hierarchical\"\ntree = \"two-level\"\nloss = { label_smoothing = 0.1 }", 5.8780523862207295, 5.008096660786627),
    ("layer = \"adaptive\"\ncutoffs = [50, 120]", 7.897221828252608, 6.686854746398531),
    ("layer = \"adaptive\"\ncutoffs = [50, 120]\ndiv_value = 2.0\ntail_bias = true\nloss = { label_smoothing = 0.1 }", 7.939272524212973, 6.6628542698926925),
    ("layer = \"mos\"\ncomponents = 3", 5.728667592262502, 5.4692555148506825),
    ("layer = \"mos\"\ncomponents = 2\nlatent_size = 8\nloss = { label_smoothing = 0.1 }", 5.693102105665087, 5.4974734878774765),
];

/// Pseudo-random numbers between -1 and 1.
fn values(size: [i64; 2], phase: f64) -> Tensor {
    let count = size[0] * size[1];
    (Tensor::arange(count, (Kind::Double, Device::Cpu)) * 1.7 + phase).sin().view(size)
}

/// Losses before each of six steps of gradient descent at a rate of 0.5.
fn losses(config: &str) -> Vec<f64> {
    let config: OutputConfig = toml::from_str(config).unwrap();
    let mut store = nn::VarStore::new(Device::Cpu);
    store.set_kind(Kind::Double);
    let counts = WordCounts::new((1..=V as u64).rev().collect()).unwrap();
    let embedding = values([V, D], 0.3).set_requires_grad(true);
    let context = BuildContext {
        counts: Some(&counts),
        embedding: Some(embedding.shallow_clone()),
        ..BuildContext::new(store.root(), V, D, SEED)
    };
    let layer = config.build(&context).unwrap();
    let hidden = values([40, D], 1.1).set_requires_grad(true);
    let targets = Tensor::from_slice(&(0..40).map(|row| (row * row * 7 + row) % V).collect::<Vec<_>>());
    let mut parameters: Vec<_> = store.variables().into_iter().collect();
    parameters.sort_by(|one, other| one.0.cmp(&other.0));
    let mut parameters: Vec<Tensor> = parameters.into_iter().map(|(_, parameter)| parameter).collect();
    parameters.extend([embedding, hidden.shallow_clone()]);
    (0..6)
        .map(|_| {
            let loss = layer.loss(&hidden, &targets).unwrap();
            loss.tensor().backward();
            tch::no_grad(|| {
                for parameter in &mut parameters {
                    let mut gradient = parameter.grad();
                    if gradient.defined() {
                        *parameter -= 0.5 * &gradient;
                        let _zero = gradient.zero_();
                    }
                }
            });
            loss.tensor().double_value(&[])
        })
        .collect()
}

#[test]
fn training_in_f64_ends_at_the_stored_losses() {
    let weights = (0..V).map(|class| 0.5 + class as f64 / V as f64).collect::<Vec<_>>();
    let (weights, mut wrong) = (format!("{weights:?}"), Vec::new());
    for (config, first, last) in RUNS {
        let losses = losses(&config.replace("{weights}", &weights));
        // Other processors sum in another order, which the steps make larger.
        let close = |found: f64, stored: f64, by: f64| (found - stored).abs() <= by * stored.abs();
        if !(close(losses[0], first, 1e-12) && close(losses[5], last, 1e-9)) {
            wrong.push(format!(
                "{config:?}: stored {first} and {last}, found {} and {}",
                losses[0], losses[5]
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
