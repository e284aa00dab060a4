//! Answers to sends of one server: but for a few values each is like the one before.

use std::borrow::Cow;

use super::{Field, Stored, Wanted};
use crate::header::json::template::{Learned, Template, Use};
use crate::{FrameView, HeaderEncoding, ResponseCode};

/// Reads answers to sends as [`Stored::peek`] does. What they have in common with an earlier one is
/// compared with that, not read again.
#[derive(Debug, Default)]
pub struct StoredReader(Learned<Model>);

/// What answers are like.
#[derive(Debug)]
struct Model {
    code: ResponseCode,
    template: Template<Field>,
}

impl StoredReader {
    /// As [`Stored::peek`], and with the same result.
    pub fn peek<'a>(&mut self, frame: FrameView<'a>) -> Option<Stored<'a>> {
        self.0.read_or(
            |model| model.read(frame),
            || Stored::peek(frame),
            |stored| Model::of(frame, stored),
        )
    }
}

impl Model {
    fn of(frame: FrameView<'_>, stored: &Stored<'_>) -> Option<Self> {
        let template = Template::of(frame.header, |name| match Field::named(name) {
            // A broker says the same of them in all its answers.
            Some(field @ (Field::Region | Field::TraceOn)) => Use::Same(field),
            Some(field) => Use::Own(field),
            None => Use::None,
        });
        Some(Self { code: stored.code, template: template? })
    }

    fn read<'a>(&self, frame: FrameView<'a>) -> Option<Stored<'a>> {
        if frame.encoding != HeaderEncoding::Json {
            return None;
        }
        let mut fields = Wanted::default();
        let opaque = self.template.read(frame.header, |field, value| {
            // With escapes it would need an allocation.
            let Cow::Borrowed(value) = value else { return None };
            *fields.place(field) = Some(value);
            Some(())
        })?;
        fields.stored(self.code, opaque).ok()
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::Frame;
    use crate::command::put_answer;
    use crate::frame::MAX_FRAME;
    use crate::request::SendAnswer;

    #[test]
    fn a_server_writes_the_next_one_like_the_one_before() {
        let mut reader = StoredReader::default();
        let [first, second] = [(9, "A"), (10, "BC")].map(|(number, id)| {
            let answer = SendAnswer {
                offset_message_id: id.into(),
                queue_offset: i64::from(number),
                transaction_id: Some(id.into()),
                region: Some("here".into()),
                trace_on: Some(true),
                ..SendAnswer::default()
            };
            let mut out = BytesMut::new();
            put_answer(&mut out, number, ResponseCode::SUCCESS, None, &answer);
            Frame::take(&mut out, MAX_FRAME).unwrap().unwrap()
        });
        assert_eq!(reader.peek(first.view()), Stored::peek(first.view()));
        let by_template = reader.0.read(|model| model.read(second.view()));
        assert_eq!(by_template, Stored::peek(second.view()));
    }
}
