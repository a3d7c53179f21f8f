//! The kernels run on libtorch's threads once an optimizer has used them; a process has one runner,
//! hence a file of its own.
#![allow(clippy::unwrap_used)]

use lexmax_kernels::set_runner;
use lexmax_optim::{Optimizer, OptimizerConfig};
use tch::{Device, Kind, Tensor};

/// Never asked: it comes too late.
fn late(_count: usize, _work: &(dyn Fn(usize) + Sync)) {
    unreachable!("the optimizer has set its runner before");
}

#[test]
fn a_step_hands_the_kernels_libtorchs_threads() {
    tch::set_num_threads(2);
    // Enough for two threads.
    let weight = Tensor::zeros([1 << 20], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    let named = vec![("w".into(), weight.shallow_clone())];
    let mut optimizer = Optimizer::new(named, &OptimizerConfig::default()).unwrap();
    weight.sum(Kind::Float).backward();
    optimizer.step(1.0).unwrap();
    assert!(!set_runner(late), "a runner was set by the step");
    optimizer.step(1.0).unwrap();
    assert_eq!(weight.detach(), Tensor::full([1 << 20], -2.0, (Kind::Float, Device::Cpu)));
}
