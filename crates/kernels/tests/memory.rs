//! The stated workspace is an upper bound of everything that a call allocates at its peak, the products' own buffers included.
#![allow(clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use lexmax_kernels::linear_ce::{
    Filter, Gradients, Linear, Options, Upstream, Workspace, default_memory_limit, filtered_workspace_bytes,
    loss_and_gradients, workspace_bytes,
};
use lexmax_kernels::measure::cut;

struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

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

#[test]
fn a_call_allocates_no_more_than_it_says() {
    let (size, vocab) = (48, 9000);
    let filter = Some(Filter { eps: 1e-4, exact_weight: false });
    let cases = [(300, 1, 32 << 20), (300, 2, 32 << 20), (300, 2, 6 << 20), (17, 1, 32 << 20)];
    for ((rows, threads, limit), filter) in cases.iter().flat_map(|case| [(*case, None), (*case, filter)]) {
        let hidden = vec![0.01_f32; rows * size];
        let weight = vec![0.02_f32; vocab * size];
        let targets = vec![3_i64; rows];
        let (mut d_hidden, mut d_weight) = (vec![0.0; rows * size], vec![0.0; vocab * size]);
        let linear = Linear { hidden: &hidden, weight: &weight, bias: None, hidden_size: size };
        let before = NOW.load(Ordering::Relaxed);
        PEAK.store(before, Ordering::Relaxed);
        let mut workspace = Workspace::new(threads).with_memory_limit(limit);
        let wanted =
            Gradients { hidden: Some(&mut d_hidden), weight: Some(&mut d_weight), ..Gradients::default() };
        let options = Options { filter, ..Options::default() };
        loss_and_gradients(linear, &targets, &options, Upstream::Same(1.0), wanted, &mut workspace).unwrap();
        let used = PEAK.load(Ordering::Relaxed) - before;
        let stated = match filter {
            None => workspace_bytes::<f32>(rows, size, vocab, threads, limit, true),
            Some(_) => filtered_workspace_bytes::<f32>(rows, size, vocab, threads, limit),
        };
        eprintln!("{rows} rows, {threads} threads, limit {limit}: {used} bytes at the peak, {stated} stated");
        assert!(
            used <= stated && stated <= limit,
            "{used} bytes at the peak, {stated} stated, limit {limit}"
        );
        // Never [N, V], were it only once.
        assert!(limit > 6 << 20 || used < rows * vocab * size_of::<f32>());
    }
}

/// Chunks of few rows read the weight again and again: whatever the number of threads, the default leaves room for long ones.
#[test]
fn the_default_limit_has_room_for_every_thread() {
    for threads in [1, 2, 4, 8, 16, 32, 64] {
        for (size, vocab) in [(256, 33_278), (512, 267_735), (1024, 1_000_000)] {
            let limit = default_memory_limit(threads);
            let cut = cut::<f32>(1024, size, vocab, threads, limit);
            assert!(cut.chunk >= 128, "{threads} threads, D = {size}, V = {vocab}: {cut:?}");
            let stated = workspace_bytes::<f32>(1024, size, vocab, threads, limit, true);
            assert!(stated <= limit, "{threads} threads, D = {size}, V = {vocab}: {stated} bytes");
        }
    }
}
