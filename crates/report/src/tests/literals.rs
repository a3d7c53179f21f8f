//! One made-up record against the very words of the tables: a swapped column cannot hide.

use lexmax_records::{Band, BandedNll, RunRecord, RunResult, RunStatus};

use super::*;

/// Two outputs and two seeds; every figure of `candidate` differs from every other.
fn records() -> Vec<RunRecord> {
    let mut records = Vec::new();
    // Nats for 1,000 tokens: ln 200 and ln 202 for the reference, half a nat and 0.52 less for the candidate.
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
            gflop_per_step: None,
            dropped_mass: None,
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

#[test]
fn the_markdown_row_of_an_output_is_this() {
    let table = crate::markdown::table(&summary(records()));
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with('|')).collect();
    assert_eq!(
        rows[0],
        "| Output | Family | Runs finished / failed | Test perplexity | Change from the reference | Against the \
         reference, paired seeds | Excess nats / token | Training s | Steps | Training tokens | Training tokens/s | \
         Evaluation tokens/s | Output layer ms / step | Exact top 10 ms / 20 rows | Layer parameters M | All \
         parameters M | Peak memory MiB | On the front |"
    );
    // Perplexities 200 e^-0.5 = 121.306 and 202 e^-0.52 = 120.093: half width 12.7062 * 0.6065 = 7.706.
    // Differences -0.50 and -0.52 nats: half width 12.7062 * 0.01 = 0.127.
    assert_eq!(
        rows[2],
        "| candidate | sampled | 2 / 0 | 120.7 ± 7.7 | −40.0 % | better (−0.51 ± 0.13 nats, 2 seeds) | 0.293 ± 0.064 | \
         61.5 | 2,000 | 1,400,000 | 23,100 | 45,000 | 3.25 | 5.75 | 6.50 | 14.0 | 300 | yes |"
    );
    assert!(rows[3].starts_with("| **full** | full | 2 / 0 | 201 ± 13 | – | reference |"), "{}", rows[3]);
}

#[test]
fn the_csv_lines_of_an_output_and_of_a_run_are_these() {
    let summary = summary(records());
    let csv = |frame| String::from_utf8(crate::tables::csv("table.csv", frame).unwrap()).unwrap();
    let outputs = csv(crate::tables::outputs(&summary));
    let cells = |text: &str, line: usize| -> Vec<String> {
        text.lines().nth(line).unwrap().split(',').map(str::to_owned).collect()
    };
    let named = |text: &str, line: usize| -> Vec<String> {
        let pairs = cells(text, 0).into_iter().zip(cells(text, line));
        pairs.map(|(head, cell)| format!("{head}={}", rounded(&cell))).collect()
    };
    assert_eq!(
        named(&outputs, 1)[..22],
        [
            "output=candidate",
            "family=sampled",
            "runs_finished=2",
            "runs_failed=0",
            "test_perplexity=120.6996",
            "test_perplexity_ci95=7.7062",
            "perplexity_change_percent=-39.9504",
            "excess_nats=0.2933",
            "excess_nats_ci95=0.0638",
            "train_seconds=61.5000",
            "setup_seconds=1.2500",
            "steps=2000.0000",
            "tokens=1400000.0000",
            "train_tokens_per_second=23100.0000",
            "train_tokens_per_second_ci95=1270.6205",
            "eval_tokens_per_second=45000.0000",
            "layer_ms_per_step=3.2500",
            "top10_ms=5.7500",
            "layer_parameters_millions=6.5000",
            "parameters_millions=14.0000",
            "peak_memory_mib=300.0000",
            "on_front=true",
        ]
    );
    assert!(
        outputs.lines().nth(1).unwrap().ends_with(",\"better (−0.51 ± 0.13 nats, 2 seeds)\""),
        "{outputs}"
    );
    let runs = named(&csv(crate::tables::runs(&summary)), 1);
    assert_eq!(
        runs[1..27],
        [
            "experiment=synthetic",
            "output=candidate",
            "family=sampled",
            "seed=1",
            "started_unix=1760000070",
            "state=finished",
            "error=",
            "failed_step=",
            "test_nll=4.7983",
            "test_perplexity=121.3061",
            "test_tokens_scored=1000",
            "valid_nll=4.7500",
            "true_test_nll=4.5000",
            "excess_nats=0.2983",
            "train_seconds=61.0000",
            "setup_seconds=1.2500",
            "steps=2000",
            "tokens=1400000",
            "train_tokens_per_second=23000.0000",
            "eval_tokens_per_second=45000.0000",
            "layer_ms_per_step=3.2500",
            "top10_ms=5.7500",
            "top10_rows=20",
            "layer_parameters=6500000",
            "parameters=14000000",
            "peak_memory_bytes=314572800",
        ]
    );
}

/// A cell with a point has four decimals; others stay as they are.
fn rounded(cell: &str) -> String {
    match cell.parse::<f64>() {
        Ok(number) if cell.contains('.') => format!("{number:.4}"),
        _ => cell.to_owned(),
    }
}
