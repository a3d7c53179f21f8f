//! The choice of this process.

use std::fmt;
use std::sync::OnceLock;

use lexmax_kernels::product::ProductLibrary;

use crate::race::{Rate, measure, winner};
use crate::{ProductsError, Result, blas, cache, machine};

/// Environment variable that names the library: `gemm`, `blas`, or `auto` for what was measured.
pub const VARIABLE: &str = "LEXMAX_PRODUCTS";

const AUTO: &str = "auto";

/// Library of products, and why it.
#[derive(Debug, Clone)]
pub struct Choice {
    /// The library.
    pub library: ProductLibrary,
    /// Why it was chosen.
    pub reason: Reason,
}

/// Why a library was chosen.
#[derive(Debug, Clone, PartialEq)]
pub enum Reason {
    /// [`VARIABLE`] names it.
    Variable,
    /// There is no other.
    Alone,
    /// Rates of which it had the highest, in this process.
    Measured(Vec<Rate>),
    /// Rates of which it had the highest, when this machine was measured.
    Kept(Vec<Rate>),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rates = |rates: &[Rate]| -> String {
            let each = rates.iter().map(|rate| format!("{} {:.0}", rate.name, rate.gflops));
            each.collect::<Vec<_>>().join(", ")
        };
        match self {
            Self::Variable => write!(f, "named by {VARIABLE}"),
            Self::Alone => write!(f, "no BLAS is loaded"),
            Self::Measured(of) => write!(f, "measured now, in GFLOP/s: {}", rates(of)),
            Self::Kept(of) => write!(f, "measured before, in GFLOP/s: {}", rates(of)),
        }
    }
}

/// Libraries of this process: the crate `gemm`, and the BLAS that is loaded.
pub fn libraries() -> Vec<ProductLibrary> {
    [Some(ProductLibrary::GEMM), blas()].into_iter().flatten().collect()
}

/// Library of a name.
///
/// # Errors
/// No such name, or a BLAS where none is loaded; `place` says where the name stands.
///
/// ```
/// assert_eq!(lexmax_products::by_name("gemm", "products")?.name(), "gemm");
/// let error = lexmax_products::by_name("mkl", "products").unwrap_err();
/// assert!(error.to_string().starts_with("products is `mkl`, expected `gemm`"));
/// # Ok::<(), lexmax_products::ProductsError>(())
/// ```
pub fn by_name(name: &str, place: &str) -> Result<ProductLibrary> {
    let there = libraries();
    if let Some(library) = there.iter().find(|library| library.name() == name) {
        return Ok(*library);
    }
    let names = |list: &[&str]| list.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ");
    let (place, given) = (place.to_owned(), name.to_owned());
    let expected = |list: &[&str]| names(list);
    Err(match name == blas::NAME {
        true => ProductsError::Absent { place, given, expected: expected(&[ProductLibrary::GEMM.name()]) },
        false => ProductsError::Unknown {
            place,
            given,
            expected: expected(&[ProductLibrary::GEMM.name(), blas::NAME]),
        },
    })
}

/// Library of this process, the same for all who ask: the one that [`VARIABLE`] names, or else the
/// fastest on this machine. The first call of a machine measures, which takes some tens of
/// milliseconds, and keeps the answer in the user's cache folder.
///
/// # Errors
/// [`VARIABLE`] names no library of this process.
pub fn chosen() -> Result<&'static Choice> {
    static CHOSEN: OnceLock<Result<Choice>> = OnceLock::new();
    CHOSEN.get_or_init(choose).as_ref().map_err(Clone::clone)
}

fn choose() -> Result<Choice> {
    match std::env::var_os(VARIABLE) {
        Some(name) if !name.is_empty() && name != AUTO => {
            let library = by_name(&name.to_string_lossy(), VARIABLE)?;
            Ok(Choice { library, reason: Reason::Variable })
        }
        _ => Ok(fastest(cache::file().as_deref())),
    }
}

/// The fastest library, by the file of an earlier measurement where it holds for this machine.
fn fastest(file: Option<&std::path::Path>) -> Choice {
    let libraries = libraries();
    if let [library] = libraries.as_slice() {
        return Choice { library: *library, reason: Reason::Alone };
    }
    let machine = machine::key();
    if let Some((name, rates)) = file.and_then(|file| cache::read(file, &machine))
        && let Some(library) = libraries.iter().find(|library| library.name() == name)
    {
        return Choice { library: *library, reason: Reason::Kept(rates) };
    }
    let rates = measure(&libraries);
    let library = libraries.get(winner(&rates)).copied().unwrap_or(ProductLibrary::GEMM);
    if let Some(file) = file {
        // Where it cannot be written, the next process measures again.
        let _ = cache::write(file, &machine, library.name(), &rates);
    }
    Choice { library, reason: Reason::Measured(rates) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn second_choice_is_what_the_first_kept() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("products.json");
        let (first, second) = (fastest(Some(&file)), fastest(Some(&file)));
        assert_eq!(first.library.name(), second.library.name());
        match (first.reason, second.reason) {
            (Reason::Measured(then), Reason::Kept(now)) => assert_eq!(then, now),
            (Reason::Alone, Reason::Alone) => assert!(blas().is_none()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn names_of_no_library_are_refused_with_the_names() {
        let error = by_name("mkl", "LEXMAX_PRODUCTS").unwrap_err().to_string();
        assert_eq!(error, "LEXMAX_PRODUCTS is `mkl`, expected `gemm` or `blas`");
        assert_eq!(by_name("blas", "here").is_ok(), blas().is_some());
    }
}
