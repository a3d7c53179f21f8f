//! Sets of negatives drawn from a proposal, with or without replacement.

use lexmax_kernels::seed::Generator;
use lexmax_output::{OutputError, Result};
use rand_distr::{Distribution, Exp1, Poisson};

use crate::expected_count::ExpectedCount;
use crate::proposal::Proposal;
use crate::seen::Seen;

/// The most negatives that a sampler may be asked for, `2^31 - 1`, and the most of a batch in which
/// every row has its own.
pub const MAX_SAMPLES: usize = i32::MAX as usize;

/// Draws that rejection may take for each unique sample, however many classes there are.
const TRIES_PER_SAMPLE: f64 = 8.0;

/// Draws `S` negatives from a proposal.
///
/// Unique draws are repeated draws of which only the first of each class counts, until `S` classes
/// were seen; the number of draws `T` gives the expected counts. Cost: the `T` draws, a few for
/// each sample, whatever `V`. Where more than `8 S` and more than `V` draws are expected (`S` close
/// to `V`, or a very skewed proposal) the same set and the same `T` are drawn in `O(V)`, which is
/// less, see [`Sampler::draw`]. With `S = V` every class is taken and nothing is drawn.
///
/// ```
/// use lexmax_kernels::seed::generator;
/// use lexmax_sampled::proposal::LogUniform;
/// use lexmax_sampled::{ExpectedCount, Sampler};
///
/// # fn main() -> lexmax_output::Result<()> {
/// let sampler = Sampler::new(Box::new(LogUniform::new(10_000)?), 100, true)?;
/// let drawn = sampler.draw(&mut generator(1, "negatives", 0));
/// assert_eq!(drawn.ids.len(), 100);
/// assert!(matches!(drawn.expected_count, ExpectedCount::Unique { tries } if tries >= 100.0));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Sampler {
    proposal: Box<dyn Proposal>,
    samples: usize,
    method: Method,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Replacement,
    Rejection,
    Race,
    Every,
}

/// One set of negatives.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawn {
    /// The classes, in the order in which they were drawn.
    pub ids: Vec<i64>,
    /// The law of expected counts that goes with them.
    pub expected_count: ExpectedCount,
}

impl Sampler {
    /// A sampler of `samples` classes, all different where `unique`.
    ///
    /// # Errors
    /// No samples, or more than [`MAX_SAMPLES`]; more unique samples than classes; a proposal that
    /// declares a probability that is not above zero, or probabilities that do not sum to 1.
    pub fn new(proposal: Box<dyn Proposal>, samples: usize, unique: bool) -> Result<Self> {
        let op = "sampler";
        let vocab_size = proposal.vocab_size();
        if samples < 1 {
            return Err(OutputError::argument(op, "samples", samples, "at least 1"));
        }
        if samples > MAX_SAMPLES {
            return Err(OutputError::argument(op, "samples", samples, format!("at most {MAX_SAMPLES}")));
        }
        if unique && samples as i64 > vocab_size {
            let expected = format!("at most {vocab_size}, the number of classes, where draws are unique");
            return Err(OutputError::argument(op, "samples", samples, expected));
        }
        check_declared(proposal.as_ref())?;
        let method = match unique {
            false => Method::Replacement,
            true if samples as i64 == vocab_size => Method::Every,
            true if rejection_suffices(proposal.as_ref(), samples) => Method::Rejection,
            true => Method::Race,
        };
        Ok(Self { proposal, samples, method })
    }

    /// The proposal.
    pub fn proposal(&self) -> &dyn Proposal {
        self.proposal.as_ref()
    }

    /// Number of negatives in a set, `S`.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// The law of expected counts before a set is drawn: that of the sets themselves, but for
    /// unique draws, whose number of draws `T` is then the one that is expected
    /// ([`ExpectedCount::of_unique_draws`]; cost: a few sweeps over all classes).
    pub fn expected_count(&self) -> ExpectedCount {
        match self.method {
            Method::Replacement => ExpectedCount::Draws { samples: self.samples as f64 },
            Method::Every => ExpectedCount::Every,
            Method::Rejection | Method::Race => {
                let probs: Vec<f64> =
                    (0..self.proposal.vocab_size()).map(|id| self.proposal.prob(id)).collect();
                ExpectedCount::of_unique_draws(&probs, self.samples)
            }
        }
    }

    /// One set of negatives, from the given generator alone.
    ///
    /// The `O(V)` way for unique draws: let class `c` arrive at the times of a Poisson process of
    /// rate `q_c`. The order of first arrivals is that of repeated draws, so the `S` first classes
    /// to arrive are the set; between its first arrival and the end each of them comes again a
    /// Poisson number of times, and the arrivals together are the draws made.
    pub fn draw(&self, rng: &mut Generator) -> Drawn {
        match self.method {
            Method::Replacement => Drawn {
                ids: self.proposal.draws(rng, self.samples),
                expected_count: ExpectedCount::Draws { samples: self.samples as f64 },
            },
            Method::Rejection => self.reject(rng),
            Method::Race => self.race(rng),
            Method::Every => {
                Drawn { ids: (0..self.proposal.vocab_size()).collect(), expected_count: ExpectedCount::Every }
            }
        }
    }

    fn reject(&self, rng: &mut Generator) -> Drawn {
        let mut seen = Seen::new(self.samples);
        let mut ids = Vec::with_capacity(self.samples);
        let mut tries = 0_u64;
        while ids.len() < self.samples {
            let id = self.proposal.draw(rng);
            tries += 1;
            if seen.insert(id) {
                ids.push(id);
            }
        }
        Drawn { ids, expected_count: ExpectedCount::Unique { tries: tries as f64 } }
    }

    fn race(&self, rng: &mut Generator) -> Drawn {
        let arrival = |id: i64| {
            let time: f64 = Exp1.sample(rng);
            (time / self.proposal.prob(id), id)
        };
        let mut arrivals: Vec<(f64, i64)> = (0..self.proposal.vocab_size()).map(arrival).collect();
        let by_time = |a: &(f64, i64), b: &(f64, i64)| a.0.total_cmp(&b.0);
        let last = self.samples - 1;
        arrivals.select_nth_unstable_by(last, by_time);
        arrivals.truncate(self.samples);
        arrivals.sort_unstable_by(by_time);
        let end = arrivals[last].0;
        let repeats: f64 = arrivals.iter().map(|&(time, id)| self.proposal.prob(id) * (end - time)).sum();
        // A mean of zero, or one too large to draw from, has no spread that matters.
        let repeats = Poisson::new(repeats).map(|poisson| poisson.sample(rng)).unwrap_or(repeats.round());
        let ids = arrivals.into_iter().map(|(_, id)| id).collect();
        Drawn { ids, expected_count: ExpectedCount::Unique { tries: self.samples as f64 + repeats } }
    }
}

fn check_declared(proposal: &dyn Proposal) -> Result<()> {
    let op = "sampler";
    let mut total = 0.0;
    for id in 0..proposal.vocab_size() {
        let q = proposal.prob(id);
        if !(q > 0.0 && q.is_finite()) {
            let given = format!("{q} for class {id}");
            return Err(OutputError::argument(
                op,
                "the proposal's probability",
                given,
                "a number above zero",
            ));
        }
        total += q;
    }
    if (total - 1.0).abs() > 1e-6 {
        return Err(OutputError::argument(op, "the sum of the proposal's probabilities", total, "1"));
    }
    Ok(())
}

/// Whether the draws that rejection may take are expected to hold enough different classes: as many
/// as the race would look at.
fn rejection_suffices(proposal: &dyn Proposal, samples: usize) -> bool {
    let tries = (TRIES_PER_SAMPLE * samples as f64).max(proposal.vocab_size() as f64);
    let law = ExpectedCount::Unique { tries };
    let mut different = 0.0;
    (0..proposal.vocab_size()).any(|id| {
        different += law.of(proposal.prob(id));
        different >= samples as f64
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use lexmax_kernels::seed::generator;

    use super::*;
    use crate::proposal::{LogUniform, Uniform};

    #[test]
    fn the_way_of_drawing_follows_the_sizes() {
        let method = |samples, unique| {
            Sampler::new(Box::new(LogUniform::new(200).unwrap()), samples, unique).unwrap().method
        };
        assert_eq!(method(20, false), Method::Replacement);
        assert_eq!(method(20, true), Method::Rejection);
        assert_eq!(method(199, true), Method::Race);
        assert_eq!(method(200, true), Method::Every);
    }

    #[test]
    fn the_race_draws_the_same_sets_and_tries_as_rejection() {
        let rounds = 20_000;
        let mut sampler = Sampler::new(Box::new(LogUniform::new(12).unwrap()), 5, true).unwrap();
        let mut statistics = |method| {
            sampler.method = method;
            let (mut first, mut member, mut tries, mut squares) = (0.0, [0.0; 12], 0.0, 0.0);
            for round in 0..rounds {
                let drawn = sampler.draw(&mut generator(3, "race", round));
                let ExpectedCount::Unique { tries: t } = drawn.expected_count else { panic!("unique") };
                first += drawn.ids[0] as f64;
                drawn.ids.iter().for_each(|&id| member[id as usize] += 1.0 / rounds as f64);
                tries += t / rounds as f64;
                squares += t * t / rounds as f64;
            }
            (first / rounds as f64, member, tries, squares - tries * tries)
        };
        let (rejection, race) = (statistics(Method::Rejection), statistics(Method::Race));
        // Five standard errors of the difference of two means over `rounds`.
        let tolerance = |variance: f64| 5.0 * (2.0 * variance / rounds as f64).sqrt();
        assert!((rejection.0 - race.0).abs() < tolerance(12.0), "{rejection:?} {race:?}");
        assert!((rejection.2 - race.2).abs() < tolerance(rejection.3), "{rejection:?} {race:?}");
        assert!((rejection.3 / race.3 - 1.0).abs() < 0.15, "{rejection:?} {race:?}");
        for id in 0..12 {
            let p = rejection.1[id];
            assert!((p - race.1[id]).abs() < tolerance(p * (1.0 - p)), "class {id}: {rejection:?} {race:?}");
        }
    }

    #[test]
    fn too_many_or_no_samples_are_refused() {
        let build = |samples, unique| Sampler::new(Box::new(Uniform::new(4).unwrap()), samples, unique);
        assert!(build(5, true).unwrap_err().to_string().contains("samples is 5, expected at most 4"));
        assert!(build(0, false).unwrap_err().to_string().contains("samples is 0, expected at least 1"));
        let many = build(MAX_SAMPLES + 1, false).unwrap_err().to_string();
        assert!(many.contains("samples is 2147483648, expected at most 2147483647"), "{many}");
        assert!(build(5, false).is_ok());
    }
}
