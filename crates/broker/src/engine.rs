//! The broker as a state machine: requests in, effects out.
//!
//! No sockets, no clock, no threads. One thread owns the engine and calls, turn by turn,
//! [`handle`](Engine::handle) for what has arrived and then [`settle`](Engine::settle), which
//! commits what the turn wants kept and only then lets the answers go that say so.
//! What a request does is in `handler`, one file per concern.

pub(crate) mod attributes;
mod catalogue;
mod dispatch;
pub(crate) mod effects;
pub(crate) mod filter;
pub(crate) mod groups;
pub(crate) mod halves;
pub(crate) mod meter;
pub(crate) mod parked;
pub(crate) mod peers;
pub(crate) mod producers;
pub(crate) mod queries;
mod recovery;
pub(crate) mod refusal;
pub(crate) mod registry;
pub(crate) mod replies;
mod restart;
pub(crate) mod schedule;
pub(crate) mod sql;
pub(crate) mod stamp;
pub(crate) mod timers;
pub(crate) mod topics;
pub(crate) mod watchers;
pub(crate) mod wishes;

use std::net::SocketAddr;

use self::effects::{Caller, Effects};
use self::groups::Groups;
use self::halves::{Halves, Timing};
use self::meter::Meter;
use self::parked::ParkedPulls;
use self::peers::Peers;
use self::producers::Producers;
use self::queries::Queries;
use self::refusal::Refusal;
use self::registry::Member;
use self::replies::Replies;
use self::schedule::Schedule;
use self::stamp::Stamper;
use self::timers::Timers;
use self::topics::{SCHEDULE_TOPIC, Topics};
use self::watchers::Watchers;
use crate::location::{MAX_OFFSET, QueueKey};
use crate::request::{Answer, Request};
use crate::store::{Commit, Fact, Full, Record, Store, StoreError};
pub(crate) use crate::time::Millis;
use posthaste_protocol::request::{Empty, SendMessage};
use posthaste_protocol::{Incoming, ReceivedSend, StoredMessage};

/// What is due and cannot be read is tried again after so long.
pub(crate) const READ_AGAIN_MS: Millis = 1_000;
/// How long an offset of a consumer group may be missing in the store.
const OFFSETS_KEPT_AFTER_MS: Millis = 1_000;

/// One connection of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SessionId(pub(crate) u64);

/// Who the broker says it is.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// Name of the cluster.
    pub(crate) cluster: String,
    /// Name of the broker.
    pub(crate) broker: String,
    /// `host:port` that routes tell clients.
    pub(crate) address: String,
    /// The address in stored messages and their ids. IPv4: some clients read nothing else.
    pub(crate) store_host: SocketAddr,
    /// Queues of the topic whose configuration new topics get; `None`: sends create no topics.
    pub(crate) auto_create_queues: Option<u16>,
}

/// The state of name server and broker.
pub(crate) struct Engine {
    pub(crate) identity: Identity,
    pub(crate) store: Box<dyn Store>,
    pub(crate) topics: Topics,
    pub(crate) groups: Groups,
    pub(crate) producers: Producers,
    pub(crate) parked: ParkedPulls,
    /// How many bytes this turn has read for pulls.
    pub(crate) read_for_pulls: usize,
    pub(crate) schedule: Schedule,
    pub(crate) timers: Timers,
    pub(crate) halves: Halves,
    /// When producers are asked about half messages.
    pub(crate) timing: Timing,
    pub(crate) replies: Replies,
    pub(crate) queries: Queries,
    watchers: Watchers,
    pub(crate) stamper: Stamper,
    pub(crate) random: fastrand::Rng,
    pub(crate) peers: Peers,
    /// Whether consumers may choose messages with SQL92 expressions.
    pub(crate) sql_filters: bool,
    /// Its part in a cluster of several brokers; `None`: it is the only one.
    pub(crate) member: Option<Member>,
    /// Which state of the topics its name server knows.
    registered: Option<i64>,
    /// Whether clients hear that nothing may be written.
    pub(crate) write_wiped: bool,
    /// When the first turn was.
    pub(crate) begun: Option<Millis>,
    /// Messages that have come.
    pub(crate) put_meter: Meter,
    /// Messages that consumers have got.
    pub(crate) got_meter: Meter,
    /// How many messages consumers have got since the start.
    pub(crate) got: u64,
    /// Bytes of all messages that have come since the start.
    pub(crate) put_bytes: u64,
    /// Why nothing is stored any more: a commit has failed.
    failure: Option<String>,
    /// When a full disk is looked at again.
    look_for_room_at: Millis,
    /// A commit found no room, and what is known here is not what the store has.
    must_restore: bool,
    /// When offsets of consumer groups go to the store.
    offsets_due: Option<Millis>,
    stored: u64,
}

impl Engine {
    /// An engine that goes on where `store` ended. `seed` decides what is random.
    ///
    /// # Errors
    /// When what the store has cannot be read, or does not fit together.
    pub(crate) fn new(
        identity: Identity,
        timing: Timing,
        store: Box<dyn Store>,
        seed: u64,
    ) -> Result<Self, StoreError> {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut engine = Self {
            stamper: Stamper::new(&identity, &mut random),
            identity,
            store,
            topics: Topics::default(),
            groups: Groups::default(),
            producers: Producers::default(),
            parked: ParkedPulls::default(),
            read_for_pulls: 0,
            schedule: Schedule::default(),
            timers: Timers::default(),
            halves: Halves::default(),
            timing,
            replies: Replies::default(),
            queries: Queries::default(),
            watchers: Watchers::default(),
            random,
            peers: Peers::default(),
            sql_filters: false,
            member: None,
            registered: None,
            write_wiped: false,
            begun: None,
            put_meter: Meter::default(),
            got_meter: Meter::default(),
            got: 0,
            put_bytes: 0,
            failure: None,
            look_for_room_at: 0,
            must_restore: false,
            offsets_due: None,
            stored: 0,
        };
        let facts = engine.store.facts()?;
        engine.restore(facts)?;
        Ok(engine)
    }

    /// A client has connected.
    pub(crate) fn open(&mut self, now: Millis, session: SessionId, peer: SocketAddr) {
        self.peers.open(now, session, peer);
    }

    /// A client is gone: whatever it was a member of goes on without it.
    pub(crate) fn close(&mut self, session: SessionId, effects: &mut Effects) {
        self.peers.close(session);
        self.producers.forget(session);
        self.parked.forget(session);
        self.queries.forget(session);
        self.forget_replies(session, effects);
        for group in self.groups.leave(session) {
            self.notify_members(&group, effects);
        }
    }

    /// Does what a request asks for.
    pub(crate) fn handle(
        &mut self,
        now: Millis,
        session: SessionId,
        request: Request,
        effects: &mut Effects,
    ) {
        let caller = Caller { session, opaque: request.opaque, oneway: request.oneway };
        if matches!(request.incoming, Ok(Incoming::Heartbeat(_))) {
            self.peers.greet(now, session, request.language, request.version);
        }
        match request.incoming {
            Ok(incoming) => self.dispatch(now, caller, incoming, effects),
            Err(error) => effects.answer::<Empty>(caller, Err(error.into())),
        }
    }

    /// Stores what was sent: what [`handle`](Self::handle) does for most requests that there are,
    /// without a copy of their texts.
    pub(crate) fn handle_send(
        &mut self,
        now: Millis,
        session: SessionId,
        send: &ReceivedSend<'_>,
        effects: &mut Effects,
    ) {
        let caller = Caller { session, opaque: send.opaque, oneway: send.oneway };
        self.store(now, caller, &send.message, effects);
    }

    fn store(&mut self, now: Millis, caller: Caller, message: &SendMessage<'_>, out: &mut Effects) {
        let result = self.send(now, caller.session, message, &mut out.commit);
        out.stored_after_commit(caller, result);
    }

    /// A client has answered what it was asked: whether it has a reply, or what it is doing.
    pub(crate) fn answered(&mut self, session: SessionId, answer: Answer, effects: &mut Effects) {
        if let Some(pushed) = self.replies.answered(session, answer.opaque) {
            self.end_pushed(pushed, Some(answer), effects);
        }
    }

    /// Does what is due: messages that are delivered later, half messages that producers are asked
    /// about, what has waited long enough, offsets to be kept.
    pub(crate) fn tick(&mut self, now: Millis, effects: &mut Effects) {
        self.begun.get_or_insert(now);
        self.look_after_store(now);
        self.deliver_due(now, now, &mut effects.commit);
        self.deliver_timers(now, now, &mut effects.commit);
        self.ask_about_halves(now, effects);
        self.answer_expired(now, effects);
        self.end_expired_replies(now, effects);
        self.end_watchers(now);
        if self.offsets_due.is_some_and(|due| due <= now) {
            self.keep_offsets(&mut effects.commit);
        }
    }

    /// Delivers some of the messages that wait for their time, whenever that is.
    pub(crate) fn deliver_all(&mut self, now: Millis, commit: &mut Commit) {
        self.deliver_due(now, Millis::MAX, commit);
        self.deliver_timers(now, Millis::MAX, commit);
    }

    /// Takes all messages away, also those that wait. No offset is given again.
    pub(crate) fn clear(&mut self, commit: &mut Commit) {
        for offset in self.timers.take_all() {
            commit.forget(Fact::timer_key(offset));
        }
        for offset in self.halves.take_all() {
            commit.forget(Fact::half_key(offset));
        }
        self.skip_deliveries(commit);
        for config in self.topics.begin_at_ends() {
            commit.put(Fact::Topic(config));
        }
    }

    /// Puts the consumer groups' offsets into a commit.
    pub(crate) fn keep_offsets(&mut self, commit: &mut Commit) {
        self.offsets_due = None;
        for fact in self.groups.take_dirty_offsets() {
            commit.put(fact);
        }
    }

    /// When [`tick`](Self::tick) has something to do.
    pub(crate) fn next_wake(&self) -> Option<Millis> {
        // Queries go on in every turn.
        let query = (!self.queries.is_empty()).then_some(0);
        let (parked, replies) = (self.parked.earliest(), self.replies.earliest());
        let watchers = self.watchers.earliest();
        let waiting = [query, parked, replies, watchers, self.offsets_due, self.store_wakes()];
        // What is due comes to nothing while nothing is stored, so no wake-up is set for it.
        let deliveries = match self.check_store() {
            Ok(()) => [
                self.schedule.earliest(),
                self.timers.earliest(),
                self.halves.earliest(&self.producers),
            ],
            Err(_) => [None; 3],
        };
        waiting.into_iter().chain(deliveries).flatten().min()
    }

    /// Ends a turn: keeps what is to be kept, lets the answers go, wakes the pulls that waited for
    /// the new messages, and reads on for queries.
    pub(crate) fn settle(&mut self, now: Millis, effects: &mut Effects) {
        self.keep(now, effects);
        self.register_topics();
        self.read_on(effects);
        self.read_for_pulls = 0;
    }

    fn keep(&mut self, now: Millis, effects: &mut Effects) {
        if self.offsets_due.is_none() && self.groups.has_dirty_offsets() {
            self.offsets_due = Some(now + OFFSETS_KEPT_AFTER_MS);
        }
        let commit = std::mem::take(&mut effects.commit);
        if commit.is_empty() {
            effects.kept();
            return;
        }
        if let Err(refusal) = self.check_working() {
            // Only offsets and topics get here; messages have been refused.
            effects.lost(&refusal);
            return;
        }
        let (queues, messages) = (commit.queues(), commit.messages());
        match self.store.commit(commit) {
            Ok(()) => {
                self.stored += messages;
                effects.kept();
                self.show(now, &queues, effects);
            }
            Err(error) => {
                let refusal = self.refusal_after(error, &queues);
                effects.lost(&refusal);
                for pushed in self.replies.forget_all() {
                    effects.answer::<Empty>(pushed.caller, Err(refusal.clone()));
                }
            }
        }
    }

    /// Lets consumers see what has been committed.
    fn show(&mut self, now: Millis, queues: &[QueueKey], effects: &mut Effects) {
        for queue in queues {
            if let Some(ends) = self.topics.ends_mut(*queue) {
                ends.committed = ends.next;
            }
            self.wake_pulls(now, *queue, effects);
        }
        let schedule = self.topics.get(SCHEDULE_TOPIC).map(|topic| topic.config.number);
        if queues.iter().any(|queue| Some(queue.topic) == schedule) {
            self.plan_deliveries();
        }
        self.tell_watchers();
    }

    /// Whether anything can be kept.
    pub(crate) fn check_working(&self) -> Result<(), Refusal> {
        match self.failure {
            Some(_) => Err(self.store_failure()),
            None if self.must_restore => Err(disk_full()),
            None => Ok(()),
        }
    }

    /// Whether messages are taken.
    pub(crate) fn check_store(&self) -> Result<(), Refusal> {
        self.check_working()?;
        match self.store.full() {
            None => Ok(()),
            Some(Full::Disk) => Err(disk_full()),
            Some(Full::Limit) => Err(Refusal::unavailable(
                "the data limit is reached; raise it, have the oldest messages dropped (--when-full drop), \
                 or start with an empty data folder",
            )),
        }
    }

    fn store_failure(&self) -> Refusal {
        let why = self.failure.as_deref().unwrap_or_default();
        Refusal::unavailable(format!(
            "storing has failed before ({why}); nothing is stored until the broker is restarted"
        ))
    }

    /// Appends a message to a queue. Its place is filled in; the rest is the caller's.
    pub(crate) fn append(
        &mut self,
        queue: QueueKey,
        message: &mut StoredMessage,
        commit: &mut Commit,
    ) -> Result<(), Refusal> {
        let ends = self.topics.ends_mut(queue).filter(|ends| ends.next < MAX_OFFSET);
        let Some(ends) = ends else {
            return Err(Refusal::unavailable("the queue has no room for another message"));
        };
        message.queue_id = i32::from(queue.queue);
        message.queue_offset = ends.next as i64;
        message.physical_offset = queue.physical(ends.next) as i64;
        ends.next += 1;
        commit.append(queue, message);
        self.topics.count(queue, message.stored_at_ms);
        self.put_meter.record(message.stored_at_ms, 1);
        self.put_bytes += message.record_length() as u64;
        Ok(())
    }

    /// A message that consumers see.
    pub(crate) fn record(
        &self,
        queue: QueueKey,
        offset: u64,
    ) -> Result<Option<Record>, StoreError> {
        if offset >= self.topics.ends(queue).committed || offset < self.topics.base(queue) {
            return Ok(None);
        }
        let block = self.store.block(queue, offset)?;
        Ok(block.and_then(|block| block.records_from(offset).next()))
    }

    /// Offset of the oldest message of a queue; the end when there is none.
    pub(crate) fn first_offset(&self, queue: QueueKey) -> u64 {
        self.store.first_offset(queue).max(self.topics.base(queue))
    }

    /// How many messages have been stored since the start.
    pub(crate) fn stored(&self) -> u64 {
        self.stored
    }
}

fn disk_full() -> Refusal {
    Refusal::unavailable("the disk is full; messages are taken again as soon as it has room")
}

#[cfg(test)]
mod tests;
