//! The one font of the charts: how wide its texts are, and which characters it has.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock};

use plotters::prelude::{FontDesc, IntoFont};
use plotters::style::{FontStyle, register_font};

use super::drawing::{Align, At, Bounds};

/// The families of the SVG's texts. The first is the one that ships here; the others come where a
/// viewer lacks it, and are no wider, so that what fits in the first fits in all.
const FAMILY: &str = "DejaVu Sans, Verdana, Arial, sans-serif";
/// plotters divides font sizes by this on their way to pixels per em.
const FONT_SIZE_TO_EM: f64 = 1.24;
/// No character, by definition of Unicode, so no font has it.
const NONE: char = '\u{10ffff}';

/// The font that ships with the crate could not be read.
#[derive(Debug, thiserror::Error)]
#[error("the font DejaVuSans.ttf cannot be read")]
pub struct FontError;

/// Registers the font that ships with the crate; plotters has none of its own.
///
/// # Errors
/// plotters cannot read the font.
pub fn ready() -> Result<(), FontError> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    let registered = *REGISTERED.get_or_init(|| {
        let bytes = include_bytes!("../../assets/DejaVuSans.ttf");
        register_font(FAMILY, FontStyle::Normal, bytes).is_ok()
    });
    if registered { Ok(()) } else { Err(FontError) }
}

/// Width of a text in units. Characters that the font lacks count as squares, which they are in the
/// fonts that have them.
pub fn text_width(text: &str, size: f64) -> f64 {
    let known: String = text.chars().filter(|&character| !lacks(character)).collect();
    let missing = text.chars().count() - known.chars().count();
    known_width(&known, size) + missing as f64 * size
}

fn known_width(text: &str, size: f64) -> f64 {
    const FINE: f64 = 16.0;
    let measured = ready().ok().and_then(|()| {
        let font = font(size * FINE);
        font.layout_box(text).ok()
    });
    match measured {
        Some(((left, _), (right, _))) => f64::from(right - left) / FINE,
        // Without a font nothing is rendered either; any width serves.
        None => 0.6 * size * text.chars().count() as f64,
    }
}

/// The pixels of a character with their blackness, at a size that tells characters apart; none
/// where the font fails.
pub fn ink_of(character: char) -> Vec<(i32, i32, u8)> {
    let mut pixels = Vec::new();
    if ready().is_ok() {
        let font = (FAMILY, 40.0).into_font();
        let _ = font.draw(&character.to_string(), (0, 0), |x, y, opacity| {
            pixels.push((x, y, (255.0 * opacity) as u8));
            Ok::<(), FontError>(())
        });
    }
    pixels
}

/// The rectangle that a text covers.
pub fn text_bounds(at: At, text: &str, size: f64, align: Align, upwards: bool) -> Bounds {
    let width = text_width(text, size);
    let before = match align {
        Align::Start => 0.0,
        Align::Middle => 0.5 * width,
        Align::End => width,
    };
    let half = 0.62 * size;
    if upwards {
        Bounds { left: at.0 - half, right: at.0 + half, top: at.1 + before - width, bottom: at.1 + before }
    } else {
        Bounds { left: at.0 - before, right: at.0 - before + width, top: at.1 - half, bottom: at.1 + half }
    }
}

/// The font at a size, in the units that texts are measured in.
pub fn font(size: f64) -> FontDesc<'static> {
    (FAMILY, size * FONT_SIZE_TO_EM).into_font()
}

/// Whether the font draws a character as the box that stands for all it does not know.
pub fn lacks(character: char) -> bool {
    static KNOWN: Mutex<BTreeMap<char, bool>> = Mutex::new(BTreeMap::new());
    if matches!(character, ' '..='~') {
        return false;
    }
    let compare = || ink_of(character) == ink_of(NONE);
    match KNOWN.lock() {
        Ok(mut known) => *known.entry(character).or_insert_with(compare),
        Err(_) => compare(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn width_grows_with_letters_and_size() {
        assert!(text_width("mmmm", 14.0) > 2.0 * text_width("iiii", 14.0));
        assert!((text_width("perplexity", 28.0) / text_width("perplexity", 14.0) - 2.0).abs() < 0.02);
    }
}
