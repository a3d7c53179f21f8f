//! The list at the head of the page: what ran, on what, where and when.

use lexmax_records::{CorpusFacts, Environment};
use maud::{Markup, html};

use crate::format::{utc, whole};
use crate::summary::Summary;

/// The list; a term whose runs differ has a line for each.
pub fn list(summary: &Summary) -> Markup {
    let records = || summary.records.iter().map(|record| &record.run);
    let mut facts = vec![
        ("Runs", vec![counts(summary)]),
        ("Corpus", distinct(records().map(|run| corpus(&run.corpus)))),
        ("Machine", distinct(records().map(|run| machine(&run.environment)))),
        ("Build", distinct(records().map(|run| build(&run.environment)))),
    ];
    let starts = || records().map(|run| run.started_unix);
    if let (Some(first), Some(last)) = (starts().min(), starts().max()) {
        let when = if first == last { utc(first) } else { format!("{} to {}", utc(first), utc(last)) };
        facts.push(("Started", vec![when]));
    }
    html! {
        dl.facts {
            @for (term, lines) in &facts {
                div {
                    dt { (term) }
                    dd {
                        @for (i, line) in lines.iter().enumerate() {
                            @if i > 0 { br; }
                            (line)
                        }
                    }
                }
            }
        }
    }
}

fn counts(summary: &Summary) -> String {
    let finished = summary.outputs.iter().map(|output| output.finished.len()).sum::<usize>();
    let count = |n: usize, noun: &str| format!("{n} {noun}{}", if n == 1 { "" } else { "s" });
    format!(
        "{finished} finished, {} failed; {}, up to {}",
        summary.failed_runs(),
        count(summary.outputs.len(), "output"),
        count(summary.most_seeds(), "finished seed"),
    )
}

fn corpus(facts: &CorpusFacts) -> String {
    format!(
        "{}: {} classes; {} training, {} validation and {} test tokens (hash {})",
        facts.name,
        whole(facts.vocab_size as f64),
        whole(facts.train_tokens as f64),
        whole(facts.valid_tokens as f64),
        whole(facts.test_tokens as f64),
        facts.hash
    )
}

fn machine(environment: &Environment) -> String {
    let e = environment;
    let memory = e
        .memory_bytes
        .map_or("unknown".to_owned(), |bytes| format!("{:.1} GiB", bytes as f64 / (1_u64 << 30) as f64));
    format!(
        "{}, {} of {} cores, {memory} memory, {}; device {}, {}",
        e.cpu, e.threads, e.cores, e.os, e.device, e.dtype
    )
}

fn build(environment: &Environment) -> String {
    let e = environment;
    let commit = e.commit.as_deref().map_or("no commit known".into(), |commit| format!("commit {commit}"));
    let products = e.products.as_deref().map_or(String::new(), |name| format!(", products by {name}"));
    format!("lexmax {} ({commit}), libtorch {}{products}", e.lexmax, e.libtorch)
}

/// Each line once, in the order of the records.
fn distinct(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for line in lines {
        if !found.contains(&line) {
            found.push(line);
        }
    }
    found
}
