//! Renders a [`Drawing`] by plotters, as SVG and as PNG.

use std::fmt::Display;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::FontTransform;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::drawing::{Align, At, Drawing, Ink, PAPER, Shape, WIDTH};
use super::font::{font, ready};

/// SVG coordinates are whole numbers; ten to a unit make them fine enough.
const SVG_SCALE: f64 = 10.0;
/// Pixels of the PNG to a unit.
const PNG_SCALE: f64 = 1.6;
/// The bitmap backend puts the middle of a text this much of its size too high.
const BITMAP_RISE: f64 = 0.23;

/// Error of rendering a chart, in the words of plotters.
#[derive(Debug)]
pub struct RenderError(pub String);

fn check<T, E: Display>(result: Result<T, E>) -> Result<T, RenderError> {
    result.map_err(|error| RenderError(error.to_string()))
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
        maud::html!((title)).into_string()
    );
    Ok(text.replacen(&fine, &shown, 1))
}

/// The chart as the bytes of a PNG file.
///
/// # Errors
/// plotters or the encoder refused.
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
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    // The slow levels make files of half the size and take seconds for each in an unoptimised
    // build.
    encoder.set_compression(png::Compression::Fast);
    encoder.set_adaptive_filter(png::AdaptiveFilterType::Adaptive);
    let mut writer = check(encoder.write_header())?;
    check(writer.write_image_data(&small))?;
    check(writer.finish())?;
    Ok(file)
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
    check(ready())?;
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
                let style = font(size * scale)
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
        // One row of two pixels from two rows of four: the left square is black and white, the
        // right one grey.
        let (black, white, grey) = ([0_u8; 3], [255_u8; 3], [90_u8; 3]);
        let fine = [black, white, grey, grey, white, black, grey, grey].concat();
        assert_eq!(average(&fine, 2, 1), [128, 128, 128, 90, 90, 90]);
    }

    #[test]
    fn texts_of_an_svg_are_escaped() {
        let drawing = Drawing::new(100.0, "a < b & \"c\"", "");
        let svg = svg(&drawing, "a < b & \"c\"").unwrap();
        assert!(svg.contains("a &lt; b &amp; &quot;c&quot;") && !svg.contains("a < b"));
        assert!(svg.starts_with("<svg width=\"1000\" height=\"100\" role=\"img\""), "{}", &svg[..120]);
    }
}
