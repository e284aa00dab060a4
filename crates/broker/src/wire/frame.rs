//! A frame as it went over a connection, without credentials.

use std::fmt;
use std::time::SystemTime;

use bytes::Bytes;
use posthaste_protocol::frame::PREFIX;
use posthaste_protocol::request::Heartbeat;
use posthaste_protocol::{Command, Fields, Frame, FrameView, Payload as _, RequestCode};

/// How much of a body is kept.
const KEPT_OF_BODY: usize = 1_024;

/// What stands in place of a credential.
const HIDDEN: &str = "(not shown)";

/// Fields with credentials, in lower case: those of a signature, and those by which tools administer
/// accounts.
const SECRET: [&str; 6] =
    ["accesskey", "signature", "securitytoken", "secretkey", "password", "token"];

/// Requests whose bodies may have credentials in them: settings (25, 318), and accounts of 5.x.
const SECRET_BODIES: [std::ops::RangeInclusive<i32>; 4] =
    [25..=25, 50..=54, 318..=318, 3001..=3010];

/// The fields of sends with short names (Java: `SendMessageRequestHeaderV2`), and what they are.
const LONG_NAMES: [(&str, &str); 14] = [
    ("a", "producerGroup"),
    ("b", "topic"),
    ("c", "defaultTopic"),
    ("d", "defaultTopicQueueNums"),
    ("e", "queueId"),
    ("f", "sysFlag"),
    ("g", "bornTimestamp"),
    ("h", "flag"),
    ("i", "properties"),
    ("j", "reconsumeTimes"),
    ("k", "unitMode"),
    ("l", "maxReconsumeTimes"),
    ("m", "batch"),
    ("n", "bname"),
];

/// A frame that went over a connection.
///
/// It has no credentials: access keys, signatures, tokens and passwords are replaced when the frame is
/// recorded.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WireFrame {
    /// When it has arrived, or has left.
    pub at: SystemTime,
    /// The code of the request or of the answer: see [`RequestCode`] and
    /// [`ResponseCode`](posthaste_protocol::ResponseCode). `None`: these bytes are no frame, as when a fault rule cuts an
    /// answer or writes garbage.
    pub code: Option<i32>,
    /// A text for people, mostly the reason of a refusal.
    pub remark: Option<String>,
    /// The fields of the header, in their order. The one-letter names of sends (310, 320, 325) are
    /// written out; a credential is "(not shown)".
    pub fields: Fields,
    /// Bytes of the whole frame.
    pub length: usize,
    /// Bytes of its header.
    pub header_length: usize,
    /// Bytes of its body.
    pub body_length: usize,
    /// The first 1,024 bytes of its body; of requests that set accounts or settings, nothing. The whole
    /// body of a message that was stored is found by its id: see
    /// [`message`](crate::BrokerHandle::message).
    pub body: Bytes,
}

/// What a frame says of itself beside that.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) opaque: i32,
    pub(super) is_answer: bool,
    pub(super) is_oneway: bool,
}

impl WireFrame {
    /// Reads the frame at the front of `bytes`, which is there as a whole.
    pub(super) fn read(bytes: &[u8], view: FrameView<'_>, at: SystemTime) -> (Self, Option<Head>) {
        let body = bytes.get(PREFIX + view.header.len()..view.length).unwrap_or_default();
        let (encoding, header) = (view.encoding, Bytes::copy_from_slice(view.header));
        let frame = Self {
            at,
            code: None,
            remark: None,
            fields: Fields::new(),
            length: view.length,
            header_length: header.len(),
            body_length: body.len(),
            body: Bytes::new(),
        };
        let Ok(command) = Command::decode(Frame { encoding, header, body: Bytes::new() }) else {
            // A header that cannot be read may have a credential in it.
            return (frame, None);
        };
        let head = Head {
            opaque: command.opaque,
            is_answer: command.is_answer(),
            is_oneway: command.is_oneway(),
        };
        let is_secret =
            !head.is_answer && SECRET_BODIES.iter().any(|it| it.contains(&command.code));
        let kept = if is_secret { 0 } else { body.len().min(KEPT_OF_BODY) };
        let frame = Self {
            code: Some(command.code),
            fields: shown(&command),
            remark: command.remark,
            body: Bytes::copy_from_slice(body.get(..kept).unwrap_or_default()),
            ..frame
        };
        (frame, Some(head))
    }

    /// Bytes that are no frame.
    pub(super) fn stray(bytes: &[u8], at: SystemTime) -> Self {
        let kept = bytes.get(..bytes.len().min(KEPT_OF_BODY)).unwrap_or_default();
        Self {
            at,
            code: None,
            remark: None,
            fields: Fields::new(),
            length: bytes.len(),
            header_length: 0,
            body_length: bytes.len(),
            body: Bytes::copy_from_slice(kept),
        }
    }

    /// Bytes that it takes in memory, about.
    pub(super) fn size(&self) -> usize {
        let text: usize =
            self.fields.iter().map(|(name, value)| name.len() + value.len() + 8).sum();
        size_of::<Self>() + text + self.remark.as_ref().map_or(0, String::len) + self.body.len()
    }
}

/// A body is data, and may be long.
impl fmt::Debug for WireFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WireFrame")
            .field("at", &self.at)
            .field("code", &self.code)
            .field("remark", &self.remark)
            .field("fields", &self.fields)
            .field("length", &self.length)
            .field("header_length", &self.header_length)
            .field("body_length", &self.body_length)
            .finish_non_exhaustive()
    }
}

/// The client id that a heartbeat says.
pub(super) fn client_id(code: Option<i32>, body: &[u8]) -> Option<String> {
    (code == Some(RequestCode::HEART_BEAT.0))
        .then(|| Heartbeat::read(&Fields::new(), &Bytes::copy_from_slice(body)).ok())
        .flatten()
        .map(|heartbeat| heartbeat.client_id)
}

/// The fields as they may be shown.
fn shown(command: &Command) -> Fields {
    let has_short_names = !command.is_answer()
        && matches!(
            command.request_code(),
            RequestCode::SEND_MESSAGE_V2
                | RequestCode::SEND_BATCH_MESSAGE
                | RequestCode::SEND_REPLY_MESSAGE_V2
        );
    let mut fields = Fields::new();
    for (name, value) in command.fields.iter() {
        let long = LONG_NAMES.iter().find(|(short, _)| has_short_names && *short == name);
        let is_secret = SECRET.iter().any(|secret| name.eq_ignore_ascii_case(secret));
        let value = if is_secret { HIDDEN } else { value };
        fields.push(long.map_or(name, |(_, long)| long), value);
    }
    fields
}
