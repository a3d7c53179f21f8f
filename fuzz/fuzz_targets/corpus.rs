//! A whole corpus directory. The parts of an input are `corpus.toml`, `vocab.tsv`, the ids of the
//! three splits and the log-probabilities of the three.
#![no_main]

use lexmax_corpus::{Corpus, Split, describe};
use libfuzzer_sys::fuzz_target;

const FILES: [&str; 8] = [
    "corpus.toml",
    "vocab.tsv",
    "train.bin",
    "valid.bin",
    "test.bin",
    "train.logp.bin",
    "valid.logp.bin",
    "test.logp.bin",
];

fuzz_target!(|data: &[u8]| {
    let folder = lexmax_fuzz::folder();
    let parts = lexmax_fuzz::parts(data, FILES.len());
    for (index, file) in FILES.iter().enumerate() {
        match parts.get(index) {
            Some(bytes) => lexmax_fuzz::write(&folder.join(file), bytes),
            None => drop(std::fs::remove_file(folder.join(file))),
        }
    }
    match Corpus::open(folder) {
        Ok(corpus) => {
            for split in Split::ALL {
                assert!(corpus.tokens(split).iter().all(|id| (*id as usize) < corpus.vocab().len()));
            }
            let _ = describe(&corpus).to_string();
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
