//! Checks before anything is sent (Java: `Validators`).

use posthaste_protocol::properties::{self, NAME_END, VALUE_END, name};

use crate::Message;
use crate::message::BARE_PROPERTIES;

/// The longest topic, in characters.
const MAX_TOPIC: usize = 127;
/// The longest group, in characters (5.x).
pub(crate) const MAX_GROUP: usize = 120;
/// Bytes of the properties that brokers and the producer add: unique id, region, trace, cluster.
const RESERVED_PROPERTY_BYTES: usize = 256;

/// Topics that clients must not send to: their messages would be taken for the broker's own.
const FORBIDDEN_TOPICS: &[&str] = &[
    "TBW102",
    "SCHEDULE_TOPIC_XXXX",
    "RMQ_SYS_TRANS_HALF_TOPIC",
    "RMQ_SYS_TRANS_OP_HALF_TOPIC",
    "RMQ_SYS_ROCKSDB_TRANS_HALF_TOPIC",
    "RMQ_SYS_ROCKSDB_TRANS_OP_HALF_TOPIC",
    "TRANS_CHECK_MAX_TIME_TOPIC",
    "SELF_TEST_TOPIC",
    "OFFSET_MOVED_EVENT",
];
/// Topics of the system that may be sent to, and how its later ones and its groups begin (Java:
/// `TopicValidator`, `MixAll.isSysConsumerGroup`).
const SYSTEM_TOPICS: &[&str] = &["BenchmarkTest", "RMQ_SYS_TRACE_TOPIC", "CHECKPOINT_TOPIC"];
const SYSTEM_PREFIXES: &[&str] = &["rmq_sys_", "CID_RMQ_SYS_"];

/// Checks a message. Says how many bytes it keeps while it is on its way, or what is wrong with it.
pub(crate) fn message(message: &Message, max_size: usize) -> Result<usize, String> {
    topic(message.topic())?;
    not_of_the_broker(message.topic())?;
    beside_topic(message, max_size)
}

/// As [`message`], of a message whose topic has been checked.
pub(crate) fn beside_topic(message: &Message, max_size: usize) -> Result<usize, String> {
    if let Some(queue) = message.given_queue()
        && queue.topic() != message.topic()
    {
        return Err(format!("the given queue is of topic {}", queue.topic()));
    }
    match message.body().len() {
        0 => return Err("the body is empty".into()),
        n if n > max_size => {
            return Err(format!("the body has {n} bytes, more than the {max_size} allowed"));
        }
        _ => {}
    }
    Ok(message.topic().len() + message.body().len() + all_properties(message)?)
}

/// Says what is wrong with a topic's name, if anything is.
pub(crate) fn topic(topic: &str) -> Result<(), String> {
    name_of("topic", topic, MAX_TOPIC)
}

/// Says so if a topic is the broker's own.
pub(crate) fn not_of_the_broker(topic: &str) -> Result<(), String> {
    match FORBIDDEN_TOPICS.contains(&topic) {
        true => Err(format!("topic {topic} belongs to the broker")),
        false => Ok(()),
    }
}

/// Whether a topic or group is the system's, and as such in no namespace.
pub(crate) fn is_of_the_system(name: &str) -> bool {
    FORBIDDEN_TOPICS.contains(&name)
        || SYSTEM_TOPICS.contains(&name)
        || SYSTEM_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Says what is wrong with a name that becomes a part of others, if anything is.
pub(crate) fn plain_name(what: &str, text: &str, max: usize) -> Result<(), String> {
    name_of(what, text, max)?;
    match text.contains(['%', '|']) {
        true => Err(format!("the {what} `{text}` has a character that separates names, % or |")),
        false => Ok(()),
    }
}

/// Says what is wrong with a text that every request carries, if anything is.
pub(crate) fn field(what: &str, text: &str) -> Result<(), String> {
    match text.trim().is_empty() || text.contains(char::is_control) {
        true => Err(format!("{what} `{text}` is empty or has characters that cannot be seen")),
        false => Ok(()),
    }
}

/// Says what is wrong with a group's name, if anything is.
pub(crate) fn group(group: &str) -> Result<(), String> {
    if group == "DEFAULT_PRODUCER" {
        return Err("`DEFAULT_PRODUCER` is reserved; choose another name".into());
    }
    name_of("group", group, MAX_GROUP)
}

/// Whether a name may have a byte. A table, since every message's topic is checked.
#[expect(clippy::indexing_slicing, reason = "a constant: checked when it is compiled")]
const ALLOWED: [bool; 256] = {
    let (mut table, mut byte) = ([false; 256], 0u8);
    while byte.is_ascii() {
        table[byte as usize] =
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'%' | b'|');
        byte += 1;
    }
    table
};

fn allowed(byte: u8) -> bool {
    ALLOWED.get(usize::from(byte)).copied().unwrap_or_default()
}

fn name_of(what: &str, text: &str, max: usize) -> Result<(), String> {
    if (1..=max).contains(&text.len()) && text.bytes().all(allowed) {
        return Ok(());
    }
    if text.trim().is_empty() {
        return Err(format!("the {what} is empty"));
    }
    if text.len() > max {
        return Err(format!("the {what} has {} characters, more than {max}", text.chars().count()));
    }
    let is_strange = |c: &char| !u8::try_from(*c).is_ok_and(allowed);
    let strange = text.chars().find(is_strange).unwrap_or_default();
    Err(format!(
        "the {what} `{text}` has the character {strange:?}; allowed are A-Z a-z 0-9 _ - % |"
    ))
}

/// Checks the properties; says how many bytes they have.
fn all_properties(message: &Message) -> Result<usize, String> {
    if message.is_bare() {
        return Ok(BARE_PROPERTIES.len());
    }
    for (n, value) in message.properties() {
        name_and_value(n, value)?;
    }
    if message.tag_text().is_some_and(|tag| tag.trim().is_empty()) {
        return Err("the tag is empty".into());
    }
    if message.tag_text().is_some_and(|tag| tag.contains("||")) {
        return Err("the tag contains `||`, which separates tags in a subscription".into());
    }
    message.check_treatment()?;
    if message.ordering_key().is_some_and(str::is_empty) {
        return Err("the ordering key is empty".into());
    }
    if let Some(key) = message.key_texts().iter().find(|key| key.is_empty() || key.contains(' ')) {
        return Err(format!("the key `{key}` is empty or contains a space, which separates keys"));
    }
    let (mut length, mut separated) = (0, Ok(()));
    message.each_wire_property(|n, value| {
        if separated.is_ok() {
            separated = no_separators(n, value);
        }
        length += n.len() + value.len() + 2;
    });
    separated?;
    properties_length(length)?;
    Ok(length)
}

/// Says what is wrong with a property of the application's own, if anything is.
pub(crate) fn property(n: &str, value: &str) -> Result<(), String> {
    name_and_value(n, value)?;
    no_separators(n, value)
}

fn name_and_value(n: &str, value: &str) -> Result<(), String> {
    if name::RESERVED.contains(&n) {
        return Err(format!("property `{n}` has a meaning in the protocol; choose another name"));
    }
    if n.trim().is_empty() || value.trim().is_empty() {
        return Err(format!("property `{n}` has an empty name or value; brokers would drop it"));
    }
    Ok(())
}

#[inline]
fn no_separators(n: &str, value: &str) -> Result<(), String> {
    let separates = |byte: u8| [NAME_END, VALUE_END].contains(&char::from(byte));
    match n.bytes().chain(value.bytes()).any(separates) {
        true => Err(format!("property `{n}` contains byte 1 or 2, which the protocol uses itself")),
        false => Ok(()),
    }
}

/// Says so if all properties of a message together are too long.
pub(crate) fn properties_length(length: usize) -> Result<(), String> {
    let max = properties::MAX_LENGTH - RESERVED_PROPERTY_BYTES;
    match length > max {
        true => Err(format!("the properties have {length} bytes, more than the {max} allowed")),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use super::*;
    use crate::message::Part;

    #[test]
    fn names_follow_the_field_s_rules() {
        for good in ["a", "%RETRY%g", "A-b_c|9", &"x".repeat(127)] {
            assert_eq!(topic(good), Ok(()), "{good}");
        }
        for bad in ["", " ", "a/b", "ä", "a.b", &"x".repeat(128)] {
            assert!(topic(bad).is_err(), "{bad}");
        }
        assert!(group("DEFAULT_PRODUCER").is_err());
        assert!(group(&"g".repeat(121)).is_err());
        assert_eq!(group("orders"), Ok(()));
    }

    #[test]
    fn each_rule_of_a_message_says_what_is_wrong() {
        let good = || Message::new("t", "x");
        let full = good().tag("a").key("k").property("n", "v");
        assert_eq!(
            message(&full, 10),
            Ok(crate::message::content::Content::from(full.clone()).sent_bytes())
        );
        for (bad, words) in [
            (Message::new("t", ""), "empty"),
            (Message::new("t", "12345678901"), "11 bytes"),
            (Message::new("SCHEDULE_TOPIC_XXXX", "x"), "belongs to the broker"),
            (good().property("UNIQ_KEY", "v"), "has a meaning"),
            (good().property("n", ""), "empty name or value"),
            (good().property("n", "a\u{2}b"), "byte 1 or 2"),
            (good().tag("a\u{1}b"), "byte 1 or 2"),
            (good().tag("a||b"), "separates tags"),
            (good().key("a b"), "space"),
            (good().order_by(""), "ordering key"),
            (good().delay_level(0), "the first level is 1"),
            (good().deliver_at(UNIX_EPOCH - Duration::from_secs(1)), "before 1970"),
            (good().priority(-1), "the lowest is 0"),
            (good().lite_topic(" "), "lite topic"),
            (good().light_queue("a,b"), "light queue"),
            (good().light_queue("%LMQ%"), "light queue"),
            (good().delay_level(1).part_of(Part::Transaction), "transaction"),
            (
                good().deliver_after(Duration::from_secs(4)).part_of(Part::Transaction),
                "transaction",
            ),
            (good().deliver_at(SystemTime::now()).part_of(Part::Transaction), "transaction"),
            (good().lite_topic("a\u{1}b"), "byte 1 or 2"),
            (good().property("n", "v".repeat(32_768)), "more than"),
        ] {
            let error = message(&bad, 10).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn properties_have_the_length_that_is_sent() {
        for message in [
            Message::new("t", "x"),
            Message::new("t", "x").order_by("k"),
            Message::new("t", "x").wait_stored(false),
            Message::new("t", "x").tag("a"),
            Message::new("t", "x").priority(1),
        ] {
            let sent = crate::message::wire_size::property_bytes(&message, None);
            assert_eq!(all_properties(&message), Ok(sent), "{message:?}");
        }
    }
}
