//! The allocator keeps what is freed. One test alone in its process, whose page faults it counts.

use lexmax_lab::allocator;

#[test]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn large_blocks_are_allocated_and_kept() {
    assert!(allocator::keep_freed_memory());
    // A block far above the size that glibc would map by itself: the same pages come back.
    let fill = || {
        let mut block: Vec<u8> = Vec::with_capacity(48 << 20);
        block.resize(48 << 20, 7);
        assert_eq!(block.iter().map(|&byte| u64::from(byte)).sum::<u64>(), 7 * (48 << 20));
    };
    let faults = || {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap_or_default();
        stat.rsplit(')')
            .next()
            .and_then(|rest| rest.split_whitespace().nth(7)?.parse::<u64>().ok())
            .unwrap_or(0)
    };
    fill();
    let before = faults();
    fill();
    let pages = (48 << 20) / 4096;
    assert!(faults() - before < pages / 2, "{} page faults for a block of {pages} pages", faults() - before);
}
