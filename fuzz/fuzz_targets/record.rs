//! A run's record. What is read is written and read again: the same.
#![no_main]

use lexmax_records::{RunId, RunRecord, RunStore};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let folder = lexmax_fuzz::folder();
    let store = RunStore::open(folder);
    let id = RunId::of_config(&serde_json::Value::Null);
    let path = store.path(&id);
    std::fs::create_dir_all(path.parent().expect("records lie in a folder")).expect("a folder");
    lexmax_fuzz::write(&path, data);
    match store.read(&id) {
        Ok(record) => {
            let record = record.expect("the file is there");
            let text = serde_json::to_string(&record).expect("a record is JSON");
            let again: RunRecord = serde_json::from_str(&text).expect("what was written is read");
            // Compared as text: what is not a number is not equal to itself.
            assert_eq!(text, serde_json::to_string(&again).expect("a record is JSON"));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    let _ = store.read_all();
});
