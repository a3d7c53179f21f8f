//! Exact negative log-likelihood of a set of tokens, split by frequency rank: the one way to a
//! perplexity.

use serde::{Deserialize, Serialize};

/// Exact negative log-likelihood of a token set, split by the frequency rank of the target.
///
/// A perplexity means something only where the log-probabilities come from a distribution that is
/// normalised over all classes. This crate knows no tensor and cannot check that. It trusts the
/// caller of [`BandedNll::from_exact`], which in this workspace is the evaluator of `lexmax-lab`
/// alone: it adds up `lexmax_output::ExactNll`, and those take `lexmax_output::LogProb` only. The
/// sums are private, so no field can be filled from a training loss on the way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "StoredNll", into = "StoredNll")]
pub struct BandedNll {
    nats: f64,
    tokens: u64,
    bands: Vec<Band>,
}

/// Targets whose id (frequency rank) lies in `from..to`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Band {
    /// First id of the band.
    pub from: u64,
    /// First id after the band.
    pub to: u64,
    /// Sum of the exact negative log-likelihood, in nats.
    #[serde(with = "crate::float")]
    pub nats: f64,
    /// Tokens in the band.
    pub tokens: u64,
}

/// Layout in a record's file, with the sums over all bands written out for its readers.
#[derive(Serialize, Deserialize)]
struct StoredNll {
    #[serde(with = "crate::float")]
    nats: f64,
    tokens: u64,
    bands: Vec<Band>,
}

impl BandedNll {
    /// Sums bands of exact negative log-likelihoods, which must not overlap and must cover all
    /// classes.
    pub fn from_exact(bands: Vec<Band>) -> Self {
        let (nats, tokens) = bands
            .iter()
            .fold((0.0, 0_u64), |sum, band| (sum.0 + band.nats, sum.1.saturating_add(band.tokens)));
        Self { nats, tokens, bands }
    }

    /// Sum over all tokens, in nats.
    pub fn nats(&self) -> f64 {
        self.nats
    }

    /// Number of tokens scored.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Rank bands, in order of rank.
    pub fn bands(&self) -> &[Band] {
        &self.bands
    }

    /// Mean negative log-likelihood in nats per token; NaN when nothing was scored.
    pub fn nll(&self) -> f64 {
        self.nats / self.tokens as f64
    }

    /// Perplexity `exp(nll)`.
    pub fn perplexity(&self) -> f64 {
        self.nll().exp()
    }
}

impl From<BandedNll> for StoredNll {
    fn from(BandedNll { nats, tokens, bands }: BandedNll) -> Self {
        Self { nats, tokens, bands }
    }
}

impl TryFrom<StoredNll> for BandedNll {
    type Error = String;

    /// Refuses sums that are not those of the bands, as after a change by hand.
    fn try_from(StoredNll { nats, tokens, bands }: StoredNll) -> Result<Self, String> {
        let whole = Self::from_exact(bands);
        if whole.tokens != tokens {
            return Err(format!(
                "the bands hold {} tokens, expected the {tokens} of the whole",
                whole.tokens
            ));
        }
        let alike = (whole.nats - nats).abs() <= 1e-9 * nats.abs();
        if !(alike || whole.nats.to_bits() == nats.to_bits() || (whole.nats.is_nan() && nats.is_nan())) {
            return Err(format!("the bands hold {} nats, expected the {nats} of the whole", whole.nats));
        }
        Ok(whole)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn stored_sums_that_differ_from_the_bands_are_refused() {
        let nll = BandedNll::from_exact(vec![
            Band { from: 0, to: 10, nats: 50.0, tokens: 60 },
            Band { from: 10, to: 20, nats: 200.0, tokens: 40 },
        ]);
        assert_eq!((nll.nats(), nll.tokens(), nll.nll()), (250.0, 100, 2.5));
        let text = serde_json::to_string(&nll).unwrap();
        assert_eq!(serde_json::from_str::<BandedNll>(&text).unwrap(), nll);
        for (from, to, words) in [("250.0", "251.0", "250 nats"), (":100", ":99", "100 tokens")] {
            assert!(text.contains(from));
            let error = serde_json::from_str::<BandedNll>(&text.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn an_infinite_and_an_undefined_sum_come_back() {
        for nats in [f64::INFINITY, f64::NAN] {
            let nll = BandedNll::from_exact(vec![Band { from: 0, to: 2, nats, tokens: 3 }]);
            let back: BandedNll = serde_json::from_str(&serde_json::to_string(&nll).unwrap()).unwrap();
            assert!(back.nats() == nats || (back.nats().is_nan() && nats.is_nan()));
        }
    }
}
