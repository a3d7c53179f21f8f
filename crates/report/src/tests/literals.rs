//! One made-up record, every figure of which differs from every other, read back from the tables by
//! the names of their columns: a swapped figure cannot hide.

use lexmax_records::{Band, BandedNll, LossPath, RunRecord, RunResult, RunStatus};

use super::*;

/// Two outputs and two seeds; every figure of `candidate` differs from every other.
fn records() -> Vec<RunRecord> {
    let mut records = Vec::new();
    // Nats for 1,000 tokens: ln 200 and ln 202 for the reference, half a nat and 0.52 less for the
    // candidate.
    for (output, family, seed, nats) in [
        ("full", "full", 1, 5298.317366548036),
        ("full", "full", 2, 5308.267697401205),
        ("candidate", "sampled", 1, 4798.317366548036),
        ("candidate", "sampled", 2, 4788.267697401205),
    ] {
        let mut record = run(OUTPUTS[0], seed);
        let extra = seed as f64 - 1.0;
        record.run.name = output.into();
        record.run.family = family.into();
        record.run.config["output"] = output.into();
        record.run.id = lexmax_records::RunId::of_config(&record.run.config);
        record.status = RunStatus::Finished(RunResult {
            test: BandedNll::from_exact(vec![Band { from: 0, to: 33_278, nats, tokens: 1_000 }]),
            eval_batch: 10,
            ignored_class: None,
            ignored_test_tokens: 0,
            valid_nll: 4.75,
            true_test_nll: Some(4.5),
            train_seconds: 61.0 + extra,
            setup_seconds: 1.25,
            steps: 2_000,
            tokens: 1_400_000,
            train_tokens_per_second: 23_000.0 + 200.0 * extra,
            eval_tokens_per_second: 45_000.0,
            layer_ms: 3.25,
            gflop_per_step: Some(2.5),
            dropped_mass: Some(0.125),
            compute_path: Some(LossPath::Fused),
            top_k_ms: 5.75,
            top_k_rows: 20,
            parameters: 14_000_000,
            layer_parameters: 6_500_000,
            peak_memory_bytes: Some(300 << 20),
        });
        records.push(record);
    }
    records
}

/// The first row whose first cell is the candidate's name, by column.
fn cells<'a>(rows: &[Vec<&'a str>], names: &str) -> Vec<(&'a str, &'a str)> {
    let at = rows[0].iter().position(|head| *head == names).unwrap();
    let row = rows.iter().find(|row| row[at] == "candidate").unwrap();
    let heads = rows[0].iter().map(|head| head.trim_end_matches(['↓', '↑', ' ']));
    heads.zip(row.iter().copied()).collect()
}

fn assert_holds(cells: &[(&str, &str)], expected: &[(&str, &str)]) {
    for (head, value) in expected {
        let found =
            cells.iter().find(|(name, _)| name == head).unwrap_or_else(|| panic!("{head} in {cells:?}"));
        let same = found.1 == *value
            || matches!((found.1.parse::<f64>(), value.parse::<f64>()), (Ok(a), Ok(b)) if (a - b).abs() < 5e-5);
        assert!(same, "{head}: {} for {value}", found.1);
    }
}

// Perplexities 200 e^-0.5 = 121.306 and 202 e^-0.52 = 120.093: half width 12.7062 * 0.6065 = 7.706.
// Differences -0.50 and -0.52 nats: half width 12.7062 * 0.01 = 0.127.

#[test]
fn markdown_row_holds_the_figures_under_their_heads() {
    let table = crate::markdown::table(&summary(records()));
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert_holds(
        &cells(&rows, "Output"),
        &[
            ("Family", "sampled"),
            ("Runs finished", "2"),
            ("Runs failed", "0"),
            ("Test perplexity", "120.7 ± 7.7"),
            ("Test tokens scored", "1,000"),
            ("Change from the reference", "−40.0 %"),
            ("Against the reference, paired seeds", "better (−0.51 ± 0.13 nats, 2 seeds)"),
            ("Excess nats / token", "0.293 ± 0.064"),
            ("Training time s", "61.5"),
            ("Steps", "2,000"),
            ("Training tokens", "1,400,000"),
            ("Training speed tokens/s", "23,100"),
            ("Evaluation speed tokens/s", "45,000"),
            ("Output layer ms / step", "3.25"),
            ("Output layer counted GFLOP / step", "2.50"),
            ("Mass dropped by the filter", "0.125"),
            ("Exact top 10 ms", "5.75"),
            ("Top 10 batch rows", "20"),
            ("Layer parameters M", "6.50"),
            ("All parameters M", "14.0"),
            ("Peak memory MiB", "300"),
            ("On the front", "yes"),
        ],
    );
    let reference = rows.iter().find(|row| row[0] == "**full**").unwrap();
    assert!(reference.contains(&"reference") && reference.contains(&"201 ± 13"), "{reference:?}");
}

#[test]
fn csv_rows_hold_the_figures_under_their_keys() {
    let summary = summary(records());
    let csv = |frame| String::from_utf8(crate::tables::csv("table.csv", frame).unwrap()).unwrap();
    let split = |text: &str| -> Vec<Vec<String>> {
        text.lines()
            .map(|line| line.replace(", 2 seeds", "; 2 seeds").split(',').map(str::to_owned).collect())
            .collect()
    };
    let outputs = split(&csv(crate::tables::outputs(&summary)));
    let view: Vec<Vec<&str>> = outputs.iter().map(|row| row.iter().map(String::as_str).collect()).collect();
    assert_holds(
        &cells(&view, "output"),
        &[
            ("family", "sampled"),
            ("runs_finished", "2"),
            ("runs_failed", "0"),
            ("test_perplexity", "120.6996"),
            ("test_perplexity_ci95", "7.7062"),
            ("test_tokens_scored", "1000"),
            ("perplexity_change_percent", "-39.9504"),
            ("verdict", "\"better (−0.51 ± 0.13 nats; 2 seeds)\""),
            ("excess_nats", "0.2933"),
            ("excess_nats_ci95", "0.0638"),
            ("train_seconds", "61.5"),
            ("train_tokens_per_second", "23100"),
            ("train_tokens_per_second_ci95", "1270.6205"),
            ("peak_memory_bytes", "314572800"),
            ("on_front", "true"),
        ],
    );
    let runs = split(&csv(crate::tables::runs(&summary.records)));
    let view: Vec<Vec<&str>> = runs.iter().map(|row| row.iter().map(String::as_str).collect()).collect();
    // Scripts cut these by number.
    assert_eq!((view[0][2], view[0][11]), ("output", "test_tokens_scored"));
    assert_holds(
        &cells(&view, "output"),
        &[
            ("experiment", "synthetic"),
            ("seed", "1"),
            ("started_unix", "1760000070"),
            ("state", "finished"),
            ("error", ""),
            ("failed_step", ""),
            ("test_nll", "4.7983"),
            ("test_perplexity", "121.3061"),
            ("test_tokens_scored", "1000"),
            ("valid_nll", "4.75"),
            ("true_test_nll", "4.5"),
            ("excess_nats", "0.2983"),
            ("train_seconds", "61"),
            ("setup_seconds", "1.25"),
            ("steps", "2000"),
            ("tokens", "1400000"),
            ("train_tokens_per_second", "23000"),
            ("eval_tokens_per_second", "45000"),
            ("layer_ms", "3.25"),
            ("gflop_per_step", "2.5"),
            ("dropped_mass", "0.125"),
            ("top_k_ms", "5.75"),
            ("top_k_rows", "20"),
            ("layer_parameters", "6500000"),
            ("parameters", "14000000"),
            ("peak_memory_bytes", "314572800"),
            ("compute_path", "fused"),
        ],
    );
}
