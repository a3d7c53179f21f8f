//! Axes: which range, which ticks, which labels. No pixels.

use crate::format::fixed;

/// Most labels of a logarithmic axis.
const MOST_TICKS: usize = 8;
/// Largest part of a logarithmic axis that may be without a label.
const WIDEST_GAP: f64 = 0.35;

/// Scale of an axis: the map from values to distances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Equal differences are equal distances.
    Linear,
    /// Equal ratios are equal distances.
    Log,
}

/// One axis over a range of values.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
    /// Values that get a grid line and a label.
    pub ticks: Vec<f64>,
    /// Values that get a fine grid line only.
    pub minor: Vec<f64>,
}

impl Axis {
    /// A linear axis over the finite values, from zero when `from_zero`.
    pub fn linear(values: impl IntoIterator<Item = f64>, from_zero: bool) -> Self {
        let (mut low, mut high) = range(values.into_iter().filter(|v| v.is_finite())).unwrap_or((0.0, 1.0));
        if from_zero {
            low = low.min(0.0);
            high = high.max(0.0);
        }
        if low == high {
            let pad = if low == 0.0 { 1.0 } else { 0.1 * low.abs() };
            (low, high) = (low - if from_zero { 0.0 } else { pad }, high + pad);
        }
        let pad = 0.04 * (high - low);
        low = if from_zero && low == 0.0 { 0.0 } else { low - pad };
        high = if from_zero && high == 0.0 { 0.0 } else { high + pad };
        Self { scale: Scale::Linear, low, high, ticks: even(low, high, 7), minor: Vec::new() }
    }

    /// A logarithmic axis over the positive finite values. Values of zero or less are drawn at its
    /// lower end.
    pub fn log(values: impl IntoIterator<Item = f64>) -> Self {
        let positive = values.into_iter().filter(|v| v.is_finite() && *v > 0.0);
        let (mut low, mut high) = range(positive).unwrap_or((1.0, 10.0));
        let pad = (high / low).powf(0.05).max(1.02);
        (low, high) = (low / pad, high * pad);
        let (ticks, minor) = log_ticks(low, high);
        Self { scale: Scale::Log, low, high, ticks, minor }
    }

    /// Place of a value between the ends of the axis: 0 at the lower, 1 at the upper. Outside
    /// values are outside, except that a logarithmic axis puts zero and less at its lower end.
    pub fn fraction(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log if value <= 0.0 => 0.0,
            Scale::Log => (value / self.low).ln() / (self.high / self.low).ln(),
        }
    }

    /// Lowest and highest value of the axis.
    pub fn ends(&self) -> (f64, f64) {
        (self.low, self.high)
    }

    /// Roundness of a tick, for charts where not all labels have space: 0 for powers of ten, 1 for
    /// two and five times these, 2 for the others. Those of a linear axis are alike.
    pub fn roundness(&self, tick: f64) -> u8 {
        if self.scale == Scale::Linear || tick <= 0.0 {
            return 0;
        }
        let mantissa = tick / 10_f64.powf((tick.log10() + 1e-9).floor());
        let is = |round: f64| (mantissa - round).abs() < 1e-6;
        if is(1.0) {
            0
        } else if is(2.0) || is(5.0) {
            1
        } else {
            2
        }
    }

    /// The label of a tick: on a linear axis all have the decimals that the finest needs, on a
    /// logarithmic one each its own.
    pub fn label(&self, tick: f64) -> String {
        if tick == 0.0 {
            return "0".into();
        }
        let decimals = match self.scale {
            Scale::Linear => self.ticks.iter().map(|&tick| decimals(tick)).max().unwrap_or(0),
            Scale::Log => decimals(tick),
        };
        fixed(tick, decimals)
    }
}

/// Decimals that a tick needs to be written out.
fn decimals(tick: f64) -> usize {
    let whole = |decimals: &i32| {
        let scaled = tick * 10_f64.powi(*decimals);
        (scaled - scaled.round()).abs() <= 1e-6 * scaled.abs()
    };
    (0..12).find(whole).unwrap_or(12) as usize
}

fn range(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |range, v| match range {
        None => Some((v, v)),
        Some((low, high)) => Some((low.min(v), high.max(v))),
    })
}

/// Multiples of 1, 2 or 5 times a power of ten, at most `most` of them.
fn even(low: f64, high: f64, most: usize) -> Vec<f64> {
    let rough = (high - low) / most as f64;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|step| *step >= rough);
    let step = step.unwrap_or(10.0 * power);
    let (first, last) = ((low / step).ceil() as i64, (high / step).floor() as i64);
    (first..=last).map(|i| i as f64 * step).collect()
}

fn log_ticks(low: f64, high: f64) -> (Vec<f64>, Vec<f64>) {
    const FINE: [f64; 9] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];
    let within = |mantissas: &[f64]| -> Vec<f64> {
        let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
        (first..=last)
            .flat_map(|power| mantissas.iter().map(move |m| m * 10_f64.powi(power)))
            .filter(|tick| (low..=high).contains(tick))
            .collect()
    };
    // The largest part of the axis without a label, its ends among the labels.
    let gap = |ticks: &[f64]| -> f64 {
        let places: Vec<f64> = std::iter::once(low).chain(ticks.iter().copied()).chain([high]).collect();
        let widest = places.windows(2).map(|pair| (pair[1] / pair[0]).ln()).fold(0.0, f64::max);
        widest / (high / low).ln()
    };
    let decades = within(&[1.0]);
    let every = decades.len().div_ceil(MOST_TICKS).max(1);
    // From fine to coarse: the first that is neither crowded nor leaves a desert. Even steps suit
    // less than a decade.
    let mut candidates = vec![
        within(&FINE),
        within(&[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0]),
        within(&[1.0, 1.5, 2.0, 3.0, 5.0, 7.0]),
        if high / low < 10.0 { even(low, high, 7) } else { Vec::new() },
        within(&[1.0, 2.0, 5.0]),
        within(&[1.0, 3.0]),
        decades.into_iter().step_by(every).collect(),
    ];
    candidates.retain(|ticks| (2..=MOST_TICKS).contains(&ticks.len()));
    let good = candidates.iter().position(|ticks| ticks.len() >= 4 && gap(ticks) <= WIDEST_GAP);
    let ticks = match good {
        Some(good) => candidates.swap_remove(good),
        None => candidates.into_iter().min_by(|a, b| gap(a).total_cmp(&gap(b))).unwrap_or_default(),
    };
    let minor = if (2.0..3e4).contains(&(high / low)) { within(&FINE) } else { Vec::new() };
    (ticks, minor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(axis: &Axis) -> Vec<String> {
        axis.ticks.iter().map(|&tick| axis.label(tick)).collect()
    }

    #[test]
    fn ticks_are_round_and_labels_tell_them_apart() {
        assert_eq!(labels(&Axis::linear([0.0, 60.0], true)), ["0", "10", "20", "30", "40", "50", "60"]);
        assert_eq!(labels(&Axis::linear([0.0, 3.0], true)), ["0", "0.5", "1.0", "1.5", "2.0", "2.5", "3.0"]);
        let times = labels(&Axis::linear([0.0, 12.0], true));
        assert_eq!(times, ["0", "2", "4", "6", "8", "10", "12"]);
        assert_eq!(labels(&Axis::linear([-4.0, 4.0], false)), ["−4", "−2", "0", "2", "4"]);
        assert_eq!(
            labels(&Axis::log([150.0, 900.0])),
            ["200", "300", "400", "500", "600", "700", "800", "900"]
        );
        assert_eq!(labels(&Axis::log([3.0, 40_000.0])), ["10", "100", "1,000", "10,000"]);
        assert_eq!(labels(&Axis::log([241.0, 263.0])), ["240", "245", "250", "255", "260", "265"]);
        assert_eq!(labels(&Axis::log([0.02, 30.0])), ["0.03", "0.1", "0.3", "1", "3", "10", "30"]);
        assert_eq!(
            labels(&Axis::log([0.002, 30_000.0])),
            ["0.001", "0.01", "0.1", "1", "10", "100", "1,000", "10,000"]
        );
    }

    #[test]
    fn no_third_of_a_logarithmic_axis_is_without_a_label() {
        // Steps of 1, 2 to 9 would end at 1,000 and leave the upper half empty.
        assert_eq!(labels(&Axis::log([680.0, 1600.0])), ["800", "1,000", "1,200", "1,400", "1,600"]);
        assert_eq!(labels(&Axis::log([120.0, 3_400.0])), ["200", "500", "1,000", "2,000"]);
    }

    #[test]
    fn round_ticks_come_first() {
        let axis = Axis::log([0.01, 1e4]);
        let cases = [(1.0, 0), (1000.0, 0), (0.001, 0), (2.0, 1), (0.05, 1), (3.0, 2), (1.5, 2), (900.0, 2)];
        for (tick, expected) in cases {
            assert_eq!(axis.roundness(tick), expected, "{tick}");
        }
        assert_eq!(Axis::linear([0.0, 10.0], true).roundness(7.0), 0);
    }

    #[test]
    fn one_value_none_and_zero_still_make_an_axis() {
        for axis in [
            Axis::log([250.0]),
            Axis::log([]),
            Axis::log([0.0]),
            Axis::linear([0.0], true),
            Axis::linear([7.0], false),
            Axis::linear([], false),
            Axis::log([f64::NAN, f64::INFINITY]),
        ] {
            assert!(axis.high > axis.low && axis.ticks.len() >= 2, "{axis:?}");
        }
        assert_eq!(Axis::log([10.0, 100.0]).fraction(0.0), 0.0);
        let alone = Axis::log([250.0]).fraction(250.0);
        assert!((alone - 0.5).abs() < 1e-9, "{alone}");
    }

    proptest! {
        #[test]
        fn values_and_ticks_lie_on_the_axis(low in 1e-3..1e6f64, ratio in 1.0..1e6f64) {
            for axis in [Axis::log([low, low * ratio]), Axis::linear([low, low * ratio], false)] {
                for value in axis.ticks.iter().chain(&axis.minor).chain(&[low, low * ratio]) {
                    let fraction = axis.fraction(*value);
                    prop_assert!((-1e-9..=1.0 + 1e-9).contains(&fraction), "{:?} at {}", axis, value);
                }
                prop_assert!(axis.ticks.len() <= 9 && axis.ticks.len() >= 2, "{:?}", axis);
                if axis.scale == Scale::Log {
                    let places: Vec<f64> = axis.ticks.iter().map(|&tick| axis.fraction(tick)).collect();
                    let starts = std::iter::once(0.0).chain(places.iter().copied());
                    let widest = starts.zip(places.iter().copied().chain([1.0])).map(|(a, b)| b - a);
                    prop_assert!(widest.fold(0.0, f64::max) <= 0.36, "{:?}", axis);
                }
                let mut labels = labels(&axis);
                let count = labels.len();
                labels.dedup();
                prop_assert_eq!(labels.len(), count, "{:?}", axis);
            }
        }
    }
}
