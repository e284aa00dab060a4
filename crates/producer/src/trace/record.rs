//! What the message trace tells, as Java 5.x writes it (Java: `TraceDataEncoder`).

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use posthaste_protocol::properties::name;

use crate::accepted::Accepted;
use crate::interceptor::TransactionEnd;
use crate::{Message, Receipt, SendStatus, TransactionState};

/// Between the fields of a record.
const FIELD_END: char = '\u{1}';
/// After each record.
const RECORD_END: char = '\u{2}';
/// What Java writes for what is not there.
const NOTHING: &str = "null";
/// Region of a broker that names none (Java: `MixAll.DEFAULT_TRACE_REGION_ID`).
const DEFAULT_REGION: &str = "DefaultRegion";

/// Bytes of all keys of a trace message, at the most: they are a property, and those are limited.
const LONGEST_KEYS: usize = 24 * 1024;

/// Kinds of messages (Java: `MessageType`, by place).
const NORMAL: u8 = 0;
const TRANSACTION_HALF: u8 = 1;
const TRANSACTION_END: u8 = 2;
const DELAYED: u8 = 3;

/// One message, or one end of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// The topic that it tells of.
    topic: Arc<str>,
    text: String,
    /// What it is found by: the message's id and keys, separated by spaces.
    keys: String,
}

impl Record {
    /// A message was stored.
    pub(super) fn of_stored(
        group: &str,
        accepted: &Accepted,
        message: &Message,
        receipt: &Receipt,
        address: &str,
    ) -> Self {
        let (tags, keys) = (message.tag_text().unwrap_or(NOTHING), message.key_texts().join(" "));
        let fields: [&dyn std::fmt::Display; 14] = [
            &"Pub",
            &accepted.born_at_ms,
            &receipt.region().unwrap_or(DEFAULT_REGION),
            &group,
            &message.topic(),
            &receipt.message_id(),
            &tags,
            &or_nothing(&keys),
            &address,
            &message.body().len(),
            &accepted.since.elapsed().as_millis(),
            &kind(message),
            &or_nothing(receipt.offset_message_id()),
            &(receipt.status() == SendStatus::Stored),
        ];
        let topic = message.topic_arc().clone();
        Self { topic, text: record(&fields), keys: found_by(receipt.message_id(), &keys) }
    }

    /// A transaction is about to end.
    pub(super) fn of_transaction_end(group: &str, end: &TransactionEnd<'_>) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let fields: [&dyn std::fmt::Display; 13] = [
            &"EndTransaction",
            &now.as_millis(),
            &end.region.unwrap_or(DEFAULT_REGION),
            &group,
            &end.topic,
            &end.message_id,
            &end.tag.unwrap_or(NOTHING),
            &end.keys.unwrap_or(NOTHING),
            &end.address,
            &TRANSACTION_END,
            &end.transaction_id.unwrap_or(NOTHING),
            &state_name(end.state),
            &end.from_check,
        ];
        let keys = found_by(end.message_id, end.keys.unwrap_or_default());
        Self { topic: end.topic.into(), text: record(&fields), keys }
    }
}

fn record(fields: &[&dyn std::fmt::Display]) -> String {
    let mut text = String::with_capacity(256);
    for (place, field) in fields.iter().enumerate() {
        if place > 0 {
            text.push(FIELD_END);
        }
        // Writing to a String does not fail.
        let _ = write!(text, "{field}");
    }
    text.push(RECORD_END);
    text
}

fn or_nothing(text: &str) -> &str {
    if text.is_empty() { NOTHING } else { text }
}

fn found_by(message_id: &str, keys: &str) -> String {
    match keys.is_empty() || message_id.len() + keys.len() >= LONGEST_KEYS {
        true => message_id.to_owned(),
        false => format!("{message_id} {keys}"),
    }
}

/// As Java tells it: a delayed half message counts as delayed.
fn kind(message: &Message) -> u8 {
    let of_property = |(name, _): (&str, _)| match name {
        name::DELAY | name::TIMER_DELAY_SEC | name::TIMER_DELAY_MS | name::TIMER_DELIVER_MS => {
            DELAYED
        }
        name::TRAN_MSG => TRANSACTION_HALF,
        _ => NORMAL,
    };
    message.wire_properties().map(of_property).max().unwrap_or(NORMAL)
}

/// Java: `LocalTransactionState`.
fn state_name(state: TransactionState) -> &'static str {
    match state {
        TransactionState::Commit => "COMMIT_MESSAGE",
        TransactionState::Rollback => "ROLLBACK_MESSAGE",
        TransactionState::Unknown => "UNKNOW",
    }
}

/// Records of one topic that go in one trace message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parcel {
    topic: Arc<str>,
    text: String,
    keys: String,
    pub(super) records: usize,
}

impl Parcel {
    /// Parcels of at most so many bytes, in the order of their first records.
    pub(super) fn of_all(records: Vec<Record>, largest: usize) -> Vec<Self> {
        let mut parcels: Vec<Self> = Vec::new();
        for record in records {
            let of_topic = parcels.iter_mut().rfind(|parcel| parcel.topic == record.topic);
            match of_topic.filter(|parcel| parcel.has_room(&record, largest)) {
                Some(parcel) => parcel.put(&record),
                None => {
                    let Record { topic, text, keys } = record;
                    parcels.push(Self { topic, text, keys, records: 1 });
                }
            }
        }
        parcels
    }

    fn has_room(&self, record: &Record, largest: usize) -> bool {
        self.text.len() + record.text.len() <= largest
            && self.keys.len() + 1 + record.keys.len() <= LONGEST_KEYS
    }

    fn put(&mut self, record: &Record) {
        self.text.push_str(&record.text);
        self.keys.push(' ');
        self.keys.push_str(&record.keys);
        self.records += 1;
    }

    pub(super) fn into_message(self, topic: &Arc<str>) -> Message {
        let keys = self.keys.split(' ').filter(|key| !key.is_empty());
        Message::new(topic.clone(), self.text).keys(keys)
    }
}
