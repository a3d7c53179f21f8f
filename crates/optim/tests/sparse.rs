//! Row-sparse gradients: every rule against a loop in `f64`, lazy or not; equal to dense gradients;
//! never dense.
#![allow(clippy::unwrap_used)]

use lexmax_autograd::sparse::rows_of;
use lexmax_optim::{Optimizer, OptimizerConfig, clip_factor, clip_grad_norm, grad_norm, row_gradient};
use tch::{Device, Kind, Tensor};

const HEIGHT: i64 = 9;
const WIDTH: i64 = 3;
/// Rows that a step looks up, some twice, never in order; rows 0 and 8 are touched once and never.
const LOOKED_UP: [&[i64]; 5] = [&[4, 1, 4, 7], &[7, 2], &[0, 7, 7, 7, 1], &[3], &[4, 6, 4]];
const RATES: [f64; 5] = [0.3, 0.1, 0.2, 0.05, 0.4];

fn configs(lazy: bool) -> Vec<OptimizerConfig> {
    [
        r#""kind": "sgd""#,
        r#""kind": "sgd", "weight_decay": 0.1"#,
        r#""kind": "sgd", "momentum": 0.9"#,
        r#""kind": "sgd", "momentum": 0.9, "weight_decay": 0.1"#,
        r#""kind": "sgd", "momentum": 0.6, "nesterov": true, "weight_decay": 0.1"#,
        r#""kind": "adagrad", "initial_accumulator": 0.1"#,
        r#""kind": "adagrad", "weight_decay": 0.1"#,
        r#""kind": "adam", "beta2": 0.9, "eps": 0.01"#,
        r#""kind": "adam", "beta2": 0.99, "weight_decay": 0.1"#,
        r#""kind": "adam", "beta2": 0.99, "weight_decay": 0.1, "decoupled": true"#,
    ]
    .iter()
    .map(|keys| serde_json::from_str(&format!("{{{keys}, \"lazy\": {lazy}}}")).unwrap())
    .collect()
}

/// The formulas of the configuration for one element: parameter, two tables; `t` counts the
/// parameter's steps.
fn oracle(config: &OptimizerConfig, [p, a, b]: [f64; 3], g: f64, lr: f64, t: i32) -> [f64; 3] {
    match config {
        OptimizerConfig::Sgd(c) => {
            let g = g + c.weight_decay * p;
            let v = c.momentum * a + g;
            [p - lr * if c.nesterov { g + c.momentum * v } else { v }, v, b]
        }
        OptimizerConfig::Adagrad(c) => {
            let g = g + c.weight_decay * p;
            let s = a + g * g;
            [p - lr * g / (s.sqrt() + c.eps), s, b]
        }
        OptimizerConfig::Adam(c) => {
            let (p, g) = match c.decoupled {
                true => (p * (1.0 - lr * c.weight_decay), g),
                false => (p, g + c.weight_decay * p),
            };
            let (m, v) = (c.beta1 * a + (1.0 - c.beta1) * g, c.beta2 * b + (1.0 - c.beta2) * g * g);
            let (m_hat, v_hat) = (m / (1.0 - c.beta1.powi(t)), v / (1.0 - c.beta2.powi(t)));
            [p - lr * m_hat / (v_hat.sqrt() + c.eps), m, v]
        }
    }
}

fn weight(kind: Kind) -> Tensor {
    let wave = (Tensor::arange(HEIGHT * WIDTH, (Kind::Double, Device::Cpu)) * 0.37).sin();
    wave.view([HEIGHT, WIDTH]).to_kind(kind).set_requires_grad(true)
}

/// The gradient of one occurrence of a row at a step.
fn upstream(step: usize, occurrence: usize, column: i64) -> f64 {
    ((step * 31 + occurrence * 7) as f64 * 0.9 + column as f64 * 0.4).cos()
}

/// A backward pass through an embedding.
fn backward(weight: &Tensor, step: usize, sparse: bool) {
    let ids = LOOKED_UP[step];
    let factors: Vec<f64> = (0..ids.len())
        .flat_map(|occurrence| (0..WIDTH).map(move |column| upstream(step, occurrence, column)))
        .collect();
    let factors = Tensor::from_slice(&factors).view([ids.len() as i64, WIDTH]).to_kind(weight.kind());
    let looked_up = Tensor::embedding(weight, &Tensor::from_slice(ids), -1, false, sparse);
    (looked_up * factors).sum(weight.kind()).backward();
    assert_eq!(weight.grad().is_sparse(), sparse);
}

/// A run over all steps; the end and the state.
fn run(config: &OptimizerConfig, weight: &Tensor, sparse: bool, clip: Option<f64>) -> Vec<Tensor> {
    let named = vec![("weight".to_string(), weight.shallow_clone())];
    let mut optimizer = Optimizer::new(vec![("weight".into(), weight.shallow_clone())], config).unwrap();
    for (step, &rate) in RATES.iter().enumerate() {
        optimizer.zero_grad().unwrap();
        backward(weight, step, sparse);
        if let Some(max) = clip {
            clip_grad_norm(&named, max).unwrap();
        }
        optimizer.step(rate).unwrap();
        assert_eq!(weight.grad().is_sparse(), sparse, "the gradient stays as sparse as it was");
    }
    let mut end = vec![weight.detach()];
    end.extend(optimizer.state().unwrap().into_iter().map(|(_, entry)| entry));
    end
}

#[test]
fn every_rule_follows_the_oracle_lazy_and_not() {
    for lazy in [false, true] {
        for config in configs(lazy) {
            let end = run(&config, &weight(Kind::Double), true, None).remove(0);
            let initial = match &config {
                OptimizerConfig::Adagrad(c) => c.initial_accumulator,
                _ => 0.0,
            };
            for row in 0..HEIGHT {
                for column in 0..WIDTH {
                    let mut element = [weight(Kind::Double).double_value(&[row, column]), initial, 0.0];
                    for (step, ids) in LOOKED_UP.iter().enumerate() {
                        let own = ids.iter().enumerate().filter(|(_, id)| **id == row);
                        let g: f64 =
                            own.clone().map(|(occurrence, _)| upstream(step, occurrence, column)).sum();
                        if !lazy || own.count() > 0 {
                            element = oracle(&config, element, g, RATES[step], step as i32 + 1);
                        }
                    }
                    let far = (end.double_value(&[row, column]) - element[0]).abs();
                    assert!(far < 1e-13, "{config:?} row {row}: {far}");
                }
            }
        }
    }
}

#[test]
fn a_sparse_gradient_gives_the_bits_of_the_dense_one() {
    for kind in [Kind::Float, Kind::Double] {
        for config in configs(false) {
            let (dense, sparse) =
                (run(&config, &weight(kind), false, None), run(&config, &weight(kind), true, None));
            // The sums over rows that occur several times may round otherwise.
            for (dense, sparse) in dense.iter().zip(&sparse) {
                let tolerance = if kind == Kind::Float { 1e-5 } else { 1e-13 };
                assert!(dense.allclose(sparse, tolerance, tolerance, false), "{config:?}");
            }
            assert_eq!(sparse, run(&config, &weight(kind), true, None), "{config:?}: twice the same bits");
        }
    }
    // Where no sum is involved the bits are the same.
    for config in configs(false) {
        let ends = [false, true].map(|sparse| {
            let weight = weight(Kind::Float);
            let mut optimizer =
                Optimizer::new(vec![("weight".into(), weight.shallow_clone())], &config).unwrap();
            for _ in 0..3 {
                optimizer.zero_grad().unwrap();
                backward(&weight, 1, sparse);
                optimizer.step(0.3).unwrap();
            }
            weight.detach()
        });
        assert_eq!(ends[0], ends[1], "{config:?}");
    }
}

#[test]
fn other_kinds_and_strides_follow_the_same_rules() {
    for lazy in [false, true] {
        for config in configs(lazy) {
            let truth = run(&config, &weight(Kind::Double), true, None);
            let base = weight(Kind::Double).detach().transpose(0, 1).contiguous();
            let strided = base.transpose(0, 1).set_requires_grad(true);
            assert!(!strided.is_contiguous());
            let end = run(&config, &strided, true, None);
            for (strided, truth) in end.iter().zip(&truth) {
                assert!(strided.allclose(truth, 1e-12, 1e-14, false), "{config:?}");
            }
            let end = run(&config, &weight(Kind::BFloat16), true, None).remove(0).to_kind(Kind::Double);
            let far = (end - &truth[0]).abs().max().double_value(&[]);
            assert!(far < 0.15, "{config:?}: {far}");
        }
    }
}

#[test]
fn lazy_leaves_rows_as_they_are() {
    let untouched = 8;
    for config in configs(true) {
        let end = run(&config, &weight(Kind::Double), true, None);
        assert_eq!(end[0].get(untouched), weight(Kind::Double).detach().get(untouched), "{config:?}");
        assert_ne!(end[0].get(4), weight(Kind::Double).detach().get(4));
        // A dense gradient touches every row, lazy or not.
        let dense = run(&config, &weight(Kind::Double), false, None);
        let mut moved_at_zero = serde_json::to_value(&config).unwrap();
        moved_at_zero["lazy"] = false.into();
        let usual: OptimizerConfig = serde_json::from_value(moved_at_zero).unwrap();
        assert_eq!(dense, run(&usual, &weight(Kind::Double), false, None), "{config:?}");
        assert_eq!(end == run(&usual, &weight(Kind::Double), true, None), usual.leaves_rows(), "{config:?}");
    }
}

#[test]
fn clipping_adds_rows_up_before_it_squares_and_leaves_their_sum() {
    let config = OptimizerConfig::default();
    for max in [0.5, 100.0] {
        let dense = run(&config, &weight(Kind::Double), false, Some(max));
        let sparse = run(&config, &weight(Kind::Double), true, Some(max));
        assert!(dense[0].allclose(&sparse[0], 1e-13, 1e-15, false));
    }
    let (sparse, dense) = (weight(Kind::Double), weight(Kind::Double));
    backward(&sparse, 2, true);
    backward(&dense, 2, false);
    let norm =
        |weight: &Tensor, max| clip_grad_norm(&[("w".to_string(), weight.shallow_clone())], max).unwrap();
    let expected = norm(&dense, f64::INFINITY);
    assert!((norm(&sparse, f64::INFINITY) - expected).abs() < 1e-14 * expected);
    let gradient = sparse.grad();
    assert!(gradient.is_coalesced(), "added up once, in place");
    assert_eq!(gradient.indices(), Tensor::from_slice(&[0_i64, 1, 7]).view([1, 3]));
    // Together with a dense one.
    let both = [("a".to_string(), sparse.shallow_clone()), ("b".to_string(), dense.shallow_clone())];
    let joint = clip_grad_norm(&both, 0.25).unwrap();
    assert!((joint - expected * 2_f64.sqrt()).abs() < 1e-14 * joint);
    assert!(sparse.grad().to_dense(None, false).allclose(&dense.grad(), 1e-13, 1e-15, false));
    let again = clip_grad_norm(&both, f64::INFINITY).unwrap();
    assert!((again - 0.25).abs() < 1e-6, "{again}");
}

#[test]
fn a_scaled_step_is_a_clipped_one_to_the_last_bit() {
    for (config, sparse) in configs(false).iter().flat_map(|config| [(config, false), (config, true)]) {
        let [in_place, folded] = [false, true].map(|fold| {
            let weight = weight(Kind::Float);
            let named = vec![("weight".to_string(), weight.shallow_clone())];
            let mut optimizer =
                Optimizer::new(vec![("weight".into(), weight.shallow_clone())], config).unwrap();
            for (step, &rate) in RATES.iter().enumerate() {
                optimizer.zero_grad().unwrap();
                backward(&weight, step, sparse);
                if fold {
                    let factor = clip_factor(grad_norm(&named).unwrap(), 0.7).unwrap();
                    optimizer.step_scaled(rate, factor).unwrap();
                } else {
                    assert!(clip_grad_norm(&named, 0.7).unwrap() > 0.7);
                    optimizer.step(rate).unwrap();
                }
            }
            weight.detach()
        });
        assert_eq!(in_place, folded, "{config:?}");
    }
    let mut optimizer = Optimizer::new(vec![], &OptimizerConfig::default()).unwrap();
    let error = optimizer.step_scaled(0.1, f64::NAN).unwrap_err().to_string();
    assert_eq!(error, "gradient scale is NaN, expected a finite number >= 0");
}

#[test]
fn no_gradient_of_the_whole_table_is_made() {
    // 128 MiB: a dense gradient would be seen in the memory of the process.
    let (height, width) = (1_i64 << 17, 256);
    let weight = Tensor::zeros([height, width], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    let mut optimizer =
        Optimizer::new(vec![("w".into(), weight.shallow_clone())], &OptimizerConfig::default()).unwrap();
    let before = resident_bytes();
    let ids = Tensor::from_slice(&[height - 1, 5, height / 2, 5]);
    for _ in 0..3 {
        optimizer.zero_grad().unwrap();
        Tensor::embedding(&weight, &ids, -1, false, true).sum(Kind::Float).backward();
        clip_grad_norm(&[("w".to_string(), weight.shallow_clone())], 1e9).unwrap();
        optimizer.step(0.5).unwrap();
    }
    assert_eq!(weight.double_value(&[5, 255]), -3.0);
    assert_eq!(weight.double_value(&[height - 1, 0]), -1.5);
    assert_eq!(weight.double_value(&[4, 0]), 0.0);
    let grown = resident_bytes() - before;
    assert!(grown < 64 << 20, "{grown} bytes for four rows");
}

fn resident_bytes() -> i64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<i64>().unwrap() * 4096
}

#[test]
fn gradients_that_come_coalesced_and_sums_of_several_are_taken() {
    for kind in [Kind::Float, Kind::Double] {
        let weight = weight(kind);
        let start = weight.detach().copy();
        let mut optimizer =
            Optimizer::new(vec![("w".into(), weight.shallow_clone())], &OptimizerConfig::default()).unwrap();
        // Two passes, of which the second adds to the first: rows 4 and 1 occur in both.
        backward(&weight, 0, true);
        backward(&weight, 2, true);
        let truth = weight.grad().to_dense(None, false);
        optimizer.step(1.0).unwrap();
        assert!(weight.grad().is_coalesced());
        let tolerance = if kind == Kind::Float { 1e-6 } else { 1e-14 };
        assert!(weight.detach().allclose(&(start - truth), tolerance, tolerance, false));
        // A coalesced one is taken as it is: the values are the same memory after the step.
        let values = weight.grad().internal_values().data_ptr();
        optimizer.step(1.0).unwrap();
        assert_eq!(weight.grad().internal_values().data_ptr(), values);
    }
    // Empty: nothing moves.
    let weight = weight(Kind::Float);
    let empty = Tensor::zeros([0, WIDTH], (Kind::Float, Device::Cpu));
    let none = rows_of(&Tensor::from_slice::<i64>(&[]), &empty, &[HEIGHT, WIDTH]).unwrap();
    assert_eq!(none.internal_nnz(), 0);
    let ids = Tensor::zeros([0], (Kind::Int64, Device::Cpu));
    Tensor::embedding(&weight, &ids, -1, false, true).sum(Kind::Float).backward();
    let mut optimizer =
        Optimizer::new(vec![("w".into(), weight.shallow_clone())], &OptimizerConfig::default()).unwrap();
    let before = weight.detach().copy();
    optimizer.step(1.0).unwrap();
    assert_eq!(weight.detach(), before);
}

#[test]
fn row_gradients_out_of_shape_are_refused() {
    let values = Tensor::zeros([2, WIDTH], (Kind::Float, Device::Cpu));
    let made = |ids: &[i64], values: &Tensor, size: &[i64]| {
        row_gradient(&Tensor::from_slice(ids), values, size).unwrap_err().to_string()
    };
    let size = [HEIGHT, WIDTH];
    assert!(made(&[0, 9], &values, &size).contains("id = 9, expected 0 <= id < 9"));
    assert!(made(&[-1, 0], &values, &size).contains("id = -1"));
    assert!(made(&[1, 0], &values, &[HEIGHT, 4]).contains("shape of values = [2, 3]"));
    assert!(made(&[1], &values.view([-1]).get(0), &size).contains("shape of values = []"));
    assert!(made(&[0, 1, 2], &values, &size).contains("values has 6 numbers"));
    assert!(made(&[1, 0], &values, &[]).contains("0 <= id < 0"));
}

#[test]
fn row_gradients_of_other_kinds_are_checked_too() {
    let values = Tensor::ones([2, WIDTH], (Kind::BFloat16, Device::Cpu));
    let made = |ids: &Tensor, values: &Tensor, size: &[i64]| {
        row_gradient(ids, values, size).unwrap_err().to_string()
    };
    let size = [HEIGHT, WIDTH];
    let ids = |ids: &[i64]| Tensor::from_slice(ids);
    assert!(made(&ids(&[0, 9]), &values, &size).contains("id = 9, expected 0 <= id < 9"));
    assert!(made(&ids(&[-1, 0]), &values, &size).contains("id = -1"));
    assert!(made(&ids(&[1, 0]), &values, &[HEIGHT, 4]).contains("shape of values = [2, 3]"));
    assert!(made(&ids(&[1, 0, 2]), &values, &size).contains("shape of values = [2, 3], expected [3, ..]"));
    assert!(made(&ids(&[1, 0]), &values, &[]).contains("0 <= id < 0"));
    let matrix = made(&ids(&[1, 0]).unsqueeze(0), &values, &size);
    assert!(matrix.contains("ids = [1, 2] of kind Int64, expected [N] of kind Int64"), "{matrix}");
    assert!(made(&Tensor::from_slice(&[1.0, 0.0]), &values, &size).contains("ids = [2] of kind Double"));
    let sums = row_gradient(&ids(&[8, 8]), &values, &size).unwrap();
    assert_eq!(sums.indices(), ids(&[8]).view([1, 1]));
    assert_eq!(sums.values(), Tensor::full([1, WIDTH], 2.0, (Kind::BFloat16, Device::Cpu)));
}

#[test]
fn other_sparse_layouts_are_refused_by_name() {
    let weight = weight(Kind::Double);
    let named = vec![("tail".to_string(), weight.shallow_clone())];
    let mut optimizer =
        Optimizer::new(vec![("tail".into(), weight.shallow_clone())], &OptimizerConfig::default()).unwrap();
    backward(&weight, 0, true);
    let mut gradient = weight.grad();
    gradient.set_data(&gradient.coalesce().to_dense(None, false).to_sparse_sparse_dim(2));
    for error in [optimizer.step(0.1).unwrap_err(), clip_grad_norm(&named, 1.0).unwrap_err()] {
        assert_eq!(error.to_string(), "the gradient of tail has 2 sparse dimensions, expected 1, the first");
    }
    assert_eq!(weight.detach(), self::weight(Kind::Double).detach());
}

#[test]
fn a_saved_lazy_state_goes_on_bit_for_bit() {
    for config in configs(true) {
        let whole = run(&config, &weight(Kind::Float), true, None);
        let weight = weight(Kind::Float);
        let mut state = Vec::new();
        for (step, &rate) in RATES.iter().enumerate() {
            // A fresh optimizer at every step.
            let mut optimizer =
                Optimizer::new(vec![("weight".into(), weight.shallow_clone())], &config).unwrap();
            if step > 0 {
                optimizer.load_state(&state).unwrap();
            }
            optimizer.zero_grad().unwrap();
            backward(&weight, step, true);
            optimizer.step(rate).unwrap();
            state = optimizer.state().unwrap();
        }
        let mut end = vec![weight.detach()];
        end.extend(state.into_iter().map(|(_, entry)| entry));
        assert_eq!(whole, end, "{config:?}");
    }
}
