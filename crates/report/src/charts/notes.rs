//! Lines under a chart: what a reader must know who looks for something that is not there.

use super::drawing::{Align, Drawing, MUTED, SMALL, WIDTH};
use super::legend::fit;

/// Meaning of an arrow at the border.
pub const CUT: &str = "An arrow at the border: the interval goes on.";

/// Makes the page longer by a line of text; no text, no line.
pub fn add(drawing: &mut Drawing, text: &str) {
    let text = text.trim();
    if text.is_empty() {
        return;
    }
    drawing.height += 24.0;
    drawing.text((20.0, drawing.height - 16.0), &fit(text, WIDTH - 40.0), SMALL, MUTED, Align::Start);
}

/// Adds a line that names outputs without a figure; no names, no line.
pub fn add_not_measured(drawing: &mut Drawing, names: &[&str]) {
    if !names.is_empty() {
        add(drawing, &format!("Not measured: {}.", names.join(", ")));
    }
}

/// Adds a line that names outputs that were scored on other tokens than the drawn ones; no names,
/// no line.
pub fn add_other_tokens(drawing: &mut Drawing, names: &[&str]) {
    if !names.is_empty() {
        add(drawing, &format!("Not drawn, scored on other tokens: {}.", names.join(", ")));
    }
}

/// Adds a line that names outputs whose figures have no place on an axis; no names, no line.
pub fn add_not_finite(drawing: &mut Drawing, names: &[&str]) {
    if !names.is_empty() {
        add(drawing, &format!("Not drawn where not finite: {}.", names.join(", ")));
    }
}
