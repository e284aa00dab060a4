//! How a call about topics, offsets or stored messages fails.

use posthaste_protocol::ResponseCode;

use super::TopicOnBroker;
use super::topic_on_broker::listed;
use crate::ErrorKind;
use crate::connection::CallError;
use crate::connection::answer;
use crate::route::name_server::NoAnswer;

/// How a call of [`Admin`](crate::Admin) or [`Reader`](crate::Reader) fails.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// No name server, or not the broker, could be asked.
    #[error("{0}")]
    Unreachable(String),
    /// No encrypted connection to a server: its certificate is not trusted, or it does not take
    /// ours, or it does not speak TLS.
    #[error("{0}")]
    Tls(String),
    /// The route leads to a broker that is not trusted
    /// ([`trusted_brokers`](crate::ProducerBuilder::trusted_brokers)). Nothing was sent there.
    #[error("topic {topic}: {reason}")]
    Untrusted {
        /// The topic whose route leads there.
        topic: String,
        /// Address of the broker, and what to do.
        reason: String,
    },
    /// The topic does not exist.
    #[error("no such topic: {topic}")]
    NoTopic {
        /// The topic.
        topic: String,
    },
    /// The topic is there already, on every master broker; it was not changed.
    #[error("topic {topic} exists already: {}", listed(brokers))]
    Exists {
        /// The topic.
        topic: String,
        /// What it is on each broker.
        brokers: Vec<TopicOnBroker>,
    },
    /// The change would put messages out of consumers' reach; nothing was changed.
    #[error("consumers would no longer reach {messages} messages of topic {topic}")]
    OutOfReach {
        /// The topic.
        topic: String,
        /// How many messages.
        messages: u64,
    },
    /// The server does not let this client do that.
    #[error("{address}: permission denied: {remark}")]
    Denied {
        /// Address of the server.
        address: String,
        /// The server's words.
        remark: String,
    },
    /// The server refused for another reason.
    #[error("{address}: refused with code {code}: {remark}")]
    Refused {
        /// The code of its answer.
        code: ResponseCode,
        /// The server's words.
        remark: String,
        /// Address of the server.
        address: String,
    },
    /// The server did not answer in time, or what was done does not show yet.
    #[error("{0}")]
    Timeout(String),
    /// The call breaks a rule; no server was asked.
    #[error("{0}")]
    Invalid(String),
    /// The server's answer cannot be read.
    #[error("{address}: the answer cannot be read: {reason}")]
    Protocol {
        /// Address of the server.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The producer is closed.
    #[error("the producer is closed")]
    Closed,
}

impl AdminError {
    /// What to do about it, in a sentence or two.
    pub fn help(&self) -> String {
        match self {
            Self::Unreachable(_) => "Check that the name server and the broker run, and that the \
                                     address that the broker advertises (brokerIP1) can be \
                                     reached from here. Behind Docker or NAT, set an address map.".into(),
            Self::Tls(_) => "Check the server's certificate: who signed it, until when it is \
                             valid, and that it names the host that you connect to. Check whether \
                             the server wants a client certificate, and whether the port speaks \
                             TLS at all.".into(),
            Self::Untrusted { .. } => "If that broker belongs to the cluster, add its host to the trusted brokers. If not, find out who registered it with the name server.".into(),
            Self::NoTopic { topic } => format!("Create topic {topic} first, or send to it where brokers create topics (autoCreateTopicEnable)."),
            Self::Exists { .. } => "Use the topic unchanged, or change it with update_topic.".into(),
            Self::OutOfReach { .. } => "Lower the number of queues to write (write_queues), wait \
                                        until consumers have read the other queues, then lower \
                                        the number to read (read_queues) with abandon_messages. \
                                        Or give the messages up with abandon_messages.".into(),
            Self::Denied { .. } => "Check the credentials, their permissions on the broker, and \
                                    the topic's permission.".into(),
            Self::Refused { code: ResponseCode::REQUEST_CODE_NOT_SUPPORTED, .. } => "This server does not know the request: it is too old, or a proxy. Ask a broker directly.".into(),
            Self::Refused { code: ResponseCode::ILLEGAL_OPERATION, .. } => "It is too late: the message may have been delivered, or been recalled before.".into(),
            Self::Refused { .. } => "See the server's remark, and its log.".into(),
            Self::Timeout(_) => "A server that does not know a request may not answer it at all. If it should know this one, look at its load, or give the call more time.".into(),
            Self::Invalid(_) => "Correct the call; repeated unchanged, it fails again.".into(),
            Self::Protocol { .. } => "Check that the address is that of a RocketMQ server.".into(),
            Self::Closed => "Make the call before closing the producer.".into(),
        }
    }

    /// What a broker's failed answer means in a call about `topic`.
    pub(crate) fn of_call(error: CallError, topic: &str) -> Self {
        match error {
            CallError::Connect { .. } | CallError::Lost { .. } => {
                Self::Unreachable(error.to_string())
            }
            CallError::Tls { .. } => Self::Tls(error.to_string()),
            CallError::Untrusted { .. } => {
                Self::Untrusted { topic: topic.to_owned(), reason: error.to_string() }
            }
            CallError::Timeout { .. } => Self::Timeout(error.to_string()),
            CallError::Refused { address, code, remark } => {
                Self::refused(&address, code, remark, topic)
            }
            CallError::Garbled { address, error } => {
                Self::Protocol { address: address.to_string(), reason: error.to_string() }
            }
        }
    }

    /// What it means that no name server said what it was asked.
    pub(crate) fn of_look_up(error: NoAnswer) -> Self {
        match error.kind {
            ErrorKind::Denied => {
                Self::Denied { address: "the name server".into(), remark: error.reason }
            }
            ErrorKind::Tls => Self::Tls(error.reason),
            _ => Self::Unreachable(error.reason),
        }
    }

    /// What a refusal means.
    pub(crate) fn refused(address: &str, code: ResponseCode, remark: String, topic: &str) -> Self {
        let address = address.to_owned();
        match code {
            ResponseCode::TOPIC_NOT_EXIST => Self::NoTopic { topic: topic.to_owned() },
            _ if answer::is_denied(code, &remark) => Self::Denied { address, remark },
            _ => Self::Refused { code, remark, address },
        }
    }

    /// Whether the same call may end better in a moment.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Timeout(_) | Self::NoTopic { .. } => true,
            Self::Refused { code, .. } => matches!(
                *code,
                ResponseCode::SYSTEM_ERROR
                    | ResponseCode::SYSTEM_BUSY
                    | ResponseCode::FLOW_CONTROL
                    | ResponseCode::SERVICE_NOT_AVAILABLE
                    | ResponseCode::NOT_LEADER_FOR_QUEUE
                    | ResponseCode::GO_AWAY
                    | ResponseCode::RPC_TIME_OUT
                    | ResponseCode::RPC_SEND_TO_CHANNEL_FAILED
                    | ResponseCode::RPC_ADDR_IS_NULL
                    | ResponseCode::RPC_UNKNOWN
            ),
            _ => false,
        }
    }
}
