//! Laws of the draws: they follow the distribution, and depend on the generator alone.

use tch::{Kind, Tensor};

use crate::Case;
use crate::subject::{Subject, Trial};
use lexmax_kernels::seed::generator;
use lexmax_output::LossOptions;

const DRAWS: i64 = 4000;
/// Classes and copies of the batch of the law on threads.
const LARGE: i64 = 2100;
const COPIES: i64 = 60;

pub(crate) fn check(trial: &Trial<'_>) {
    let subject = trial.subject(Kind::Double, LossOptions::default());
    follows_the_distribution(trial, &subject);
    same_seed_same_draws(trial);
}

fn follows_the_distribution(trial: &Trial<'_>, subject: &Subject) {
    let one_row = subject.hidden.narrow(0, 0, 1);
    let probs = subject.layer.log_probs(&one_row).unwrap().into_tensor().exp().view(-1);
    let ids = subject.layer.sample(&one_row.repeat([DRAWS, 1]), &mut generator(1, "draws", 0)).unwrap();
    assert_eq!(ids.size(), [DRAWS], "{}: one draw a row", trial.name);
    let seen = ids.bincount(None::<Tensor>, trial.vocab_size);
    let (mut statistic, mut cells) = (0.0, 0.0);
    let (mut rest_expected, mut rest_seen) = (0.0, 0.0);
    for id in 0..trial.vocab_size {
        let (expected, seen) = (probs.double_value(&[id]) * DRAWS as f64, seen.double_value(&[id]));
        if expected >= 5.0 {
            statistic += (seen - expected).powi(2) / expected;
            cells += 1.0;
        } else {
            rest_expected += expected;
            rest_seen += seen;
        }
    }
    if rest_expected >= 5.0 {
        statistic += (rest_seen - rest_expected).powi(2) / rest_expected;
        cells += 1.0;
    }
    // Five standard deviations of a chi-square with `cells - 1` degrees of freedom; the seed is
    // fixed.
    let freedom: f64 = (cells - 1.0_f64).max(1.0);
    let allowed = freedom + 5.0 * (2.0 * freedom).sqrt();
    assert!(statistic <= allowed, "{}: chi-square of draws {statistic:.1}, allowed {allowed:.1}", trial.name);
}

/// The draws of `sample` and the negatives of `loss` come from the generator alone, whatever the
/// number of threads.
fn same_seed_same_draws(trial: &Trial<'_>) {
    // Large enough that the fused kernels have work for several threads, were it only for their
    // products.
    let trial = &Trial { case: &Case { vocab_size: LARGE, ..*trial.case }, ..*trial };
    let run = |threads: i32| {
        tch::set_num_threads(threads);
        let mut subject = trial.subject(Kind::Double, LossOptions::default());
        let (hidden, targets) = (subject.hidden.repeat([COPIES, 1]), subject.targets.repeat([COPIES]));
        let ids = subject.layer.sample(&hidden, &mut generator(2, "draws", 7)).unwrap();
        (Vec::<i64>::try_from(&ids).unwrap(), subject.loss_of(&hidden, &targets).value().unwrap())
    };
    let (one, many, again) = (run(1), run(4), run(1));
    tch::set_num_threads(1);
    assert_eq!(one, again, "{}: the same seed gave other draws", trial.name);
    assert_eq!(one.0, many.0, "{}: the number of threads changed the draws", trial.name);
    let moved = (one.1 - many.1).abs();
    assert!(moved <= 1e-12 * one.1.abs().max(1.0), "{}: threads moved the loss by {moved}", trial.name);
}
