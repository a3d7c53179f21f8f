//! Optimizers of lexmax: SGD, Adagrad and Adam on named tensors, clipping by the global norm, and a
//! plateau schedule.
//!
//! The formulas are those of PyTorch's `torch.optim`; what differs is the interface: every
//! parameter has a name, the learning rate is an argument of each step, the state is a list of
//! named tensors that continues a run bit for bit, and row-sparse gradients are taken by every
//! rule: they do what the dense gradient would do without one being made, and cost their rows only
//! where other rows do not move or the rule is `lazy`.
//!
//! ```
//! use lexmax_optim::{Optimizer, OptimizerConfig, Plateau, PlateauConfig};
//! use tch::{Device, Kind, Tensor};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let weight = Tensor::f_zeros([3], (Kind::Float, Device::Cpu))?.f_set_requires_grad(true)?;
//! let goal = Tensor::f_from_slice(&[1.0f32, -2.0, 0.5])?;
//! let parameters = vec![("weight".to_string(), weight.shallow_clone())];
//!
//! let config: OptimizerConfig = serde_json::from_str(r#"{"kind": "sgd", "momentum": 0.5}"#)?;
//! let mut optimizer = Optimizer::new(parameters, &config)?;
//! let mut schedule = Plateau::new(0.2, PlateauConfig::default())?;
//! for _ in 0..60 {
//!     optimizer.zero_grad()?;
//!     let loss = weight.f_sub(&goal)?.f_square()?.f_sum(Kind::Float)?;
//!     loss.f_backward()?;
//!     optimizer.clip_grad_norm(1.0)?;
//!     optimizer.step(schedule.learning_rate())?;
//! }
//! assert!(weight.f_sub(&goal)?.f_abs()?.f_max()?.f_double_value(&[])? < 1e-3);
//! assert_eq!(schedule.observe(2.0), 0.2); // the first validation is the best so far
//! assert_eq!(schedule.observe(2.1), 0.05); // no better: a quarter of the rate
//! # Ok(())
//! # }
//! ```

mod addresses;
mod clip;
mod config;
mod error;
mod optimizer;
mod plateau;
mod sparse;
mod state;
mod tensors;
mod threads;
mod update;

pub use clip::{clip_factor, clip_grad_norm, grad_norm};
pub use config::{AdagradConfig, AdamConfig, OptimizerConfig, SgdConfig};
pub use error::{OptimError, Result};
pub use optimizer::Optimizer;
pub use plateau::{Plateau, PlateauConfig};
pub use sparse::row_gradient;

/// Compiles the example of README.md.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
