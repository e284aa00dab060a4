//! The conditions of a rule: where a request has to be.

use std::fmt;

use super::asked::Asked;
use super::on::On;

/// What a request has to name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) topic: Option<String>,
    pub(crate) queue: Option<u16>,
    pub(crate) group: Option<String>,
    pub(crate) client: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) tag: Option<String>,
    pub(crate) port: Option<u16>,
}

/// One of the conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    Topic,
    Queue,
    Group,
    Client,
    Key,
    Tag,
    Port,
}

impl Place {
    /// Whether a request is there.
    pub(super) fn fits(&self, asked: &Asked<'_>) -> bool {
        fn is<T: PartialEq + ?Sized>(wanted: Option<&T>, named: Option<&T>) -> bool {
            wanted.is_none_or(|wanted| Some(wanted) == named)
        }
        is(self.port.as_ref(), Some(&asked.port))
            && is(self.topic.as_deref(), asked.topic)
            && is(self.queue.map(i32::from).as_ref(), asked.queue.as_ref())
            && is(self.client.as_deref(), asked.client)
            && self.group.as_deref().is_none_or(|group| asked.groups.contains(&group))
            && self.key.as_deref().is_none_or(|key| asked.has_key(key))
            && self.tag.as_deref().is_none_or(|tag| asked.has_tag(tag))
    }

    /// The conditions that are made.
    pub(super) fn conditions(&self) -> impl Iterator<Item = Condition> {
        [
            (self.topic.is_some(), Condition::Topic),
            (self.queue.is_some(), Condition::Queue),
            (self.group.is_some(), Condition::Group),
            (self.client.is_some(), Condition::Client),
            (self.key.is_some(), Condition::Key),
            (self.tag.is_some(), Condition::Tag),
            (self.port.is_some(), Condition::Port),
        ]
        .into_iter()
        .filter_map(|(is_made, condition)| is_made.then_some(condition))
    }

    /// A condition whose text is empty.
    pub(super) fn empty(&self) -> Option<Condition> {
        [
            (&self.topic, Condition::Topic),
            (&self.group, Condition::Group),
            (&self.client, Condition::Client),
            (&self.key, Condition::Key),
            (&self.tag, Condition::Tag),
        ]
        .into_iter()
        .find_map(|(text, condition)| {
            text.as_deref().is_some_and(str::is_empty).then_some(condition)
        })
    }
}

impl Condition {
    /// The conditions that these requests can meet.
    pub(super) fn of(on: On) -> &'static [Self] {
        use Condition::{Client, Group, Key, Port, Queue, Tag, Topic};
        match on {
            On::Send => &[Topic, Queue, Group, Client, Key, Tag, Port],
            On::Reply => &[Topic, Group, Client, Key, Tag, Port],
            On::Pull => &[Topic, Queue, Group, Client, Port],
            On::Query => &[Topic, Key, Client, Port],
            On::TransactionEnd | On::Recall => &[Topic, Group, Client, Port],
            On::Route | On::TopicCreation => &[Topic, Client, Port],
            On::Heartbeat => &[Group, Client, Port],
            On::Code(code) => match On::of_code(posthaste_protocol::RequestCode(code)) {
                Some(on) => Self::of(on),
                None => &[Client, Port],
            },
            On::Connect => &[Port],
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Topic => "topic",
            Self::Queue => "queue",
            Self::Group => "group",
            Self::Client => "client",
            Self::Key => "key",
            Self::Tag => "tag",
            Self::Port => "port",
        })
    }
}
