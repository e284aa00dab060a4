//! What the message trace tells, as Java 5.x writes it (Java: `TraceDataEncoder`).

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use posthaste_protocol::properties::name;

use crate::accepted::Accepted;
use crate::config::interceptor::TransactionEnd;
use crate::message::content::WireMessage;
use crate::message::timestamp::{Present, ms_since_1970};
use crate::{Message, Receipt, SendStatus, TransactionState};

/// Between the fields of a record.
const FIELD_END: char = '\u{1}';
/// After each record.
const RECORD_END: char = '\u{2}';
/// What Java writes for what is not there.
const NOTHING: &str = "null";
/// Region of a broker that names none (Java: `MixAll.DEFAULT_TRACE_REGION_ID`).
const DEFAULT_REGION: &str = "DefaultRegion";

/// The most bytes of all keys of a trace message: they are a property, and properties are limited.
const LONGEST_KEYS: usize = 24 * 1024;

/// Kinds of messages (Java: `MessageType`, by place).
const NORMAL: u8 = 0;
const TRANSACTION_HALF: u8 = 1;
const TRANSACTION_END: u8 = 2;
const DELAYED: u8 = 3;

/// One message, or one end of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// The topic that it tells of.
    topic: Arc<str>,
    text: String,
    /// What it is found by: the message's id and keys, separated by spaces.
    keys: String,
}

impl Record {
    /// A message was stored.
    pub(crate) fn of_stored(
        group: &str,
        accepted: &Accepted,
        entry: WireMessage<'_>,
        receipt: &Receipt,
        address: &str,
    ) -> Self {
        let WireMessage { message, body, .. } = entry;
        let (tags, keys) = (message.tag_text().unwrap_or(NOTHING), message.key_texts().join(" "));
        let fields: [&dyn std::fmt::Display; 14] = [
            &"Pub",
            &accepted.born_at_ms(&Present::at(Instant::now())),
            &receipt.region().unwrap_or(DEFAULT_REGION),
            &group,
            &message.topic(),
            &receipt.message_id(),
            &tags,
            &or_nothing(&keys),
            &address,
            &body.len(),
            &accepted.since.elapsed().as_millis(),
            &kind(message),
            &or_nothing(receipt.offset_message_id()),
            &(receipt.status() == SendStatus::Stored),
        ];
        let topic = message.topic_arc().clone();
        Self { topic, text: record(&fields), keys: found_by(receipt.message_id(), &keys) }
    }

    /// A transaction is about to end.
    pub(crate) fn of_transaction_end(group: &str, end: &TransactionEnd<'_>) -> Self {
        let fields: [&dyn std::fmt::Display; 13] = [
            &"EndTransaction",
            &ms_since_1970(SystemTime::now()),
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

/// What became of the wish to take a message back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recalled<'a> {
    pub(crate) topic: &'a Arc<str>,
    pub(crate) message_id: &'a str,
    pub(crate) region: Option<&'a str>,
    /// Whether the broker has noted the wish.
    pub(crate) success: bool,
}

impl Record {
    /// A broker has answered to a recall.
    pub(crate) fn of_recall(group: &str, recalled: Recalled<'_>) -> Self {
        let Recalled { topic, message_id, region, success } = recalled;
        let fields: [&dyn std::fmt::Display; 7] = [
            &"Recall",
            &ms_since_1970(SystemTime::now()),
            &region.unwrap_or(DEFAULT_REGION),
            &group,
            topic,
            &message_id,
            &success,
        ];
        Self { topic: topic.clone(), text: record(&fields), keys: message_id.to_owned() }
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
    let mut kind = NORMAL;
    message.each_wire_property(|name, _| {
        kind = kind.max(match name {
            name::DELAY | name::TIMER_DELAY_MS | name::TIMER_DELIVER_MS => DELAYED,
            name::TRAN_MSG => TRANSACTION_HALF,
            _ => NORMAL,
        });
    });
    kind
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
pub(crate) struct Parcel {
    topic: Arc<str>,
    text: String,
    keys: String,
    pub(crate) records: usize,
}

impl Parcel {
    /// Parcels of at most this many bytes, in the order of their first records.
    pub(crate) fn of_all(records: Vec<Record>, largest: usize) -> Vec<Self> {
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

    pub(crate) fn into_message(self, topic: &Arc<str>) -> Message {
        let keys = self.keys.split(' ').filter(|key| !key.is_empty());
        Message::new(topic.clone(), self.text).keys(keys)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::message::Part;

    fn record(topic: &str, text: &str, keys: &str) -> Record {
        Record { topic: topic.into(), text: text.into(), keys: keys.into() }
    }

    /// The topic, the text and the keys of each parcel.
    fn parcels(records: Vec<Record>, largest: usize) -> Vec<(String, String, String, usize)> {
        let parcels = Parcel::of_all(records, largest).into_iter();
        let parts = |p: Parcel| (p.topic.to_string(), p.text, p.keys, p.records);
        parcels.map(parts).collect()
    }

    fn parcel(topic: &str, text: &str, keys: &str, n: usize) -> (String, String, String, usize) {
        (topic.into(), text.into(), keys.into(), n)
    }

    #[test]
    fn records_of_a_topic_go_together_as_far_as_they_fit() {
        let records = || {
            vec![
                record("a", "11", "k1"),
                record("b", "22", "k2"),
                record("a", "33", "k3 k4"),
                record("a", "4", "k5"),
            ]
        };
        let all = [parcel("a", "11334", "k1 k3 k4 k5", 3), parcel("b", "22", "k2", 1)];
        assert_eq!(parcels(records(), 5), all);
        let split = [
            parcel("a", "1133", "k1 k3 k4", 2),
            parcel("b", "22", "k2", 1),
            parcel("a", "4", "k5", 1),
        ];
        assert_eq!(parcels(records(), 4), split);
        // Keys are a property, whose length is limited.
        let long = "k".repeat(LONGEST_KEYS / 2);
        let records = vec![record("a", "1", &long), record("a", "2", &long)];
        assert_eq!(parcels(records, 1000).len(), 2);
        assert_eq!(found_by("id", &"k".repeat(LONGEST_KEYS)), "id");
        assert_eq!(found_by("id", "k"), "id k");
        let message = Parcel::of_all(vec![record("a", "1", "id k  l")], 9).remove(0);
        assert_eq!(message.into_message(&"t".into()).key_texts(), ["id", "k", "l"]);
    }

    #[test]
    fn the_end_of_a_transaction_is_told_as_java_does() {
        let end = TransactionEnd {
            topic: "t",
            message_id: "ID",
            transaction_id: Some("TX"),
            state: TransactionState::Commit,
            from_check: false,
            address: "127.0.0.1:10911",
            tag: Some("tag"),
            keys: Some("k1 k2"),
            region: None,
        };
        let text = |end: &TransactionEnd<'_>| {
            let Record { topic, text, keys } = Record::of_transaction_end("g", end);
            assert_eq!(&*topic, "t");
            let mut fields: Vec<String> = text.split('\u{1}').map(str::to_owned).collect();
            assert!(fields.remove(1).parse::<u64>().unwrap() > 1_700_000_000_000);
            (fields.join("|"), keys)
        };
        let told = "EndTransaction|DefaultRegion|g|t|ID|tag|k1 k2|127.0.0.1:10911|2|TX|COMMIT_MESSAGE|false\u{2}";
        assert_eq!(text(&end), (told.to_owned(), "ID k1 k2".to_owned()));
        let checked = TransactionEnd {
            transaction_id: None,
            state: TransactionState::Unknown,
            from_check: true,
            tag: None,
            keys: None,
            region: Some("r"),
            ..end
        };
        let told = "EndTransaction|r|g|t|ID|null|null|127.0.0.1:10911|2|null|UNKNOW|true\u{2}";
        assert_eq!(text(&checked), (told.to_owned(), "ID".to_owned()));
        assert_eq!(state_name(TransactionState::Rollback), "ROLLBACK_MESSAGE");
    }

    #[test]
    fn a_recall_is_told_as_java_does() {
        let topic: Arc<str> = "t".into();
        let recalled =
            Recalled { topic: &topic, message_id: "ID", region: Some("r"), success: true };
        let refused = Recalled { region: None, success: false, ..recalled };
        for (recalled, expected) in [
            (recalled, "Recall|r|g|t|ID|true\u{2}"),
            (refused, "Recall|DefaultRegion|g|t|ID|false\u{2}"),
        ] {
            let Record { topic, text, keys } = Record::of_recall("g", recalled);
            let mut fields: Vec<&str> = text.split('\u{1}').collect();
            assert!(fields.remove(1).parse::<u64>().unwrap() > 1_700_000_000_000);
            assert_eq!((&*topic, &*fields.join("|"), &*keys), ("t", expected, "ID"));
        }
    }

    #[test]
    fn properties_say_what_kind_of_message_it_is() {
        let plain = || Message::new("t", "body").property("own", "value");
        let soon = Duration::from_secs(1);
        for (message, expected) in [
            (plain(), NORMAL),
            (plain().part_of(Part::Transaction), TRANSACTION_HALF),
            (plain().delay_level(3), DELAYED),
            (plain().deliver_after(soon), DELAYED),
            (plain().deliver_at(SystemTime::now() + soon), DELAYED),
        ] {
            assert_eq!(kind(&message), expected, "{message:?}");
        }
    }
}
