//! Folder of the machine that times: lines of one processor never stand beside those of another.

use lexmax_records::Environment;

/// Name of a machine's folder: its processor, its widest vector instructions and its cores, as in
/// `some-processor-avx512-8-cores`. Rented machines often give only the maker's name, and the
/// instructions tell their generations apart.
pub fn folder(environment: &Environment) -> String {
    folder_of(&environment.cpu, instructions(), environment.cores)
}

fn folder_of(cpu: &str, instructions: &str, cores: usize) -> String {
    let letters = cpu.to_lowercase().replace("(r)", " ").replace("(tm)", " ");
    let letters: String = letters.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { ' ' }).collect();
    let mut words: Vec<&str> = letters.split_whitespace().collect();
    words.push(instructions);
    let noun = if cores == 1 { "core" } else { "cores" };
    format!("{}-{cores}-{noun}", words.join("-"))
}

/// The widest vector instructions of this processor.
fn instructions() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            return "avx512";
        }
        if is_x86_feature_detected!("avx2") {
            return "avx2";
        }
    }
    std::env::consts::ARCH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_named_by_processor_instructions_and_cores() {
        let cases = [
            (("AMD EPYC", "avx512", 2), "amd-epyc-avx512-2-cores"),
            (("Intel(R) Xeon(R) CPU @ 2.20GHz", "avx2", 1), "intel-xeon-cpu-2-20ghz-avx2-1-core"),
            (("../..", "avx2", 4), "avx2-4-cores"),
        ];
        for ((cpu, instructions, cores), expected) in cases {
            assert_eq!(folder_of(cpu, instructions, cores), expected);
        }
    }

    #[test]
    fn folder_differs_by_processor_instructions_and_cores() {
        let one = folder_of("A 1", "avx2", 2);
        for other in [folder_of("A 2", "avx2", 2), folder_of("A 1", "avx512", 2), folder_of("A 1", "avx2", 4)]
        {
            assert_ne!(one, other);
        }
    }
}
