//! Names that a program around one layer uses; each family's own prelude has them too.

pub use lexmax_kernels::seed::{Generator, generator};

pub use crate::{
    BuildContext, ClassOrder, Draws, ExactNll, LogProb, LossOptions, OutputError, OutputLayer, Reduction,
    TopK, TrainingLoss, WordCounts,
};
