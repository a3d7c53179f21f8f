//! Tests of the sampled layer through its public interface.

#![allow(clippy::unwrap_used)]

mod answers;
mod bad_input;
mod distribution;
mod draws;
mod estimator;
mod expectation;
mod fixture;
mod in_place;
mod optimum;
mod oracle;
mod paths;
mod regressions;
mod resume;
mod training;
