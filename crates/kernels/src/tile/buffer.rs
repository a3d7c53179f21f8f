//! Memory that starts on a cache line and is reused from call to call.

/// Numbers from a 64-byte boundary on.
#[derive(Debug, Default)]
pub(crate) struct Aligned<T> {
    storage: Vec<T>,
    start: usize,
    len: usize,
}

impl<T: Copy + Default> Aligned<T> {
    /// Numbers that the allocation takes beyond its content, at most.
    pub const SLACK_BYTES: usize = 64;

    /// Makes room for `len` numbers; what was there before may or may not remain, new numbers are zero.
    pub fn resize(&mut self, len: usize) {
        let slack = Self::SLACK_BYTES / size_of::<T>();
        if self.storage.len() < len + slack {
            // A new one instead of growing: copying the old content would hold both.
            self.storage = Vec::new();
            self.storage = vec![T::default(); len + slack];
            let offset = self.storage.as_ptr().align_offset(Self::SLACK_BYTES);
            self.start = if offset <= slack { offset } else { 0 };
        }
        self.len = len;
    }

    pub fn as_slice(&self) -> &[T] {
        &self.storage[self.start..self.start + self.len]
    }

    pub fn as_mut_slice(&mut self) -> &mut [T] {
        &mut self.storage[self.start..self.start + self.len]
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.storage.capacity() * size_of::<T>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_starts_on_a_cache_line_and_keeps_its_memory() {
        let mut buffer = Aligned::<f32>::default();
        for len in [1, 100, 7, 1000] {
            buffer.resize(len);
            assert_eq!(buffer.as_slice().len(), len);
            assert_eq!(buffer.as_slice().as_ptr().addr() % 64, 0);
        }
        let held = buffer.bytes();
        buffer.resize(10);
        assert_eq!(buffer.bytes(), held);
    }
}
