//! From a record of the input to a message, as the flags of `send` say.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use memchr::memmem;
use posthaste::{Message, MessageQueue};

use crate::args;
use crate::envelope::Incoming;

/// What every message of a run has in common.
pub(crate) struct Blueprint {
    topic: Arc<str>,
    keys: Vec<String>,
    tag: Option<String>,
    properties: Vec<(String, String)>,
    form: Form,
    ordered_by: Option<OrderedBy>,
    queue: Option<MessageQueue>,
    delay: Option<Delay>,
}

/// When consumers get a message.
enum Delay {
    After(Duration),
    Level(u8),
}

/// What a record looks like.
enum Form {
    Body,
    KeyAndBody(Vec<u8>),
    Envelope,
}

/// Where a message's ordering key is.
enum OrderedBy {
    Key,
    Field(String),
}

impl Blueprint {
    pub(crate) fn new(args: &args::Send) -> Self {
        let topic: Arc<str> = args.topic.as_str().into();
        let form = match &args.key_delim {
            Some(delimiter) => Form::KeyAndBody(delimiter.clone()),
            None if args.json => Form::Envelope,
            None => Form::Body,
        };
        let ordered_by = args.ordered_by.as_deref().map(|field| match field {
            "key" => OrderedBy::Key,
            field => OrderedBy::Field(field.to_owned()),
        });
        let queue = args
            .queue
            .as_ref()
            .map(|(broker, id)| MessageQueue::new(Arc::clone(&topic), broker.as_str(), *id));
        Self {
            topic,
            keys: args.keys.clone(),
            tag: args.tag.clone(),
            properties: args.properties.clone(),
            form,
            ordered_by,
            queue,
            delay: args.delay.map(Delay::After).or(args.delay_level.map(Delay::Level)),
        }
    }

    /// The message that a record stands for, or what is wrong with the record.
    pub(crate) fn message(&self, record: Bytes) -> Result<Message, String> {
        let message = match &self.form {
            Form::Body => self.dressed(self.blank(record)),
            Form::KeyAndBody(delimiter) => self.keyed(&record, delimiter)?,
            Form::Envelope => self.unpacked(&record)?,
        };
        self.directed(self.delayed(message))
    }

    fn blank(&self, body: Bytes) -> Message {
        Message::new(Arc::clone(&self.topic), body)
    }

    /// Puts on what the flags say of every message.
    fn dressed(&self, message: Message) -> Message {
        let message = message.keys(self.keys.iter().cloned());
        let message = match &self.tag {
            Some(tag) => message.tag(tag.as_str()),
            None => message,
        };
        with_properties(message, &self.properties)
    }

    fn keyed(&self, record: &Bytes, delimiter: &[u8]) -> Result<Message, String> {
        let Some(at) = memmem::find(record, delimiter) else {
            return Err(format!(
                "no key: the record does not contain {:?}",
                String::from_utf8_lossy(delimiter)
            ));
        };
        let key = std::str::from_utf8(record.get(..at).unwrap_or_default())
            .map_err(|_| "the key is not UTF-8".to_owned())?;
        let body = record.slice(at + delimiter.len()..);
        Ok(self.dressed(self.blank(body).key(key)))
    }

    /// An envelope's own keys and tag win over the flags'; its properties are added to them.
    fn unpacked(&self, record: &[u8]) -> Result<Message, String> {
        let mut envelope = Incoming::read(record)?;
        let mut message = self.blank(envelope.take_body()?).flag(envelope.flag);
        message = match envelope.keys.is_empty() {
            true => message.keys(self.keys.iter().cloned()),
            false => message.keys(envelope.keys),
        };
        if let Some(tag) = envelope.tag.or_else(|| self.tag.clone()) {
            message = message.tag(tag);
        }
        message =
            with_properties(with_properties(message, &self.properties), &envelope.properties.0);
        Ok(match envelope.ordered_by {
            Some(key) if self.ordered_by.is_none() && self.queue.is_none() => message.order_by(key),
            _ => message,
        })
    }

    fn delayed(&self, message: Message) -> Message {
        match self.delay {
            None => message,
            Some(Delay::After(time)) => message.deliver_after(time),
            Some(Delay::Level(level)) => message.delay_level(level),
        }
    }

    /// Gives the message its place: an ordering key, or a queue.
    fn directed(&self, message: Message) -> Result<Message, String> {
        if let Some(queue) = &self.queue {
            return Ok(message.queue(queue.clone()));
        }
        let key = match &self.ordered_by {
            None => return Ok(message),
            Some(OrderedBy::Key) => {
                message.key_texts().first().cloned().ok_or("no key to order by")?
            }
            Some(OrderedBy::Field(field)) => field_of(&message, field).ok_or_else(|| {
                format!("no property `{field}` and no such field in the body, to order by")
            })?,
        };
        Ok(message.order_by(key))
    }
}

fn with_properties(message: Message, properties: &[(String, String)]) -> Message {
    properties
        .iter()
        .fold(message, |message, (name, value)| message.property(name.as_str(), value.as_str()))
}

/// A property, else a field of the body's JSON object, as text.
fn field_of(message: &Message, field: &str) -> Option<String> {
    if let Some((_, value)) = message.properties().find(|(name, _)| *name == field) {
        return Some(value.to_owned());
    }
    let body: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(message.body()).ok()?;
    match body.get(field)? {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Args, Command};

    fn blueprint(flags: &[&str]) -> Blueprint {
        let args = Args::try_parse_from(["posthaste", "send", "T"].iter().chain(flags)).unwrap();
        match args.command {
            Command::Send(send) => Blueprint::new(&send),
            other => panic!("{other:?}"),
        }
    }

    fn message(flags: &[&str], record: &'static str) -> Result<Message, String> {
        blueprint(flags).message(Bytes::from_static(record.as_bytes()))
    }

    #[test]
    fn flags_dress_every_message() {
        let message = message(&["--tag", "t", "-k", "a", "-k", "b", "-H", "x=1"], "body").unwrap();
        assert_eq!(message.tag_text(), Some("t"));
        assert_eq!(message.key_texts(), ["a", "b"]);
        assert_eq!(message.properties().collect::<Vec<_>>(), [("x", "1")]);
        assert_eq!(&message.body()[..], b"body");
    }

    #[test]
    fn a_key_stands_before_the_key_delimiter() {
        let both = message(&["-K", "<->"], "k-1<->a<->b").unwrap();
        assert_eq!(both.key_texts(), ["k-1"]);
        assert_eq!(&both.body()[..], b"a<->b");
        assert!(message(&["-K", r"\t"], "no tab").is_err_and(|why| why.contains(r#""\t""#)));
    }

    #[test]
    fn an_envelope_wins_over_the_flags() {
        let line = r#"{"keys":["e"],"tag":"et","properties":{"x":"2","y":"3"},"ordered_by":"o","body":"b"}"#;
        let whole = message(&["--json", "--tag", "t", "-k", "k", "-H", "x=1"], line).unwrap();
        assert_eq!((whole.tag_text(), whole.key_texts()), (Some("et"), &["e".to_owned()][..]));
        assert_eq!(whole.properties().collect::<Vec<_>>(), [("x", "2"), ("y", "3")]);
        assert_eq!(whole.ordering_key(), Some("o"));
        let bare = message(&["--json", "--tag", "t", "-k", "k"], r#"{"body":"b"}"#).unwrap();
        assert_eq!((bare.tag_text(), bare.key_texts()), (Some("t"), &["k".to_owned()][..]));
        assert!(message(&["--json"], "plain").is_err());
    }

    #[test]
    fn the_ordering_key_comes_from_key_property_or_body() {
        let key = |flags: &[&str], record| {
            message(flags, record).map(|m| m.ordering_key().map(str::to_owned))
        };
        assert_eq!(key(&["-K", ":", "--ordered-by", "key"], "a:1"), Ok(Some("a".into())));
        assert_eq!(key(&["-H", "shop=7", "--ordered-by", "shop"], "x"), Ok(Some("7".into())));
        assert_eq!(key(&["--ordered-by", "id"], r#"{"id":42}"#), Ok(Some("42".into())));
        assert_eq!(key(&["--ordered-by", "id"], r#"{"id":"o-1"}"#), Ok(Some("o-1".into())));
        for record in ["plain", r#"{"other":1}"#, r#"{"id":null}"#] {
            assert!(key(&["--ordered-by", "id"], record).is_err(), "{record}");
        }
        assert!(key(&["--ordered-by", "key"], "x").is_err());
    }

    #[test]
    fn a_given_queue() {
        let message = message(&["--queue", "broker-a:3"], "x").unwrap();
        assert_eq!(message.given_queue(), Some(&MessageQueue::new("T", "broker-a", 3)));
    }
}
