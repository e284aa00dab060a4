//! Answers to sends of one server: but for a few values each is like the one before.

use std::borrow::Cow;
use std::ops::Range;

use super::{Field, Stored, Wanted};
use crate::header::json::{first_to_escape, plain};
use crate::{FrameView, HeaderEncoding, ResponseCode};

/// So many answers in a row have to look otherwise before the template is made anew.
const PATIENCE: u32 = 8;
/// Longer ones, with the ids of thousands of messages, have none of it.
const LONGEST: usize = 64 * 1024;

/// Reads answers to sends as [`Stored::peek`] does. What they have in common with an earlier one is
/// compared with that, not read again.
#[derive(Debug, Default)]
pub struct StoredReader {
    template: Option<Template>,
    /// Answers in a row that it did not fit.
    misses: u32,
}

impl StoredReader {
    /// As [`Stored::peek`], and with the same result.
    pub fn peek<'a>(&mut self, frame: FrameView<'a>) -> Option<Stored<'a>> {
        if let Some(stored) = self.template.as_ref().and_then(|template| template.read(frame)) {
            self.misses = 0;
            return Some(stored);
        }
        let stored = Stored::peek(frame)?;
        self.misses += 1;
        if self.template.is_none() || self.misses >= PATIENCE {
            self.template = Template::of(frame, &stored);
            self.misses = 0;
        }
        Some(stored)
    }
}

/// A plain JSON header without the values that are each answer's own.
#[derive(Debug)]
struct Template {
    code: ResponseCode,
    trace_on: Option<bool>,
    pieces: Vec<Piece>,
}

/// What all answers have in common between two values, and the value behind it.
#[derive(Debug)]
struct Piece {
    text: Box<[u8]>,
    /// Where in it the broker's region stands, which is the same in all its answers.
    region: Option<Range<usize>>,
    own: Own,
}

/// A value that is an answer's own.
#[derive(Debug, Clone, Copy)]
enum Own {
    /// Of a field, between quotes.
    Field(Field),
    /// The request's number.
    Opaque,
    /// None: this is the end.
    End,
}

impl Template {
    /// The template of an answer that says this; `None` when it can have none.
    fn of(frame: FrameView<'_>, stored: &Stored<'_>) -> Option<Self> {
        let header = std::str::from_utf8(frame.header).ok()?;
        if frame.encoding != HeaderEncoding::Json || header.len() > LONGEST {
            return None;
        }
        let (mut values, mut region) = (Vec::new(), None);
        plain::read(header.as_bytes(), |name, value| {
            let Cow::Borrowed(value) = value else { return None };
            let from = value.as_ptr().addr() - header.as_ptr().addr();
            let place = from..from + value.len();
            match Field::named(name) {
                Some(Field::Region) => region = Some(place),
                Some(Field::TraceOn) | None => {}
                Some(field) => values.push((place, Own::Field(field))),
            }
            Some(())
        })?;
        // Fields have their values between quotes, and no value has a quote in it.
        let mut numbers = header.match_indices("\"opaque\":").map(|(at, key)| at + key.len());
        let from = numbers.find(|at| header.as_bytes().get(*at) != Some(&b'"'))?;
        let (_, length) = plain::number(header.as_bytes().get(from..)?)?;
        values.push((from..from + length, Own::Opaque));
        values.push((header.len()..header.len(), Own::End));
        values.sort_by_key(|(place, _)| place.start);
        let (mut pieces, mut end) = (Vec::new(), 0);
        for (place, own) in values {
            let here = region.take_if(|region| region.end <= place.start);
            let region = here.map(|region| region.start - end..region.end - end);
            let text = header.get(end..place.start)?.as_bytes().into();
            pieces.push(Piece { text, region, own });
            end = place.end;
        }
        let template = Self { code: stored.code, trace_on: stored.trace_on, pieces };
        (template.read(frame).as_ref() == Some(stored)).then_some(template)
    }

    /// What an answer says that differs from the template's in those values alone.
    fn read<'a>(&self, frame: FrameView<'a>) -> Option<Stored<'a>> {
        let (mut fields, mut opaque) = (Wanted::default(), 0);
        let mut rest = std::str::from_utf8(frame.header).ok()?;
        for Piece { text, region, own } in &self.pieces {
            if !rest.as_bytes().starts_with(text) {
                return None;
            }
            if let Some(place) = region {
                fields.region = rest.get(place.clone());
            }
            rest = rest.get(text.len()..)?;
            match *own {
                Own::Field(field) => {
                    // Should another character than a quote end it, the rest does not fit.
                    let (value, after) =
                        rest.split_at_checked(first_to_escape(rest.as_bytes())?)?;
                    *fields.place(field) = Some(value);
                    rest = after;
                }
                Own::Opaque => {
                    let (number, length) = plain::number(rest.as_bytes())?;
                    (opaque, rest) = (number, rest.get(length..)?);
                }
                Own::End => {}
            }
        }
        let fits = rest.is_empty() && frame.encoding == HeaderEncoding::Json;
        let stored = fits.then(|| fields.stored(self.code, opaque).ok())??;
        Some(Stored { trace_on: self.trace_on, ..stored })
    }
}
