//! How the work is cut: rows of a chunk, classes of a block, and how many blocks of logits are kept
//! between the sweeps.
//!
//! The gradient of a logit needs the row's normaliser, which needs all of the row's logits: they
//! are either kept or computed twice. For a chunk of `R` rows the plan keeps as many blocks as the
//! memory allows and computes the others again. With a vocabulary of size `V` and hidden size `D` a
//! chunk costs
//!
//! `2 R V D (3 + f) (1 + 6 / R)` operations and `16 V D` bytes of f32 (the weight is read in both
//! sweeps, its gradient is read and written),
//!
//! where `f` is the share of blocks computed again and `6 / R` is what packing costs the products
//! of few rows. Small chunks keep all logits but move the weight often; large ones the other way
//! round. The plan takes the cheapest `R`, counting one byte as [`OPERATIONS_PER_BYTE`] operations
//! of one thread. At `V = 33,278` everything is kept; at `V = 267,735` what the limit has room for.

use std::ops::Range;

use crate::buffer::Aligned;
use crate::tile::product::Packing;
use crate::tile::{ROW_MULTIPLE, stride};

/// Most classes of a block. Each block reads and writes the gradient of the chunk's hidden states
/// once, so large ones are better (on two Zen 4 cores at `D = 256` 1,536 are 4 % faster than 512)
/// as long as a block's rows of the weight stay in the cache.
const MOST_CLASSES: usize = 1536;
/// The number of blocks is a multiple of this where there are enough classes, so that usual numbers
/// of threads get as many each.
const SHARES: usize = 16;
/// Least classes of a block, however long the rows of the weight are.
const LEAST_CLASSES: usize = 512;
/// Elements of a block's rows of the weight, 2 MiB of f32: a second-level cache, or a core's part
/// of the third-level one.
const BLOCK_NUMBERS: usize = 512 << 10;
/// Most rows of a chunk.
const MOST_ROWS: usize = 512;
/// Operations that one thread does while all threads together move one byte, as the program
/// `roofline` of the benches prints it: on a Zen 4 core with AVX-512 102 GFLOP/s on the tiles
/// against 27 GB/s of one thread (two move 46 GB/s together). What is chosen at the sizes above is
/// the same for 1.5 to 9.
const OPERATIONS_PER_BYTE: f64 = 4.0;
/// Blocks are kept where one in so many of them can be: fewer spare less than 4 % of the
/// operations, and cost all of the memory.
const LEAST_KEPT: usize = 8;
/// A thread of its own is worth starting for this many operations of one product.
const OPERATIONS_PER_THREAD: usize = 4_000_000;
/// Spans for each of several threads. A phase waits for the last span, so with so many a thread
/// whose core is half busy costs 3 % and not half of the phase; each span holds the gradient of a
/// chunk's hidden states.
const SPANS_PER_THREAD: usize = 8;

/// Sweeps that a call runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// First sweep alone, no tiles kept.
    Forward,
    /// Both sweeps.
    Gradients,
    /// Second sweep alone, with known normalisers.
    GradientsOnly,
}

/// Sizes of one problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub rows: usize,
    pub hidden_size: usize,
    pub vocab_size: usize,
    /// Bytes of an element.
    pub bytes: usize,
    /// Whether gradients are filtered, which takes buffers of its own.
    pub filtered: bool,
}

/// Partition of one call: threads, chunks of rows, blocks of classes, spans of blocks, and tiles
/// kept between the sweeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plan {
    pub threads: usize,
    /// Rows of every chunk but perhaps the last.
    pub chunk: usize,
    /// Classes of every block but the last.
    pub block: usize,
    pub blocks: usize,
    /// Spans of neighbouring blocks, the unit that threads take. What a span adds up is joined in
    /// the order of the spans, so results do not depend on who swept it.
    pub spans: usize,
    /// Blocks whose logits are kept, of all.
    pub kept: usize,
    /// Whether the second sweep is filtered.
    pub filtered: bool,
    /// Memory of the products beside the buffers.
    pub packing: Packing,
}

impl Plan {
    pub fn new(sizes: Sizes, threads: usize, memory_limit: usize, task: Task) -> Self {
        Self::of_groups(1, sizes, threads, memory_limit, task)
    }

    /// A plan whose chunks hold whole groups of `group` neighbouring rows; `group` divides
    /// `sizes.rows`. The smallest chunk is one group, whatever the limit.
    pub fn of_groups(group: usize, sizes: Sizes, threads: usize, memory_limit: usize, task: Task) -> Self {
        Self::with_packing(Packing::of_this_processor(), group, sizes, threads, memory_limit, task)
    }

    /// The plan for products of such needs. Processors whose second-level cache has no more than
    /// [`LEAST_SLAB`] share one plan.
    fn with_packing(
        packing: Packing,
        group: usize,
        sizes: Sizes,
        threads: usize,
        memory_limit: usize,
        task: Task,
    ) -> Self {
        let operations = 2 * sizes.rows * sizes.hidden_size * sizes.vocab_size;
        let most_threads = (operations / OPERATIONS_PER_THREAD).max(1);
        let most_classes = (BLOCK_NUMBERS / sizes.hidden_size.max(1)).clamp(LEAST_CLASSES, MOST_CLASSES);
        // Blocks of equal size, whatever the number of threads: a draw is the same with any.
        let most_blocks = sizes.vocab_size.div_ceil(LEAST_CLASSES);
        let blocks = sizes.vocab_size.div_ceil(most_classes).next_multiple_of(SHARES).min(most_blocks);
        let block = sizes.vocab_size.div_ceil(blocks.max(1));
        let blocks = sizes.vocab_size.div_ceil(block.max(1));
        let threads = threads.clamp(1, most_threads.min(blocks.max(1)));
        let spans = if threads == 1 { 1 } else { (threads * SPANS_PER_THREAD).min(blocks) };
        let filtered = sizes.filtered && task != Task::Forward;
        // Whole in lines, or in groups.
        let whole = if group == 1 { ROW_MULTIPLE } else { group };
        let least = ROW_MULTIPLE.next_multiple_of(group).min(sizes.rows.max(1));
        let packing = Packing { slab: packing.slab.max(LEAST_SLAB), ..packing };
        let cut = Plan { threads, chunk: least, block, blocks, spans, kept: 0, filtered, packing };
        let mut best = (f64::INFINITY, cut);
        for most_rows in (ROW_MULTIPLE..=MOST_ROWS).step_by(ROW_MULTIPLE) {
            let chunks = sizes.rows.max(1).div_ceil(most_rows);
            // Chunks of equal size.
            let chunk = sizes.rows.max(1).div_ceil(chunks).next_multiple_of(whole).min(sizes.rows.max(1));
            let mut candidate = Plan { chunk, ..cut };
            let bare = candidate.bytes(sizes, task);
            if bare > memory_limit {
                break;
            }
            if task == Task::Gradients {
                let tile = block * stride(chunk) * sizes.bytes;
                let with_max = tile + stride(chunk) * sizes.bytes;
                // With everything kept the threads' tiles for computing again are not needed.
                let all = memory_limit - bare + threads * tile >= blocks * with_max;
                candidate.kept =
                    if all { blocks } else { ((memory_limit - bare) / with_max).min(blocks - 1) };
                if candidate.kept < blocks / LEAST_KEPT {
                    candidate.kept = 0;
                }
            }
            let cost = candidate.cost(sizes, task);
            if cost < best.0 {
                best = (cost, candidate);
            }
        }
        best.1
    }

    /// Blocks of one span.
    pub fn blocks_of(&self, span: usize) -> Range<usize> {
        self.blocks * span / self.spans..self.blocks * (span + 1) / self.spans
    }

    /// Number of a span's blocks, from its first, whose logits are kept.
    pub fn kept_of(&self, span: usize) -> usize {
        let share = self.kept * (span + 1) / self.spans - self.kept * span / self.spans;
        share.min(self.blocks_of(span).len())
    }

    /// Span that a class belongs to; none for what is no class.
    pub fn span_of(&self, class: usize) -> Option<usize> {
        let block = class / self.block.max(1);
        // The last span that starts at the block or before it.
        (block < self.blocks).then(|| ((block + 1) * self.spans).div_ceil(self.blocks) - 1)
    }

    /// Classes of one span.
    pub fn classes_of_span(&self, span: usize, vocab_size: usize) -> Range<usize> {
        let blocks = self.blocks_of(span);
        (blocks.start * self.block).min(vocab_size)..(blocks.end * self.block).min(vocab_size)
    }

    /// Classes of one block.
    pub fn classes_of(&self, block: usize, vocab_size: usize) -> Range<usize> {
        block * self.block..((block + 1) * self.block).min(vocab_size)
    }

    /// Whether some tile is not kept, and each thread needs one for it.
    pub fn needs_tile(&self) -> bool {
        self.kept < self.blocks
    }

    /// Operations, with bytes turned into operations, of all rows, for one thread.
    fn cost(&self, sizes: Sizes, task: Task) -> f64 {
        let rows = self.chunk as f64;
        let again = 1.0 - self.share_kept();
        let (products, passes) = match task {
            Task::Forward => (1.0, 1.0),
            Task::Gradients => (3.0 + again, 4.0),
            Task::GradientsOnly => (3.0, 3.0),
        };
        let matrix = (sizes.vocab_size * sizes.hidden_size) as f64;
        let operations = 2.0 * rows * matrix * products * (1.0 + 6.0 / rows) / self.threads as f64;
        let moved = passes * matrix * sizes.bytes as f64 * OPERATIONS_PER_BYTE;
        (operations + moved) * sizes.rows.div_ceil(self.chunk) as f64
    }

    /// Share of the blocks whose logits are kept between the sweeps.
    pub fn share_kept(&self) -> f64 {
        self.kept as f64 / self.blocks.max(1) as f64
    }

    /// Bytes of workspace, those that the products pack their operands into included (an upper
    /// bound of these).
    pub fn bytes(&self, sizes: Sizes, task: Task) -> usize {
        let (size, rows) = (sizes.hidden_size, self.chunk);
        let gradients = task != Task::Forward;
        let (padded, blocks) = (stride(rows), self.blocks);
        let tiles = self.kept + if self.needs_tile() { self.threads } else { 0 };
        let mut numbers = tiles * self.block * padded + self.kept * padded + rows * size;
        let mut other = 0;
        if gradients {
            numbers += self.spans * rows * size;
            other += 8 * blocks * self.block;
        }
        if self.filtered {
            // Maximum and sum of each block, the rows' shares, and the kept classes' weight, bias
            // and offset.
            numbers += 2 * blocks * padded + self.threads * (padded + self.block * (size + 2));
            let of_class = 2 * size_of::<f64>() + size_of::<bool>() + size_of::<u32>();
            other += self.threads * self.block * of_class;
        }
        // The chunk has numbers of its own for each row.
        other += (self.threads + 1) * padded * ROW_BYTES + self.spans * padded * SPAN_ROW_BYTES;
        other += (self.threads + 2 * self.spans + 1) * Aligned::<f32>::SLACK_BYTES;
        numbers * sizes.bytes + other + self.product_bytes(sizes, task)
    }

    /// Bytes that the products of all threads take beside the buffers. A product packs at most two
    /// of the three matrices, so all three together leave space for the padding of two, except
    /// where rows are few.
    pub fn product_bytes(&self, sizes: Sizes, task: Task) -> usize {
        let (size, rows, block) = (sizes.hidden_size, self.chunk, self.block);
        let three = (block * size + rows * size + block * rows) * sizes.bytes;
        let products = [[block, rows, size], [rows, size, block], [block, size, rows]];
        let made = if task == Task::Forward { &products[..1] } else { &products[..] };
        let two = made.iter().map(|shape| self.packing.bytes(*shape, sizes.bytes));
        self.threads * (two.fold(three, usize::max) + self.packing.slab)
    }
}

/// Bytes of all per-row numbers of one thread, for each row.
const ROW_BYTES: usize = 128;
/// Bytes of all per-row numbers of one span, for each row.
const SPAN_ROW_BYTES: usize = 48;
/// Least reserve for the products' own buffer of one thread.
const LEAST_SLAB: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    /// Second-level caches of a core, from the smallest in use to a whole cluster's; with and
    /// without a third level.
    const PACKINGS: [Packing; 7] = [
        Packing { slab: 128 << 10, least_columns: 0 },
        Packing { slab: 512 << 10, least_columns: 0 },
        Packing { slab: 1 << 20, least_columns: 0 },
        Packing { slab: 1280 << 10, least_columns: 0 },
        Packing { slab: 2 << 20, least_columns: 0 },
        Packing { slab: 4 << 20, least_columns: 1024 },
        Packing { slab: 16 << 20, least_columns: 0 },
    ];

    fn problems() -> impl Iterator<Item = (Sizes, usize, Task)> {
        let sizes = [(1, 7, 5), (17, 48, 9000), (300, 48, 9000), (1024, 256, 33_278), (700, 512, 267_735)];
        let tasks = [Task::Forward, Task::Gradients, Task::GradientsOnly];
        sizes.into_iter().flat_map(move |(rows, hidden_size, vocab_size)| {
            [4, 8].into_iter().flat_map(move |bytes| {
                tasks.into_iter().flat_map(move |task| {
                    let sizes = Sizes { rows, hidden_size, vocab_size, bytes, filtered: task == tasks[1] };
                    [1, 2, 4].map(|threads| (sizes, threads, task))
                })
            })
        })
    }

    #[test]
    fn stated_bytes_stay_within_the_limit_for_any_caches() {
        for (packing, (sizes, threads, task)) in
            PACKINGS.into_iter().flat_map(|packing| problems().map(move |problem| (packing, problem)))
        {
            let plan = |limit| Plan::with_packing(packing, 1, sizes, threads, limit, task);
            let least = plan(0).bytes(sizes, task);
            for limit in [1 << 20, 6 << 20, (16 << 20) * threads, 256 << 20] {
                let plan = plan(limit);
                let stated = plan.bytes(sizes, task);
                let case = format!("{packing:?}, {sizes:?}, {task:?}, {threads} threads, limit {limit}");
                assert!(stated <= limit.max(least), "{stated} bytes: {case}");
                // The slab of every thread, and what each product packs, are in it.
                let slabs = plan.threads * packing.slab;
                let products =
                    plan.threads * packing.bytes([plan.block, plan.chunk, sizes.hidden_size], sizes.bytes);
                assert!(stated >= slabs + products, "{stated} bytes: {case}");
            }
        }
    }

    #[test]
    fn spans_cover_blocks_once_and_keep_no_more_than_planned() {
        for (sizes, threads, task) in problems() {
            for limit in [1 << 20, 16 << 20, 1 << 30] {
                let plan = Plan::with_packing(PACKINGS[2], 1, sizes, threads, limit, task);
                let case = format!("{sizes:?}, {task:?}, {threads} threads, limit {limit}: {plan:?}");
                let mut next = 0;
                for span in 0..plan.spans {
                    assert_eq!(plan.blocks_of(span).start, next, "{case}");
                    assert!(plan.kept_of(span) <= plan.blocks_of(span).len(), "{case}");
                    next = plan.blocks_of(span).end;
                    for class in plan.classes_of_span(span, sizes.vocab_size).step_by(97) {
                        assert_eq!(plan.span_of(class), Some(span), "class {class}: {case}");
                    }
                }
                assert_eq!(next, plan.blocks, "{case}");
                let kept: usize = (0..plan.spans).map(|span| plan.kept_of(span)).sum();
                assert!(kept <= plan.kept && (kept == plan.blocks || plan.needs_tile()), "{case}");
            }
        }
    }

    #[test]
    fn plan_is_the_same_for_all_caches_up_to_the_reserve() {
        for (sizes, threads, task) in problems() {
            let limit = (16 << 20) * threads;
            let plan = |packing| Plan::with_packing(packing, 1, sizes, threads, limit, task);
            assert_eq!(plan(PACKINGS[0]), plan(PACKINGS[1]));
            assert_eq!(plan(PACKINGS[1]), plan(PACKINGS[2]));
        }
    }
}
