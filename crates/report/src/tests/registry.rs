//! The registry of figures: every table has its columns from there, and a figure that nobody has is
//! no number.

use std::collections::BTreeSet;

use super::*;
use crate::columns::{COLUMNS, ColumnValue, MEMORY};

#[test]
fn keys_and_heads_occur_once() {
    let keys: BTreeSet<&str> = COLUMNS.iter().map(|column| column.key).collect();
    assert_eq!(keys.len(), COLUMNS.len());
    let titles: Vec<String> =
        COLUMNS.iter().filter(|column| !column.head.is_empty()).map(crate::columns::Column::title).collect();
    assert_eq!(titles.iter().collect::<BTreeSet<_>>().len(), titles.len(), "{titles:?}");
}

#[test]
fn every_recorded_figure_has_a_column() {
    // Fields of a stored result that are no figures but say what was scored.
    let described = ["test", "eval_batch", "ignored_class"];
    let stored = serde_json::to_value(run(OUTPUTS[0], 1)).unwrap();
    for field in stored["result"].as_object().unwrap().keys().filter(|key| !described.contains(&key.as_str()))
    {
        assert!(COLUMNS.iter().any(|column| column.key == field), "{field}");
    }
}

#[test]
fn a_figure_that_a_run_lacks_is_null_and_has_no_mean() {
    let mut records = vec![run(OUTPUTS[0], 1), run(OUTPUTS[0], 2), run(OUTPUTS[7], 1)];
    records[1].result_mut().unwrap().peak_memory_bytes = None;
    let frame = crate::runs(&records).unwrap();
    assert_eq!(frame.column("peak_memory_bytes").unwrap().null_count(), 1);
    assert_eq!(frame.column("dropped_mass").unwrap().null_count(), 3);
    let summary = summary(records);
    let of = |name: &str| {
        let output = summary.outputs.iter().find(|output| output.name == name).unwrap();
        output.figures.as_ref().unwrap().of(&MEMORY)
    };
    assert_eq!(of("full"), None);
    assert!(of("huffman").unwrap().mean > 0.0);
    let table = crate::markdown::table(&summary);
    assert!(!table.contains("Mass dropped"), "no run filters: {table}");
    let charts = crate::charts::all(&summary);
    let memory = charts.iter().find(|chart| chart.file == "memory").unwrap();
    let told = crate::charts::tests::texts(&memory.drawing);
    assert!(told.iter().any(|(text, _)| *text == "Not measured: full."), "{told:?}");
}

#[test]
fn means_over_seeds_are_those_of_the_estimate() {
    let records = many();
    let means = crate::tables::means(&crate::runs(&records).unwrap()).unwrap();
    let names = means.column("output").unwrap().str().unwrap();
    for row in 0..means.height() {
        let finished = records.iter().filter(|record| record.run.name == names.get(row).unwrap());
        let results: Vec<_> = finished.filter_map(|record| record.result()).collect();
        for column in COLUMNS {
            let ColumnValue::Figure(get, _) = column.get else { continue };
            let values: Option<Vec<f64>> = results
                .iter()
                .map(|result| match get(result) {
                    crate::columns::Value::Real(value) => value,
                    crate::columns::Value::Count(value) => value.map(|count| count as f64),
                    other => panic!("{other:?}"),
                })
                .collect();
            let expected = values.and_then(|values| crate::stats::Estimate::of(&values));
            let found = |key: &str| means.column(key).unwrap().f64().unwrap().get(row);
            assert_eq!(found(column.key), expected.map(|e| e.mean), "{}", column.key);
            let half = expected.and_then(|e| e.half_width);
            assert_eq!(found(&crate::columns::interval_key(column.key)), half, "{}", column.key);
        }
    }
}

#[test]
fn a_frame_without_runs_has_the_columns_and_no_means() {
    let frame = crate::runs(&[]).unwrap();
    assert_eq!(frame.height(), 0);
    assert!(frame.column("layer_ms").is_ok());
    assert_eq!(crate::tables::means(&frame).unwrap().height(), 0);
}
