//! Intervals: a line with caps at its ends, cut at the border of the frame where it reaches
//! further.

use super::axis::Axis;
use super::drawing::{At, Bounds, Drawing, Ink, PAPER};
use super::frame::Frame;
use crate::stats::Estimate;

/// Half the length of a cap.
const CAP: f64 = 4.0;
/// Length of the arrow at the end of a cut interval.
const ARROW: f64 = 8.0;

/// The axis that an interval lies along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Along {
    /// Whisker from left to right.
    X,
    /// Whisker from bottom to top.
    Y,
}

/// Style of an interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pen {
    /// Colour.
    pub ink: Ink,
    /// Stroke width.
    pub width: f64,
    /// Whether a white line lies under it, against a dark ground.
    pub halo: bool,
}

/// Extent of a drawn interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drawn {
    /// The rectangle that it takes.
    pub bounds: Bounds,
    /// Whether an end lies outside of the frame.
    pub cut: bool,
}

/// Draws the interval between two values, at the place `across` on the other axis. An end within
/// the axis has a cap, one beyond it an arrow at the border; zero and less are beyond a logarithmic
/// axis.
pub fn draw(
    drawing: &mut Drawing,
    frame: &Frame,
    along: Along,
    across: f64,
    ends: (f64, f64),
    pen: Pen,
) -> Drawn {
    let Bounds { left, top, right, bottom } = frame.bounds;
    let (axis, borders) = match along {
        Along::X => (&frame.x, (left, right)),
        Along::Y => (&frame.y, (bottom, top)),
    };
    let at = |place: f64, aside: f64| match along {
        Along::X => (place, across + aside),
        Along::Y => (across + aside, place),
    };
    // Where an end is drawn, and the direction out of the frame where it is cut.
    let outwards = (borders.1 - borders.0).signum();
    let end = |value: f64| match axis.ends() {
        (low, _) if value < low => (borders.0, Some(-outwards)),
        (_, high) if value > high => (borders.1, Some(outwards)),
        _ if along == Along::X => (frame.x(value), None),
        _ => (frame.y(value), None),
    };
    let ends = [end(ends.0), end(ends.1)];
    let mut lines: Vec<Vec<At>> = vec![vec![at(ends[0].0, 0.0), at(ends[1].0, 0.0)]];
    let mut arrows: Vec<Vec<At>> = Vec::new();
    for (place, cut) in ends {
        match cut {
            None => lines.push(vec![at(place, -CAP), at(place, CAP)]),
            Some(direction) => {
                let base = place - direction * ARROW;
                arrows.push(vec![at(place, 0.0), at(base, -CAP), at(base, CAP)]);
            }
        }
    }
    if pen.halo {
        for line in &lines {
            drawing.line(lengthened(line, 1.3), PAPER, pen.width + 2.6);
        }
    }
    for line in lines {
        drawing.line(line, pen.ink, pen.width);
    }
    for arrow in arrows {
        drawing.area(arrow, pen.ink);
    }
    let (from, to) = (at(ends[0].0, -CAP), at(ends[1].0, CAP));
    let bounds = Bounds {
        left: from.0.min(to.0),
        top: from.1.min(to.1),
        right: from.0.max(to.0),
        bottom: from.1.max(to.1),
    };
    Drawn { bounds, cut: ends.iter().any(|end| end.1.is_some()) }
}

/// A straight line, longer at both ends.
fn lengthened(line: &[At], by: f64) -> Vec<At> {
    let [from, to] = line else { return line.to_vec() };
    let length = (to.0 - from.0).hypot(to.1 - from.1).max(1e-9);
    let (dx, dy) = (by * (to.0 - from.0) / length, by * (to.1 - from.1) / length);
    vec![(from.0 - dx, from.1 - dy), (to.0 + dx, to.1 + dy)]
}

/// A logarithmic axis that holds the means, and their intervals as far as these do not dwarf the
/// means: to each side at most this power of the ratio of the means. With two seeds an interval is
/// 12.7 standard errors to each side; one wild pair must not squeeze the rest.
pub fn log_axis(estimates: &[Estimate], power: f64) -> Axis {
    let means = || estimates.iter().map(|e| e.mean).filter(|mean| mean.is_finite() && *mean > 0.0);
    let (low, high) = (means().fold(f64::INFINITY, f64::min), means().fold(0.0, f64::max));
    let room = (high / low).max(1.1).powf(power);
    let ends = estimates.iter().filter(|e| e.half_width.is_some()).flat_map(|e| <[f64; 2]>::from(e.ends()));
    let within = ends.filter(|_| low.is_finite()).map(|end| end.clamp(low / room, high * room));
    Axis::log(means().chain(within))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::charts::drawing::{Shape, TEXT};

    fn frame() -> Frame {
        let bounds = Bounds { left: 100.0, top: 50.0, right: 500.0, bottom: 450.0 };
        Frame { bounds, x: Axis::log([10.0, 1000.0]), y: Axis::linear([0.0, 10.0], true) }
    }

    fn drawn(along: Along, ends: (f64, f64)) -> (Vec<Vec<At>>, Vec<Vec<At>>, Drawn) {
        let mut drawing = Drawing { height: 500.0, shapes: Vec::new() };
        let pen = Pen { ink: TEXT, width: 1.4, halo: false };
        let drawn = draw(&mut drawing, &frame(), along, 200.0, ends, pen);
        let (mut lines, mut areas) = (Vec::new(), Vec::new());
        for shape in drawing.shapes {
            match shape {
                Shape::Line { points, .. } => lines.push(points),
                Shape::Area { points, .. } => areas.push(points),
                _ => {}
            }
        }
        (lines, areas, drawn)
    }

    #[test]
    fn ends_within_the_frame_have_caps() {
        let (lines, arrows, drawn) = drawn(Along::X, (20.0, 500.0));
        let (from, to) = (frame().x(20.0), frame().x(500.0));
        assert_eq!(lines[0], [(from, 200.0), (to, 200.0)]);
        assert_eq!(lines[1..], [vec![(from, 196.0), (from, 204.0)], vec![(to, 196.0), (to, 204.0)]]);
        assert!(arrows.is_empty() && !drawn.cut);
    }

    #[test]
    fn ends_beyond_the_frame_have_arrows_and_no_caps() {
        // Below zero there is no place on a logarithmic axis: its lower border is no end of the
        // interval.
        for low in [-5.0, 0.0, 1.0] {
            let (lines, arrows, drawn) = drawn(Along::X, (low, 500.0));
            assert_eq!(lines.len(), 2, "the line and one cap");
            assert_eq!(arrows, [vec![(100.0, 200.0), (108.0, 196.0), (108.0, 204.0)]]);
            assert!(drawn.cut);
        }
        let (lines, arrows, _) = drawn(Along::Y, (-3.0, f64::INFINITY));
        assert_eq!(lines, [vec![(200.0, 450.0), (200.0, 50.0)]]);
        assert_eq!(arrows[0][..2], [(200.0, 450.0), (196.0, 442.0)]);
        assert_eq!(arrows[1][..2], [(200.0, 50.0), (196.0, 58.0)]);
    }

    #[test]
    fn a_wild_interval_does_not_squeeze_the_means() {
        let of = |mean, half| Estimate { mean, half_width: Some(half), count: 2 };
        let (low, high) = log_axis(&[of(100.0, 5.0), of(400.0, 1e6)], 0.3).ends();
        assert!(low > 50.0 && low < 100.0 && high > 400.0 && high < 800.0, "{low} {high}");
        let (low, high) = log_axis(&[], 0.3).ends();
        assert!(low > 0.0 && high > low);
    }
}
