//! Every rule against a scalar loop in `f64`, written from the formulas alone, over several steps.
#![allow(clippy::unwrap_used)]

use lexmax_optim::{AdagradConfig, AdamConfig, Optimizer, OptimizerConfig, SgdConfig};
use tch::{Device, Kind, Tensor};

/// A fixed sequence of rates, to notice a rule that keeps the first.
const RATES: [f64; 7] = [0.3, 0.3, 0.1, 0.05, 0.2, 0.0, 0.7];

/// Deterministic values in (-1, 1), different for each `stream`; every 13th is zero.
fn values(count: usize, stream: usize) -> Vec<f64> {
    let at = |i: usize| if i % 13 == 5 { 0.0 } else { ((i * 37 + stream * 101) as f64 * 0.618).sin() };
    (0..count).map(at).collect()
}

/// One element of the parameter with its state, updated as the papers write it.
struct Element {
    p: f64,
    a: f64,
    b: f64,
    t: i32,
}

impl Element {
    fn new(p: f64, config: &OptimizerConfig) -> Self {
        let a = match config {
            OptimizerConfig::Adagrad(c) => c.initial_accumulator,
            _ => 0.0,
        };
        Element { p, a, b: 0.0, t: 0 }
    }

    fn update(&mut self, gradient: f64, lr: f64, config: &OptimizerConfig) {
        self.t += 1;
        match config {
            OptimizerConfig::Sgd(c) => {
                let g = gradient + c.weight_decay * self.p;
                self.a = c.momentum * self.a + g;
                self.p -= lr * if c.nesterov { g + c.momentum * self.a } else { self.a };
            }
            OptimizerConfig::Adagrad(c) => {
                let g = gradient + c.weight_decay * self.p;
                self.a += g * g;
                self.p -= lr * g / (self.a.sqrt() + c.eps);
            }
            OptimizerConfig::Adam(c) => {
                let mut g = gradient;
                if c.decoupled {
                    self.p -= lr * c.weight_decay * self.p;
                } else {
                    g += c.weight_decay * self.p;
                }
                self.a = c.beta1 * self.a + (1.0 - c.beta1) * g;
                self.b = c.beta2 * self.b + (1.0 - c.beta2) * g * g;
                let m_hat = self.a / (1.0 - c.beta1.powi(self.t));
                let v_hat = self.b / (1.0 - c.beta2.powi(self.t));
                self.p -= lr * m_hat / (v_hat.sqrt() + c.eps);
            }
        }
    }
}

/// Sets the gradient of `parameter` to `gradient` by a backward pass of their product.
fn give(parameter: &Tensor, gradient: &Tensor) {
    (parameter * gradient).sum(Kind::Double).backward();
}

/// Largest distance to the oracle, relative to the largest value, over `RATES.len()` steps.
fn distance(config: &OptimizerConfig, shape: &[i64], kind: Kind) -> f64 {
    let count = shape.iter().product::<i64>() as usize;
    let start = values(count, 0);
    let parameter = Tensor::from_slice(&start).view(shape).to_kind(kind).set_requires_grad(true);
    let mut optimizer = Optimizer::new(vec![("w".into(), parameter.shallow_clone())], config).unwrap();
    let mut oracle: Vec<Element> = start.iter().map(|&p| Element::new(p, config)).collect();
    for (t, &lr) in RATES.iter().enumerate() {
        let gradient = values(count, t + 1);
        optimizer.zero_grad().unwrap();
        give(&parameter, &Tensor::from_slice(&gradient).view(shape).to_kind(kind));
        optimizer.step(lr).unwrap();
        for (element, &g) in oracle.iter_mut().zip(&gradient) {
            element.update(g, lr, config);
        }
    }
    let truth = Tensor::from_slice(&oracle.iter().map(|e| e.p).collect::<Vec<f64>>()).view(shape);
    let moved = (Tensor::from_slice(&start).view(shape) - &truth).abs().max().double_value(&[]);
    assert!(moved > 0.1, "the steps must move something: {moved}");
    let far = (parameter.detach().to_kind(Kind::Double) - &truth).abs().max();
    far.double_value(&[]) / truth.abs().max().double_value(&[])
}

fn configs() -> Vec<OptimizerConfig> {
    let sgd = |momentum, nesterov, weight_decay| {
        OptimizerConfig::Sgd(SgdConfig { momentum, nesterov, weight_decay, lazy: false })
    };
    let adagrad = |eps, initial_accumulator, weight_decay| {
        OptimizerConfig::Adagrad(AdagradConfig { eps, initial_accumulator, weight_decay, lazy: false })
    };
    let adam = |beta1, beta2, eps, weight_decay, decoupled| {
        OptimizerConfig::Adam(AdamConfig { beta1, beta2, eps, weight_decay, decoupled, lazy: false })
    };
    vec![
        sgd(0.0, false, 0.0),
        sgd(0.0, false, 0.1),
        sgd(0.9, false, 0.0),
        sgd(0.9, false, 0.1),
        sgd(0.6, true, 0.0),
        sgd(0.6, true, 0.1),
        adagrad(1e-10, 0.0, 0.0),
        adagrad(0.01, 0.5, 0.0),
        adagrad(1e-10, 0.0, 0.1),
        adam(0.9, 0.999, 1e-8, 0.0, false),
        adam(0.7, 0.9, 0.1, 0.0, false),
        adam(0.9, 0.99, 1e-8, 0.1, false),
        adam(0.9, 0.99, 1e-8, 0.1, true),
        adam(0.0, 0.0, 0.5, 0.0, false),
    ]
}

#[test]
fn double_parameters_follow_the_oracle_to_rounding() {
    for config in configs() {
        let far = distance(&config, &[11, 7], Kind::Double);
        assert!(far < 1e-13, "{config:?}: {far}");
    }
}

#[test]
fn float_parameters_follow_the_oracle_to_single_rounding() {
    for config in configs() {
        // Adam divides by the root of a moment that cancels: its direction is good to some 1e-6
        // only.
        let far = distance(&config, &[11, 7], Kind::Float);
        assert!(far < 30.0 * f64::from(f32::EPSILON), "{config:?}: {far}");
    }
}

#[test]
fn large_parameters_on_several_threads_follow_the_oracle_too() {
    // Nesterov with decay, Adagrad with decay, Adam with an L2 penalty, AdamW: every tensor of
    // every rule.
    for i in [5, 8, 11, 12] {
        let config = &configs()[i];
        // Enough for two threads.
        let far = distance(config, &[2, 70_001], Kind::Double);
        assert!(far < 1e-13, "{config:?}: {far}");
    }
}

#[test]
fn rates_and_decays_of_bf16_parameters_are_not_rounded_to_bf16() {
    // In bf16 these are 0.00299072265625 and 0.01000976562500.
    let (lr, weight_decay) = (0.003, 0.01);
    let sgd = |momentum, nesterov, weight_decay| {
        OptimizerConfig::Sgd(SgdConfig { momentum, nesterov, weight_decay, lazy: false })
    };
    // Parameters near zero, so that the rounding of the sum does not hide that of the step.
    let start = Tensor::from_slice(&values(300, 0)) * 1e-4;
    let start = start.view([300, 1]).to_kind(Kind::BFloat16);
    let gradient = Tensor::from_slice(&values(300, 1)).view([300, 1]).to_kind(Kind::BFloat16);
    let exact = |t: &Tensor| t.to_kind(Kind::Double);
    for sparse in [false, true] {
        for (config, truth) in [
            (sgd(0.0, false, 0.0), exact(&start) - exact(&gradient) * lr),
            // The parameter is decayed first, and rounded then.
            (
                sgd(0.0, false, weight_decay),
                exact(&(exact(&start) * (1.0 - lr * weight_decay)).to_kind(Kind::BFloat16))
                    - exact(&gradient) * lr,
            ),
            (sgd(0.5, false, 0.0), exact(&start) - exact(&gradient) * lr),
        ] {
            let p = start.copy().set_requires_grad(true);
            let mut optimizer = Optimizer::new(vec![("w".into(), p.shallow_clone())], &config).unwrap();
            if sparse {
                let ids = Tensor::arange(300, (Kind::Int64, Device::Cpu));
                let rows = Tensor::embedding(&p, &ids, -1, false, true);
                (rows * &gradient).sum(Kind::BFloat16).backward();
            } else {
                (&p * &gradient).sum(Kind::BFloat16).backward();
            }
            optimizer.step(lr).unwrap();
            let rounded = truth.to_kind(Kind::BFloat16);
            assert_eq!(p.detach(), rounded, "{config:?}");
        }
    }
    // The penalty of Adagrad's first step: p - lr g' / |g'| whatever the size of g', so the sum of
    // squares tells.
    let p = start.copy().set_requires_grad(true);
    let config = OptimizerConfig::Adagrad(AdagradConfig { weight_decay, ..Default::default() });
    let mut optimizer = Optimizer::new(vec![("w".into(), p.shallow_clone())], &config).unwrap();
    give(&p, &p.zeros_like());
    optimizer.step(lr).unwrap();
    let penalty = (exact(&start) * weight_decay).to_kind(Kind::BFloat16);
    let sum = optimizer.state().unwrap().remove(0).1;
    assert_eq!(sum, &penalty * &penalty);
}

#[test]
fn every_constant_changes_the_result() {
    let ends: Vec<Vec<f64>> = configs()
        .iter()
        .map(|config| {
            let parameter = Tensor::from_slice(&values(20, 0)).set_requires_grad(true);
            let mut optimizer =
                Optimizer::new(vec![("w".into(), parameter.shallow_clone())], config).unwrap();
            for stream in 1..4 {
                optimizer.zero_grad().unwrap();
                give(&parameter, &Tensor::from_slice(&values(20, stream)));
                optimizer.step(0.1).unwrap();
            }
            Vec::try_from(parameter.detach()).unwrap()
        })
        .collect();
    for (i, a) in ends.iter().enumerate() {
        for b in &ends[..i] {
            assert_ne!(a, b);
        }
    }
}

#[test]
fn strided_parameters_are_updated_in_place() {
    for config in configs() {
        let base = Tensor::from_slice(&values(600 * 500, 0)).view([600, 500]);
        let strided = base.transpose(0, 1).set_requires_grad(true);
        let dense = base.transpose(0, 1).contiguous().set_requires_grad(true);
        assert!(!strided.is_contiguous());
        let gradient = Tensor::from_slice(&values(600 * 500, 1)).view([500, 600]);
        for parameter in [&strided, &dense] {
            let named = vec![("w".to_string(), parameter.shallow_clone())];
            let mut optimizer = Optimizer::new(named, &config).unwrap();
            give(parameter, &gradient);
            optimizer.step(0.3).unwrap();
        }
        let far = (strided.detach() - dense.detach()).abs().max().double_value(&[]);
        assert!(far < 1e-14, "{config:?}: {far}");
        assert_eq!(base.transpose(0, 1), strided.detach(), "the storage itself must have changed");
    }
}

#[test]
fn parameters_without_a_gradient_keep_value_and_state() {
    for config in configs() {
        let used = Tensor::ones([3], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let unused = Tensor::ones([3], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let named = vec![("used".into(), used.shallow_clone()), ("unused".into(), unused.shallow_clone())];
        let mut optimizer = Optimizer::new(named, &config).unwrap();
        let before = optimizer.state().unwrap();
        give(&used, &Tensor::ones([3], (Kind::Float, Device::Cpu)));
        optimizer.step(0.5).unwrap();
        assert_eq!(unused, Tensor::ones([3], (Kind::Float, Device::Cpu)), "{config:?}");
        assert_ne!(used, Tensor::ones([3], (Kind::Float, Device::Cpu)), "{config:?}");
        for ((name, old), (_, new)) in before.iter().zip(optimizer.state().unwrap()) {
            assert_eq!(*old == new, name.starts_with("unused/"), "{name}");
        }
    }
}

#[test]
fn zero_gradients_are_no_division_by_zero() {
    for config in configs() {
        let parameter = Tensor::zeros([5], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let mut optimizer = Optimizer::new(vec![("w".into(), parameter.shallow_clone())], &config).unwrap();
        give(&parameter, &Tensor::zeros([5], (Kind::Float, Device::Cpu)));
        optimizer.step(0.5).unwrap();
        assert_eq!(parameter, Tensor::zeros([5], (Kind::Float, Device::Cpu)), "{config:?}");
    }
}

#[test]
fn zero_grad_leaves_no_gradient_behind() {
    let parameter = Tensor::zeros([5], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    let named = vec![("w".into(), parameter.shallow_clone())];
    let mut optimizer = Optimizer::new(named, &OptimizerConfig::default()).unwrap();
    let gradient = Tensor::ones([5], (Kind::Float, Device::Cpu));
    for _ in 0..2 {
        give(&parameter, &gradient);
        assert_eq!(parameter.grad(), gradient);
        optimizer.zero_grad().unwrap();
        assert!(!parameter.grad().defined());
    }
    optimizer.step(1.0).unwrap();
    assert_eq!(parameter, Tensor::zeros([5], (Kind::Float, Device::Cpu)));
}
