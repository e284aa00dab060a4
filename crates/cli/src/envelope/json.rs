//! A JSON object as it was written: fields in their order, and none of them twice.

use std::fmt;

use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;

/// A value of JSON.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    /// A number that is whole and fits.
    Whole(i64),
    /// Any other number.
    Number(f64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// What it is, in words.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Whole(_) | Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

/// The fields of the object that a record is, or why it is none.
pub(super) fn object(record: &[u8]) -> Result<Vec<(String, Json)>, String> {
    let record = std::str::from_utf8(record)
        .map_err(|error| format!("not UTF-8 after byte {}", error.valid_up_to()))?;
    match serde_json::from_str(record) {
        Ok(Json::Object(fields)) => Ok(fields),
        Ok(other) => Err(no_object(other.kind())),
        Err(error) => Err(explain(&error, record)),
    }
}

fn no_object(what: &str) -> String {
    format!("{what}, where a JSON object is expected, such as {{\"body\":\"hello\"}}")
}

/// What is wrong with a record that is no JSON. Its line is numbered by the input; to the parser it
/// is always line 1.
fn explain(error: &serde_json::Error, record: &str) -> String {
    let column = error.column();
    match error.classify() {
        Category::Data => {
            let text = error.to_string();
            text.split(" at line ").next().unwrap_or(&text).to_owned()
        }
        _ if !record.trim_start().starts_with('{') => no_object("no JSON"),
        Category::Eof => "the JSON object has no end: the record was cut off".to_owned(),
        _ => format!("not valid JSON at column {column}"),
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Whole(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(i64::try_from(value).map_or(Json::Number(value as f64), Json::Whole))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(Json::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut fields: Vec<(String, Json)> = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            // The first or the last of the two would be lost in silence.
            if fields.iter().any(|(known, _)| *known == name) {
                return Err(A::Error::custom(format!("{name:?} stands in the object twice")));
            }
            fields.push((name, map.next_value()?));
        }
        Ok(Json::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_object_is_told_in_words() {
        let cases: [(&[u8], &str); 10] = [
            (b"hello", r#"no JSON, where a JSON object is expected, such as {"body":"hello"}"#),
            (b"", r#"no JSON, where a JSON object is expected, such as {"body":"hello"}"#),
            (b"12", r#"a number, where a JSON object is expected, such as {"body":"hello"}"#),
            (b"[1]", r#"a list, where a JSON object is expected, such as {"body":"hello"}"#),
            (br#""a""#, r#"a text, where a JSON object is expected, such as {"body":"hello"}"#),
            (br#"{"body":"a"#, "the JSON object has no end: the record was cut off"),
            (br#"{"body":}"#, "not valid JSON at column 9"),
            (br#"{"body":"a"} {}"#, "not valid JSON at column 14"),
            (br#"{"body":"a","body":"b"}"#, r#""body" stands in the object twice"#),
            (b"{\"body\":\"\xff\"}", "not UTF-8 after byte 9"),
        ];
        for (record, why) in cases {
            let record_text = String::from_utf8_lossy(record);
            assert_eq!(object(record).unwrap_err(), why, "{record_text}");
        }
    }

    #[test]
    fn fields_keep_their_order() {
        let fields = object(br#" {"z":1,"a":{"y":null,"b":[true,"t",1.5,99999999999999999999]}}"#);
        let inner = vec![
            ("y".to_owned(), Json::Null),
            (
                "b".to_owned(),
                Json::List(vec![
                    Json::Bool(true),
                    Json::Text("t".into()),
                    Json::Number(1.5),
                    Json::Number(1e20),
                ]),
            ),
        ];
        let expected = vec![("z".into(), Json::Whole(1)), ("a".into(), Json::Object(inner))];
        assert_eq!(fields.unwrap(), expected);
    }
}
