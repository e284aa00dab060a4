//! Reading an envelope: what `send --json` obeys, what it passes over, and what it refuses.

use std::time::{Duration, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use posthaste::Delay;

use super::VERSION;
use super::json::{Json, object};
use crate::value;

/// Fields that say what the message is, and what it asks for.
const OBEYED: [&str; 13] = [
    "body",
    "body_b64",
    "keys",
    "tag",
    "flag",
    "properties",
    "ordered_by",
    "to_queue",
    "delay_ms",
    "deliver_at",
    "delay_level",
    "priority",
    "compressed",
];
/// Fields that say where a message was, when, and how its send ended. Our own commands and
/// the inspector write them; they are passed over.
const RECORDED: [&str; 15] = [
    "_cmd",
    "topic",
    "broker",
    "queue",
    "offset",
    "msg_id",
    "offset_msg_id",
    "recall_handle",
    "born_ms",
    "stored_ms",
    "status",
    "ms",
    "error",
    "line",
    "details",
];
/// How much alike two names are, of 1, that one is taken for the other misspelt.
const ALIKE: f64 = 0.7;

/// What an envelope asks for.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    pub(crate) body: Bytes,
    pub(crate) keys: Vec<String>,
    pub(crate) tag: Option<String>,
    pub(crate) flag: i32,
    pub(crate) properties: Vec<(String, String)>,
    pub(crate) place: Option<Place>,
    pub(crate) delay: Option<Delay>,
    pub(crate) priority: Option<i32>,
}

/// Where the message is to go within its topic.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In order with others of this key.
    OrderedBy(String),
    /// To this queue of this broker.
    Queue(String, i32),
}

impl Incoming {
    /// Reads one record; says what is wrong with it, if anything is.
    pub(crate) fn read(record: &[u8]) -> Result<Self, String> {
        let mut fields = Fields::default();
        for (name, value) in object(record)? {
            fields.take(&name, value)?;
        }
        fields.whole()
    }
}

/// What has been read of an envelope.
#[derive(Default)]
struct Fields {
    incoming: Incoming,
    body: Option<String>,
    body_b64: Option<String>,
    compressed: bool,
}

impl Fields {
    fn take(&mut self, name: &str, value: Json) -> Result<(), String> {
        let incoming = &mut self.incoming;
        match name {
            "body" => self.body = text(name, value)?,
            "body_b64" => self.body_b64 = text(name, value)?,
            "compressed" => self.compressed = yes(name, &value)?,
            "keys" => incoming.keys = texts(name, value)?,
            "tag" => incoming.tag = text(name, value)?,
            "flag" => incoming.flag = whole(name, &value)?.unwrap_or_default(),
            "properties" => incoming.properties = pairs(name, value)?,
            "priority" => incoming.priority = whole(name, &value)?,
            "ordered_by" => return self.put(text(name, value)?.map(Place::OrderedBy)),
            "to_queue" => {
                let queue = text(name, value)?.map(|text| value::queue(&text)).transpose();
                let queue = queue.map_err(|why| format!("\"to_queue\": {why}"))?;
                return self.put(queue.map(|(broker, id)| Place::Queue(broker, id)));
            }
            "delay_ms" => {
                let ms = whole(name, &value)?;
                return self.delay(ms.map(|ms| Delay::After(Duration::from_millis(ms))));
            }
            "deliver_at" => {
                let ms = whole(name, &value)?.map(Duration::from_millis);
                return self.delay(ms.and_then(|ms| UNIX_EPOCH.checked_add(ms)).map(Delay::At));
            }
            "delay_level" => return self.delay(whole(name, &value)?.map(Delay::Level)),
            "_v" if value != Json::Whole(VERSION.into()) => {
                return Err(format!(
                    "\"_v\" is not {VERSION}: another version of this program wrote it"
                ));
            }
            "_v" => {}
            name if RECORDED.contains(&name) => {}
            name => return Err(unknown(name)),
        }
        Ok(())
    }

    fn put(&mut self, place: Option<Place>) -> Result<(), String> {
        if place.is_some() && self.incoming.place.is_some() {
            return Err("\"ordered_by\" and \"to_queue\" both say where it goes; keep one".into());
        }
        self.incoming.place = place.or(self.incoming.place.take());
        Ok(())
    }

    fn delay(&mut self, delay: Option<Delay>) -> Result<(), String> {
        if delay.is_some() && self.incoming.delay.is_some() {
            return Err(
                "more than one of \"delay_ms\", \"deliver_at\" and \"delay_level\"; keep one"
                    .into(),
            );
        }
        self.incoming.delay = delay.or(self.incoming.delay);
        Ok(())
    }

    fn whole(self) -> Result<Incoming, String> {
        let Self { incoming, body, body_b64, compressed } = self;
        if compressed {
            return Err("the body is compressed, and would be sent again as if it were not".into());
        }
        let body = match (body, body_b64) {
            (Some(text), None) => text.into(),
            (None, Some(coded)) => {
                STANDARD.decode(coded).map_err(|_| "\"body_b64\" is not base64".to_owned())?.into()
            }
            (None, None) => return Err("neither \"body\" nor \"body_b64\" is there".into()),
            (Some(_), Some(_)) => {
                return Err("\"body\" and \"body_b64\" are both there; keep one".into());
            }
        };
        Ok(Incoming { body, ..incoming })
    }
}

/// A field that an envelope does not have: what was written, and what was probably meant.
fn unknown(name: &str) -> String {
    let likeness = |known: &&str| strsim::jaro_winkler(name, known);
    let nearest = OBEYED.into_iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    match nearest.filter(|known| likeness(known) >= ALIKE) {
        Some(known) => format!("unknown field {name:?}; did you mean {known:?}?"),
        None => format!("unknown field {name:?}; known are {}", OBEYED.join(", ")),
    }
}

fn wrong(name: &str, wanted: &str, value: &Json) -> String {
    format!("\"{name}\" must be {wanted}, not {}", value.kind())
}

/// Nothing, where the field is null.
fn text(name: &str, value: Json) -> Result<Option<String>, String> {
    match value {
        Json::Text(text) => Ok(Some(text)),
        Json::Null => Ok(None),
        other => Err(wrong(name, "a text", &other)),
    }
}

fn texts(name: &str, value: Json) -> Result<Vec<String>, String> {
    const WANTED: &str = "a list of texts";
    let list = match value {
        Json::List(list) => list,
        Json::Null => return Ok(Vec::new()),
        other => return Err(wrong(name, WANTED, &other)),
    };
    let texts = list.into_iter().map(|item| match item {
        Json::Text(text) => Ok(text),
        other => Err(format!("{} in it", wrong(name, WANTED, &other))),
    });
    texts.collect()
}

fn pairs(name: &str, value: Json) -> Result<Vec<(String, String)>, String> {
    const WANTED: &str = "an object of texts";
    let fields = match value {
        Json::Object(fields) => fields,
        Json::Null => return Ok(Vec::new()),
        other => return Err(wrong(name, WANTED, &other)),
    };
    let pairs = fields.into_iter().map(|(key, value)| match value {
        Json::Text(text) => Ok((key, text)),
        other => Err(format!("{} at {key:?}", wrong(name, WANTED, &other))),
    });
    pairs.collect()
}

fn yes(name: &str, value: &Json) -> Result<bool, String> {
    match value {
        Json::Bool(yes) => Ok(*yes),
        Json::Null => Ok(false),
        other => Err(wrong(name, "true or false", other)),
    }
}

/// A whole number that the field has room for; nothing, where it is null.
fn whole<N: TryFrom<i64>>(name: &str, value: &Json) -> Result<Option<N>, String> {
    match value {
        Json::Whole(number) => {
            N::try_from(*number).map(Some).map_err(|_| format!("\"{name}\" cannot be {number}"))
        }
        Json::Null => Ok(None),
        Json::Number(_) => Err(format!("\"{name}\" must be a whole number")),
        other => Err(wrong(name, "a whole number", other)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn read(record: &str) -> Result<Incoming, String> {
        Incoming::read(record.as_bytes())
    }

    #[test]
    fn a_body_is_text_or_base64() {
        let body = |record: &str| read(record).map(|incoming| incoming.body);
        assert_eq!(body(r#"{"body":"h\u00e9"}"#).as_deref(), Ok("hé".as_bytes()));
        assert_eq!(body(r#"{"body_b64":"/wA="}"#).as_deref(), Ok(&[0xff, 0][..]));
    }

    #[test]
    fn key_and_tags_are_not_passed_over_in_silence() {
        for (record, why) in [
            (r#"{"body":"x","key":"k"}"#, r#"unknown field "key"; did you mean "keys"?"#),
            (r#"{"tags":"t","body":"x"}"#, r#"unknown field "tags"; did you mean "tag"?"#),
            (r#"{"Body":"x"}"#, r#"unknown field "Body"; did you mean "body"?"#),
            (
                r#"{"property":{},"body":"x"}"#,
                r#"unknown field "property"; did you mean "properties"?"#,
            ),
            (r#"{"delay":1,"body":"x"}"#, r#"unknown field "delay"; did you mean "delay_ms"?"#),
            (
                r#"{"body":"x","xyz\u001b":1}"#,
                r#"unknown field "xyz\u{1b}"; known are body, body_b64, keys, tag, flag, properties, ordered_by, to_queue, delay_ms, deliver_at, delay_level, priority, compressed"#,
            ),
        ] {
            assert_eq!(read(record).unwrap_err(), why, "{record}");
        }
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_told_in_words() {
        for (record, why) in [
            (r#"{"body":1}"#, r#""body" must be a text, not a number"#),
            (r#"{"body":"x","keys":"k"}"#, r#""keys" must be a list of texts, not a text"#),
            (
                r#"{"body":"x","keys":["k",1]}"#,
                r#""keys" must be a list of texts, not a number in it"#,
            ),
            (r#"{"body":"x","tag":["t"]}"#, r#""tag" must be a text, not a list"#),
            (
                r#"{"body":"x","properties":[]}"#,
                r#""properties" must be an object of texts, not a list"#,
            ),
            (
                r#"{"body":"x","properties":{"a":1}}"#,
                r#""properties" must be an object of texts, not a number at "a""#,
            ),
            (r#"{"body":"x","flag":1.5}"#, r#""flag" must be a whole number"#),
            (r#"{"body":"x","flag":4294967296}"#, r#""flag" cannot be 4294967296"#),
            (r#"{"body":"x","priority":"1"}"#, r#""priority" must be a whole number, not a text"#),
            (r#"{"body":"x","delay_ms":-1}"#, r#""delay_ms" cannot be -1"#),
            (r#"{"body":"x","delay_level":256}"#, r#""delay_level" cannot be 256"#),
            (
                r#"{"body":"x","to_queue":"dev"}"#,
                r#""to_queue": write a queue as BROKER:ID, as in broker-a:3"#,
            ),
            (
                r#"{"body":"x","compressed":1}"#,
                r#""compressed" must be true or false, not a number"#,
            ),
            (r#"{"body_b64":"%"}"#, r#""body_b64" is not base64"#),
            (r#"{"keys":[]}"#, r#"neither "body" nor "body_b64" is there"#),
            (
                r#"{"body":"a","body_b64":"YQ=="}"#,
                r#""body" and "body_b64" are both there; keep one"#,
            ),
            (
                r#"{"body":"a","ordered_by":"o","to_queue":"dev:1"}"#,
                r#""ordered_by" and "to_queue" both say where it goes; keep one"#,
            ),
            (
                r#"{"body":"a","delay_ms":1,"delay_level":1}"#,
                r#"more than one of "delay_ms", "deliver_at" and "delay_level"; keep one"#,
            ),
            (
                r#"{"compressed":true,"body_b64":"YQ=="}"#,
                "the body is compressed, and would be sent again as if it were not",
            ),
            (
                r#"{"_v":2,"body":"x"}"#,
                r#""_v" is not 1: another version of this program wrote it"#,
            ),
        ] {
            assert_eq!(read(record).unwrap_err(), why, "{record}");
        }
    }

    #[test]
    fn where_a_message_was_is_passed_over_and_what_it_asks_for_is_not() {
        let record = r#"{"_cmd":"tail","_v":1,"topic":"T","broker":"b","queue":3,"offset":9,"msg_id":"1","offset_msg_id":"2","born_ms":1,"stored_ms":2,"error":{"kind":"busy"},"line":4,"status":"ok","ms":0.5,"details":{"redelivered":0},"keys":["a","b"],"tag":null,"properties":{"z":"1","a":"2"},"body":"x","to_queue":"c:1","deliver_at":5,"priority":7,"flag":-1}"#;
        let incoming = read(record).unwrap();
        assert_eq!(incoming.keys, ["a", "b"]);
        assert_eq!((incoming.tag, incoming.flag, incoming.priority), (None, -1, Some(7)));
        assert_eq!(incoming.properties, [("z".into(), "1".into()), ("a".into(), "2".into())]);
        assert_eq!(incoming.place, Some(Place::Queue("c".into(), 1)));
        let at: SystemTime = UNIX_EPOCH + Duration::from_millis(5);
        assert_eq!(incoming.delay, Some(Delay::At(at)));
    }
}
