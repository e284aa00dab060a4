//! JSON in which a number, its text and, where names are numbered, its name are one thing, as for
//! Java's fastjson: C++ and Python clients write `"queueId":"3"`, `"unitMode":"false"` and
//! `"messageModel":1`.
//!
//! The expected type decides. Where text is expected, a number or a boolean is its text, and null is
//! nothing; where a number or a boolean is expected its text is read, and null is 0 or false; null is
//! also an empty list or object.

use std::fmt::{self, Display};

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Visitor};

/// Numbers below this are exact in a float: 2^53.
const WHOLE: f64 = 9_007_199_254_740_992.0;

/// Reads from another deserializer, which must say by itself what it has.
pub(super) struct Lenient<D>(pub(super) D);

macro_rules! numbers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
            self.0.deserialize_any(As { wanted: Wanted::Number, visitor })
        }
    )*};
}

macro_rules! wanted {
    ($($method:ident($($argument:ident: $type:ty),*) => $wanted:ident,)*) => {$(
        fn $method<V: Visitor<'de>>(
            self,
            $($argument: $type,)*
            visitor: V,
        ) -> Result<V::Value, Self::Error> {
            $(let _ = $argument;)*
            self.0.deserialize_any(As { wanted: Wanted::$wanted, visitor })
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Lenient<D> {
    type Error = D::Error;

    numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64
    }

    wanted! {
        deserialize_bool() => Flag,
        deserialize_char() => Text,
        deserialize_str() => Text,
        deserialize_string() => Text,
        deserialize_identifier() => Text,
        deserialize_seq() => List,
        deserialize_tuple(length: usize) => List,
        deserialize_tuple_struct(name: &'static str, length: usize) => List,
        deserialize_map() => Object,
        deserialize_struct(name: &'static str, fields: &'static [&'static str]) => Object,
        deserialize_any() => Anything,
        deserialize_bytes() => Anything,
        deserialize_byte_buf() => Anything,
        deserialize_unit() => Anything,
        deserialize_unit_struct(name: &'static str) => Anything,
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        self.0.deserialize_option(As { wanted: Wanted::Anything, visitor })
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        self.0.deserialize_ignored_any(visitor)
    }
}

/// The expected type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Number,
    Flag,
    Text,
    List,
    Object,
    Anything,
}

/// Hands what is there to a visitor as what is wanted.
struct As<V> {
    wanted: Wanted,
    visitor: V,
}

impl<'de, V: Visitor<'de>> Visitor<'de> for As<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(f)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<V::Value, E> {
        match self.wanted {
            Wanted::Text => self.text(value),
            _ => self.visitor.visit_bool(value),
        }
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<V::Value, E> {
        match self.wanted {
            Wanted::Text => self.text(value),
            Wanted::Flag => self.visitor.visit_bool(value != 0),
            _ => self.visitor.visit_i64(value),
        }
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<V::Value, E> {
        match self.wanted {
            Wanted::Text => self.text(value),
            Wanted::Flag => self.visitor.visit_bool(value != 0),
            _ => self.visitor.visit_u64(value),
        }
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<V::Value, E> {
        match self.wanted {
            Wanted::Text => self.text(value),
            Wanted::Number if value.fract() == 0.0 && value.abs() < WHOLE => {
                self.visitor.visit_i64(value as i64)
            }
            _ => self.visitor.visit_f64(value),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<V::Value, E> {
        let trimmed = text.trim();
        match self.wanted {
            Wanted::Number | Wanted::Flag if trimmed.is_empty() => self.visit_unit(),
            Wanted::Number => match (trimmed.parse::<i64>(), trimmed.parse::<f64>()) {
                (Ok(number), _) => self.visitor.visit_i64(number),
                (_, Ok(number)) => self.visit_f64(number),
                _ => self.visitor.visit_str(text),
            },
            Wanted::Flag => match flag(trimmed) {
                Some(flag) => self.visitor.visit_bool(flag),
                None => self.visitor.visit_str(text),
            },
            _ => self.visitor.visit_str(text),
        }
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        match self.wanted {
            Wanted::Text => self.visitor.visit_str(""),
            Wanted::Number => self.visitor.visit_i64(0),
            Wanted::Flag => self.visitor.visit_bool(false),
            Wanted::List => self.visitor.visit_seq(SeqDeserializer::new(std::iter::empty::<()>())),
            Wanted::Object => {
                self.visitor.visit_map(MapDeserializer::new(std::iter::empty::<((), ())>()))
            }
            Wanted::Anything => self.visitor.visit_unit(),
        }
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_none()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_some(Lenient(deserializer))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<V::Value, A::Error> {
        match self.wanted {
            // The members of an object in their order are no object.
            Wanted::Object => Err(A::Error::custom("a list where an object is expected")),
            _ => self.visitor.visit_seq(Items(items)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_map(Items(members))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_enum(data)
    }
}

fn flag(text: &str) -> Option<bool> {
    let is = |word: &str, digit: &str| text.eq_ignore_ascii_case(word) || text == digit;
    if is("true", "1") {
        return Some(true);
    }
    is("false", "0").then_some(false)
}

impl<'de, V: Visitor<'de>> As<V> {
    fn text<E: Error>(self, value: impl Display) -> Result<V::Value, E> {
        self.visitor.visit_string(value.to_string())
    }
}

/// The items of a list, or the members of an object.
struct Items<A>(A);

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Items<A> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, A::Error> {
        self.0.next_element_seed(Seed(seed))
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Items<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        self.0.next_key_seed(Seed(seed))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, A::Error> {
        self.0.next_value_seed(Seed(seed))
    }
}

struct Seed<T>(T);

impl<'de, T: DeserializeSeed<'de>> DeserializeSeed<'de> for Seed<T> {
    type Value = T::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T::Value, D::Error> {
        self.0.deserialize(Lenient(deserializer))
    }
}
