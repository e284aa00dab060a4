//! A message as JSON: what `posthaste tail -o json` writes of one, and what the broker knows beside it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use posthaste_broker::StoredMessage;
use serde::Serialize;

use crate::api::time::since_1970;
use crate::body::Body;

/// A message. Its own fields are those that `posthaste send --json` takes.
#[derive(Serialize)]
pub(super) struct Envelope<'a> {
    topic: &'a str,
    broker: &'a str,
    queue: u16,
    offset: u64,
    msg_id: &'a str,
    offset_msg_id: &'a str,
    born_ms: u64,
    stored_ms: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    compressed: bool,
    keys: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<&'a str>,
    #[serde(skip_serializing_if = "is_zero")]
    flag: i32,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    properties: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ordered_by: Option<&'a str>,
    #[serde(flatten)]
    body: Body<'a>,
    details: Details<'a>,
}

/// What only the broker knows of a message.
#[derive(Serialize)]
struct Details<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<&'a str>,
    born_host: SocketAddr,
    redelivered: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    waits_for: Option<WaitsFor<'a>>,
    system_properties: &'a BTreeMap<String, String>,
}

/// Where a message goes that waits.
#[derive(Serialize)]
struct WaitsFor<'a> {
    topic: &'a str,
    queue: u16,
    at_ms: Option<u64>,
}

impl<'a> Envelope<'a> {
    pub(super) fn of(message: &'a StoredMessage, broker: &'a str) -> Self {
        let waits_for = message.waits_for.as_ref().map(|waits_for| WaitsFor {
            topic: &waits_for.topic,
            queue: waits_for.queue,
            at_ms: waits_for.at.map(since_1970),
        });
        Self {
            topic: &message.topic,
            broker,
            queue: message.queue,
            offset: message.offset,
            msg_id: &message.unique_id,
            offset_msg_id: &message.offset_id,
            born_ms: since_1970(message.born_at),
            stored_ms: since_1970(message.stored_at),
            compressed: message.is_compressed,
            keys: &message.keys,
            tag: message.tag.as_deref(),
            flag: message.flag,
            properties: &message.properties,
            ordered_by: message.ordering_key.as_deref(),
            body: Body(&message.body),
            details: Details {
                group: message.group.as_deref(),
                client: message.client.as_deref(),
                born_host: message.born_host,
                redelivered: message.redelivered,
                waits_for,
                system_properties: &message.system_properties,
            },
        }
    }

    pub(super) fn all(messages: &'a [StoredMessage], broker: &'a str) -> Vec<Self> {
        messages.iter().map(|message| Self::of(message, broker)).collect()
    }
}

fn is_zero(number: &i32) -> bool {
    *number == 0
}
