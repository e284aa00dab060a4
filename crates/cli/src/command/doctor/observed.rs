//! What was seen of servers, before anyone says what it means.

use posthaste_protocol::ResponseCode;
use posthaste_protocol::request::TopicRoute;

/// How far this machine got with a server.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Reach {
    /// Its name has no address: what the system said.
    Unresolved(String),
    /// No connection: what the system said.
    Unconnected(String),
    /// No encrypted connection: what TLS said.
    NoTls(String),
    /// It is not among the trusted brokers, and was not asked.
    Untrusted,
    /// Connected, and no answer that can be read: what came instead.
    Silent(String),
    Answered(Answer),
}

/// An answer in the remoting protocol.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    pub(super) code: ResponseCode,
    pub(super) remark: String,
    /// The server's version, as a number of the protocol.
    pub(super) version: i32,
    pub(super) ms: f64,
}

/// What a port speaks, by what it says to other greetings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Port {
    /// What its first bytes look like.
    pub(super) speaks: Option<Speaks>,
    /// It answers the same question when that is not encrypted.
    pub(super) answers_plain: bool,
    /// It answers the same question over TLS.
    pub(super) answers_tls: bool,
    /// A name server's port answers a broker's question, or a broker's port a name server's.
    pub(super) answers_other_role: bool,
}

/// Protocols that are not RocketMQ's remoting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaks {
    Http,
    /// HTTP/2, as gRPC servers do.
    Http2,
    Tls,
    Ssh,
}

/// A name server, asked for routes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct NameServer {
    pub(super) address: String,
    pub(super) reach: Reach,
    /// What its port speaks, if it did not answer as a name server.
    pub(super) port: Option<Port>,
    pub(super) routes: Routes,
}

/// The routes that a name server has told; `None`: it has no such topic.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Routes {
    /// Of the topic that the user named.
    pub(super) topic: Option<TopicRoute>,
    /// Of a topic that every broker has.
    pub(super) self_test: Option<TopicRoute>,
    /// Of the topic that stands in for those that the first send creates.
    pub(super) default: Option<TopicRoute>,
}

/// A broker's master, asked whether it takes this client.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Broker {
    pub(super) name: String,
    pub(super) advertised: String,
    /// Where it was asked, after the rewriting of addresses.
    pub(super) asked: String,
    pub(super) reach: Reach,
    pub(super) port: Option<Port>,
    /// A host where a broker answers at the same port, if it does not where it advertises.
    pub(super) elsewhere: Option<String>,
}

impl Answer {
    /// Whether the server does not let this client do that: 4.x says code 1, 5.x says 16.
    pub(super) fn is_denied(&self) -> bool {
        self.code == ResponseCode::NO_PERMISSION || self.remark.contains("AclException")
    }
}

impl NameServer {
    /// Whether it has said which topics it knows.
    pub(super) fn has_answered(&self) -> bool {
        matches!(&self.reach, Reach::Answered(answer)
            if matches!(answer.code, ResponseCode::SUCCESS | ResponseCode::TOPIC_NOT_EXIST))
    }
}
