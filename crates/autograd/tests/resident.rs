//! The memory of saved tensors comes back: resident memory of this process, which runs no other
//! test.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod common;

use common::{Alive, square};
use lexmax_autograd::apply;
use tch::{Device, Kind, Tensor};

#[test]
fn the_memory_of_saved_tensors_comes_back() {
    let resident_mib = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() >> 10
    };
    let alive = Alive::default();
    let x = Tensor::ones([1 << 19], (Kind::Double, Device::Cpu)).set_requires_grad(true);
    let round = || {
        // 4 MiB saved in each of three nodes, of which one is never run.
        let y = apply(square(&alive), &[Some(&(&x * 1.0))]).unwrap().remove(0);
        let z = apply(square(&alive), &[Some(&y)]).unwrap().remove(0);
        z.sum(Kind::Double).backward();
        let _unused = apply(square(&alive), &[Some(&y)]).unwrap();
    };
    // The allocator keeps some of what is freed: a few rounds until it has what it wants.
    (0..5).for_each(|_| round());
    let before = resident_mib();
    (0..40).for_each(|_| round());
    let after = resident_mib();
    // One tensor leaked a round would be 160 MiB.
    assert!(after < before + 60, "{before} MiB before, {after} MiB after 40 rounds of 12 MiB");
}
