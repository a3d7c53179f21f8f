//! Cases computed by PyTorch, TensorFlow and gensim: every file of `../shared/golden`, and of the folder that the
//! variable LEXMAX_GOLDEN names, is read; the file's name says which layer answers, its options how it is built.
#![allow(clippy::unwrap_used)]

mod adaptive;
mod case;
mod full;
mod head;
mod mos;
mod sampled;
mod tables;

use std::path::{Path, PathBuf};

use case::Case;

fn folders() -> Vec<PathBuf> {
    let shared = std::env::var_os("LEXMAX_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let named = std::env::var_os("LEXMAX_GOLDEN").map(PathBuf::from);
    [shared.join("golden")].into_iter().chain(named).collect()
}

#[test]
fn every_golden_file_agrees() {
    let mut checked = 0;
    for folder in folders() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            eprintln!("skipped: there is no folder of golden cases at {}", folder.display());
            continue;
        };
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "safetensors"));
        files.sort();
        for file in files {
            let case = Case::read(&file);
            match case.name.split('_').next().unwrap() {
                "full" => full::check(&case),
                "head" => head::check(&case),
                "adaptive" => adaptive::check(&case),
                "mos" => mos::check(&case),
                "tf" => sampled::check(&case),
                "huffman" => tables::check_huffman(&case),
                "log" => tables::check_log_uniform(&case),
                _ => panic!("{}: no layer answers to this file name", file.display()),
            }
            checked += 1;
        }
    }
    eprintln!("{checked} golden files agree");
}
