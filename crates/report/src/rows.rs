//! Tables for reading: the same cells go into the Markdown files and the page.

use lexmax_records::RunStatus;

use crate::format::{NONE, estimate, percent, significant, verdict, whole};
use crate::summary::{Figures, OutputSummary, Summary};

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

/// The table that says it all: one row an output.
pub fn outputs(summary: &Summary) -> TextTable {
    let rows_per_batch = batch_rows(summary);
    let mut table = TextTable::new(&[
        ("Output", false),
        ("Family", false),
        ("Runs finished / failed", true),
        ("Test perplexity", true),
        ("Change from the reference", true),
        ("Against the reference, paired seeds", false),
        ("Excess nats / token", true),
        ("Training s", true),
        ("Steps", true),
        ("Training tokens", true),
        ("Training tokens/s", true),
        ("Evaluation tokens/s", true),
        ("Output layer ms / step", true),
        ("Exact top 10 ms", true),
        ("Layer parameters M", true),
        ("All parameters M", true),
        ("Peak memory MiB", true),
        ("On the front", false),
    ]);
    if let Some(rows) = rows_per_batch {
        table.columns[13].0 = format!("Exact top 10 ms / {rows} rows");
    }
    if summary.outputs.iter().all(|output| output.figures.is_none_or(|f| f.excess_nats.is_none())) {
        table.columns[6].0 = "Excess nats / token (truth unknown)".into();
    }
    table.highlight = summary.reference;
    table.rows = summary
        .outputs
        .iter()
        .enumerate()
        .map(|(i, output)| output_row(output, summary.reference == Some(i)))
        .collect();
    table
}

fn output_row(output: &OutputSummary, is_reference: bool) -> Vec<String> {
    let of = |text: &dyn Fn(&Figures) -> String| output.figures.as_ref().map_or(NONE.into(), text);
    let mib = |bytes: f64| whole(bytes / (1024.0 * 1024.0));
    let verdict = match (&output.verdict, is_reference) {
        (_, true) => "reference".into(),
        (Some(words), _) => verdict(words),
        (None, _) if output.figures.is_none() => "every run failed".into(),
        (None, _) => "no reference".into(),
    };
    vec![
        output.name.clone(),
        output.family.clone(),
        format!("{} / {}", output.finished.len(), output.failed.len()),
        of(&|f| estimate(&f.perplexity, 4)),
        output.change_percent.map_or(NONE.into(), percent),
        verdict,
        of(&|f| f.excess_nats.map_or(NONE.into(), |e| estimate(&e, 3))),
        of(&|f| significant(f.train_seconds.mean, 3)),
        of(&|f| whole(f.steps.mean)),
        of(&|f| whole(f.tokens.mean)),
        of(&|f| whole(f.train_tokens_per_second.mean)),
        of(&|f| whole(f.eval_tokens_per_second.mean)),
        of(&|f| significant(f.layer_ms.mean, 3)),
        of(&|f| significant(f.top_k_ms.mean, 3)),
        of(&|f| significant(f.layer_parameters.mean / 1e6, 3)),
        of(&|f| significant(f.parameters.mean / 1e6, 3)),
        of(&|f| mib(f.peak_memory_bytes.mean)),
        if output.on_front { "yes" } else { "no" }.into(),
    ]
}

/// The rows that the exact top 10 was timed on, where all runs agree.
fn batch_rows(summary: &Summary) -> Option<u64> {
    let mut rows = summary.records.iter().filter_map(|record| Some(record.result()?.top_k_rows));
    let first = rows.next()?;
    rows.all(|other| other == first).then_some(first)
}

/// The fastest output within each tolerance of the reference.
pub fn operating_points(summary: &Summary) -> TextTable {
    let mut table = TextTable::new(&[
        ("Perplexity within", true),
        ("Fastest output", false),
        ("Training tokens/s", true),
        ("Speed against the reference", true),
        ("Test perplexity", true),
        ("Change from the reference", true),
    ]);
    for point in &summary.operating_points {
        let output = &summary.outputs[point.output];
        let Some(figures) = &output.figures else { continue };
        table.rows.push(vec![
            format!("{} %", significant(point.tolerance_percent, 2)),
            output.name.clone(),
            estimate(&figures.train_tokens_per_second, 4),
            format!("{} ×", significant(point.speedup, 3)),
            estimate(&figures.perplexity, 4),
            output.change_percent.map_or("reference".into(), percent),
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
    for record in summary.outputs.iter().flat_map(|output| output.failed.iter().map(|&i| &summary.records[i]))
    {
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
