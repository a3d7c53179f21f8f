//! The sweep over paths against the obvious sums in f64, for random trees, every level of
//! instructions and several threads.
#![allow(clippy::unwrap_used)]

mod common;

use common::error;
use lexmax_kernels::linear_ce::{Linear, Upstream};
use lexmax_kernels::seed::{Generator, generator};
use lexmax_kernels::tree::{
    Batch, Gradients, Table, Workspace, log_prob, log_prob_and_gradients, workspace_bytes,
};
use lexmax_kernels::{KernelError, Level};
use proptest::prelude::*;
use rand::RngExt;

/// How a random tree looks.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Shape {
    /// Ranges of words are cut anywhere.
    Any,
    /// In the middle.
    Balanced,
    /// After the first word: as deep as there are words.
    Chain,
}

/// A tree over `vocab` words, and its paths as a table.
struct Tree {
    offsets: Vec<i64>,
    steps: Vec<i32>,
    nodes: usize,
}

impl Tree {
    /// Nodes are numbered as they are met, or from the last one down: any numbering will do.
    fn new(rng: &mut Generator, vocab: usize, shape: Shape, backwards: bool) -> Self {
        let nodes = vocab - 1;
        let mut paths = vec![Vec::new(); vocab];
        let (mut waiting, mut next) = (vec![(0, vocab, Vec::new())], 0);
        while let Some((first, end, path)) = waiting.pop() {
            if end - first == 1 {
                paths[first] = path;
                continue;
            }
            let cut = match shape {
                Shape::Any => first + 1 + (rng.random::<f64>() * (end - first - 1) as f64) as usize,
                Shape::Balanced => (first + end) / 2,
                Shape::Chain => first + 1,
            };
            let node = if backwards { nodes - 1 - next } else { next } as i32;
            next += 1;
            for (code, (first, end)) in [(first, cut), (cut, end)].into_iter().enumerate() {
                let mut path: Vec<i32> = path.clone();
                path.push(2 * node + code as i32);
                waiting.push((first, end, path));
            }
        }
        let mut offsets = vec![0];
        for path in &paths {
            offsets.push(offsets[offsets.len() - 1] + path.len() as i64);
        }
        Self { offsets, steps: paths.concat(), nodes }
    }

    fn table(&self) -> Table<'_> {
        Table { offsets: &self.offsets, steps: &self.steps }
    }

    fn path(&self, word: i64) -> &[i32] {
        &self.steps[self.offsets[word as usize] as usize..self.offsets[word as usize + 1] as usize]
    }
}

/// Input in f64 that is exact in f32.
struct Problem {
    tree: Tree,
    hidden: Vec<f64>,
    weight: Vec<f64>,
    bias: Option<Vec<f64>>,
    upstream: Vec<f64>,
    targets: Vec<i64>,
    size: usize,
}

impl Problem {
    fn new(seed: u64, rows: usize, size: usize, vocab: usize, shape: Shape, scale: f64) -> Self {
        let mut rng = generator(seed, "paths", 0);
        let tree = Tree::new(&mut rng, vocab, shape, seed.is_multiple_of(2));
        let mut draw = |len: usize, scale: f64| -> Vec<f64> {
            (0..len).map(|_| f64::from(((rng.random::<f64>() - 0.5) * 2.0 * scale) as f32)).collect()
        };
        let (hidden, weight) = (draw(rows * size, scale), draw(tree.nodes * size, 1.0));
        let (bias, upstream) = (Some(draw(tree.nodes, 1.0)), draw(rows, 1.0));
        // Low words more often, as in text.
        let targets =
            draw(rows, 0.5).into_iter().map(|u| (vocab as f64 * (u + 0.5).powi(3)) as i64).collect();
        Self { tree, hidden, weight, bias, upstream, targets, size }
    }

    fn linear(&self) -> Linear<'_, f64> {
        let bias = self.bias.as_deref();
        Linear { hidden: &self.hidden, weight: &self.weight, bias, hidden_size: self.size }
    }

    fn batch(&self) -> Batch {
        Batch::new(self.tree.table(), &self.targets, self.tree.nodes).unwrap()
    }

    /// The definition, with gradients `[nodes, D]` of all nodes.
    fn naive(&self) -> Answer {
        let size = self.size;
        let mut out = Answer {
            log_probs: vec![0.0; self.targets.len()],
            hidden: vec![0.0; self.hidden.len()],
            weight: vec![0.0; self.weight.len()],
            bias: vec![0.0; self.tree.nodes],
        };
        for (row, &target) in self.targets.iter().enumerate() {
            let h = &self.hidden[row * size..(row + 1) * size];
            for step in self.tree.path(target) {
                let (node, sign) = ((step >> 1) as usize, f64::from(1 - 2 * (step & 1)));
                let v = &self.weight[node * size..(node + 1) * size];
                let dot: f64 = h.iter().zip(v).map(|(a, b)| a * b).sum();
                let x = sign * (dot + self.bias.as_ref().map_or(0.0, |bias| bias[node]));
                out.log_probs[row] += x.min(0.0) - (-x.abs()).exp().ln_1p();
                let slope = self.upstream[row] * sign / (1.0 + x.exp());
                out.bias[node] += slope;
                for d in 0..size {
                    out.hidden[row * size + d] += slope * v[d];
                    out.weight[node * size + d] += slope * h[d];
                }
            }
        }
        out
    }
}

/// Log-probabilities and gradients, those of all nodes.
#[derive(Debug, PartialEq)]
struct Answer {
    log_probs: Vec<f64>,
    hidden: Vec<f64>,
    weight: Vec<f64>,
    bias: Vec<f64>,
}

macro_rules! swept {
    ($name:ident, $kind:ty) => {
        /// The kernel's answer; rows of nodes that the batch does not name stay zero.
        fn $name(problem: &Problem, workspace: &mut Workspace<$kind>) -> Answer {
            let cast = |numbers: &[f64]| numbers.iter().map(|x| *x as $kind).collect::<Vec<_>>();
            let (hidden, weight) = (cast(&problem.hidden), cast(&problem.weight));
            let (bias, upstream) = (problem.bias.as_deref().map(cast), cast(&problem.upstream));
            let linear =
                Linear { hidden: &hidden, weight: &weight, bias: bias.as_deref(), hidden_size: problem.size };
            let (batch, size) = (problem.batch(), problem.size);
            let count = batch.nodes().len();
            // What is there before must not matter.
            let (mut d_hidden, mut rows, mut d_bias) =
                (vec![7.0; hidden.len()], vec![7.0; count * size], vec![7.0; count]);
            let wanted =
                Gradients { hidden: Some(&mut d_hidden), weight: Some(&mut rows), bias: Some(&mut d_bias) };
            let log_probs =
                log_prob_and_gradients(linear, &batch, Upstream::Rows(&upstream), wanted, workspace).unwrap();
            let alone = log_prob(linear, &batch, workspace).unwrap();
            let bits = |numbers: &[f64]| numbers.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&log_probs), bits(&alone), "without gradients");
            let back = |numbers: &[$kind]| numbers.iter().map(|x| f64::from(*x)).collect::<Vec<f64>>();
            let (rows, of_nodes) = (back(&rows), back(&d_bias));
            let (mut weight, mut bias) = (vec![0.0; problem.weight.len()], vec![0.0; problem.tree.nodes]);
            for (slot, node) in batch.nodes().iter().enumerate() {
                let node = *node as usize;
                weight[node * size..(node + 1) * size].copy_from_slice(&rows[slot * size..(slot + 1) * size]);
                bias[node] = of_nodes[slot];
            }
            Answer { log_probs, hidden: back(&d_hidden), weight, bias }
        }
    };
}

swept!(swept_f64, f64);
swept!(swept_f32, f32);

fn close(got: &Answer, exact: &Answer, allowed: f64) -> Result<(), TestCaseError> {
    let parts = [
        ("log_probs", &got.log_probs, &exact.log_probs),
        ("d_hidden", &got.hidden, &exact.hidden),
        ("d_weight", &got.weight, &exact.weight),
        ("d_bias", &got.bias, &exact.bias),
    ];
    for (name, got, exact) in parts {
        let off = error(got, exact);
        prop_assert!(off <= allowed, "{name} is off by {off:e}, allowed {allowed:e}");
    }
    Ok(())
}

fn shapes() -> impl Strategy<Value = Shape> {
    prop::sample::select(vec![Shape::Any, Shape::Balanced, Shape::Chain])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn log_probs_and_gradients_equal_sums_over_the_paths(
        seed: u64, rows in 0..150_usize, size in 1..70_usize, vocab in 2..200_usize, shape in shapes(), bias: bool,
        level in prop::sample::select(Level::ALL.to_vec()),
    ) {
        let mut problem = Problem::new(seed, rows, size, vocab, shape, 1.0);
        if !bias {
            problem.bias = None;
        }
        let exact = problem.naive();
        close(&swept_f64(&problem, &mut Workspace::new(2)), &exact, 1e-12)?;
        close(&swept_f32(&problem, &mut Workspace::new(2).with_level(level)), &exact, 3e-6)?;
    }

    #[test]
    fn the_nodes_are_those_of_the_paths_in_rising_order(seed: u64, rows in 0..80_usize, vocab in 2..200_usize, shape in shapes()) {
        let problem = Problem::new(seed, rows, 1, vocab, shape, 1.0);
        let on_paths = problem.targets.iter().flat_map(|target| problem.tree.path(*target));
        let nodes: std::collections::BTreeSet<i64> = on_paths.map(|step| i64::from(step >> 1)).collect();
        prop_assert!(problem.batch().nodes().iter().eq(&nodes));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    /// Large enough for three threads: more rows than a block, nodes that all threads visit.
    #[test]
    fn thread_count_changes_rounding_only_and_fixes_the_bits(
        seed: u64, rows in 100..250_usize, vocab in 2..400_usize, shape in shapes(),
    ) {
        let vocab = if shape == Shape::Chain { vocab.min(100) } else { vocab };
        let problem = Problem::new(seed, rows, 640, vocab, shape, 0.3);
        let exact = problem.naive();
        for threads in [1, 2, 3, 5] {
            let mut used = Workspace::new(threads);
            let first = swept_f32(&problem, &mut used);
            close(&first, &exact, 1e-5)?;
            prop_assert!(first == swept_f32(&problem, &mut used), "a used workspace");
            prop_assert!(first == swept_f32(&problem, &mut Workspace::new(threads)), "a new workspace");
            close(&swept_f64(&problem, &mut Workspace::new(threads)), &exact, 1e-12)?;
        }
    }
}

#[test]
fn log_prob_keeps_its_digits_near_one_and_is_finite_far_off() {
    let tree = Tree { offsets: vec![0, 1, 2], steps: vec![0, 1], nodes: 1 };
    for (logit, allowed) in [(36.0, 1e-14), (300.0, 1e-14), (-36.0, 1e-15), (-800.0, 0.0)] {
        let linear = Linear { hidden: &[1.0], weight: &[logit], bias: None, hidden_size: 1 };
        let batch = Batch::new(tree.table(), &[0], 1).unwrap();
        let got = log_prob(linear, &batch, &mut Workspace::new(1)).unwrap()[0];
        let exact = f64::min(logit, 0.0) - (-f64::abs(logit)).exp().ln_1p();
        assert!(got.is_finite() && (got - exact).abs() <= allowed * exact.abs(), "{got:e}, exact {exact:e}");
    }
    // One minus the rounded sigmoid would lose them all.
    assert_eq!((1.0 / (1.0 + (-40.0_f64).exp())).ln(), 0.0);
}

#[test]
fn a_node_that_is_not_a_number_spoils_its_rows_alone() {
    let mut problem = Problem::new(4, 40, 8, 30, Shape::Balanced, 1.0);
    let path: Vec<usize> =
        problem.tree.path(problem.targets[0]).iter().map(|step| (step >> 1) as usize).collect();
    let last = path[path.len() - 1];
    problem.weight[last * 8] = f64::NAN;
    for (row, log_prob) in swept_f32(&problem, &mut Workspace::new(1)).log_probs.iter().enumerate() {
        let visits = problem.tree.path(problem.targets[row]).iter().any(|step| (step >> 1) as usize == last);
        assert_eq!(log_prob.is_nan(), visits, "row {row}");
    }
}

#[test]
fn the_workspace_is_within_its_bound() {
    for shape in [Shape::Balanced, Shape::Chain] {
        let problem = Problem::new(6, 200, 320, 120, shape, 1.0);
        let longest = problem.targets.iter().map(|target| problem.tree.path(*target).len()).max().unwrap();
        for threads in [1, 2, 3] {
            let mut workspace = Workspace::new(threads);
            swept_f32(&problem, &mut workspace);
            let bound = workspace_bytes::<f32>(longest, 320, threads);
            assert!((1..=bound).contains(&workspace.bytes()), "{} of {bound}", workspace.bytes());
        }
    }
}

#[test]
fn bad_input_is_an_error_that_names_it() {
    let problem = Problem::new(7, 6, 3, 10, Shape::Balanced, 1.0);
    let says = |table: Table<'_>, targets: &[i64], nodes: usize| {
        Batch::new(table, targets, nodes).unwrap_err().to_string()
    };
    let table = problem.tree.table();
    assert!(says(table, &[1, 10], 9).contains("target 10 in row 1, expected 0 <= target < 10"));
    assert!(says(table, &[-1], 9).contains("target -1"));
    assert!(says(table, &[0, 9], 1).contains("steps"));
    assert!(says(Table { offsets: &[0, 9], steps: &[0] }, &[0], 9).contains("offsets"));
    assert!(says(Table { offsets: &[0, 1], steps: &[-2] }, &[0], 9).contains("steps = -2"));
    // Node 1 below the root's first branch and again below node 2.
    let twisted = Table { offsets: &[0, 2, 5], steps: &[0, 2, 1, 4, 2] };
    assert!(says(twisted, &[0, 1], 3).contains("node 1 on two ways"));

    let (batch, linear) = (problem.batch(), problem.linear());
    let mut workspace = Workspace::new(1);
    let mut fails = |linear| log_prob(linear, &batch, &mut workspace).unwrap_err().to_string();
    assert!(fails(Linear { hidden: &problem.hidden[..15], ..linear }).contains("hidden has 15"));
    assert!(fails(Linear { weight: &problem.weight[..24], bias: None, ..linear }).contains("weight has 24"));
    assert!(fails(Linear { bias: Some(&[0.0; 8]), ..linear }).contains("bias has 8"));
    let mut short = [0.0; 5];
    let wanted = Gradients { weight: Some(&mut short), ..Gradients::default() };
    let refused = log_prob_and_gradients(linear, &batch, Upstream::Same(1.0), wanted, &mut workspace);
    assert!(matches!(refused, Err(KernelError::Length { what: "gradient of weight", given: 5, .. })));
    let refused =
        log_prob_and_gradients(linear, &batch, Upstream::Rows(&[1.0]), Gradients::default(), &mut workspace);
    assert!(matches!(refused, Err(KernelError::Length { what: "upstream", given: 1, .. })));
}
