//! What a refused batch shows: the broker takes messages only one by one, or one of them is bad.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use posthaste_protocol::ResponseCode;

use crate::accepted::MOST_MESSAGES;

/// How long a broker that stores messages of a topic only one by one is spared batches.
const SINGLY_FOR: Duration = Duration::from_secs(600);

/// Whether an answer may mean that it is the batch that was refused, and not what is in it: old
/// DLedger brokers answer 13 to every batch, and brokers before 4.0 do not know them.
pub(crate) fn may_refuse_batches(code: ResponseCode) -> bool {
    matches!(code, ResponseCode::MESSAGE_ILLEGAL | ResponseCode::REQUEST_CODE_NOT_SUPPORTED)
}

/// The messages of a batch that a broker refused, on their way in smaller ones.
///
/// Only if each of them was then stored in its own request, the broker refused the batch, and not
/// one of the messages.
#[derive(Debug)]
pub(crate) struct RefusedBatch {
    /// Messages that have not been stored again yet.
    left: AtomicUsize,
    /// One of them failed, or shared a request again: nothing can be said of the broker.
    inconclusive: AtomicBool,
}

impl RefusedBatch {
    pub(crate) fn of(messages: usize) -> Arc<Self> {
        Arc::new(Self { left: AtomicUsize::new(messages), inconclusive: AtomicBool::new(false) })
    }

    /// A member was stored in a request of `together` messages. `true` when it was the last, and
    /// all were stored singly.
    pub(crate) fn stored(&self, together: usize) -> bool {
        if together > 1 {
            self.inconclusive.store(true, Ordering::Relaxed);
        }
        let last = self.left.fetch_sub(1, Ordering::Relaxed) == 1;
        last && !self.inconclusive.load(Ordering::Relaxed)
    }

    /// A member ended otherwise: nothing can be said of the broker any more.
    pub(crate) fn failed(&self) {
        self.inconclusive.store(true, Ordering::Relaxed);
    }
}

/// Topics whose messages a broker stores only one by one.
#[derive(Debug, Default)]
pub(crate) struct UnbatchedTopics(HashMap<Arc<str>, Instant>);

impl UnbatchedTopics {
    /// The broker refuses batches of this topic.
    pub(crate) fn add(&mut self, topic: &Arc<str>, now: Instant) {
        tracing::warn!(%topic, "the broker refuses batches; messages are sent to it one by one \
                                for ten minutes");
        self.0.insert(topic.clone(), now + SINGLY_FOR);
    }

    /// How many messages of the topic may share a request.
    pub(crate) fn most(&mut self, topic: &str, now: Instant) -> usize {
        match self.0.get(topic) {
            None => MOST_MESSAGES,
            Some(until) if *until > now => 1,
            Some(_) => {
                self.0.remove(topic);
                MOST_MESSAGES
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_broker_refuses_batches_if_all_their_messages_were_stored_singly() {
        let alone = RefusedBatch::of(3);
        assert_eq!([1, 1, 1].map(|together| alone.stored(together)), [false, false, true]);
        let in_part = RefusedBatch::of(3);
        assert_eq!([1, 2, 1].map(|together| in_part.stored(together)), [false; 3]);
        let one_failed = RefusedBatch::of(3);
        one_failed.failed();
        assert_eq!([1, 1, 1].map(|together| one_failed.stored(together)), [false; 3]);
    }

    #[test]
    fn a_broker_is_spared_batches_of_a_topic_for_ten_minutes() {
        let mut unbatched = UnbatchedTopics::default();
        let now = Instant::now();
        let topic: Arc<str> = "t".into();
        assert_eq!(unbatched.most("t", now), MOST_MESSAGES);
        unbatched.add(&topic, now);
        let minutes = |minutes: u64| now + Duration::from_secs(60 * minutes);
        assert_eq!(unbatched.most("t", minutes(9)), 1);
        assert_eq!(unbatched.most("u", minutes(9)), MOST_MESSAGES);
        assert_eq!(unbatched.most("t", minutes(10)), MOST_MESSAGES);
        assert!(unbatched.0.is_empty(), "it is forgotten");
    }
}
