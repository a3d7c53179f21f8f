//! Loops on libtorch's own threads.

use crate::{AutogradError, ffi};

/// Calls `work` once with each of `0..count`, at once on the threads that libtorch's operations run
/// on (as many as `tch::get_num_threads` says; one after the other inside of another such loop),
/// and returns when all are done.
///
/// Threads of one's own beside libtorch's lose time: OpenMP's threads go on spinning for a while
/// after each operation, on cores that the others wait for. `work` must not panic: on a thread of
/// libtorch's that ends the process.
///
/// # Errors
/// libtorch refused; some of the work may be done then.
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
///
/// let sum = AtomicUsize::new(0);
/// lexmax_autograd::for_each_index(10, &|index| {
///     sum.fetch_add(index, Ordering::Relaxed);
/// })?;
/// assert_eq!(sum.into_inner(), 45);
/// # Ok::<(), lexmax_autograd::AutogradError>(())
/// ```
pub fn for_each_index(count: usize, work: &(dyn Fn(usize) + Sync)) -> Result<(), AutogradError> {
    ffi::parallel(count, work)
}

/// Number of threads that [`for_each_index`] and libtorch's operations use: `tch::get_num_threads`,
/// at least one.
///
/// ```
/// tch::set_num_threads(2);
/// assert_eq!(lexmax_autograd::threads(), 2);
/// ```
pub fn threads() -> usize {
    usize::try_from(tch::get_num_threads()).unwrap_or(1).max(1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::HashSet;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn each_index_once_on_more_than_one_thread() {
        tch::set_num_threads(2);
        for count in [0, 1, 2, 3, 100] {
            let seen: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
            let threads = Mutex::new(HashSet::new());
            super::for_each_index(count, &|index| {
                seen[index].fetch_add(1, Ordering::Relaxed);
                threads.lock().unwrap().insert(std::thread::current().id());
            })
            .unwrap();
            assert!(seen.iter().all(|times| times.load(Ordering::Relaxed) == 1), "{count}: {seen:?}");
            assert_eq!(threads.into_inner().unwrap().len(), count.min(2), "{count}");
        }
    }
}
