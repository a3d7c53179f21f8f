//! Text files to a corpus: one reading that numbers words, then passes over the numbers that count
//! the training words and write ids.

mod ahead;
mod assign;
mod build;
mod count;
mod format;
mod lines;
mod options;
mod packing;
mod read;
mod scan;
mod spool;
mod stored;
mod tokenizer;
mod words;
mod writers;

pub use build::{build, build_observed};
pub use lines::{Piece, TextReader};
pub use options::{BuildOptions, TextInput};
pub use read::file_size;
pub use tokenizer::Tokenizer;
