//! The numbers that CLINC150 and Banking77 must give.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use common::{Folder, shared};
use lexmax_dataset::{
    Dataset, DatasetOptions, Punctuation, RepeatCounts, Split, Tail, Valid, WordOptions, build,
};

fn cleaned(train: &Path, valid: Valid, test: &Path) -> DatasetOptions {
    let words = WordOptions { lower: true, punctuation: Punctuation::Drop, ..WordOptions::default() };
    DatasetOptions { words, ..DatasetOptions::new(vec![train.into()], valid, vec![test.into()]) }
}

fn clinc(data: &Path) -> DatasetOptions {
    let valid = Valid::Files(vec![data.join("val.tsv.gz")]);
    cleaned(&data.join("train.tsv.gz"), valid, &data.join("test.tsv.gz"))
}

fn sizes(dataset: &Dataset) -> [usize; 3] {
    Split::ALL.map(|split| dataset.examples(split).len())
}

/// Examples of each class.
fn of_classes(dataset: &Dataset, split: Split) -> Vec<u64> {
    let mut counts = vec![0; dataset.classes().len()];
    dataset.examples(split).classes().iter().for_each(|&class| counts[class as usize] += 1);
    counts
}

#[test]
fn clinc150_full_has_its_sizes_and_repeats() {
    let Some(data) = shared("clinc150/full") else { return };
    let folder = Folder::new();
    let start = Instant::now();
    let dataset = folder.build(&clinc(&data)).unwrap();
    eprintln!("built in {:.2} s", start.elapsed().as_secs_f64());
    assert_eq!(sizes(&dataset), [15_000, 3_000, 4_500]);
    assert_eq!(dataset.classes().counts(), [100; 150]);
    assert!(of_classes(&dataset, Split::Valid).iter().all(|&count| count == 20));
    assert!(of_classes(&dataset, Split::Test).iter().all(|&count| count == 30));
    let repeats = dataset.info().repeats;
    assert_eq!(repeats.test, RepeatCounts { same_label: 17, other_label: 2 });
    assert_eq!(repeats.train, RepeatCounts { same_label: 28, other_label: 0 });
    assert_eq!(dataset.examples(Split::Test).repeats().len(), 19);
    // The typographic apostrophe of 21 rows is the plain one.
    assert!((0..dataset.words().len() as u32).all(|word| !dataset.words().word(word).contains('\u{2019}')));
    assert!(dataset.words().id("i'm").is_some() && dataset.words().id("what's").is_some());
    // The files are sorted by class; the first thousand examples are not.
    let mut first = dataset.examples(Split::Train).classes()[..1000].to_vec();
    first.sort_unstable();
    first.dedup();
    assert!(first.len() > 140, "{} classes", first.len());
}

#[test]
fn clinc150_imbalanced_is_a_subset_by_steps_of_25() {
    let Some(data) = shared("clinc150/imbalanced") else { return };
    let folder = Folder::new();
    let dataset = folder.build(&clinc(&data)).unwrap();
    assert_eq!(sizes(&dataset), [10_525, 3_000, 4_500]);
    let mut steps = HashMap::new();
    dataset.classes().counts().iter().for_each(|&count| *steps.entry(count).or_insert(0) += 1);
    assert_eq!(steps, HashMap::from([(25, 30), (50, 30), (75, 29), (100, 61)]));
}

#[test]
fn clinc150_tails_have_the_designed_counts() {
    let Some(data) = shared("clinc150/full") else { return };
    let folder = Folder::new();
    for (ratio, size, least, median) in [(10.0, 5_804, 10, 31), (50.0, 3_709, 2, 14), (100.0, 3_183, 1, 10)] {
        for order_seed in [1, 2] {
            let tail = Some(Tail::exponential(ratio, order_seed));
            let options = DatasetOptions { tail, ..clinc(&data) };
            let dataset = build(&options, &folder.path(&format!("tail-{ratio}-{order_seed}"))).unwrap();
            assert_eq!(sizes(&dataset), [size, 3_000, 4_500]);
            let counts = dataset.classes().counts();
            assert_eq!((counts[0], counts[149], counts[74]), (100, least, median));
            assert_eq!(dataset.info().changes.cut, 15_000 - size as u64);
        }
    }
}

#[test]
fn clinc150_out_of_scope_rows_are_left_out_by_label() {
    let Some(data) = shared("clinc150/full") else { return };
    let folder = Folder::new();
    let mut options = clinc(&data);
    options.train.push(data.join("oos_train.tsv.gz"));
    options.test.push(data.join("oos_test.tsv.gz"));
    let with = build(&options, &folder.path("with")).unwrap();
    assert_eq!((with.classes().len(), sizes(&with)), (151, [15_100, 3_000, 5_500]));
    options.exclude = vec!["oos".to_owned()];
    let without = build(&options, &folder.path("without")).unwrap();
    assert_eq!((without.classes().len(), sizes(&without)), (150, [15_000, 3_000, 4_500]));
    assert_eq!(without.info().changes.excluded, 1_100);
}

#[test]
fn clinc150_without_repeats_has_no_leak_and_the_same_test() {
    let Some(data) = shared("clinc150/full") else { return };
    let folder = Folder::new();
    let options = DatasetOptions { drop_repeats: true, ..clinc(&data) };
    let dataset = folder.build(&options).unwrap();
    let repeats = dataset.info().repeats;
    assert_eq!([repeats.train, repeats.valid, repeats.test].map(|counts| counts.rows()), [0, 0, 0]);
    let [train, valid, test] = sizes(&dataset);
    assert_eq!((valid, test), (3_000, 4_500));
    assert_eq!(dataset.info().changes.dropped, 15_000 - train as u64);
    assert!((14_900..14_972).contains(&train), "{train}");
}

#[test]
fn banking77_has_its_sizes_repeats_and_signs() {
    let Some(data) = shared("banking77") else { return };
    let folder = Folder::new();
    let (train, test) = (data.join("train.tsv.gz"), data.join("test.tsv.gz"));
    let dataset = build(&cleaned(&train, Valid::None, &test), &folder.path("whole")).unwrap();
    assert_eq!((sizes(&dataset), dataset.classes().len()), ([10_003, 0, 3_080], 77));
    let counts = dataset.classes().counts();
    assert_eq!((counts[0], counts[38], counts[76]), (187, 127, 35));
    // Labels keep their capitals.
    assert!(dataset.classes().id("Refund_not_showing_up").is_some());
    assert_eq!(dataset.info().repeats.test, RepeatCounts { same_label: 25, other_label: 0 });
    // 31 where the signs of money are dropped: two pairs of texts differ by them alone.
    assert_eq!(dataset.info().repeats.train, RepeatCounts { same_label: 28, other_label: 1 });
    let signs = ["£", "€"].map(|sign| dataset.words().id(sign).unwrap());
    let with_sign = dataset
        .examples(Split::Train)
        .iter()
        .filter(|(words, _)| words.iter().any(|word| signs.contains(word)));
    assert_eq!(with_sign.count(), 49);

    // Five texts begin with a quotation mark: no quoting in TSV files.
    let plain = DatasetOptions::new(vec![train.clone()], Valid::None, vec![test.clone()]);
    let plain = build(&plain, &folder.path("plain")).unwrap();
    assert_eq!(sizes(&plain), [10_003, 0, 3_080]);

    let held = build(&cleaned(&train, Valid::Share(0.1), &test), &folder.path("held")).unwrap();
    let [train, valid, test] = sizes(&held);
    assert_eq!((train + valid, test), (10_003, 3_080));
    for (of_train, of_valid) in held.classes().counts().iter().zip(of_classes(&held, Split::Valid)) {
        let all = (of_train + of_valid) as f64;
        assert!((of_valid as f64 - 0.1 * all).abs() <= 0.5, "{of_valid} of {all}");
    }
}
