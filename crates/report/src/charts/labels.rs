//! Places names beside points so that they cover neither each other nor the points.

use super::drawing::{Align, At, Bounds, SMALL};
use super::render::{text_bounds, text_width};

/// Where a name goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Placed {
    /// Anchor of the text.
    pub at: At,
    /// Which part of the text lies at the anchor.
    pub align: Align,
    /// The rectangle of the text.
    pub bounds: Bounds,
    /// End of a line to the point, where the text does not stand right beside it.
    pub leader: Option<At>,
}

/// Places `names` beside `points` within `inside`, in order: the first has the freest choice. `soft` are rectangles that
/// a name had better not cover (intervals, lines); the points themselves it avoids at a higher price, and other names at the highest.
pub fn place(points: &[At], names: &[&str], inside: Bounds, soft: &[Bounds]) -> Vec<Placed> {
    const NEAR: f64 = 13.0;
    let markers: Vec<Bounds> = points.iter().map(|&point| Bounds::around(point, 8.0, 8.0)).collect();
    let mut placed: Vec<Placed> = Vec::new();
    for (&point, name) in points.iter().zip(names) {
        let width = text_width(name, SMALL);
        let mut best: Option<(f64, Placed)> = None;
        for ring in 0..9 {
            let distance = NEAR + 15.0 * f64::from(ring);
            for direction in 0..16 {
                let candidate = candidate(point, name, width, distance, f64::from(direction), ring > 0);
                if !inside.contains(&candidate.bounds) {
                    continue;
                }
                let over = |others: &mut dyn Iterator<Item = &Bounds>| -> f64 {
                    others.map(|other| candidate.bounds.overlap(other)).sum()
                };
                let crossing = candidate.leader.map_or(0.0, |end| {
                    let names = placed.iter().map(|p| &p.bounds);
                    let points = markers.iter().filter(|m| !m.contains(&Bounds::around(point, 0.0, 0.0)));
                    names.chain(points).filter(|bounds| crosses(point, end, bounds)).count() as f64
                });
                let cost = 1000.0 * over(&mut placed.iter().map(|p| &p.bounds))
                    + 100.0 * over(&mut markers.iter())
                    + 1.2 * over(&mut soft.iter())
                    + 4000.0 * crossing
                    + 6.0 * distance
                    // To the right, then the left, reads best.
                    + [0.0, 8.0, 14.0, 8.0, 10.0, 9.0, 15.0, 9.0, 3.0, 9.0, 15.0, 9.0, 10.0, 8.0, 14.0, 8.0]
                        [direction as usize];
                if best.as_ref().is_none_or(|(least, _)| cost < *least) {
                    best = Some((cost, candidate));
                }
            }
        }
        let fallback = || candidate(point, name, width, NEAR, 0.0, false);
        placed.push(best.map_or_else(fallback, |(_, candidate)| candidate));
    }
    placed
}

fn candidate(point: At, name: &str, width: f64, distance: f64, direction: f64, leader: bool) -> Placed {
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
        Align::Middle => (at.0, at.1 - dy.signum() * 0.55 * SMALL),
    };
    Placed { at, align, bounds, leader: leader.then_some(end) }
}

/// Whether a line enters a rectangle, looked at every two units.
fn crosses(from: At, to: At, bounds: &Bounds) -> bool {
    let steps = ((to.0 - from.0).hypot(to.1 - from.1) / 2.0).ceil().max(1.0);
    (0..=steps as usize).any(|i| {
        let share = i as f64 / steps;
        let at = (from.0 + (to.0 - from.0) * share, from.1 + (to.1 - from.1) * share);
        bounds.contains(&Bounds::around(at, 0.0, 0.0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dense_cluster_of_names_does_not_overlap() {
        let inside = Bounds { left: 0.0, top: 0.0, right: 800.0, bottom: 450.0 };
        let points: Vec<At> =
            (0..14).map(|i| (400.0 + 17.0 * f64::from(i % 4), 200.0 + 13.0 * f64::from(i / 4))).collect();
        let names: Vec<String> = (0..14).map(|i| format!("sampled S={}", 64 << (i % 5))).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let placed = place(&points, &names, inside, &[]);
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
    fn a_lone_point_has_its_name_at_its_right_and_at_the_border_at_its_left() {
        let inside = Bounds { left: 0.0, top: 0.0, right: 800.0, bottom: 450.0 };
        let placed = place(&[(300.0, 200.0), (790.0, 100.0)], &["full", "mixture"], inside, &[]);
        assert_eq!((placed[0].align, placed[0].leader), (Align::Start, None));
        assert_eq!((placed[1].align, placed[1].leader), (Align::End, None));
        assert!(placed[0].bounds.left > 305.0 && placed[1].bounds.right < 785.0);
    }
}
