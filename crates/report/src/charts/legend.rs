//! Legends, to the right of the data and outside of it.

use super::drawing::{Align, Bounds, Drawing, Ink, MUTED, SMALL, TEXT, WIDTH};
use super::font::text_width;
use super::palette::{Style, draw_marker};

/// Height of one line of a legend.
pub const LINE: f64 = 24.0;
/// Widest text of an entry; longer ones lose their middle.
const WIDEST: f64 = 290.0;
const SWATCH: f64 = 40.0;

/// One entry.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Text of the entry.
    pub text: String,
    /// Symbol of the entry.
    pub swatch: Swatch,
}

/// Symbol beside the text of an entry.
#[derive(Debug, Clone, Copy)]
pub enum Swatch {
    /// A line with a marker on it.
    Line(Style),
    /// A marker.
    Marker(Style),
    /// A filled rectangle.
    Fill(Ink),
    /// A vertical bar with ends, as for intervals.
    Interval(Ink),
    /// A plain line.
    Stroke(Ink),
}

/// Left side of a legend with these entries under a head, so that it ends at the right border.
pub fn left(head: &str, entries: &[Entry]) -> f64 {
    let widest = entries.iter().map(|entry| text_width(&fit(&entry.text, WIDEST), SMALL)).fold(0.0, f64::max);
    (WIDTH - 20.0 - SWATCH - 8.0 - widest).min(WIDTH - 20.0 - text_width(head, SMALL))
}

/// Height of a legend with its head.
pub fn height(entries: usize) -> f64 {
    LINE * (entries as f64 + 1.0)
}

/// Draws a legend and returns the rectangle that it takes.
pub fn draw(drawing: &mut Drawing, head: &str, entries: &[Entry], left: f64, top: f64) -> Bounds {
    let mut y = top + 0.5 * LINE;
    drawing.text((left, y), head, SMALL, MUTED, Align::Start);
    for entry in entries {
        y += LINE;
        let middle = left + 0.5 * (SWATCH - 4.0);
        match entry.swatch {
            Swatch::Line(style) => {
                drawing.dashed(&[(left, y), (left + SWATCH - 4.0, y)], style.dashes, style.ink, 2.4);
                draw_marker(drawing, style.marker, (middle, y), 4.5, style.ink);
            }
            Swatch::Marker(style) => draw_marker(drawing, style.marker, (middle, y), 5.5, style.ink),
            Swatch::Fill(ink) => drawing.rectangle(Bounds::around((middle, y), 14.0, 7.0), ink),
            Swatch::Interval(ink) => {
                drawing.line(vec![(middle, y - 9.0), (middle, y + 9.0)], ink, 1.4);
                for end in [y - 9.0, y + 9.0] {
                    drawing.line(vec![(middle - 4.0, end), (middle + 4.0, end)], ink, 1.4);
                }
            }
            Swatch::Stroke(ink) => drawing.line(vec![(left, y), (left + SWATCH - 4.0, y)], ink, 2.0),
        }
        let text = fit(&entry.text, WIDEST);
        drawing.text((left + SWATCH + 8.0, y), &text, SMALL, TEXT, Align::Start);
    }
    Bounds { left, top, right: WIDTH - 20.0, bottom: top + height(entries.len()) }
}

/// The text, or its start and end with an ellipsis between where it is wider than `widest`.
pub fn fit(text: &str, widest: f64) -> String {
    if text_width(text, SMALL) <= widest {
        return text.to_owned();
    }
    let characters: Vec<char> = text.chars().collect();
    let cut = |kept: usize| -> String {
        let (head, tail) = (kept.div_ceil(2), kept / 2);
        characters[..head].iter().chain(&['…']).chain(&characters[characters.len() - tail..]).collect()
    };
    let kept = (0..characters.len()).rev().find(|&kept| text_width(&cut(kept), SMALL) <= widest);
    cut(kept.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_keep_both_ends() {
        assert_eq!(fit("adaptive", 200.0), "adaptive");
        let long = "sampled with a proposal that has a very long name, S=256";
        let short = fit(long, 200.0);
        assert!(text_width(&short, SMALL) <= 200.0 && short.len() > 15, "{short}");
        assert!(short.starts_with("sampled w") && short.ends_with("S=256") && short.contains('…'), "{short}");
    }
}
