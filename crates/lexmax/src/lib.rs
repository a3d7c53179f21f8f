//! Every output layer for large vocabularies behind one trait and one configuration.
//!
//! Each family is a crate of its own and a cargo feature of this one; all are on by default.
//!
//! ```
//! use lexmax::prelude::*;
//! use tch::nn::{self, Module};
//! use tch::{Device, Kind, Tensor};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = nn::VarStore::new(Device::Cpu);
//! let embedding = nn::embedding(store.root() / "embedding", 1000, 64, Default::default());
//! let config: OutputConfig = toml::from_str("layer = 'adaptive'\ncutoffs = [100, 400]")?;
//! let layer = config.build(&BuildContext::new(store.root() / "output", 1000, 64, 1))?;
//! let mut optimizer = Optimizer::for_store(&store, &OptimizerConfig::Adam(AdamConfig::default()))?;
//!
//! let words = Tensor::from_slice(&[0_i64, 1, 50, 99, 100, 399, 400, 999]).view([2, 4]);
//! let next = (&words * 3 + 1).remainder(1000);
//! let mut losses = Vec::new();
//! for _ in 0..30 {
//!     let loss = layer.loss(&embedding.forward(&words), &next)?; // [.., D] and [..]
//!     optimizer.zero_grad()?;
//!     loss.backward()?;
//!     optimizer.clip_grad_norm(1.0)?;
//!     optimizer.step(1e-2)?;
//!     losses.push(loss.value()?);
//! }
//! assert!(losses[29] < 0.5 * losses[0]);
//! assert_eq!(layer.top_k(&embedding.forward(&words), 10)?.ids.size(), [2, 4, 10]);
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
pub use lexmax_optim as optim;
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

/// Names that a program around any layer uses: the layers, their configurations, the trait and the
/// optimizers.
///
/// ```
/// use lexmax::prelude::*;
/// use tch::{Device, Kind, Tensor, nn};
///
/// # #[cfg(feature = "adaptive")]
/// # fn main() -> Result<(), OutputError> {
/// # let store = nn::VarStore::new(Device::Cpu);
/// # let hidden = Tensor::ones([2, 3, 64], (Kind::Float, Device::Cpu)); // [.., D]
/// # let targets = Tensor::ones([2, 3], (Kind::Int64, Device::Cpu)); // [..]
/// # let config = AdaptiveConfig::with_cutoffs([100, 400]);
/// let layer = Adaptive::new(&BuildContext::new(store.root(), 1000, 64, 1), &config)?;
/// let loss = layer.loss(&hidden, &targets)?;
/// loss.backward()?;
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "adaptive"))]
/// # fn main() {}
/// ```
pub mod prelude {
    pub use lexmax_optim::{
        AdagradConfig, AdamConfig, Optimizer, OptimizerConfig, Plateau, PlateauConfig, SgdConfig,
    };
    pub use lexmax_output::prelude::*;

    #[cfg(feature = "adaptive")]
    pub use lexmax_adaptive::prelude::*;
    #[cfg(feature = "full")]
    pub use lexmax_full::prelude::*;
    #[cfg(feature = "hierarchical")]
    pub use lexmax_hierarchical::prelude::*;
    #[cfg(feature = "mixture")]
    pub use lexmax_mixture::prelude::*;
    #[cfg(feature = "sampled")]
    pub use lexmax_sampled::prelude::*;

    pub use crate::{LAYERS, OutputConfig};
}

/// Compiles the example of README.md.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
