//! Prepared data sets: opened again, refused when damaged, made once.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::sync::Barrier;

use common::Folder;
use lexmax_corpus::prepared::hash_of_parts;
use lexmax_corpus::{CorpusError, Event, Observer};
use lexmax_dataset::{
    Dataset, DatasetError, DatasetInfo, DatasetOptions, Split, Valid, build, build_observed,
};

fn options(folder: &Folder) -> DatasetOptions {
    let train: String = (0..40).map(|at| format!("{}\tword {at} again\n", ["a", "b", "c"][at % 3])).collect();
    let test = "a\tword 3 again\nb\tsomething new\n";
    DatasetOptions::new(
        vec![folder.file("train.tsv", train)],
        Valid::EachClass(3),
        vec![folder.file("test.tsv", test)],
    )
}

#[test]
fn data_set_opens_as_it_was_built() {
    let folder = Folder::new();
    let built = folder.build(&options(&folder)).unwrap();
    let opened = Dataset::open(&folder.path("data")).unwrap();
    assert_eq!((built.hash(), built.info()), (opened.hash(), opened.info()));
    assert_eq!((opened.name(), opened.info().classes), ("data", 3));
    for split in Split::ALL {
        assert!(built.examples(split).iter().eq(opened.examples(split).iter()), "{split}");
        assert!(!opened.examples(split).is_empty());
    }
    // No path of the machine is in it.
    let info = std::fs::read_to_string(folder.path("data/dataset.toml")).unwrap();
    assert!(!info.contains(&*folder.0.path().to_string_lossy()), "{info}");
    assert_eq!(folder.names(), ["data", "test.tsv", "train.tsv"]);
}

#[test]
fn damage_of_any_file_is_found_and_named() {
    let folder = Folder::new();
    folder.build(&options(&folder)).unwrap();
    let data = folder.path("data");
    let names: Vec<String> = std::fs::read_dir(&data)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names.len(), 15);
    for name in names {
        let path = data.join(&name);
        let whole = std::fs::read(&path).unwrap();
        let mut damages = vec![[whole.as_slice(), b"\0\0\0\0"].concat()];
        if !whole.is_empty() {
            // A bit of the last byte, and of the first.
            for at in [whole.len() - 1, 0] {
                let mut bytes = whole.clone();
                bytes[at] ^= 1;
                damages.push(bytes);
            }
            damages.push(whole[..whole.len() / 2].to_vec());
        }
        for damaged in damages {
            std::fs::write(&path, damaged).unwrap();
            let error = Dataset::open(&data).unwrap_err().to_string();
            assert!(error.contains(&name), "{name}: {error}");
        }
        std::fs::remove_file(&path).unwrap();
        let error = Dataset::open(&data).unwrap_err().to_string();
        assert!(error.contains(&name), "{name}: {error}");
        std::fs::write(&path, whole).unwrap();
    }
    Dataset::open(&data).unwrap();
}

/// Writes other bytes into a file, and the hashes of them into `dataset.toml`.
fn forge(data: &Path, file: &str, forge: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut bytes = std::fs::read(data.join(file)).unwrap();
    forge(&mut bytes);
    std::fs::write(data.join(file), &bytes).unwrap();
    let text = std::fs::read_to_string(data.join("dataset.toml")).unwrap();
    let mut info: DatasetInfo = toml::from_str(&text).unwrap();
    let hash = hash_of_parts([(file.to_owned(), bytes.as_slice())]);
    info.contents.insert(file.to_owned(), hash);
    let mut files = vec!["words.tsv".to_owned(), "classes.tsv".to_owned()];
    for split in Split::ALL {
        files.extend(["words", "ends", "classes", "repeats"].map(|array| format!("{split}.{array}.bin")));
    }
    let contents: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(data.join(file)).unwrap()).collect();
    info.hash = hash_of_parts(files.into_iter().zip(contents.iter().map(Vec::as_slice)));
    std::fs::write(data.join("dataset.toml"), toml::to_string(&info).unwrap()).unwrap();
    let error = Dataset::open(data).unwrap_err();
    assert!(matches!(error, DatasetError::Damaged { .. }), "{error}");
    error.to_string()
}

#[test]
fn forged_numbers_that_cannot_be_are_refused() {
    let put = |at: usize, number: u32| {
        move |bytes: &mut Vec<u8>| bytes[4 * at..4 * at + 4].copy_from_slice(&number.to_le_bytes())
    };
    let forged = |file: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let folder = Folder::new();
        folder.build(&options(&folder)).unwrap();
        forge(&folder.path("data"), file, change)
    };
    assert!(
        forged("test.words.bin", &put(1, 999))
            .contains("test.words.bin: number 999 at place 1; expected numbers below")
    );
    assert!(forged("valid.classes.bin", &put(0, 3)).contains("valid.classes.bin: number 3 at place 0"));
    // Rows of three words each: the second would end where the first does.
    assert!(
        forged("train.ends.bin", &put(2, 3))
            .contains("train.ends.bin: row 1 ends at word 3; expected more than 3")
    );
    assert!(forged("test.repeats.bin", &put(0, 2)).contains("test.repeats.bin: number 2 at place 0"));
    let swap = |bytes: &mut Vec<u8>| {
        let other = bytes.chunks_exact(4).position(|class| class != &bytes[..4]).unwrap();
        bytes.copy_within(4 * other..4 * other + 4, 0);
    };
    assert!(forged("train.classes.bin", &swap).contains("classes.tsv: count"));
}

#[test]
fn data_set_with_the_same_options_is_opened() {
    let folder = Folder::new();
    let options = options(&folder);
    let first = folder.build(&options).unwrap();
    assert_eq!(folder.build(&options).unwrap().hash(), first.hash());
    // A copy of a file under another name is the same file.
    let mut copied = options.clone();
    copied.test = vec![folder.file("copy.tsv", std::fs::read(&options.test[0]).unwrap())];
    assert_eq!(folder.build(&copied).unwrap().hash(), first.hash());
}

#[test]
fn data_set_with_other_options_or_files_is_refused() {
    let folder = Folder::new();
    let options = options(&folder);
    folder.build(&options).unwrap();
    let refused = |change: &dyn Fn(&mut DatasetOptions)| {
        let mut other = options.clone();
        change(&mut other);
        let error = folder.build(&other).unwrap_err();
        assert!(matches!(error, DatasetError::Exists { .. }), "{error}");
        error.to_string()
    };
    assert!(refused(&|options| options.valid = Valid::EachClass(4)).contains("its valid is"));
    assert!(refused(&|options| options.words.lower = true).contains("its words is"));
    assert!(
        refused(&|options| options.drop_repeats = true).contains("its drop_repeats is false, given true")
    );
    assert!(refused(&|options| options.test.clear()).contains("2 files, given 1"));
    assert!(refused(&|options| options.name = Some("x".to_owned())).contains("its name is \"data\""));
    folder.file("test.tsv", "a\tother\n");
    assert!(refused(&|_| {}).contains("test.tsv are others"));
    let other = folder.path("other");
    std::fs::create_dir(&other).unwrap();
    let error = build(&options, &other).unwrap_err().to_string();
    assert!(error.contains("other: already exists; expected a path"), "{error}");
}

#[test]
fn builds_at_once_make_one_data_set() {
    let folder = Folder::new();
    let options = options(&folder);
    let barrier = Barrier::new(4);
    let hashes: Vec<String> = std::thread::scope(|scope| {
        let build = || {
            barrier.wait();
            folder.build(&options).unwrap().hash().to_owned()
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(build)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(hashes.iter().all(|hash| *hash == hashes[0]));
    assert_eq!(folder.names(), ["data", "test.tsv", "train.tsv"]);
}

#[test]
fn build_that_is_stopped_leaves_nothing() {
    struct Stops;
    impl Observer for Stops {
        fn tell(&mut self, _event: Event<'_>) {}

        fn stop(&self) -> bool {
            true
        }
    }
    let folder = Folder::new();
    let error = build_observed(&options(&folder), &folder.path("data"), &mut Stops).unwrap_err();
    assert!(matches!(error, DatasetError::Corpus(CorpusError::Interrupted)), "{error}");
    assert_eq!(folder.names(), ["test.tsv", "train.tsv"]);
}
