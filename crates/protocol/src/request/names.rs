//! Values that have names and numbers: Java writes the names, C++ and Python clients the numbers
//! (Java: the ordinals of `ConsumeFromWhere`, `ConsumeType`, `MessageModel`, `TopicFilterType`).

use serde::{Deserialize, Deserializer};

const CONSUME_FROM_WHERE: &[&str] = &[
    "CONSUME_FROM_LAST_OFFSET",
    "CONSUME_FROM_LAST_OFFSET_AND_FROM_MIN_WHEN_BOOT_FIRST",
    "CONSUME_FROM_MIN_OFFSET",
    "CONSUME_FROM_MAX_OFFSET",
    "CONSUME_FROM_FIRST_OFFSET",
    "CONSUME_FROM_TIMESTAMP",
];
const CONSUME_TYPES: &[&str] = &["CONSUME_ACTIVELY", "CONSUME_PASSIVELY", "CONSUME_POP"];
const MESSAGE_MODELS: &[&str] = &["BROADCASTING", "CLUSTERING"];
const FILTER_TYPES: &[&str] = &["SINGLE_TAG", "MULTI_TAG"];

macro_rules! readers {
    ($($name:ident: $names:ident,)*) => {$(
        /// Reads a name, or the number that stands for it.
        pub(super) fn $name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
            named(deserializer, $names)
        }
    )*};
}

readers! {
    consume_from_where: CONSUME_FROM_WHERE,
    consume_type: CONSUME_TYPES,
    message_model: MESSAGE_MODELS,
    filter_type: FILTER_TYPES,
}

/// A text that is a number becomes the name of that number; any other text stays as it is.
fn named<'de, D: Deserializer<'de>>(deserializer: D, names: &[&str]) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let name = text.parse::<usize>().ok().and_then(|number| names.get(number));
    Ok(name.map_or(text, |name| (*name).to_owned()))
}
