//! The allocator keeps what is freed. One test alone in its process, whose page faults it counts.
#![allow(clippy::unwrap_used)]

use lexmax_lab::{allocator, machine};

#[test]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn freed_blocks_are_kept_until_they_are_given_back() {
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

    // What is freed below something that is still held: a hole, as a first call leaves it for the
    // next.
    let mut blocks: Vec<Vec<u8>> = (0..32).map(|_| vec![7; 1 << 20]).collect();
    let held = std::hint::black_box(vec![7_u8; 1 << 16]);
    std::hint::black_box(&mut blocks).clear();
    let before = machine::resident_memory().unwrap();
    allocator::give_back_freed_memory();
    let given_back = before.saturating_sub(machine::resident_memory().unwrap());
    assert!(given_back > 24 << 20, "{given_back} bytes of 32 MiB that were freed");
    drop(held);
}
