//! Where the row kernels run.

use lexmax_kernels::{Runner, set_runner};

/// The kernels run on libtorch's threads, which are awake from the backward pass: threads of their own would fight with
/// these for the cores.
struct OnLibtorch;

impl Runner for OnLibtorch {
    fn run(&self, count: usize, work: &(dyn Fn(usize) + Sync)) {
        // Where libtorch refuses, the pool does what is left on the calling thread.
        let _ = lexmax_autograd::for_each_index(count, work);
    }
}

/// How many threads a kernel may use: as many as libtorch does. Every call of a kernel asks, so this is also where the
/// kernels are given libtorch's threads.
pub(crate) fn threads() -> usize {
    // A runner that the program has chosen before stays.
    set_runner(&OnLibtorch);
    usize::try_from(tch::get_num_threads()).unwrap_or(1).max(1)
}
