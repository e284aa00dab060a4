//! What becomes of the engine when its store fails, and how it finds out that a full disk has room.

use super::halves::Halves;
use super::refusal::Refusal;
use super::schedule::Schedule;
use super::timers::Timers;
use super::topics::Topics;
use super::{Engine, Millis, disk_full};
use crate::location::QueueKey;
use crate::store::{Fact, Full, StoreError};

/// A full disk is looked at again after this time.
const LOOK_FOR_ROOM_MS: Millis = 500;

impl Engine {
    /// Looks whether a full disk has room, when it is time to.
    pub(super) fn look_after_store(&mut self, now: Millis) {
        if self.is_starved() && now >= self.look_for_room_at {
            self.look_for_room_at = now + LOOK_FOR_ROOM_MS;
            self.store.look_for_room();
            if self.must_restore {
                self.restore_if_possible();
            }
        }
    }

    /// When there is something to do for the store.
    pub(super) fn store_wakes(&self) -> Option<Millis> {
        self.is_starved().then_some(self.look_for_room_at)
    }

    /// Goes on after a commit with messages for `queues` that has failed; says what becomes of what was
    /// in it.
    pub(super) fn refusal_after(&mut self, error: StoreError, queues: &[QueueKey]) -> Refusal {
        // Whether it was written cannot be known, and the code must not say that it wasn't.
        let unknown = Refusal::system_error(format!("storing failed: {error}"));
        let ends = |engine: &Self| -> Vec<u64> {
            queues.iter().map(|queue| engine.topics.ends(*queue).committed).collect()
        };
        let before = ends(self);
        self.go_on_after(error);
        // All of it or nothing was written: where queues have not grown it is nothing.
        let is_known = !queues.is_empty() && self.check_working().is_ok();
        match is_known && ends(self) == before {
            true => disk_full(),
            false => unknown,
        }
    }

    /// A commit has failed. It is unknown then what has been kept, unless the disk was only full.
    fn go_on_after(&mut self, error: StoreError) {
        match error {
            StoreError::NoRoom => {
                tracing::error!("the disk is full; messages are refused until it has room");
                self.restore_if_possible();
            }
            error => self.fail(&error),
        }
    }

    fn restore_if_possible(&mut self) {
        let restored = self.store.open_again().and_then(|()| self.restore_again());
        self.must_restore = matches!(restored, Err(StoreError::NoRoom));
        match restored {
            Ok(()) | Err(StoreError::NoRoom) => {}
            Err(error) => self.fail(&error),
        }
    }

    fn fail(&mut self, error: &StoreError) {
        tracing::error!(%error, "the store could not be written; nothing more is stored");
        self.failure = Some(error.to_string());
    }

    /// Whether the disk had no room when it was last looked at.
    fn is_starved(&self) -> bool {
        self.failure.is_none() && self.store.full() == Some(Full::Disk)
    }

    /// Goes on where the store has ended, after a commit that did not find room: as after a restart,
    /// but that the clients and what their groups have come to are known.
    fn restore_again(&mut self) -> Result<(), StoreError> {
        self.topics = Topics::default();
        self.schedule = Schedule::default();
        self.timers = Timers::default();
        self.halves = Halves::default();
        let is_of_group =
            |fact: &Fact| matches!(fact, Fact::Offset { .. } | Fact::Subscriptions { .. });
        let facts = self.store.facts()?.into_iter().filter(|fact| !is_of_group(fact)).collect();
        self.groups.all_offsets_are_dirty();
        self.restore(facts)
    }
}
