//! Styles that tell outputs apart: the colour is the family, marker and dashes are the variant
//! within it.
//!
//! The colours are those of Okabe and Ito (Color Universal Design, 2008), which people with any
//! common colour blindness tell apart; the yellow of that set is left out, being too pale for lines
//! on white.

use super::drawing::{At, Drawing, Ink, PAPER};

/// Shape of a marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Marker {
    Circle,
    Square,
    TriangleUp,
    Diamond,
    TriangleDown,
    Cross,
    Plus,
    Star,
}

const MARKERS: [Marker; 8] = [
    Marker::Circle,
    Marker::Square,
    Marker::TriangleUp,
    Marker::Diamond,
    Marker::TriangleDown,
    Marker::Cross,
    Marker::Plus,
    Marker::Star,
];

const DASHES: [&[f64]; 5] =
    [&[], &[9.0, 4.0], &[3.0, 3.0], &[11.0, 3.5, 3.0, 3.5], &[6.0, 3.0, 2.0, 3.0, 2.0, 3.0]];

const FAMILIES: [(&str, Ink); 5] = [
    ("full", Ink::new(0x00, 0x00, 0x00)),
    ("sampled", Ink::new(0xd5, 0x5e, 0x00)),
    ("hierarchical", Ink::new(0x00, 0x9e, 0x73)),
    ("adaptive", Ink::new(0x00, 0x72, 0xb2)),
    ("mixture", Ink::new(0xcc, 0x79, 0xa7)),
];

const OTHERS: [Ink; 3] = [Ink::new(0xe6, 0x9f, 0x00), Ink::new(0x56, 0xb4, 0xe9), Ink::new(0x77, 0x77, 0x77)];

/// Style of one output in every chart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Style {
    /// Colour of the family.
    pub ink: Ink,
    /// Marker of the variant.
    pub marker: Marker,
    /// Dashes of the variant: lengths on, off and so on; none for a whole line.
    pub dashes: &'static [f64],
}

/// Styles for outputs given by name and family, in the order given. They depend on the set of
/// outputs alone, not on its order: variants are counted by name.
pub fn styles(outputs: &[(&str, &str)]) -> Vec<Style> {
    let mut unknown: Vec<&str> =
        outputs.iter().map(|output| output.1).filter(|family| known(family).is_none()).collect();
    unknown.sort_unstable();
    unknown.dedup();
    outputs
        .iter()
        .map(|&(name, family)| {
            let ink = known(family).unwrap_or_else(|| {
                OTHERS[unknown.iter().position(|other| *other == family).unwrap_or(0) % OTHERS.len()]
            });
            let variant = outputs.iter().filter(|other| other.1 == family && other.0 < name).count();
            Style { ink, marker: MARKERS[variant % MARKERS.len()], dashes: DASHES[variant % DASHES.len()] }
        })
        .collect()
}

fn known(family: &str) -> Option<Ink> {
    FAMILIES.iter().find(|known| known.0 == family).map(|known| known.1)
}

/// Draws a marker of about the area of a circle of this radius, on a thin white rim.
pub fn draw_marker(drawing: &mut Drawing, marker: Marker, at: At, radius: f64, ink: Ink) {
    if ink.opacity >= 1.0 {
        shape(drawing, marker, at, radius, PAPER, 1.3);
    }
    shape(drawing, marker, at, radius, ink, 0.0);
}

/// Draws the outline of a marker, through which another one is seen.
pub fn draw_open_marker(drawing: &mut Drawing, marker: Marker, at: At, radius: f64, ink: Ink) {
    let mut line = match marker {
        Marker::Circle => {
            let turn = |i: i32| f64::from(i) * std::f64::consts::PI / 16.0;
            (0..32).map(|i| (at.0 + radius * turn(i).cos(), at.1 + radius * turn(i).sin())).collect()
        }
        _ => outline(marker, at, radius, 0.0),
    };
    line.extend_from_within(..1);
    drawing.line(line, ink, 2.0);
}

fn shape(drawing: &mut Drawing, marker: Marker, at: At, radius: f64, ink: Ink, rim: f64) {
    match marker {
        Marker::Circle => drawing.disc(at, radius + rim, ink),
        _ => drawing.area(outline(marker, at, radius, rim), ink),
    }
}

/// Corners of a marker; none for the circle.
fn outline(marker: Marker, at: At, radius: f64, rim: f64) -> Vec<At> {
    let r = radius + rim;
    let corners =
        |relative: &[At]| relative.iter().map(|(x, y)| (at.0 + x * r, at.1 + y * r)).collect::<Vec<_>>();
    let turned = |angle: f64, points: &[At]| {
        let (sin, cos) = angle.sin_cos();
        points.iter().map(|(x, y)| (x * cos - y * sin, x * sin + y * cos)).collect::<Vec<_>>()
    };
    // A plus as one outline, so that a faded one has no darker middle.
    let arm = 0.36 + rim / r * 0.5;
    let plus = [
        (-arm, -1.15),
        (arm, -1.15),
        (arm, -arm),
        (1.15, -arm),
        (1.15, arm),
        (arm, arm),
        (arm, 1.15),
        (-arm, 1.15),
        (-arm, arm),
        (-1.15, arm),
        (-1.15, -arm),
        (-arm, -arm),
    ];
    match marker {
        Marker::Circle => Vec::new(),
        Marker::Square => corners(&[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)]),
        Marker::TriangleUp => corners(&[(0.0, -1.25), (1.15, 0.8), (-1.15, 0.8)]),
        Marker::TriangleDown => corners(&[(0.0, 1.25), (-1.15, -0.8), (1.15, -0.8)]),
        Marker::Diamond => corners(&[(0.0, -1.3), (1.1, 0.0), (0.0, 1.3), (-1.1, 0.0)]),
        Marker::Plus => corners(&plus),
        Marker::Cross => corners(&turned(std::f64::consts::FRAC_PI_4, &plus)),
        Marker::Star => {
            let points: Vec<At> = (0..10)
                .map(|i| {
                    let length = if i % 2 == 0 { 1.4 } else { 0.6 };
                    let angle = f64::from(i) * std::f64::consts::PI / 5.0;
                    (length * angle.sin(), -length * angle.cos())
                })
                .collect();
            corners(&points)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_outputs_stay_distinguishable_whatever_their_order() {
        let families = ["full", "sampled", "hierarchical", "adaptive", "mixture", "new", "newer"];
        let names: Vec<(String, &str)> = families
            .iter()
            .flat_map(|family| (0..8).map(move |i| (format!("{family} {i}"), *family)))
            .collect();
        let mut outputs: Vec<(&str, &str)> =
            names.iter().map(|(name, family)| (name.as_str(), *family)).collect();
        let forward = styles(&outputs);
        for (i, a) in forward.iter().enumerate() {
            for b in &forward[..i] {
                assert!(a.ink != b.ink || a.marker != b.marker, "{a:?} twice");
            }
        }
        outputs.reverse();
        let mut backward = styles(&outputs);
        backward.reverse();
        assert_eq!(forward, backward);
    }
}
