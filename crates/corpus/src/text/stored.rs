//! A file as stored: its bytes counted and hashed while they are read.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use crate::hash;

/// Count and hash of the bytes read so far, by whatever thread reads them.
#[derive(Clone, Default)]
pub(crate) struct Tally(Arc<Mutex<(u64, Sha256)>>);

impl Tally {
    /// Bytes read so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.lock().0
    }

    /// SHA-256 of the bytes read so far, hexadecimal.
    pub(crate) fn sha256(&self) -> String {
        hash::hex(&self.lock().1.clone().finalize())
    }

    fn lock(&self) -> MutexGuard<'_, (u64, Sha256)> {
        // Nothing that holds it panics.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reader that keeps a [`Tally`].
pub(crate) struct Tallied<R> {
    pub(crate) input: R,
    pub(crate) tally: Tally,
}

impl<R: Read> Read for Tallied<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        let mut tally = self.tally.lock();
        tally.0 += read as u64;
        tally.1.update(&buffer[..read]);
        Ok(read)
    }
}
