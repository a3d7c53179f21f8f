//! The trade-off: exact test perplexity against training throughput, with the Pareto front.

use super::Chart;
use super::axis::Axis;
use super::drawing::{Align, At, Bounds, Drawing, Ink, MUTED, PAPER, SMALL, TEXT, WIDTH};
use super::font::text_width;
use super::frame::Frame;
use super::labels::{self, Obstacles};
use super::legend::{self, Entry, Swatch};
use super::notes;
use super::palette::{Style, draw_marker, draw_open_marker};
use super::whisker::{self, Along, Pen};
use crate::columns::{PERPLEXITY, SPEED};
use crate::stats::Estimate;
use crate::summary::{Figures, Summary};

pub const FRONT: Ink = Ink::new(0x8a, 0x8a, 0x8a);
const FADED: f64 = 0.38;
const RADIUS: f64 = 6.5;
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
            let figures = output.figures.as_ref().filter(|_| summary.is_ranked(output))?;
            let (speed, perplexity) = (figures.of(&SPEED)?, figures.of(&PERPLEXITY)?);
            (speed.mean.is_finite() && perplexity.mean.is_finite()).then(|| Candidate {
                // A logarithmic axis has no place for zero; the point stands at its end and says
                // so.
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
    let drawn = |f: &Figures| f.mean(&SPEED).is_finite() && f.mean(&PERPLEXITY).is_finite();
    let ranked = summary.outputs.iter().filter(|output| summary.is_ranked(output));
    let left_out = ranked.filter(|output| output.figures.as_ref().is_some_and(|f| !drawn(f)));
    let missing: Vec<&str> = left_out.map(|output| output.name.as_str()).collect();
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
        &format!("{}, log scale", SPEED.axis()),
        &format!("exact {}, log scale", PERPLEXITY.axis()),
    );
    let front = draw_front(&mut drawing, &frame, &candidates);
    let (soft, cut) = draw_intervals(&mut drawing, &frame, &candidates);
    let points: Vec<At> = candidates.iter().map(|c| frame.at((c.speed.mean, c.perplexity.mean))).collect();
    let names: Vec<&str> = candidates.iter().map(|c| c.label.as_str()).collect();
    let placed = labels::place(&points, &names, bounds, Obstacles { lines: &front, soft: &soft });
    for label in &placed {
        // Grid and intervals shine through under a name without disturbing it.
        drawing.rectangle(label.bounds, PAPER.fade(0.75));
    }
    for (start, end) in placed.iter().filter_map(|label| label.leader) {
        drawing.line(vec![start, end], labels::LEADER, 0.8);
    }
    let mut open = false;
    for (i, (candidate, &point)) in candidates.iter().zip(&points).enumerate().rev() {
        let ink = if candidate.on_front { candidate.style.ink } else { candidate.style.ink.fade(FADED) };
        // Those after it in the list lie below.
        let covers = points[i + 1..].iter().any(|p| (p.0 - point.0).hypot(p.1 - point.1) < 1.5 * RADIUS);
        if covers {
            // Larger, so that what it lies over is within.
            draw_open_marker(&mut drawing, candidate.style.marker, point, RADIUS + 3.0, ink);
        } else {
            draw_marker(&mut drawing, candidate.style.marker, point, RADIUS, ink);
        }
        open |= covers;
    }
    for (label, candidate) in placed.iter().zip(&candidates) {
        let ink = if candidate.on_front { TEXT } else { MUTED };
        drawing.text(label.at, &candidate.label, SMALL, ink, label.align);
    }
    let legend = legend::draw(&mut drawing, "Family", &entries, legend_left, 76.0);
    draw_better(&mut drawing, legend.left, legend.bottom + 24.0);
    let notes = [(open, "An open marker lies over another."), (cut, notes::CUT)];
    notes::add(&mut drawing, &notes.map(|(said, note)| if said { note } else { "" }).join(" "));
    notes::add_not_finite(&mut drawing, &missing);
    notes::add_other_tokens(&mut drawing, &summary.unranked());
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
        let axis = whisker::log_axis(&candidates.iter().map(of).collect::<Vec<_>>(), 0.3);
        // A margin inside the frame for markers at the border.
        let (low, high) = axis.ends();
        let margin = (high / low).powf(0.03);
        Axis::log([low / margin, high * margin])
    };
    (axis(|c| c.speed), axis(|c| c.perplexity))
}

/// Draws the front as the border of what is dominated, and returns its parts.
fn draw_front(drawing: &mut Drawing, frame: &Frame, candidates: &[Candidate]) -> Vec<(At, At)> {
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
    let parts = line.windows(2).map(|pair| (pair[0], pair[1])).collect();
    drawing.line(line, FRONT, 2.0);
    parts
}

/// Draws the intervals, cut at the frame; returns the rectangles that they take, and whether one
/// was cut.
fn draw_intervals(drawing: &mut Drawing, frame: &Frame, candidates: &[Candidate]) -> (Vec<Bounds>, bool) {
    let mut taken = Vec::new();
    let mut cut = false;
    for candidate in candidates {
        let ink = candidate.style.ink.fade(if candidate.on_front { 0.75 } else { 0.3 });
        let pen = Pen { ink, width: 1.4, halo: false };
        let (x, y) = frame.at((candidate.speed.mean, candidate.perplexity.mean));
        for (along, across, of) in [(Along::X, y, candidate.speed), (Along::Y, x, candidate.perplexity)] {
            if of.half_width.is_some() {
                let drawn = whisker::draw(drawing, frame, along, across, of.ends(), pen);
                taken.push(drawn.bounds);
                cut |= drawn.cut;
            }
        }
    }
    (taken, cut)
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
