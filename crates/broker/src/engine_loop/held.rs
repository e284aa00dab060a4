//! Requests that are carried out later, and answers that leave later, because a fault rule delays them.

use std::collections::BTreeMap;

use bytes::BytesMut;
use posthaste_protocol::Frame;

use crate::engine::{Millis, SessionId};

/// The most bytes that are held.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// The requests and answers that are held, by the time at which they go on.
#[derive(Debug, Default)]
pub(super) struct HeldBack {
    by_due: BTreeMap<(Millis, u64), (SessionId, Held)>,
    last: u64,
    bytes: usize,
}

/// One thing that is held.
#[derive(Debug)]
pub(super) enum Held {
    /// A request that only the rules have looked at.
    Request(Frame),
    /// An answer that may leave.
    Answer(BytesMut),
}

impl Held {
    fn length(&self) -> usize {
        match self {
            Self::Request(frame) => frame.view().length,
            Self::Answer(bytes) => bytes.len(),
        }
    }
}

impl HeldBack {
    /// Holds something until `due`; gives it back when too much is held already.
    pub(super) fn hold(&mut self, due: Millis, session: SessionId, held: Held) -> Result<(), Held> {
        if self.bytes + held.length() > MOST_BYTES {
            return Err(held);
        }
        self.bytes += held.length();
        self.last += 1;
        self.by_due.insert((due, self.last), (session, held));
        Ok(())
    }

    /// When the next one goes on.
    pub(super) fn earliest(&self) -> Option<Millis> {
        self.by_due.first_key_value().map(|((due, _), _)| *due)
    }

    /// The next one that goes on by now.
    pub(super) fn next_due(&mut self, now: Millis) -> Option<(SessionId, Held)> {
        let first = self.by_due.first_entry().filter(|first| first.key().0 <= now)?;
        let (session, held) = first.remove();
        self.bytes -= held.length();
        Some((session, held))
    }

    /// A session is gone, and its answers with it. Its requests go on: a slow broker, too, stores messages
    /// that a client no longer waits for.
    pub(super) fn forget(&mut self, session: SessionId) {
        let mut lost = 0;
        self.by_due.retain(|_, (of, held)| {
            let is_lost = *of == session && matches!(held, Held::Answer(_));
            lost += if is_lost { held.length() } else { 0 };
            !is_lost
        });
        self.bytes -= lost;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_goes_on_in_its_time_and_no_more_is_held_than_there_is_room_for() {
        let (one, other) = (SessionId(1), SessionId(2));
        let mut held = HeldBack::default();
        let answer = |length| Held::Answer(BytesMut::zeroed(length));
        for (due, session) in [(30, one), (10, other), (20, one), (10, one)] {
            held.hold(due, session, answer(1)).expect("room");
        }
        assert!(held.hold(1, one, answer(MOST_BYTES)).is_err(), "too much");
        assert_eq!(held.earliest(), Some(10));
        let due: Vec<_> = std::iter::from_fn(|| held.next_due(20)).map(|(of, _)| of).collect();
        assert_eq!(due, [other, one, one]);
        held.forget(one);
        assert_eq!((held.earliest(), held.bytes), (None, 0));
    }
}
