//! Characters that the font of the PNG files has no picture of. The SVG files leave them to the
//! fonts of the viewer; in a PNG each would be the same empty box, so a question mark stands for it
//! and a line under the chart says so.

use std::borrow::Cow;

use super::drawing::{Drawing, Shape};
use super::font::lacks;
use super::notes;

const NOTE: &str = "?: a character that this picture's font lacks; the SVG file and the tables have it.";

/// The drawing with every missing character replaced and a line that says so; the drawing itself
/// where none is missing.
pub fn readable(drawing: &Drawing) -> Cow<'_, Drawing> {
    let missing = |shape: &Shape| matches!(shape, Shape::Text { text, .. } if text.chars().any(lacks));
    if !drawing.shapes.iter().any(missing) {
        return Cow::Borrowed(drawing);
    }
    let mut readable = drawing.clone();
    for shape in &mut readable.shapes {
        if let Shape::Text { text, .. } = shape {
            *text = text.chars().map(|character| if lacks(character) { '?' } else { character }).collect();
        }
    }
    notes::add(&mut readable, NOTE);
    Cow::Owned(readable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_font_has_what_the_report_writes_and_lacks_other_scripts() {
        for character in "full S=1,024 ±−–∞…×≤äéßжλ'\"".chars() {
            assert!(!lacks(character), "{character}");
        }
        for character in "全連接層ソフト한\u{1f680}".chars() {
            assert!(lacks(character), "{character}");
        }
    }

    #[test]
    fn no_box_reaches_a_png() {
        let plain = Drawing::new(100.0, "full", "± 95 %");
        assert!(matches!(readable(&plain), Cow::Borrowed(_)));
        let drawing = Drawing::new(100.0, "全 softmax 層", "");
        let readable = readable(&drawing).into_owned();
        let texts: Vec<&str> = readable
            .shapes
            .iter()
            .filter_map(|shape| match shape {
                Shape::Text { text, .. } => Some(text.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(texts, ["? softmax ?", "", NOTE]);
        assert_eq!(readable.height, 124.0);
    }
}
