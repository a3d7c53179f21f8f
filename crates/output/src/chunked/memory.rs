//! Rows of a chunk: as many as a bound of memory has room for.

use std::ops::Range;

use tch::Device;

/// Bound on the buffers of one chunk on a CPU, where none is given. Each chunk reads the weight
/// twice and its gradient once more: at `V = 128,256`, `D = 512` half of it costs a sixth more
/// processor time, and twice of it saves a tenth. The program `chunked_step` of the benches has the
/// numbers.
const CPU_BYTES: usize = 128 << 20;
/// Bound on another device that does not tell how much memory it has free.
const UNKNOWN_BYTES: usize = 256 << 20;
/// Largest share of a device's free memory that a chunk takes, as a divisor: the gradients are made
/// beside it, and the rest of a model's step may need more than at this moment.
const FREE_SHARE: usize = 8;
/// Bounds of the bound on such a device: the products of a chunk need so many rows to be fast, and
/// gain nothing from more.
const DEVICE_BYTES: Range<usize> = 64 << 20..1 << 30;

/// Bound on the memory of a chunked computation beyond its inputs and gradients, in bytes.
///
/// By default it is 128 MiB on a CPU; on a CUDA device the largest power of two within an eighth of
/// the free memory, between 64 MiB and 1 GiB, or 256 MiB where that is not known. A chunk has one
/// row at least, whatever the bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChunkMemory {
    given: Option<usize>,
}

impl ChunkMemory {
    /// The given bound, or the default.
    pub fn new(given: Option<usize>) -> Self {
        Self { given }
    }

    /// The bound on a device, in bytes.
    pub fn bytes(self, device: Device) -> usize {
        self.given.unwrap_or_else(|| match device {
            Device::Cpu => CPU_BYTES,
            _ => match lexmax_autograd::free_memory(device) {
                Some(free) => share_of(free).clamp(DEVICE_BYTES.start, DEVICE_BYTES.end),
                None => UNKNOWN_BYTES,
            },
        })
    }

    /// Chunks of about equal size for rows that take so many bytes each.
    ///
    /// ```
    /// use lexmax_output::chunked::ChunkMemory;
    /// use tch::Device;
    ///
    /// let chunks = ChunkMemory::new(Some(4000)).chunks(10, 1000, Device::Cpu);
    /// assert_eq!(chunks.collect::<Vec<_>>(), [(0, 4), (4, 4), (8, 2)]);
    /// assert_eq!(ChunkMemory::new(Some(1)).chunks(3, 1000, Device::Cpu).rows(), 1);
    /// ```
    pub fn chunks(self, rows: i64, row_bytes: i64, device: Device) -> Chunks {
        let bytes = i64::try_from(self.bytes(device)).unwrap_or(i64::MAX);
        let most = (bytes / row_bytes.max(1)).clamp(1, rows.max(1));
        let count = rows.div_euclid(most) + i64::from(rows.rem_euclid(most) > 0);
        let size =
            if count == 0 { 0 } else { rows.div_euclid(count) + i64::from(rows.rem_euclid(count) > 0) };
        Chunks { total: rows, rows: size, next: 0 }
    }
}

/// The largest power of two within a share of the free memory: it stays the same from step to step
/// while that changes a little, and with it the chunks, their rounding, and the sizes of tensors
/// that libtorch keeps for the next step.
fn share_of(free: usize) -> usize {
    1 << (free / FREE_SHARE).max(1).ilog2()
}

/// Chunks of rows, in order: the first row and the number of rows of each.
#[derive(Debug, Clone)]
pub struct Chunks {
    total: i64,
    rows: i64,
    next: i64,
}

impl Chunks {
    /// Rows of the largest chunk; none where there are no rows.
    pub fn rows(&self) -> i64 {
        self.rows
    }

    /// Whether there is one chunk, or none.
    pub fn is_one(&self) -> bool {
        self.rows >= self.total
    }
}

impl Iterator for Chunks {
    type Item = (i64, i64);

    fn next(&mut self) -> Option<(i64, i64)> {
        if self.next >= self.total {
            return None;
        }
        let first = self.next;
        self.next += self.rows;
        Some((first, self.rows.min(self.total - first)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_equal_and_within_the_bound() {
        for rows in 0..40 {
            for most in 1..45 {
                let memory = ChunkMemory::new(Some(8 * most));
                let chunks: Vec<_> = memory.chunks(rows, 8, Device::Cpu).collect();
                assert_eq!(chunks.iter().map(|(_, len)| len).sum::<i64>(), rows);
                let ends = chunks.iter().map(|(first, len)| first + len);
                assert!(chunks.iter().skip(1).zip(ends).all(|((first, _), end)| *first == end));
                let lengths = || chunks.iter().map(|(_, len)| *len);
                let (longest, shortest) = (lengths().max().unwrap_or(0), lengths().min().unwrap_or(0));
                assert!(longest <= most as i64, "{rows} rows, {most} at most: {chunks:?}");
                let fewest = (rows + most as i64 - 1) / most as i64;
                assert!(chunks.len() as i64 <= fewest, "{rows} rows, {most} at most: {chunks:?}");
                assert!(longest - shortest < fewest.max(1), "{rows} rows, {most} at most: {chunks:?}");
            }
        }
    }

    #[test]
    fn bound_is_given_or_that_of_the_device() {
        assert_eq!(ChunkMemory::new(Some(5)).bytes(Device::Cuda(0)), 5);
        assert_eq!(ChunkMemory::default().bytes(Device::Cpu), CPU_BYTES);
        // This process has no such device.
        assert_eq!(ChunkMemory::default().bytes(Device::Vulkan), UNKNOWN_BYTES);
    }
}
