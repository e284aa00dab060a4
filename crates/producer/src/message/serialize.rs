//! What a send gives and a reader reads, for serde (feature `serde`). Fields are called as in the JSON
//! lines of the command line: `posthaste send -o json`, `posthaste tail -o json`.

use std::str;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{SerializeMap as _, SerializeStruct as _};
use serde::{Serialize, Serializer};

use crate::message::timestamp::ms_since_1970;
use crate::{ErrorKind, MessageQueue, Outcome, ReadMessage, Receipt, SendStatus};

/// `not_stored` or `unknown`.
impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The word for the kind, without a response code: see [`ErrorKind::as_str`].
impl Serialize for ErrorKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// `stored`, `flush_disk_timeout`, `flush_slave_timeout` or `slave_not_available`.
impl Serialize for SendStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// `topic`, `broker` and `queue`, its number.
impl Serialize for MessageQueue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("MessageQueue", 3)?;
        fields.serialize_field("topic", self.topic())?;
        fields.serialize_field("broker", self.broker())?;
        fields.serialize_field("queue", &self.id())?;
        fields.end()
    }
}

/// Where the message is stored and how firmly: `topic`, `broker`, `queue`, `offset`, `msg_id`,
/// `offset_msg_id`, `status`, and, where the broker gives them, `region`, `transaction_id` and
/// `recall_handle`.
impl Serialize for Receipt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(None)?;
        place(&mut fields, self.queue(), self.queue_offset())?;
        fields.serialize_entry("msg_id", self.message_id())?;
        fields.serialize_entry("offset_msg_id", self.offset_message_id())?;
        fields.serialize_entry("status", &self.status())?;
        for (name, value) in [
            ("region", self.region()),
            ("transaction_id", self.transaction_id()),
            ("recall_handle", self.recall_handle()),
        ] {
            if let Some(value) = value {
                fields.serialize_entry(name, value)?;
            }
        }
        fields.end()
    }
}

/// `topic`, `broker`, `queue`, `offset`, `msg_id`, `offset_msg_id`, `born_ms` and `stored_ms` since
/// 1970, `keys`, `tag`, `flag`, the application's `properties`, `ordered_by`, `priority`; and the
/// body, decompressed, as `body` when it is text and else as `body_b64`. Fields without a value are
/// left out, except `keys`; `compressed` is there when the body could not be decompressed.
impl Serialize for ReadMessage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(None)?;
        place(&mut fields, self.queue(), self.queue_offset())?;
        fields.serialize_entry("msg_id", &self.message_id())?;
        fields.serialize_entry("offset_msg_id", &self.offset_message_id())?;
        fields.serialize_entry("born_ms", &ms_since_1970(self.born_at()))?;
        fields.serialize_entry("stored_ms", &ms_since_1970(self.stored_at()))?;
        if self.is_compressed() {
            fields.serialize_entry("compressed", &true)?;
        }
        fields.serialize_entry("keys", &self.keys().collect::<Vec<_>>())?;
        if let Some(tag) = self.tag() {
            fields.serialize_entry("tag", tag)?;
        }
        if self.flag() != 0 {
            fields.serialize_entry("flag", &self.flag())?;
        }
        if self.properties().next().is_some() {
            fields.serialize_entry("properties", &Properties(self))?;
        }
        if let Some(key) = self.ordering_key() {
            fields.serialize_entry("ordered_by", key)?;
        }
        if let Some(priority) = self.priority() {
            fields.serialize_entry("priority", &priority)?;
        }
        match str::from_utf8(self.body()) {
            Ok(text) => fields.serialize_entry("body", text)?,
            Err(_) => fields.serialize_entry("body_b64", &STANDARD.encode(self.body()))?,
        }
        fields.end()
    }
}

/// The properties of the application.
struct Properties<'a>(&'a ReadMessage);

impl Serialize for Properties<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.properties())
    }
}

/// Where a message lies.
fn place<M: serde::ser::SerializeMap>(
    fields: &mut M,
    queue: &MessageQueue,
    offset: i64,
) -> Result<(), M::Error> {
    fields.serialize_entry("topic", queue.topic())?;
    fields.serialize_entry("broker", queue.broker())?;
    fields.serialize_entry("queue", &queue.id())?;
    fields.serialize_entry("offset", &offset)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use posthaste_broker::Broker;
    use serde_json::json;

    use super::*;
    use crate::{Message, Producer};

    #[test]
    fn outcomes_and_kinds_are_words() {
        let words = json!([Outcome::NotStored, Outcome::Unknown]);
        assert_eq!(words, json!(["not_stored", "unknown"]));
        let kinds = json!([ErrorKind::Busy, ErrorKind::Rejected(crate::ResponseCode(13))]);
        assert_eq!(kinds, json!(["busy", "rejected"]));
        let queue = json!(MessageQueue::new("t", "b", 3));
        assert_eq!(queue, json!({"topic": "t", "broker": "b", "queue": 3}));
    }

    #[tokio::test]
    async fn what_is_sent_and_read_is_written_as_the_command_line_writes_it() {
        let broker = Broker::builder().topic("t", 1).start().await.unwrap();
        let builder = Producer::builder("serialize", broker.name_server());
        let producer = builder.send_timeout(Duration::from_secs(20)).start().await.unwrap();
        let text = Message::json("t", &json!({"id": 7})).unwrap();
        let text = text.tag("new").key("a").key("b").property("own", "1").flag(5).order_by("k");
        let bytes = Message::copied("t", [0xFF_u8, 0xFE]).priority(2);
        let mut reader = producer.admin().reader("t").open().await.unwrap();
        for (offset, message) in [text, bytes].into_iter().enumerate() {
            let receipt = producer.send(message).await.unwrap();
            let mut expected = json!({
                "topic": "t", "broker": receipt.queue().broker(), "queue": 0, "offset": offset,
                "msg_id": receipt.message_id(), "offset_msg_id": receipt.offset_message_id(),
            });
            let mut sent = json!(receipt);
            assert_eq!(sent["status"], "stored");
            assert_eq!(sent["region"], json!(receipt.region()));
            for name in ["status", "region", "transaction_id"] {
                sent.as_object_mut().unwrap().remove(name);
            }
            assert_eq!(sent, expected);

            let mut read = json!(reader.next().await.unwrap().unwrap());
            for name in ["born_ms", "stored_ms"] {
                let time = read.as_object_mut().unwrap().remove(name).unwrap();
                assert!(time.as_i64().unwrap() > 1_700_000_000_000, "{name}: {time}");
            }
            let content = match offset {
                0 => json!({
                    "keys": ["a", "b"], "tag": "new", "flag": 5, "properties": {"own": "1"},
                    "ordered_by": "k", "body": "{\"id\":7}",
                }),
                _ => json!({"keys": [], "priority": 2, "body_b64": "//4="}),
            };
            let fields = content.as_object().unwrap().clone();
            expected.as_object_mut().unwrap().extend(fields);
            assert_eq!(read, expected);
        }
    }

    #[test]
    fn what_cannot_be_json_is_an_error() {
        let odd = std::collections::BTreeMap::from([((1, 2), 3)]);
        assert!(Message::json("t", &odd).is_err());
    }
}
