//! Tables whose keys are queues. Java writes whole objects as keys: `{{"brokerName":"b",…}:5}`.

use std::collections::BTreeMap;
use std::collections::btree_map::IntoIter;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use super::QueueName;
use crate::json;

/// Values by queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueTable<V>(pub BTreeMap<QueueName, V>);

impl<V> Default for QueueTable<V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<V> FromIterator<(QueueName, V)> for QueueTable<V> {
    fn from_iter<I: IntoIterator<Item = (QueueName, V)>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl<V> IntoIterator for QueueTable<V> {
    type Item = (QueueName, V);
    type IntoIter = IntoIter<QueueName, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<V: Serialize> QueueTable<V> {
    /// The table as Java writes it. It is no standard JSON, which no serializer would write.
    pub(super) fn to_json(&self) -> String {
        let mut text = String::from("{");
        for (queue, value) in &self.0 {
            if text.len() > 1 {
                text.push(',');
            }
            text.push_str(&to_json(queue));
            text.push(':');
            text.push_str(&to_json(value));
        }
        text.push('}');
        text
    }
}

/// Plain data with text keys: writing it as JSON cannot fail.
pub(super) fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Reads what [`json::normalize`] makes of a table: its keys are texts of JSON.
impl<'de, V: Deserialize<'de>> Deserialize<'de> for QueueTable<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = BTreeMap::<String, V>::deserialize(deserializer)?;
        let key = |text: &str| json::read(text.as_bytes()).map_err(D::Error::custom);
        entries.into_iter().map(|(text, value)| Ok((key(&text)?, value))).collect()
    }
}
