//! Threads of the row kernels: those of libtorch.

use lexmax_autograd::for_each_index;
use lexmax_kernels::set_runner;

/// Number of threads that a kernel may use, which is libtorch's. Every call of a kernel asks, so
/// this is also where the kernels are given libtorch's threads, which are awake from the backward
/// pass: threads of their own would fight with these for the cores.
pub(crate) fn threads() -> usize {
    // A runner that the program has chosen before stays. Where libtorch refuses, the pool does what
    // is left on the calling thread.
    set_runner(|count, work| drop(for_each_index(count, work)));
    lexmax_autograd::threads()
}
