//! Tables for reading: the same cells go into the Markdown files and the page.

use lexmax_records::RunStatus;

use crate::columns::{COLUMNS, Column, ColumnValue, MeanFormat, PERPLEXITY, SPEED};
use crate::format::{NONE, percent, significant, whole};
use crate::summary::{OutputSummary, Summary};

/// A table of text cells.
#[derive(Debug, Clone, PartialEq)]
pub struct TextTable {
    /// Column heads with units, and whether the cells are numbers.
    pub columns: Vec<(String, bool)>,
    /// Rows of as many cells.
    pub rows: Vec<Vec<String>>,
    /// Row to set off from the others: the reference.
    pub highlight: Option<usize>,
}

impl TextTable {
    /// A table without rows, from its column heads and whether their cells are numbers.
    pub fn new(columns: &[(&str, bool)]) -> Self {
        let columns = columns.iter().map(|&(head, numeric)| (head.to_owned(), numeric)).collect();
        Self { columns, rows: Vec::new(), highlight: None }
    }
}

/// The table that says it all: one row an output. A figure that no finished run has is left out.
pub fn outputs(summary: &Summary) -> TextTable {
    let any_finished = summary.outputs.iter().any(|output| output.figures.is_some());
    let is_shown = |column: &&Column| match column.get {
        _ if column.head.is_empty() => false,
        ColumnValue::Run(_) => false,
        ColumnValue::Both(..) | ColumnValue::Output(..) => true,
        ColumnValue::Figure(..) => {
            !any_finished || summary.outputs.iter().any(|output| figure(output, column).is_some())
        }
    };
    let columns: Vec<&Column> = COLUMNS.iter().filter(is_shown).collect();
    TextTable {
        columns: columns.iter().map(|column| (column.title(), column.is_numeric())).collect(),
        rows: summary
            .outputs
            .iter()
            .map(|output| columns.iter().map(|column| cell(column, output)).collect())
            .collect(),
        highlight: summary.reference,
    }
}

fn figure(output: &OutputSummary, column: &Column) -> Option<crate::stats::Estimate> {
    output.figures.as_ref()?.of(column)
}

fn cell(column: &Column, output: &OutputSummary) -> String {
    match column.get {
        ColumnValue::Output(_, words) => words(output),
        ColumnValue::Figure(_, show) => column.words(figure(output, column), show),
        ColumnValue::Both(_, name) => name(output).to_owned(),
        ColumnValue::Run(_) => NONE.into(),
    }
}

/// The fastest output within each tolerance of the reference.
pub fn operating_points(summary: &Summary) -> TextTable {
    let mut table = TextTable::new(&[
        ("Perplexity within", true),
        ("Fastest output", false),
        (&SPEED.title(), true),
        ("Speed against the reference", true),
        (&PERPLEXITY.title(), true),
        ("Change from the reference", true),
    ]);
    for point in &summary.operating_points {
        let output = &summary.outputs[point.output];
        table.rows.push(vec![
            format!("{} %", significant(point.tolerance_percent, 2)),
            output.name.clone(),
            SPEED.words(figure(output, &SPEED), MeanFormat::Interval(4)),
            format!("{} ×", significant(point.speedup, 3)),
            PERPLEXITY.words(figure(output, &PERPLEXITY), MeanFormat::Interval(4)),
            output.change_percent().map_or("reference".into(), percent),
        ]);
    }
    table
}

/// The runs that broke.
pub fn failures(summary: &Summary) -> TextTable {
    let mut table = TextTable::new(&[
        ("Output", false),
        ("Seed", true),
        ("Step", true),
        ("Error", false),
        ("Run", false),
    ]);
    let failed = summary.outputs.iter().flat_map(|output| &output.failed);
    for record in failed.map(|&i| &summary.records[i]) {
        let RunStatus::Failed { error, step } = &record.status else { continue };
        table.rows.push(vec![
            record.run.name.clone(),
            record.run.seed.to_string(),
            step.map_or(NONE.into(), |step| whole(step as f64)),
            error.clone(),
            record.run.id.to_string(),
        ]);
    }
    table
}
