//! A message's properties: names and values in one text.
//!
//! `name 0x01 value 0x02`, repeated; the last 0x02 may be missing when read and is always written
//! (Java: `MessageDecoder.messageProperties2String`).

use std::borrow::Cow;
use std::collections::HashMap;

/// Names that the protocol gives a meaning to (Java: `MessageConst`).
pub mod name {
    /// Search keys, several separated by one space.
    pub const KEYS: &str = "KEYS";
    /// The tag.
    pub const TAGS: &str = "TAGS";
    /// Whether the broker waits for flush and replication before it answers.
    pub const WAIT: &str = "WAIT";
    /// Delay level.
    pub const DELAY: &str = "DELAY";
    /// The topic that a retried message first had.
    pub const RETRY_TOPIC: &str = "RETRY_TOPIC";
    /// The target topic while parked in a system topic.
    pub const REAL_TOPIC: &str = "REAL_TOPIC";
    /// The target queue while parked in a system topic.
    pub const REAL_QID: &str = "REAL_QID";
    /// `true` on a half message.
    pub const TRAN_MSG: &str = "TRAN_MSG";
    /// Producer group of a half message.
    pub const PGROUP: &str = "PGROUP";
    /// The client's message id.
    pub const UNIQ_KEY: &str = "UNIQ_KEY";
    /// First message id over retries.
    pub const ORIGIN_MESSAGE_ID: &str = "ORIGIN_MESSAGE_ID";
    /// Retry counter.
    pub const RECONSUME_TIME: &str = "RECONSUME_TIME";
    /// Retry limit.
    pub const MAX_RECONSUME_TIMES: &str = "MAX_RECONSUME_TIMES";
    /// Region of the broker.
    pub const MSG_REGION: &str = "MSG_REGION";
    /// Whether the broker wants message traces.
    pub const TRACE_ON: &str = "TRACE_ON";
    /// Cluster of the broker.
    pub const CLUSTER: &str = "CLUSTER";
    /// Key of an ordered message.
    pub const SHARDING_KEY: &str = "__SHARDINGKEY";
    /// The transaction's id; consumers read it from `UNIQ_KEY`.
    pub const TRANSACTION_ID: &str = "__transactionId__";
    /// How often a half message has been asked for.
    pub const TRANSACTION_CHECK_TIMES: &str = "TRANSACTION_CHECK_TIMES";
    /// For how many seconds a half message is not asked for.
    pub const CHECK_IMMUNITY_TIME: &str = "CHECK_IMMUNITY_TIME_IN_SECONDS";
    /// Which request a reply belongs to.
    pub const CORRELATION_ID: &str = "CORRELATION_ID";
    /// The client that waits for a reply.
    pub const REPLY_TO_CLIENT: &str = "REPLY_TO_CLIENT";
    /// For how many ms a reply is waited for.
    pub const TTL: &str = "TTL";
    /// `reply` on a reply.
    pub const MSG_TYPE: &str = "MSG_TYPE";
    /// When the broker pushed a reply, in ms since 1970.
    pub const PUSH_REPLY_TIME: &str = "PUSH_REPLY_TIME";
    /// When the requester got a reply, in ms since 1970.
    pub const ARRIVE_TIME: &str = "ARRIVE_TIME";
    /// Deliver after this many seconds (5.x).
    pub const TIMER_DELAY_SEC: &str = "TIMER_DELAY_SEC";
    /// Deliver after this many ms (5.x).
    pub const TIMER_DELAY_MS: &str = "TIMER_DELAY_MS";
    /// Deliver at this time, in ms since 1970 (5.x).
    pub const TIMER_DELIVER_MS: &str = "TIMER_DELIVER_MS";
    /// When a timer message is to be delivered, as the broker notes it (5.x).
    pub const TIMER_OUT_MS: &str = "TIMER_OUT_MS";
    /// Namespace (v1) of the sending client.
    pub const INSTANCE_ID: &str = "INSTANCE_ID";
    /// Light queues that the message goes to too, separated by commas (5.x).
    pub const INNER_MULTI_DISPATCH: &str = "INNER_MULTI_DISPATCH";
    /// Priority (5.5).
    pub const PRIORITY: &str = "_SYS_MSG_PRIORITY_";
    /// Lite topic (5.5).
    pub const LITE_TOPIC: &str = "__LITE_TOPIC";

    /// Names that an application may not use for its properties: the protocol or the broker gives
    /// them a meaning (Java: `MessageConst.STRING_HASH_SET`, and the names that it forgot).
    pub const RESERVED: &[&str] = &[
        KEYS,
        TAGS,
        WAIT,
        DELAY,
        RETRY_TOPIC,
        REAL_TOPIC,
        REAL_QID,
        TRAN_MSG,
        PGROUP,
        UNIQ_KEY,
        ORIGIN_MESSAGE_ID,
        RECONSUME_TIME,
        MAX_RECONSUME_TIMES,
        MSG_REGION,
        TRACE_ON,
        CLUSTER,
        SHARDING_KEY,
        CHECK_IMMUNITY_TIME,
        "MIN_OFFSET",
        "MAX_OFFSET",
        "BUYER_ID",
        "TRANSFER_FLAG",
        "CORRECTION_FLAG",
        "MQ2_FLAG",
        "EXTEND_UNIQ_INFO",
        "DUP_INFO",
        "CONSUME_START_TIME",
        "INNER_NUM",
        "INNER_BASE",
        "TRAN_PREPARED_QUEUE_OFFSET",
        TRANSACTION_CHECK_TIMES,
        TRANSACTION_ID,
        INSTANCE_ID,
        CORRELATION_ID,
        REPLY_TO_CLIENT,
        TTL,
        ARRIVE_TIME,
        PUSH_REPLY_TIME,
        MSG_TYPE,
        "POP_CK",
        "POP_CK_OFFSET",
        "1ST_POP_TIME",
        "PROPERTY_FORWARD_QUEUE_ID",
        "REDIRECT",
        INNER_MULTI_DISPATCH,
        "INNER_MULTI_QUEUE_OFFSET",
        TIMER_DELAY_SEC,
        TIMER_DELAY_MS,
        TIMER_DELIVER_MS,
        "TIMER_ENQUEUE_MS",
        "TIMER_DEQUEUE_MS",
        "TIMER_ROLL_TIMES",
        TIMER_OUT_MS,
        "TIMER_DEL_UNIQKEY",
        "TIMER_DELAY_LEVEL",
        "__BORNHOST",
        "BORN_TIMESTAMP",
        "__CRC32#",
        "DLQ_ORIGIN_TOPIC",
        "DLQ_ORIGIN_MESSAGE_ID",
        PRIORITY,
        LITE_TOPIC,
    ];
}

/// Between a name and its value.
pub const NAME_END: char = '\u{1}';
/// After each value.
pub const VALUE_END: char = '\u{2}';

/// The longest encoded properties that a broker stores, in bytes.
pub const MAX_LENGTH: usize = i16::MAX as usize;

/// A message's properties, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties(Vec<(Cow<'static, str>, String)>);

impl Properties {
    /// No properties.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a property; an earlier value of the name is replaced in its place.
    pub fn set(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) {
        let (name, value) = (name.into(), value.into());
        match self.0.iter_mut().find(|(n, _)| *n == name) {
            Some(pair) => pair.1 = value,
            None => self.0.push((name, value)),
        }
    }

    /// Takes a property out.
    pub fn remove(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(n, _)| n == name)?;
        Some(self.0.remove(at).1)
    }

    /// The value of a property.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The properties in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, value.as_str()))
    }

    /// How many properties there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads the wire's text. Pairs with an empty name or value disappear, as for every reader;
    /// of a name that occurs twice the last value counts.
    pub fn decode(text: &str) -> Self {
        let mut properties: Vec<(Cow<'static, str>, String)> = Vec::new();
        // `set` would look through all of them for each one: a text of a million would hang.
        let mut places = HashMap::new();
        for (name, value) in pairs(text) {
            let place = *places.entry(name).or_insert(properties.len());
            match properties.get_mut(place) {
                Some(pair) => pair.1 = value.to_owned(),
                None => properties.push((name.to_owned().into(), value.to_owned())),
            }
        }
        Self(properties)
    }

    /// Appends the wire's text to `out`. Empty values are left out: every reader drops them.
    pub fn encode(&self, out: &mut String) {
        for (name, value) in self.iter() {
            push(out, name, value);
        }
    }

    /// The wire's text.
    pub fn to_wire(&self) -> String {
        let mut text = String::new();
        self.encode(&mut text);
        text
    }
}

/// Appends one property to a text of the wire; one without a name or a value is left out.
#[inline]
pub fn push(out: &mut String, name: &str, value: &str) {
    if !name.is_empty() && !value.is_empty() {
        out.reserve(name.len() + value.len() + 2);
        out.push_str(name);
        out.push(NAME_END);
        out.push_str(value);
        out.push(VALUE_END);
    }
}

/// As many of the properties as their length of two bytes can declare, each of them whole.
pub(crate) fn that_fit(text: &str) -> &str {
    let Some(longest) = text.as_bytes().get(..=MAX_LENGTH) else { return text };
    let longest = longest.get(..MAX_LENGTH).unwrap_or_default();
    let end = longest.iter().rposition(|byte| char::from(*byte) == VALUE_END);
    end.and_then(|end| text.get(..=end)).unwrap_or_default()
}

/// The value of one property in a text of the wire, without reading the others. As in
/// [`Properties::decode`] the last value of a name counts: real brokers write some twice.
pub fn find<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    pairs(text).rfind(|(n, _)| *n == name).map(|(_, value)| value)
}

/// The pairs in a text of the wire that have a name and a value.
fn pairs(text: &str) -> impl DoubleEndedIterator<Item = (&str, &str)> {
    text.split(VALUE_END)
        .filter_map(|pair| pair.split_once(NAME_END))
        .filter(|(name, value)| !name.is_empty() && !value.is_empty())
}

impl<N: Into<Cow<'static, str>>, V: Into<String>> FromIterator<(N, V)> for Properties {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut properties = Self::new();
        for (name, value) in pairs {
            properties.set(name, value);
        }
        properties
    }
}
