//! Sends as they arrived at a broker.

use std::collections::HashSet;
use std::time::Instant;

use bytes::Bytes;
use posthaste_protocol::Properties;

/// A send as it arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Number of the connection at its broker.
    pub connection: usize,
    pub opaque: i32,
    pub code: i32,
    pub oneway: bool,
    /// The unique id.
    pub id: String,
    /// As it is called on the wire.
    pub topic: String,
    pub group: String,
    /// The broker that the request names.
    pub broker: String,
    pub unit_mode: bool,
    pub queue: i32,
    /// The namespace that the message says it is of.
    pub instance: Option<String>,
    /// The ordering key.
    pub key: Option<String>,
    pub properties: Properties,
    /// As they were on the wire.
    pub wire: String,
    pub sys_flag: i32,
    pub body: Bytes,
    /// How many messages came in the request.
    pub together: usize,
    /// The outer properties of a batch.
    pub outer: Option<String>,
    pub at: Instant,
}

impl Seen {
    pub fn property(&self, name: &str) -> Option<&str> {
        self.properties.get(name)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Every value that a property had on the wire.
    pub fn values(&self, name: &str) -> Vec<&str> {
        let pairs = self.wire.split('\u{2}').filter_map(|pair| pair.split_once('\u{1}'));
        pairs.filter(|(found, _)| *found == name).map(|(_, value)| value).collect()
    }
}

/// The unique ids in a list.
pub fn ids(list: &[Seen]) -> HashSet<String> {
    list.iter().map(|seen| seen.id.clone()).collect()
}

/// The first copy of each stored message, in the order of storing.
pub fn first_copies(stored: &[Seen]) -> Vec<Seen> {
    let mut known = HashSet::new();
    stored.iter().filter(|seen| known.insert(seen.id.clone())).cloned().collect()
}
