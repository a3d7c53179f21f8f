//! Bytes that a thread of its own reads and unpacks ahead of their reader.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use super::packing::BUFFER_BYTES;

/// Most blocks that wait for the reader.
const BLOCKS: usize = 4;

/// Reader of what a thread reads ahead, in blocks that are used again: at most [`BLOCKS`] and two
/// more exist.
pub(crate) struct ReadAhead {
    /// Block at hand, of which `used` bytes were handed out.
    block: Vec<u8>,
    used: usize,
    /// Blocks to come; none once the input has ended.
    full: Option<Receiver<io::Result<Vec<u8>>>>,
    empty: Sender<Vec<u8>>,
    thread: Option<JoinHandle<()>>,
}

impl ReadAhead {
    /// Starts to read.
    ///
    /// # Errors
    /// Those of the system, where it has no further thread.
    pub(crate) fn new(input: impl Read + Send + 'static) -> io::Result<ReadAhead> {
        let (full_sender, full) = sync_channel(BLOCKS);
        let (empty, empty_receiver) = channel();
        let name = "lexmax text reader".to_owned();
        let thread =
            std::thread::Builder::new().name(name).spawn(|| send(input, full_sender, empty_receiver))?;
        Ok(ReadAhead { block: Vec::new(), used: 0, full: Some(full), empty, thread: Some(thread) })
    }

    fn next_block(&mut self) -> io::Result<()> {
        let Some(full) = &self.full else { return Ok(()) };
        let next =
            full.recv().unwrap_or_else(|_| Err(io::Error::other("the thread that reads it ended early")));
        self.used = 0;
        match next {
            Ok(block) => {
                let before = std::mem::replace(&mut self.block, block);
                if self.block.is_empty() {
                    self.full = None;
                }
                // Its thread may have reached the end of the input, and needs none.
                let _ = self.empty.send(before);
                Ok(())
            }
            Err(error) => {
                self.block.clear();
                self.full = None;
                Err(error)
            }
        }
    }
}

impl Read for ReadAhead {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(into)?;
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for ReadAhead {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.used == self.block.len() {
            self.next_block()?;
        }
        Ok(&self.block[self.used..])
    }

    fn consume(&mut self, bytes: usize) {
        self.used = (self.used + bytes).min(self.block.len());
    }
}

impl Drop for ReadAhead {
    fn drop(&mut self) {
        // Without a receiver the thread ends at its next block.
        self.full = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was an error of the last block.
            let _ = thread.join();
        }
    }
}

/// Sends the blocks of an input, then an empty one or its error.
fn send(mut input: impl Read, full: SyncSender<io::Result<Vec<u8>>>, empty: Receiver<Vec<u8>>) {
    loop {
        let mut block = empty.try_recv().unwrap_or_default();
        block.resize(BUFFER_BYTES, 0);
        let (filled, error) = fill(&mut input, &mut block);
        block.truncate(filled);
        // What was read before an error comes before it; a reader that is gone wants neither.
        if filled > 0 && full.send(Ok(block)).is_err() {
            return;
        }
        let last = match error {
            Some(error) => Err(error),
            None if filled < BUFFER_BYTES => Ok(Vec::new()),
            None => continue,
        };
        let _ = full.send(last);
        return;
    }
}

/// Reads until `block` is full, the input ends or fails: the number of bytes, and the error.
pub(super) fn fill(input: &mut impl Read, block: &mut [u8]) -> (usize, Option<io::Error>) {
    let mut filled = 0;
    while filled < block.len() {
        match input.read(&mut block[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (filled, Some(error)),
        }
    }
    (filled, None)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Gives `bytes` in small reads, then an error.
    struct Fails(io::Cursor<Vec<u8>>);

    impl Read for Fails {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let most = into.len().min(1000);
            match self.0.read(&mut into[..most])? {
                0 => Err(io::Error::from_raw_os_error(5)),
                read => Ok(read),
            }
        }
    }

    fn bytes(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at / 7 % 251) as u8).collect()
    }

    #[test]
    fn input_of_any_length_comes_whole_and_in_order() {
        for length in [0, 1, BUFFER_BYTES - 1, BUFFER_BYTES, BUFFER_BYTES + 1, 11 * BUFFER_BYTES + 5] {
            let mut read = Vec::new();
            ReadAhead::new(io::Cursor::new(bytes(length))).unwrap().read_to_end(&mut read).unwrap();
            assert!(read == bytes(length), "{length}");
        }
    }

    #[test]
    fn error_of_the_input_comes_after_what_was_read_before_it() {
        for length in [0, 10, BUFFER_BYTES, 3 * BUFFER_BYTES + 10] {
            let mut read = Vec::new();
            let mut ahead = ReadAhead::new(Fails(io::Cursor::new(bytes(length)))).unwrap();
            let error = ahead.read_to_end(&mut read).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(5));
            assert!(read == bytes(length), "{length}");
            assert_eq!(ahead.read(&mut [0; 8]).unwrap(), 0, "nothing comes after an error");
        }
    }

    #[test]
    fn reader_that_is_dropped_early_ends_its_thread() {
        let mut ahead = ReadAhead::new(io::repeat(b'x')).unwrap();
        assert_eq!(ahead.fill_buf().unwrap().len(), BUFFER_BYTES);
        // Joins; an endless thread would hang here.
        drop(ahead);
    }

    #[test]
    fn thread_that_panics_is_an_error_of_its_reader() {
        struct Panics;
        impl Read for Panics {
            fn read(&mut self, _into: &mut [u8]) -> io::Result<usize> {
                std::panic::resume_unwind(Box::new("no input"))
            }
        }
        let error = ReadAhead::new(Panics).unwrap().read(&mut [0; 8]).unwrap_err();
        assert!(error.to_string().contains("ended early"), "{error}");
    }
}
