//! `vocab.tsv` of a corpus whose other files fit it as far as they can: the sizes that
//! `corpus.toml` states are counted from the input.
#![no_main]

use lexmax_corpus::Corpus;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let folder = lexmax_fuzz::folder();
    let lines = data.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
    let counts = data.split(|byte| *byte == b'\n').filter_map(|line| {
        let count = line.rsplit(|byte| *byte == b'\t').next()?;
        std::str::from_utf8(count).ok()?.parse::<u64>().ok()
    });
    let tokens = counts.fold(0_u64, u64::wrapping_add);
    let info = format!(
        "layout = 1\nname = \"fuzz\"\nhash = \"\"\nvocab_size = {lines}\n[splits]\ntrain = {{ tokens = {}, lines = 0 }}\n\
         valid = {{ tokens = 0, lines = 0 }}\ntest = {{ tokens = 0, lines = 0 }}\n[origin]\nkind = \"text\"\nfiles = []\n\
         [tokenizer]\nkind = \"words\"\nmin_count = 1\nunk = \"<unk>\"\n",
        tokens.min(i64::MAX as u64)
    );
    lexmax_fuzz::write(&folder.join("corpus.toml"), info.as_bytes());
    lexmax_fuzz::write(&folder.join("vocab.tsv"), data);
    lexmax_fuzz::write(&folder.join("train.bin"), &vec![0; 4 * tokens.min(1 << 12) as usize]);
    lexmax_fuzz::write(&folder.join("valid.bin"), b"");
    lexmax_fuzz::write(&folder.join("test.bin"), b"");
    // The hash is that of nothing: such a corpus is refused, and the error says by what.
    let error = Corpus::open(folder).expect_err("a corpus without its hash is refused");
    assert!(!error.to_string().is_empty());
});
