//! A send as it was received, read where it lies.
//!
//! Most of what a broker receives are sends. It says what [`SendMessage`] says, its texts left in
//! the frame: to copy each of them costs more than to store the message.

use std::borrow::Cow;

use crate::command::{self, ONEWAY};
use crate::header::json::plain;
use crate::header::json::template::{Learned, Template, Use};
use crate::request::SendMessage;
use crate::{Frame, HeaderEncoding, RequestCode};

/// A send as it was received. Its texts lie in the frame's header, but for those with escapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedSend<'a> {
    /// Number by which the answer finds the request.
    pub opaque: i32,
    /// Whether no answer is wanted.
    pub oneway: bool,
    /// The body to be stored.
    pub message: SendMessage<'a>,
}

impl<'a> ReceivedSend<'a> {
    /// Reads a `SEND_MESSAGE_V2` or a `SEND_BATCH_MESSAGE` with a body and a plain header.
    ///
    /// `None` says nothing about the frame, but that [`Command::decode`](crate::Command::decode)
    /// and [`Incoming::read`](crate::Incoming::read) have to read it, or to say what is wrong
    /// with it. What is `Some` is what they would make of it.
    pub fn peek(frame: &'a Frame) -> Option<Self> {
        if frame.encoding != HeaderEncoding::Json || frame.body.is_empty() {
            return None;
        }
        let mut message = SendMessage { body: frame.body.clone(), ..SendMessage::default() };
        let mut seen: u32 = 0;
        let head = plain::read(&frame.header, |name, value| {
            // Who signs, and what else is of no concern here, is passed over as in `Incoming::read`.
            let &[letter @ b'a'..=b'n'] = name.as_bytes() else { return Some(()) };
            seen |= bit(letter);
            take(&mut message, letter, value)
        })?;
        // Real brokers cannot do without these.
        let needed = [b'b', b'e', b'f', b'g', b'h'].into_iter().map(bit).sum::<u32>();
        let is_send = [RequestCode::SEND_MESSAGE_V2, RequestCode::SEND_BATCH_MESSAGE]
            .contains(&RequestCode(head.code));
        let is_whole = seen & needed == needed;
        (is_send && is_whole && !command::is_answer(head.flag)).then(|| Self {
            opaque: head.opaque,
            oneway: head.flag & ONEWAY != 0,
            message,
        })
    }
}

/// Reads the sends of one client as [`ReceivedSend::peek`] does. What they have in common with an earlier
/// one is compared with that, not read again.
#[derive(Debug, Default)]
pub struct SendReader(Learned<Model>);

/// What a client's sends are like.
#[derive(Debug)]
struct Model {
    /// Fields by their letter.
    template: Template<u8>,
    oneway: bool,
    /// With the numbers that are the same in all, and without texts.
    message: SendMessage<'static>,
}

impl SendReader {
    /// As [`ReceivedSend::peek`], and with the same result.
    pub fn peek<'a>(&mut self, frame: &'a Frame) -> Option<ReceivedSend<'a>> {
        self.0.read_or(
            |model| model.read(frame),
            || ReceivedSend::peek(frame),
            |send| Model::of(frame, send),
        )
    }
}

impl Model {
    fn of(frame: &Frame, send: &ReceivedSend<'_>) -> Option<Self> {
        let template = Template::of(&frame.header, |name| match name.as_bytes() {
            [letter @ (b'b' | b'e' | b'g' | b'i')] => Use::Own(*letter),
            [letter @ (b'a' | b'c' | b'n')] => Use::Same(*letter),
            _ => Use::None,
        });
        let message = SendMessage {
            default_topic_queues: send.message.default_topic_queues,
            sys_flag: send.message.sys_flag,
            flag: send.message.flag,
            reconsume_times: send.message.reconsume_times,
            unit_mode: send.message.unit_mode,
            max_reconsume_times: send.message.max_reconsume_times,
            batch: send.message.batch,
            ..SendMessage::default()
        };
        Some(Self { template: template?, oneway: send.oneway, message })
    }

    fn read<'a>(&self, frame: &'a Frame) -> Option<ReceivedSend<'a>> {
        if frame.encoding != HeaderEncoding::Json || frame.body.is_empty() {
            return None;
        }
        let mut message = self.message.clone();
        let opaque =
            self.template.read(&frame.header, |letter, value| take(&mut message, letter, value))?;
        message.body = frame.body.clone();
        Some(ReceivedSend { opaque, oneway: self.oneway, message })
    }
}

fn bit(letter: u8) -> u32 {
    1 << (letter - b'a')
}

/// Puts a field where it belongs; `None` when its text is not as every client writes it.
fn take<'a>(message: &mut SendMessage<'a>, letter: u8, value: Cow<'a, str>) -> Option<()> {
    match letter {
        b'a' => message.group = value,
        b'b' => message.topic = value,
        b'c' => message.default_topic = value,
        b'd' => message.default_topic_queues = value.parse().ok()?,
        b'e' => message.queue_id = value.parse().ok()?,
        b'f' => message.sys_flag = value.parse().ok()?,
        b'g' => message.born_at_ms = value.parse().ok()?,
        b'h' => message.flag = value.parse().ok()?,
        b'i' => message.properties = value,
        b'j' => message.reconsume_times = value.parse().ok()?,
        b'k' => message.unit_mode = value.parse().ok()?,
        b'l' => message.max_reconsume_times = Some(value.parse().ok()?),
        b'm' => message.batch = value.parse().ok()?,
        _ => message.broker_name = Some(value),
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};

    use super::*;
    use crate::command::put_request;
    use crate::frame::MAX_FRAME;

    #[test]
    fn a_client_writes_the_next_one_like_the_one_before() {
        let mut reader = SendReader::default();
        let [first, second] =
            [(1, "KEYS\u{1}a\u{2}"), (2, "x\u{1}\"\u{2}")].map(|(id, properties)| {
                let message = SendMessage {
                    topic: "t".into(),
                    queue_id: id,
                    born_at_ms: i64::from(id),
                    properties: properties.into(),
                    body: Bytes::from_static(b"body"),
                    ..SendMessage::default()
                };
                let mut out = BytesMut::new();
                put_request(&mut out, id, false, &message);
                Frame::take(&mut out, MAX_FRAME).unwrap().unwrap()
            });
        assert_eq!(reader.peek(&first), ReceivedSend::peek(&first));
        let by_template = reader.0.read(|model| model.read(&second));
        assert_eq!(by_template, ReceivedSend::peek(&second));
    }
}
