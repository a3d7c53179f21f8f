//! One pass over a text that was read: every token with its split and place.

use super::assign::Assign;
use super::options::BuildOptions;
use super::spool::{Spool, Symbol};
use crate::info::SourceFile;
use crate::observer::{Observer, Progress, Unit};
use crate::{CorpusError, Split};

/// Number of the word that ends lines, where one is asked for.
const EOS: u32 = 0;

/// Place of a token.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// Index of the file among those that were read.
    pub(crate) file: usize,
    /// Counted from 1.
    pub(crate) line: u64,
    pub(crate) split: Split,
}

/// Lines and tokens of a pass.
pub(crate) struct Scanned {
    /// Lines of each split; a line that is dealt out in tokens counts where it begins.
    pub(crate) lines: [u64; 3],
    /// Tokens of each split.
    pub(crate) tokens: [u64; 3],
}

/// Calls `each` with the number of every token's word, in order.
pub(crate) fn scan(
    options: &BuildOptions,
    spool: &mut Spool,
    files: &[SourceFile],
    pass: &'static str,
    mut assign: Assign,
    observer: &mut dyn Observer,
    mut each: impl FnMut(u32, Place) -> Result<(), CorpusError>,
) -> Result<Scanned, CorpusError> {
    let mut progress = Progress::new(observer, pass, Unit::Items, spool.symbols());
    let mut scanned = Scanned { lines: [0; 3], tokens: [0; 3] };
    let (mut file, mut line, mut of_line, mut done) = (0, 1, None, 0_u64);
    spool.read(|symbol| {
        done += 1;
        if done.is_multiple_of(Progress::STRIDE) {
            progress.at(done)?;
        }
        if symbol == Symbol::FileEnd {
            (file, line) = (file + 1, 1);
            return Ok(());
        }
        let line_split = match of_line {
            Some(split) => split,
            None => assign.next_line(files.get(file).and_then(|file| file.split)),
        };
        of_line = Some(line_split);
        let token = match symbol {
            Symbol::Word(number) => Some(number),
            _ => options.eos.as_ref().map(|_| EOS),
        };
        if let Some(number) = token {
            let split = assign.next_token(line_split);
            scanned.tokens[split.index()] += 1;
            each(number, Place { file, line, split })?;
        }
        if symbol == Symbol::LineEnd {
            scanned.lines[line_split.index()] += 1;
            line += 1;
            of_line = None;
        }
        Ok(())
    })?;
    progress.finish();
    Ok(scanned)
}
