//! The stated workspace is an upper bound of everything that a call allocates at its peak, the
//! products' own buffers included.
#![allow(clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use lexmax_kernels::Element;
use lexmax_kernels::linear_ce::{
    Filter, Gradients, Linear, Options, Upstream, Workspace, default_memory_limit, filtered_workspace_bytes,
    loss, loss_and_gradients, workspace_bytes,
};
use lexmax_kernels::measure::cut;
use lexmax_kernels::product::Precision;

struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
/// The lock of tests that count.
static COUNTED: Mutex<()> = Mutex::new(());

// SAFETY: every request goes to the system's allocator unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(now, Ordering::Relaxed);
        // SAFETY: the caller keeps the allocator's contract.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the allocator's contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One call.
#[derive(Debug, Clone, Copy)]
struct Case {
    rows: usize,
    size: usize,
    vocab: usize,
    threads: usize,
    limit: usize,
    gradients: bool,
    filter: Option<Filter>,
    precision: Precision,
}

impl Case {
    /// Bytes at the peak of the call, with a workspace of its own, beyond what there was before it.
    fn used<T: Element>(self) -> usize {
        let before = NOW.load(Ordering::Relaxed);
        let mut workspace = Workspace::new(self.threads).with_memory_limit(self.limit);
        workspace.set_precision(self.precision);
        self.peak_in::<T>(&mut workspace) - before
    }

    /// Bytes at the peak of the call, inputs and outputs left out.
    fn peak_in<T: Element>(self, workspace: &mut Workspace<T>) -> usize {
        let Self { rows, size, vocab, filter, .. } = self;
        let hidden = vec![T::from_f64(0.01); rows * size];
        let weight = vec![T::from_f64(0.02); vocab * size];
        let targets = vec![vocab as i64 / 2; rows];
        let (mut d_hidden, mut d_weight) =
            (vec![T::default(); rows * size], vec![T::default(); vocab * size]);
        let linear = Linear { hidden: &hidden, weight: &weight, bias: None, hidden_size: size };
        let inputs = size_of::<T>() * 2 * (rows + vocab) * size + rows * size_of::<i64>();
        PEAK.store(NOW.load(Ordering::Relaxed), Ordering::Relaxed);
        let options = Options { filter, ..Options::default() };
        if self.gradients {
            let wanted = Gradients {
                hidden: Some(&mut d_hidden),
                weight: Some(&mut d_weight),
                ..Gradients::default()
            };
            loss_and_gradients(linear, &targets, &options, Upstream::Same(1.0), wanted, workspace).unwrap();
        } else {
            loss(linear, &targets, &options, workspace).unwrap();
        }
        PEAK.load(Ordering::Relaxed) - inputs
    }

    fn stated<T: Element>(self, limit: usize) -> usize {
        let Self { rows, size, vocab, threads, .. } = self;
        match self.filter {
            None => workspace_bytes::<T>(rows, size, vocab, threads, limit, self.gradients),
            Some(_) => filtered_workspace_bytes::<T>(rows, size, vocab, threads, limit),
        }
    }
}

/// Sizes on both sides of every bound of the products: few rows, few classes, both, wide and narrow
/// hidden states.
fn cases() -> impl Iterator<Item = Case> {
    let sizes = [
        (300, 48, 9000, 1, 32),
        (300, 48, 9000, 2, 32),
        (300, 48, 9000, 2, 6),
        (17, 48, 9000, 1, 32),
        (2, 700, 600, 1, 32),
        (64, 64, 64, 1, 32),
        (48, 3, 50, 1, 32),
        (600, 640, 700, 3, 64),
    ];
    let filter = Some(Filter { eps: 1e-4, exact_weight: false });
    sizes.into_iter().flat_map(move |(rows, size, vocab, threads, mib)| {
        [(true, None), (true, filter), (false, None)].map(|(gradients, filter)| Case {
            rows,
            size,
            vocab,
            threads,
            limit: mib << 20,
            gradients,
            filter,
            precision: Precision::Full,
        })
    })
}

/// Bytes that a statement reserves for the products' own buffer of one thread: those of a
/// second-level cache, and 1 MiB at least.
fn slab() -> usize {
    gemm_common::cache::CACHE_INFO[1].cache_bytes.max(1 << 20)
}

fn check<T: Element>(case: Case) {
    let (used, stated) = (case.used::<T>(), case.stated::<T>(case.limit));
    // A limit below the least that the problem can do with is raised to that.
    let limit = case.limit.max(case.stated::<T>(0));
    assert!(used <= stated && stated <= limit, "{used} bytes at the peak, {stated} stated: {case:?}");
    // Never [N, V], were it only once.
    let dense = case.rows * case.vocab * size_of::<T>();
    assert!(case.limit > 6 << 20 || used < dense.max(stated), "{used} bytes at the peak: {case:?}");
}

#[test]
fn call_allocates_no_more_than_it_states() {
    let _alone = COUNTED.lock().unwrap();
    for case in cases() {
        check::<f32>(case);
        check::<f32>(Case { precision: Precision::Bf16, ..case });
        check::<f64>(case);
    }
}

/// The products' own buffer of a thread is as large as the processor's second-level cache. On a
/// thread that has it already a call stays within the statement without that buffer, so the
/// statement holds whatever its size.
#[test]
fn call_without_the_cache_sized_buffer_stays_below_the_rest() {
    let _alone = COUNTED.lock().unwrap();
    for case in cases().filter(|case| case.threads == 1) {
        let reserve = slab();
        // The first call makes the buffer.
        case.used::<f32>();
        let (used, stated) = (case.used::<f32>(), case.stated::<f32>(case.limit));
        assert!(used + reserve <= stated, "{used} bytes and {reserve} of {stated} stated: {case:?}");
        let (used, stated) = (case.used::<f64>(), case.stated::<f64>(case.limit));
        assert!(used + reserve <= stated, "{used} bytes and {reserve} of {stated} stated: {case:?}");
    }
}

/// Buffers that earlier calls of other sizes left count too. The first call of a size may grow
/// buffers beside old ones before it drops these, so the second one is measured.
#[test]
fn workspace_of_many_sizes_stays_within_its_limit() {
    let _alone = COUNTED.lock().unwrap();
    let limit = 6 << 20;
    let before = NOW.load(Ordering::Relaxed);
    let mut workspace = Workspace::<f32>::new(2).with_memory_limit(limit);
    let sizes = [(200, 40, 2000), (2, 1, 5000), (120, 2, 9000), (300, 48, 9000), (40, 200, 700)];
    for (rows, size, vocab) in sizes {
        let case = Case {
            rows,
            size,
            vocab,
            threads: 2,
            limit,
            gradients: true,
            filter: None,
            precision: Precision::Full,
        };
        case.peak_in(&mut workspace);
        let used = case.peak_in(&mut workspace) - before;
        let limit = limit.max(case.stated::<f32>(0));
        assert!(used <= limit, "{used} bytes at the peak: {case:?}");
    }
}

/// Chunks of few rows read the weight again and again: whatever the number of threads, the default
/// leaves space for long ones.
#[test]
fn default_limit_has_room_for_every_thread() {
    let _alone = COUNTED.lock().unwrap();
    for threads in [1, 2, 4, 8, 16, 32, 64] {
        for (size, vocab) in [(256, 33_278), (512, 267_735), (1024, 1_000_000)] {
            // On processors of larger second-level caches that much more.
            let limit = default_memory_limit(threads, 4 * vocab * size) + threads * (slab() - (1 << 20));
            let cut = cut::<f32>(1024, size, vocab, threads, limit);
            let stated = workspace_bytes::<f32>(1024, size, vocab, threads, limit, true);
            let least = workspace_bytes::<f32>(1024, size, vocab, threads, 0, true);
            assert!(stated <= limit.max(least), "{threads} threads, D = {size}, V = {vocab}: {stated} bytes");
            assert!(cut.chunk >= 64, "{threads} threads, D = {size}, V = {vocab}: {cut:?}");
        }
    }
}
