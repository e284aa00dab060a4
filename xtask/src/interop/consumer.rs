use std::collections::BTreeMap;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;

use super::envelope::Delivery;

/// What a push consumer is to receive, and how.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Subscription {
    pub(crate) name: String,
    pub(crate) group: String,
    pub(crate) topic: String,
    pub(crate) tags: String,
    pub(crate) orderly: bool,
    /// Messages with this tag are refused the first time they come.
    pub(crate) refuse: Option<String>,
    /// The namespace that group and topic are in.
    pub(crate) namespace: Option<String>,
}

impl Subscription {
    /// All messages of a topic from its beginning, for a group of the consumer's own.
    pub(crate) fn new(name: &str, topic: &str) -> Self {
        Self {
            name: name.to_owned(),
            group: format!("group-{name}"),
            topic: topic.to_owned(),
            tags: "*".to_owned(),
            orderly: false,
            refuse: None,
            namespace: None,
        }
    }

    pub(crate) fn in_namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    pub(crate) fn of_group(mut self, group: &str) -> Self {
        group.clone_into(&mut self.group);
        self
    }

    pub(crate) fn refusing(mut self, tag: &str) -> Self {
        self.refuse = Some(tag.to_owned());
        self
    }

    pub(crate) fn orderly(mut self) -> Self {
        self.orderly = true;
        self
    }
}

/// An official push consumer's deliveries.
pub(crate) struct Consumer {
    name: String,
    deliveries: Receiver<Delivery>,
}

impl Consumer {
    pub(crate) fn new(name: &str, deliveries: Receiver<Delivery>) -> Self {
        Self { name: name.to_owned(), deliveries }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The next `count` deliveries, or an error when they do not come in time.
    pub(crate) fn take(&self, count: usize, limit: Duration) -> Result<Vec<Delivery>> {
        let deadline = Instant::now() + limit;
        let mut taken = Vec::with_capacity(count);
        while taken.len() < count {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.deliveries.recv_timeout(left) {
                Ok(delivery) => taken.push(delivery),
                Err(_) => bail!("{}: {} of {count} within {limit:?}", self.name, taken.len()),
            }
        }
        Ok(taken)
    }

    /// As many deliveries as these bodies, each of which is that of the message with its key.
    pub(crate) fn take_bodies(
        &self,
        mut bodies: BTreeMap<String, Vec<u8>>,
        limit: Duration,
    ) -> Result<()> {
        for delivery in self.take(bodies.len(), limit)? {
            let key = delivery.message.keys.clone().context("no key")?;
            let body = bodies.remove(&key).with_context(|| format!("not awaited: {key}"))?;
            ensure!(body == delivery.message.body, "{key} has another body");
        }
        Ok(())
    }

    /// What still comes until nothing has come for `silence`.
    pub(crate) fn drain(&self, silence: Duration) -> Vec<Delivery> {
        let mut drained = Vec::new();
        while let Ok(delivery) = self.deliveries.recv_timeout(silence) {
            drained.push(delivery);
        }
        drained
    }
}
