//! Text files to a corpus, in two streaming passes: count the training words, then write ids.

mod assign;
mod build;
mod count;
mod format;
mod lines;
mod options;
mod packing;
mod scan;
mod stored;
mod tokenizer;
mod writers;

pub use build::{build, build_observed};
pub use lines::{Piece, TextReader};
pub use options::{BuildOptions, TextInput};
pub use scan::file_size;
pub use tokenizer::Tokenizer;
