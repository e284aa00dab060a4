//! Replies to requests, which brokers hand over.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::SystemTime;

use posthaste_protocol::properties::{self, name};
use posthaste_protocol::request::PushReply;
use posthaste_protocol::{Command, DecodeError, StoredMessage};

use super::Client;
use crate::message::timestamp::ms_since_1970;
use crate::{MessageQueue, ReadMessage};

impl Client {
    /// A broker hands over a reply.
    pub(crate) fn take_reply(&self, request: &Command) -> Result<(), DecodeError> {
        let push: PushReply = request.read()?;
        let text = push.properties.clone().unwrap_or_default();
        let id = properties::find(&text, name::CORRELATION_ID);
        let id = id.ok_or(DecodeError::MissingField(name::CORRELATION_ID))?;
        let topic = self.ledger.config().off_wire(&push.topic).into_owned();
        if !self.ledger.awaited_replies.complete(id, reply_of(push, &topic, &text)) {
            self.ledger.counts().late_replies.add(1);
            tracing::debug!(id, "a reply that no request waits for any more");
        }
        Ok(())
    }
}

/// A pushed reply as a message.
fn reply_of(push: PushReply, topic: &str, properties: &str) -> ReadMessage {
    let mut text = properties.to_owned();
    let now = ms_since_1970(SystemTime::now());
    properties::push(&mut text, name::ARRIVE_TIME, &now.to_string());
    let queue = MessageQueue::new(topic, "", push.queue_id);
    let stored = StoredMessage {
        topic: push.topic,
        queue_id: push.queue_id,
        queue_offset: 0,
        physical_offset: 0,
        flag: push.flag,
        sys_flag: push.sys_flag,
        born_at_ms: push.born_at_ms,
        born_host: host(&push.born_host),
        stored_at_ms: push.stored_at_ms,
        store_host: host(&push.store_host),
        reconsume_times: push.reconsume_times.unwrap_or_default(),
        prepared_offset: 0,
        body: push.body,
        properties: text,
    };
    ReadMessage::new(queue, stored)
}

/// An address as brokers write it: 4.x puts a slash before it, and perhaps a name.
fn host(text: &str) -> SocketAddr {
    let address = text.rsplit('/').next().unwrap_or_default();
    address.parse().unwrap_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_every_version_are_read() {
        for (text, expected) in [
            ("10.0.0.1:5555", "10.0.0.1:5555"),
            ("/10.0.0.1:5555", "10.0.0.1:5555"),
            ("host/10.0.0.1:5555", "10.0.0.1:5555"),
            ("/[::1]:7", "[::1]:7"),
            ("nonsense", "0.0.0.0:0"),
        ] {
            assert_eq!(host(text).to_string(), expected);
        }
    }
}
