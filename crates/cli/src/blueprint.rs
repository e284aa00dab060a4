//! From a record of the input to a message, as the flags of `send` say.

use std::sync::Arc;

use bytes::Bytes;
use memchr::memmem;
use posthaste::{Delay, Message, MessageQueue};

use crate::args;
use crate::envelope::{Incoming, Place};

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

    /// Whether records are JSON objects.
    pub(crate) fn reads_json(&self) -> bool {
        matches!(self.form, Form::Envelope)
    }

    /// The message that a record stands for, or what is wrong with the record.
    pub(crate) fn message(&self, record: Bytes) -> Result<Message, String> {
        let message = match &self.form {
            Form::Body => self.dressed(self.blank(record)),
            Form::KeyAndBody(delimiter) => self.keyed(&record, delimiter)?,
            Form::Envelope => self.unpacked(&record)?,
        };
        self.directed(message)
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
        with_properties(delayed(message, self.delay), &self.properties)
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

    /// Keys, tag and delay of an envelope win over the flags; its properties are added to the flags'
    /// properties. The flags say where the message goes; without such flags, the envelope does.
    fn unpacked(&self, record: &[u8]) -> Result<Message, String> {
        let envelope = Incoming::read(record)?;
        let mut message = self.blank(envelope.body).flag(envelope.flag);
        message = match envelope.keys.is_empty() {
            true => message.keys(self.keys.iter().cloned()),
            false => message.keys(envelope.keys),
        };
        if let Some(tag) = envelope.tag.or_else(|| self.tag.clone()) {
            message = message.tag(tag);
        }
        if let Some(priority) = envelope.priority {
            message = message.priority(priority);
        }
        message = delayed(message, envelope.delay.or(self.delay));
        message = with_properties(with_properties(message, &self.properties), &envelope.properties);
        Ok(match envelope.place {
            _ if self.ordered_by.is_some() || self.queue.is_some() => message,
            Some(Place::OrderedBy(key)) => message.order_by(key),
            Some(Place::Queue(broker, id)) => {
                message.queue(MessageQueue::new(Arc::clone(&self.topic), broker, id))
            }
            None => message,
        })
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

fn delayed(message: Message, delay: Option<Delay>) -> Message {
    match delay {
        Some(Delay::After(time)) => message.deliver_after(time),
        Some(Delay::At(time)) => message.deliver_at(time),
        Some(Delay::Level(level)) => message.delay_level(level),
        _ => message,
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

    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::args::{Args, Command};
    use crate::envelope::Content;

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

    /// Every combination of what a message can be and ask for, written as `--failed-to` writes it,
    /// is the same message when it is read again; TOPIC of the command line is where it goes.
    #[test]
    fn what_is_written_is_read_again_whatever_the_message_asks_for() {
        const TEXTS: usize = 5;
        let places = [None, Some("ordered_by"), Some("to_queue")];
        let at = UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        let delays = [
            None,
            Some(Delay::Level(3)),
            Some(Delay::After(Duration::from_millis(30_000))),
            Some(Delay::At(at)),
        ];
        for (bits, place, delay, body) in combinations(&places, &delays, 1 << TEXTS) {
            let has = |bit: usize| bits & (1 << bit) != 0;
            let mut message = delayed(Message::new("Before", body), delay);
            if has(0) {
                message = message.key("k-1").key("k-2");
            }
            if has(1) {
                message = message.tag("tag");
            }
            if has(2) {
                message = message.property("z", "1").property("a", "\u{e9}=\"2\"");
            }
            if has(3) {
                message = message.flag(-7);
            }
            if has(4) {
                message = message.priority(9);
            }
            message = match place {
                Some("ordered_by") => message.order_by("o"),
                Some(_) => message.queue(MessageQueue::new("Before", "broker:a", 2)),
                None => message,
            };
            let line = serde_json::to_string(&Content::of(&message)).unwrap();
            let again = blueprint(&["--json"]).message(Bytes::from(line.clone())).unwrap();
            assert_eq!(again.topic(), "T");
            assert_eq!(serde_json::to_string(&Content::of(&again)).unwrap(), line);
            assert_eq!(again.body(), message.body());
            assert_eq!(again.delay(), delay, "{line}");
            assert_eq!(again.priority_value(), message.priority_value(), "{line}");
            assert_eq!(again.key_texts(), message.key_texts(), "{line}");
            assert_eq!(again.tag_text(), message.tag_text(), "{line}");
            assert_eq!(again.flag_value(), message.flag_value(), "{line}");
            assert!(again.properties().eq(message.properties()), "{line}");
            assert_eq!(again.ordering_key(), message.ordering_key(), "{line}");
            let queue = |message: &Message| {
                message.given_queue().map(|queue| (queue.broker().to_owned(), queue.id()))
            };
            assert_eq!(queue(&again), queue(&message), "{line}");
        }
    }

    type Combination = (usize, Option<&'static str>, Option<Delay>, &'static [u8]);

    fn combinations(
        places: &[Option<&'static str>],
        delays: &[Option<Delay>],
        texts: usize,
    ) -> Vec<Combination> {
        let bodies: [&[u8]; 2] = [b"text", b"\xff\x00"];
        let mut all = Vec::new();
        for bits in 0..texts {
            for place in places {
                for delay in delays {
                    all.extend(bodies.map(|body| (bits, *place, *delay, body)));
                }
            }
        }
        all
    }

    #[test]
    fn where_a_message_goes_the_flags_say_before_the_envelope() {
        let line = r#"{"body":"x","to_queue":"a:1","topic":"Other","queue":3,"broker":"b"}"#;
        let own = message(&["--json"], line).unwrap();
        assert_eq!(own.given_queue(), Some(&MessageQueue::new("T", "a", 1)));
        let flagged = message(&["--json", "--queue", "c:2"], line).unwrap();
        assert_eq!(flagged.given_queue(), Some(&MessageQueue::new("T", "c", 2)));
        let ordered = message(&["--json", "-k", "k", "--ordered-by", "key"], line).unwrap();
        assert_eq!((ordered.ordering_key(), ordered.given_queue()), (Some("k"), None));
        let was = message(&["--json"], r#"{"body":"x","queue":3,"broker":"b"}"#).unwrap();
        assert_eq!(was.given_queue(), None);
    }

    #[test]
    fn an_envelopes_own_delay_counts_before_the_flags() {
        let delay =
            |line: &'static str| message(&["--json", "--delay", "9s"], line).unwrap().delay();
        assert_eq!(delay(r#"{"body":"x","delay_level":2}"#), Some(Delay::Level(2)));
        assert_eq!(delay(r#"{"body":"x"}"#), Some(Delay::After(Duration::from_secs(9))));
    }

    #[test]
    fn a_given_queue() {
        let message = message(&["--queue", "broker-a:3"], "x").unwrap();
        assert_eq!(message.given_queue(), Some(&MessageQueue::new("T", "broker-a", 3)));
    }
}
