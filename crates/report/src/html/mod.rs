//! The page: one HTML file that needs nothing else. Every text goes through maud, which escapes it;
//! only the charts and the style sheet, which are made here, are put in as they are.

mod facts;

use std::collections::BTreeMap;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::rows::{self, TextTable};
use crate::summary::Summary;

/// The page with its charts, given as titles and SVG documents. `folder` is the name of the results
/// folder.
pub fn page(summary: &Summary, charts: &[(String, String)], folder: &str) -> String {
    let title = &summary.experiment;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) ": lexmax report" }
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body {
                main {
                    h1 { (title) }
                    (facts::list(summary))
                    @for note in &summary.notes {
                        p.note { (note) }
                    }
                    (outputs(summary))
                    (operating_points(summary))
                    @if summary.failed_runs() > 0 {
                        h2 { "Failed runs" }
                        (table(&rows::failures(summary)))
                    }
                    h2 { "Charts" }
                    @if charts.is_empty() {
                        p.note { "No run left anything to draw." }
                    }
                    @for (title, svg) in charts {
                        figure aria-label=(title) { (PreEscaped(svg)) }
                    }
                    (configurations(summary))
                    h2 { "How to rebuild" }
                    p {
                        code { "lexmax report results/" (folder) }
                        " makes this page, its tables and its charts again from the records in " code { "runs/" }
                        ", with no training. Beside this page lie the table and one row per run as CSV and Parquet, the \
                         points of the learning curves as CSV, and every chart as SVG and PNG."
                    }
                }
            }
        }
    };
    // One element a line: a page that changes a little is a small difference to git.
    let mut text = page.into_string().replace("><", ">\n<");
    text.push('\n');
    text
}

fn outputs(summary: &Summary) -> Markup {
    html! {
        h2 { "Outputs" }
        @if summary.most_seeds() == 0 {
            p.note { "No run finished, so there are no figures to compare. The errors are below." }
        }
        p {
            "By rising test perplexity, outputs of the ranked test tokens first. "
            @match (summary.without_reference(), summary.reference) {
                (None, Some(reference)) => { "The reference is " b { (summary.outputs[reference].name) } "." }
                (why, _) => { (why.unwrap_or_default()) }
            }
            " Perplexities are exact, normalised over all classes; training time includes each layer's own set-up and \
             leaves evaluation out. ± is half the 95 % interval of the mean over seeds (Student t)."
        }
        (table(&rows::outputs(summary)))
        p.small {
            "↓: less is better; ↑: more is better. The column “Against the reference” compares the test loss on the seeds that both ran, by a paired t interval \
             at 95 %; where the interval covers zero, no difference is shown. Intervals are not adjusted for the number of \
             comparisons. “On the front”: no other output scored on the same test tokens both trains faster and has a \
             lower perplexity."
        }
    }
}

fn operating_points(summary: &Summary) -> Markup {
    html! {
        h2 { "Operating points" }
        @if let Some(why) = summary.without_reference() {
            p.note { (why) }
        } @else if let Some(reference) = summary.reference {
            p {
                "The output that trains fastest with a test perplexity within a tolerance of "
                b { (summary.outputs[reference].name) } "."
            }
            (table(&rows::operating_points(summary)))
        }
    }
}

fn table(table: &TextTable) -> Markup {
    let class = |numeric: bool| numeric.then_some("n");
    // Long texts break into lines; names, numbers and verdicts do not.
    let of_cell =
        |cell: &str, numeric: bool| class(numeric).or_else(|| (cell.chars().count() > 60).then_some("long"));
    html! {
        div.scroll {
            table {
                thead {
                    tr {
                        @for (head, numeric) in &table.columns {
                            th scope="col" class=[class(*numeric)] { (head) }
                        }
                    }
                }
                tbody {
                    @for (i, row) in table.rows.iter().enumerate() {
                        tr class=[(table.highlight == Some(i)).then_some("reference")] {
                            @for (column, (cell, (_, numeric))) in row.iter().zip(&table.columns).enumerate() {
                                @if column == 0 {
                                    th scope="row" class=[of_cell(cell, *numeric)] { (cell) }
                                } @else {
                                    td class=[of_cell(cell, *numeric)] { (cell) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The resolved configuration of each output; seeds that share one are named together.
fn configurations(summary: &Summary) -> Markup {
    html! {
        h2 { "Resolved configurations" }
        @for output in &summary.outputs {
            details {
                summary { (output.name) " " span.small { "(" (output.family) ")" } }
                @for (text, runs) in by_configuration(summary, output.finished.iter().chain(&output.failed)) {
                    p.small { (runs.join("; ")) }
                    pre { (text) }
                }
            }
        }
    }
}

/// Configurations without their seeds, each with the runs that had it.
fn by_configuration<'a>(
    summary: &Summary,
    runs: impl Iterator<Item = &'a usize>,
) -> Vec<(String, Vec<String>)> {
    let mut runs: Vec<usize> = runs.copied().collect();
    runs.sort_unstable();
    let mut found: BTreeMap<usize, (String, Vec<String>)> = BTreeMap::new();
    for i in runs {
        let record = &summary.records[i];
        let text = format!("{:#}", crate::load::without_seed(&record.run.config));
        let run = format!("seed {} is run {}", record.run.seed, record.run.id);
        match found.values_mut().find(|(other, _)| *other == text) {
            Some((_, runs)) => runs.push(run),
            None => {
                found.insert(i, (text, vec![run]));
            }
        }
    }
    found.into_values().collect()
}
