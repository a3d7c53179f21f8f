//! Workspace that is reused from call to call.

use super::candidates::{Candidates, Sets};
use super::objective::Scratch;
use crate::buffer::{Aligned, HeldBytes, held};
use crate::element::Element;
use crate::product::ProductLibrary;
use crate::simd::Level;
use crate::tile::{ROW_MULTIPLE, stride};

/// Bytes that a tile of logits may take, so that it stays in a core's cache between the products
/// and the sweep.
const TILE_BYTES: usize = 1 << 20;
/// Rows that share one product at most.
const MAX_ROWS: usize = 512;

/// Threads and buffers of the kernel. Keep one for each layer: fresh memory costs page faults in
/// each call.
///
/// [`Workspace::bytes_for`] says how much a call takes. Results depend on the number of threads by
/// rounding only; at a fixed number they are the same bits from run to run.
#[derive(Debug)]
pub struct Workspace<T> {
    pub(super) threads: usize,
    pub(super) level: Level,
    pub(super) products: ProductLibrary,
    pub(super) workers: Vec<Worker<T>>,
    /// Rows of the weight of the negatives that all rows share, `[S, D]`.
    pub(super) gathered: Aligned<T>,
    /// Logits of negatives that each row has of its own, then their gradients: `[N, S]` in tiles of
    /// 16 rows.
    pub(super) cells: Aligned<T>,
    /// Term added to the logit of each shared negative, `[S]`.
    pub(super) shift: Vec<T>,
    /// Weight of each shared negative, `[S]`.
    pub(super) weights: Vec<T>,
    /// Gradient of each row's target logit, `[N]`.
    pub(super) target_gradient: Vec<f64>,
}

/// Buffers of one thread.
#[derive(Debug, Default)]
pub(super) struct Worker<T> {
    /// Logits of some rows, `[S, rows]`, then their gradients; with per-row negatives the weights
    /// of such a tile.
    pub tile: Aligned<T>,
    /// Gradient of the gathered rows from this thread's rows, `[S, D]`.
    pub d_gathered: Aligned<T>,
    pub d_bias: Vec<f64>,
    pub rows: Scratch<T>,
    /// Shifted target logits of the tile's rows, `[rows]`.
    pub target: Vec<f64>,
    /// Classes of one row's negatives.
    pub places: Vec<u32>,
    /// Dot products with these classes' weights, then factors of the weights.
    pub numbers: Vec<T>,
}

impl<T: Element> Workspace<T> {
    /// Workspace for so many threads (at least one; small problems use fewer).
    pub fn new(threads: usize) -> Self {
        Self {
            threads: threads.max(1),
            level: Level::best(),
            products: ProductLibrary::GEMM,
            workers: Vec::new(),
            gathered: Aligned::default(),
            cells: Aligned::default(),
            shift: Vec::new(),
            weights: Vec::new(),
            target_gradient: Vec::new(),
        }
    }

    /// Other instructions than the best, for tests and measurements; one that the processor lacks
    /// runs as portable.
    pub fn with_level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    /// Another library of matrix products than the crate `gemm`.
    pub fn with_products(mut self, products: ProductLibrary) -> Self {
        self.products = products;
        self
    }

    /// Bytes held now.
    pub fn bytes(&self) -> usize {
        self.held()
    }

    /// Upper bound of the bytes that it holds after a call with `N` rows, `S` negatives and hidden
    /// size `D`, and nothing of it grows with the vocabulary. For negatives that rows share
    /// `(1 + threads) S D` elements and a tile of at most 1 MiB (16 rows at least) for each thread;
    /// where every row has its own `N S` elements; both with some elements for each row and each
    /// negative. The lists of [`Candidates`] and what the products pack their operands into come on
    /// top.
    pub fn bytes_for(rows: usize, samples: usize, hidden_size: usize, threads: usize, sets: Sets) -> usize {
        let tile_rows = tile_rows::<T>(samples, sets);
        let slack = Aligned::<T>::SLACK_BYTES;
        let lists = 2 * (samples + rows.max(tile_rows)) * size_of::<u32>().max(size_of::<f64>());
        let worker = samples * stride(tile_rows) * size_of::<T>()
            + samples * 8
            + 2 * tile_rows * (5 * size_of::<T>() + 16)
            + 2 * slack
            + lists
            + 2 * (samples + rows) * size_of::<T>();
        let shared = match sets {
            Sets::PerRow => rows.next_multiple_of(ROW_MULTIPLE) * samples * size_of::<T>(),
            Sets::Shared | Sets::InBatch => samples * hidden_size * (1 + threads) * size_of::<T>(),
        };
        shared + threads * worker + 2 * slack + 2 * samples * size_of::<T>() + rows * size_of::<f64>()
    }

    /// Makes the buffers fit and says how many threads have work.
    pub(super) fn fit(&mut self, candidates: &Candidates, hidden_size: usize, gradients: bool) -> usize {
        let (rows, samples, sets) = (candidates.rows(), candidates.samples(), candidates.sets());
        let threads = self.threads.min(rows.div_ceil(ROW_MULTIPLE)).max(1);
        let tile = samples * stride(tile_rows::<T>(samples, sets));
        self.workers.truncate(threads);
        self.workers.resize_with(threads, Worker::default);
        self.target_gradient.resize(rows, 0.0);
        if sets == Sets::PerRow {
            self.cells.resize(rows.next_multiple_of(ROW_MULTIPLE) * samples);
        } else {
            self.gathered.resize(samples * hidden_size);
        }
        for worker in &mut self.workers {
            worker.tile.resize(tile);
            if gradients && sets != Sets::PerRow {
                worker.d_gathered.resize(samples * hidden_size);
            }
        }
        threads
    }
}

held!(Workspace { workers, gathered, cells, shift, weights, target_gradient; threads, level, products });
held!(Worker { tile, d_gathered, d_bias, rows, target, places, numbers });

/// Rows of a tile of so many negatives: a multiple of the padding.
pub(super) fn tile_rows<T>(samples: usize, sets: Sets) -> usize {
    if sets == Sets::PerRow {
        return ROW_MULTIPLE;
    }
    let rows = TILE_BYTES / (samples.max(1) * size_of::<T>());
    (rows / ROW_MULTIPLE * ROW_MULTIPLE).clamp(ROW_MULTIPLE, MAX_ROWS)
}
