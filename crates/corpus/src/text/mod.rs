//! Text files to a corpus, in two streaming passes: count the training words, then write ids.

mod assign;
mod build;
mod count;
mod options;
mod reader;
mod scan;
mod tokenizer;

pub use build::build;
pub use options::{BuildOptions, TextInput};
pub use tokenizer::Tokenizer;
