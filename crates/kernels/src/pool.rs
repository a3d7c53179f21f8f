//! Workers for one phase of a kernel: the calling thread and scoped threads beside it.
//!
//! Threads live for one phase only (some milliseconds of matrix products; starting one costs some tens of microseconds),
//! so nothing spins or waits between calls and libtorch's own threads find the cores free. Which worker does what is fixed
//! by the plan, never by timing: results are the same bits from run to run.

/// Runs `work` once for each worker, the first on the calling thread; a panic in one comes back to the caller.
pub(crate) fn on_each<W: Send>(workers: &mut [W], work: impl Fn(&mut W) + Sync) {
    let Some((first, others)) = workers.split_first_mut() else { return };
    if others.is_empty() {
        return work(first);
    }
    std::thread::scope(|scope| {
        for worker in others {
            scope.spawn(|| work(worker));
        }
        work(first);
    });
}
