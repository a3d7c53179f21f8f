//! SHA-256 of corpus contents.

use sha2::{Digest, Sha256};

/// Hexadecimal digits of a digest.
pub(crate) fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Hash of named parts. Names and lengths go in too, so that a byte moved from one file to the next is seen.
pub(crate) fn of_parts<'a>(parts: impl IntoIterator<Item = (String, &'a [u8])>) -> String {
    let mut hasher = Sha256::new();
    for (name, bytes) in parts {
        hasher.update(name.as_bytes());
        hasher.update([0]);
        hasher.update((bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    }
    hex(&hasher.finalize())
}
