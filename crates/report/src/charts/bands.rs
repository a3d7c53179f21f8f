//! Exact test perplexity by the frequency rank of the target: above the values, below the change
//! from the reference.

mod slots;

use std::collections::BTreeMap;

use super::Chart;
use super::axis::Axis;
use super::drawing::{Bounds, Drawing, MUTED};
use super::frame::Frame;
use super::legend::{self, Entry, Swatch};
use super::notes;
use super::palette::{Style, draw_marker};
use super::whisker::{self, Along, Pen};
use crate::stats::Estimate;
use crate::summary::{OutputSummary, Summary};
use slots::{Ranks, Slots};

const PANEL: f64 = 280.0;

struct Row<'a> {
    name: &'a str,
    style: Style,
    /// Nats per token of each seed.
    seeds: BTreeMap<Ranks, Vec<(u64, f64)>>,
    /// Perplexities over the seeds.
    bands: BTreeMap<Ranks, Estimate>,
}

/// A change from the reference in per cent, with the ends of its interval where several seeds are
/// shared.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Change {
    middle: f64,
    ends: Option<(f64, f64)>,
}

/// The chart; `None` where no finished run scored a token in a band.
pub fn chart(summary: &Summary, styles: &[Style]) -> Option<Chart> {
    let mut tokens: BTreeMap<Ranks, u64> = BTreeMap::new();
    let mut rows = Vec::new();
    let mut base = None;
    let mut missing: Vec<&str> = Vec::new();
    let drawn = summary.outputs.iter().zip(styles).enumerate();
    for (i, (output, &style)) in drawn.filter(|(_, (output, _))| summary.is_ranked(output)) {
        let mut row = row(summary, output, style, &mut tokens);
        let scored = row.bands.len();
        row.bands.retain(|_, estimate| estimate.mean.is_finite());
        if row.bands.len() < scored {
            missing.push(&output.name);
        }
        if !row.bands.is_empty() {
            if summary.reference == Some(i) {
                base = Some(rows.len());
            }
            rows.push(row);
        }
    }
    if rows.is_empty() {
        return None;
    }
    let base = base.filter(|_| rows.len() > 1);
    let entries: Vec<Entry> = rows
        .iter()
        .map(|row| Entry { text: row.name.to_owned(), swatch: Swatch::Marker(row.style) })
        .collect();
    let head = "Best overall first";
    let legend_left = legend::left(head, &entries);
    let panels = if base.is_some() { 2.0 } else { 1.0 };
    let height =
        (80.0 + panels * PANEL + 30.0 * (panels - 1.0) + 90.0).max(110.0 + legend::height(entries.len()));

    let title = "Perplexity by frequency of the target word";
    let estimates: Vec<Estimate> = rows.iter().flat_map(|row| row.bands.values().copied()).collect();
    let mut explanation = String::from("Exact, test set. Rank 0 is the most frequent word. ");
    let several = estimates.iter().any(|estimate| estimate.half_width.is_some());
    explanation.push_str(match (several, base.is_some()) {
        (true, true) => "Whiskers: 95 % interval, below of the change on the same seeds.",
        (true, false) => "Whiskers: 95 % interval.",
        (false, _) if summary.most_seeds() <= 1 => "One seed.",
        (false, _) => "",
    });
    let mut drawing = Drawing::new(height, title, explanation.trim_end());
    let y = whisker::log_axis(&estimates, 0.06);
    let change = base.map(|base| {
        let changes: Vec<_> = rows.iter().map(|row| changes(row, &rows[base])).collect();
        let axis = change_axis(&changes.iter().flat_map(|c| c.values().copied()).collect::<Vec<_>>());
        (changes, axis)
    });
    let against =
        base.map_or(String::new(), |base| format!("change from {}, %", legend::fit(rows[base].name, 150.0)));
    let left = change.iter().map(|(_, axis)| Frame::left_margin(axis)).fold(Frame::left_margin(&y), f64::max);
    let right = legend_left - 28.0;
    let slots = Slots { left, right, bands: tokens.keys().copied().collect(), rows: rows.len() };

    let top = Bounds { left, top: 80.0, right, bottom: 80.0 + PANEL };
    let frame = Frame { bounds: top, x: Axis::linear([0.0, 1.0], true), y };
    slots.shade(&mut drawing, top);
    frame.draw_y(&mut drawing, "perplexity, log scale");
    let mut cut = false;
    for (i, row) in rows.iter().enumerate() {
        for (ranks, estimate) in &row.bands {
            let ends = estimate.half_width.map(|_| estimate.ends());
            cut |= draw_value(&mut drawing, &frame, slots.x(*ranks, i), estimate.mean, ends, row.style);
        }
    }
    drawing.line(vec![(left, top.bottom), (right, top.bottom)], MUTED, 1.2);
    let mut bottom = top.bottom;
    if let (Some((changes, axis)), Some(base)) = (change, base) {
        let bounds = Bounds { left, top: bottom + 30.0, right, bottom: bottom + 30.0 + PANEL };
        let frame = Frame { bounds, x: Axis::linear([0.0, 1.0], true), y: axis };
        slots.shade(&mut drawing, bounds);
        frame.draw_y(&mut drawing, &against);
        drawing.line(vec![(left, frame.y(0.0)), (right, frame.y(0.0))], MUTED, 1.4);
        for (i, (row, changes)) in rows.iter().zip(&changes).enumerate() {
            for (ranks, change) in changes.iter().filter(|_| i != base) {
                let x = slots.x(*ranks, i);
                if change.ends.is_none() {
                    // A stem tells the direction where no interval is in the way.
                    let stem = vec![(x, frame.y(0.0)), (x, frame.y(change.middle))];
                    drawing.line(stem, row.style.ink.fade(0.45), 1.6);
                }
                cut |= draw_value(&mut drawing, &frame, x, change.middle, change.ends, row.style);
            }
        }
        bottom = bounds.bottom;
    }
    slots.label(&mut drawing, bottom, &tokens);
    legend::draw(&mut drawing, head, &entries, legend_left, 76.0);
    if cut {
        notes::add(&mut drawing, notes::CUT);
    }
    notes::add_not_finite(&mut drawing, &missing);
    notes::add_other_tokens(&mut drawing, &summary.unranked());
    Some(Chart { file: "bands", title: title.into(), drawing })
}

/// Row of an output: the values of its seeds in each band. `tokens` takes up the most tokens that a
/// run scored in a band.
fn row<'a>(
    summary: &Summary,
    output: &'a OutputSummary,
    style: Style,
    tokens: &mut BTreeMap<Ranks, u64>,
) -> Row<'a> {
    let mut seeds: BTreeMap<Ranks, Vec<(u64, f64)>> = BTreeMap::new();
    for (seed, result) in summary.results(output) {
        for band in result.test.bands().iter().filter(|band| band.tokens > 0) {
            seeds.entry((band.from, band.to)).or_default().push((seed, band.nats / band.tokens as f64));
            let most = tokens.entry((band.from, band.to)).or_default();
            *most = band.tokens.max(*most);
        }
    }
    let perplexity =
        |values: &[(u64, f64)]| Estimate::of(&values.iter().map(|(_, nats)| nats.exp()).collect::<Vec<_>>());
    let bands = seeds.iter().filter_map(|(ranks, values)| Some((*ranks, perplexity(values)?))).collect();
    Row { name: &output.name, style, seeds, bands }
}

/// Changes of the bands from the reference, from the mean difference in nats on the seeds that both
/// ran, as the verdicts of the table. Where they share none, the mean perplexities are compared.
fn changes(row: &Row, base: &Row) -> BTreeMap<Ranks, Change> {
    let percent = |nats: f64| 100.0 * nats.exp_m1();
    let change = |ranks: &Ranks, estimate: &Estimate| {
        // A band that the reference has no finite value in says nothing about the others.
        let mean = base.bands.get(ranks)?.mean;
        let reference: BTreeMap<u64, f64> = base.seeds.get(ranks)?.iter().copied().collect();
        let differences: Vec<f64> = row
            .seeds
            .get(ranks)?
            .iter()
            .filter_map(|(seed, nats)| Some(nats - reference.get(seed)?))
            .collect();
        let change = match Estimate::of(&differences) {
            Some(e) => {
                let (low, high) = e.ends();
                let ends = e.half_width.map(|_| (percent(low), percent(high)));
                Change { middle: percent(e.mean), ends }
            }
            None => {
                let middle = 100.0 * (estimate.mean / mean - 1.0);
                Change { middle, ends: None }
            }
        };
        change.middle.is_finite().then_some((*ranks, change))
    };
    row.bands.iter().filter_map(|(ranks, estimate)| change(ranks, estimate)).collect()
}

/// An axis that holds zero and the changes, and their intervals as far as these do not dwarf them.
fn change_axis(changes: &[Change]) -> Axis {
    let low = changes.iter().map(|change| change.middle).fold(0.0, f64::min);
    let high = changes.iter().map(|change| change.middle).fold(0.0, f64::max);
    let room = 0.2 * (high - low).max(1.0);
    let ends = changes.iter().filter_map(|change| change.ends).flat_map(<[f64; 2]>::from);
    Axis::linear(ends.map(|end| end.clamp(low - room, high + room)).chain([low, high]), false)
}

/// Draws a value with its interval; returns whether the interval was cut.
fn draw_value(
    drawing: &mut Drawing,
    frame: &Frame,
    x: f64,
    value: f64,
    ends: Option<(f64, f64)>,
    style: Style,
) -> bool {
    let pen = Pen { ink: style.ink.fade(0.6), width: 1.4, halo: false };
    let cut = ends.is_some_and(|ends| whisker::draw(drawing, frame, Along::Y, x, ends, pen).cut);
    draw_marker(drawing, style.marker, (x, frame.y(value)), 4.5, style.ink);
    cut
}
