//! One corpus made by several builders at once, or a second time.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Barrier;

use common::{Folder, splits};
use lexmax_corpus::{
    BuildOptions, Corpus, CorpusError, Event, Observer, SynthOptions, TextInput, build, build_observed,
    synthesize, synthesize_observed,
};

fn small() -> SynthOptions {
    SynthOptions { vocab_size: 100, classes: 3, train_tokens: 20_000, ..SynthOptions::default() }
}

/// Runs `builder` on several threads that start together.
fn at_once<T: Send>(threads: usize, builder: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(threads);
    std::thread::scope(|scope| {
        let start = |thread| {
            let (barrier, builder) = (&barrier, &builder);
            scope.spawn(move || {
                barrier.wait();
                builder(thread)
            })
        };
        let started: Vec<_> = (0..threads).map(start).collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn builders_of_the_same_corpus_all_open_it() {
    let folder = Folder::new();
    let hashes = at_once(6, |_| synthesize(&small(), &folder.path("corpus")).unwrap().hash().to_owned());
    assert!(hashes.iter().all(|hash| *hash == hashes[0]));
    assert_eq!(folder.names(), ["corpus"]);

    let train = folder.file("train.txt", "a b c\na b\n".repeat(5000));
    let options = splits(&train, Some(&train), None);
    let hashes = at_once(6, |_| build(&options, &folder.path("text")).unwrap().hash().to_owned());
    assert!(hashes.iter().all(|hash| *hash == hashes[0]));
    assert_eq!(folder.names(), ["corpus", "text", "train.txt"]);
}

#[test]
fn builders_of_different_corpora_at_one_place_leave_one_whole() {
    let folder = Folder::new();
    let out = folder.path("corpus");
    let option = |thread: usize| SynthOptions { seed: 1 + thread as u64 % 2, ..small() };
    let made = at_once(6, |thread| synthesize(&option(thread), &out).map(|corpus| corpus.hash().to_owned()));
    let corpus = Corpus::open(&out).unwrap();
    let winner = corpus.info().synthetic.as_ref().unwrap().options.seed;
    for (thread, made) in made.into_iter().enumerate() {
        match made {
            Ok(hash) => assert!(hash == corpus.hash() && option(thread).seed == winner),
            Err(error) => {
                assert_ne!(option(thread).seed, winner);
                let message = error.to_string();
                assert!(
                    message.contains("corpus: already exists") && message.contains("its seed is"),
                    "{message}"
                );
            }
        }
    }
    assert_eq!(folder.names(), ["corpus"]);
}

#[test]
fn builders_of_a_text_that_is_refused_all_say_so() {
    let folder = Folder::new();
    let train = folder.file("train.txt", b"a b\n\xff\n");
    let made = at_once(4, |_| build(&splits(&train, None, None), &folder.path("corpus")));
    for error in made.into_iter().map(Result::unwrap_err) {
        assert!(matches!(error, CorpusError::InvalidUtf8 { line: 2, .. }), "{error}");
    }
    assert_eq!(folder.names(), ["train.txt"]);
}

#[test]
fn corpus_with_the_same_options_is_opened_and_not_made_anew() {
    let folder = Folder::new();
    let train = folder.file("train.txt", "a b c\na b\n");
    let hash = folder.build(&splits(&train, None, None)).unwrap().hash().to_owned();
    let made = std::fs::metadata(folder.path("corpus/train.bin")).unwrap().modified().unwrap();
    assert_eq!(folder.build(&splits(&train, None, None)).unwrap().hash(), hash);
    assert_eq!(std::fs::metadata(folder.path("corpus/train.bin")).unwrap().modified().unwrap(), made);
}

#[test]
fn corpus_of_other_options_is_refused_with_first_difference() {
    let folder = Folder::new();
    let train = folder.file("train.txt", "a b c\na b\n");
    let other = folder.file("other.txt", "a b c\na c\n");
    let base = splits(&train, None, None);
    folder.build(&base).unwrap();
    let some = |word: &str| Some(word.to_owned());
    let ratio = |block_lines| {
        let input = TextInput::Ratio { files: vec![train.clone()], valid: 0.3, test: 0.3, block_lines };
        BuildOptions { unk: Some("<unk>".to_owned()), ..BuildOptions::new(input) }
    };
    for (options, difference) in [
        (BuildOptions { min_count: 2, unk: some("<unk>"), ..base.clone() }, "its min_count is 1, given 2"),
        (BuildOptions { eos: some("<eos>"), ..base.clone() }, "its eos is none, given \"<eos>\""),
        (BuildOptions { name: some("x"), ..base.clone() }, "its name is \"corpus\", given \"x\""),
        (BuildOptions { unk: None, ..ratio(1) }, "its ratio is none, given"),
        (splits(&other, None, None), "the contents of"),
        (splits(&train, Some(&train), None), "1 source files, given 2"),
    ] {
        let message = folder.build(&options).unwrap_err().to_string();
        assert!(message.contains("corpus: already exists, a corpus made with other options"), "{message}");
        assert!(message.contains(difference), "{message}");
    }
    let message = synthesize(&small(), &folder.path("corpus")).unwrap_err().to_string();
    assert!(message.contains("it is one of text, given a synthetic language"), "{message}");

    build(&ratio(1), &folder.path("dealt")).unwrap();
    let message = build(&ratio(2), &folder.path("dealt")).unwrap_err().to_string();
    assert!(message.contains("already exists") && message.contains("block_lines = 2"), "{message}");
}

#[test]
fn place_of_a_damaged_corpus_or_of_something_else_is_refused() {
    let folder = Folder::new();
    let train = folder.file("train.txt", "a b c\na b\n");
    let options = splits(&train, None, None);
    folder.file("file", "");
    std::fs::create_dir(folder.path("folder")).unwrap();
    for name in ["file", "folder"] {
        let message = build(&options, &folder.path(name)).unwrap_err().to_string();
        assert!(message.contains(&format!("{name}: already exists; expected")), "{message}");
    }
    folder.build(&options).unwrap();
    std::fs::write(folder.path("corpus/train.bin"), "half").unwrap();
    let message = folder.build(&options).unwrap_err().to_string();
    assert!(message.contains("already exists, a corpus that cannot be opened"), "{message}");
    assert!(message.contains("train.bin: 4 bytes"), "{message}");
}

/// Stops at the `n`th event.
struct StopsAfter(usize);

impl Observer for StopsAfter {
    fn tell(&mut self, _event: Event<'_>) {
        self.0 = self.0.saturating_sub(1);
    }

    fn stop(&self) -> bool {
        self.0 == 0
    }
}

#[test]
fn stopped_build_leaves_nothing_and_the_next_one_succeeds() {
    let folder = Folder::new();
    let train = folder.file("train.txt", "a b c\na b\n".repeat(5000));
    let options = splits(&train, Some(&train), None);
    let interrupted = |made: Result<Corpus, CorpusError>| matches!(made, Err(CorpusError::Interrupted));
    for events in [1, 2, 3, 4] {
        let stopped = build_observed(&options, &folder.path("text"), &mut StopsAfter(events));
        assert!(interrupted(stopped), "{events}");
        assert_eq!(folder.names(), ["train.txt"]);
    }
    for events in [1, 20, 22, 25] {
        let stopped = synthesize_observed(&small(), &folder.path("language"), &mut StopsAfter(events));
        assert!(interrupted(stopped), "{events}");
        assert_eq!(folder.names(), ["train.txt"]);
    }
    build(&options, &folder.path("text")).unwrap();
    synthesize(&small(), &folder.path("language")).unwrap();
}
