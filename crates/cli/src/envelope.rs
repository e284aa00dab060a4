//! The JSON envelope of a message: one schema for `tail -o json`, `send --json`, `--failed-to` and
//! `send --dry-run -o json`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

/// Version of every JSON line that this program writes.
pub(crate) const VERSION: u32 = 1;

/// What is read of an envelope. The rest (where the message was, when, why it failed) is not part
/// of the message and is passed over.
#[derive(Debug, Deserialize)]
pub(crate) struct Incoming {
    #[serde(default)]
    pub(crate) keys: Vec<String>,
    #[serde(default)]
    pub(crate) tag: Option<String>,
    #[serde(default)]
    pub(crate) flag: i32,
    #[serde(default)]
    pub(crate) properties: Pairs,
    #[serde(default)]
    pub(crate) ordered_by: Option<String>,
    #[serde(default)]
    compressed: bool,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    body_b64: Option<String>,
}

impl Incoming {
    /// Reads one line.
    pub(crate) fn read(line: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(line).map_err(|error| {
            // The line is numbered by whoever reads the stream; here it would always be line 1.
            error.to_string().replace(" at line 1 column ", " at column ")
        })
    }

    /// The body, from the one of the two fields that is there.
    pub(crate) fn take_body(&mut self) -> Result<Bytes, String> {
        if self.compressed {
            return Err(
                "the body is compressed, and would be taken for plain when sent again".into()
            );
        }
        match (self.body.take(), self.body_b64.take()) {
            (Some(text), None) => Ok(text.into()),
            (None, Some(coded)) => match STANDARD.decode(coded) {
                Ok(bytes) => Ok(bytes.into()),
                Err(error) => Err(format!("\"body_b64\" is not base64: {error}")),
            },
            (None, None) => Err("the object has neither \"body\" nor \"body_b64\"".into()),
            (Some(_), Some(_)) => Err("the object has both \"body\" and \"body_b64\"".into()),
        }
    }
}

/// Names and values, in their order.
#[derive(Debug, Default)]
pub(crate) struct Pairs(pub(crate) Vec<(String, String)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Pairs;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of texts")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

/// Names and values as a JSON object.
pub(crate) struct Object<'a>(pub(crate) Vec<(&'a str, &'a str)>);

impl Object<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

/// A body: flattens to `"body"` when it is UTF-8, else to `"body_b64"`.
pub(crate) struct Body<'a>(pub(crate) &'a [u8]);

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        match std::str::from_utf8(self.0) {
            Ok(text) => map.serialize_entry("body", text)?,
            Err(_) => map.serialize_entry("body_b64", &STANDARD.encode(self.0))?,
        }
        map.end()
    }
}

/// What an envelope says of the message itself.
#[derive(Serialize)]
pub(crate) struct Content<'a> {
    pub(crate) keys: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tag: Option<&'a str>,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) flag: i32,
    #[serde(skip_serializing_if = "Object::is_empty")]
    pub(crate) properties: Object<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ordered_by: Option<&'a str>,
    #[serde(flatten)]
    pub(crate) body: Body<'a>,
}

fn is_zero(number: &i32) -> bool {
    *number == 0
}

impl<'a> Content<'a> {
    /// Of a message that is to be sent.
    pub(crate) fn of(message: &'a posthaste::Message) -> Self {
        Self {
            keys: message.key_texts().iter().map(String::as_str).collect(),
            tag: message.tag_text(),
            flag: message.flag_value(),
            properties: Object(message.properties().collect()),
            ordered_by: message.ordering_key(),
            body: Body(message.body()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_read_from_text_or_base64() {
        let body = |line: &str| {
            Incoming::read(line.as_bytes()).and_then(|mut incoming| incoming.take_body())
        };
        assert_eq!(body(r#"{"body":"h\u00e9"}"#).as_deref(), Ok("hé".as_bytes()));
        assert_eq!(body(r#"{"body_b64":"/wA="}"#).as_deref(), Ok(&[0xff, 0][..]));
        let compressed = body(r#"{"compressed":true,"body_b64":"YQ=="}"#);
        assert!(compressed.is_err_and(|why| why.contains("compressed")));
        assert!(body(r#"{}"#).is_err_and(|why| why.contains("neither")));
        assert!(body(r#"{"body":"a","body_b64":"YQ=="}"#).is_err_and(|why| why.contains("both")));
        assert!(body(r#"{"body_b64":"%"}"#).is_err_and(|why| why.contains("base64")));
    }

    #[test]
    fn what_does_not_belong_to_the_message_is_passed_over() {
        let line = r#"{"_cmd":"tail","_v":1,"topic":"T","queue":3,"keys":["a","b"],"tag":null,"properties":{"z":"1","a":"2"},"body":"x","error":{"kind":"busy"}}"#;
        let incoming = Incoming::read(line.as_bytes()).unwrap();
        assert_eq!(incoming.keys, ["a", "b"]);
        assert_eq!(incoming.tag, None);
        assert_eq!(incoming.properties.0, [("z".into(), "1".into()), ("a".into(), "2".into())]);
    }

    #[test]
    fn errors_name_the_column_and_no_line() {
        let why = |line: &str| Incoming::read(line.as_bytes()).unwrap_err();
        assert_eq!(
            why(r#"{"body":1}"#),
            "invalid type: integer `1`, expected a string at column 9"
        );
        assert!(why("hello").contains("column"), "{}", why("hello"));
        assert!(!why("hello").contains("line 1"));
        assert!(why(r#"{"properties":{"a":1},"body":"x"}"#).contains("expected a string"));
    }

    #[test]
    fn bytes_that_are_no_text_come_back_as_they_were() {
        let body = [0xff, 0, b'a'];
        let line = serde_json::to_string(&Body(&body)).unwrap();
        assert_eq!(line, r#"{"body_b64":"/wBh"}"#);
        assert_eq!(Incoming::read(line.as_bytes()).unwrap().take_body().unwrap(), body[..]);
    }
}
