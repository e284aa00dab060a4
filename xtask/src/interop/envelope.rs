use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A message for an agent to send.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Envelope {
    pub(crate) topic: String,
    #[serde(serialize_with = "to_base64")]
    pub(crate) body: Vec<u8>,
    pub(crate) tags: Option<String>,
    pub(crate) keys: Option<String>,
    pub(crate) flag: i32,
    pub(crate) properties: BTreeMap<String, String>,
    /// Properties that clients reserve for themselves.
    pub(crate) system: BTreeMap<String, String>,
    /// Chooses the queue when the sending goes by key.
    pub(crate) order_key: Option<String>,
}

impl Envelope {
    pub(crate) fn new(topic: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            topic: topic.to_owned(),
            body: body.into(),
            tags: None,
            keys: None,
            flag: 0,
            properties: BTreeMap::new(),
            system: BTreeMap::new(),
            order_key: None,
        }
    }
}

/// How a send ended, as the official client tells it. A one-way send leaves all of it empty.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Outcome {
    pub(crate) status: Option<String>,
    pub(crate) msg_id: Option<String>,
    pub(crate) broker: Option<String>,
    pub(crate) queue: Option<i32>,
    pub(crate) offset: Option<i64>,
    /// By what a timer message can be taken back.
    pub(crate) recall_handle: Option<String>,
    /// What the sender of a half message has decided.
    pub(crate) local_state: Option<String>,
    /// The broker's id of the message.
    pub(crate) offset_msg_id: Option<String>,
    pub(crate) error: Option<String>,
}

impl Outcome {
    pub(crate) fn is_ok(&self) -> bool {
        self.status.as_deref() == Some("SEND_OK")
    }
}

/// A message as an official client received it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Received {
    pub(crate) topic: String,
    pub(crate) broker: Option<String>,
    pub(crate) queue: i32,
    pub(crate) offset: i64,
    pub(crate) msg_id: String,
    pub(crate) tags: Option<String>,
    pub(crate) keys: Option<String>,
    pub(crate) flag: i32,
    pub(crate) reconsume_times: i32,
    pub(crate) properties: BTreeMap<String, String>,
    #[serde(deserialize_with = "from_base64")]
    pub(crate) body: Vec<u8>,
}

impl Received {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// The reply to a request.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Reply {
    pub(crate) properties: BTreeMap<String, String>,
    #[serde(deserialize_with = "from_base64")]
    pub(crate) body: Vec<u8>,
}

/// One call of a push consumer's listener.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Delivery {
    pub(crate) consumer: String,
    /// The listener asked to get the message again.
    pub(crate) refused: bool,
    pub(crate) message: Received,
}

/// The offsets of one queue.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct QueueOffsets {
    pub(crate) max: i64,
}

/// A broker's part of a topic's route.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct RoutedBroker {
    pub(crate) broker: String,
    pub(crate) address: String,
    /// Its queues that may be written.
    pub(crate) queues: i32,
}

fn to_base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(bytes))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    STANDARD.decode(text).map_err(de::Error::custom)
}
