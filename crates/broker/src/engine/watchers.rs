//! Those in this process who wait until a topic has a number of messages.

use super::{Engine, Millis};

/// One who waits.
pub(crate) struct Watcher {
    /// Name of the topic.
    pub(crate) topic: String,
    /// How many messages it is to have.
    pub(crate) wanted: u64,
    /// When they have waited long enough.
    pub(crate) deadline: Millis,
    /// Tells them that it has this many, or that it has too few at the deadline.
    pub(crate) tell: Box<dyn FnOnce() + Send>,
}

/// All who wait.
#[derive(Default)]
pub(crate) struct Watchers(Vec<Watcher>);

impl Watchers {
    /// When the first of them has waited long enough.
    pub(crate) fn earliest(&self) -> Option<Millis> {
        self.0.iter().map(|watcher| watcher.deadline).min()
    }

    fn tell(&mut self, is_over: impl Fn(&Watcher) -> bool) {
        for watcher in self.0.extract_if(.., |watcher| is_over(watcher)) {
            (watcher.tell)();
        }
    }
}

impl Engine {
    /// Someone waits.
    pub(crate) fn watch(&mut self, watcher: Watcher) {
        self.watchers.0.push(watcher);
        self.tell_watchers();
    }

    /// When those who wait are looked at next; nothing else has a time in a pause.
    pub(crate) fn watchers_wake(&self) -> Option<Millis> {
        self.watchers.earliest()
    }

    /// Goes on for those who wait in place of another engine.
    pub(crate) fn take_watchers_of(&mut self, other: &mut Self) {
        self.watchers = std::mem::take(&mut other.watchers);
    }

    /// Tells those who have waited long enough.
    pub(crate) fn end_watchers(&mut self, now: Millis) {
        if self.watchers.earliest().is_some_and(|earliest| earliest <= now) {
            self.watchers.tell(|watcher| watcher.deadline <= now);
        }
    }

    /// Tells those whose topic has enough messages now.
    pub(super) fn tell_watchers(&mut self) {
        if self.watchers.0.is_empty() {
            return;
        }
        let mut watchers = std::mem::take(&mut self.watchers);
        watchers.tell(|watcher| self.messages_in(&watcher.topic) >= watcher.wanted);
        self.watchers = watchers;
    }

    /// How many messages of a topic consumers can see.
    pub(crate) fn messages_in(&self, topic: &str) -> u64 {
        let Some(topic) = self.topics.get(topic) else { return 0 };
        let queues = (0..topic.known_queues()).map(|queue| {
            let key = topic.key(queue);
            self.topics.ends(key).committed.saturating_sub(self.first_offset(key))
        });
        queues.sum()
    }
}
