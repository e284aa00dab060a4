//! The body of a message in JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// The body of a message in JSON, as this server and `posthaste tail -o json` write it: an object with
/// `"body"` when it is UTF-8, else with `"body_b64"`. Made for `#[serde(flatten)]`.
#[derive(Debug, Clone, Copy)]
pub struct Body<'a>(pub &'a [u8]);

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        match std::str::from_utf8(self.0) {
            Ok(text) => map.serialize_entry("body", text)?,
            Err(_) => map.serialize_entry("body_b64", &STANDARD.encode(self.0))?,
        }
        map.end()
    }
}
