//! The requests that rules are for.

use posthaste_protocol::RequestCode;

/// Requests by what they ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum On {
    /// A send of one message or of a batch (10, 310, 320); halves of transactions are sends too.
    Send,
    /// The question for a route (105).
    Route,
    /// A heartbeat (34).
    Heartbeat,
    /// The end of a transaction (37).
    TransactionEnd,
    /// A timer message is taken back (370).
    Recall,
    /// A reply to a request (324, 325).
    Reply,
    /// A pull (11, 361).
    Pull,
    /// A query by key or unique id (12).
    Query,
    /// A topic is created or changed (17).
    TopicCreation,
    /// Any request with this code.
    Code(i32),
    /// A connection is accepted; nothing was read from it yet.
    Connect,
}

/// How a message is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendKind {
    /// One message, with an answer.
    Single,
    /// A batch, with an answer.
    Batch,
    /// One message or a batch, without an answer.
    OneWay,
}

/// The requests that a rule is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requests {
    pub(crate) on: On,
    pub(crate) kind: Option<SendKind>,
}

impl On {
    /// Of the sends, those of one message that are answered. Makes sense for [`On::Send`] alone.
    pub fn single(self) -> Requests {
        Requests { on: self, kind: Some(SendKind::Single) }
    }

    /// Of the sends, the batches that are answered. Makes sense for [`On::Send`] alone.
    pub fn batch(self) -> Requests {
        Requests { on: self, kind: Some(SendKind::Batch) }
    }

    /// Of the sends, those without an answer. Makes sense for [`On::Send`] alone.
    pub fn one_way(self) -> Requests {
        Requests { on: self, kind: Some(SendKind::OneWay) }
    }

    /// What a code asks for, if it has a name here.
    pub(crate) fn of_code(code: RequestCode) -> Option<Self> {
        Some(match code {
            RequestCode::SEND_MESSAGE
            | RequestCode::SEND_MESSAGE_V2
            | RequestCode::SEND_BATCH_MESSAGE => Self::Send,
            RequestCode::GET_ROUTEINFO_BY_TOPIC => Self::Route,
            RequestCode::HEART_BEAT => Self::Heartbeat,
            RequestCode::END_TRANSACTION => Self::TransactionEnd,
            RequestCode::RECALL_MESSAGE => Self::Recall,
            RequestCode::SEND_REPLY_MESSAGE | RequestCode::SEND_REPLY_MESSAGE_V2 => Self::Reply,
            RequestCode::PULL_MESSAGE | RequestCode::LITE_PULL_MESSAGE => Self::Pull,
            RequestCode::QUERY_MESSAGE => Self::Query,
            RequestCode::UPDATE_AND_CREATE_TOPIC => Self::TopicCreation,
            _ => return None,
        })
    }

    /// The requests as errors name them.
    pub(crate) fn noun(self) -> String {
        match self {
            Self::Send => "a send".into(),
            Self::Route => "the question for a route".into(),
            Self::Heartbeat => "a heartbeat".into(),
            Self::TransactionEnd => "the end of a transaction".into(),
            Self::Recall => "a recall".into(),
            Self::Reply => "a reply".into(),
            Self::Pull => "a pull".into(),
            Self::Query => "a query".into(),
            Self::TopicCreation => "the creation of a topic".into(),
            Self::Code(code) => format!("a request with code {code}"),
            Self::Connect => "a new connection".into(),
        }
    }
}

impl From<On> for Requests {
    fn from(on: On) -> Self {
        Self { on, kind: None }
    }
}
