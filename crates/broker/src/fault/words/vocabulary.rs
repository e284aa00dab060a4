//! The words of rules, and which is nearest to one that is none.

use std::time::Duration;

use posthaste_protocol::ResponseCode;

use super::super::{Action, FaultError, Lie, On, SendKind};
use super::{AFTER_STORE, BEFORE_STORE};

/// Every word.
pub(super) const WORDS: &[&str] = &[
    "on",
    "kind",
    "topic",
    "queue",
    "group",
    "client",
    "key",
    "tag",
    "port",
    "first",
    "after",
    "every",
    "probability",
    "seed",
    "for",
    "point",
    "do",
    "code",
    "remark",
    "by",
    "jitter",
    "bytes",
    "rate",
    "address",
    "count",
];

/// Requests by name; any other one goes by its code.
pub(super) const REQUESTS: &[(&str, On)] = &[
    ("send", On::Send),
    ("route", On::Route),
    ("heartbeat", On::Heartbeat),
    ("transaction-end", On::TransactionEnd),
    ("recall", On::Recall),
    ("reply", On::Reply),
    ("pull", On::Pull),
    ("query", On::Query),
    ("topic-creation", On::TopicCreation),
    ("connect", On::Connect),
];

pub(super) const KINDS: &[(&str, SendKind)] =
    &[("single", SendKind::Single), ("batch", SendKind::Batch), ("one-way", SendKind::OneWay)];

pub(super) const POINTS: &[(&str, bool)] =
    &[("before-store", BEFORE_STORE), ("after-store", AFTER_STORE)];

/// Actions by name, with any value.
pub(super) const ACTIONS: &[(&str, Action)] = &[
    ("refuse", Action::Refuse(ResponseCode::SYSTEM_BUSY)),
    ("status", Action::Status(ResponseCode::FLUSH_DISK_TIMEOUT)),
    ("no-answer", Action::NoAnswer),
    ("delay", Action::Delay(Duration::ZERO)),
    ("close", Action::Close),
    ("reset", Action::Reset),
    ("slow-close", Action::SlowClose(Duration::ZERO)),
    ("cut-request-after", Action::CutRequestAfter(0)),
    ("stop-reading", Action::StopReading),
    ("read-at", Action::ReadAt(0)),
    ("write-at", Action::WriteAt(0)),
    ("cut-after", Action::CutAfter(0)),
    ("trickle", Action::Trickle(0)),
    ("answer-twice", Action::AnswerTwice),
    ("answer-to-another-number", Action::AnswerToAnotherNumber),
    ("garbage", Action::Garbage),
    ("go-away", Action::GoAway),
    ("unknown", Action::Lie(Lie::Unknown)),
    ("empty", Action::Lie(Lie::Empty)),
    ("without-master", Action::Lie(Lie::WithoutMaster)),
    ("another-address", Action::Lie(Lie::AnotherAddress(String::new()))),
    ("queues", Action::Lie(Lie::Queues(0))),
    ("without-write-permission", Action::Lie(Lie::WithoutWritePermission)),
    ("stale-by", Action::Lie(Lie::StaleBy(Duration::ZERO))),
    ("pass", Action::Pass),
];

/// What has this name.
pub(super) fn by_name<T: Clone>(
    what: &str,
    all: &[(&'static str, T)],
    name: &str,
) -> Result<T, FaultError> {
    let found = all.iter().find(|(known, _)| *known == name);
    found
        .map(|(_, value)| value.clone())
        .ok_or_else(|| unknown(what, name, all.iter().map(|(known, _)| *known)))
}

/// The name of what is in a table.
pub(super) fn name_of<T: PartialEq>(all: &[(&'static str, T)], value: T) -> &'static str {
    all.iter().find(|(_, known)| *known == value).map_or("", |(name, _)| name)
}

/// Says that something is not known, what there is, and what is nearest.
pub(super) fn unknown(
    what: &str,
    name: &str,
    there_is: impl Iterator<Item = &'static str> + Clone,
) -> FaultError {
    let distance = |known: &&str| strsim::osa_distance(known, name);
    let near = there_is.clone().min_by_key(distance).filter(|known| distance(known) <= 3);
    let hint = near.map(|known| format!("; perhaps {known}")).unwrap_or_default();
    let list = there_is.collect::<Vec<_>>().join(", ");
    FaultError::Senseless(format!("{name:?} is no {what} of a fault rule{hint}; there is: {list}"))
}
