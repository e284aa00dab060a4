//! How a send ends when it does not end well.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use posthaste_protocol::ResponseCode;

use crate::Message;
use crate::message::cause::Cause;
use crate::message::content::Content;

/// Whether a failed message may have been stored nevertheless.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// No attempt stored it. Sending it again makes no duplicate.
    NotStored,
    /// An attempt may have stored it: its answer never came, or did not say whether it did. Sending
    /// the message again may make a duplicate, with another message id.
    Unknown,
}

impl Outcome {
    /// One word: `not_stored` or `unknown`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotStored => "not_stored",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a send failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The message breaks a rule. Either the producer found that, and asked no broker, or the
    /// broker said so.
    Invalid,
    /// No name server could say where the topic is.
    NoRoute,
    /// The topic does not exist and is not created by sending to it.
    NoTopic,
    /// The topic has no queue that may be written, or not the given one.
    NoWritableQueue,
    /// No connection to a broker.
    Connect,
    /// No encrypted connection: the server's certificate is not trusted, or the server does not
    /// accept the client's, or it does not speak TLS. Nothing of the message was sent.
    Tls,
    /// The route leads to a broker that is not trusted
    /// ([`trusted_brokers`](crate::ProducerBuilder::trusted_brokers)). Nothing was sent there.
    Untrusted,
    /// The connection broke before the answer came.
    ConnectionLost,
    /// The deadline passed.
    Timeout,
    /// The broker refused by flow control, or the message could not leave in time because it did.
    Busy,
    /// The broker cannot store now: it is stopping, full, or a slave.
    Unavailable,
    /// The broker refuses this client, or writing to the topic.
    Denied,
    /// The broker does not know the request.
    Unsupported,
    /// The broker refused with this code, and sending again will not help.
    Rejected(ResponseCode),
    /// The broker failed with this code and does not say whether it stored the message.
    Broker(ResponseCode),
    /// The broker's answer cannot be read.
    Protocol,
    /// An earlier message of the same ordering key failed.
    EarlierFailed,
    /// An interceptor vetoed an attempt.
    Vetoed,
    /// The producer holds as many messages or bytes as it may.
    BufferFull,
    /// The producer is closed.
    Closed,
}

impl ErrorKind {
    /// One word, such as `busy` or `connection_lost`: for logs, for labels of metrics (where it is
    /// `error.type`), and for programs that read them. A word keeps its meaning; response codes are
    /// left out, so that there are few.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::NoRoute => "no_route",
            Self::NoTopic => "no_topic",
            Self::NoWritableQueue => "no_writable_queue",
            Self::Connect => "connect",
            Self::ConnectionLost => "connection_lost",
            Self::Tls => "tls",
            Self::Untrusted => "untrusted",
            Self::Timeout => "timeout",
            Self::Busy => "busy",
            Self::Unavailable => "unavailable",
            Self::Denied => "denied",
            Self::Unsupported => "unsupported",
            Self::Rejected(_) => "rejected",
            Self::Broker(_) => "broker",
            Self::Protocol => "protocol",
            Self::EarlierFailed => "earlier_failed",
            Self::Vetoed => "vetoed",
            Self::BufferFull => "buffer_full",
            Self::Closed => "closed",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Invalid => "the message is not valid",
            Self::NoRoute => "no route",
            Self::NoTopic => "no such topic",
            Self::NoWritableQueue => "no writable queue",
            Self::Connect => "no connection",
            Self::Tls => "no encrypted connection",
            Self::Untrusted => "the broker is not trusted",
            Self::ConnectionLost => "connection lost",
            Self::Timeout => "no answer in time",
            Self::Busy => "the broker is busy",
            Self::Unavailable => "the broker cannot store messages now",
            Self::Denied => "permission denied",
            Self::Unsupported => "the broker does not know this request",
            Self::Rejected(code) => return write!(f, "refused with code {code}"),
            Self::Broker(code) => return write!(f, "the broker failed with code {code}"),
            Self::Protocol => "the answer cannot be read",
            Self::EarlierFailed => "an earlier message of the same key failed",
            Self::Vetoed => "an interceptor vetoed it",
            Self::BufferFull => "the producer's buffer is full",
            Self::Closed => "the producer is closed",
        };
        f.write_str(text)
    }
}

/// One try to hand a message to a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// Name of the broker.
    pub broker: Arc<str>,
    /// Address that was used.
    pub address: Arc<str>,
    /// Queue, once one was chosen.
    pub queue: Option<i32>,
    /// How long the attempt took.
    pub took: Duration,
    /// Why it failed.
    pub kind: ErrorKind,
    /// Whether it may have stored the message.
    pub outcome: Outcome,
    /// The broker's remark, or the system's words.
    pub reason: String,
}

impl Attempt {
    fn write_place(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.broker, self.address)?;
        if let Some(queue) = self.queue {
            write!(f, ", queue {queue}")?;
        }
        write!(f, ", after {:.0?}", self.took)
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_place(f)?;
        write!(f, ": {}", self.kind)?;
        if !self.reason.is_empty() && self.reason != self.kind.to_string() {
            write!(f, " ({})", self.reason)?;
        }
        Ok(())
    }
}

/// A send that did not end as stored.
///
/// Its `Display` is one line; [`attempts`](Self::attempts) has the whole story.
///
/// What the system or TLS said, if it was that which kept the message from its broker, is the
/// [`source`](Error::source): a [`std::io::Error`], such as one of the kind `ConnectionRefused`,
/// and of a failure of TLS the error of `rustls` as the source of that. `{}` leaves out what the
/// source says, so that code that prints the whole chain, as `anyhow` does with `{:#}`, prints
/// nothing twice; `{:#}` of the error itself is the line with it.
pub struct SendError(Box<Failure>);

struct Failure {
    kind: ErrorKind,
    outcome: Outcome,
    reason: String,
    attempts: Vec<Attempt>,
    /// What the system or TLS said.
    cause: Option<Cause>,
    content: Content,
}

impl SendError {
    pub(crate) fn new(
        kind: ErrorKind,
        outcome: Outcome,
        reason: impl Into<String>,
        attempts: Vec<Attempt>,
        content: Content,
    ) -> Self {
        let reason = reason.into();
        Self(Box::new(Failure { kind, outcome, reason, attempts, cause: None, content }))
    }

    /// The system, or TLS, has said this, in the last attempt. An error that does not follow from it has
    /// no cause.
    pub(crate) fn caused_by(mut self, cause: Option<Cause>) -> Self {
        let follows = matches!(
            self.0.kind,
            ErrorKind::Connect
                | ErrorKind::ConnectionLost
                | ErrorKind::Tls
                | ErrorKind::NoRoute
                | ErrorKind::Timeout
        );
        self.0.cause = cause.filter(|_| follows);
        self
    }

    /// An error of a message, or a batch, that never left.
    pub(crate) fn not_stored(kind: ErrorKind, reason: impl Into<String>, content: Content) -> Self {
        Self::new(kind, Outcome::NotStored, reason, Vec::new(), content)
    }

    /// Why the send failed.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the message may have been stored nevertheless.
    pub fn outcome(&self) -> Outcome {
        self.0.outcome
    }

    /// Every attempt, the oldest first. Empty when the message never got as far as a broker; of a
    /// long list only the first and the last are kept, at most 16.
    pub fn attempts(&self) -> &[Attempt] {
        &self.0.attempts
    }

    /// The message; of a batch the first.
    pub fn message(&self) -> &Message {
        &self.0.content.first
    }

    /// Gives the message back, to send it again or to put it somewhere safe. Of a batch it is the
    /// first; [`into_messages`](Self::into_messages) gives all.
    pub fn into_message(self) -> Message {
        self.0.content.first
    }

    /// Gives the message back, or all messages of a batch in their order.
    pub fn into_messages(self) -> Vec<Message> {
        self.0.content.into_messages()
    }

    /// What to do about it, in a sentence or two.
    pub fn help(&self) -> String {
        let topic = self.message().topic();
        match self.0.kind {
            ErrorKind::Invalid => "Correct the message; sent again unchanged, it fails again.".into(),
            ErrorKind::NoRoute => "Check the name server's address, and that it runs. Several \
                                   addresses are separated by `;`.".into(),
            ErrorKind::NoTopic => format!(
                "Create topic {topic} first, or let the brokers create topics (autoCreateTopicEnable)."
            ),
            ErrorKind::NoWritableQueue => format!(
                "Topic {topic} exists, but no reachable master has a queue of it that can be \
                 written. Check the topic's permission and that its brokers run."
            ),
            ErrorKind::Connect => "Check that the broker runs, and that the address it advertises \
                                   (brokerIP1) can be reached from here. Behind Docker or NAT, \
                                   set an address map.".into(),
            ErrorKind::Tls => "Check the server's certificate: who signed it (`Tls::ca_file`), \
                               until when it is valid, and that it names the host that you \
                               connect to (`Tls::server_name`). Check whether the server wants a \
                               client certificate (`Tls::client_certificate`), and whether the \
                               port speaks TLS at all.".into(),
            ErrorKind::Untrusted => "If that broker belongs to the cluster, add its host to the trusted brokers. If not, find out who registered it with the name server.".into(),
            ErrorKind::ConnectionLost | ErrorKind::Timeout => "The broker stopped answering. Look \
                                                               at its log and its load. A longer \
                                                               send timeout gives it more time.".into(),
            ErrorKind::Busy => "The broker is overloaded. Send slower, or give the send more time.".into(),
            ErrorKind::Unavailable => "The broker is stopping, full, or not a master. Look at its disk and its log.".into(),
            ErrorKind::Denied => format!("Check the credentials, and the permission of topic {topic} on the broker."),
            ErrorKind::Unsupported => "The broker is too old for this request, or is not a RocketMQ broker.".into(),
            ErrorKind::Rejected(_) | ErrorKind::Broker(_) => "See the broker's remark, and its log.".into(),
            ErrorKind::Protocol => "Check that the address is that of a RocketMQ broker.".into(),
            ErrorKind::EarlierFailed => "See the error of the earlier message. To keep the order, \
                                         send this message again after it.".into(),
            ErrorKind::Vetoed => "An interceptor of the application rejected it; the error has \
                                  its reason.".into(),
            ErrorKind::BufferFull => "Wait for deliveries to end, or allow more pending messages.".into(),
            ErrorKind::Closed => "Send before closing the producer, or give `close` more time.".into(),
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = OneLine(&self.0);
        match &self.0.cause {
            Some(cause) if !f.alternate() => {
                f.write_str(&without(&line.to_string(), &cause.words()))
            }
            _ => line.fmt(f),
        }
    }
}

/// A line without what its source says.
fn without(line: &str, words: &str) -> String {
    line.replace(&format!(": {words}"), "").replace(&format!(" ({words})"), "")
}

/// All of an error in one line.
struct OneLine<'a>(&'a Failure);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failure = self.0;
        write!(
            f,
            "{}: topic {}: {}",
            failure.outcome,
            failure.content.first.topic(),
            failure.kind
        )?;
        if !failure.reason.is_empty() && failure.reason != failure.kind.to_string() {
            write!(f, ": {}", failure.reason)?;
        }
        let Some(last) = failure.attempts.last() else { return Ok(()) };
        let count = failure.attempts.len();
        let word = if count == 1 { "attempt" } else { "attempts" };
        write!(f, " [{count} {word}, the last on ")?;
        // What the line has said already it does not say again.
        match (last.kind, &last.reason) == (failure.kind, &failure.reason) {
            true => last.write_place(f)?,
            false => write!(f, "{last}")?,
        }
        f.write_str("]")
    }
}

impl fmt::Debug for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendError")
            .field("kind", &self.0.kind)
            .field("outcome", &self.0.outcome)
            .field("reason", &self.0.reason)
            .field("attempts", &self.0.attempts)
            .field("cause", &self.0.cause)
            .field("content", &self.0.content)
            .finish()
    }
}

impl Error for SendError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.cause.as_ref().map(|cause| cause.io() as _)
    }
}

/// A producer cannot be made from this configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The group's name breaks a rule.
    #[error("producer group {0}")]
    Group(String),
    /// The list of name servers is empty or has an address without a port.
    #[error("name servers: {0}")]
    NameServers(String),
    /// A setting is outside of its range.
    #[error("{0}")]
    Setting(String),
    /// A certificate or a key cannot be read or used.
    #[error("TLS: {0}")]
    Tls(String),
    /// There is no tokio runtime to run on.
    #[error("a producer must be started inside of a tokio runtime")]
    NoRuntime,
    /// The tokio runtime has no timers, or no I/O.
    #[error("the tokio runtime has no {lacks}: build it with `enable_all()`")]
    Runtime {
        /// What it has not.
        lacks: &'static str,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_nothing_twice() {
        let attempt = |kind, reason: &str| Attempt {
            broker: "a".into(),
            address: "10.0.0.7:10911".into(),
            queue: Some(3),
            took: Duration::from_millis(5),
            kind,
            outcome: Outcome::NotStored,
            reason: reason.to_owned(),
        };
        let line = |kind, reason: &str, attempts| {
            let content = Content::from(Message::new("T", "x"));
            SendError::new(kind, Outcome::NotStored, reason, attempts, content).to_string()
        };
        let place = "a at 10.0.0.7:10911, queue 3, after 5ms";
        for (kind, reason, attempts, expected) in [
            (
                ErrorKind::Invalid,
                "the body is empty",
                vec![],
                "the message is not valid: the body is empty".to_owned(),
            ),
            (
                ErrorKind::Denied,
                "no perm",
                vec![attempt(ErrorKind::Denied, "no perm")],
                format!("permission denied: no perm [1 attempt, the last on {place}]"),
            ),
            (
                ErrorKind::Timeout,
                "no answer in time",
                vec![attempt(ErrorKind::Timeout, "no answer in time")],
                format!("no answer in time [1 attempt, the last on {place}]"),
            ),
            (
                ErrorKind::Timeout,
                "no answer in time",
                vec![
                    attempt(ErrorKind::Connect, "refused"),
                    attempt(ErrorKind::Connect, "refused"),
                ],
                format!(
                    "no answer in time [2 attempts, the last on {place}: no connection (refused)]"
                ),
            ),
        ] {
            assert_eq!(line(kind, reason, attempts), format!("not_stored: topic T: {expected}"));
        }
    }
}
