//! Exact scores of a split, in chunks that never hold `[N, V]` for the whole of it.

use std::ops::Range;
use std::time::Instant;

use lexmax_output::{ExactNll, LogProb};
use lexmax_records::{Band, BandedNll};
use tch::Device;

use crate::batch::Streams;
use crate::machine::synchronize;
use crate::train::Model;
use crate::{LabError, Result};

/// Tokens whose hidden states are computed at once.
const WINDOW_TOKENS: usize = 1024;
/// Largest number of logits that a chunk of rows may need at once where the layer holds them: 64
/// MiB in f32.
const CHUNK_LOGITS: i64 = 1 << 24;

/// Exact negative log-likelihood of a split.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// Overall and by frequency band.
    pub nll: BandedNll,
    /// Targets that were not scored, because they are of the ignored class.
    pub ignored: u64,
    /// Sum of the true negative log-probabilities of the tokens scored, in nats, where the language
    /// is synthetic.
    pub true_nats: Option<f64>,
    /// Seconds it took.
    pub seconds: f64,
}

/// Tokens to be scored, and how.
#[derive(Debug, Clone, Copy)]
pub struct Text<'a> {
    /// The tokens.
    pub tokens: &'a [u32],
    /// True log-probabilities of the tokens, where the language is synthetic.
    pub truth: Option<&'a [f64]>,
    /// Class whose tokens are read but not scored: a loss that ignores it has not trained the model
    /// to predict it.
    pub ignored: Option<i64>,
    /// Streams that the tokens are cut into (fewer where they do not suffice), each with its own
    /// state carried along.
    pub batch: usize,
}

/// Scores every token after the first of a stream, but for those of the ignored class. `going_on`
/// is told the share done; where it returns false, scoring ends without a result.
///
/// # Errors
/// Fewer than 2 tokens, or none to be scored; hidden states that are not finite.
pub fn score(model: &Model, text: &Text<'_>, going_on: &mut dyn FnMut(f64) -> bool) -> Result<Option<Score>> {
    let _guard = tch::no_grad_guard();
    let started = Instant::now();
    let Text { tokens, truth, ignored, batch } = *text;
    let batch = batch.min(tokens.len() / 2).max(1);
    let refuse = |message: String| LabError::CorpusUse { name: "evaluation".to_owned(), message };
    let streams = Streams::new(tokens, batch)
        .ok_or_else(|| refuse(format!("{} tokens, expected at least 2", tokens.len())))?;
    let mut bands = Bands::new(model.layer.vocab_size() as u64);
    let most = match model.bounded {
        true => WINDOW_TOKENS as i64,
        false => (CHUNK_LOGITS / model.layer.vocab_size()).clamp(1, WINDOW_TOKENS as i64),
    };
    let window_rows = (WINDOW_TOKENS / batch).max(1);
    let (mut row, mut state) = (0, None);
    while row < streams.rows() {
        let window = streams.window(row, window_rows, model.device())?;
        let (hidden, after) = model.backbone.forward(&window.inputs, state.as_ref(), None)?;
        let rows = hidden.size()[0];
        // Chunks of about equal size.
        let chunks = (rows + most - 1) / most;
        let chunk = ((rows + chunks - 1) / chunks.max(1)).max(1);
        for from in (0..rows).step_by(chunk as usize) {
            let length = chunk.min(rows - from);
            let targets = window.targets.f_narrow(0, from, length)?;
            let log_prob = model.layer.log_prob(&hidden.f_narrow(0, from, length)?, &targets)?;
            bands.add(&log_prob, &Vec::<i64>::try_from(targets.f_to(Device::Cpu)?)?, ignored)?;
        }
        state = Some(after);
        row += window.rows;
        if !going_on(row as f64 / streams.rows() as f64) {
            return Ok(None);
        }
    }
    synchronize(model.device());
    let counts = |at: &usize| ignored != Some(i64::from(tokens[*at]));
    let scored = || streams.target_positions(0, streams.rows()).filter(counts);
    let true_nats = truth.map(|truth| -scored().map(|at| truth[at]).sum::<f64>());
    let nll = bands.finish();
    let ignored = (streams.targets_per_pass() as u64).saturating_sub(nll.tokens());
    if nll.tokens() == 0 {
        let message =
            format!("all {ignored} targets are of the ignored class, expected at least one of another");
        return Err(refuse(message));
    }
    Ok(Some(Score { nll, ignored, true_nats, seconds: started.elapsed().as_secs_f64() }))
}

/// Sums by frequency rank: ids 0 to 9, 10 to 99, 100 to 999 and so on. They are made from exactly
/// normalised log-probabilities alone, which their type sees to.
#[derive(Debug)]
struct Bands(Vec<(Range<u64>, ExactNll)>);

impl Bands {
    fn new(vocab_size: u64) -> Self {
        let mut bands = Vec::new();
        let mut from = 0;
        while from < vocab_size {
            let to = (from.max(1) * 10).min(vocab_size);
            bands.push((from..to, ExactNll::default()));
            from = to;
        }
        Self(bands)
    }

    fn add(&mut self, log_prob: &LogProb, targets: &[i64], ignored: Option<i64>) -> Result<()> {
        let scores = ExactNll::of_targets(log_prob)?;
        for (score, target) in scores.into_iter().zip(targets).filter(|(_, target)| ignored != Some(**target))
        {
            // The number of digits less one; id 0 is with 1 to 9.
            let band = target.checked_ilog10().unwrap_or(0) as usize;
            self.0[band].1 += score;
        }
        Ok(())
    }

    fn finish(self) -> BandedNll {
        let band = |(ranks, nll): (Range<u64>, ExactNll)| Band {
            from: ranks.start,
            to: ranks.end,
            nats: nll.nats(),
            tokens: nll.tokens(),
        };
        BandedNll::from_exact(self.0.into_iter().map(band).collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tch::Tensor;

    #[test]
    fn bands_are_decades_of_the_rank_and_cover_all_classes() {
        let edges = |v| Bands::new(v).0.iter().map(|(ranks, _)| (ranks.start, ranks.end)).collect::<Vec<_>>();
        assert_eq!(edges(2500), [(0, 10), (10, 100), (100, 1000), (1000, 2500)]);
        assert_eq!(edges(10), [(0, 10)]);
        assert_eq!(edges(3), [(0, 3)]);
        assert_eq!(edges(11), [(0, 10), (10, 11)]);
    }

    #[test]
    fn each_target_counts_in_its_band_and_in_the_whole() {
        let mut bands = Bands::new(1000);
        let log_prob = LogProb::from_normalised(Tensor::from_slice(&[-1.0, -2.0, -4.0, -8.0, -16.0]));
        bands.add(&log_prob, &[0, 9, 10, 99, 999], None).unwrap();
        let nll = bands.finish();
        assert_eq!((nll.nats(), nll.tokens()), (31.0, 5));
        let sums: Vec<(f64, u64)> = nll.bands().iter().map(|band| (band.nats, band.tokens)).collect();
        assert_eq!(sums, [(3.0, 2), (12.0, 2), (16.0, 1)]);
    }

    #[test]
    fn the_ignored_class_is_in_no_sum() {
        let mut bands = Bands::new(20);
        let log_prob = LogProb::from_normalised(Tensor::from_slice(&[-1.0, -2.0, -4.0]));
        bands.add(&log_prob, &[0, 3, 12], Some(3)).unwrap();
        let nll = bands.finish();
        assert_eq!((nll.nats(), nll.tokens()), (5.0, 2));
    }
}
