//! Headers of one peer: but for a few values each is like the one before.
//!
//! The parts that a header has in common with an earlier one are compared with that one, not read again.

use std::borrow::Cow;
use std::ops::Range;

use super::plain;

/// This many headers in a row must look different before the template is made anew; twice as many
/// the next time, as long as none fits.
const PATIENCE: u32 = 8;
const MOST_PATIENCE: u32 = 8192;
/// Longer ones, with the ids of thousands of messages, have no template.
const LONGEST: usize = 64 * 1024;

/// What is made of a header's field.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Use<F> {
    /// Its value is each header's own.
    Own(F),
    /// Its value is the same in all, and handed over with each.
    Same(F),
    /// Its value is the same in all.
    None,
}

/// A plain header without the values that are each header's own.
#[derive(Debug)]
pub(crate) struct Template<F>(Vec<Piece<F>>);

/// The text that all headers have between two values, and the value behind it.
#[derive(Debug)]
struct Piece<F> {
    text: Box<[u8]>,
    /// Values in it that are handed over.
    same: Vec<(F, Range<usize>)>,
    own: Own<F>,
}

/// A value that is each header's own.
#[derive(Debug, Clone, Copy)]
enum Own<F> {
    /// Of a field, between quotes.
    Field(F),
    /// The command's number.
    Opaque,
    /// None: this is the end.
    End,
}

impl<F: Copy> Template<F> {
    /// The template of a header, given what is made of its fields by their names; `None` when it can
    /// have none.
    pub(crate) fn of(header: &[u8], what: impl Fn(&str) -> Use<F>) -> Option<Self> {
        let text = std::str::from_utf8(header).ok().filter(|text| text.len() <= LONGEST)?;
        let (mut same, mut own) = (Vec::new(), Vec::new());
        plain::read(header, |name, _| {
            // As a plain header has it: `"name":"value"`.
            let from = name.as_ptr().addr() - text.as_ptr().addr() + name.len() + "\":\"".len();
            let (value, length) = plain::value(text.get(from..)?)?;
            match (what(name), value) {
                (Use::Own(field), _) => own.push((from..from + length, Own::Field(field))),
                (Use::Same(field), Cow::Borrowed(_)) => same.push((field, from..from + length)),
                (Use::Same(_), Cow::Owned(_)) => return None,
                (Use::None, _) => {}
            }
            Some(())
        })?;
        // Fields have their values between quotes, and no value has a quote in it without a backslash.
        let mut numbers = text.match_indices("\"opaque\":").map(|(at, key)| at + key.len());
        let from = numbers.find(|at| header.get(*at) != Some(&b'"'))?;
        let (_, length) = plain::number(header.get(from..)?)?;
        own.push((from..from + length, Own::Opaque));
        own.sort_by_key(|(place, _)| place.start);
        own.push((header.len()..header.len(), Own::End));
        let (mut pieces, mut end) = (Vec::new(), 0);
        for (place, own) in own {
            let here = end..place.start;
            let same = same
                .iter()
                .filter(|(_, value)| here.contains(&value.start))
                .map(|(field, value)| (*field, value.start - end..value.end - end))
                .collect();
            let text = header.get(here.clone())?.into();
            pieces.push(Piece { text, same, own });
            end = place.end;
        }
        Some(Self(pieces))
    }

    /// Hands over the fields of a header that differs from the template's in those values alone; gives
    /// its number. `None`: it differs otherwise, or `field` has refused a value, and what was handed
    /// over counts for nothing.
    #[inline]
    pub(crate) fn read<'a>(
        &self,
        header: &'a [u8],
        mut field: impl FnMut(F, Cow<'a, str>) -> Option<()>,
    ) -> Option<i32> {
        let (mut rest, mut opaque) = (std::str::from_utf8(header).ok()?, 0);
        for Piece { text, same, own } in &self.0 {
            if !rest.as_bytes().starts_with(text) {
                return None;
            }
            for (name, place) in same {
                field(*name, Cow::Borrowed(rest.get(place.clone())?))?;
            }
            rest = rest.get(text.len()..)?;
            let length = match *own {
                Own::Field(name) => {
                    let (value, length) = plain::value(rest)?;
                    field(name, value)?;
                    length
                }
                Own::Opaque => {
                    let (number, length) = plain::number(rest.as_bytes())?;
                    opaque = number;
                    length
                }
                Own::End => 0,
            };
            rest = rest.get(length..)?;
        }
        rest.is_empty().then_some(opaque)
    }
}

/// A template, or what is built on one, that follows its peer when that writes otherwise.
#[derive(Debug)]
pub(crate) struct Learned<T> {
    template: Option<T>,
    /// Headers in a row that it did not fit, and how many it takes.
    misses: u32,
    patience: u32,
}

impl<T> Default for Learned<T> {
    fn default() -> Self {
        Self { template: None, misses: 0, patience: PATIENCE }
    }
}

impl<T> Learned<T> {
    /// The result of `read` with the template, if there is one and it fits.
    #[inline]
    pub(crate) fn read<R>(&mut self, read: impl FnOnce(&T) -> Option<R>) -> Option<R> {
        let result = read(self.template.as_ref()?);
        if result.is_some() {
            (self.misses, self.patience) = (0, PATIENCE);
        }
        result
    }

    /// The result of `read` with the template; if the template does not fit, the result of `otherwise`. Once
    /// no template has fitted for long enough, `learn` makes another one of that result. A template that
    /// does not give back the result it was made of is not kept.
    #[inline]
    pub(crate) fn read_or<R: PartialEq>(
        &mut self,
        read: impl Fn(&T) -> Option<R>,
        otherwise: impl FnOnce() -> Option<R>,
        learn: impl FnOnce(&R) -> Option<T>,
    ) -> Option<R> {
        if let Some(result) = self.read(&read) {
            return Some(result);
        }
        let result = otherwise()?;
        self.misses += 1;
        if self.template.is_none() && self.patience == PATIENCE || self.misses >= self.patience {
            let template = learn(&result);
            self.template = template.filter(|template| read(template).as_ref() == Some(&result));
            (self.misses, self.patience) = (0, (2 * self.patience).min(MOST_PATIENCE));
        }
        Some(result)
    }
}
