//! Puts the page together.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::escape;
use crate::format::{utc, whole};
use crate::rows::{self, TextTable};
use crate::summary::Summary;

/// The page with its charts, given as titles and SVG documents. `folder` is the name of the results folder.
pub fn page(summary: &Summary, charts: &[(String, String)], folder: &str) -> String {
    let title = escape(&summary.experiment);
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}: lexmax report</title>\n<style>\n{}</style>\n</head>\n<body>\n<main>\n\
         <h1>{title}</h1>\n",
        include_str!("style.css")
    );
    facts(&mut out, summary);
    for note in &summary.notes {
        let _ = writeln!(out, "<p class=\"note\">{}</p>", escape(note));
    }
    outputs(&mut out, summary);
    operating_points(&mut out, summary);
    if summary.failed_runs() > 0 {
        out.push_str("<h2>Failed runs</h2>\n");
        table(&mut out, &rows::failures(summary));
    }
    out.push_str("<h2>Charts</h2>\n");
    if charts.is_empty() {
        out.push_str("<p class=\"note\">No run left anything to draw.</p>\n");
    }
    for (title, svg) in charts {
        let _ = writeln!(out, "<figure aria-label=\"{}\">\n{svg}</figure>", escape(title));
    }
    configurations(&mut out, summary);
    let _ = write!(
        out,
        "<h2>How to rebuild</h2>\n<p><code>lexmax report results/{}</code> makes this page, its tables and its charts \
         again from the records in <code>runs/</code>, with no training. Beside this page lie the table and one row per \
         run as CSV and Parquet, the points of the learning curves as CSV, and every chart as SVG and PNG.</p>\n\
         </main>\n</body>\n</html>\n",
        escape(folder)
    );
    out
}

/// What ran, on what, where and when.
fn facts(out: &mut String, summary: &Summary) {
    let finished = summary.outputs.iter().map(|output| output.finished.len()).sum::<usize>();
    let count = |n: usize, noun: &str| format!("{n} {noun}{}", if n == 1 { "" } else { "s" });
    let mut rows: Vec<(&str, String)> = vec![(
        "Runs",
        format!(
            "{} finished, {} failed; {}, up to {}",
            finished,
            summary.failed_runs(),
            count(summary.outputs.len(), "output"),
            count(summary.most_seeds(), "finished seed"),
        ),
    )];
    let mut corpora = Vec::new();
    let mut machines = Vec::new();
    let mut builds = Vec::new();
    for record in &summary.records {
        let (c, e) = (&record.run.corpus, &record.run.environment);
        let gib = e.memory_bytes.unwrap_or(0) as f64 / (1u64 << 30) as f64;
        let corpus = format!(
            "{}: {} classes; {} training, {} validation and {} test tokens (hash {})",
            c.name,
            whole(c.vocab_size as f64),
            whole(c.train_tokens as f64),
            whole(c.valid_tokens as f64),
            whole(c.test_tokens as f64),
            c.hash
        );
        let machine = format!(
            "{}, {} of {} cores, {gib:.1} GiB memory, {}; device {}, {}",
            e.cpu, e.threads, e.cores, e.os, e.device, e.dtype
        );
        let build = format!(
            "lexmax {} ({}), libtorch {}",
            e.lexmax,
            e.commit.as_deref().map_or("no commit known".into(), |commit| format!("commit {commit}")),
            e.libtorch
        );
        for (list, item) in [(&mut corpora, corpus), (&mut machines, machine), (&mut builds, build)] {
            if !list.contains(&item) {
                list.push(item);
            }
        }
    }
    rows.extend([
        ("Corpus", corpora.join("\n")),
        ("Machine", machines.join("\n")),
        ("Build", builds.join("\n")),
    ]);
    let starts = || summary.records.iter().map(|record| record.run.started_unix);
    if let (Some(first), Some(last)) = (starts().min(), starts().max()) {
        let when = if first == last { utc(first) } else { format!("{} to {}", utc(first), utc(last)) };
        rows.push(("Started", when));
    }
    out.push_str("<dl class=\"facts\">\n");
    for (term, text) in rows {
        let text = escape(&text).replace('\n', "<br>");
        let _ = writeln!(out, "<div><dt>{term}</dt><dd>{text}</dd></div>");
    }
    out.push_str("</dl>\n");
}

fn outputs(out: &mut String, summary: &Summary) {
    out.push_str("<h2>Outputs</h2>\n");
    if summary.most_seeds() == 0 {
        out.push_str(
            "<p class=\"note\">No run finished, so there are no figures to compare. The errors are below.</p>\n",
        );
    }
    let reference = match (summary.without_reference(), summary.reference) {
        (None, Some(reference)) => {
            format!("The reference is <b>{}</b>.", escape(&summary.outputs[reference].name))
        }
        (why, _) => escape(&why.unwrap_or_default()),
    };
    let _ = writeln!(
        out,
        "<p>By rising test perplexity. {reference} Perplexities are exact, normalised over all classes; training time \
         includes each layer's own set-up and leaves evaluation out. ± is half the 95 % interval of the mean over seeds \
         (Student t).</p>"
    );
    table(out, &rows::outputs(summary));
    out.push_str(
        "<p class=\"small\">The column “Against the reference” compares the test loss on the seeds that both ran, by a paired t interval at \
         95 %; where the interval covers zero, no difference is shown. Intervals are not adjusted for the number of \
         comparisons. “On the front”: no other output both trains faster and has a lower perplexity.</p>\n",
    );
}

fn operating_points(out: &mut String, summary: &Summary) {
    out.push_str("<h2>Operating points</h2>\n");
    if let Some(why) = summary.without_reference() {
        let _ = writeln!(out, "<p class=\"note\">{}</p>", escape(&why));
    } else if let Some(reference) = summary.reference {
        let _ = writeln!(
            out,
            "<p>The output that trains fastest with a test perplexity within a tolerance of <b>{}</b>.</p>",
            escape(&summary.outputs[reference].name)
        );
        table(out, &rows::operating_points(summary));
    }
}

fn table(out: &mut String, table: &TextTable) {
    out.push_str("<div class=\"scroll\"><table>\n<thead><tr>");
    let class = |numeric: bool| if numeric { " class=\"n\"" } else { "" };
    // Long texts break into lines; names, numbers and verdicts do not.
    let long = |cell: &str| if cell.chars().count() > 60 { " class=\"long\"" } else { "" };
    for (head, numeric) in &table.columns {
        let _ = write!(out, "<th scope=\"col\"{}>{}</th>", class(*numeric), escape(head));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for (i, row) in table.rows.iter().enumerate() {
        out.push_str(if table.highlight == Some(i) { "<tr class=\"reference\">" } else { "<tr>" });
        for (column, (cell, (_, numeric))) in row.iter().zip(&table.columns).enumerate() {
            let class = if *numeric { class(true) } else { long(cell) };
            let cell = escape(cell);
            let _ = match column {
                0 => write!(out, "<th scope=\"row\"{class}>{cell}</th>"),
                _ => write!(out, "<td{class}>{cell}</td>"),
            };
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table></div>\n");
}

/// The resolved configuration of each output; seeds that share one are named together.
fn configurations(out: &mut String, summary: &Summary) {
    out.push_str("<h2>Resolved configurations</h2>\n");
    for output in &summary.outputs {
        let mut runs: Vec<usize> = output.finished.iter().chain(&output.failed).copied().collect();
        runs.sort_unstable();
        let mut by_config: BTreeMap<usize, (String, Vec<String>)> = BTreeMap::new();
        for i in runs {
            let record = &summary.records[i];
            let text = format!("{:#}", crate::load::without_seed(&record.run.config));
            let run = format!("seed {} is run {}", record.run.seed, record.run.id);
            match by_config.values_mut().find(|(other, _)| *other == text) {
                Some((_, runs)) => runs.push(run),
                None => {
                    by_config.insert(i, (text, vec![run]));
                }
            }
        }
        let _ = writeln!(
            out,
            "<details><summary>{} <span class=\"small\">({})</span></summary>",
            escape(&output.name),
            escape(&output.family)
        );
        for (text, runs) in by_config.values() {
            let _ = writeln!(
                out,
                "<p class=\"small\">{}</p>\n<pre>{}</pre>",
                escape(&runs.join("; ")),
                escape(text)
            );
        }
        out.push_str("</details>\n");
    }
}
