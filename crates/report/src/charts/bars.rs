//! Horizontal bars, one an output: peak memory, and time in the output layer. Where the values are
//! so far apart that the shorter bars would be lines, dots on a logarithmic axis take their place.

use super::Chart;
use super::axis::Axis;
use super::drawing::{Align, Bounds, Drawing, GRID, MUTED, PAPER, SMALL, TEXT, WIDTH};
use super::font::text_width;
use super::frame::Frame;
use super::legend;
use super::notes;
use super::palette::{Style, draw_marker};
use super::whisker::{self, Along, Pen};
use crate::columns::{Column, LAYER_MS, LAYER_PARAMETERS, MEMORY, MeanFormat};
use crate::format::{significant, whole};
use crate::stats::Estimate;
use crate::summary::{Figures, Summary};

const BAR: f64 = 30.0;
/// Bars become dots where the largest value is more than this many times the least.
const DOTS_FROM: f64 = 30.0;
/// Peak memory of the process; `None` where no run finished.
pub fn memory(summary: &Summary, styles: &[Style]) -> Option<Chart> {
    bars(
        summary,
        styles,
        &Bars {
            file: "memory",
            title: "Peak memory",
            explanation: "Memory of the whole run's own at its highest, the files that it reads left out.",
            column: &MEMORY,
            text: &|value, _| format!("{} MiB", whole(value.mean)),
        },
    )
}

/// Time in the output layer per training step; `None` where no run finished.
pub fn layer_time(summary: &Summary, styles: &[Style]) -> Option<Chart> {
    bars(
        summary,
        styles,
        &Bars {
            file: "layer_time",
            title: "Time in the output layer",
            explanation: "Loss and gradients of one step; beside it, the layer's parameters.",
            column: &LAYER_MS,
            text: &|value, figures| {
                let parameters = LAYER_PARAMETERS.words(figures.of(&LAYER_PARAMETERS), MeanFormat::Digits(2));
                format!("{} ms, {parameters} M", significant(value.mean, 3))
            },
        },
    )
}

struct Bars<'a> {
    file: &'static str,
    title: &'a str,
    explanation: &'a str,
    column: &'a Column,
    /// Text beside a bar, from its value in the unit of the axis.
    text: &'a dyn Fn(&Estimate, &Figures) -> String,
}

fn bars(summary: &Summary, styles: &[Style], what: &Bars) -> Option<Chart> {
    let mut rows: Vec<(String, Style, Estimate, String)> = summary
        .outputs
        .iter()
        .zip(styles)
        .filter_map(|(output, &style)| {
            let figures = output.figures.as_ref()?;
            let value = what.column.shown(figures.of(what.column)?);
            let name = legend::fit(&output.name, 290.0);
            value.mean.is_finite().then(|| (name, style, value, (what.text)(&value, figures)))
        })
        .collect();
    if rows.is_empty() {
        return None;
    }
    let named = |is: &dyn Fn(&Figures) -> bool| -> Vec<&str> {
        let outputs = summary.outputs.iter().filter(|output| output.figures.as_ref().is_some_and(is));
        outputs.map(|output| output.name.as_str()).collect()
    };
    let lacking = named(&|figures| figures.of(what.column).is_none());
    let missing = named(&|figures| figures.of(what.column).is_some_and(|value| !value.mean.is_finite()));
    rows.sort_by(|a, b| a.2.mean.total_cmp(&b.2.mean).then_with(|| a.0.cmp(&b.0)));
    let several = rows.iter().any(|row| row.2.half_width.is_some());
    let high = rows.iter().map(|row| row.2.mean).fold(0.0, f64::max);
    let low = rows.iter().map(|row| row.2.mean).filter(|mean| *mean > 0.0).fold(f64::INFINITY, f64::min);
    let dots = high > DOTS_FROM * low;
    let x = if dots {
        whisker::log_axis(&rows.iter().map(|row| row.2).collect::<Vec<_>>(), 0.1)
    } else {
        // A wild interval is cut at the border: it must not squeeze the bars.
        Axis::linear(rows.iter().map(|row| row.2.ends().1.min(1.25 * high)), true)
    };
    let names = rows.iter().map(|row| text_width(&row.0, SMALL)).fold(0.0, f64::max);
    let texts = rows.iter().map(|row| text_width(&row.3, SMALL)).fold(0.0, f64::max);
    let bounds = Bounds {
        left: 20.0 + names + 12.0,
        top: 76.0,
        right: WIDTH - 20.0 - texts - 12.0,
        bottom: 76.0 + BAR * rows.len() as f64 + 8.0,
    };
    let mut explanation = String::from(what.explanation);
    if several {
        explanation.push_str(" Whiskers: 95 % interval.");
    }
    explanation.push_str(" Colours: family.");
    let mut drawing = Drawing::new(bounds.bottom + 70.0, what.title, &explanation);
    let frame = Frame { bounds, x, y: Axis::linear([0.0, 1.0], true) };
    let scale = if dots { ", log scale" } else { "" };
    frame.draw_x(&mut drawing, &format!("{}{scale}", what.column.axis()));
    let mut cut = false;
    for (i, (name, style, value, text)) in rows.iter().enumerate() {
        let y = bounds.top + BAR * (i as f64 + 0.5) + 4.0;
        if dots {
            // The eye needs a line from the name to the dot; its length means nothing, so it goes
            // on to the figures.
            drawing.line(vec![(bounds.left, y), (bounds.right, y)], GRID, 1.0);
        } else {
            // A bar of nothing is still a line to be seen.
            let end = frame.x(value.mean).max(bounds.left + 1.5);
            let bar = Bounds { left: bounds.left, top: y - 9.0, right: end, bottom: y + 9.0 };
            // On white, so that no grid line shows through.
            drawing.rectangle(bar, PAPER);
            drawing.rectangle(bar, style.ink.fade(0.7));
        }
        if value.half_width.is_some() {
            let pen = match dots {
                true => Pen { ink: style.ink, width: 1.8, halo: false },
                false => Pen { ink: TEXT, width: 1.6, halo: true },
            };
            cut |= whisker::draw(&mut drawing, &frame, Along::X, y, value.ends(), pen).cut;
        }
        if dots {
            draw_marker(&mut drawing, style.marker, (frame.x(value.mean), y), 6.0, style.ink);
        }
        drawing.text((bounds.left - 10.0, y), name, SMALL, TEXT, Align::End);
        drawing.text((bounds.right + 10.0, y), text, SMALL, TEXT, Align::Start);
    }
    drawing.line(vec![(bounds.left, bounds.top), (bounds.left, bounds.bottom)], MUTED, 1.2);
    if cut {
        notes::add(&mut drawing, notes::CUT);
    }
    notes::add_not_finite(&mut drawing, &missing);
    notes::add_not_measured(&mut drawing, &lacking);
    Some(Chart { file: what.file, title: what.title.into(), drawing })
}
