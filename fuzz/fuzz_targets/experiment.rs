//! An experiment file and values set over it. The first part of an input is the file, each line of
//! the second one a `--set`.
//!
//! Whatever loads must be what the process of a run is given: its outputs as JSON, read and written
//! again, are the same text.
#![no_main]

use lexmax::OutputConfig;
use lexmax_lab::{Experiment, Overrides};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let parts = lexmax_fuzz::parts(data, 2);
    let file = lexmax_fuzz::folder().join("experiment.toml");
    lexmax_fuzz::write(&file, parts[0]);
    let set = parts.get(1).map(|lines| String::from_utf8_lossy(lines)).unwrap_or_default();
    let set = set.lines().take(8).map(str::to_owned).collect();
    match Experiment::load(&file, &Overrides { set, threads: None }) {
        Ok(experiment) => {
            for output in &experiment.outputs {
                let text = serde_json::to_string(&output.layer).expect("an output is JSON");
                // A sampled layer writes its resolved default of `remove_accidental_hits`: the
                // text is what stays.
                let again: OutputConfig = serde_json::from_str(&text).expect("the JSON of an output is read");
                assert_eq!(text, serde_json::to_string(&again).expect("an output is JSON"));
                let text = serde_json::to_string(&output.training).expect("training options are JSON");
                let again = serde_json::from_str(&text);
                assert_eq!(Some(&output.training), again.ok().as_ref(), "{text}");
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
