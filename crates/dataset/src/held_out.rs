//! Examples held out of the training part for validation, by the hash of the example.

use crate::rows::{Names, Rows};
use crate::{DatasetError, Valid};

/// Divides training rows into those kept and those held out, both in their order.
///
/// Of each class the rows with the least hashes are held out (rows of equal hash in order of
/// appearance), so the choice follows from the examples alone: not from their order in the file,
/// and not from the other classes.
pub(crate) fn hold_out(
    rows: &Rows,
    train: Vec<usize>,
    valid: &Valid,
    labels: &Names,
) -> Result<(Vec<usize>, Vec<usize>), DatasetError> {
    if matches!(valid, Valid::None | Valid::Files(_)) {
        return Ok((train, Vec::new()));
    }
    let mut by_class: Vec<Vec<usize>> = vec![Vec::new(); labels.all().len()];
    for &row in &train {
        by_class[rows.labels[row] as usize].push(row);
    }
    let mut held = vec![false; rows.len()];
    for (label, of_class) in labels.all().iter().zip(&mut by_class) {
        let there = of_class.len();
        let count = match valid {
            Valid::EachClass(each) if there > 0 => match usize::try_from(*each) {
                Ok(each) if each < there => each,
                _ => {
                    let expected = format!("less than {there}, the training examples of class {label:?}");
                    return Err(DatasetError::option("valid.each_class", each, expected));
                }
            },
            Valid::Share(share) => ((share * there as f64 + 0.5) as usize).min(there.saturating_sub(1)),
            _ => 0,
        };
        of_class.sort_by_key(|&row| rows.hashes[row]);
        for &row in &of_class[..count] {
            held[row] = true;
        }
    }
    Ok(train.into_iter().partition(|&row| !held[row]))
}
