//! Measuring the libraries on the shapes of a sweep's tiles.

use lexmax_kernels::measure::TileProducts;
use lexmax_kernels::product::ProductLibrary;

/// Rows, classes and hidden size of the tile: a usual chunk of a usual layer.
const SHAPE: [usize; 3] = [192, 1024, 256];
/// Turns of each library; the fastest counts, since noise only adds.
const TURNS: usize = 5;
/// A library wins where it is faster by so much: less is noise, and the crate `gemm` is always
/// there.
const MARGIN: f64 = 1.02;

/// Rate of a library on the three products of a tile.
#[derive(Debug, Clone, PartialEq)]
pub struct Rate {
    /// Name of the library.
    pub name: String,
    /// Rate on one thread, in GFLOP/s.
    pub gflops: f64,
}

/// Measures some libraries in turn, on the calling thread and by its processor time: the three
/// products of a tile of 192 rows and 1,024 classes with `D = 256`, in f32. Takes some tens of
/// milliseconds.
///
/// ```
/// use lexmax_kernels::product::ProductLibrary;
/// let rates = lexmax_products::measure(&[ProductLibrary::GEMM]);
/// assert!(rates[0].name == "gemm" && rates[0].gflops > 0.0);
/// ```
pub fn measure(libraries: &[ProductLibrary]) -> Vec<Rate> {
    let mut products = TileProducts::<f32>::new(SHAPE);
    let mut best = vec![f64::INFINITY; libraries.len()];
    for turn in 0..=TURNS {
        for (library, best) in libraries.iter().zip(&mut best) {
            let started = thread_seconds();
            products.run(library);
            let seconds = thread_seconds() - started;
            // The first turn loads code and wakes the vector units.
            if turn > 0 {
                *best = best.min(seconds);
            }
        }
    }
    let gflops = |seconds: f64| products.operations() / seconds.max(1e-9) * 1e-9;
    let rates = libraries.iter().zip(best);
    rates
        .map(|(library, seconds)| Rate { name: library.name().to_owned(), gflops: gflops(seconds) })
        .collect()
}

/// Processor time of this thread, in seconds: on a busy machine it does not count the waiting.
fn thread_seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec of ours; the clock is one that every thread has, and
    // where it is not the time stays zero.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// Index of the library to take: the first, unless another is clearly faster.
pub(crate) fn winner(rates: &[Rate]) -> usize {
    let first = rates.first().map_or(0.0, |rate| rate.gflops);
    let fastest = (0..rates.len()).max_by(|a, b| rates[*a].gflops.total_cmp(&rates[*b].gflops)).unwrap_or(0);
    if rates.get(fastest).is_some_and(|rate| rate.gflops > MARGIN * first) { fastest } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_library_wins_only_where_clearly_faster() {
        let rates = |gflops: &[f64]| -> Vec<Rate> {
            gflops.iter().map(|gflops| Rate { name: String::new(), gflops: *gflops }).collect()
        };
        for (given, expected) in
            [(&[90.0][..], 0), (&[90.0, 91.0], 0), (&[90.0, 95.0], 1), (&[90.0, 40.0], 0), (&[], 0)]
        {
            assert_eq!(winner(&rates(given)), expected, "{given:?}");
        }
    }
}
