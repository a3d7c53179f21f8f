//! Tests of the sampled layer through its public interface.

#![allow(clippy::unwrap_used)]

mod bad_input;
mod distribution;
mod draws;
mod estimator;
mod fixture;
mod oracle;
mod paths;
mod regressions;
mod training;
