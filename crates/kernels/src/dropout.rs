//! Masks of dropout.

use rand::Rng;

use crate::pool::{has_runner, on_each};
use crate::seed::Generator;

/// Random bytes that are drawn at a time: whole blocks of the generator.
const BYTES: usize = 4096;
/// The generator counts in words of so many bytes.
const WORD: usize = 4;

/// Fills `mask` with 0, with probability `threshold / 65536` each, and `scale` elsewhere, from two
/// random bytes each.
///
/// The numbers are those of one long draw, and so is where the generator stands afterwards: at most
/// `threads` threads make them, each from its own place in the stream.
///
/// ```
/// use lexmax_kernels::{dropout, seed::generator};
///
/// let mut mask = [9.0_f32; 1000];
/// dropout::fill(&mut generator(1, "example", 0), 32768, 2.0, &mut mask, 1);
/// assert!(mask.iter().all(|&factor| factor == 0.0 || factor == 2.0));
/// assert!((400..600).contains(&mask.iter().filter(|&&factor| factor == 0.0).count()));
/// ```
pub fn fill(rng: &mut Generator, threshold: u16, scale: f32, mask: &mut [f32], threads: usize) {
    let start = rng.get_word_pos();
    let word = |numbers: usize| start + (2 * numbers).div_ceil(WORD) as u128;
    let end = word(mask.len());
    let parts = mask.len().div_ceil(BYTES / 2);
    let share = parts.div_ceil(worth(threads, mask.len())).max(1) * (BYTES / 2);
    let mut jobs: Vec<_> = mask.chunks_mut(share).enumerate().collect();
    let given = &*rng;
    on_each(&mut jobs, |(index, mask)| {
        let mut rng = given.clone();
        rng.set_word_pos(word(*index * share));
        fill_from(&mut rng, threshold, scale, mask);
    });
    rng.set_word_pos(end);
}

/// One thread's part of a mask, from where the generator stands.
fn fill_from(rng: &mut Generator, threshold: u16, scale: f32, mask: &mut [f32]) {
    let mut bytes = [0_u8; BYTES];
    for part in mask.chunks_mut(BYTES / 2) {
        let bytes = &mut bytes[..2 * part.len()];
        rng.fill_bytes(bytes);
        for (factor, pair) in part.iter_mut().zip(bytes.as_chunks::<2>().0) {
            *factor = if u16::from_le_bytes(*pair) < threshold { 0.0 } else { scale };
        }
    }
}

/// Number of threads, at most `threads`, that have enough to do: some two elements are drawn a
/// nanosecond.
fn worth(threads: usize, numbers: usize) -> usize {
    let numbers_per_thread = if has_runner() { 1 << 13 } else { 1 << 17 };
    threads.min(numbers / numbers_per_thread).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::generator;

    /// Against one draw of all bytes; two masks in a row, so that where the generator stands in
    /// between matters.
    fn check(counts: [usize; 2], threads: usize) {
        let (mut one, mut other) = (generator(3, "dropout", 5), generator(3, "dropout", 5));
        for count in counts {
            let mut bytes = vec![0_u8; 2 * count];
            one.fill_bytes(&mut bytes);
            let drops = |pair: &[u8]| u16::from_le_bytes([pair[0], pair[1]]) < 13_107;
            let expected: Vec<f32> =
                bytes.chunks(2).map(|pair| if drops(pair) { 0.0 } else { 1.25 }).collect();
            let mut mask = vec![9.0; count];
            fill(&mut other, 13_107, 1.25, &mut mask, threads);
            assert!(mask == expected, "{count} numbers on {threads} threads");
        }
    }

    #[test]
    fn the_numbers_are_those_of_one_draw_on_any_number_of_threads() {
        for threads in [1, 2, 3] {
            // Parts of which the last is short and odd; nothing; enough for threads of their own.
            check([2 * BYTES / 2 + 701, 5], threads);
            check([0, 1], threads);
            check([(1 << 18) + 4_099, (1 << 19) + 3], threads);
        }
    }
}
