//! How many bytes a message takes, as it travels and as it is stored.

use posthaste_protocol::{Properties, batch};

use super::Message;

/// What a broker stores beside topic, body and properties (Java: `CommitLog.calMsgLength`, IPv4).
const STORED_OVERHEAD: usize = 91;
/// The property that holds the unique id: name, digits, separators.
const UNIQUE_ID_PROPERTY: usize = 8 + 32 + 2;

/// Bytes of a message in a batch's body.
pub(super) fn entry_bytes(message: &Message, added: Option<&Properties>) -> usize {
    let properties = property_bytes(message, added) + UNIQUE_ID_PROPERTY;
    batch::entry_length(message.body().len(), properties)
}

/// Bytes that a broker stores for a message, given the lengths of its topic, body and properties.
pub(crate) fn stored_bytes(bytes: usize) -> usize {
    STORED_OVERHEAD + UNIQUE_ID_PROPERTY + bytes
}

/// Bytes of a message's properties as they travel, without the unique id.
pub(crate) fn property_bytes(message: &Message, added: Option<&Properties>) -> usize {
    let length = |name: &str, value: &str| name.len() + value.len() + 2;
    let mut own = 0;
    message.each_wire_property(|name, value| {
        if !replaces(added, name) {
            own += length(name, value);
        }
    });
    let added = added.iter().flat_map(|added| added.iter());
    own + added.map(|(name, value)| length(name, value)).sum::<usize>()
}

/// Whether something that was added takes the place of a property of the message's own.
pub(crate) fn replaces(added: Option<&Properties>, name: &str) -> bool {
    added.is_some_and(|added| added.get(name).is_some())
}
