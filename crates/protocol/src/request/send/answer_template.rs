//! Answers to single sends by a template: those of one broker differ in little.

use bytes::{BufMut as _, BytesMut};

use super::{Payload as _, SendAnswer};
use crate::header::json::{self, FieldWriter, Pieces};
use crate::{FieldSink, HeaderEncoding, ResponseCode, command, frame};

/// How many pieces a template has.
const PIECES: usize = 7;

/// The frames of [`SendAnswer`]s with the code 0 that differ in place and ids, and in their number. What
/// they share is encoded once.
#[derive(Debug)]
pub struct AnswerTemplate {
    /// The text before the offset message id, and then between the parts that differ.
    pieces: Pieces<PIECES>,
    /// The answer that it was made of.
    model: SendAnswer,
}

impl AnswerTemplate {
    /// The template of answers that share everything else with this one; `None` for one that has no
    /// transaction id, or more than most.
    pub fn of(answer: SendAnswer) -> Option<Self> {
        if !Self::is_plain(&answer) {
            return None;
        }
        let envelope = command::answer_envelope(0, ResponseCode::SUCCESS, None);
        let pieces = json::pieces(&envelope, |writer, cuts| {
            answer.write(&mut Cutter { writer, cuts });
        });
        Some(Self { pieces, model: answer })
    }

    /// Whether the answer differs from the template's in nothing else.
    pub fn fits(&self, answer: &SendAnswer) -> bool {
        let SendAnswer { region, trace_on, .. } = &self.model;
        Self::is_plain(answer) && answer.region == *region && answer.trace_on == *trace_on
    }

    fn is_plain(answer: &SendAnswer) -> bool {
        answer.transaction_id.is_some()
            && answer.batch_unique_id.is_none()
            && answer.recall_handle.is_none()
    }

    /// Appends the frame that [`put_answer`](crate::command::put_answer) would append for an answer
    /// that it [fits](Self::fits).
    pub fn put(&self, out: &mut BytesMut, opaque: i32, answer: &SendAnswer) {
        let [offset_id, queue, offset, transaction_id, flag, number, end] = self.pieces.all();
        let put_header = |out: &mut BytesMut| {
            out.put_slice(offset_id);
            json::put_escaped(out, &answer.offset_message_id);
            out.put_slice(queue);
            json::put_number(out, i64::from(answer.queue_id));
            out.put_slice(offset);
            json::put_number(out, answer.queue_offset);
            out.put_slice(transaction_id);
            json::put_escaped(out, answer.transaction_id.as_deref().unwrap_or_default());
            out.put_slice(flag);
            json::put_number(out, i64::from(command::ANSWER));
            out.put_slice(number);
            json::put_number(out, i64::from(opaque));
            out.put_slice(end);
        };
        frame::put(out, HeaderEncoding::Json, put_header, |_| {});
    }
}

/// Leaves out the values that differ, and says where they belong.
struct Cutter<'a, 'w> {
    writer: &'a mut FieldWriter<'w>,
    cuts: &'a mut Vec<usize>,
}

impl FieldSink for Cutter<'_, '_> {
    fn text(&mut self, name: &'static str, value: &str) {
        match ["msgId", "transactionId"].contains(&name) {
            true => self.cuts.push(self.writer.leave_free(name, 0)),
            false => self.writer.text(name, value),
        }
    }

    fn number(&mut self, name: &'static str, _: i64) {
        self.cuts.push(self.writer.leave_free(name, 0));
    }
}
