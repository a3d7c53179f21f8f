//! Exact draws from the softmax of each row.

use super::{Query, for_each_block};
use crate::element::Element;
use crate::error::{KernelError, Result};
use crate::linear_ce::{Linear, Workspace};
use crate::tile::normalise::Keep;
use crate::transform::LogitTransform;

/// The winning block so far: its key and the class drawn from it.
type Winner = Option<(f64, usize)>;

/// One draw from `softmax(f(z / temperature))` for each row, `[N]`. Cost: `2 N D V` operations.
///
/// The block is chosen by the Gumbel-max rule, `argmax_b (log sum_{c in b} exp z_c + G_b)` with
/// standard Gumbel numbers, and a class inside it by inverting its distribution; together that is
/// an exact draw, at two uniform numbers for each block instead of one for each class. The numbers
/// are a function of (seed, row, block), so a draw does not depend on threads or memory. Take a
/// fresh seed for each call. (Gumbel-max: Maddison et al. 2014, "A* Sampling", arXiv 1411.0030.)
///
/// # Errors
/// Slices that do not fit, an option out of its range, a row whose logits are not finite numbers.
///
/// ```
/// use lexmax_kernels::linear_ce::{Linear, Workspace};
/// use lexmax_kernels::{LogitTransform, query::sample};
///
/// let linear = Linear { hidden: &[1.0_f32; 4], weight: &[0.0, 99.0, 0.0], bias: None, hidden_size: 1 };
/// let drawn = sample(linear, 7, 1.0, LogitTransform::Identity, &mut Workspace::new(1))?;
/// assert_eq!(drawn, [1, 1, 1, 1]);
/// # Ok::<(), lexmax_kernels::KernelError>(())
/// ```
pub fn sample<T: Element>(
    linear: Linear<'_, T>,
    seed: u64,
    temperature: f64,
    transform: LogitTransform,
    workspace: &mut Workspace<T>,
) -> Result<Vec<i64>> {
    let op = "query.sample";
    let mut out = Vec::new();
    for_each_block(
        Query { op, linear, temperature, transform, keep: Keep::Exponentials },
        workspace,
        |rows| vec![Winner::None; rows],
        |winners, first_row, block| {
            for (row, winner) in winners.iter_mut().enumerate() {
                let sum = block.sum[row].to_f64();
                let id = [seed, (first_row + row) as u64, block.number as u64];
                let key = block.max[row].to_f64() + sum.ln() - (-uniform(id, 0).ln()).ln();
                // A key that is not a number wins nothing; neither does a block without any
                // probability.
                let wins = key > winner.map_or(f64::NEG_INFINITY, |winner| winner.0);
                if !wins {
                    continue;
                }
                let threshold = uniform(id, 1) * sum;
                let mut below = 0.0;
                let mut drawn = 0;
                for class in 0..block.shape.classes {
                    let exponential = block.tile[class * block.shape.stride() + row].to_f64();
                    if exponential > 0.0 {
                        // Where rounding leaves the threshold above the last sum, the last class
                        // that can be drawn.
                        drawn = class;
                        below += exponential;
                        if below > threshold {
                            break;
                        }
                    }
                }
                *winner = Some((key, block.first_class + drawn));
            }
        },
        |states, first_row, log_normalisers| {
            for (row, log_normaliser) in log_normalisers.iter().enumerate() {
                // A block with a logit that is no finite number loses to any other: the row's
                // normaliser tells.
                if !log_normaliser.is_finite() {
                    return Err(KernelError::NotFinite { op, row: first_row + row });
                }
                let winners = states.iter().filter_map(|winners| winners[row]);
                // Of equal keys the first block's, whoever swept it.
                let best = winners.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
                match best {
                    Some((_, class)) => out.push(class as i64),
                    None => return Err(KernelError::NotFinite { op, row: first_row + row }),
                }
            }
            Ok(())
        },
    )?;
    Ok(out)
}

/// A number in `(0, 1)` that is a function of its key: three rounds of multiply and xor-shift over
/// the key's words.
fn uniform(key: [u64; 3], draw: u64) -> f64 {
    let mut state = draw.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for word in key {
        state = (state ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
        state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        state ^= state >> 31;
    }
    // 52 bits and a half: neither end can come out.
    ((state >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
}
