//! Numbers that JSON has no word for. A run that diverges has an infinite or undefined loss on its
//! curve, and the record must hold it: plain JSON would write `null` and could not be read back.

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

/// Numbers that a run may lack: `null` is none.
pub(crate) mod option {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// Holder by which serde's `Option` uses the functions above.
    #[derive(Serialize, Deserialize)]
    #[serde(transparent)]
    struct Number(#[serde(with = "super")] f64);

    /// Writes a number as the functions above do, and `None` as `null`.
    pub(crate) fn serialize<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        value.map(Number).serialize(serializer)
    }

    /// Reads back either.
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        Ok(Option::<Number>::deserialize(deserializer)?.map(|number| number.0))
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
        #[serde(default, with = "super::option")]
        maybe: Option<f64>,
    }

    fn round_trip(value: f64) -> f64 {
        let text = serde_json::to_string(&Holder { value, maybe: None }).unwrap();
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
    fn a_number_that_is_missing_or_not_finite_comes_back() {
        for maybe in [None, Some(0.25), Some(f64::INFINITY)] {
            let text = serde_json::to_string(&Holder { value: 1.0, maybe }).unwrap();
            assert_eq!(serde_json::from_str::<Holder>(&text).unwrap().maybe, maybe);
        }
        assert_eq!(serde_json::from_str::<Holder>(r#"{"value": 1}"#).unwrap().maybe, None);
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
