//! The trade-off: exact test perplexity against training throughput, with the Pareto front.

use super::Chart;
use super::axis::Axis;
use super::drawing::{Align, At, Bounds, Drawing, Ink, MUTED, SMALL, TEXT, WIDTH};
use super::frame::Frame;
use super::labels;
use super::legend::{self, Entry, Swatch};
use super::palette::{Style, draw_marker};
use super::render::text_width;
use crate::stats::Estimate;
use crate::summary::Summary;

const FRONT: Ink = Ink::new(0x8a, 0x8a, 0x8a);
const FADED: f64 = 0.38;
/// Room of the arrow that points to the better corner, and what it means.
const ARROW: f64 = 48.0;
const DIRECTION: &str = "(faster, lower)";

struct Candidate<'a> {
    label: String,
    family: &'a str,
    style: Style,
    on_front: bool,
    speed: Estimate,
    perplexity: Estimate,
}

/// The chart; `None` where no run finished.
pub fn chart(summary: &Summary, styles: &[Style]) -> Option<Chart> {
    let mut candidates: Vec<Candidate> = summary
        .outputs
        .iter()
        .zip(styles)
        .filter_map(|(output, &style)| {
            let figures = output.figures?;
            let (speed, perplexity) = (figures.train_tokens_per_second, figures.perplexity);
            (speed.mean.is_finite() && perplexity.mean.is_finite()).then(|| Candidate {
                // A logarithmic axis has no place for zero; the point stands at its end and says so.
                label: if speed.mean > 0.0 {
                    legend::fit(&output.name, 300.0)
                } else {
                    format!("{} (0 tokens/s)", legend::fit(&output.name, 200.0))
                },
                family: &output.family,
                style,
                on_front: output.on_front,
                speed,
                perplexity,
            })
        })
        .collect();
    if candidates.is_empty() {
        return None;
    }
    candidates.sort_by(|a, b| b.on_front.cmp(&a.on_front).then(a.speed.mean.total_cmp(&b.speed.mean)));

    let entries = entries(&candidates);
    // The words beside the arrow are wider than the entry of a short family.
    let legend_left =
        legend::left("Family", &entries).min(WIDTH - 20.0 - ARROW - text_width(DIRECTION, SMALL));
    let height = 640.0;
    let (x, y) = axes(&candidates);
    let left = Frame::left_margin(&y);
    let bounds = Bounds { left, top: 80.0, right: legend_left - 28.0, bottom: height - 70.0 };
    let frame = Frame { bounds, x, y };
    let title = "Test perplexity and training throughput";
    let explanation = match candidates.iter().any(|c| c.perplexity.half_width.is_some()) {
        true => "Means over seeds with 95 % intervals. Faded: another output is both faster and better.",
        false => "One seed, so no intervals. Faded: another output is both faster and better.",
    };
    let mut drawing = Drawing::new(height, title, explanation);
    frame.draw(
        &mut drawing,
        "training throughput, tokens per second, log scale",
        "exact test perplexity, log scale",
    );
    let front = draw_front(&mut drawing, &frame, &candidates);
    let intervals = draw_intervals(&mut drawing, &frame, &candidates);
    let points: Vec<At> = candidates.iter().map(|c| frame.at((c.speed.mean, c.perplexity.mean))).collect();
    let names: Vec<&str> = candidates.iter().map(|c| c.label.as_str()).collect();
    let soft: Vec<Bounds> = front.into_iter().chain(intervals).collect();
    let placed = labels::place(&points, &names, bounds, &soft);
    for (label, &point) in placed.iter().zip(&points) {
        if let Some(end) = label.leader {
            drawing.line(vec![point, end], MUTED.fade(0.6), 0.8);
        }
    }
    for (candidate, &point) in candidates.iter().zip(&points).rev() {
        let ink = if candidate.on_front { candidate.style.ink } else { candidate.style.ink.fade(FADED) };
        draw_marker(&mut drawing, candidate.style.marker, point, 6.5, ink);
    }
    for (label, candidate) in placed.iter().zip(&candidates) {
        let ink = if candidate.on_front { TEXT } else { MUTED };
        drawing.text(label.at, &candidate.label, SMALL, ink, label.align);
    }
    let legend = legend::draw(&mut drawing, "Family", &entries, legend_left, 76.0);
    draw_better(&mut drawing, legend.left, legend.bottom + 24.0);
    Some(Chart { file: "pareto", title: title.into(), drawing })
}

/// One entry for each family, then what lines and fading mean.
fn entries(candidates: &[Candidate]) -> Vec<Entry> {
    let mut families: Vec<(&str, Ink)> = candidates.iter().map(|c| (c.family, c.style.ink)).collect();
    families.sort_by_key(|family| family.0);
    families.dedup_by_key(|family| family.0);
    let entry = |text: &str, swatch| Entry { text: text.to_owned(), swatch };
    let mut entries: Vec<Entry> =
        families.into_iter().map(|(family, ink)| entry(family, Swatch::Fill(ink))).collect();
    entries.push(entry("Pareto front", Swatch::Stroke(FRONT)));
    if candidates.iter().any(|c| c.perplexity.half_width.is_some()) {
        entries.push(entry("95 % interval", Swatch::Interval(MUTED)));
    }
    entries
}

/// Axes that hold the points, and their intervals as far as these do not dwarf the points.
fn axes(candidates: &[Candidate]) -> (Axis, Axis) {
    let axis = |of: fn(&Candidate) -> Estimate| {
        let means = candidates.iter().map(|c| of(c).mean).filter(|mean| *mean > 0.0);
        let low = means.clone().fold(f64::INFINITY, f64::min);
        let high = means.clone().fold(0.0, f64::max);
        // With two seeds an interval is 12.7 standard errors to each side; one wild pair must not squeeze the rest.
        let room = (high / low).max(1.1).powf(0.3);
        let ends = candidates.iter().flat_map(|c| <[f64; 2]>::from(of(c).ends()));
        let within: Vec<f64> = ends.map(|end| end.clamp(low / room, high * room)).collect();
        let axis = Axis::log(means.clone().chain(if low.is_finite() { within } else { Vec::new() }));
        // A margin inside the frame for markers at the border.
        let (low, high) = axis.ends();
        let margin = (high / low).powf(0.03);
        Axis::log([low / margin, high * margin])
    };
    (axis(|c| c.speed), axis(|c| c.perplexity))
}

/// Draws the front as the border of what is dominated, and returns the rectangles that its parts take.
fn draw_front(drawing: &mut Drawing, frame: &Frame, candidates: &[Candidate]) -> Vec<Bounds> {
    let mut front: Vec<At> = candidates
        .iter()
        .filter(|c| c.on_front)
        .map(|c| frame.at((c.speed.mean, c.perplexity.mean)))
        .collect();
    // From slow and good to fast and bad; on the page, y falls as perplexity rises.
    front.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
    let (Some(&first), Some(&last)) = (front.first(), front.last()) else { return Vec::new() };
    let mut line = vec![(frame.bounds.left, first.1), first];
    for pair in front.windows(2) {
        line.extend([(pair[0].0, pair[1].1), pair[1]]);
    }
    line.push((last.0, frame.bounds.top));
    let parts = line.windows(2).map(|pair| Bounds {
        left: pair[0].0.min(pair[1].0) - 4.0,
        top: pair[0].1.min(pair[1].1) - 4.0,
        right: pair[0].0.max(pair[1].0) + 4.0,
        bottom: pair[0].1.max(pair[1].1) + 4.0,
    });
    let parts = parts.collect();
    drawing.line(line, FRONT, 2.0);
    parts
}

/// Draws the intervals, cut at the frame, and returns the rectangles that they take.
fn draw_intervals(drawing: &mut Drawing, frame: &Frame, candidates: &[Candidate]) -> Vec<Bounds> {
    let Bounds { left, top, right, bottom } = frame.bounds;
    let mut taken = Vec::new();
    for candidate in candidates {
        let ink = candidate.style.ink.fade(if candidate.on_front { 0.75 } else { 0.3 });
        let (x, y) = frame.at((candidate.speed.mean, candidate.perplexity.mean));
        if candidate.speed.half_width.is_some() {
            let (low, high) = candidate.speed.ends();
            let ends = [frame.x(low), frame.x(high)];
            let (from, to) = (ends[0].max(left), ends[1].min(right));
            drawing.line(vec![(from, y), (to, y)], ink, 1.4);
            for end in ends.into_iter().filter(|end| (left..=right).contains(end)) {
                drawing.line(vec![(end, y - 4.0), (end, y + 4.0)], ink, 1.4);
            }
            taken.push(Bounds { left: from, top: y - 4.0, right: to, bottom: y + 4.0 });
        }
        if candidate.perplexity.half_width.is_some() {
            let (low, high) = candidate.perplexity.ends();
            let ends = [frame.y(high), frame.y(low)];
            let (from, to) = (ends[0].max(top), ends[1].min(bottom));
            drawing.line(vec![(x, from), (x, to)], ink, 1.4);
            for end in ends.into_iter().filter(|end| (top..=bottom).contains(end)) {
                drawing.line(vec![(x - 4.0, end), (x + 4.0, end)], ink, 1.4);
            }
            taken.push(Bounds { left: x - 4.0, top: from, right: x + 4.0, bottom: to });
        }
    }
    taken
}

/// An arrow to the lower right, outside of the data.
fn draw_better(drawing: &mut Drawing, left: f64, top: f64) {
    let (from, to) = ((left + 4.0, top), (left + 34.0, top + 30.0));
    drawing.line(vec![from, to], TEXT, 2.2);
    drawing.area(vec![(to.0 + 4.0, to.1 + 4.0), (to.0 + 2.0, to.1 - 10.0), (to.0 - 10.0, to.1 + 2.0)], TEXT);
    let text = left + ARROW;
    drawing.text((text, top + 8.0), "better", SMALL, TEXT, Align::Start);
    drawing.text((text, top + 27.0), DIRECTION, SMALL, MUTED, Align::Start);
}
