//! Places names beside points so that they cover neither each other nor the points, and no line
//! runs through them.

use super::drawing::{Align, At, Bounds, Ink, MUTED, SMALL};
use super::font::{text_bounds, text_width};

/// Colour of the lines from names to their points.
pub const LEADER: Ink = MUTED.fade(0.6);
/// Distance from a point to the name beside it.
const NEAR: f64 = 13.0;
/// Between one ring of places around a point and the next.
const RING: f64 = 15.0;
/// Distance from a point to the start of its leader, at the rim of the marker.
const RIM: f64 = 9.0;

/// Place of a name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlacedLabel {
    /// Anchor of the text.
    pub at: At,
    /// Part of the text at the anchor.
    pub align: Align,
    /// The rectangle of the text.
    pub bounds: Bounds,
    /// A line between the point and the text, where the text does not stand right beside it.
    pub leader: Option<(At, At)>,
}

/// Obstacles that names keep away from, besides points and one another.
#[derive(Debug, Clone, Copy)]
pub struct Obstacles<'a> {
    /// Lines that must not run through a name.
    pub lines: &'a [(At, At)],
    /// Rectangles that a name had better not cover.
    pub soft: &'a [Bounds],
}

/// Places `names` beside `points` within `inside`: each in turn at its best place among those
/// placed before, then again among all the others, until none moves.
pub fn place(points: &[At], names: &[&str], inside: Bounds, obstacles: Obstacles<'_>) -> Vec<PlacedLabel> {
    let markers: Vec<Bounds> = points.iter().map(|&point| Bounds::around(point, 8.0, 8.0)).collect();
    // The places of each name, with the part of their price that does not depend on the other
    // names.
    let places: Vec<Vec<(f64, PlacedLabel)>> = points
        .iter()
        .zip(names)
        .enumerate()
        .map(|(i, (&point, name))| {
            let all = around(point, name);
            let mut places: Vec<(f64, PlacedLabel)> = all
                .iter()
                .filter(|(_, placed)| inside.contains(&placed.bounds))
                .map(|(price, placed)| (price + ground(i, placed, &markers, obstacles), *placed))
                .collect();
            if places.is_empty() {
                places.extend(all.first());
            }
            places
        })
        .collect();
    let mut placed: Vec<PlacedLabel> = Vec::new();
    for round in 0..8 {
        let before = placed.clone();
        for (i, places) in places.iter().enumerate() {
            let others: Vec<PlacedLabel> =
                placed.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, placed)| *placed).collect();
            let total = |(price, place): &(f64, PlacedLabel)| {
                price + others.iter().map(|other| between(place, other)).sum::<f64>()
            };
            let best = places.iter().min_by(|a, b| total(a).total_cmp(&total(b)));
            match (best, round) {
                (Some((_, best)), 0) => placed.push(*best),
                (Some((_, best)), _) => placed[i] = *best,
                (None, _) => {}
            }
        }
        if placed == before {
            break;
        }
    }
    placed
}

/// The places around a point with what their distance and direction cost, the dearest last: to the
/// right, then the left, reads best.
fn around(point: At, name: &str) -> Vec<(f64, PlacedLabel)> {
    const DIRECTIONS: [f64; 16] =
        [0.0, 8.0, 14.0, 8.0, 10.0, 9.0, 15.0, 9.0, 3.0, 9.0, 15.0, 9.0, 10.0, 8.0, 14.0, 8.0];
    let width = text_width(name, SMALL);
    let mut places = Vec::new();
    for ring in 0..12 {
        let distance = NEAR + RING * f64::from(ring);
        for (direction, price) in DIRECTIONS.iter().enumerate() {
            let place = candidate(point, name, width, distance, direction as f64, ring > 0);
            places.push((price + 6.0 * distance, place));
        }
    }
    places
}

/// Cost of a place whatever the other names do.
fn ground(own: usize, place: &PlacedLabel, markers: &[Bounds], obstacles: Obstacles<'_>) -> f64 {
    let over = |others: &[Bounds]| -> f64 { others.iter().map(|other| place.bounds.overlap(other)).sum() };
    let through: f64 = obstacles.lines.iter().map(|line| within(*line, &place.bounds)).sum();
    let mut price = 100.0 * over(markers) + 1.2 * over(obstacles.soft) + 200.0 * through;
    if let Some(leader) = place.leader {
        let hit = |marker: &Bounds| within(leader, marker) > 0.0;
        price += 4000.0
            * markers.iter().enumerate().filter(|(i, marker)| *i != own && hit(marker)).count() as f64
            + 150.0 * obstacles.lines.iter().filter(|line| meet(leader, **line)).count() as f64;
    }
    price
}

/// Cost of two names together.
fn between(a: &PlacedLabel, b: &PlacedLabel) -> f64 {
    let through = |line: Option<(At, At)>, name: &PlacedLabel| {
        let runs = line.is_some_and(|line| within(line, &name.bounds) > 0.0);
        if runs { 20_000.0 } else { 0.0 }
    };
    let leaders = matches!((a.leader, b.leader), (Some(a), Some(b)) if meet(a, b));
    1000.0 * a.bounds.overlap(&b.bounds)
        + through(a.leader, b)
        + through(b.leader, a)
        + if leaders { 2000.0 } else { 0.0 }
}

fn candidate(point: At, name: &str, width: f64, distance: f64, direction: f64, leader: bool) -> PlacedLabel {
    let angle = direction * std::f64::consts::PI / 8.0;
    let (dx, dy) = (angle.cos(), angle.sin());
    let align = match dx {
        dx if dx > 0.3 => Align::Start,
        dx if dx < -0.3 => Align::End,
        _ => Align::Middle,
    };
    // Above and below, a text needs its own half height as distance as well.
    let at = (point.0 + dx * distance, point.1 + dy * (distance + 0.45 * SMALL * dy.abs()));
    let mut bounds = text_bounds(at, name, SMALL, align, false);
    bounds.right = bounds.left + width + 1.0;
    let end = match align {
        Align::Start => (at.0 - 2.0, at.1),
        Align::End => (at.0 + 2.0, at.1),
        Align::Middle => (at.0, at.1 - dy.signum() * 0.72 * SMALL),
    };
    let length = (end.0 - point.0).hypot(end.1 - point.1).max(RIM);
    let rim = |from: f64, to: f64| from + (to - from) * RIM / length;
    let start = (rim(point.0, end.0), rim(point.1, end.1));
    PlacedLabel { at, align, bounds, leader: leader.then_some((start, end)) }
}

/// Length of the part of a line that lies in a rectangle (after Liang and Barsky).
pub fn within((from, to): (At, At), bounds: &Bounds) -> f64 {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let (mut start, mut end) = (0.0_f64, 1.0_f64);
    for (step, room) in [
        (-dx, from.0 - bounds.left),
        (dx, bounds.right - from.0),
        (-dy, from.1 - bounds.top),
        (dy, bounds.bottom - from.1),
    ] {
        if step == 0.0 {
            if room < 0.0 {
                return 0.0;
            }
        } else if step < 0.0 {
            start = start.max(room / step);
        } else {
            end = end.min(room / step);
        }
    }
    (end - start).max(0.0) * dx.hypot(dy)
}

/// Whether two lines cross.
fn meet(a: (At, At), b: (At, At)) -> bool {
    let side = |line: (At, At), at: At| {
        (line.1.0 - line.0.0) * (at.1 - line.0.1) - (line.1.1 - line.0.1) * (at.0 - line.0.0)
    };
    side(a, b.0) * side(a, b.1) < 0.0 && side(b, a.0) * side(b, a.1) < 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const FREE: Obstacles<'_> = Obstacles { lines: &[], soft: &[] };

    #[test]
    fn no_leader_and_no_line_runs_through_a_name() {
        // Long names over a cluster below a line, as the points of a quick experiment lie.
        let inside = Bounds { left: 100.0, top: 80.0, right: 800.0, bottom: 570.0 };
        let points = [
            (720.0, 500.0),
            (680.0, 516.0),
            (662.0, 486.0),
            (657.0, 505.0),
            (637.0, 473.0),
            (574.0, 451.0),
            (699.0, 415.0),
        ];
        let names = [
            "huffman",
            "negative sampling",
            "sampled softmax samples=512",
            "nce",
            "adaptive",
            "two-level",
            "sampled softmax samples=64",
        ];
        let lines = [
            ((100.0, 516.0), (680.0, 516.0)),
            ((680.0, 516.0), (680.0, 500.0)),
            ((680.0, 500.0), (720.0, 500.0)),
            ((720.0, 500.0), (720.0, 80.0)),
        ];
        let placed = place(&points, &names, inside, Obstacles { lines: &lines, soft: &[] });
        for (name, place) in names.iter().zip(&placed) {
            for line in placed.iter().filter_map(|other| other.leader).chain(lines) {
                assert_eq!(within(line, &place.bounds), 0.0, "{name}: {line:?}");
            }
        }
    }

    #[test]
    fn lines_are_measured_within_rectangles() {
        let bounds = Bounds { left: 0.0, top: 0.0, right: 10.0, bottom: 4.0 };
        let cases = [
            (((-5.0, 2.0), (15.0, 2.0)), 10.0),
            (((2.0, 1.0), (5.0, 1.0)), 3.0),
            (((3.0, -9.0), (3.0, 2.0)), 2.0),
            (((-1.0, 3.0), (2.0, 6.0)), 0.0),
            (((0.0, 5.0), (10.0, 5.0)), 0.0),
            (((-3.0, -4.0), (3.0, 4.0)), 5.0),
        ];
        for (line, expected) in cases {
            assert!((within(line, &bounds) - expected).abs() < 1e-9, "{line:?}");
        }
        assert!(meet(((0.0, 0.0), (4.0, 4.0)), ((0.0, 4.0), (4.0, 0.0))));
        assert!(!meet(((0.0, 0.0), (4.0, 4.0)), ((5.0, 4.0), (9.0, 0.0))));
    }

    #[test]
    fn a_dense_cluster_of_names_does_not_overlap() {
        let inside = Bounds { left: 0.0, top: 0.0, right: 800.0, bottom: 450.0 };
        let points: Vec<At> =
            (0..14).map(|i| (400.0 + 17.0 * f64::from(i % 4), 200.0 + 13.0 * f64::from(i / 4))).collect();
        let names: Vec<String> = (0..14).map(|i| format!("sampled S={}", 64 << (i % 5))).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let placed = place(&points, &names, inside, FREE);
        for (i, a) in placed.iter().enumerate() {
            assert!(inside.contains(&a.bounds), "{a:?}");
            for b in &placed[..i] {
                assert_eq!(a.bounds.overlap(&b.bounds), 0.0, "{a:?} {b:?}");
            }
            for point in &points {
                assert_eq!(a.bounds.overlap(&Bounds::around(*point, 5.0, 5.0)), 0.0, "{a:?} on {point:?}");
            }
        }
    }

    #[test]
    fn lone_point_is_named_at_its_right_or_at_the_border_left() {
        let inside = Bounds { left: 0.0, top: 0.0, right: 800.0, bottom: 450.0 };
        let placed = place(&[(300.0, 200.0), (790.0, 100.0)], &["full", "mixture"], inside, FREE);
        assert_eq!((placed[0].align, placed[0].leader), (Align::Start, None));
        assert_eq!((placed[1].align, placed[1].leader), (Align::End, None));
        assert!(placed[0].bounds.left > 305.0 && placed[1].bounds.right < 785.0);
    }
}
