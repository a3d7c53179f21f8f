//! Peak memory of one call, as the scripts of the other packages measure it too.

use anyhow::Result;
use lexmax_lab::{allocator, machine};

use crate::{Layer, Sizes};

/// Runs a call and returns with its result the bytes by which the resident memory rose at its peak.
/// Freed memory that the process had kept is given back before, so that it is not used unseen.
/// `None` where the system does not tell.
///
/// # Errors
/// Errors of the call.
pub fn rise<T>(call: impl FnOnce() -> Result<T>) -> Result<(T, Option<u64>)> {
    allocator::give_back_freed_memory();
    let before = machine::resident_memory();
    let reset = machine::reset_peak_memory();
    let value = call()?;
    let peak = machine::peak_resident_memory().filter(|_| reset);
    Ok((value, peak.zip(before).map(|(peak, before)| peak.saturating_sub(before))))
}

/// About what a case of the plain path takes at its peak, in bytes: the logits of every component,
/// four times over (logits, log-probabilities, and the gradients of both), beside weight and
/// gradient in f32 and what the check has of them in f64.
pub fn plain_bytes(layer: Layer, sizes: Sizes) -> u64 {
    let Sizes { rows, width, classes } = sizes;
    let [rows, width, classes] = [rows, width, classes].map(i64::unsigned_abs);
    let logits = match layer {
        Layer::Full | Layer::Sigsoftmax => rows * classes,
        Layer::Mos => 10 * rows * classes,
        // Only what evaluation looks at is as large, and once.
        _ => rows * classes / 4,
    };
    4 * 4 * logits + (2 * 4 + 2 * 8) * width * classes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_peak_of_the_call_counts_and_nothing_before() {
        drop(std::hint::black_box(vec![1_u8; 256 << 20]));
        let (sum, rise) = rise(|| {
            let block = std::hint::black_box(vec![1_u8; 64 << 20]);
            Ok(block.iter().map(|byte| u64::from(*byte)).sum::<u64>())
        })
        .unwrap();
        assert_eq!(sum, 64 << 20);
        // Other tests of this process allocate meanwhile, a little.
        if let Some(rise) = rise {
            assert!((60 << 20..200 << 20).contains(&rise), "{rise}");
        }
    }
}
