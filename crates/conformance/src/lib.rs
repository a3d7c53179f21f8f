//! The laws that every output layer obeys, as one suite: a layer that passes can be used wherever
//! another one can.
//!
//! A test of a layer names it, says how it is built and which options it refuses, and calls
//! [`check`]. The suite builds the layer in f64, f32 and bf16, with every loss option, on the
//! reference path and on the fastest one, there also with row-sparse gradients, and on the chunked
//! one where the layer has it, with several chunks, and with products in bf16 where the layer does
//! not refuse them. It panics at the first law that does not hold:
//! it is meant for test code, as a dev-dependency.
//!
//! ```no_run
//! # fn build_my_layer(_: &lexmax_output::BuildContext<'_>, _: lexmax_output::LossOptions)
//! #     -> lexmax_output::Result<Box<dyn lexmax_output::OutputLayer>> { Err(lexmax_output::OutputError::refused("my layer", "everything", "it is an example")) }
//! use lexmax_conformance::{Case, check};
//!
//! check(&Case {
//!     name: "my layer",
//!     vocab_size: 60,
//!     hidden_size: 12,
//!     build: &|context, loss| build_my_layer(context, loss),
//!     refuses: &[("label_smoothing", "it never sees all classes in training")],
//! });
//! ```
//!
//! The rest are helpers for tests of one layer: [`Built`], a layer whose parameters are away from
//! zero, [`wave`] for tensors without a pattern, [`numbers`], the arithmetic of slow f64 oracles,
//! and [`golden_files`], the cases that other packages computed.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod compare;
mod fixture;
mod golden;
mod laws;
pub mod numbers;
mod subject;

use lexmax_kernels::product::Precision;
use lexmax_output::fused::Compute;
use lexmax_output::{ComputePath, LossOptions};
use tch::Kind;

pub use compare::dense_gradient;
pub use fixture::{Built, normal, uniform, wave};
pub use golden::golden_files;
pub use subject::{Builder, Case};

use subject::Trial;

/// Runs every law on a layer.
///
/// # Panics
/// At the first law that the layer breaks, with the law, the dtype, the option and the numbers.
pub fn check(case: &Case<'_>) {
    // The tensors are tiny: handing them to a pool of threads costs more than the work, above all
    // with tests in parallel.
    let _threads = OneThread::enter();
    for compute in [Compute::Reference, Compute::Fastest] {
        laws::check(&Trial { case, compute, sparse: false, precision: Precision::Full });
    }
    // A layer that trains with dense gradients trains with row-sparse ones.
    let sparse = Trial { case, compute: Compute::Fastest, sparse: true, precision: Precision::Full };
    laws::losses::check(&sparse);
    laws::gradients::check(&sparse);
    laws::paths::check(&sparse);
    let dense = Trial { sparse: false, ..sparse };
    laws::paths::check(&dense);
    laws::mixed::check(&dense);
    // A layer without this path takes the reference path, which was seen.
    let chunked = Trial { compute: Compute::Chunked, ..dense };
    let layer = chunked.subject(Kind::Double, LossOptions::default()).layer;
    if layer.compute_path() == ComputePath::Chunked {
        laws::check(&chunked);
        laws::paths::check(&chunked);
    }
}

/// One thread for libtorch while it lives; puts the number back, after a law that failed as well.
struct OneThread {
    before: i32,
}

impl OneThread {
    fn enter() -> Self {
        let before = tch::get_num_threads();
        tch::set_num_threads(1);
        Self { before }
    }
}

impl Drop for OneThread {
    fn drop(&mut self) {
        tch::set_num_threads(self.before);
    }
}

/// Compiles the example of README.md.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
