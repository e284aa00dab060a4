//! What a test does to what is stored: clears it, decides transactions, delivers what is delayed.

use std::time::SystemTime;

use crate::broker::BrokerHandle;
use crate::engine::Engine;
use crate::kit::error::KitError;
use crate::kit::message::{Found, StoredMessage, system_time};
use crate::kit::page;
use crate::store::StoreError;

/// How many half messages one question reads.
const HALVES_AT_ONCE: usize = 1_000;

/// A half message that waits for a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Undecided {
    /// The message; [`waits_for`](StoredMessage::waits_for) says where it goes.
    pub message: StoredMessage,
    /// The producer group that is asked.
    pub group: String,
    /// How often it was asked.
    pub checks: u32,
    /// When it is asked next, if one of its producers is connected.
    pub check_at: SystemTime,
}

/// What becomes of a half message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Consumers get it.
    Commit,
    /// It is gone.
    Rollback,
}

impl BrokerHandle {
    /// Takes all messages away, of every topic: messages that consumers could see, delayed ones, and half
    /// messages. Topics, groups and connections stay, and no offset is given
    /// again: the next message of a queue gets the offset that it would have got.
    ///
    /// # Errors
    /// [`KitError::Stopped`], [`KitError::Refused`] when that cannot be kept.
    pub async fn clear(&self) -> Result<(), KitError> {
        self.ask(|engine, _, effects| engine.clear(&mut effects.commit)).await?;
        self.kept().await
    }

    /// Every half message that waits for a decision, the oldest first.
    ///
    /// # Errors
    /// As [`messages`](Self::messages).
    pub async fn undecided(&self) -> Result<Vec<Undecided>, KitError> {
        let halves = self.halves().await?;
        Ok(halves.into_iter().map(FoundHalf::into_undecided).collect())
    }

    /// Decides a half message, by its unique id or offset id, as if its producer had. It need not be
    /// one that is connected.
    ///
    /// # Errors
    /// [`KitError::Decided`] when no half message with this id waits; [`KitError::Refused`] when the
    /// decision cannot be kept; else as [`messages`](Self::messages).
    pub async fn decide(&self, id: &str, decision: Decision) -> Result<(), KitError> {
        let decided = || KitError::Decided(id.to_owned());
        let halves = self.halves().await?;
        let half = halves.into_iter().find(|half| half.has_id(id)).ok_or_else(decided)?;
        let place = half.found.stored.physical_offset;
        let commits = decision == Decision::Commit;
        let asked =
            move |engine: &mut Engine, now, effects: &mut crate::engine::effects::Effects| {
                let is_there = engine.is_undecided(place);
                is_there.then(|| engine.decide_half(now, place, commits, &mut effects.commit))
            };
        match self.ask(asked).await? {
            None => Err(decided()),
            Some(Ok(())) => self.kept().await,
            Some(Err(refusal)) => Err(KitError::Refused(refusal.remark)),
        }
    }

    /// Delivers every delayed message and every timer message at once; gives back how many. Their
    /// topics have them when this returns. Messages that are sent later wait for their time.
    ///
    /// # Errors
    /// As [`clear`](Self::clear); [`KitError::Unreadable`] when one of them cannot be read.
    pub async fn deliver_now(&self) -> Result<u64, KitError> {
        let mut delivered = 0;
        loop {
            let asked = self.ask(|engine, now, effects| {
                let before = engine.delayed();
                engine.deliver_all(now, &mut effects.commit);
                (before, before - engine.delayed().min(before))
            });
            let (before, some) = asked.await?;
            self.kept().await?;
            delivered += some;
            match (before, some) {
                (0, _) => return Ok(delivered),
                (_, 0) => {
                    let text = "a delayed message cannot be delivered; the log says why";
                    return Err(KitError::Unreadable(text.to_owned()));
                }
                _ => {}
            }
        }
    }

    /// Comes after the commit of an earlier question, each of which ends its turn.
    pub(super) async fn kept(&self) -> Result<(), KitError> {
        let kept = self.ask(|engine, _, _| engine.check_store()).await?;
        kept.map_err(|refusal| KitError::Refused(refusal.remark))
    }

    async fn halves(&self) -> Result<Vec<FoundHalf>, KitError> {
        let mut halves = Vec::new();
        let mut from = Some(0);
        while let Some(first) = from {
            let found = self.ask(move |engine, _, _| some_halves(engine, first)).await?;
            let (some, next) = found?;
            halves.extend(some);
            from = next;
        }
        Ok(halves)
    }
}

struct FoundHalf {
    found: Found,
    group: String,
    checks: u32,
    check_at: SystemTime,
}

impl FoundHalf {
    fn has_id(&self, id: &str) -> bool {
        let stored = &self.found.stored;
        stored.property(posthaste_protocol::properties::name::UNIQ_KEY) == Some(id)
            || page::offset_id(stored) == id
    }

    fn into_undecided(self) -> Undecided {
        let Self { found, group, checks, check_at } = self;
        Undecided { message: found.into_message(), group, checks, check_at }
    }
}

/// Half messages from an offset of the half topic on, and where to go on.
fn some_halves(engine: &Engine, from: u64) -> Result<(Vec<FoundHalf>, Option<u64>), StoreError> {
    let Some(queue) = engine.half_queue() else { return Ok((Vec::new(), None)) };
    let mut halves = Vec::new();
    let (offsets, next) = engine.halves.offsets_from(from, HALVES_AT_ONCE);
    for offset in offsets {
        let record = engine.record(queue, offset)?;
        let message = record.and_then(|record| record.message());
        let (Some(stored), Some(half)) = (message, engine.halves.get(offset)) else { continue };
        halves.push(FoundHalf {
            found: Found { stored, sender: Default::default() },
            group: half.group.to_string(),
            checks: half.checks,
            check_at: system_time(half.due),
        });
    }
    Ok((halves, next))
}
