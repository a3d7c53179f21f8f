//! lexmax beside other packages: which cases are compared, their timing in turn on one machine, the
//! stored lines, and the table and charts that come of them.
//!
//! A new case is an entry of [`crate::plan`], its target (where one is set) an entry of
//! [`targets`], and a branch of the script in `benches/peers`.

mod chart;
mod child;
mod line;
mod machine;
mod machines;
mod pairs;
mod python;
mod report;
mod store;
mod table;
pub mod targets;
#[cfg(test)]
mod tests;
mod timing;

pub use line::{Line, read};
pub use machines::write_machines;
pub use pairs::{Comparison, pairs};
pub use report::{ENVIRONMENT, LINES, PeerPaths, write_peers};
pub use timing::{PeersArgs, peers};
