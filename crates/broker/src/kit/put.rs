//! Putting a message into a topic, without a producer.

use std::time::Duration;

use bytes::Bytes;
use posthaste_protocol::properties::{self, NAME_END, VALUE_END, name};
use posthaste_protocol::request::{DEFAULT_TOPIC, SendMessage};

use crate::broker::BrokerHandle;
use crate::engine::SessionId;
use crate::kit::error::KitError;

/// The session of a message that no client has sent; none has this number.
const NONE: SessionId = SessionId(u64::MAX);
/// Queues of a topic that comes into being; the broker may give it fewer.
const NEW_QUEUES: i32 = 16;

/// A message for [`put`](BrokerHandle::put).
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "it does nothing until it is put into its topic"]
pub struct NewMessage {
    topic: String,
    body: Bytes,
    tag: Option<String>,
    keys: Vec<String>,
    properties: Vec<(String, String)>,
    queue: Option<u16>,
    delay: Option<Duration>,
}

/// Where a message was put.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PutMessage {
    /// The queue.
    pub queue: u16,
    /// Its place in the queue; of a delayed message, in the queue in which it waits.
    pub offset: u64,
    /// The unique id, which the broker has made.
    pub unique_id: String,
    /// The broker's id of the message.
    pub offset_id: String,
}

impl NewMessage {
    /// A message with this body.
    pub fn new(topic: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self {
            topic: topic.into(),
            body: body.into(),
            tag: None,
            keys: Vec::new(),
            properties: Vec::new(),
            queue: None,
            delay: None,
        }
    }

    /// The tag; default none.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tag = Some(tag.into());
        self
    }

    /// One more key. A space separates keys.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.keys.push(key.into());
        self
    }

    /// One more property; the names that the protocol uses are refused.
    pub fn property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.push((name.into(), value.into()));
        self
    }

    /// The queue; default: the broker picks one.
    pub fn queue(mut self, queue: u16) -> Self {
        self.queue = Some(queue);
        self
    }

    /// How much later consumers see it, up to three days; default: at once.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = Some(delay);
        self
    }

    /// The properties as the wire has them.
    fn properties(&self) -> Result<String, KitError> {
        let delay = self.delay.map(|delay| delay.as_millis().to_string());
        let keys = Some(self.keys.join(" ")).filter(|keys| !keys.is_empty());
        let mut text = String::new();
        for (name, value) in
            [(name::TAGS, &self.tag), (name::KEYS, &keys), (name::TIMER_DELAY_MS, &delay)]
        {
            if let Some(value) = value {
                push(&mut text, name, value)?;
            }
        }
        for (name, value) in &self.properties {
            if name::RESERVED.contains(&name.as_str()) {
                let said =
                    format!("the property {name} belongs to the protocol; choose another name");
                return Err(KitError::Refused(said));
            }
            push(&mut text, name, value)?;
        }
        Ok(text)
    }
}

/// Adds a property, if it comes back from the text as it is.
fn push(text: &mut String, name: &str, value: &str) -> Result<(), KitError> {
    let is_cut = |part: &str| part.contains([NAME_END, VALUE_END]);
    if name.is_empty() || value.is_empty() || is_cut(name) || is_cut(value) {
        let said = format!(
            "{name:?} cannot be {value:?}: a property has a name and a value, without the characters \
             1 and 2"
        );
        return Err(KitError::Refused(said));
    }
    properties::push(text, name, value);
    Ok(())
}

impl BrokerHandle {
    /// Stores a message, as if a producer had sent it: a topic that does not exist comes into being, if
    /// the broker creates topics. Fault rules and accounts are for clients, and do not hold for it.
    ///
    /// # Errors
    /// [`KitError::Refused`] when a producer's send would be refused, and for a property that the
    /// protocol needs itself; [`KitError::Stopped`].
    pub async fn put(&self, message: NewMessage) -> Result<PutMessage, KitError> {
        let properties = message.properties()?;
        let answer = self.ask(move |engine, now, effects| {
            let send = SendMessage {
                topic: message.topic.into(),
                default_topic: DEFAULT_TOPIC.into(),
                default_topic_queues: NEW_QUEUES,
                queue_id: message.queue.map_or(-1, i32::from),
                born_at_ms: now,
                properties: properties.into(),
                body: message.body,
                ..SendMessage::default()
            };
            engine.send(now, NONE, &send, &mut effects.commit)
        });
        let answer = answer.await?.map_err(|refusal| KitError::Refused(refusal.remark))?;
        self.kept().await?;
        Ok(PutMessage {
            queue: u16::try_from(answer.queue_id).unwrap_or_default(),
            offset: answer.queue_offset.cast_unsigned(),
            unique_id: answer.transaction_id.unwrap_or_default(),
            offset_id: answer.offset_message_id,
        })
    }
}
