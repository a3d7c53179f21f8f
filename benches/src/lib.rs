//! Shared pieces of the benches and of the comparison with other packages: which work is timed, its
//! inputs, the layers that do it, a check of each answer, the clock and the memory.

pub mod bare;
pub mod clock;
pub mod floor;
pub mod inputs;
pub mod language_model;
pub mod memory;
pub mod peers;
pub mod plan;
pub mod subject;
pub mod work;

pub use floor::Floor;
pub use language_model::{LanguageModel, Text};
pub use subject::Subject;
pub use work::{Layer, Sizes, Task, Work};
