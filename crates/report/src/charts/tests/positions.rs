//! Charts read back as a reader would: by the labels of their axes. Every marker stands where its
//! value belongs, every whisker ends where its interval ends, and no marker hides another.

use super::*;
use crate::charts::drawing::{Align, At, Ink, PAPER, TEXT};
use lexmax_records::{Band, BandedNll};

/// One output of each of three families, all drawn as circles: name, family, tokens per second,
/// nats of the bands 0 and 1.
const THREE: [(&str, &str, f64, [f64; 2]); 3] = [
    ("full", "full", 3_000.0, [4.0, 6.0]),
    ("nce", "sampled", 20_000.0, [4.2, 6.1]),
    ("huffman", "hierarchical", 45_000.0, [4.5, 6.4]),
];

const INKS: [(u8, u8, u8); 3] = [(0, 0, 0), (0xd5, 0x5e, 0x00), (0x00, 0x9e, 0x73)];

/// The three with a seed for each of these shifts, which add to the losses.
fn records(shifts: &[f64]) -> Vec<RunRecord> {
    let mut records = Vec::new();
    for (i, (name, family, speed, nats)) in THREE.into_iter().enumerate() {
        for (seed, shift) in shifts.iter().enumerate() {
            // A shift of the candidates only, so that the paired change varies too.
            let nats = nats.map(|nats| nats + shift * (1.0 + i as f64));
            let mut record = run((name, family, speed, 5.0, 1.0), seed as u64);
            let result = record.result_mut().unwrap_or_else(|| panic!("finished"));
            let bands = result.test.bands().iter().zip(nats.into_iter().zip([300_u64, 100]));
            let bands = bands.map(|(band, (nats, tokens))| Band {
                nats: nats * tokens as f64,
                tokens,
                ..band.clone()
            });
            result.test = BandedNll::from_exact(bands.collect());
            result.train_tokens_per_second = speed;
            result.peak_memory_bytes = Some((100 * (i as u64 + 1)) << 20);
            result.layer_ms = 10.0 * (i as f64 + 1.0);
            for point in &mut record.curve {
                point.valid_nll = 5.0 + 0.1 * i as f64;
            }
            record.curve.truncate(5);
            records.push(record);
        }
    }
    records
}

fn find(charts: &[Chart], file: &str) -> Drawing {
    let chart = charts.iter().find(|chart| chart.file == file);
    chart.unwrap_or_else(|| panic!("{file}")).drawing.clone()
}

/// An axis as its labels show it: places and values of the outermost two.
struct Read {
    from: (f64, f64),
    to: (f64, f64),
    log: bool,
}

impl Read {
    /// Reads the labels aligned like this whose anchors lie in a rectangle.
    fn axis(drawing: &Drawing, align: Align, within: Bounds, log: bool) -> Self {
        let number = |text: &str| text.replace(',', "").replace('−', "-").parse::<f64>().ok();
        let mut labels: Vec<(f64, f64)> = Vec::new();
        for shape in &drawing.shapes {
            if let Shape::Text { at, text, align: found, .. } = shape
                && *found == align
                && within.contains(&Bounds::around(*at, 0.0, 0.0))
                && let Some(value) = number(text)
            {
                labels.push((if align == Align::Middle { at.0 } else { at.1 }, value));
            }
        }
        labels.sort_by(|a, b| a.1.total_cmp(&b.1));
        assert!(labels.len() >= 2, "{labels:?}");
        Self { from: labels[0], to: labels[labels.len() - 1], log }
    }

    fn place(&self, value: f64) -> f64 {
        let scale = |value: f64| if self.log { value.ln() } else { value };
        let share = (scale(value) - scale(self.from.1)) / (scale(self.to.1) - scale(self.from.1));
        self.from.0 + share * (self.to.0 - self.from.0)
    }
}

fn rectangle(left: f64, top: f64, right: f64, bottom: f64) -> Bounds {
    Bounds { left, top, right, bottom }
}

/// Centres of the circles of a family within the data, from left to right.
fn circles(drawing: &Drawing, rgb: (u8, u8, u8), within: Bounds) -> Vec<At> {
    let mut centres: Vec<At> = drawing
        .shapes
        .iter()
        .filter_map(|shape| match shape {
            Shape::Disc { centre, ink, .. } if ink.rgb == rgb => Some(*centre),
            _ => None,
        })
        .filter(|centre| within.contains(&Bounds::around(*centre, 0.0, 0.0)))
        .collect();
    centres.sort_by(|a, b| a.0.total_cmp(&b.0));
    centres
}

/// Ends of the vertical (or else horizontal) lines of a colour; the caps of a whisker lie across
/// it.
fn lines(drawing: &Drawing, ink: impl Fn(Ink) -> bool, vertical: bool) -> Vec<(At, At)> {
    let mut found = Vec::new();
    for shape in &drawing.shapes {
        if let Shape::Line { points, ink: of, .. } = shape
            && ink(*of)
            && let [from, to] = points[..]
        {
            let (dx, dy) = ((to.0 - from.0).abs(), (to.1 - from.1).abs());
            if if vertical { dx == 0.0 && dy > 0.0 } else { dy == 0.0 && dx > 0.0 } {
                found.push((from, to));
            }
        }
    }
    found
}

fn near(found: f64, expected: f64, what: &str) {
    assert!((found - expected).abs() < 0.01, "{what}: {found} for {expected}");
}

#[test]
fn the_pareto_chart_shows_speed_and_perplexity() {
    let drawing = find(&charts(records(&[0.0])), "pareto");
    let x = Read::axis(&drawing, Align::Middle, rectangle(0.0, 580.0, 900.0, 595.0), true);
    let y = Read::axis(&drawing, Align::End, rectangle(0.0, 70.0, 200.0, 580.0), true);
    for ((name, _, speed, nats), rgb) in THREE.into_iter().zip(INKS) {
        let centres = circles(&drawing, rgb, rectangle(0.0, 80.0, 1000.0, 570.0));
        assert_eq!(centres.len(), 1, "{name}");
        near(centres[0].0, x.place(speed), name);
        near(centres[0].1, y.place((0.75 * nats[0] + 0.25 * nats[1]).exp()), name);
    }
}

#[test]
fn band_chart_shows_perplexities_and_changes_with_intervals() {
    let shifts = [0.0, 0.015, 0.03];
    let drawing = find(&charts(records(&shifts)), "bands");
    let panels = [rectangle(0.0, 80.0, 800.0, 360.0), rectangle(0.0, 390.0, 800.0, 670.0)];
    let upper = Read::axis(&drawing, Align::End, panels[0], true);
    let lower = Read::axis(&drawing, Align::End, panels[1], false);
    // Half width of the mean of three: t(0.975, 2) s / sqrt(3).
    let interval = |values: [f64; 3]| {
        let mean = values.iter().sum::<f64>() / 3.0;
        let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 2.0).sqrt();
        let half = 4.302_652_730 * deviation / 3.0_f64.sqrt();
        (mean, mean - half, mean + half)
    };
    for (i, ((name, _, _, nats), rgb)) in THREE.into_iter().zip(INKS).enumerate() {
        let whiskers = lines(&drawing, |ink| ink.rgb == rgb, true);
        let check = |at: At, places: (f64, f64, f64)| {
            near(at.1, places.0, name);
            let whisker = whiskers
                .iter()
                .find(|(from, to)| (from.0 - at.0).abs() < 1e-9 && from.1 >= at.1 && to.1 <= at.1)
                .unwrap_or_else(|| panic!("{name} has no whisker at {at:?}: {whiskers:?}"));
            near(whisker.0.1, places.1, name);
            near(whisker.1.1, places.2, name);
        };
        let in_upper = circles(&drawing, rgb, panels[0]);
        assert_eq!(in_upper.len(), 2, "{name}");
        for (at, nats) in in_upper.into_iter().zip(nats) {
            let values = interval(shifts.map(|shift| (nats + shift * (1.0 + i as f64)).exp()));
            check(at, (upper.place(values.0), upper.place(values.1), upper.place(values.2)));
        }
        let in_lower = circles(&drawing, rgb, panels[1]);
        assert_eq!(in_lower.len(), if i == 0 { 0 } else { 2 }, "{name}");
        for (at, (nats, base)) in in_lower.into_iter().zip(nats.into_iter().zip(THREE[0].3)) {
            let values = interval(shifts.map(|shift| nats - base + shift * i as f64));
            let place = |nats: f64| lower.place(100.0 * (nats.exp() - 1.0));
            check(at, (place(values.0), place(values.1), place(values.2)));
        }
    }
    let says = |drawing: &Drawing, words: &str| texts(drawing).iter().any(|text| text.0.contains(words));
    assert!(says(&drawing, "Whiskers: 95 %"));
    assert!(says(&find(&charts(records(&[0.0])), "bands"), "One seed."));
}

#[test]
fn bars_and_curves_end_at_their_values() {
    let charts = charts(records(&[0.0]));
    for (file, values) in [("memory", [100.0, 200.0, 300.0]), ("layer_time", [10.0, 20.0, 30.0])] {
        let drawing = find(&charts, file);
        let x = Read::axis(&drawing, Align::Middle, rectangle(0.0, 170.0, 1000.0, 195.0), false);
        for (value, rgb) in values.into_iter().zip(INKS) {
            let bar = drawing.shapes.iter().find_map(|shape| match shape {
                Shape::Area { points, ink } if ink.rgb == rgb => Some(points[1].0),
                _ => None,
            });
            near(bar.unwrap_or(f64::NAN), x.place(value), file);
        }
    }
    let drawing = find(&charts, "learning_curves");
    let y = Read::axis(&drawing, Align::End, rectangle(0.0, 70.0, 200.0, 530.0), true);
    for (i, rgb) in INKS.into_iter().enumerate() {
        let centres = circles(&drawing, rgb, rectangle(0.0, 80.0, 800.0, 530.0));
        assert_eq!(centres.len(), 5);
        near(centres[4].1, y.place((5.0 + 0.1 * i as f64).exp()), "learning_curves");
    }
}

#[test]
fn values_far_apart_become_dots_on_a_logarithmic_axis() {
    let mut records = records(&[0.0]);
    let times = [0.5, 7.0, 480.0];
    for (record, ms) in records.iter_mut().zip(times) {
        record.result_mut().unwrap_or_else(|| panic!("finished")).layer_ms = ms;
    }
    let drawing = find(&charts(records), "layer_time");
    let x = Read::axis(&drawing, Align::Middle, rectangle(0.0, 170.0, 1000.0, 195.0), true);
    for (ms, rgb) in times.into_iter().zip(INKS) {
        let centres = circles(&drawing, rgb, rectangle(0.0, 76.0, 1000.0, 176.0));
        assert_eq!(centres.len(), 1);
        near(centres[0].0, x.place(ms), "layer_time");
    }
    assert!(texts(&drawing).iter().any(|text| text.0.ends_with("ms / step, log scale")));
}

#[test]
fn whiskers_on_bars_have_a_white_rim() {
    let mut records = records(&[0.0, 0.01]);
    records[0].result_mut().unwrap_or_else(|| panic!("finished")).peak_memory_bytes = Some(90 << 20);
    let drawing = find(&charts(records), "memory");
    let whisker = lines(&drawing, |ink| ink == TEXT, false);
    assert!(!whisker.is_empty());
    for (from, to) in whisker {
        let rims = lines(&drawing, |ink| ink == PAPER, false);
        let rim = rims.iter().find(|rim| rim.0.1 == from.1).unwrap_or_else(|| panic!("{from:?}: {rims:?}"));
        assert!(rim.0.0 < from.0 && rim.1.0 > to.0, "{rim:?}");
    }
}

#[test]
fn a_marker_over_another_is_open() {
    let mut records = records(&[0.0]);
    records[1].status = records[0].status.clone();
    let drawing = find(&charts(records), "pareto");
    // Equal points: both are there, one filled and one as an outline.
    let data = rectangle(0.0, 80.0, 1000.0, 570.0);
    let filled = [circles(&drawing, INKS[0], data).len(), circles(&drawing, INKS[1], data).len()];
    assert_eq!(filled.iter().sum::<usize>(), 1, "{filled:?}");
    let outlines = |rgb: (u8, u8, u8)| {
        let of = |shape: &&Shape| matches!(shape, Shape::Line { points, ink, .. } if ink.rgb == rgb && points.len() == 33);
        drawing.shapes.iter().filter(of).count()
    };
    assert_eq!([outlines(INKS[0]), outlines(INKS[1])], [1 - filled[0], 1 - filled[1]]);
    assert!(texts(&drawing).iter().any(|text| text.0.contains("An open marker lies over another.")));
}
