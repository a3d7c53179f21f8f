//! The identity of a run: a hash of its resolved configuration.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// First 16 hexadecimal digits of the SHA-256 of the configuration as JSON with sorted keys.
///
/// Two runs with the same resolved configuration have the same id whatever the order of keys in
/// their files.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(String);

impl RunId {
    /// Hashes a resolved configuration.
    pub fn of_config(config: &serde_json::Value) -> Self {
        let mut canonical = String::new();
        write_canonical(config, &mut canonical);
        let digest = Sha256::digest(canonical.as_bytes());
        Self(digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// JSON with object keys in order, so that the text is a function of the value.
fn write_canonical(value: &serde_json::Value, out: &mut String) {
    match value {
        serde_json::Value::Object(map) => {
            let mut keys: Vec<_> = map.keys().collect();
            keys.sort();
            out.push('{');
            for key in keys {
                out.push_str(&serde_json::Value::from(key.as_str()).to_string());
                out.push(':');
                write_canonical(&map[key], out);
                out.push(',');
            }
            out.push('}');
        }
        serde_json::Value::Array(items) => {
            out.push('[');
            for item in items {
                write_canonical(item, out);
                out.push(',');
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn key_order_does_not_change_the_id_and_values_do() {
        let id = RunId::of_config(&json!({"a": 1, "b": {"c": [1, 2], "d": "x"}}));
        assert_eq!(id, RunId::of_config(&json!({"b": {"d": "x", "c": [1, 2]}, "a": 1})));
        assert_ne!(id, RunId::of_config(&json!({"b": {"d": "x", "c": [2, 1]}, "a": 1})));
        assert_ne!(id, RunId::of_config(&json!({"b": {"d": "x", "c": [1, 2]}, "a": 1.5})));
        assert_eq!(id.as_str().len(), 16);
    }
}
