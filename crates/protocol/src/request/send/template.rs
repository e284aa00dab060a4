//! Single sends by a template: to one broker, with one topic's settings, they differ in little.

use bytes::{BufMut as _, BytesMut};

use super::{Payload as _, SendMessage, V2};
use crate::header::json::{self, FieldWriter, Pieces};
use crate::id::IdText;
use crate::{FieldSink, HeaderEncoding, command, frame};

/// How many pieces a template has.
const PIECES: usize = 7;

/// The frames of [`SendMessage`]s that differ in queue, time, unique id and their first properties,
/// and in what differs in every frame: number, way and body. What they share is encoded once.
#[derive(Debug)]
pub struct SendTemplate {
    /// The text before the queue's number, and then between the parts that differ.
    pieces: Pieces<PIECES>,
}

/// The parts of a send's header that differ from message to message.
#[derive(Debug, Clone, Copy)]
pub struct OwnFields<'a> {
    /// As [`SendMessage::queue_id`].
    pub queue_id: i32,
    /// As [`SendMessage::born_at_ms`].
    pub born_at_ms: i64,
    /// Whole properties, with the end of the last one; the properties that the messages share follow them. As
    /// [`SendMessage::properties`].
    pub properties: &'a str,
    /// The unique id.
    pub id: &'a IdText,
}

impl SendTemplate {
    /// The template of messages that share everything else with this one. Its properties are what they
    /// share, with its unique `id` among them once; other messages may have more before these.
    pub fn of(message: &SendMessage<'_>, id: &IdText) -> Self {
        let envelope = command::request_envelope::<SendMessage<'_>>(0, false);
        let pieces = json::pieces(&envelope, |writer, cuts| {
            message.write(&mut Cutter { writer, cuts, id: id.as_str() });
        });
        Self { pieces }
    }

    /// Appends the frame that [`command::put_request_with`] would append for such a message.
    pub fn put(
        &self,
        out: &mut BytesMut,
        opaque: i32,
        oneway: bool,
        own: &OwnFields<'_>,
        put_body: impl FnOnce(&mut BytesMut),
    ) {
        let [queue, time, properties, shared, flag, number, end] = self.pieces.all();
        let put_header = |out: &mut BytesMut| {
            out.put_slice(queue);
            json::put_number(out, i64::from(own.queue_id));
            out.put_slice(time);
            json::put_number(out, own.born_at_ms);
            out.put_slice(properties);
            json::put_escaped(out, own.properties);
            out.put_slice(shared);
            out.put_slice(own.id.digits());
            out.put_slice(flag);
            json::put_number(out, i64::from(command::request_flag(oneway)));
            out.put_slice(number);
            json::put_number(out, i64::from(opaque));
            out.put_slice(end);
        };
        frame::put(out, HeaderEncoding::Json, put_header, put_body);
    }
}

/// Leaves out the values that differ, and says where they belong.
struct Cutter<'a, 'w> {
    writer: &'a mut FieldWriter<'w>,
    cuts: &'a mut Vec<usize>,
    id: &'a str,
}

impl FieldSink for Cutter<'_, '_> {
    fn text(&mut self, name: &'static str, value: &str) {
        if name != V2.properties {
            return self.writer.text(name, value);
        }
        let (before, behind) = value.split_once(self.id).unwrap_or((value, ""));
        self.cuts.extend(self.writer.put_around(name, [before, behind]));
    }

    fn number(&mut self, name: &'static str, value: i64) {
        match [V2.queue_id, V2.born_at].contains(&name) {
            true => self.cuts.push(self.writer.leave_free(name, 0)),
            false => self.writer.number(name, value),
        }
    }
}
