//! Renders a [`Drawing`] by plotters, as SVG and as PNG.

use std::fmt::Display;
use std::sync::OnceLock;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontTransform, register_font};

use super::drawing::{Align, At, Bounds, Drawing, Ink, PAPER, Shape, WIDTH};
use super::glyphs::lacks;

/// The families of the SVG's texts. The first is the one that ships here; the others come where a viewer lacks it, and
/// are no wider, so that what fits in the first fits in all.
const FAMILY: &str = "DejaVu Sans, Verdana, Arial, sans-serif";
/// SVG coordinates are whole numbers; ten to a unit make them fine enough.
const SVG_SCALE: f64 = 10.0;
/// Pixels of the PNG to a unit.
const PNG_SCALE: f64 = 1.6;
/// The bitmap backend puts the middle of a text this much of its size too high.
const BITMAP_RISE: f64 = 0.23;
/// plotters divides font sizes by this on their way to pixels per em.
const FONT_SIZE_TO_EM: f64 = 1.24;

/// Why a chart could not be rendered, in the words of plotters.
#[derive(Debug)]
pub struct RenderError(pub String);

fn check<T, E: Display>(result: Result<T, E>) -> Result<T, RenderError> {
    result.map_err(|error| RenderError(error.to_string()))
}

/// Registers the font that ships with the crate; plotters has none of its own.
fn ready() -> Result<(), RenderError> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    let registered = *REGISTERED.get_or_init(|| {
        let bytes = include_bytes!("../../assets/DejaVuSans.ttf");
        register_font(FAMILY, FontStyle::Normal, bytes).is_ok()
    });
    if registered { Ok(()) } else { Err(RenderError("the font DejaVuSans.ttf cannot be read".into())) }
}

/// Width of a text in units. Characters that the font lacks count as squares, which they are in the fonts that have them.
pub fn text_width(text: &str, size: f64) -> f64 {
    let known: String = text.chars().filter(|&character| !lacks(character)).collect();
    let missing = text.chars().count() - known.chars().count();
    known_width(&known, size) + missing as f64 * size
}

fn known_width(text: &str, size: f64) -> f64 {
    const FINE: f64 = 16.0;
    let measured = ready().ok().and_then(|()| {
        let font = (FAMILY, size * FINE * FONT_SIZE_TO_EM).into_font();
        font.layout_box(text).ok()
    });
    match measured {
        Some(((left, _), (right, _))) => f64::from(right - left) / FINE,
        // Without a font nothing is rendered either; any width serves.
        None => 0.6 * size * text.chars().count() as f64,
    }
}

/// The pixels of a character with their blackness, at a size that tells characters apart; none where the font fails.
pub fn ink_of(character: char) -> Vec<(i32, i32, u8)> {
    let mut pixels = Vec::new();
    if ready().is_ok() {
        let font = (FAMILY, 40.0).into_font();
        let _ = font.draw(&character.to_string(), (0, 0), |x, y, opacity| {
            pixels.push((x, y, (255.0 * opacity) as u8));
            Ok::<(), RenderError>(())
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

/// The chart as an SVG document of its own.
///
/// # Errors
/// plotters refused.
pub fn svg(drawing: &Drawing, title: &str) -> Result<String, RenderError> {
    let size = pixels(drawing, SVG_SCALE);
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        draw(drawing, &area, SVG_SCALE, 0.0)?;
        check(area.present())?;
    }
    // Shown at its own size the document is as wide as a page, while its coordinates stay fine.
    let fine = format!("width=\"{}\" height=\"{}\"", size.0, size.1);
    let shown = format!(
        "width=\"{WIDTH}\" height=\"{}\" role=\"img\" aria-label=\"{}\"",
        drawing.height,
        crate::html::escape(title)
    );
    Ok(text.replacen(&fine, &shown, 1))
}

/// The chart as the bytes of a PNG file.
///
/// # Errors
/// plotters or the file system refused.
pub fn png(drawing: &Drawing) -> Result<Vec<u8>, RenderError> {
    // Drawn twice as large and averaged, edges are smooth.
    let (width, height) = pixels(drawing, PNG_SCALE);
    let large = (2 * width, 2 * height);
    let mut fine = vec![0; 3 * large.0 as usize * large.1 as usize];
    {
        let area = BitMapBackend::with_buffer(&mut fine, large).into_drawing_area();
        draw(drawing, &area, 2.0 * PNG_SCALE, BITMAP_RISE)?;
        check(area.present())?;
    }
    let small = average(&fine, width as usize, height as usize);
    // plotters encodes PNG into files only.
    let folder = check(tempfile::tempdir())?;
    let path = folder.path().join("chart.png");
    {
        let area = BitMapBackend::new(&path, (width, height)).into_drawing_area();
        let image = BitMapElement::with_owned_buffer((0, 0), (width, height), small)
            .ok_or_else(|| RenderError("the image has the wrong number of bytes".into()))?;
        check(area.draw(&image))?;
        check(area.present())?;
    }
    check(std::fs::read(&path))
}

fn pixels(drawing: &Drawing, scale: f64) -> (u32, u32) {
    ((WIDTH * scale).round() as u32, (drawing.height * scale).round() as u32)
}

/// Averages squares of two by two pixels of an RGB image.
fn average(fine: &[u8], width: usize, height: usize) -> Vec<u8> {
    let mut small = Vec::with_capacity(3 * width * height);
    for rows in fine.chunks_exact(2 * 6 * width) {
        let (upper, lower) = rows.split_at(6 * width);
        for (a, b) in upper.chunks_exact(6).zip(lower.chunks_exact(6)) {
            for channel in 0..3 {
                let sum = [a[channel], a[channel + 3], b[channel], b[channel + 3]]
                    .map(u16::from)
                    .iter()
                    .sum::<u16>();
                small.push(((sum + 2) / 4) as u8);
            }
        }
    }
    small
}

fn draw<DB: DrawingBackend>(
    drawing: &Drawing,
    area: &DrawingArea<DB, Shift>,
    scale: f64,
    text_rise: f64,
) -> Result<(), RenderError> {
    ready()?;
    check(area.fill(&colour(PAPER)))?;
    let place = |at: &At| ((at.0 * scale).round() as i32, (at.1 * scale).round() as i32);
    let length = |length: f64| (length * scale).round().max(1.0) as u32;
    for shape in &drawing.shapes {
        match shape {
            Shape::Line { points, ink, width } => {
                let style = colour(*ink).stroke_width(length(*width));
                let mut points: Vec<_> = points.iter().map(place).collect();
                points.dedup();
                if points.len() > 1 {
                    check(area.draw(&PathElement::new(points, style)))?;
                }
            }
            Shape::Area { points, ink } => {
                let points: Vec<_> = points.iter().map(place).collect();
                check(area.draw(&Polygon::new(points, colour(*ink))))?;
            }
            Shape::Disc { centre, radius, ink } => {
                check(area.draw(&Circle::new(place(centre), length(*radius), colour(*ink).filled())))?;
            }
            Shape::Text { at, text, size, ink, align, upwards } => {
                let horizontal = match align {
                    Align::Start => HPos::Left,
                    Align::Middle => HPos::Center,
                    Align::End => HPos::Right,
                };
                let turn = if *upwards { FontTransform::Rotate270 } else { FontTransform::None };
                let style = (FAMILY, size * scale * FONT_SIZE_TO_EM)
                    .into_font()
                    .transform(turn)
                    .color(&colour(*ink))
                    .pos(Pos::new(horizontal, VPos::Center));
                let sunk = text_rise * size;
                let at = if *upwards { (at.0 + sunk, at.1) } else { (at.0, at.1 + sunk) };
                check(area.draw(&Text::new(text.as_str(), place(&at), style)))?;
            }
        }
    }
    Ok(())
}

fn colour(ink: Ink) -> RGBAColor {
    let (r, g, b) = ink.rgb;
    RGBAColor(r, g, b, ink.opacity)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn averaging_takes_squares_of_pixels() {
        // One row of two pixels from two rows of four: the left square is black and white, the right one grey.
        let (black, white, grey) = ([0_u8; 3], [255_u8; 3], [90_u8; 3]);
        let fine = [black, white, grey, grey, white, black, grey, grey].concat();
        assert_eq!(average(&fine, 2, 1), [128, 128, 128, 90, 90, 90]);
    }

    #[test]
    fn text_is_measured_and_escaped() {
        assert!(text_width("mmmm", 14.0) > 2.0 * text_width("iiii", 14.0));
        assert!((text_width("perplexity", 28.0) / text_width("perplexity", 14.0) - 2.0).abs() < 0.02);
        let drawing = Drawing::new(100.0, "a < b & \"c\"", "");
        let svg = svg(&drawing, "a < b & \"c\"").unwrap();
        assert!(svg.contains("a &lt; b &amp; &quot;c&quot;") && !svg.contains("a < b"));
        assert!(svg.starts_with("<svg width=\"1000\" height=\"100\" role=\"img\""), "{}", &svg[..120]);
    }
}
