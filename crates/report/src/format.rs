//! Numbers as text: enough digits to compare, separators to read.

use crate::stats::Estimate;
use crate::stats::paired::Verdict;
use crate::summary::Standing;

/// Dash that stands where there is no number.
pub const NONE: &str = "–";

/// A number with `digits` significant digits and thousands separators, never in scientific
/// notation.
pub fn significant(value: f64, digits: u32) -> String {
    if !value.is_finite() {
        return if value.is_nan() {
            "not a number".into()
        } else if value > 0.0 {
            "∞".into()
        } else {
            "−∞".into()
        };
    }
    if value == 0.0 {
        return "0".into();
    }
    let magnitude = value.abs().log10().floor() as i32;
    let decimals = (digits as i32 - 1 - magnitude).clamp(0, 12);
    let rounded = format!("{:.*}", decimals as usize, value.abs());
    // Rounding may have carried into a further digit, as in 9.996 to 10.00.
    let text = match rounded.parse::<f64>() {
        Ok(carried) if decimals > 0 && carried.log10().floor() as i32 > magnitude => {
            format!("{:.*}", decimals as usize - 1, carried)
        }
        _ => rounded,
    };
    grouped(&text, value < 0.0)
}

/// A finite number with this many decimals and thousands separators; what rounds to zero has no
/// sign.
pub fn fixed(value: f64, decimals: usize) -> String {
    let digits = format!("{:.decimals$}", value.abs());
    let zero = digits.chars().all(|digit| matches!(digit, '0' | '.'));
    grouped(&digits, value < 0.0 && !zero)
}

/// Digits with a separator after each three before the point, and the sign.
fn grouped(digits: &str, negative: bool) -> String {
    let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(w, f)| (w, Some(f)));
    let mut out = if negative { String::from("−") } else { String::new() };
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    if let Some(fraction) = fraction {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

/// A number rounded to a whole one, with thousands separators.
pub fn whole(value: f64) -> String {
    if value.is_finite() { fixed(value, 0) } else { significant(value, 1) }
}

/// `mean ± half width`: the half width with two digits, the mean to the same decimal, but with no
/// more than one digit more than `digits`. Without a half width the mean alone, as where one of the
/// two is not finite.
pub fn estimate(estimate: &Estimate, digits: u32) -> String {
    let Estimate { mean, half_width, .. } = *estimate;
    let half = match half_width {
        Some(half) if mean.is_finite() && half.is_finite() => half,
        _ => return significant(mean, digits),
    };
    let shown = significant(half, 2);
    if half == 0.0 || mean == 0.0 {
        return format!("{} ± {shown}", significant(mean, digits));
    }
    let magnitude = |value: f64| value.abs().log10().floor() as i32;
    let decimals = (1 - magnitude(half)).min(digits as i32 - magnitude(mean)).clamp(0, 12) as usize;
    format!("{} ± {shown}", fixed(mean, decimals))
}

/// A change in per cent with its sign.
pub fn percent(value: f64) -> String {
    if !value.is_finite() {
        let unit = if value.is_nan() { "" } else { " %" };
        return format!("{}{unit}", signed(value));
    }
    let text = format!("{:.1} %", value.abs());
    if text == "0.0 %" {
        return text;
    }
    format!("{}{text}", if value < 0.0 { "−" } else { "+" })
}

/// The words of a paired comparison of losses in nats.
pub fn verdict(verdict: &Verdict) -> String {
    let with = |words: &str, e: &Estimate| {
        let sign = if e.mean > 0.0 { "+" } else { "" };
        format!("{words} ({sign}{} nats, {} seeds)", estimate(e, 4), e.count)
    };
    match verdict {
        Verdict::NoSharedSeed => "no shared seed: no verdict".into(),
        Verdict::NotFinite { candidate, reference, shared } => {
            let sides = match (candidate, reference) {
                (_, 0) => format!("not finite on {candidate}"),
                (0, _) => format!("reference not finite on {reference}"),
                _ => format!("not finite on {candidate}, reference on {reference}"),
            };
            let seeds = if *shared == 1 { "seed" } else { "seeds" };
            format!("{sides} of {shared} {seeds}: no verdict")
        }
        Verdict::OneSeed { difference } => format!("one seed: no verdict ({} nats)", signed(*difference)),
        Verdict::NoDifference(e) => with("no difference shown", e),
        Verdict::Direction(e) => with("better", e),
        Verdict::Worse(e) => with("worse", e),
    }
}

/// Standing of an output against the reference, in words.
pub fn standing(standing: &Standing) -> String {
    match standing {
        Standing::Reference => "reference".into(),
        Standing::NoReference => "no reference".into(),
        Standing::AllFailed => "every run failed".into(),
        Standing::OtherTokens => "other test tokens: no verdict".into(),
        Standing::Compared { verdict: words, .. } => verdict(words),
    }
}

fn signed(value: f64) -> String {
    let text = significant(value, 3);
    if value > 0.0 { format!("+{text}") } else { text }
}

/// Seconds since the Unix epoch as date and time in UTC; beyond the year 9999 the seconds
/// themselves.
pub fn utc(unix: u64) -> String {
    match i64::try_from(unix).ok().and_then(|unix| jiff::Timestamp::from_second(unix).ok()) {
        Some(moment) => moment.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        None => format!("{unix} s after 1970"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn digits_and_separators() {
        assert_eq!(significant(1234567.0, 4), "1,234,567");
        assert_eq!(significant(123.456, 4), "123.5");
        assert_eq!(significant(9.9996, 4), "10.00");
        assert_eq!(significant(0.00012345, 3), "0.000123");
        assert_eq!(significant(-0.5, 2), "−0.50");
        assert_eq!(significant(0.0, 3), "0");
        assert_eq!(significant(f64::NAN, 3), "not a number");
        assert_eq!(whole(999.6), "1,000");
        assert_eq!(whole(0.2), "0");
    }

    #[test]
    fn an_interval_decides_the_digits_of_its_mean() {
        let of = |mean, half_width| Estimate { mean, half_width, count: 2 };
        assert_eq!(estimate(&of(123.456, Some(1.234)), 4), "123.5 ± 1.2");
        assert_eq!(estimate(&of(123.456, Some(43.21)), 4), "123 ± 43");
        assert_eq!(estimate(&of(123.456, None), 4), "123.5");
        assert_eq!(estimate(&of(0.0512, Some(0.0021)), 3), "0.0512 ± 0.0021");
        assert_eq!(estimate(&of(50.0, Some(0.0)), 3), "50.0 ± 0");
        assert_eq!(estimate(&of(-0.000839, Some(0.0312)), 4), "−0.001 ± 0.031");
        assert_eq!(estimate(&of(-0.0001, Some(0.0312)), 4), "0.000 ± 0.031");
        assert_eq!(estimate(&of(390.0612, Some(0.00089)), 4), "390.06 ± 0.00089");
        assert_eq!(estimate(&of(11_871.6, Some(243.0)), 4), "11,872 ± 243");
    }

    #[test]
    fn changes_have_signs_and_verdicts_words() {
        assert_eq!(
            (percent(1.26), percent(-3.0), percent(-0.01)),
            ("+1.3 %".into(), "−3.0 %".into(), "0.0 %".into())
        );
        let e = Estimate { mean: 0.012, half_width: Some(0.02), count: 3 };
        assert_eq!(verdict(&Verdict::NoDifference(e)), "no difference shown (+0.012 ± 0.020 nats, 3 seeds)");
        assert_eq!(verdict(&Verdict::OneSeed { difference: -0.5 }), "one seed: no verdict (−0.500 nats)");
    }

    #[test]
    fn estimate_that_is_not_finite_has_no_interval_or_verdict() {
        for half_width in [None, Some(f64::NAN), Some(f64::INFINITY), Some(1.0)] {
            let of = |mean| estimate(&Estimate { mean, half_width, count: 2 }, 4);
            assert_eq!((of(f64::INFINITY), of(f64::NAN)), ("∞".into(), "not a number".into()));
        }
        assert_eq!((percent(f64::INFINITY), percent(f64::NAN)), ("+∞ %".into(), "not a number".into()));
        let words =
            |candidate, reference, shared| verdict(&Verdict::NotFinite { candidate, reference, shared });
        assert_eq!(words(1, 0, 2), "not finite on 1 of 2 seeds: no verdict");
        assert_eq!(words(0, 1, 1), "reference not finite on 1 of 1 seed: no verdict");
        assert_eq!(words(1, 2, 3), "not finite on 1, reference on 2 of 3 seeds: no verdict");
    }

    #[test]
    fn dates_of_known_moments() {
        assert_eq!(utc(0), "1970-01-01 00:00 UTC");
        assert_eq!(utc(951_782_400), "2000-02-29 00:00 UTC");
        assert_eq!(utc(1_709_251_199), "2024-02-29 23:59 UTC");
        assert_eq!(utc(1_767_225_600), "2026-01-01 00:00 UTC");
        assert_eq!(utc(u64::MAX), "18446744073709551615 s after 1970");
    }
}
