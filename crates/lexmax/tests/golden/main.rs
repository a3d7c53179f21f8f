//! Cases computed by PyTorch, TensorFlow and gensim: every file of `testdata/golden`, and of the
//! folder that the variable LEXMAX_GOLDEN names, is read; the file's name says which layer answers,
//! its options how it is built.
#![allow(clippy::unwrap_used)]

mod adaptive;
mod case;
mod full;
mod head;
mod mos;
mod sampled;
mod tables;
mod torch_weights;

use case::Case;
use lexmax_conformance::golden_files;

#[test]
fn every_golden_file_agrees() {
    for file in golden_files("") {
        let case = Case::read(&file);
        match case.name.split('_').next().unwrap() {
            "full" => {
                full::check(&case);
                torch_weights::check_linear(&case);
            }
            "head" => head::check(&case),
            "adaptive" => {
                adaptive::check(&case);
                torch_weights::check_adaptive(&case);
            }
            "mos" => mos::check(&case),
            "tf" => sampled::check(&case),
            "huffman" => tables::check_huffman(&case),
            "log" => tables::check_log_uniform(&case),
            _ => panic!("{}: no layer answers to this file name", file.display()),
        }
    }
}
