//! Directories made once, for crates that prepare data of another kind as corpora are prepared.
//!
//! [`Staging`] writes a directory beside its place, under a lock, and moves it there in one step;
//! [`Mapped`] reads its arrays without copying them; [`hash_of_parts`] tells whether they are still
//! what was written.

pub use crate::hash::of_parts as hash_of_parts;
pub use crate::mapped::{Mapped, Number};
pub use crate::observer::Unobserved;
pub use crate::request::first_difference;
pub use crate::staging::{Staging, name_of};
pub use crate::text::file_size;
