//! The rectangle that data is drawn in, with its axes.

use super::axis::Axis;
use super::drawing::{Align, At, Bounds, Drawing, GRID, Ink, MEDIUM, MUTED, SMALL, TEXT};
use super::render::text_width;

/// Fine grid lines.
const MINOR: Ink = Ink::new(0xef, 0xef, 0xef);
/// Shortest distance between the middles of tick labels above one another.
const LABEL_HEIGHT: f64 = 20.0;

/// A plot area with two axes.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The rectangle of the data.
    pub bounds: Bounds,
    /// From left to right.
    pub x: Axis,
    /// From bottom to top.
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

    /// Room that the labels and the title of a vertical axis take to the left of the data.
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
        let mut last = f64::INFINITY;
        for &tick in &self.y.ticks {
            let y = self.y(tick);
            drawing.line(vec![(left, y), (right, y)], GRID, 1.0);
            if last - y >= LABEL_HEIGHT {
                drawing.text((left - 8.0, y), &self.y.label(tick), SMALL, TEXT, Align::End);
                last = y;
            }
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
        let mut last = f64::NEG_INFINITY;
        for &tick in &self.x.ticks {
            let (x, label) = (self.x(tick), self.x.label(tick));
            drawing.line(vec![(x, top), (x, bottom)], GRID, 1.0);
            let half = 0.5 * text_width(&label, SMALL);
            if x - half >= last + 10.0 {
                drawing.text((x, bottom + 17.0), &label, SMALL, TEXT, Align::Middle);
                last = x + half;
            }
        }
        drawing.line(vec![(left, bottom), (right, bottom)], MUTED, 1.2);
        drawing.text((0.5 * (left + right), bottom + 45.0), title, MEDIUM, TEXT, Align::Middle);
    }
}
