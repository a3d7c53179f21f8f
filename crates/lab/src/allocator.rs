//! Memory that is given back to the system comes back page by page: glibc maps every large block
//! anew and unmaps it when it is freed, so each step pays a page fault for every 4 KiB of its
//! logits `[N, V]`. Keeping freed blocks in the process makes large steps up to twice as fast. It
//! suits a process that trains and ends, so only the run's process does it.

/// Tells the allocator to keep what is freed. Where the allocator is not glibc's, nothing happens.
/// Returns whether the allocator took it.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn keep_freed_memory() -> bool {
    /// Freed memory at the end of the heap is given back from this size on: never, in effect.
    const TRIM_THRESHOLD: libc::c_int = libc::c_int::MAX;
    /// The heap grows by at least this many bytes.
    const TOP_PAD: libc::c_int = 64 << 20;
    let settings =
        [(libc::M_MMAP_MAX, 0), (libc::M_TRIM_THRESHOLD, TRIM_THRESHOLD), (libc::M_TOP_PAD, TOP_PAD)];
    settings.iter().all(|&(parameter, value)| {
        // SAFETY: mallopt takes two integers by value, keeps no pointer, and glibc locks its arena
        // while it changes a parameter, so it may be called at any time from any thread.
        unsafe { libc::mallopt(parameter, value) == 1 }
    })
}

/// Tells the allocator to keep what is freed: this system's has no such setting.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn keep_freed_memory() -> bool {
    false
}

/// Gives what was freed back to the system, all but the free end of the heaps that threads other
/// than the first have; for those who measure what a call needs. Where the allocator is not
/// glibc's, nothing happens.
pub fn give_back_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: malloc_trim takes an integer by value and locks each arena while it works on it, so
    // it may be called at any time from any thread; it touches freed memory only.
    unsafe {
        libc::malloc_trim(0);
    }
}
