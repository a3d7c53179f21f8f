//! Every output layer for large vocabularies behind one trait and one configuration.
//!
//! Each family is a crate of its own and a cargo feature of this one; all are on by default.
//!
//! ```
//! use lexmax::output::{BuildContext, OutputLayer};
//! use lexmax::{OutputConfig, kernels::seed::generator};
//! use tch::{Device, Kind, Tensor, nn};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config: OutputConfig = toml::from_str(
//!     r#"
//!     layer = "adaptive"
//!     cutoffs = [100, 400]
//!     div_value = 2.0
//!     "#,
//! )?;
//! let store = nn::VarStore::new(Device::Cpu);
//! let layer = config.build(&BuildContext::new(store.root(), 1000, 64, 1))?;
//!
//! let hidden = Tensor::ones([8, 64], (Kind::Float, Device::Cpu));
//! let targets = Tensor::from_slice(&[0_i64, 1, 50, 99, 100, 399, 400, 999]);
//! layer.loss(&hidden, &targets, &mut generator(1, "negatives", 0))?.backward()?;
//! assert_eq!(layer.top_k(&hidden, 10)?.ids.size(), [8, 10]);
//! # Ok(())
//! # }
//! ```

#[cfg(not(any(
    feature = "full",
    feature = "sampled",
    feature = "hierarchical",
    feature = "adaptive",
    feature = "mixture"
)))]
compile_error!(
    "lexmax needs one of its families: turn on `full`, `sampled`, `hierarchical`, `adaptive` or `mixture`"
);

mod config;

pub use config::{LAYERS, LayerEntry, OutputConfig};

pub use lexmax_kernels as kernels;
pub use lexmax_output as output;

#[cfg(feature = "adaptive")]
pub use lexmax_adaptive as adaptive;
#[cfg(feature = "full")]
pub use lexmax_full as full;
#[cfg(feature = "hierarchical")]
pub use lexmax_hierarchical as hierarchical;
#[cfg(feature = "mixture")]
pub use lexmax_mixture as mixture;
#[cfg(feature = "sampled")]
pub use lexmax_sampled as sampled;

/// Compiles the example of README.md.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
