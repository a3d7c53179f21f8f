//! Errors of the measures: each names the operation, the value given and what was expected.

/// Error of a measure.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MetricsError {
    /// A score is not a number, so no rank follows from it.
    #[error("{operation}: the score of class {class} is NaN; expected a number")]
    NanScore {
        /// Operation that was tried.
        operation: &'static str,
        /// Class with that score.
        class: u64,
    },
    /// A class id that the options do not know.
    #[error("{operation}: {role} {class}; expected a class below {classes}")]
    Class {
        /// Operation that was tried.
        operation: &'static str,
        /// Role of the class, as in `target`.
        role: &'static str,
        /// The id.
        class: u64,
        /// C: number of classes.
        classes: u64,
    },
    /// A class that stands twice where a set was expected.
    #[error("{operation}: {role} {class} again; expected each class at most once")]
    Repeated {
        /// Operation that was tried.
        operation: &'static str,
        /// Role of the class, as in `target`.
        role: &'static str,
        /// The id.
        class: u64,
    },
    /// A list of the best classes that is out of order.
    #[error("{operation}: score {next} after {score} at entry {entry}; expected scores that never rise")]
    Order {
        /// Operation that was tried.
        operation: &'static str,
        /// Index of the greater score, counted from 0.
        entry: usize,
        /// Score before it.
        score: f64,
        /// Score at the entry.
        next: f64,
    },
    /// A list of the best classes that ends before the measure does.
    #[error(
        "{operation}: {given} candidates in the list of the best classes; expected at least {expected}, or all of them"
    )]
    Short {
        /// Operation that was tried.
        operation: &'static str,
        /// Candidates in the list, the excluded ones left out.
        given: u64,
        /// Candidates that are needed.
        expected: u64,
    },
    /// A value that cannot be used.
    #[error("{operation}: {name} is {given}; expected {expected}")]
    Value {
        /// Operation that was tried.
        operation: &'static str,
        /// Name of the value.
        name: &'static str,
        /// The value.
        given: String,
        /// Values that are accepted.
        expected: String,
    },
    /// A name that no measure has.
    #[error("measure {given:?}; expected one of {known}")]
    UnknownMeasure {
        /// The name.
        given: String,
        /// All names, with commas between.
        known: String,
    },
}

impl MetricsError {
    pub(crate) fn value(
        operation: &'static str,
        name: &'static str,
        given: impl std::fmt::Display,
        expected: impl Into<String>,
    ) -> MetricsError {
        MetricsError::Value { operation, name, given: given.to_string(), expected: expected.into() }
    }
}

/// Refuses a class that is not below `classes`.
pub(crate) fn check_class(
    operation: &'static str,
    role: &'static str,
    class: u32,
    classes: usize,
) -> Result<(), MetricsError> {
    if (class as usize) < classes {
        return Ok(());
    }
    Err(MetricsError::Class { operation, role, class: u64::from(class), classes: classes as u64 })
}

/// Refuses a list of classes too long for u32 ids, or an empty one.
pub(crate) fn check_counts(operation: &'static str, counts: &[u64]) -> Result<(), MetricsError> {
    if counts.is_empty() || u32::try_from(counts.len()).is_err() {
        let expected = "one training count for each class, of 1 to 4294967295 classes";
        return Err(MetricsError::value(
            operation,
            "counts",
            format!("of {} classes", counts.len()),
            expected,
        ));
    }
    Ok(())
}

/// The values of `k` in rising order, each once.
pub(crate) fn check_k(operation: &'static str, k: &[u64]) -> Result<Vec<u64>, MetricsError> {
    let mut sorted = k.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    match sorted.first() {
        Some(1..) => Ok(sorted),
        _ => {
            Err(MetricsError::value(operation, "k", format!("{k:?}"), "at least one value, each at least 1"))
        }
    }
}
