//! Requests that are messages, and their replies.

use std::sync::Arc;
use std::time::{Duration, Instant};

use posthaste_protocol::properties::name;

use crate::client::Client;
use crate::message::{Correlation, Part};
use crate::{Message, Outcome, Producer, ReadMessage, Receipt, SendError};

/// What a cluster's topic for replies is called, behind the cluster's name.
const REPLY_TOPIC: &str = "_REPLY_TOPIC";

/// Why a request got no reply.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The message could not be sent, or it is unknown whether it was stored.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The message was stored, and no reply came in time.
    #[error("no reply to message {} in {} within {waited:.0?}", .receipt.message_id(), .receipt.queue())]
    NoReply {
        /// Where the message is stored; a consumer may still get it and reply; the reply is
        /// dropped.
        receipt: Box<Receipt>,
        /// How long the reply was waited for.
        waited: Duration,
    },
}

impl RequestError {
    /// What to do about it, in a sentence or two.
    pub fn help(&self) -> String {
        match self {
            Self::Send(error) => error.help(),
            Self::NoReply { receipt, .. } => format!(
                "Check that a consumer of topic {} runs and replies, and how far behind it is. A \
                 longer timeout gives it more time.",
                receipt.queue().topic()
            ),
        }
    }
}

impl Producer {
    /// Sends a message and awaits the reply of the consumer that gets it (Java: `request`).
    ///
    /// The deadline ([`send_timeout`](crate::ProducerBuilder::send_timeout), or that of
    /// [`with_timeout`](Self::with_timeout)) covers the way there, the consumer's work and the way
    /// back. The consumer replies with [`ReadMessage::reply`], or Java's
    /// `MessageUtil.createReplyMessage`.
    ///
    /// # Errors
    /// [`RequestError`]: the message could not be sent, or no reply came in time. A reply that comes
    /// later is counted ([`Stats::late_replies`](crate::Stats)) and dropped.
    ///
    /// # Cancellation
    /// As [`send`](Self::send). A reply that comes afterwards is dropped.
    pub async fn request(&self, message: Message) -> Result<ReadMessage, RequestError> {
        let client = self.client();
        let (began, deadline) = (Instant::now(), Instant::now() + self.timeout());
        if !client.ledger.would_reject(&message) {
            client.be_found_by_repliers(message.topic_arc(), deadline).await;
        }
        let correlation = Correlation {
            id: random_uuid().into(),
            reply_to: client.ledger.id().into(),
            ttl_ms: u64::try_from(self.timeout().as_millis()).unwrap_or(u64::MAX),
        };
        let mut reply = client.ledger.awaited_replies.expect(&correlation.id);
        let sender = self.with_timeout(deadline.saturating_duration_since(Instant::now()));
        let sent = tokio::select! {
            // The reply may be here before the broker's answer to the send.
            Ok(reply) = &mut reply.receiver => return Ok(reply),
            sent = sender.send(message.part_of(Part::Request(correlation))) => sent,
        };
        let sent = match sent {
            Err(error) if error.outcome() == Outcome::NotStored => return Err(error.into()),
            sent => sent,
        };
        match tokio::time::timeout_at(deadline.into(), &mut reply.receiver).await {
            Ok(Ok(reply)) => Ok(reply),
            // The sender stays in the table while this waits.
            Ok(Err(_)) | Err(_) => Err(no_reply(sent, began)),
        }
    }
}

fn no_reply(sent: Result<Receipt, SendError>, began: Instant) -> RequestError {
    match sent {
        Ok(receipt) => {
            RequestError::NoReply { receipt: Box::new(receipt), waited: began.elapsed() }
        }
        Err(error) => error.into(),
    }
}

impl ReadMessage {
    /// The reply to this message, to be sent by any producer; `None` when no request waits for one.
    ///
    /// It goes to the broker's topic for replies of the cluster, and from there to the requester.
    /// No request waits either when the broker did not note its cluster (4.7.0 does not, for Java's
    /// requests).
    pub fn reply(&self, body: impl Into<bytes::Bytes>) -> Option<Message> {
        let cluster = self.property(name::CLUSTER)?;
        let correlation = Correlation {
            id: self.property(name::CORRELATION_ID)?.into(),
            reply_to: self.property(name::REPLY_TO_CLIENT)?.into(),
            ttl_ms: self.property(name::TTL).and_then(|ttl| ttl.parse().ok()).unwrap_or_default(),
        };
        let reply = Message::new(format!("{cluster}{REPLY_TOPIC}"), body);
        Some(reply.part_of(Part::Reply(correlation)))
    }
}

impl Client {
    /// Repliers may reach any broker of the cluster, and that one must know this client: it gets a
    /// heartbeat, and its connection is kept. What goes wrong here shows when the reply is awaited.
    async fn be_found_by_repliers(self: &Arc<Self>, topic: &Arc<str>, deadline: Instant) {
        let Some(route) = self.route_before(topic, deadline).await else { return };
        for cluster in route.clusters() {
            let reply_topic: Arc<str> = format!("{cluster}{REPLY_TOPIC}").into();
            if self.routes.get(&reply_topic).is_some() {
                continue;
            }
            let Some(route) = self.route_before(&reply_topic, deadline).await else { continue };
            // In a namespace, the topic does not exist before the first reply.
            if route.from_default_topic && self.ledger.config().namespace.is_none() {
                continue;
            }
            let heartbeat = self.ledger.heartbeat();
            for broker in &route.brokers {
                if let Err(error) = broker.connection.call(&heartbeat, deadline).await {
                    tracing::warn!(broker = %broker.name, %error, "its replies may not arrive");
                }
            }
            self.routes.put(route);
        }
    }
}

/// A random UUID, as Java's `UUID.randomUUID` writes it.
fn random_uuid() -> String {
    let random = fastrand::u128(..) & !(0xF << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let digits = format!("{random:032x}");
    let mut uuid = String::with_capacity(36);
    for (at, digit) in digits.chars().enumerate() {
        if [8, 12, 16, 20].contains(&at) {
            uuid.push('-');
        }
        uuid.push(digit);
    }
    uuid
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_uuid_is_of_version_4() {
        for _ in 0..100 {
            let uuid = random_uuid();
            let parts: Vec<&str> = uuid.split('-').collect();
            let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
            assert_eq!(lengths, [8, 4, 4, 4, 12], "{uuid}");
            assert!(parts[2].starts_with('4'), "{uuid}");
            assert!(parts[3].starts_with(['8', '9', 'a', 'b']), "{uuid}");
        }
        assert_ne!(random_uuid(), random_uuid());
    }
}
