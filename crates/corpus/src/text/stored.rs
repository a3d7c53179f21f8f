//! A file as stored: its bytes counted and hashed while they are read.

use std::cell::RefCell;
use std::io::{self, Read};
use std::rc::Rc;

use sha2::{Digest, Sha256};

use crate::hash;

/// Count and hash of the bytes read so far.
#[derive(Clone, Default)]
pub(crate) struct Tally(Rc<RefCell<(u64, Sha256)>>);

impl Tally {
    /// Bytes read so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.borrow().0
    }

    /// SHA-256 of the bytes read so far, hexadecimal.
    pub(crate) fn sha256(&self) -> String {
        hash::hex(&self.0.borrow().1.clone().finalize())
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
        let mut tally = self.tally.0.borrow_mut();
        tally.0 += read as u64;
        tally.1.update(&buffer[..read]);
        Ok(read)
    }
}
