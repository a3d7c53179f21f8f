//! Exact validation perplexity against training time: every seed faint, their mean bold.

use lexmax_records::RunRecord;

use super::Chart;
use super::axis::Axis;
use super::drawing::{At, Bounds, Drawing, WIDTH};
use super::frame::Frame;
use super::legend::{self, Entry, Swatch};
use super::notes;
use super::palette::{Marker, Style, draw_marker};
use crate::scored::{self, TokenSet};
use crate::stats::curve;
use crate::summary::{OutputSummary, Summary};

/// Curves start far above where they end; what is this many times above the worst end is cut off.
const HEADROOM: f64 = 2.5;

struct Series {
    name: String,
    style: Style,
    seeds: Vec<Vec<(f64, f64)>>,
    broken: Vec<Vec<(f64, f64)>>,
    mean: Vec<(f64, f64)>,
}

/// Validation tokens of an output's curves; `None` where they differ or there is no point.
fn validated(summary: &Summary, output: &OutputSummary) -> Option<TokenSet> {
    let runs = output.finished.iter().chain(&output.failed).map(|&i| &summary.records[i]);
    let mut sets = runs.filter_map(TokenSet::of_curve);
    let first = sets.next()?;
    sets.all(|set| set.agrees(&first)).then_some(first)
}

/// Indices of the outputs whose curves are of the same validation tokens as the reference's (as
/// most, without one), and the names of the others.
fn comparable(summary: &Summary) -> (Vec<usize>, Vec<&str>) {
    let sets: Vec<Option<TokenSet>> =
        summary.outputs.iter().map(|output| validated(summary, output)).collect();
    let of_reference = summary.reference.and_then(|reference| sets[reference].clone());
    let Some(home) = of_reference.or_else(|| scored::most_common(sets.iter().flatten())) else {
        return (Vec::new(), Vec::new());
    };
    let agrees = |i: &usize| sets[*i].as_ref().is_some_and(|set| set.agrees(&home));
    let has_points = |output: &OutputSummary| {
        output.finished.iter().chain(&output.failed).any(|&i| !summary.records[i].curve.is_empty())
    };
    let (drawn, others): (Vec<usize>, Vec<usize>) = (0..sets.len()).partition(agrees);
    let others = others.into_iter().map(|i| &summary.outputs[i]).filter(|output| has_points(output));
    (drawn, others.map(|output| output.name.as_str()).collect())
}

/// The chart; `None` where no run has a point.
pub fn chart(summary: &Summary, styles: &[Style]) -> Option<Chart> {
    let (drawn, others) = comparable(summary);
    let mut series: Vec<Series> = drawn
        .into_iter()
        .map(|i| (&summary.outputs[i], styles[i]))
        .map(|(output, style)| {
            let points =
                |runs: &[usize]| runs.iter().map(|&i| points(&summary.records[i])).collect::<Vec<_>>();
            let (seeds, mut broken) = (points(&output.finished), points(&output.failed));
            broken.retain(|curve| !curve.is_empty());
            Series { name: output.name.clone(), style, mean: curve::mean(&seeds), seeds, broken }
        })
        .filter(|series| !series.mean.is_empty() || !series.broken.is_empty())
        .collect();
    // The order of the legend is the order of the lines at their ends.
    let end = |series: &Series| series.mean.last().map_or(f64::INFINITY, |point| point.1);
    series.sort_by(|a, b| end(a).total_cmp(&end(b)));
    let all = || series.iter().flat_map(|s| s.seeds.iter().chain(&s.broken)).flatten();
    all().next()?;
    let worst_end = series.iter().map(end).filter(|end| end.is_finite()).fold(0.0, f64::max);
    let highest = all().map(|point| point.1).fold(0.0, f64::max);
    let ceiling = if worst_end > 0.0 { highest.min(HEADROOM * worst_end) } else { highest };

    let entries: Vec<Entry> = series
        .iter()
        .map(|s| {
            let text = if s.mean.is_empty() { format!("{} (failed)", s.name) } else { s.name.clone() };
            Entry { text, swatch: Swatch::Line(s.style) }
        })
        .collect();
    let head = "Best at the end first";
    let legend_left = legend::left(head, &entries);
    let height = (80.0 + legend::height(entries.len()) + 30.0).max(600.0);
    let y = Axis::log(all().map(|point| point.1).filter(|value| *value <= ceiling));
    let x = Axis::linear(all().map(|point| point.0), true);
    let left = Frame::left_margin(&y);
    let bounds = Bounds { left, top: 80.0, right: legend_left - 28.0, bottom: height - 70.0 };
    let frame = Frame { bounds, x, y };

    let title = "Perplexity against training time";
    let mut explanation = match summary.most_seeds() {
        0 | 1 => String::from("Exact, validation set. One seed."),
        n => format!("Exact, validation set. Bold: mean over seeds (up to {n}); faint: each seed."),
    };
    if series.iter().any(|s| !s.broken.is_empty()) {
        explanation.push_str(" Lone ×: a run broke.");
    }
    let mut drawing = Drawing::new(height, title, &explanation);
    frame.draw(
        &mut drawing,
        "training time, seconds (evaluation left out)",
        "validation perplexity, log scale",
    );
    for s in series.iter().rev() {
        draw_series(&mut drawing, &frame, s);
    }
    for s in &series {
        draw_breaks(&mut drawing, &frame, s);
    }
    legend::draw(&mut drawing, head, &entries, legend_left.min(WIDTH), 76.0);
    notes::add_other_tokens(&mut drawing, &others);
    Some(Chart { file: "learning_curves", title: title.into(), drawing })
}

/// Time and perplexity of the usable points, in order of time.
fn points(record: &RunRecord) -> Vec<(f64, f64)> {
    let mut points: Vec<_> = record
        .curve
        .iter()
        .map(|point| (point.train_seconds, point.valid_nll.exp()))
        .filter(|(time, value)| time.is_finite() && value.is_finite() && *value > 0.0)
        .collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points
}

fn draw_series(drawing: &mut Drawing, frame: &Frame, series: &Series) {
    let Style { ink, marker, dashes } = series.style;
    let several = series.seeds.len() > 1;
    if several {
        for seed in &series.seeds {
            for piece in visible(seed, frame) {
                drawing.line(piece, ink.fade(0.4), 1.1);
            }
        }
    }
    for broken in &series.broken {
        for piece in visible(broken, frame) {
            drawing.line(piece, ink.fade(0.4), 1.1);
        }
    }
    for piece in visible(&series.mean, frame) {
        drawing.dashed(&piece, dashes, ink, 2.4);
    }
    let shown: Vec<At> = series
        .mean
        .iter()
        .map(|&point| frame.at(point))
        .filter(|at| at.1 >= frame.bounds.top && at.1 <= frame.bounds.bottom)
        .collect();
    // A handful of markers tells lines apart; one on every point would hide them.
    let every = shown.len().div_ceil(6).max(1);
    for (i, &at) in shown.iter().enumerate() {
        if (shown.len() - 1 - i).is_multiple_of(every) {
            draw_marker(drawing, marker, at, 4.5, ink);
        }
    }
}

/// Marks where runs broke, over everything else.
fn draw_breaks(drawing: &mut Drawing, frame: &Frame, series: &Series) {
    for &point in series.broken.iter().filter_map(|curve| curve.last()) {
        let (x, y) = frame.at(point);
        draw_marker(drawing, Marker::Cross, (x, y.max(frame.bounds.top)), 5.5, series.style.ink);
    }
}

/// The parts of a curve below the upper border, cut where they cross it.
fn visible(curve: &[(f64, f64)], frame: &Frame) -> Vec<Vec<At>> {
    let top = frame.bounds.top;
    let mut pieces: Vec<Vec<At>> = vec![Vec::new()];
    let mut before: Option<At> = None;
    for at in curve.iter().map(|&point| frame.at(point)) {
        if let Some(from) = before
            && (from.1 < top) != (at.1 < top)
        {
            let share = (top - from.1) / (at.1 - from.1);
            let cut = (from.0 + share * (at.0 - from.0), top);
            if let Some(piece) = pieces.last_mut() {
                piece.push(cut);
            }
            if at.1 < top {
                pieces.push(Vec::new());
            }
        }
        if at.1 >= top
            && let Some(piece) = pieces.last_mut()
        {
            piece.push(at);
        }
        before = Some(at);
    }
    pieces
}
