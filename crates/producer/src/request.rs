//! Requests that are messages, and their replies (Java: `RequestFutureHolder`).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use posthaste_protocol::properties::{self, name};
use posthaste_protocol::request::PushReply;
use posthaste_protocol::{Command, DecodeError, StoredMessage};
use tokio::sync::oneshot;

use crate::client::Client;
use crate::message::{Correlation, Part};
use crate::timestamp::ms_since_1970;
use crate::{Message, MessageQueue, Outcome, Producer, ReadMessage, Receipt, SendError};

/// What a cluster's topic for replies is called, behind the cluster's name.
const REPLY_TOPIC: &str = "_REPLY_TOPIC";

/// Why a request got no reply.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The message could not be sent, or nothing is known of it.
    #[error("{0}")]
    Send(#[from] SendError),
    /// The message was stored, and no reply came in time.
    #[error("no reply to message {} in {} within {waited:.0?}", .receipt.message_id(), .receipt.queue())]
    NoReply {
        /// Where the message is stored; a consumer may still get it and reply, to nobody.
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
                "Check that a consumer of topic {} runs that replies, and how far behind it is; a longer timeout gives it more time.",
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
        if !client.would_refuse(&message) {
            client.be_found_by_repliers(message.topic_arc(), deadline).await;
        }
        let correlation = Correlation {
            id: random_uuid().into(),
            reply_to: client.id().into(),
            ttl_ms: u64::try_from(self.timeout().as_millis()).unwrap_or(u64::MAX),
        };
        let mut reply = client.requests.expect(&correlation.id);
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
    /// The reply to this message, to be sent by any producer; `None` when nobody waits for one.
    ///
    /// It goes to the broker's topic for replies of the cluster, and from there to the requester.
    /// Nobody waits either when the broker did not note its cluster (4.7.0 does not, for Java's
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

/// Requests that wait for their replies.
#[derive(Debug, Default)]
pub(crate) struct Requests(Mutex<Waiting>);

type Waiting = HashMap<Arc<str>, oneshot::Sender<ReadMessage>>;

/// A place in the table; given back when it is dropped.
struct Expected<'a> {
    id: Arc<str>,
    requests: &'a Requests,
    receiver: oneshot::Receiver<ReadMessage>,
}

impl Requests {
    fn expect(&self, id: &Arc<str>) -> Expected<'_> {
        let (sender, receiver) = oneshot::channel();
        self.waiting().insert(id.clone(), sender);
        Expected { id: id.clone(), requests: self, receiver }
    }

    /// Hands a reply over; `false` when nobody waits for it any more.
    fn complete(&self, id: &str, reply: ReadMessage) -> bool {
        let waits = self.waiting().remove(id);
        waits.is_some_and(|waits| waits.send(reply).is_ok())
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Expected<'_> {
    fn drop(&mut self) {
        self.requests.waiting().remove(&self.id);
    }
}

impl Client {
    /// A broker hands over a reply.
    pub(crate) fn take_reply(&self, request: &Command) -> Result<(), DecodeError> {
        let push: PushReply = request.read()?;
        let text = push.properties.clone().unwrap_or_default();
        let id = properties::find(&text, name::CORRELATION_ID);
        let id = id.ok_or(DecodeError::MissingField(name::CORRELATION_ID))?;
        let topic = self.config().off_wire(&push.topic).into_owned();
        if !self.requests.complete(id, reply_of(push, &topic, &text)) {
            self.counters().late_replies.add_one();
            self.meters().late_reply();
            tracing::debug!(id, "a reply that nobody waits for any more");
        }
        Ok(())
    }

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
            // In a namespace nobody has created the topic before the first reply.
            if route.from_default_topic && self.config().namespace.is_none() {
                continue;
            }
            let heartbeat = self.heartbeat();
            for broker in &route.brokers {
                if let Err(error) = broker.connection.call(&heartbeat, deadline).await {
                    tracing::warn!(broker = %broker.name, %error, "its replies may not arrive");
                }
            }
            self.routes.put(route);
        }
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
