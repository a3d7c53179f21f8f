//! Numbers that JSON has no word for. A run that diverges has an infinite or undefined loss on its curve, and the record
//! must hold it: plain JSON would write `null` and could not be read back.

use serde::{Deserialize, Deserializer, Serializer, de};

/// Writes a finite number as a number, and the others as `"inf"`, `"-inf"` and `"nan"`.
pub(crate) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if value.is_finite() {
        serializer.serialize_f64(*value)
    } else if value.is_nan() {
        serializer.serialize_str("nan")
    } else {
        serializer.serialize_str(if *value > 0.0 { "inf" } else { "-inf" })
    }
}

/// Reads what [`serialize`] wrote.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Float {
        Number(f64),
        Word(String),
    }
    match Float::deserialize(deserializer) {
        Ok(Float::Number(number)) => Ok(number),
        Ok(Float::Word(word)) => match word.as_str() {
            "inf" => Ok(f64::INFINITY),
            "-inf" => Ok(f64::NEG_INFINITY),
            "nan" => Ok(f64::NAN),
            other => Err(de::Error::custom(format!("expected a number, inf, -inf or nan, found {other:?}"))),
        },
        Err(_) => Err(de::Error::custom("expected a number, or one of the words inf, -inf and nan")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    struct Holder {
        #[serde(with = "super")]
        value: f64,
    }

    fn round_trip(value: f64) -> f64 {
        let text = serde_json::to_string(&Holder { value }).unwrap();
        serde_json::from_str::<Holder>(&text).unwrap().value
    }

    proptest! {
        #[test]
        fn every_number_comes_back_bit_for_bit(value in proptest::num::f64::ANY) {
            let back = round_trip(value);
            prop_assert!(back.to_bits() == value.to_bits() || (back.is_nan() && value.is_nan()));
        }
    }

    #[test]
    fn infinities_and_nan_come_back_and_other_words_are_refused() {
        assert_eq!(round_trip(f64::INFINITY), f64::INFINITY);
        assert_eq!(round_trip(f64::NEG_INFINITY), f64::NEG_INFINITY);
        assert!(round_trip(f64::NAN).is_nan());
        let refused = serde_json::from_str::<Holder>(r#"{"value": "fast"}"#).err().unwrap().to_string();
        assert!(refused.contains("fast"), "{refused}");
        let refused = serde_json::from_str::<Holder>(r#"{"value": null}"#).err().unwrap().to_string();
        assert!(refused.contains("expected a number"), "{refused}");
    }
}
