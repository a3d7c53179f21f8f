//! Huffman trees against gensim's: lengths may differ on ties, the total number of bits may not.
#![allow(clippy::unwrap_used)]

use lexmax_conformance::golden_files;
use lexmax_hierarchical::tree::CodeTree;
use lexmax_output::WordCounts;
use safetensors::SafeTensors;

fn integers(file: &SafeTensors<'_>, name: &str) -> Vec<u64> {
    let bytes = file.tensor(name).unwrap().data().to_vec();
    bytes.chunks_exact(8).map(|chunk| i64::from_le_bytes(chunk.try_into().unwrap()) as u64).collect()
}

#[test]
fn huffman_trees_take_as_many_bits_as_the_golden_ones() {
    for path in golden_files("huffman") {
        let name = path.display();
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
    }
}
