//! Sweeps whose products take operands in bf16: nothing else is rounded.
#![allow(clippy::unwrap_used)]

mod common;

use common::Problem;
use lexmax_kernels::linear_ce::{
    Filter, Gradients, Linear, Options, Upstream, Workspace, loss_and_gradients,
};
use lexmax_kernels::product::Precision;
use lexmax_kernels::{Element, Level, LogitTransform};

/// Losses, and the gradients of hidden states, weight and bias.
fn run<T: Element>(
    problem: &Problem,
    options: Options<'_, T>,
    workspace: &mut Workspace<T>,
) -> (Vec<f64>, [Vec<f64>; 3]) {
    let numbers = |from: &[f64]| from.iter().map(|x| T::from_f64(*x)).collect::<Vec<T>>();
    let (hidden, weight) = (numbers(&problem.hidden), numbers(&problem.weight));
    let bias = numbers(problem.bias.as_ref().unwrap());
    let linear = Linear { hidden: &hidden, weight: &weight, bias: Some(&bias), hidden_size: problem.size };
    let zeros = |count: usize| vec![T::default(); count];
    let (mut d_hidden, mut d_weight, mut d_bias) =
        (zeros(hidden.len()), zeros(weight.len()), zeros(bias.len()));
    let wanted = Gradients {
        hidden: Some(&mut d_hidden),
        weight: Some(&mut d_weight),
        bias: Some(&mut d_bias),
        accumulate: false,
    };
    let rows = loss_and_gradients(linear, &problem.targets, &options, Upstream::Same(0.3), wanted, workspace)
        .unwrap();
    let doubles = |made: Vec<T>| made.into_iter().map(Element::to_f64).collect();
    (rows.loss, [doubles(d_hidden), doubles(d_weight), doubles(d_bias)])
}

/// Gradients of hidden states and weight, without a bias, for one upstream factor.
fn gradients_of(
    problem: &Problem,
    options: Options<'_, f32>,
    upstream: f64,
    workspace: &mut Workspace<f32>,
) -> [Vec<f64>; 2] {
    let numbers = |from: &[f64]| from.iter().map(|x| *x as f32).collect::<Vec<f32>>();
    let (hidden, weight) = (numbers(&problem.hidden), numbers(&problem.weight));
    let linear = Linear { hidden: &hidden, weight: &weight, bias: None, hidden_size: problem.size };
    let (mut d_hidden, mut d_weight) = (vec![0.0; hidden.len()], vec![0.0; weight.len()]);
    let wanted =
        Gradients { hidden: Some(&mut d_hidden), weight: Some(&mut d_weight), ..Gradients::default() };
    loss_and_gradients(linear, &problem.targets, &options, Upstream::Same(upstream), wanted, workspace)
        .unwrap();
    [d_hidden, d_weight].map(|made| made.into_iter().map(f64::from).collect())
}

/// Largest difference over the largest number.
fn apart(one: &[f64], other: &[f64]) -> f64 {
    let largest = one.iter().fold(1e-30_f64, |most, x| most.max(x.abs()));
    one.iter().zip(other).fold(0.0_f64, |most, (a, b)| most.max((a - b).abs())) / largest
}

fn options<T: Element>(number: usize) -> Options<'static, T> {
    let usual = Options::default();
    match number {
        0 => usual,
        1 => Options { label_smoothing: 0.1, z_loss: 0.01, temperature: 1.3, ..usual },
        2 => Options { transform: LogitTransform::Sigsoftmax, ..usual },
        _ => Options { filter: Some(Filter { eps: 1e-3, exact_weight: false }), ..usual },
    }
}

#[test]
fn losses_are_those_of_rounded_operands_with_exact_sums() {
    let problem = Problem::new(5, 70, 40, 1500, 2.0);
    for number in 0..4 {
        for level in Level::ALL {
            let mut mixed = Workspace::<f32>::new(2).with_level(level).with_memory_limit(2 << 20);
            mixed.set_precision(Precision::Bf16);
            let mut truth = Workspace::<f64>::new(1);
            truth.set_precision(Precision::Bf16);
            let (losses, gradients) = run(&problem, options(number), &mut mixed);
            let (exact, exact_gradients) = run(&problem, options(number), &mut truth);
            let off = apart(&losses, &exact);
            assert!(off < 1e-5, "{number}, {level:?}: losses off by {off:e}");
            for (at, (found, exact)) in gradients.iter().zip(&exact_gradients).enumerate() {
                // A gradient of a logit near the middle between two bf16 goes up in one and down in
                // the other; a filter drops other classes in chunks of another size.
                let (off, most) = (apart(found, exact), if number == 3 { 5e-2 } else { 2e-3 });
                assert!(off < most, "{number}, {level:?}: gradient {at} off by {off:e}");
            }
            let (full, _) = run(&problem, options(number), &mut Workspace::<f64>::new(1));
            assert!(apart(&full, &exact) > 1e-5, "{number}: nothing is rounded");
        }
    }
}

#[test]
fn terms_of_the_targets_are_not_rounded() {
    // One over 700 is no bf16: rounded, the term of every target would be 0.13 % too small.
    let mut problem = Problem::new(8, 30, 24, 900, 0.5);
    problem.targets = (0..30).map(|row| 20 * row + 3).collect();
    for filter in [None, Some(Filter { eps: 1e-3, exact_weight: false })] {
        let run = |precision| {
            let mut workspace = Workspace::<f32>::new(2);
            workspace.set_precision(precision);
            let options = Options { filter, ..Options::default() };
            gradients_of(&problem, options, 1.0 / 700.0, &mut workspace)
        };
        let ([d_hidden, d_weight], [exact_hidden, exact_weight]) =
            (run(Precision::Bf16), run(Precision::Full));
        let rows = |all: &[f64]| -> Vec<f64> {
            problem.targets.iter().flat_map(|class| all[*class as usize * 24..][..24].to_vec()).collect()
        };
        let off = apart(&rows(&d_weight), &rows(&exact_weight));
        assert!(off < 2e-4, "{filter:?}: rows of the targets are off by {off:e}");
        assert!(apart(&d_hidden, &exact_hidden) < 2e-3, "{filter:?}");
    }
}

#[test]
fn bits_depend_on_the_number_of_threads_alone() {
    let problem = Problem::new(6, 150, 33, 3000, 1.5);
    for threads in [1, 2, 3] {
        let again = || {
            let mut workspace = Workspace::<f32>::new(threads);
            workspace.set_precision(Precision::Bf16);
            run(&problem, Options::default(), &mut workspace)
        };
        assert_eq!(again(), again(), "{threads} threads");
    }
}

#[test]
fn precision_of_a_workspace_can_be_taken_back() {
    let problem = Problem::new(7, 20, 16, 300, 1.5);
    let mut workspace = Workspace::<f32>::new(1);
    let before = run(&problem, Options::default(), &mut workspace);
    workspace.set_precision(Precision::Bf16);
    assert_ne!(run(&problem, Options::default(), &mut workspace), before);
    workspace.set_precision(Precision::Full);
    assert_eq!(run(&problem, Options::default(), &mut workspace), before);
}
