//! A request that is answered with an error.

use posthaste_protocol::{DecodeError, RequestCode, ResponseCode};

use crate::store::StoreError;

/// Why a request is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The answer's code.
    pub(crate) code: ResponseCode,
    /// The answer's remark.
    pub(crate) remark: String,
}

impl Refusal {
    /// An answer with this code and remark.
    pub(crate) fn new(code: ResponseCode, remark: impl Into<String>) -> Self {
        Self { code, remark: remark.into() }
    }

    /// 1: a general failure.
    pub(crate) fn system_error(remark: impl Into<String>) -> Self {
        Self::new(ResponseCode::SYSTEM_ERROR, remark)
    }

    /// 29: an argument is not valid.
    pub(crate) fn invalid(remark: impl Into<String>) -> Self {
        Self::new(ResponseCode::INVALID_PARAMETER, remark)
    }

    /// 13: the message breaks a rule.
    pub(crate) fn illegal(remark: impl Into<String>) -> Self {
        Self::new(ResponseCode::MESSAGE_ILLEGAL, remark)
    }

    /// 16: not allowed.
    pub(crate) fn forbidden(remark: impl Into<String>) -> Self {
        Self::new(ResponseCode::NO_PERMISSION, remark)
    }

    /// 17: no such topic.
    pub(crate) fn no_topic(topic: &str) -> Self {
        Self::new(
            ResponseCode::TOPIC_NOT_EXIST,
            format!("topic[{topic}] not exist, apply first please!"),
        )
    }

    /// 2: too much at once; not done.
    pub(crate) fn busy(remark: impl Into<String>) -> Self {
        Self::new(ResponseCode::SYSTEM_BUSY, remark)
    }

    /// 3: a request that this broker does not know, or does not do.
    pub(crate) fn unknown(code: RequestCode) -> Self {
        Self::new(
            ResponseCode::REQUEST_CODE_NOT_SUPPORTED,
            format!(" request type {} not supported", code.0),
        )
    }

    /// 604: what is asked for cannot be done any more.
    pub(crate) fn too_late(remark: impl Into<String>) -> Self {
        Self::new(ResponseCode::ILLEGAL_OPERATION, remark)
    }

    /// 14: the store takes no more messages.
    pub(crate) fn unavailable(remark: impl Into<String>) -> Self {
        Self::new(ResponseCode::SERVICE_NOT_AVAILABLE, remark)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the store cannot be read");
        Self::system_error(error.to_string())
    }
}

impl From<DecodeError> for Refusal {
    fn from(error: DecodeError) -> Self {
        Self::system_error(error.to_string())
    }
}
