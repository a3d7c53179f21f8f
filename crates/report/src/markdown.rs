//! The Markdown files.

use std::fmt::Write;

use crate::rows::{self, TextTable};
use crate::summary::Summary;

/// `table.md`: every output, then the runs that failed.
pub fn table(summary: &Summary) -> String {
    let mut out = format!("# {}\n\n", escape(&summary.experiment));
    for note in &summary.notes {
        let _ = writeln!(out, "> {}\n", escape(note));
    }
    out.push_str(&of(&rows::outputs(summary)));
    out.push('\n');
    out.push_str(
        "Perplexities are exact: normalised over all classes. ± is half the 95 % interval over seeds (Student t). ↓: less \
         is better; ↑: more is better.\n",
    );
    if summary.failed_runs() > 0 {
        out.push_str("\n## Failed runs\n\n");
        out.push_str(&of(&rows::failures(summary)));
    }
    out
}

/// `operating_points.md`.
pub fn operating_points(summary: &Summary) -> String {
    let mut out = format!("# {}: operating points\n\n", escape(&summary.experiment));
    if let Some(why) = summary.without_reference() {
        let _ = writeln!(out, "{}", escape(&why));
    } else if let Some(reference) = summary.reference {
        let _ = writeln!(
            out,
            "Fastest training within a tolerance of the test perplexity of {}.\n",
            escape(&summary.outputs[reference].name)
        );
        out.push_str(&of(&rows::operating_points(summary)));
    }
    out
}

/// A table as Markdown.
pub fn of(table: &TextTable) -> String {
    let mut out = String::new();
    let mut line = |cells: &mut dyn Iterator<Item = String>| {
        out.push('|');
        for cell in cells {
            let _ = write!(out, " {cell} |");
        }
        out.push('\n');
    };
    line(&mut table.columns.iter().map(|(head, _)| escape(head)));
    line(&mut table.columns.iter().map(|&(_, numeric)| if numeric { "---:" } else { "---" }.into()));
    for (i, row) in table.rows.iter().enumerate() {
        let bold = table.highlight == Some(i);
        line(&mut row.iter().enumerate().map(|(column, cell)| match (column, bold) {
            (0, true) => format!("**{}**", escape(cell)),
            _ => escape(cell),
        }));
    }
    out
}

/// Text that Markdown takes as it is: no column, line, tag or emphasis can start in it.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\r' => out.push(' '),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' => {
                out.push('\\');
                out.push(character);
            }
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_cannot_break_the_table() {
        let table = TextTable {
            columns: vec![("A|B".into(), false), ("n".into(), true)],
            rows: vec![vec!["x\n<script>".into(), "1".into()], vec!["q_*".into(), "2".into()]],
            highlight: Some(1),
        };
        assert_eq!(
            of(&table),
            "| A\\|B | n |\n| --- | ---: |\n| x &lt;script&gt; | 1 |\n| **q\\_\\*** | 2 |\n"
        );
    }
}
