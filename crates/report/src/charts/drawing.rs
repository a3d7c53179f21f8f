//! A chart as a list of shapes on a page 1000 units wide. Charts are built as data, so that tests
//! can look for labels that overlap or are cut off, and SVG and PNG come from the same list.

/// Width of every chart; all lengths, font sizes among them, are in these units.
pub const WIDTH: f64 = 1000.0;
/// Font size of tick labels, legends and notes.
pub const SMALL: f64 = 14.5;
/// Font size of axis titles.
pub const MEDIUM: f64 = 15.5;
/// Font size of chart titles.
pub const LARGE: f64 = 20.0;

/// A position: right and down from the upper left corner.
pub type At = (f64, f64);

/// A colour with opacity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ink {
    /// Red, green, blue.
    pub rgb: (u8, u8, u8),
    /// 0 is transparent, 1 opaque.
    pub opacity: f64,
}

impl Ink {
    /// An opaque colour.
    pub const fn new(r: u8, g: u8, b: u8) -> Self {
        Self { rgb: (r, g, b), opacity: 1.0 }
    }

    /// Returns this colour with another opacity.
    pub const fn fade(self, opacity: f64) -> Self {
        Self { opacity, ..self }
    }
}

/// Text and axes.
pub const TEXT: Ink = Ink::new(0x22, 0x22, 0x22);
/// Secondary text; contrast on white is 7 to 1.
pub const MUTED: Ink = Ink::new(0x55, 0x55, 0x55);
/// Major grid lines.
pub const GRID: Ink = Ink::new(0xd9, 0xd9, 0xd9);
/// The page.
pub const PAPER: Ink = Ink::new(0xff, 0xff, 0xff);

/// Place of the anchor along a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Anchor at the start of the text.
    Start,
    /// Anchor in the middle of the text.
    Middle,
    /// Anchor at the end of the text.
    End,
}

/// One thing to draw.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// A line through points.
    Line {
        /// The points.
        points: Vec<At>,
        /// Colour.
        ink: Ink,
        /// Stroke width.
        width: f64,
    },
    /// A filled area.
    Area {
        /// Its corners.
        points: Vec<At>,
        /// Colour.
        ink: Ink,
    },
    /// A filled circle.
    Disc {
        /// Centre.
        centre: At,
        /// Radius.
        radius: f64,
        /// Colour.
        ink: Ink,
    },
    /// A line of text, vertically centred on its anchor.
    Text {
        /// Anchor.
        at: At,
        /// The text.
        text: String,
        /// Font size.
        size: f64,
        /// Colour.
        ink: Ink,
        /// Part of the text at the anchor.
        align: Align,
        /// Whether it reads upwards.
        upwards: bool,
    },
}

/// A rectangle `left, top, right, bottom`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// Left side.
    pub left: f64,
    /// Upper side.
    pub top: f64,
    /// Right side.
    pub right: f64,
    /// Lower side.
    pub bottom: f64,
}

impl Bounds {
    /// A rectangle around a centre.
    pub fn around(centre: At, half_width: f64, half_height: f64) -> Self {
        Self {
            left: centre.0 - half_width,
            top: centre.1 - half_height,
            right: centre.0 + half_width,
            bottom: centre.1 + half_height,
        }
    }

    /// Area shared with another rectangle.
    pub fn overlap(&self, other: &Self) -> f64 {
        let width = self.right.min(other.right) - self.left.max(other.left);
        let height = self.bottom.min(other.bottom) - self.top.max(other.top);
        width.max(0.0) * height.max(0.0)
    }

    /// Whether another rectangle lies inside.
    pub fn contains(&self, other: &Self) -> bool {
        self.left <= other.left
            && self.top <= other.top
            && self.right >= other.right
            && self.bottom >= other.bottom
    }
}

/// A chart, ready to be rendered.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawing {
    /// Height; the width is [`WIDTH`].
    pub height: f64,
    /// Shapes from back to front.
    pub shapes: Vec<Shape>,
}

impl Drawing {
    /// An empty page with a title and a line of explanation under it.
    pub fn new(height: f64, title: &str, explanation: &str) -> Self {
        let mut drawing = Self { height, shapes: Vec::new() };
        drawing.text((20.0, 24.0), title, LARGE, TEXT, Align::Start);
        drawing.text((20.0, 50.0), explanation, SMALL, MUTED, Align::Start);
        drawing
    }

    /// Adds a line through points; a single point is no line and draws nothing.
    pub fn line(&mut self, points: Vec<At>, ink: Ink, width: f64) {
        if points.len() > 1 {
            self.shapes.push(Shape::Line { points, ink, width });
        }
    }

    /// Adds a line in dashes: lengths on, off, on, off and so on. No lengths give a whole line.
    pub fn dashed(&mut self, points: &[At], pattern: &[f64], ink: Ink, width: f64) {
        if pattern.is_empty() {
            return self.line(points.to_vec(), ink, width);
        }
        for dash in dashes(points, pattern) {
            self.line(dash, ink, width);
        }
    }

    /// Adds a filled rectangle.
    pub fn rectangle(&mut self, bounds: Bounds, ink: Ink) {
        let Bounds { left, top, right, bottom } = bounds;
        let points = vec![(left, top), (right, top), (right, bottom), (left, bottom)];
        self.shapes.push(Shape::Area { points, ink });
    }

    /// Adds a filled area.
    pub fn area(&mut self, points: Vec<At>, ink: Ink) {
        self.shapes.push(Shape::Area { points, ink });
    }

    /// Adds a filled circle.
    pub fn disc(&mut self, centre: At, radius: f64, ink: Ink) {
        self.shapes.push(Shape::Disc { centre, radius, ink });
    }

    /// Adds a line of text.
    pub fn text(&mut self, at: At, text: &str, size: f64, ink: Ink, align: Align) {
        self.shapes.push(Shape::Text { at, text: text.to_owned(), size, ink, align, upwards: false });
    }

    /// Adds a line of text that reads upwards, centred.
    pub fn text_upwards(&mut self, at: At, text: &str, size: f64, ink: Ink) {
        self.shapes.push(Shape::Text {
            at,
            text: text.to_owned(),
            size,
            ink,
            align: Align::Middle,
            upwards: true,
        });
    }
}

/// Cuts a line into dashes; the pattern runs on over its corners.
fn dashes(points: &[At], pattern: &[f64]) -> Vec<Vec<At>> {
    let mut out = Vec::new();
    let (mut phase, mut left) = (0, pattern[0]);
    let mut current: Vec<At> = points.first().copied().into_iter().collect();
    for pair in points.windows(2) {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        let length = (x1 - x0).hypot(y1 - y0);
        let mut done = 0.0;
        while length - done > left {
            done += left;
            let at = (x0 + (x1 - x0) * done / length, y0 + (y1 - y0) * done / length);
            if phase % 2 == 0 {
                current.push(at);
                // A dash that ends on a corner would name the corner twice.
                current.dedup();
                out.push(std::mem::take(&mut current));
            } else {
                current = vec![at];
            }
            phase = (phase + 1) % pattern.len();
            left = pattern[phase];
        }
        left -= length - done;
        if phase % 2 == 0 {
            current.push((x1, y1));
        }
    }
    if phase % 2 == 0 {
        out.push(current);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(line: &[At]) -> f64 {
        line.windows(2).map(|p| (p[1].0 - p[0].0).hypot(p[1].1 - p[0].1)).sum()
    }

    #[test]
    fn dashes_cover_their_share_of_the_line_round_corners() {
        let line = [(0.0, 0.0), (7.0, 0.0), (7.0, 8.0), (0.0, 8.0)];
        let dashes = dashes(&line, &[3.0, 1.0]);
        // 22 units are five rounds of 3 on and 1 off, then 2 more on.
        assert_eq!(dashes.len(), 6);
        let covered: f64 = dashes.iter().map(|dash| length(dash)).sum();
        assert!((covered - 17.0).abs() < 1e-9, "{covered}");
        assert_eq!(dashes[1], [(4.0, 0.0), (7.0, 0.0)]);
        assert_eq!(dashes[2], [(7.0, 1.0), (7.0, 4.0)]);
    }

    #[test]
    fn overlap_is_the_common_area() {
        let a = Bounds::around((0.0, 0.0), 2.0, 1.0);
        assert_eq!(a.overlap(&Bounds::around((3.0, 0.0), 2.0, 1.0)), 2.0);
        assert_eq!(a.overlap(&Bounds::around((9.0, 0.0), 2.0, 1.0)), 0.0);
        assert!(a.contains(&Bounds::around((0.0, 0.0), 1.0, 1.0)));
        assert!(!a.contains(&Bounds::around((1.5, 0.0), 1.0, 1.0)));
    }
}
