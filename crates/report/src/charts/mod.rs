//! The charts of the report: drawn as lists of shapes of our own, which plotters renders as SVG and
//! PNG.
//!
//! plotters has charts of its own (`ChartBuilder`), and they are not used: it places no labels
//! beside points, lets ticks and names cover each other or leave the page, and a finished chart of
//! it cannot be asked where a mark is. A list of shapes can: tests hold every label to be whole and
//! free, and every mark to stand where its value belongs.

mod axis;
mod bands;
mod bars;
mod drawing;
mod font;
mod frame;
mod glyphs;
pub(crate) mod growth;
mod labels;
mod learning_curve;
mod legend;
mod notes;
mod palette;
mod pareto;
mod render;
mod whisker;

use std::path::{Path, PathBuf};

use crate::ReportError;
use crate::summary::Summary;

/// A chart and the name of its files.
#[derive(Debug, Clone)]
pub struct Chart {
    /// File name without extension.
    pub file: &'static str,
    /// Title, also for readers who cannot see the chart.
    pub title: String,
    /// Shapes of the chart.
    pub(crate) drawing: drawing::Drawing,
}

/// Names of all charts, drawn or not.
pub const FILES: [&str; 5] = ["learning_curves", "pareto", "bands", "memory", "layer_time"];

/// The charts that the records have data for, in the order of [`FILES`].
pub fn all(summary: &Summary) -> Vec<Chart> {
    let names: Vec<(&str, &str)> =
        summary.outputs.iter().map(|output| (output.name.as_str(), output.family.as_str())).collect();
    let styles = palette::styles(&names);
    [
        learning_curve::chart(summary, &styles),
        pareto::chart(summary, &styles),
        bands::chart(summary, &styles),
        bars::memory(summary, &styles),
        bars::layer_time(summary, &styles),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The files of a chart, `.svg` and `.png`, by name.
///
/// # Errors
/// plotters or the file system refused.
pub fn rendered(chart: &Chart) -> Result<[(String, Vec<u8>); 2], ReportError> {
    let error = |file: &str, error: render::RenderError| ReportError::Chart {
        file: file.to_owned(),
        message: error.0,
    };
    let (svg_file, png_file) = (format!("{}.svg", chart.file), format!("{}.png", chart.file));
    let svg = render::svg(&chart.drawing, &chart.title).map_err(|e| error(&svg_file, e))?;
    let png = render::png(&glyphs::readable(&chart.drawing)).map_err(|e| error(&png_file, e))?;
    Ok([(svg_file, svg.into_bytes()), (png_file, png)])
}

/// Removes the files of charts that are not among those written: a chart of an earlier report must
/// not stand beside tables that it does not belong to.
///
/// # Errors
/// The file system refused.
pub fn remove_stale(folder: &Path, charts: &[&str], written: &[PathBuf]) -> Result<(), ReportError> {
    for file in charts.iter().flat_map(|name| [format!("{name}.svg"), format!("{name}.png")]) {
        let path = folder.join(file);
        if !written.contains(&path) && path.exists() {
            std::fs::remove_file(&path).map_err(|source| ReportError::Io {
                action: "remove",
                path: path.clone(),
                source,
            })?;
        }
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests;
