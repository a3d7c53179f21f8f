//! The charts of the report.

mod axis;
mod bands;
mod bars;
pub(crate) mod drawing;
mod frame;
mod labels;
mod learning_curve;
mod legend;
mod palette;
mod pareto;
pub(crate) mod render;

use crate::summary::Summary;

/// A chart and the name of its files.
#[derive(Debug, Clone)]
pub struct Chart {
    /// File name without extension.
    pub file: &'static str,
    /// Title, also for readers who cannot see the chart.
    pub title: String,
    /// What is drawn.
    pub drawing: drawing::Drawing,
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

#[cfg(test)]
mod tests;
