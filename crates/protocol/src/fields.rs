//! A command's header fields (`extFields`): ordered pairs of text.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use crate::DecodeError;

/// Takes the fields of a request or an answer, one by one, in the order of the wire.
pub trait FieldSink {
    /// A field of text.
    fn text(&mut self, name: &'static str, value: &str);

    /// A field with a number.
    fn number(&mut self, name: &'static str, value: i64);

    /// A field that is `true` or `false`.
    fn flag(&mut self, name: &'static str, value: bool) {
        self.text(name, if value { "true" } else { "false" });
    }
}

/// The header fields of one command, in the order of the wire.
///
/// All names and values lie in one piece of text: reading a header costs two allocations however
/// many fields it has.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Fields {
    text: String,
    /// Where each name and each value ends in `text`.
    ends: Vec<(u32, u32)>,
}

impl Fields {
    /// No fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Adds a field.
    pub fn push(&mut self, name: &str, value: &str) {
        self.text.push_str(name);
        let name_end = self.text.len() as u32;
        self.text.push_str(value);
        self.ends.push((name_end, self.text.len() as u32));
    }

    /// The fields in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut start = 0;
        self.ends.iter().map(move |&(name_end, value_end)| {
            let (name_end, value_end) = (name_end as usize, value_end as usize);
            let name = self.text.get(start..name_end).unwrap_or_default();
            let value = self.text.get(name_end..value_end).unwrap_or_default();
            start = value_end;
            (name, value)
        })
    }

    /// The value of a field; the last one when a name occurs twice, as in Java's map.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut end = self.ends.len();
        while let Some((&(name_end, value_end), before)) =
            self.ends.get(..end).and_then(<[_]>::split_last)
        {
            let start = before.last().map_or(0, |(_, value_end)| *value_end as usize);
            let (name_end, value_end) = (name_end as usize, value_end as usize);
            // The length tells most names apart, without a look at the text.
            if name_end - start == name.len() && self.text.get(start..name_end) == Some(name) {
                return self.text.get(name_end..value_end);
            }
            end = before.len();
        }
        None
    }

    /// The value of a field of type `T`.
    ///
    /// # Errors
    /// When the field is missing though `T` is not an `Option`, or is not a `T`.
    pub fn read<T: FieldValue>(&self, name: &'static str) -> Result<T, DecodeError> {
        T::parse(self.get(name), name)
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl FieldSink for Fields {
    fn text(&mut self, name: &'static str, value: &str) {
        self.push(name, value);
    }

    fn number(&mut self, name: &'static str, value: i64) {
        self.push(name, &value.to_string());
    }
}

impl<'n, 'v> FromIterator<(&'n str, &'v str)> for Fields {
    fn from_iter<I: IntoIterator<Item = (&'n str, &'v str)>>(pairs: I) -> Self {
        let mut fields = Self::new();
        for (name, value) in pairs {
            fields.push(name, value);
        }
        fields
    }
}

/// Reads a JSON object whose values are text, numbers, booleans or null: some clients do not quote.
impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;

        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of text, numbers and booleans")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Fields::new();
                while let Some(Appended) = map.next_key_seed(Append(&mut fields.text))? {
                    let name_end = fields.text.len() as u32;
                    let Appended = map.next_value_seed(Append(&mut fields.text))?;
                    fields.ends.push((name_end, fields.text.len() as u32));
                }
                Ok(fields)
            }
        }

        deserializer.deserialize_map(FieldsVisitor)
    }
}

/// Appends a JSON scalar to a text.
struct Append<'a>(&'a mut String);

struct Appended;

impl<'de> serde::de::DeserializeSeed<'de> for Append<'_> {
    type Value = Appended;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Appended, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Append<'_> {
    type Value = Appended;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a number, a boolean or null")
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Appended, E> {
        self.0.push_str(value);
        Ok(Appended)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Appended, E> {
        self.visit_str(if value { "true" } else { "false" })
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Appended, E> {
        self.visit_str(&value.to_string())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Appended, E> {
        self.visit_str(&value.to_string())
    }

    /// With an exponent where that is shorter: `1e308` has five bytes and not 309.
    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Appended, E> {
        self.visit_str(&format!("{value:?}"))
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Appended, E> {
        Ok(Appended)
    }
}

/// A type that one header field can carry.
pub trait FieldValue: Sized {
    /// Writes the value as field `name`; an absent value writes nothing.
    fn write<S: FieldSink>(&self, name: &'static str, sink: &mut S);

    /// Reads the text of field `name`; `None` when there is no such field.
    ///
    /// # Errors
    /// When the field is missing or of another type.
    fn parse(text: Option<&str>, name: &'static str) -> Result<Self, DecodeError>;
}

impl FieldValue for String {
    fn write<S: FieldSink>(&self, name: &'static str, sink: &mut S) {
        sink.text(name, self);
    }

    fn parse(text: Option<&str>, name: &'static str) -> Result<Self, DecodeError> {
        text.map(str::to_owned).ok_or(DecodeError::MissingField(name))
    }
}

impl FieldValue for Cow<'static, str> {
    fn write<S: FieldSink>(&self, name: &'static str, sink: &mut S) {
        sink.text(name, self);
    }

    fn parse(text: Option<&str>, name: &'static str) -> Result<Self, DecodeError> {
        String::parse(text, name).map(Self::Owned)
    }
}

impl FieldValue for bool {
    fn write<S: FieldSink>(&self, name: &'static str, sink: &mut S) {
        sink.flag(name, *self);
    }

    /// As Java's `Boolean.parseBoolean`: anything but `true` is false.
    fn parse(text: Option<&str>, name: &'static str) -> Result<Self, DecodeError> {
        let text = text.ok_or(DecodeError::MissingField(name))?;
        Ok(text.eq_ignore_ascii_case("true"))
    }
}

macro_rules! number_field {
    ($($type:ty => $expected:literal),*) => {$(
        impl FieldValue for $type {
            fn write<S: FieldSink>(&self, name: &'static str, sink: &mut S) {
                sink.number(name, i64::from(*self));
            }

            fn parse(text: Option<&str>, name: &'static str) -> Result<Self, DecodeError> {
                let text = text.ok_or(DecodeError::MissingField(name))?;
                // Spaces are rare, and looked for only then.
                text.parse().or_else(|_| text.trim().parse()).map_err(|_| DecodeError::BadField {
                    field: name,
                    value: text.chars().take(64).collect(),
                    expected: $expected,
                })
            }
        }
    )*};
}
number_field!(i32 => "a 32-bit number", i64 => "a 64-bit number");

/// An absent field, or an empty one (a JSON null among them), reads as `None`.
impl<T: FieldValue> FieldValue for Option<T> {
    fn write<S: FieldSink>(&self, name: &'static str, sink: &mut S) {
        if let Some(value) = self {
            value.write(name, sink);
        }
    }

    fn parse(text: Option<&str>, name: &'static str) -> Result<Self, DecodeError> {
        match text {
            None | Some("") => Ok(None),
            text => T::parse(text, name).map(Some),
        }
    }
}
