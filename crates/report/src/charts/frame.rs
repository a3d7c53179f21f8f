//! The rectangle that data is drawn in, with its axes.

use super::axis::Axis;
use super::drawing::{Align, At, Bounds, Drawing, GRID, Ink, MEDIUM, MUTED, SMALL, TEXT};
use super::font::text_width;

/// Fine grid lines.
const MINOR: Ink = Ink::new(0xef, 0xef, 0xef);
/// Shortest distance between the middles of tick labels above one another.
const LABEL_HEIGHT: f64 = 20.0;

/// Shortest distance between tick labels beside one another.
const LABEL_SPACE: f64 = 10.0;

/// The ticks whose labels have room, the round ones first; `room` gives the middle of a label and
/// half its extent.
fn labelled(axis: &Axis, room: impl Fn(f64) -> (f64, f64)) -> Vec<f64> {
    let mut ticks = axis.ticks.clone();
    ticks.sort_by_key(|&tick| axis.roundness(tick));
    let mut kept: Vec<f64> = Vec::new();
    for tick in ticks {
        let (at, half) = room(tick);
        let free = |&other: &f64| {
            let (others, others_half) = room(other);
            (at - others).abs() >= half + others_half
        };
        if kept.iter().all(free) {
            kept.push(tick);
        }
    }
    kept
}

/// A plot area with two axes.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The rectangle of the data.
    pub bounds: Bounds,
    /// Axis from left to right.
    pub x: Axis,
    /// Axis from bottom to top.
    pub y: Axis,
}

impl Frame {
    /// Horizontal place of a value.
    pub fn x(&self, value: f64) -> f64 {
        self.bounds.left + self.x.fraction(value) * (self.bounds.right - self.bounds.left)
    }

    /// Vertical place of a value.
    pub fn y(&self, value: f64) -> f64 {
        self.bounds.bottom - self.y.fraction(value) * (self.bounds.bottom - self.bounds.top)
    }

    /// Place of a pair of values.
    pub fn at(&self, (x, y): (f64, f64)) -> At {
        (self.x(x), self.y(y))
    }

    /// Width that the labels and the title of a vertical axis take to the left of the data.
    pub fn left_margin(y: &Axis) -> f64 {
        let widest = y.ticks.iter().map(|&tick| text_width(&y.label(tick), SMALL)).fold(0.0, f64::max);
        20.0 + MEDIUM + 12.0 + widest + 8.0
    }

    /// Draws grid, ticks, labels and titles of both axes.
    pub fn draw(&self, drawing: &mut Drawing, x_title: &str, y_title: &str) {
        self.draw_y(drawing, y_title);
        self.draw_x(drawing, x_title);
    }

    /// Draws the vertical axis and its grid lines.
    pub fn draw_y(&self, drawing: &mut Drawing, title: &str) {
        let Bounds { left, top, right, bottom } = self.bounds;
        for &tick in &self.y.minor {
            drawing.line(vec![(left, self.y(tick)), (right, self.y(tick))], MINOR, 0.8);
        }
        for &tick in &self.y.ticks {
            drawing.line(vec![(left, self.y(tick)), (right, self.y(tick))], GRID, 1.0);
        }
        for tick in labelled(&self.y, |tick| (self.y(tick), 0.5 * LABEL_HEIGHT)) {
            drawing.text((left - 8.0, self.y(tick)), &self.y.label(tick), SMALL, TEXT, Align::End);
        }
        drawing.line(vec![(left, top), (left, bottom)], MUTED, 1.2);
        drawing.text_upwards((20.0 + 0.5 * MEDIUM, 0.5 * (top + bottom)), title, MEDIUM, TEXT);
    }

    /// Draws the horizontal axis and its grid lines.
    pub fn draw_x(&self, drawing: &mut Drawing, title: &str) {
        let Bounds { left, top, right, bottom } = self.bounds;
        for &tick in &self.x.minor {
            drawing.line(vec![(self.x(tick), top), (self.x(tick), bottom)], MINOR, 0.8);
        }
        for &tick in &self.x.ticks {
            drawing.line(vec![(self.x(tick), top), (self.x(tick), bottom)], GRID, 1.0);
        }
        let half = |tick: f64| 0.5 * (text_width(&self.x.label(tick), SMALL) + LABEL_SPACE);
        for tick in labelled(&self.x, |tick| (self.x(tick), half(tick))) {
            drawing.text((self.x(tick), bottom + 17.0), &self.x.label(tick), SMALL, TEXT, Align::Middle);
        }
        drawing.line(vec![(left, bottom), (right, bottom)], MUTED, 1.2);
        drawing.text((0.5 * (left + right), bottom + 45.0), title, MEDIUM, TEXT, Align::Middle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::charts::drawing::Shape;

    #[test]
    fn where_labels_have_no_room_the_round_ones_stay() {
        let bounds = Bounds { left: 100.0, top: 50.0, right: 290.0, bottom: 150.0 };
        let frame = Frame { bounds, x: Axis::log([150.0, 900.0]), y: Axis::log([1500.0, 9000.0]) };
        let mut drawing = Drawing { height: 300.0, shapes: Vec::new() };
        frame.draw(&mut drawing, "", "");
        let has = |label: &str| {
            drawing.shapes.iter().any(|shape| matches!(shape, Shape::Text { text, .. } if text == label))
        };
        for label in ["200", "500", "2,000", "5,000"] {
            assert!(has(label), "{label}");
        }
        assert!(!has("600") && !has("6,000"), "no room");
    }
}
