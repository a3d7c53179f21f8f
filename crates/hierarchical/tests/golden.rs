//! Huffman trees against gensim's: lengths may differ on ties, the total number of bits may not.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use lexmax_hierarchical::tree::CodeTree;
use lexmax_output::WordCounts;
use safetensors::SafeTensors;

/// The shared folder of golden files, and the one that LEXMAX_GOLDEN names.
fn folders() -> Vec<PathBuf> {
    let beside = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")).to_owned();
    let shared = std::env::var_os("LEXMAX_SHARED").map_or(beside, PathBuf::from);
    let named = std::env::var_os("LEXMAX_GOLDEN").map(PathBuf::from);
    std::iter::once(shared.join("golden")).chain(named).filter(|folder| folder.is_dir()).collect()
}

fn integers(file: &SafeTensors<'_>, name: &str) -> Vec<u64> {
    let bytes = file.tensor(name).unwrap().data().to_vec();
    bytes.chunks_exact(8).map(|chunk| i64::from_le_bytes(chunk.try_into().unwrap()) as u64).collect()
}

#[test]
fn huffman_trees_take_as_many_bits_as_the_golden_ones() {
    let mut seen = 0;
    for path in
        folders().iter().flat_map(|folder| folder.read_dir().unwrap()).map(|entry| entry.unwrap().path())
    {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !(name.starts_with("huffman") && name.ends_with(".safetensors")) {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let mut pairs: Vec<_> =
            integers(&file, "counts").into_iter().zip(integers(&file, "code_lengths")).collect();
        pairs.sort_by_key(|pair| std::cmp::Reverse(pair.0));
        let counts: Vec<u64> = pairs.iter().map(|&(count, _)| count).collect();
        let tree = CodeTree::huffman(&WordCounts::new(counts.clone()).unwrap());
        let bits: u64 =
            counts.iter().zip(tree.lengths()).map(|(count, &length)| count * u64::from(length)).sum();
        let golden: u64 = pairs.iter().map(|(count, length)| count * length).sum();
        assert_eq!(bits, golden, "{name}");
        assert_eq!(bits, integers(&file, "total_bits")[0], "{name}");
        let balanced = CodeTree::balanced(counts.len() as i64).unwrap();
        let other: u64 =
            counts.iter().zip(balanced.lengths()).map(|(count, &length)| count * u64::from(length)).sum();
        assert_ne!(other, golden, "{name}: another tree would pass too, so this file tests nothing");
        seen += 1;
    }
    if seen == 0 {
        eprintln!("skipped: no golden file huffman*.safetensors found; set LEXMAX_SHARED or LEXMAX_GOLDEN");
    }
}
