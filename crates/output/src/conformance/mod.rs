//! The laws that every output layer obeys, as one suite: a layer that passes can be used wherever another one can.
//!
//! A test of a layer names it, says how it is built and which options it refuses, and calls [`check`]. The suite builds
//! the layer in f64, f32 and bf16, with every loss option, on the reference path and
//! on the fastest one, there also with row-sparse gradients, and panics at the first law that does not hold: it is meant for
//! test code.
//!
//! ```no_run
//! # fn build_my_layer(_: &lexmax_output::BuildContext<'_>, _: lexmax_output::LossOptions)
//! #     -> lexmax_output::Result<Box<dyn lexmax_output::OutputLayer>> { Err(lexmax_output::OutputError::refused("my layer", "everything", "it is an example")) }
//! use lexmax_output::conformance::{Case, check};
//!
//! check(&Case {
//!     name: "my layer",
//!     vocab_size: 60,
//!     hidden_size: 12,
//!     build: &|context, loss| build_my_layer(context, loss),
//!     refuses: &[("label_smoothing", "it never sees all classes in training")],
//! });
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod draws;
mod gradients;
mod input;
mod losses;
mod paths;
mod persistence;
mod precision;
mod probabilities;
mod subject;

use crate::fused::Compute;
pub use subject::{Builder, Case, Subject, dense_gradient};

/// Runs every law on a layer.
///
/// # Panics
/// At the first law that the layer breaks, with the law, the element type, the option and the numbers.
pub fn check(case: &Case<'_>) {
    // The tensors are tiny: handing them to a pool of threads costs more than the work, above all with tests in parallel.
    let _settings = subject::Settings::keep();
    tch::set_num_threads(1);
    for path in [Compute::Reference, Compute::Fastest] {
        subject::PATH.set(path);
        laws(case);
    }
    // What trains with dense gradients trains with row-sparse ones.
    subject::SPARSE.set(true);
    losses::check(case);
    gradients::check(case);
    paths::check(case);
    subject::SPARSE.set(false);
    paths::check(case);
}

fn laws(case: &Case<'_>) {
    probabilities::check(case);
    losses::check(case);
    gradients::check(case);
    precision::check(case);
    draws::check(case);
    persistence::check(case);
    input::check(case);
}
