//! The JSON header of a send, read in one pass, its texts left where they are.
//!
//! Most of what a broker receives are sends, and reading their headers field by field into memory
//! of its own costs more than storing the messages. Every client writes these headers in the same
//! plain way: no spaces, text for every field, no field twice. What is unusual in any way is left
//! to the general reader, and so is whatever is wrong.

use std::borrow::Cow;

use crate::command::ONEWAY;
use crate::request::SendMessage;
use crate::{Frame, HeaderEncoding, RequestCode};

/// A send as it was received. Its texts lie in the frame's header, but for those with escapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedSend<'a> {
    /// Number by which the answer finds the request.
    pub opaque: i32,
    /// Whether no answer is wanted.
    pub oneway: bool,
    /// What is to be stored.
    pub message: SendMessage<'a>,
}

impl<'a> ReceivedSend<'a> {
    /// Reads a frame that is a `SEND_MESSAGE_V2` or a `SEND_BATCH_MESSAGE` with a body and a plain
    /// header. `None` of anything else, also of what is wrong:
    /// [`Command::decode`](crate::Command::decode) and [`Incoming::read`](crate::Incoming::read)
    /// read that or say what it is.
    pub fn read(frame: &'a Frame) -> Option<Self> {
        if frame.encoding != HeaderEncoding::Json || frame.body.is_empty() {
            return None;
        }
        // Bare control characters are no JSON. Looked for at once, and not in every string.
        if frame.header.iter().fold(false, |found, byte| found | (*byte < b' ')) {
            return None;
        }
        let mut scanner = Scanner { rest: std::str::from_utf8(&frame.header).ok()? };
        let mut message = SendMessage { body: frame.body.clone(), ..SendMessage::default() };
        let envelope = scanner.envelope(&mut message)?;
        let is_send = [RequestCode::SEND_MESSAGE_V2, RequestCode::SEND_BATCH_MESSAGE]
            .contains(&RequestCode(envelope.code?));
        let flag = envelope.flag.unwrap_or(0);
        let is_request = flag & !ONEWAY == 0;
        if !is_send || !is_request || !scanner.rest.is_empty() {
            return None;
        }
        let oneway = flag & ONEWAY != 0;
        envelope.fields?;
        Some(Self { opaque: envelope.opaque?, oneway, message })
    }
}

/// What has been read of a header beside its fields.
#[derive(Default)]
struct Envelope {
    code: Option<i32>,
    flag: Option<i32>,
    opaque: Option<i32>,
    fields: Option<()>,
}

/// Reads plain JSON from the front of a text. Every function returns `None` where it is not plain.
struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    fn envelope(&mut self, message: &mut SendMessage<'a>) -> Option<Envelope> {
        let mut envelope = Envelope::default();
        // Nobody asks for these, but none of them comes twice.
        let (mut language, mut remark, mut version, mut encoding) = (None, None, None, None);
        self.skip(b'{')?;
        loop {
            match self.name()? {
                "code" => once(&mut envelope.code, self.number()?),
                "flag" => once(&mut envelope.flag, self.number()?),
                "opaque" => once(&mut envelope.opaque, self.number()?),
                "extFields" => once(&mut envelope.fields, self.fields(message)?),
                "language" => once(&mut language, self.string()?),
                "remark" => once(&mut remark, self.string()?),
                "version" => once(&mut version, self.number()?),
                "serializeTypeCurrentRPC" => once(&mut encoding, self.string()?),
                _ => None,
            }?;
            if self.is_last()? {
                return Some(envelope);
            }
        }
    }

    /// The fields of a send, by their names of one letter. Those that a real broker cannot do
    /// without must be there.
    fn fields(&mut self, message: &mut SendMessage<'a>) -> Option<()> {
        let mut seen: u32 = 0;
        self.skip(b'{')?;
        loop {
            let letter = self.letter()?;
            let bit = 1 << (letter - b'a');
            if seen & bit != 0 {
                return None;
            }
            seen |= bit;
            let value = self.string()?;
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
            if self.is_last()? {
                let needed = b"befgh".iter().map(|letter| 1 << (letter - b'a')).sum::<u32>();
                return (seen & needed == needed).then_some(());
            }
        }
    }

    /// Reads a name of one letter and the colon after it.
    fn letter(&mut self) -> Option<u8> {
        let &[b'"', letter @ b'a'..=b'n', b'"', b':', ..] = self.rest.as_bytes() else {
            return None;
        };
        self.rest = self.rest.get(4..)?;
        Some(letter)
    }

    /// Reads a name and the colon after it.
    fn name(&mut self) -> Option<&'a str> {
        self.skip(b'"')?;
        let name = self.plain_run()?;
        self.skip(b'"')?;
        self.skip(b':')?;
        Some(name)
    }

    /// Reads a string.
    fn string(&mut self) -> Option<Cow<'a, str>> {
        self.skip(b'"')?;
        let run = self.plain_run()?;
        if self.skip(b'"').is_some() {
            return Some(Cow::Borrowed(run));
        }
        let mut text = String::with_capacity(256);
        text.push_str(run);
        while self.skip(b'"').is_none() {
            text.push(self.escape()?);
            text.push_str(self.plain_run()?);
        }
        Some(Cow::Owned(text))
    }

    /// What comes before the next quote or escape.
    fn plain_run(&mut self) -> Option<&'a str> {
        let end = memchr::memchr2(b'"', b'\\', self.rest.as_bytes())?;
        let (run, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        Some(run)
    }

    /// Reads an escape. Halves of a pair that stands for one character are not plain.
    fn escape(&mut self) -> Option<char> {
        let (escaped, length) = match self.rest.as_bytes() {
            // The two control characters that properties are made of, mostly.
            [b'\\', b'u', b'0', b'0', b'0', low, ..] => {
                (char::from(char::from(*low).to_digit(16)? as u8), 6)
            }
            [b'\\', b'u', ..] => {
                let digits = self.rest.get(2..6).filter(|digits| !digits.starts_with('+'))?;
                (char::from_u32(u32::from_str_radix(digits, 16).ok()?)?, 6)
            }
            [b'\\', kind @ (b'"' | b'\\' | b'/'), ..] => (char::from(*kind), 2),
            [b'\\', b'b', ..] => ('\u{8}', 2),
            [b'\\', b'f', ..] => ('\u{c}', 2),
            [b'\\', b'n', ..] => ('\n', 2),
            [b'\\', b'r', ..] => ('\r', 2),
            [b'\\', b't', ..] => ('\t', 2),
            _ => return None,
        };
        self.rest = self.rest.get(length..)?;
        Some(escaped)
    }

    /// Reads a number as it is written everywhere but in floating point.
    fn number(&mut self) -> Option<i32> {
        let end = self.rest.bytes().position(|byte| matches!(byte, b',' | b'}'))?;
        let (number, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        let digits = number.strip_prefix('-').unwrap_or(number);
        let is_plain = matches!(digits.as_bytes(), [b'1'..=b'9', ..]) || number == "0";
        if is_plain { number.parse().ok() } else { None }
    }

    /// Passes over what is between members or after the last one; says which of both it was.
    fn is_last(&mut self) -> Option<bool> {
        let is_last = self.skip(b',').is_none();
        if is_last {
            self.skip(b'}')?;
        }
        Some(is_last)
    }

    fn skip(&mut self, byte: u8) -> Option<()> {
        let found = self.rest.as_bytes().first() == Some(&byte);
        found.then_some(())?;
        self.rest = self.rest.get(1..)?;
        Some(())
    }
}

/// Fills a place that must be empty.
fn once<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.replace(value).is_none().then_some(())
}
