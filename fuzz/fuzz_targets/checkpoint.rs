//! A run's checkpoint. What is read is saved and loaded again: the same progress.
#![no_main]

use lexmax_lab::checkpoint::Checkpoint;
use libfuzzer_sys::fuzz_target;
use tch::Device;

fuzz_target!(|data: &[u8]| {
    match Checkpoint::from_bytes(data, Device::Cpu) {
        Ok(checkpoint) => {
            let copy = lexmax_fuzz::folder().join("copy.safetensors");
            checkpoint.save(&copy).expect("a checkpoint that was read can be saved");
            let again = Checkpoint::load(&copy, &checkpoint.progress.id, Device::Cpu);
            let again = again.expect("what was saved loads").expect("the file is there");
            // Compared as text: what is not a number is not equal to itself.
            assert_eq!(format!("{:?}", again.progress), format!("{:?}", checkpoint.progress));
            assert_eq!(again.parameters.len(), checkpoint.parameters.len());
            assert_eq!(again.optimizer.len(), checkpoint.optimizer.len());
        }
        Err(why) => assert!(!why.is_empty()),
    }
});
