//! All machines side by side: one table of the ratios that have a target, the worst first.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use lexmax_records::write_atomically;
use lexmax_report::parts::{NONE, TextTable, markdown, significant};

use super::line::Line;
use super::machine;
use super::pairs::pairs;
use super::report::{read_environment, read_lines};
use super::table;

/// A machine with what it timed.
struct Machine {
    cpu: String,
    lines: Vec<Line>,
}

/// One row: what is compared, and the ratio and its limit on each machine.
struct Row {
    what: String,
    with: String,
    ratios: Vec<Option<(f64, f64, bool)>>,
}

impl Row {
    /// Ratio over its limit where that is worst.
    fn worst(&self) -> f64 {
        self.ratios.iter().flatten().map(|(ratio, limit, _)| ratio / limit).fold(0.0, f64::max)
    }
}

/// Writes `table.md` in the folder of all machines' results: a row for each target on time, a
/// column for each machine.
///
/// # Errors
/// No folder of a machine, a file that cannot be read or is none, a file system that refuses.
pub fn write_machines(results: &Path) -> Result<PathBuf> {
    let machines: Vec<Machine> = machine::folders(results)?
        .iter()
        .map(|folder| Ok(Machine { cpu: read_environment(folder)?.cpu, lines: read_lines(folder)? }))
        .collect::<Result<_>>()?;
    let path = results.join("table.md");
    write_atomically(&path, page(&machines).as_bytes())
        .with_context(|| format!("write {}", path.display()))?;
    Ok(path)
}

fn page(machines: &[Machine]) -> String {
    let mut rows: Vec<Row> = Vec::new();
    for (at, Machine { cpu, lines }) in machines.iter().enumerate() {
        for comparison in pairs(lines, cpu) {
            let (Some(limit), Some(ratio)) = (comparison.time_limit, comparison.ratio()) else { continue };
            let with = if comparison.ours.classes == comparison.other.classes {
                table::name(comparison.other)
            } else {
                "itself".to_owned()
            };
            let what = comparison.title.clone();
            let found = rows.iter().position(|row| row.what == what && row.with == with);
            let index = found.unwrap_or_else(|| {
                rows.push(Row { what, with, ratios: vec![None; machines.len()] });
                rows.len() - 1
            });
            rows[index].ratios[at] = Some((ratio, limit, comparison.noise().is_empty()));
        }
    }
    rows.sort_by(|a, b| b.worst().total_cmp(&a.worst()));
    let mut head = vec![("lexmax", false), ("over", false)];
    head.extend(machines.iter().map(|machine| (machine.cpu.as_str(), true)));
    let mut text = TextTable::new(&head);
    let cell = |ratio: &Option<(f64, f64, bool)>| match ratio {
        None => NONE.to_owned(),
        Some((ratio, limit, quiet)) => {
            let verdict = if ratio <= limit { "" } else { " (missed)" };
            let noise = if *quiet { "" } else { " ~" };
            format!("{}{noise} of {}{verdict}", significant(*ratio, 3), significant(*limit, 2))
        }
    };
    text.rows = rows
        .iter()
        .map(|row| {
            [row.what.clone(), row.with.clone()].into_iter().chain(row.ratios.iter().map(cell)).collect()
        })
        .collect();
    format!(
        "# lexmax beside other packages, machine by machine\n\n\
         Ratios of median times, each with the highest that its target allows; the worst rows first. `~`: the machine \
         was not quiet, or repetitions differed much. Each machine's folder has its times, quartiles and commit.\n\n{}",
        markdown(&text)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(variant: &str, side: &str, ms: f64) -> Line {
        Line {
            side: side.into(),
            layer: "full".into(),
            variant: variant.into(),
            task: "train".into(),
            corpus: None,
            rows: 1024,
            width: 256,
            classes: 33_278,
            threads: 2,
            software: String::new(),
            ms: vec![ms; 7],
            extra_bytes: None,
            busy: None,
            deviation: None,
            commit: None,
            error: None,
        }
    }

    #[test]
    fn machines_stand_side_by_side_with_the_worst_row_first() {
        let ours = || line("fused", "lexmax", 50.0);
        let machine = |cpu: &str, eager: f64, floor: Option<f64>| Machine {
            cpu: cpu.to_owned(),
            lines: [
                Some(ours()),
                Some(line("eager", "pytorch", eager)),
                floor.map(|ms| line("products", "lexmax", ms)),
            ]
            .into_iter()
            .flatten()
            .collect(),
        };
        // Over eager .5 of .75 on one and .5 of .45 on the other, over the products 1.25 of 1.1.
        let text = page(&[machine("Intel A", 100.0, Some(40.0)), machine("AMD B", 100.0, None)]);
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| full")).collect();
        assert_eq!(rows.len(), 2, "{text}");
        assert!(
            rows[0].contains("lexmax products") && rows[0].contains("1.25 of 1.1 (missed) | –"),
            "{text}"
        );
        assert!(rows[1].contains("0.500 of 0.75 | 0.500 of 0.45 (missed)"), "{text}");
    }
}
