//! A process's own memory. One test alone in its process, whose pages it counts.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use lexmax_lab::machine::{OwnMemory, resident_memory};

#[test]
fn own_memory_counts_what_is_filled_and_no_mapped_file() {
    const SIZE: usize = 64 << 20;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, vec![1_u8; SIZE]).unwrap();
    let mut memory = OwnMemory::default();
    memory.look_now();
    let (own, resident) = (memory.peak().unwrap(), resident_memory().unwrap());
    let file = std::fs::File::open(&path).unwrap();
    // SAFETY: the file is private to this test and is not changed while it is mapped.
    let mapped = unsafe { memmap2::Mmap::map(&file) }.unwrap();
    assert_eq!(mapped.iter().map(|&byte| usize::from(byte)).sum::<usize>(), SIZE);
    memory.look_now();
    assert!(resident_memory().unwrap() > resident + SIZE as u64 / 2, "the pages of the file are resident");
    assert!(memory.peak().unwrap() < own + SIZE as u64 / 8, "{own} {:?}", memory.peak());
    let filled = std::hint::black_box(vec![1_u8; SIZE]);
    memory.look_now();
    drop(filled);
    memory.look_now();
    let peak = memory.peak().unwrap();
    assert!(peak >= own + SIZE as u64 * 7 / 8 && peak < own + SIZE as u64 * 5 / 4, "{own} {peak}");
}
