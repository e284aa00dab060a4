//! Rules as JSON objects: a member for each word, its value a text or a number.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Words;
use crate::fault::Fault;

impl Serialize for Fault {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let words = self.words();
        let mut map = serializer.serialize_map(Some(words.len()))?;
        for (word, value) in words {
            map.serialize_entry(word, &value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Fault {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Fault;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a fault rule, such as {\"on\": \"send\", \"do\": \"pass\"}")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Fault, M::Error> {
        let mut pairs = Vec::new();
        while let Some(word) = map.next_key::<String>()? {
            let wrong =
                |_| M::Error::custom(format!("the value of {word} is no text and no number"));
            let value: Value = map.next_value().map_err(wrong)?;
            pairs.push((Cow::Owned(word), Cow::Owned(value.into_text())));
        }
        Words::of(pairs).and_then(Words::fault).map_err(M::Error::custom)
    }
}

/// A value of a word.
#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    Text(String),
    Whole(i64),
    Large(u64),
    Part(f64),
}

impl Value {
    fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Whole(number) => number.to_string(),
            Self::Large(number) => number.to_string(),
            Self::Part(number) => number.to_string(),
        }
    }
}
