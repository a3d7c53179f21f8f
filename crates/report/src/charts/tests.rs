//! Every chart of every kind of experiment: no label covers another or leaves the page, whatever is
//! missing.

mod positions;

use super::drawing::{Bounds, Drawing, Shape, WIDTH};
use super::{Chart, all, font, growth, labels, pareto};
use crate::ReportOptions;
use crate::load::select;
use crate::summary::Summary;
use crate::synthetic::{self, OUTPUTS, broken, run};
use lexmax_records::RunRecord;

fn charts(records: Vec<RunRecord>) -> Vec<Chart> {
    let summary = Summary::new(select(records), &ReportOptions::default());
    all(&summary.unwrap_or_else(|error| panic!("{error}")))
}

pub(crate) fn texts(drawing: &Drawing) -> Vec<(&str, Bounds)> {
    drawing
        .shapes
        .iter()
        .filter_map(|shape| match shape {
            Shape::Text { at, text, size, align, upwards, .. } => {
                Some((text.as_str(), font::text_bounds(*at, text, *size, *align, *upwards)))
            }
            _ => None,
        })
        .collect()
}

/// Holds a chart to the rules of legibility.
pub(crate) fn assert_legible(chart: &Chart) {
    let page = Bounds { left: 0.0, top: 0.0, right: WIDTH, bottom: chart.drawing.height };
    let texts = texts(&chart.drawing);
    for (i, (text, bounds)) in texts.iter().enumerate() {
        assert!(page.contains(bounds), "{}: {text:?} is cut off: {bounds:?}", chart.file);
        for (other, others) in &texts[..i] {
            assert_eq!(bounds.overlap(others), 0.0, "{}: {text:?} covers {other:?}", chart.file);
        }
    }
    for shape in &chart.drawing.shapes {
        // The line to a name and the Pareto front run through no text.
        if let Shape::Line { points, ink, .. } = shape
            && [labels::LEADER, pareto::FRONT].contains(ink)
        {
            for (pair, (text, bounds)) in points.windows(2).flat_map(|p| texts.iter().map(move |t| (p, t))) {
                let through = labels::within((pair[0], pair[1]), bounds);
                assert_eq!(through, 0.0, "{}: a line runs through {text:?}", chart.file);
            }
        }
        let points = match shape {
            Shape::Line { points, .. } | Shape::Area { points, .. } => points.clone(),
            Shape::Disc { centre, radius, .. } => {
                vec![(centre.0 - radius, centre.1 - radius), (centre.0 + radius, centre.1 + radius)]
            }
            Shape::Text { size, .. } => {
                assert!(*size >= 14.0);
                Vec::new()
            }
        };
        for (x, y) in points {
            let inside = (0.0..=WIDTH).contains(&x) && (0.0..=chart.drawing.height).contains(&y);
            assert!(inside, "{}: ({x}, {y}) is off the page", chart.file);
        }
    }
}

#[test]
fn twelve_outputs_of_five_families_are_legible() {
    let charts = charts(synthetic::many());
    assert_eq!(charts.iter().map(|chart| chart.file).collect::<Vec<_>>(), super::FILES);
    for chart in &charts {
        assert_legible(chart);
        // Every output is named in every chart.
        for (name, ..) in OUTPUTS {
            assert!(texts(&chart.drawing).iter().any(|text| text.0 == name), "{}: {name}", chart.file);
        }
    }
}

#[test]
fn one_output_with_one_seed_is_drawn() {
    let charts = charts(vec![run(OUTPUTS[0], 1)]);
    assert_eq!(charts.len(), 5);
    charts.iter().for_each(assert_legible);
}

#[test]
fn one_point_of_a_curve_is_drawn() {
    let mut record = run(OUTPUTS[0], 1);
    record.curve.truncate(1);
    let charts = charts(vec![record]);
    assert_eq!(charts[0].file, "learning_curves");
    assert_legible(&charts[0]);
    let discs = |drawing: &Drawing| drawing.shapes.iter().filter(|s| matches!(s, Shape::Disc { .. })).count();
    // Rim and marker in the legend, rim and marker on the point.
    assert_eq!(discs(&charts[0].drawing), 4);
}

#[test]
fn zeros_do_not_vanish() {
    let mut records = vec![run(OUTPUTS[0], 1), run(OUTPUTS[9], 1)];
    let result = records[1].result_mut().unwrap_or_else(|| panic!("finished"));
    result.train_tokens_per_second = 0.0;
    result.peak_memory_bytes = Some(0);
    result.layer_ms = 0.0;
    let charts = charts(records);
    let has = |file: &str, words: &str| {
        let chart = charts.iter().find(|chart| chart.file == file).unwrap_or_else(|| panic!("{file}"));
        assert_legible(chart);
        assert!(texts(&chart.drawing).iter().any(|text| text.0.contains(words)), "{file}: {words}");
    };
    has("pareto", "adaptive 2000,10000 (0 tokens/s)");
    has("memory", "0 MiB");
    has("layer_time", "0 ms");
}

#[test]
fn where_all_failed_only_the_curves_are_left() {
    let records: Vec<_> = OUTPUTS.iter().map(|&output| broken(run(output, 1), 12)).collect();
    let charts = charts(records);
    assert_eq!(charts.iter().map(|chart| chart.file).collect::<Vec<_>>(), ["learning_curves"]);
    assert_legible(&charts[0]);
    let mut silent = broken(run(OUTPUTS[0], 1), 0);
    silent.curve.clear();
    assert!(self::charts(vec![silent]).is_empty());
}

#[test]
fn long_names_crowds_and_wild_values_stay_on_the_page() {
    let mut records = Vec::new();
    for i in 0..14_u8 {
        let mut record = run(OUTPUTS[usize::from(i) % 12], u64::from(i));
        record.run.name = format!("an output with a name that is far too long for any legend, number {i}");
        let loss = 5.0 + 0.002 * f64::from(i);
        synthetic::set_loss(&mut record, if i == 13 { 4.0 * loss } else { loss });
        let Some(result) = record.result_mut() else { continue };
        result.train_tokens_per_second = 5_000.0 + 10.0 * f64::from(i % 3);
        if i == 13 {
            result.train_tokens_per_second = f64::INFINITY;
            record.curve[3].valid_nll = f64::INFINITY;
            record.curve[5].valid_nll = 700.0;
        }
        records.push(record);
    }
    for chart in charts(records) {
        if chart.file == "pareto" {
            // Fourteen full-width names on one spot have no room; the next test has the crowd.
            continue;
        }
        assert_legible(&chart);
    }
}

#[test]
fn a_crowd_of_points_keeps_its_names_apart() {
    let records: Vec<_> = (0..14)
        .map(|i| {
            let mut record = run(OUTPUTS[i % 12], 1);
            record.run.name = format!("sampled S={}", 16 << i);
            synthetic::set_loss(&mut record, 5.0 + 0.01 * (i % 5) as f64);
            let Some(result) = record.result_mut() else { return record };
            result.train_tokens_per_second = 5_000.0 + 150.0 * (i / 5) as f64;
            record
        })
        .collect();
    let charts = charts(records);
    let pareto = charts.iter().find(|chart| chart.file == "pareto").unwrap_or_else(|| panic!("pareto"));
    assert_legible(pareto);
}

#[test]
fn lines_over_the_vocabulary_are_legible_many_or_one() {
    let names = [
        "full, lexmax",
        "full, other",
        "adaptive, lexmax",
        "sampled, lexmax",
        "huffman, lexmax",
        "mos, other",
    ];
    let series = |names: &[&str]| -> Vec<growth::Series> {
        let points =
            |i: usize| [1e4, 33_278.0, 1e5, 267_735.0, 1e6].map(|v| (v, 1e-3 * v * (i + 1) as f64)).into();
        names
            .iter()
            .enumerate()
            .map(|(i, name)| growth::Series {
                name: (*name).into(),
                family: "full".into(),
                points: points(i),
            })
            .collect()
    };
    let words = growth::Words { file: "time", title: "Time", explanation: "Medians.", axis: "ms, log scale" };
    for series in [series(&names), series(&names[..1])] {
        assert_legible(&growth::chart(&series, &words).unwrap_or_else(|| panic!("a chart")));
    }
    let mut point = series(&names[..1]);
    point[0].points.truncate(1);
    assert!(growth::chart(&point, &words).is_none());
}
