//! One root seed, a generator of its own for every component.
//!
//! A global generator makes results depend on which component draws first and on the number of
//! threads. Here every draw comes from a ChaCha stream that is keyed by the root seed, the
//! component's name and an index (a step, an epoch), so components cannot disturb each other and a
//! resumed run needs no saved generator state.
//!
//! ```
//! use lexmax_kernels::seed::generator;
//! use rand::RngExt;
//!
//! let first: u64 = generator(7, "negatives", 0).random();
//! assert_eq!(first, generator(7, "negatives", 0).random());
//! assert_ne!(first, generator(7, "negatives", 1).random());
//! assert_ne!(first, generator(7, "dropout", 0).random());
//! ```

use rand::SeedableRng;

/// The generator used everywhere: ChaCha with 8 rounds, the same bits on every platform.
pub type Generator = rand_chacha::ChaCha8Rng;

/// The generator of one component at one index, from the root seed of a run.
pub fn generator(root: u64, component: &str, index: u64) -> Generator {
    let mut seed = [0_u8; 32];
    seed[..8].copy_from_slice(&root.to_le_bytes());
    seed[8..16].copy_from_slice(&fnv1a(component).to_le_bytes());
    seed[16..24].copy_from_slice(&index.to_le_bytes());
    seed[24..].copy_from_slice(&(component.len() as u64).to_le_bytes());
    Generator::from_seed(seed)
}

/// FNV-1a, a fixed hash of the component's name: the standard library's may change between
/// versions.
fn fnv1a(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
