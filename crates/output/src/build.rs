//! Context of building a layer, and the initial values of its parameters.

use std::borrow::Borrow;

use lexmax_kernels::product::{Precision, ProductLibrary};
use lexmax_kernels::seed::{Generator, generator};
use rand_distr::{Distribution, Uniform};
use tch::{Device, Kind, Tensor, nn};

use crate::chunked::ChunkMemory;
use crate::compute::{Compute, ComputePath, PathMemory};
use crate::fused::{MemoryLimit, Scratch};
use crate::sizes::{INIT_RANGE, LayerSizes, TIED, check_elements, check_init_range};
use crate::{Loss, LossOptions, OutputError, Result, WordCounts};

/// Sizes, variables, counts and seed for building a layer. Dtype and device are those of the
/// variable store.
#[derive(Debug)]
pub struct BuildContext<'a> {
    /// Path of the parameters in the variable store; their names there are part of the saved
    /// format.
    pub path: nn::Path<'a>,
    /// Number of classes, `V`.
    pub vocab_size: i64,
    /// Width of the hidden states, `D`.
    pub hidden_size: i64,
    /// Training counts of the classes, for layers that need them.
    pub counts: Option<&'a WordCounts>,
    /// The input embedding `[V, D]`, for layers that are asked to share it.
    pub embedding: Option<Tensor>,
    /// Weights start as uniform(-r, r) with this `r`; `1 / sqrt(fan in)` where it is not given.
    pub init_range: Option<f64>,
    /// Choice between fused kernels, chunks of rows and plain ATen.
    pub compute: Compute,
    /// Whether weights of which a step reads a few rows get row-sparse gradients (COO) on the fused
    /// path, so that no `[V, D]` is made. The optimizer must take them, as `lexmax-optim` does;
    /// dense by default.
    pub sparse_gradients: bool,
    /// Memory of a layer's sweeps over classes, in bytes; where it is not given, what [`Scratch`]
    /// says on the fused path, and [`ChunkMemory`] on the chunked one. With more of it the fused
    /// path keeps logits of large vocabularies instead of computing them twice, and the chunked one
    /// has fewer chunks. Results differ by rounding only.
    pub workspace_bytes: Option<usize>,
    /// Library of the fused path's matrix products; where it is not given, the fastest on this
    /// machine, as [`lexmax_products::chosen`] says. Results differ by rounding only.
    pub products: Option<ProductLibrary>,
    /// Precision of the operands of the products of the training loss on the fused path:
    /// [`Precision::Bf16`] halves their arithmetic on a processor with AVX-512-BF16. Sums,
    /// normalisers, gradients and parameters stay as they are, and so do exact queries. Layers
    /// that make no such products refuse it.
    pub precision: Precision,
    /// Root seed; every parameter has a generator of its own.
    pub seed: u64,
}

impl<'a> BuildContext<'a> {
    /// A context without counts, embedding or start range: where the parameters go, `V`, `D` and
    /// the root seed.
    pub fn new(path: impl Borrow<nn::Path<'a>>, vocab_size: i64, hidden_size: i64, seed: u64) -> Self {
        Self {
            path: path.borrow().clone(),
            vocab_size,
            hidden_size,
            counts: None,
            embedding: None,
            init_range: None,
            compute: Compute::default(),
            sparse_gradients: false,
            workspace_bytes: None,
            products: None,
            precision: Precision::Full,
            seed,
        }
    }

    /// The context with the training counts of the classes.
    pub fn with_counts(self, counts: &'a WordCounts) -> Self {
        Self { counts: Some(counts), ..self }
    }

    /// Device of the parameters.
    pub fn device(&self) -> Device {
        self.path.device()
    }

    /// Element type of the parameters.
    pub fn kind(&self) -> Kind {
        self.path.kind()
    }

    /// Whether a layer that has a fused path takes it here.
    pub fn is_fused(&self) -> bool {
        self.compute.is_fused(self.kind(), self.device())
    }

    /// The path of a layer that has all three.
    pub fn compute_path(&self) -> ComputePath {
        self.compute.path(self.kind(), self.device())
    }

    /// Memory of the path that a layer with all three takes, for `components` rows a token (one,
    /// but for mixtures).
    ///
    /// # Errors
    /// As [`BuildContext::product_library`].
    pub fn path_memory(&self, components: i64) -> Result<PathMemory> {
        Ok(match self.compute_path() {
            ComputePath::Fused => PathMemory::Fused(self.scratch(components)?),
            ComputePath::Chunked => PathMemory::Chunked(ChunkMemory::new(self.workspace_bytes)),
            ComputePath::Reference => PathMemory::Reference,
        })
    }

    /// Workspaces for a fused layer that sweeps `components` rows for each token (one, but for
    /// mixtures).
    ///
    /// # Errors
    /// As [`BuildContext::product_library`].
    pub fn scratch(&self, components: i64) -> Result<Scratch> {
        let limit = match self.workspace_bytes {
            Some(bytes) => MemoryLimit::Bytes(bytes),
            None if components > 1 => MemoryLimit::QuarterMore,
            None => MemoryLimit::Default,
        };
        Ok(Scratch::of(limit, self.product_library()?))
    }

    /// Library of the fused path's matrix products: the one given, or the fastest on this machine.
    ///
    /// # Errors
    /// None was given, and the environment variable [`lexmax_products::VARIABLE`] names no library.
    pub fn product_library(&self) -> Result<ProductLibrary> {
        match self.products {
            Some(library) => Ok(library),
            None => Ok(lexmax_products::chosen()?.library),
        }
    }

    /// Sizes and settings to check a configuration against.
    pub fn sizes(&self) -> LayerSizes {
        LayerSizes {
            vocab_size: self.vocab_size,
            hidden_size: self.hidden_size,
            embedding: self.embedding.as_ref().map(Tensor::size),
            init_range: self.init_range,
            fused: self.is_fused(),
            precision: self.precision,
            rows: None,
        }
    }

    /// Checks the loss options against the sizes.
    ///
    /// # Errors
    /// As [`Loss::new`].
    pub fn loss(&self, layer: &'static str, options: LossOptions) -> Result<Loss> {
        let loss = Loss::new(layer, options, self.vocab_size, self.hidden_size, self.device(), self.kind())?;
        Ok(loss.with_precision(self.precision))
    }

    /// The training counts.
    ///
    /// # Errors
    /// There are none, or not one for each class.
    pub fn counts_for(&self, layer: &'static str) -> Result<&'a WordCounts> {
        match self.counts {
            Some(counts) if counts.vocab_size() == self.vocab_size => Ok(counts),
            Some(counts) => {
                let expected = format!("one count for each of {} classes", self.vocab_size);
                Err(OutputError::argument(layer, "counts", counts.vocab_size(), expected))
            }
            None => {
                Err(OutputError::argument(layer, "counts", "not given", "training counts of the classes"))
            }
        }
    }

    /// A trainable weight `[rows, columns]`, uniform(-r, r) with `r` the start range or `1 /
    /// sqrt(columns)`. Dots in the name lead through sub-paths.
    ///
    /// # Errors
    /// libtorch refused, a start range that is not positive, or more elements than a computer has
    /// room for.
    pub fn weight(&self, name: &str, rows: i64, columns: i64) -> Result<Tensor> {
        let range = self.init_range.unwrap_or(1.0 / (columns.max(1) as f64).sqrt());
        let (distribution, mut rng) = (uniform(range)?, self.generator(name));
        let weight = self.zeros(name, &[rows, columns])?;
        let _guard = tch::no_grad_guard();
        // A part at a time: a weight of gigabytes is not held twice.
        let (all, count) = (weight.f_view([-1])?, rows * columns);
        for start in (0..count).step_by(DRAWN_AT_ONCE) {
            let len = (count - start).min(DRAWN_AT_ONCE as i64);
            let values: Vec<f32> = (0..len).map(|_| distribution.sample(&mut rng)).collect();
            all.f_narrow(0, start, len)?.f_copy_(&Tensor::f_from_slice(&values)?)?;
        }
        Ok(weight)
    }

    /// A trainable bias `[size]` that starts at zero.
    ///
    /// # Errors
    /// libtorch refused.
    pub fn bias(&self, name: &str, size: i64) -> Result<Tensor> {
        self.zeros(name, &[size])
    }

    /// The class weight `[V, D]`: the input embedding where `tied`, a new parameter `weight`
    /// elsewhere.
    ///
    /// # Errors
    /// Tied, and there is no embedding of that shape, of the parameters' dtype and on their device.
    pub fn class_weight(&self, layer: &'static str, tied: bool, width: i64) -> Result<Tensor> {
        if !tied {
            return self.weight("weight", self.vocab_size, width);
        }
        self.sizes().check_tied(layer, width)?;
        match &self.embedding {
            None => Err(OutputError::refused(layer, "tied", "no input embedding was given to share")),
            Some(embedding) if embedding.kind() != self.kind() => {
                let expected = format!("{:?}, the kind of the layer's parameters", self.kind());
                Err(OutputError::Kind { op: layer, what: TIED, given: embedding.kind(), expected })
            }
            Some(embedding) if embedding.device() != self.device() => {
                let expected = format!("on {:?}, the device of the layer's parameters", self.device());
                Err(OutputError::argument(layer, TIED, format!("on {:?}", embedding.device()), expected))
            }
            Some(embedding) => Ok(embedding.shallow_clone()),
        }
    }

    /// A variable store takes no dots in a name: they separate its paths.
    fn zeros(&self, name: &str, shape: &[i64]) -> Result<Tensor> {
        check_elements(shape)?;
        let (parents, last) = name.rsplit_once('.').unwrap_or(("", name));
        let parents = parents.split('.').filter(|parent| !parent.is_empty());
        Ok(parents.fold(self.path.clone(), |path, parent| path.sub(parent)).f_zeros(last, shape)?)
    }

    fn generator(&self, name: &str) -> Generator {
        generator(self.seed, &format!("init/output/{name}"), 0)
    }
}

/// Start values of a weight that are held beside it.
const DRAWN_AT_ONCE: usize = 1 << 20;

fn uniform(range: f64) -> Result<Uniform<f32>> {
    check_init_range(range)?;
    let range = range as f32;
    Uniform::new_inclusive(-range, range)
        .map_err(|_| OutputError::argument("build", "init_range", range, INIT_RANGE))
}
