//! A layer with a batch of Zipf-distributed targets, checked once against the definition before it is timed.

use lexmax::OutputConfig;
use lexmax::kernels::seed::generator;
use lexmax::output::{BuildContext, OutputLayer, WordCounts};
use rand_distr::{Distribution, StandardNormal, Zipf};
use tch::{Device, Kind, Tensor, nn};

/// Layers that are compared, as they stand in an experiment file. Cutoffs beyond V are left out by [`Subject::new`].
pub const LAYERS: &[(&str, &str)] = &[
    ("full", r#"{"layer": "full"}"#),
    ("sampled-softmax S=1024", r#"{"layer": "sampled", "samples": 1024}"#),
    ("nce S=1024", r#"{"layer": "sampled", "objective": "nce", "samples": 1024}"#),
    ("huffman", r#"{"layer": "hierarchical", "tree": "huffman"}"#),
    ("two-level", r#"{"layer": "hierarchical", "tree": "two-level"}"#),
    ("adaptive 2k,10k", r#"{"layer": "adaptive", "cutoffs": [2000, 9999]}"#),
    ("sigsoftmax", r#"{"layer": "sigsoftmax"}"#),
];

/// Rows, width and classes of one bench.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Rows of a batch, `N`.
    pub rows: i64,
    /// Width of the hidden states, `D`.
    pub width: i64,
    /// Classes, `V`.
    pub classes: i64,
}

/// The sizes to run: a small one, or the whole grid with `LEXMAX_BENCH=grid` in the environment.
pub fn sizes() -> Vec<Sizes> {
    if std::env::var("LEXMAX_BENCH").is_ok_and(|value| value == "grid") {
        let mut grid = Vec::new();
        for classes in [10_000, 33_278, 100_000, 267_735, 1_000_000] {
            for width in [128, 256, 512] {
                grid.extend([256, 1024].map(|rows| Sizes { rows, width, classes }));
            }
        }
        return grid;
    }
    vec![Sizes { rows: 256, width: 128, classes: 10_000 }]
}

/// One layer, its parameters and one batch.
#[derive(Debug)]
pub struct Subject {
    layer: Box<dyn OutputLayer>,
    store: nn::VarStore,
    hidden: Tensor,
    targets: Tensor,
}

impl Subject {
    /// Builds the layer named by a JSON configuration and checks its answer.
    ///
    /// # Panics
    /// The layer cannot be built, or its log-probabilities do not sum to 1: a wrong answer is not worth timing.
    pub fn new(config: &str, sizes: Sizes) -> Self {
        let config: OutputConfig =
            serde_json::from_str(config).unwrap_or_else(|error| panic!("{config}: {error}"));
        let counts = (0..sizes.classes).map(|id| 1 + (1e9 / (id as f64 + 2.7)) as u64).collect();
        let counts = WordCounts::new(counts).unwrap_or_else(|error| panic!("counts: {error}"));
        let store = nn::VarStore::new(Device::Cpu);
        let mut context = BuildContext::new(store.root(), sizes.classes, sizes.width, 1);
        context.counts = Some(&counts);
        let layer = config.build(&context).unwrap_or_else(|error| panic!("{config:?}: {error}"));
        let hidden = hidden(sizes).set_requires_grad(true);
        let subject = Self { layer, store, hidden, targets: targets(sizes) };
        subject.check();
        subject
    }

    /// Loss and gradients of one batch; the gradients are dropped before the next.
    ///
    /// # Panics
    /// The layer reports an error.
    pub fn train_step(&mut self) -> f64 {
        let loss = self.layer.loss(&self.hidden, &self.targets, &mut generator(1, "negatives", 0));
        let loss = loss.unwrap_or_else(|error| panic!("loss: {error}"));
        loss.tensor().backward();
        for variable in self.store.trainable_variables() {
            variable.shallow_clone().zero_grad();
        }
        self.hidden.zero_grad();
        loss.tensor().double_value(&[])
    }

    /// Exact log-probabilities of the targets.
    ///
    /// # Panics
    /// The layer reports an error.
    pub fn evaluate(&self) -> f64 {
        let _guard = tch::no_grad_guard();
        let log_prob = self.layer.log_prob(&self.hidden, &self.targets);
        log_prob
            .unwrap_or_else(|error| panic!("log_prob: {error}"))
            .tensor()
            .sum(Kind::Double)
            .double_value(&[])
    }

    /// The exact ten most probable classes of each row.
    ///
    /// # Panics
    /// The layer reports an error.
    pub fn top_ten(&self) -> Tensor {
        let _guard = tch::no_grad_guard();
        self.layer.top_k(&self.hidden, 10).unwrap_or_else(|error| panic!("top_k: {error}")).ids
    }

    fn check(&self) {
        let _guard = tch::no_grad_guard();
        let rows = self.hidden.narrow(0, 0, 4);
        let dense = self.layer.log_probs(&rows).unwrap_or_else(|error| panic!("log_probs: {error}"));
        let total = dense.tensor().to_kind(Kind::Double).logsumexp([-1_i64].as_slice(), false);
        let off = total.abs().max().double_value(&[]);
        assert!(off < 1e-4, "{}: probabilities sum to exp({off})", self.layer.name());
    }
}

fn hidden(sizes: Sizes) -> Tensor {
    let mut rng = generator(1, "bench/hidden", 0);
    let count = (sizes.rows * sizes.width) as usize;
    let values: Vec<f32> = (0..count).map(|_| StandardNormal.sample(&mut rng)).collect();
    Tensor::from_slice(&values).view([sizes.rows, sizes.width])
}

fn targets(sizes: Sizes) -> Tensor {
    let mut rng = generator(1, "bench/targets", 0);
    let zipf = Zipf::new(sizes.classes as f64, 1.0).unwrap_or_else(|error| panic!("zipf: {error}"));
    let ids: Vec<i64> = (0..sizes.rows).map(|_| zipf.sample(&mut rng) as i64 - 1).collect();
    Tensor::from_slice(&ids)
}
