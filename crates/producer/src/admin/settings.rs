//! What a topic is to be like.

use std::fmt;

use posthaste_protocol::request::permission;

use super::attributes::Attributes;

/// The most queues of each kind that a topic may have.
const MAX_QUEUES: u32 = 0xFFFF;
pub(super) const MESSAGE_TYPE: &str = "message.type";

/// The settings of a new topic, for [`Admin::create_topic_with`](crate::Admin::create_topic_with)
/// (Java: `TopicConfig`).
///
/// ```
/// use posthaste::{TopicSettings, TopicType};
/// let settings = TopicSettings::new(8).topic_type(TopicType::Fifo).ordered(true);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "settings do nothing until a topic is created with them"]
pub struct TopicSettings {
    pub(super) read_queues: u32,
    pub(super) write_queues: u32,
    pub(super) perm: i32,
    pub(super) ordered: bool,
    pub(super) attributes: Attributes,
}

/// Which kind of messages a topic is for (5.x; Java: `TopicMessageType`). Proxies enforce it,
/// brokers only remember it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TopicType {
    /// Ordinary messages.
    Normal,
    /// Messages in the order of a key.
    Fifo,
    /// Messages that are delivered later.
    Delay,
    /// Messages that are part of a transaction.
    Transaction,
    /// Messages with a priority (5.5).
    Priority,
    /// Messages of lite topics (5.5).
    Lite,
    /// All of them. Brokers refuse it unless `enableMixedMessageType` is set.
    Mixed,
}

impl fmt::Display for TopicType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Normal => "NORMAL",
            Self::Fifo => "FIFO",
            Self::Delay => "DELAY",
            Self::Transaction => "TRANSACTION",
            Self::Priority => "PRIORITY",
            Self::Lite => "LITE",
            Self::Mixed => "MIXED",
        })
    }
}

impl TopicSettings {
    /// A topic with this many queues on each broker, 1 to 65,535, for reading and writing.
    pub fn new(queues: u32) -> Self {
        Self {
            read_queues: queues,
            write_queues: queues,
            perm: permission::READ | permission::WRITE,
            ordered: false,
            attributes: Attributes::default(),
        }
    }

    /// How many queues consumers read on each broker. Default: all. If fewer are read than written,
    /// the messages in the others wait for ever.
    pub fn read_queues(mut self, queues: u32) -> Self {
        self.read_queues = queues;
        self
    }

    /// How many queues producers write on each broker. Default: all.
    pub fn write_queues(mut self, queues: u32) -> Self {
        self.write_queues = queues;
        self
    }

    /// Whether consumers may read. Default true.
    pub fn readable(self, yes: bool) -> Self {
        self.permit(permission::READ, yes)
    }

    /// Whether producers may write. Default true. Producers see it in the route; brokers store
    /// messages that are sent nevertheless.
    pub fn writable(self, yes: bool) -> Self {
        self.permit(permission::WRITE, yes)
    }

    fn permit(mut self, bit: i32, yes: bool) -> Self {
        self.perm = if yes { self.perm | bit } else { self.perm & !bit };
        self
    }

    /// Whether the topic is marked as ordered: a broker that may not be written then refuses
    /// messages of the topic, instead of letting their order break. Default false.
    pub fn ordered(mut self, yes: bool) -> Self {
        self.ordered = yes;
        self
    }

    /// Which kind of messages the topic is for. Default: not set, which proxies take for normal
    /// messages. 4.x brokers ignore it.
    pub fn topic_type(self, topic_type: TopicType) -> Self {
        self.attribute(MESSAGE_TYPE, topic_type.to_string())
    }

    /// An attribute, such as `cleanup.policy` (5.x). Brokers refuse unknown attributes, and some
    /// attributes cannot change once the topic exists. 4.x brokers ignore all of them.
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.set(name.into(), Some(value.into()));
        self
    }

    /// What breaks a rule, if anything does.
    pub(super) fn check(&self) -> Result<(), String> {
        for queues in [self.read_queues, self.write_queues] {
            check_queues(queues)?;
        }
        self.attributes.check()
    }
}

/// What is wrong with a number of queues, if anything is.
pub(super) fn check_queues(queues: u32) -> Result<(), String> {
    match (1..=MAX_QUEUES).contains(&queues) {
        true => Ok(()),
        false => Err(format!("a topic has 1 to {MAX_QUEUES} queues, not {queues}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_as_they_travel() {
        let new = || TopicSettings::new(1);
        for (settings, text) in [
            (new(), None),
            (new().topic_type(TopicType::Fifo), Some("+message.type=FIFO")),
            (
                new().topic_type(TopicType::Fifo).topic_type(TopicType::Mixed),
                Some("+message.type=MIXED"),
            ),
            (
                new().attribute("reserve.time", "7").topic_type(TopicType::Delay),
                Some("+message.type=DELAY,+reserve.time=7"),
            ),
        ] {
            assert_eq!(settings.attributes.text().as_deref(), text);
            assert_eq!(settings.check(), Ok(()));
        }
    }

    #[test]
    fn what_breaks_a_rule() {
        let new = || TopicSettings::new(1);
        for wrong in [
            TopicSettings::new(0),
            TopicSettings::new(65_536),
            new().read_queues(0),
            new().write_queues(u32::MAX),
            new().attribute("", "x"),
            new().attribute("+a", "x"),
            new().attribute("a=b", "x"),
            new().attribute("a", ""),
            new().attribute("a", "x,+b=y"),
        ] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn permissions_are_bits() {
        let perm =
            |readable, writable| TopicSettings::new(1).readable(readable).writable(writable).perm;
        assert_eq!(
            [perm(true, true), perm(true, false), perm(false, true), perm(false, false)],
            [6, 4, 2, 0]
        );
    }
}
