//! A run's checkpoint. What is loaded is saved and loaded again: the same progress.
#![no_main]

use lexmax_lab::checkpoint::Checkpoint;
use lexmax_records::RunId;
use libfuzzer_sys::fuzz_target;
use tch::Device;

fuzz_target!(|data: &[u8]| {
    let path = lexmax_fuzz::folder().join("run.safetensors");
    lexmax_fuzz::write(&path, data);
    let id = RunId::of_config(&serde_json::json!(1));
    match Checkpoint::load(&path, &id, Device::Cpu) {
        Ok(checkpoint) => {
            let checkpoint = checkpoint.expect("the file is there");
            let copy = path.with_file_name("copy.safetensors");
            if checkpoint.save(&copy).is_ok() {
                let again = Checkpoint::load(&copy, &id, Device::Cpu).expect("what was saved loads");
                let again = again.expect("the file is there");
                // Compared as text: what is not a number is not equal to itself.
                assert_eq!(format!("{:?}", again.progress), format!("{:?}", checkpoint.progress));
                assert_eq!(again.parameters.len(), checkpoint.parameters.len());
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
