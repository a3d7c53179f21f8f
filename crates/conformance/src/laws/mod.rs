//! One file for each group of laws; [`check`] runs them all on one trial.

pub(crate) mod draws;
pub(crate) mod gradients;
pub(crate) mod input;
pub(crate) mod leading;
pub(crate) mod losses;
pub(crate) mod mixed;
pub(crate) mod paths;
pub(crate) mod persistence;
pub(crate) mod precision;
pub(crate) mod probabilities;
pub(crate) mod sequence;

use crate::subject::Trial;

pub(crate) fn check(trial: &Trial<'_>) {
    probabilities::check(trial);
    losses::check(trial);
    gradients::check(trial);
    precision::check(trial);
    draws::check(trial);
    persistence::check(trial);
    input::check(trial);
    leading::check(trial);
    sequence::check(trial);
}
