//! Buffers that are reused from call to call, and the bytes they hold.

use std::ops::{Deref, DerefMut};

/// Bytes that buffers hold.
pub(crate) trait HeldBytes {
    /// Bytes allocated now.
    fn held(&self) -> usize;
}

impl<N: Copy> HeldBytes for Vec<N> {
    fn held(&self) -> usize {
        self.capacity() * size_of::<N>()
    }
}

impl<B: HeldBytes> HeldBytes for [B] {
    fn held(&self) -> usize {
        self.iter().map(HeldBytes::held).sum()
    }
}

/// Implements [`HeldBytes`] for a struct of buffers: those before the semicolon are counted. All
/// fields are named, so a new buffer that is forgotten here does not compile.
macro_rules! held {
    ($buffers:ident { $($counted:ident),* $(; $($other:ident),*)? }) => {
        impl<T: Copy> $crate::buffer::HeldBytes for $buffers<T> {
            fn held(&self) -> usize {
                let Self { $($counted,)* $($($other: _,)*)? } = self;
                0 $(+ $counted.held())*
            }
        }
    };
}
pub(crate) use held;

/// Makes a buffer exactly `len` zeros; a smaller one is replaced, not copied.
pub(crate) fn refill<N: Copy + Default>(buffer: &mut Vec<N>, len: usize) {
    if buffer.capacity() < len {
        *buffer = Vec::new();
    }
    buffer.clear();
    buffer.resize(len, N::default());
}

/// First `len` elements of a buffer, with unspecified values. A smaller buffer is replaced, not
/// copied.
pub(crate) fn sized<N: Copy + Default>(buffer: &mut Vec<N>, len: usize) -> &mut [N] {
    if buffer.len() < len {
        *buffer = Vec::new();
        *buffer = vec![N::default(); len];
    }
    &mut buffer[..len]
}

/// Buffer that starts on a 64-byte boundary.
#[derive(Debug, Default)]
pub(crate) struct Aligned<T> {
    storage: Vec<T>,
    start: usize,
    len: usize,
}

impl<T: Copy + Default> Aligned<T> {
    /// Most bytes that the allocation takes beyond its content.
    pub const SLACK_BYTES: usize = 64;

    /// Sizes the buffer for `len` elements; earlier ones may or may not remain, new ones are zero.
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
}

impl<T: Copy + Default> Deref for Aligned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.as_slice()
    }
}

impl<T: Copy + Default> DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.as_mut_slice()
    }
}

held!(Aligned { storage; start, len });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sized_buffer_keeps_its_memory() {
        let mut buffer = vec![];
        sized(&mut buffer, 10).fill(1);
        assert_eq!(sized(&mut buffer, 3), [1; 3]);
        assert_eq!(sized(&mut buffer, 12), [0; 12]);
        assert_eq!(buffer.capacity(), 12);
    }

    #[test]
    fn aligned_buffer_starts_on_a_cache_line_and_keeps_its_memory() {
        let mut buffer = Aligned::<f32>::default();
        for len in [1, 100, 7, 1000] {
            buffer.resize(len);
            assert_eq!(buffer.as_slice().len(), len);
            assert_eq!(buffer.as_slice().as_ptr().addr() % 64, 0);
        }
        let held = buffer.held();
        buffer.resize(10);
        assert_eq!(buffer.held(), held);
    }
}
