//! Fault rules in the body of a request: one, or a list.

use std::fmt;

use posthaste_broker::Fault;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// One rule, or a list.
pub(super) enum Rules {
    One(Box<Fault>),
    List(Vec<Fault>),
}

impl Rules {
    pub(super) fn all(self) -> Vec<Fault> {
        match self {
            Self::One(fault) => vec![*fault],
            Self::List(faults) => faults,
        }
    }
}

// Not derived: of a wrong word that would say only that nothing fits.
impl<'de> Deserialize<'de> for Rules {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrMore)
    }
}

struct OneOrMore;

impl<'de> Visitor<'de> for OneOrMore {
    type Value = Rules;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(
            "a fault rule, such as {\"on\": \"send\", \"do\": \"pass\"}, or a list of rules",
        )
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Rules, M::Error> {
        Fault::deserialize(MapAccessDeserializer::new(map)).map(|fault| Rules::One(Box::new(fault)))
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Rules, S::Error> {
        let mut faults = Vec::new();
        loop {
            let number = faults.len() + 1;
            let next = seq.next_element();
            match next.map_err(|error| S::Error::custom(format!("rule {number}: {error}")))? {
                Some(fault) => faults.push(fault),
                None => return Ok(Rules::List(faults)),
            }
        }
    }
}
