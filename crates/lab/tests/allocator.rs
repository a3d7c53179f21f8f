//! The allocator keeps what is freed, and gives it back when it is asked. One test alone in its process, whose memory it looks at.

use lexmax_lab::{allocator, machine};

#[test]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn large_blocks_are_allocated_and_kept_until_they_are_asked_back() {
    assert!(allocator::keep_freed_memory());
    // A block far above the size that glibc would map by itself: the same pages come back.
    let address = || {
        let mut block: Vec<u8> = Vec::with_capacity(48 << 20);
        block.resize(48 << 20, 7);
        assert_eq!(block.iter().map(|&byte| u64::from(byte)).sum::<u64>(), 7 * (48 << 20));
        block.as_ptr() as usize
    };
    let faults = || {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap_or_default();
        stat.rsplit(')')
            .next()
            .and_then(|rest| rest.split_whitespace().nth(7)?.parse::<u64>().ok())
            .unwrap_or(0)
    };
    address();
    let before = faults();
    address();
    let pages = (48 << 20) / 4096;
    assert!(
        faults() - before < pages / 2,
        "{} page faults for a block of {pages} pages",
        faults() - before
    );
    let kept = machine::resident_memory();
    allocator::give_back_freed_memory();
    let after = machine::resident_memory();
    assert!(after + (24 << 20) < kept, "{kept} bytes before, {after} after");
}
