//! Text files to a corpus: plain, gzip and zstd, packed here or given packed, by words and by
//! characters.
//!
//! The first byte of an input chooses, the others are the file. Whatever is built is opened again:
//! what the building stated must hold.
#![no_main]

use std::io::Write;

use lexmax_corpus::{BuildOptions, Corpus, Split, TextInput, Tokenizer, build};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&choice, text)) = data.split_first() else { return };
    let folder = lexmax_fuzz::folder();
    let (name, bytes) = match choice & 7 {
        0 | 5 => ("text.txt", text.to_vec()),
        1 => ("text.gz", text.to_vec()),
        2 => ("text.zst", text.to_vec()),
        3 => ("text.tar.gz", gzip(text)),
        4 => ("text.zst", zstd::encode_all(text, 1).expect("packed in memory")),
        6 => ("text.gz", gzip(text)),
        _ => ("text.GZ", [gzip(&text[..text.len() / 2]), gzip(&text[text.len() / 2..])].concat()),
    };
    let file = folder.join(name);
    lexmax_fuzz::write(&file, &bytes);
    let input = if choice & 8 == 0 {
        let held_out = || vec![file.clone()];
        TextInput::Splits { train: held_out(), valid: held_out(), test: Vec::new() }
    } else {
        let block_lines = 1 + u64::from(choice >> 6);
        TextInput::Ratio { files: vec![file.clone()], valid: 0.2, test: 0.3, block_lines }
    };
    let mut options = BuildOptions::new(input);
    if choice & 16 != 0 {
        options.tokenizer = Tokenizer::Characters;
    }
    if choice & 32 != 0 {
        options.eos = Some("<eos>".to_owned());
        options.unk = Some("<unk>".to_owned());
        options.min_count = 2;
    }
    if choice & 64 != 0 {
        options.unk = Some("<unk>".to_owned());
        options.max_vocab = Some(5);
    }
    let out = folder.join("corpus");
    let _ = std::fs::remove_dir_all(&out);
    if let Ok(corpus) = build(&options, &out) {
        let again = Corpus::open(&out).expect("a corpus that was built opens");
        assert_eq!(corpus.hash(), again.hash());
        let counted: u64 = again.vocab().counts().iter().sum();
        assert_eq!(counted, again.tokens(Split::Train).len() as u64);
        let _ = lexmax_corpus::describe(&again).to_string();
    }
    let _ = std::fs::remove_file(&file);
});

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(text).and_then(|()| packed.finish()).expect("packed in memory")
}
