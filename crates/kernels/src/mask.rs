//! Masks of dropout.

use rand::Rng;

/// Random bytes that are drawn at a time.
const BYTES: usize = 4096;

/// Fills `mask` with 0, with probability `threshold / 65536` each, and `scale` elsewhere, from two random bytes each.
///
/// The numbers are those of one long draw, so they do not depend on how the bytes are fetched.
///
/// ```
/// use lexmax_kernels::{mask, seed::generator};
///
/// let mut dropout = [9.0_f32; 1000];
/// mask::fill(&mut generator(1, "example", 0), 32768, 2.0, &mut dropout);
/// assert!(dropout.iter().all(|&factor| factor == 0.0 || factor == 2.0));
/// assert!((400..600).contains(&dropout.iter().filter(|&&factor| factor == 0.0).count()));
/// ```
pub fn fill(rng: &mut crate::seed::Generator, threshold: u16, scale: f32, mask: &mut [f32]) {
    let mut bytes = [0_u8; BYTES];
    for part in mask.chunks_mut(BYTES / 2) {
        let bytes = &mut bytes[..2 * part.len()];
        rng.fill_bytes(bytes);
        for (factor, pair) in part.iter_mut().zip(bytes.as_chunks::<2>().0) {
            *factor = if u16::from_le_bytes(*pair) < threshold { 0.0 } else { scale };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::generator;

    #[test]
    fn the_numbers_are_those_of_one_draw() {
        // Three parts, of which the last is short and odd.
        let count = 2 * BYTES / 2 + 701;
        let mut bytes = vec![0_u8; 2 * count];
        generator(3, "dropout", 5).fill_bytes(&mut bytes);
        let drops = |pair: &[u8]| u16::from_le_bytes([pair[0], pair[1]]) < 13_107;
        let expected: Vec<f32> = bytes.chunks(2).map(|pair| if drops(pair) { 0.0 } else { 1.25 }).collect();
        let mut mask = vec![0.0; count];
        fill(&mut generator(3, "dropout", 5), 13_107, 1.25, &mut mask);
        assert_eq!(mask, expected);
    }
}
