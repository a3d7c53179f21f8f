//! The three paths of a layer: which one it takes, and the memory that it computes in there.

use serde::{Deserialize, Serialize};
use tch::{Device, Kind};

use crate::chunked::ChunkMemory;
use crate::fused::Scratch;

/// Choice between the ways to the same numbers; a layer that lacks the chosen one takes the
/// reference path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compute {
    /// The fused kernels where the parameters are f32 or f64 on a CPU, chunks of rows elsewhere: on
    /// other devices, and for half precision.
    #[default]
    Fastest,
    /// Plain ATen operations over chunks of rows: any device, any dtype, and no `[N, V]`.
    Chunked,
    /// Plain ATen operations over all rows: any device, any dtype, and the oracle of the other
    /// paths.
    Reference,
}

/// Way that a layer's training loss is computed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ComputePath {
    /// The kernels of `lexmax-kernels`.
    Fused,
    /// ATen operations over chunks of rows in one node of the graph.
    Chunked,
    /// ATen operations over all rows.
    Reference,
}

impl Compute {
    /// The path of a layer that has all three, for parameters of this dtype and device.
    ///
    /// ```
    /// use lexmax_output::fused::Compute;
    /// use lexmax_output::ComputePath;
    /// use tch::{Device, Kind};
    ///
    /// assert_eq!(Compute::Fastest.path(Kind::Float, Device::Cpu), ComputePath::Fused);
    /// assert_eq!(Compute::Fastest.path(Kind::Float, Device::Cuda(0)), ComputePath::Chunked);
    /// assert_eq!(Compute::Fastest.path(Kind::BFloat16, Device::Cpu), ComputePath::Chunked);
    /// ```
    pub fn path(self, kind: Kind, device: Device) -> ComputePath {
        let kernels = device == Device::Cpu && matches!(kind, Kind::Float | Kind::Double);
        match self {
            Self::Fastest if kernels => ComputePath::Fused,
            Self::Fastest | Self::Chunked => ComputePath::Chunked,
            Self::Reference => ComputePath::Reference,
        }
    }

    /// Whether the fused kernels are taken for parameters of this dtype and device.
    pub fn is_fused(self, kind: Kind, device: Device) -> bool {
        self.path(kind, device) == ComputePath::Fused
    }
}

/// Memory that a layer computes in, by its path.
#[derive(Debug, Clone)]
pub enum PathMemory {
    /// Workspaces of the kernels.
    Fused(Scratch),
    /// The bound of a chunk of rows.
    Chunked(ChunkMemory),
    /// Whatever `[N, V]` takes.
    Reference,
}

impl PathMemory {
    /// The path that it belongs to.
    pub fn path(&self) -> ComputePath {
        match self {
            Self::Fused(_) => ComputePath::Fused,
            Self::Chunked(_) => ComputePath::Chunked,
            Self::Reference => ComputePath::Reference,
        }
    }

    /// The workspaces of the kernels, on the fused path.
    pub fn scratch(&self) -> Option<&Scratch> {
        match self {
            Self::Fused(scratch) => Some(scratch),
            Self::Chunked(_) | Self::Reference => None,
        }
    }

    /// The bound of a chunk of rows; that of the defaults where the path has none of its own, for
    /// queries, which no path needs to hold `[N, V]` for.
    pub fn chunk_memory(&self) -> ChunkMemory {
        match self {
            Self::Chunked(memory) => *memory,
            Self::Fused(_) | Self::Reference => ChunkMemory::default(),
        }
    }
}
