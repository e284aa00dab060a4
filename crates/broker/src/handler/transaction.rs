//! Transactions: half messages, their ends, and the questions to producers about half messages without one.

use posthaste_protocol::StoredMessage;
use posthaste_protocol::id::OffsetId;
use posthaste_protocol::properties::name;
use posthaste_protocol::request::{CheckTransaction, Empty, EndTransaction, decision};
use posthaste_protocol::stored::sys_flag;

use crate::engine::effects::{Caller, Effects};
use crate::engine::halves::{Half, LIFE_MS};
use crate::engine::producers::MAX_NAME;
use crate::engine::stamp::check_properties;
use crate::engine::topics::{HALF_TOPIC, READ_WRITE, UNDECIDED_TOPIC, is_name};
use crate::engine::{Engine, Millis, READ_AGAIN_MS, refusal::Refusal};
use crate::location::QueueKey;
use crate::store::{Commit, Fact, StoreError};

/// How many bytes of half messages are asked about at once, one message always; more would be
/// pushed to clients that do not read so fast.
const ASKED_AT_ONCE: usize = 256 * 1024;
/// A question takes at least this many bytes.
const QUESTION_COST: usize = 1_024;
/// How long it is before more are asked about.
const PAUSE_MS: Millis = 100;

impl Engine {
    /// Stores a half message that asks for queue `queue_id` of its topic.
    pub(super) fn store_half(
        &mut self,
        now: Millis,
        group: &str,
        queue_id: u16,
        message: &mut StoredMessage,
        commit: &mut Commit,
    ) -> Result<(), Refusal> {
        let mut properties = message.properties();
        self.check_half(properties.get(name::PGROUP).unwrap_or(group))?;
        let queue = self.half_queue().ok_or_else(|| Refusal::no_topic(HALF_TOPIC))?;
        if let Some(id) = properties.get(name::UNIQ_KEY).map(str::to_owned) {
            properties.set(name::TRANSACTION_ID, id);
        }
        if properties.get(name::PGROUP).is_none() {
            properties.set(name::PGROUP, group);
        }
        properties.set(name::REAL_TOPIC, std::mem::take(&mut message.topic));
        properties.set(name::REAL_QID, queue_id.to_string());
        message.properties = properties.to_wire();
        message.topic = HALF_TOPIC.to_owned();
        message.sys_flag &= !sys_flag::TRANSACTION;
        check_properties(message, 0)?;
        self.append(queue, message, commit)?;
        let immunity = immunity_ms(properties.get(name::CHECK_IMMUNITY_TIME));
        let half = Half {
            group: properties.get(name::PGROUP).unwrap_or_default().into(),
            since: now,
            due: now + immunity.unwrap_or(self.timing.first_ms).min(LIFE_MS),
            checks: 0,
        };
        self.set_half(message.queue_offset as u64, half, commit);
        Ok(())
    }

    /// Whether another half message of a group may wait. Groups are remembered as long as one does.
    fn check_half(&self, group: &str) -> Result<(), Refusal> {
        if !is_name(group, MAX_NAME) {
            return Err(Refusal::illegal(
                "the producer group of the transaction is not a valid group name",
            ));
        }
        match self.halves.has_room(group) {
            true => Ok(()),
            false => {
                Err(Refusal::busy("too many half messages, or their groups, wait for decisions"))
            }
        }
    }

    /// 37: a producer decides. An answer of "unknown", or a code that is not defined, is no
    /// decision and gets no answer.
    pub(crate) fn end_transaction(
        &mut self,
        now: Millis,
        caller: Caller,
        request: &EndTransaction,
        out: &mut Effects,
    ) {
        let commits = match request.decision {
            decision::COMMIT => true,
            decision::ROLLBACK => false,
            _ => return,
        };
        let result = self.decide(now, request, commits, &mut out.commit);
        if let Err(refusal) = &result {
            let (group, why) = (&request.group, &refusal.remark);
            tracing::warn!(group, why, "the end of a transaction is refused");
        }
        out.answer_after_commit(caller, result);
    }

    /// The message and that it is decided are one commit: it comes once, or the producer is asked
    /// again.
    fn decide(
        &mut self,
        now: Millis,
        request: &EndTransaction,
        commits: bool,
        commit: &mut Commit,
    ) -> Result<Empty, Refusal> {
        self.check_working()?;
        let (offset, message) = self.half_at(request.half_physical_offset)?;
        check_end(now, request, &message, self.timing.first_ms)?;
        self.end_half(now, (offset, message), commits, commit)?;
        Ok(Empty)
    }

    /// Decides the half message at this place, for any caller.
    pub(crate) fn decide_half(
        &mut self,
        now: Millis,
        physical: i64,
        commits: bool,
        commit: &mut Commit,
    ) -> Result<(), Refusal> {
        self.check_working()?;
        let half = self.half_at(physical)?;
        self.end_half(now, half, commits, commit)
    }

    fn end_half(
        &mut self,
        now: Millis,
        (offset, message): (u64, StoredMessage),
        commits: bool,
        commit: &mut Commit,
    ) -> Result<(), Refusal> {
        if commits {
            self.release(now, message, commit)?;
        }
        self.forget_half(offset, commit);
        Ok(())
    }

    /// Whether a half message waits at this place.
    pub(crate) fn is_undecided(&self, physical: i64) -> bool {
        let place = QueueKey::of_physical(physical);
        place.is_some_and(|(queue, offset)| {
            Some(queue) == self.half_queue() && self.halves.get(offset).is_some()
        })
    }

    /// The half message that is meant. One that is decided is not there any more: a second end,
    /// as when a check crosses the first, changes nothing.
    fn half_at(&self, physical: i64) -> Result<(u64, StoredMessage), Refusal> {
        let place = QueueKey::of_physical(physical);
        let place = place.filter(|(queue, offset)| {
            Some(*queue) == self.half_queue() && self.halves.get(*offset).is_some()
        });
        let message = match place {
            Some((queue, offset)) => {
                let record = self.record(queue, offset)?;
                record.and_then(|record| record.message()).map(|message| (offset, message))
            }
            None => None,
        };
        message.ok_or_else(|| Refusal::system_error("Find prepared transaction message failed"))
    }

    /// Puts a half message where it was sent to.
    fn release(
        &mut self,
        now: Millis,
        mut message: StoredMessage,
        commit: &mut Commit,
    ) -> Result<(), Refusal> {
        self.check_store()?;
        let mut properties = message.properties();
        let topic = properties.remove(name::REAL_TOPIC).unwrap_or_default();
        let queue = properties.remove(name::REAL_QID).and_then(|queue| queue.parse().ok());
        let known = match queue {
            Some(queue) => self.queue_sent_to(&topic, queue)?,
            None => None,
        };
        let Some(queue) = known else { return Err(Refusal::no_topic(&topic)) };
        message.topic = topic;
        message.properties = properties.to_wire();
        message.sys_flag = message.sys_flag & !sys_flag::TRANSACTION | decision::COMMIT;
        message.prepared_offset = message.physical_offset;
        message.stored_at_ms = now;
        self.append(queue, &mut message, commit)
    }

    /// Asks about the half messages that are due.
    pub(crate) fn ask_about_halves(&mut self, now: Millis, effects: &mut Effects) {
        let mut room = ASKED_AT_ONCE;
        while let Some(offset) = self.halves.due(now, &self.producers) {
            if room == 0 {
                return self.halves.pause_until(now + PAUSE_MS);
            }
            if self.check_store().is_err() {
                return;
            }
            match self.ask_about(now, offset, effects) {
                Ok(bytes) => room = room.saturating_sub(bytes.max(QUESTION_COST)),
                Err(error) => {
                    tracing::error!(%error, offset, "a half message cannot be read");
                    self.halves.postpone(offset, now + READ_AGAIN_MS);
                }
            }
        }
    }

    /// Asks about one half message, or gives it up; says how many bytes were pushed.
    fn ask_about(
        &mut self,
        now: Millis,
        offset: u64,
        effects: &mut Effects,
    ) -> Result<usize, StoreError> {
        let Some(queue) = self.half_queue() else { return Ok(0) };
        let record = self.record(queue, offset)?;
        let message = record.and_then(|record| record.message());
        let half = self.halves.get(offset).cloned();
        let (Some(message), Some(mut half)) = (message, half) else {
            tracing::warn!(offset, "a half message was dropped before it was decided");
            self.forget_half(offset, &mut effects.commit);
            return Ok(0);
        };
        if half.checks >= self.timing.most || now - half.since >= LIFE_MS {
            self.give_up(now, offset, message, &mut effects.commit);
            return Ok(0);
        }
        half.checks += 1;
        half.due = now + self.timing.again_ms;
        let mut pushed = 0;
        if let Some(session) = self.producers.pick(&half.group) {
            let question = self.question(&message, half.checks);
            pushed = question.message.len();
            effects.tell(session, &question);
        }
        self.set_half(offset, half, &mut effects.commit);
        Ok(pushed)
    }

    /// What a producer is asked: the message as it would be delivered.
    fn question(&self, half: &StoredMessage, checks: u32) -> CheckTransaction {
        let mut message = half.clone();
        let mut properties = half.properties();
        properties.set(name::TRANSACTION_CHECK_TIMES, checks.to_string());
        let real = |name| properties.get(name).unwrap_or_default();
        message.topic = real(name::REAL_TOPIC).to_owned();
        message.queue_id = real(name::REAL_QID).parse().unwrap_or(0);
        message.properties = properties.to_wire();
        let mut body = bytes::BytesMut::new();
        message.encode(&mut body);
        let id = properties.get(name::UNIQ_KEY).map(str::to_owned);
        let place = OffsetId { host: self.identity.store_host, offset: half.physical_offset };
        CheckTransaction {
            half_offset: half.queue_offset,
            half_physical_offset: half.physical_offset,
            message_id: id.clone(),
            transaction_id: id,
            offset_message_id: Some(place.to_string()),
            topic: Some(HALF_TOPIC.to_owned()),
            broker_name: Some(self.identity.broker.clone()),
            message: body.freeze(),
        }
    }

    /// No producer has decided: the message goes where people find it, and no more checks are sent.
    fn give_up(
        &mut self,
        now: Millis,
        offset: u64,
        mut message: StoredMessage,
        commit: &mut Commit,
    ) {
        tracing::warn!(offset, "a half message is given up: no producer has decided about it");
        message.topic = UNDECIDED_TOPIC.to_owned();
        message.stored_at_ms = now;
        let stored = self.undecided_queue(commit);
        let stored = stored.and_then(|queue| self.append(queue, &mut message, commit));
        if let Err(refusal) = stored {
            tracing::error!(why = refusal.remark, "it could not be kept");
        }
        self.forget_half(offset, commit);
    }

    fn undecided_queue(&mut self, commit: &mut Commit) -> Result<QueueKey, Refusal> {
        if self.topics.get(UNDECIDED_TOPIC).is_none() {
            self.set_topic(UNDECIDED_TOPIC, (1, 1), READ_WRITE, commit)?;
        }
        let topic = self.topics.get(UNDECIDED_TOPIC).map(|topic| topic.key(0));
        topic.ok_or_else(|| Refusal::no_topic(UNDECIDED_TOPIC))
    }

    fn set_half(&mut self, offset: u64, half: Half, commit: &mut Commit) {
        commit.put(Fact::Half {
            offset,
            group: half.group.to_string(),
            since: half.since,
            due: half.due,
            checks: half.checks,
        });
        self.halves.insert(offset, half);
    }

    fn forget_half(&mut self, offset: u64, commit: &mut Commit) {
        self.halves.remove(offset);
        commit.forget(Fact::half_key(offset));
    }

    pub(crate) fn half_queue(&self) -> Option<QueueKey> {
        self.topics.get(HALF_TOPIC).map(|topic| topic.key(0))
    }
}

/// Whether the client may decide this half message. Checks in the order of a real broker. `first_ms` is when producers
/// are asked whose messages do not say anything about it.
fn check_end(
    now: Millis,
    request: &EndTransaction,
    half: &StoredMessage,
    first_ms: Millis,
) -> Result<(), Refusal> {
    let immunity = half.property(name::CHECK_IMMUNITY_TIME).map(|seconds| {
        // Who asks for less may be asked sooner, but may decide for as long as others.
        immunity_ms(Some(seconds)).unwrap_or(first_ms).max(first_ms)
    });
    // By then the check has asked, and its answer counts.
    let is_late = immunity.is_some_and(|immunity| now - half.stored_at_ms > immunity);
    if is_late && request.from_check != Some(true) {
        return Err(Refusal::too_late(
            "the time that the message asked not to be checked is over; the check decides",
        ));
    }
    if half.property(name::PGROUP).unwrap_or_default() != request.group {
        return Err(Refusal::system_error("The producer group wrong"));
    }
    if half.queue_offset != request.half_offset {
        return Err(Refusal::system_error("The transaction state table offset wrong"));
    }
    Ok(())
}

/// For how long a message asks not to be asked about. A text that is no number of seconds says nothing.
fn immunity_ms(seconds: Option<&str>) -> Option<Millis> {
    let seconds: Millis = seconds?.parse().ok()?;
    (seconds >= 0).then(|| seconds.saturating_mul(1_000))
}
