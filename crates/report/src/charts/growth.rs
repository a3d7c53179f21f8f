//! Something against the size of the vocabulary: one line a layer and side, both axes logarithmic.

use super::Chart;
use super::axis::Axis;
use super::drawing::{Bounds, Drawing};
use super::frame::Frame;
use super::legend::{self, Entry, Swatch};
use super::palette::{self, draw_marker};

/// One line of the chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Name in the legend.
    pub name: String,
    /// Family of the layer, which gives the colour.
    pub family: String,
    /// Classes and value, by rising number of classes.
    pub points: Vec<(f64, f64)>,
}

/// Texts of the chart.
#[derive(Debug, Clone, Copy)]
pub struct Words<'a> {
    /// File name without extension.
    pub file: &'static str,
    /// Title.
    pub title: &'a str,
    /// The line under the title.
    pub explanation: &'a str,
    /// Title of the vertical axis, with its unit.
    pub axis: &'a str,
}

/// The chart; `None` where no line has two points.
pub fn chart(series: &[Series], words: &Words<'_>) -> Option<Chart> {
    series.iter().find(|series| series.points.len() > 1)?;
    // In small letters lexmax comes before the others, and has the whole lines.
    let names: Vec<String> = series.iter().map(|series| series.name.to_lowercase()).collect();
    let named = names.iter().map(String::as_str).zip(series.iter().map(|series| series.family.as_str()));
    let styles = palette::styles(&named.collect::<Vec<_>>());
    let mut order: Vec<usize> = (0..series.len()).collect();
    // The order of the legend is the order of the lines at their right ends.
    let end = |i: &usize| series[*i].points.last().map_or(0.0, |point| point.1);
    order.sort_by(|a, b| end(b).total_cmp(&end(a)));

    let head = "Highest at the right first";
    let entries: Vec<Entry> = order
        .iter()
        .map(|&i| Entry { text: series[i].name.clone(), swatch: Swatch::Line(styles[i]) })
        .collect();
    let legend_left = legend::left(head, &entries);
    let height = (80.0 + legend::height(entries.len()) + 30.0).max(560.0);
    let points = || series.iter().flat_map(|series| &series.points);
    let (x, y) = (Axis::log(points().map(|point| point.0)), Axis::log(points().map(|point| point.1)));
    let left = Frame::left_margin(&y);
    let bounds = Bounds { left, top: 80.0, right: legend_left - 28.0, bottom: height - 70.0 };
    let frame = Frame { bounds, x, y };
    let mut drawing = Drawing::new(height, words.title, words.explanation);
    frame.draw(&mut drawing, "classes V, log scale", words.axis);
    for &i in order.iter().rev() {
        let line: Vec<_> = series[i].points.iter().map(|&point| frame.at(point)).collect();
        drawing.dashed(&line, styles[i].dashes, styles[i].ink, 2.4);
        for at in line {
            draw_marker(&mut drawing, styles[i].marker, at, 4.5, styles[i].ink);
        }
    }
    legend::draw(&mut drawing, head, &entries, legend_left, 76.0);
    Some(Chart { file: words.file, title: words.title.into(), drawing })
}
