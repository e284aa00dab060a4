//! The thread that owns the engine. It takes what has arrived, turn by turn: handle everything,
//! commit once, deliver the answers.
//!
//! It is a separate thread, because a commit to disk takes a while, and it serves both stores: with
//! one owner there is nothing to lock.

mod held;
mod interference;
mod pause;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use posthaste_protocol::frame::MAX_FRAME;
use posthaste_protocol::{Command, DecodeError, Frame, Incoming, SendReader};
use rustc_hash::FxHashMap;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use self::held::Held;
use self::interference::{Course, Interference};
use self::pause::Pause;
use crate::engine::effects::{Caller, Effects};
use crate::engine::refusal::Refusal;
use crate::engine::{Engine, Millis, SessionId};
use crate::fault::{Asked, FaultRules};
use crate::outbox::{Breach, Outbox, Piece};
use crate::request::{self, Answer, Request};

/// The time of day is looked at anew after this long at the latest.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Up to this many bytes are written by the engine's thread itself when all are for one session.
const WRITTEN_AT_ONCE: usize = 256 * 1024;

/// A question of this process to the engine, asked in a turn of its thread.
pub(crate) type Question = Box<dyn FnOnce(&mut Engine, Millis, &mut Effects) + Send>;

/// An event that arrives at the engine's thread.
pub(crate) enum Event {
    /// A client has connected.
    Opened { session: SessionId, peer: SocketAddr, port: u16, outbox: Arc<Outbox> },
    /// Whole frames of one session, in the order of their arrival.
    Frames { session: SessionId, frames: Bytes, permits: Permits },
    /// A client is gone.
    Closed(SessionId),
    /// Someone in this process asks something.
    Asked(Question),
    /// A pause begins or ends; tells when it has.
    Pause(bool, oneshot::Sender<()>),
    /// No more turns; tells when everything is kept.
    Stop(oneshot::Sender<()>),
}

/// Room that frames take up until they are done.
pub(crate) struct Permits {
    /// One of the connection's runs of frames.
    pub(crate) _own: OwnedSemaphorePermit,
    /// One of all runs.
    pub(crate) _all: OwnedSemaphorePermit,
    /// For the bytes of a long frame.
    pub(crate) _long_frame: Option<OwnedSemaphorePermit>,
}

/// Figures that others may look at.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Messages stored since the start.
    pub(crate) messages: AtomicU64,
    /// Messages dropped since the start to make room for others.
    pub(crate) dropped: AtomicU64,
    /// Topics, the system's among them.
    pub(crate) topics: AtomicU64,
    /// Connections.
    pub(crate) connections: AtomicU64,
}

/// A connection, as the engine's thread knows it.
struct Client {
    outbox: Arc<Outbox>,
    sends: SendReader,
    /// The port at which it has connected.
    port: u16,
}

/// The engine and the connections that it answers.
pub(crate) struct EngineLoop {
    engine: Engine,
    clock: Clock,
    events: Receiver<Event>,
    clients: FxHashMap<SessionId, Client>,
    counters: Arc<Counters>,
    pause: Pause,
    /// Empty between turns, but in a pause; kept for the room that it has.
    effects: Effects,
    interference: Interference,
}

impl EngineLoop {
    pub(crate) fn new(
        engine: Engine,
        events: Receiver<Event>,
        counters: Arc<Counters>,
        rules: Arc<FaultRules>,
    ) -> Self {
        let engine_loop = Self {
            engine,
            clock: Clock::start(),
            events,
            clients: FxHashMap::default(),
            counters,
            pause: Pause::default(),
            effects: Effects::default(),
            interference: Interference::of(rules),
        };
        engine_loop.count();
        engine_loop
    }

    /// Takes turns until a handle stops it, or no handle is left.
    pub(crate) fn run(mut self) {
        let mut stop = None;
        while stop.is_none() {
            let first = match self.wait() {
                Ok(event) => Some(event),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            stop = self.turn(first);
        }
        self.finish();
        // The data folder is free before any caller hears of the end.
        drop(self);
        if let Some(stopped) = stop {
            let _ = stopped.send(());
        }
    }

    /// The next event, or that something is due before one has come.
    fn wait(&mut self) -> Result<Event, RecvTimeoutError> {
        if let Some(event) = self.pause.release() {
            return Ok(event);
        }
        let due = match self.pause.is_on {
            false => {
                let wakes = [self.engine.next_wake(), self.interference.held.earliest()];
                wakes.into_iter().flatten().min()
            }
            true => self.engine.watchers_wake(),
        };
        match due {
            None => self.events.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(due) => self.events.recv_timeout(wait_for(due, self.clock.now())),
        }
    }

    /// One turn; gives back the caller that wants to know that it was the last.
    pub(crate) fn turn(&mut self, first: Option<Event>) -> Option<oneshot::Sender<()>> {
        let now = self.clock.now();
        let mut effects = std::mem::take(&mut self.effects);
        let mut stop = None;
        let mut done = Vec::new();
        let mut next = first;
        let mut requests = 0;
        match self.pause.is_on {
            false => {
                self.engine.tick(now, &mut effects);
                self.go_on(now, &mut effects);
            }
            true => self.engine.end_watchers(now),
        }
        while let Some(event) = next {
            let Some(event) = self.pause.hold(event) else {
                next = self.next_event();
                continue;
            };
            match event {
                Event::Frames { session, frames, permits } => {
                    requests += self.handle(now, session, frames, &mut effects);
                    done.push(permits);
                }
                Event::Opened { session, peer, port, outbox } => {
                    self.engine.open(now, session, peer);
                    let sends = SendReader::default();
                    self.clients.insert(session, Client { outbox, sends, port });
                }
                Event::Closed(session) => {
                    self.engine.close(session, &mut effects);
                    self.interference.forget(session);
                    self.clients.remove(&session);
                }
                Event::Asked(question) => {
                    question(&mut self.engine, now, &mut effects);
                    // It may have taken a while: clients get their answers first.
                    break;
                }
                Event::Pause(is_on, begun) => {
                    self.pause.is_on = is_on;
                    let _ = begun.send(());
                    break;
                }
                Event::Stop(stopped) => {
                    stop = Some(stopped);
                    break;
                }
            }
            let is_long = requests >= self.engine.store.requests_per_turn()
                || effects.commit.length() >= self.engine.store.bytes_per_turn();
            next = if is_long { None } else { self.next_event() };
        }
        self.engine.settle(now, &mut effects);
        // First the figures: a client that has its answer finds it counted.
        self.count();
        if !self.pause.is_on {
            self.deliver(now, &mut effects);
        }
        self.effects = effects;
        stop
    }

    /// The next event: one that was held up, or one that has arrived.
    fn next_event(&mut self) -> Option<Event> {
        self.pause.release().or_else(|| self.events.try_recv().ok())
    }

    /// Handles the frames of a session; says how many there were.
    fn handle(
        &mut self,
        now: Millis,
        session: SessionId,
        mut frames: Bytes,
        effects: &mut Effects,
    ) -> usize {
        let mut count = 0;
        loop {
            match self.handle_next(now, session, &mut frames, effects) {
                Ok(true) => count += 1,
                Ok(false) => return count,
                Err(error) => {
                    if let Some(client) = self.clients.get(&session) {
                        client.outbox.break_off(Breach::Decode(error));
                    }
                    return count;
                }
            }
        }
    }

    /// Handles the first frame; `false` when there is none.
    fn handle_next(
        &mut self,
        now: Millis,
        session: SessionId,
        frames: &mut Bytes,
        effects: &mut Effects,
    ) -> Result<bool, DecodeError> {
        let Some(frame) = Frame::take_of_run(frames, MAX_FRAME)? else { return Ok(false) };
        match self.interference.is_off() {
            true => self.carry_out(now, session, frame, effects)?,
            false => self.ask_rules(now, session, frame, effects)?,
        }
        Ok(true)
    }

    fn carry_out(
        &mut self,
        now: Millis,
        session: SessionId,
        frame: Frame,
        effects: &mut Effects,
    ) -> Result<(), DecodeError> {
        let client = self.clients.get_mut(&session);
        if let Some(send) = client.and_then(|client| client.sends.peek(&frame)) {
            self.engine.handle_send(now, session, &send, effects);
            return Ok(());
        }
        let command = request::read(frame)?;
        match command.is_answer() {
            true => self.engine.answered(session, Answer::of(&command), effects),
            false => self.engine.handle(now, session, Request::of(&command), effects),
        }
        Ok(())
    }

    /// Carries a request out, unless a fault rule has it otherwise.
    fn ask_rules(
        &mut self,
        now: Millis,
        session: SessionId,
        frame: Frame,
        effects: &mut Effects,
    ) -> Result<(), DecodeError> {
        if self.interference.has_ended(session) {
            return Ok(());
        }
        let command = request::read(frame.clone())?;
        if command.is_answer() {
            return self.carry_out(now, session, frame, effects);
        }
        let caller = caller(session, &command);
        match self.course(now, caller, &command, effects) {
            Course::GoOn => self.carry_out(now, session, frame, effects)?,
            Course::Stop => {}
            Course::Later(due) => {
                let held = self.interference.held.hold(due, session, Held::Request(frame));
                if held.is_err() {
                    effects.refuse(caller, &Refusal::busy("fault rules hold too much back"));
                }
            }
        }
        Ok(())
    }

    fn course(
        &mut self,
        now: Millis,
        caller: Caller,
        command: &Command,
        effects: &mut Effects,
    ) -> Course {
        // The engine refuses a request that cannot be read, unless a rule for its code acts on it.
        let incoming = Incoming::read(command).ok();
        let id = self.engine.producers.id(caller.session);
        let code = command.request_code();
        let client = self.clients.get(&caller.session);
        let port = client.map_or(0, |client| client.port);
        let line = client.map(|client| client.outbox.faults());
        let asked = Asked::request(code, caller.oneway, port, id, incoming.as_ref());
        self.interference.before(now, caller, &asked, &self.engine, line, effects)
    }

    /// Goes on with requests and answers that fault rules have held back until now.
    fn go_on(&mut self, now: Millis, effects: &mut Effects) {
        while let Some((session, held)) = self.interference.held.next_due(now) {
            match held {
                Held::Answer(answer) => {
                    if let Some(client) = self.clients.get(&session) {
                        client.outbox.push(answer);
                    }
                }
                // It was read before.
                Held::Request(frame) => drop(self.carry_out(now, session, frame, effects)),
            }
        }
    }

    fn deliver(&mut self, now: Millis, effects: &mut Effects) {
        let mut ready = effects.take_ready();
        // Mostly no other session waits for this thread then; it never waits for the connection.
        let is_lone = ready.len() == 1;
        for (session, frames) in &mut ready {
            let Some(client) = self.clients.get(&session) else { continue };
            if !self.interference.is_idle() {
                for piece in self.interference.after(now, session, frames) {
                    client.outbox.push_piece(piece);
                }
                continue;
            }
            match is_lone && frames.len() <= WRITTEN_AT_ONCE {
                true => client.outbox.write(frames),
                false => client.outbox.push(frames),
            }
        }
        for (session, end) in self.interference.take_ends() {
            if let Some(client) = self.clients.get(&session) {
                client.outbox.push_piece(Piece::End(end));
            }
        }
    }

    /// Commits what is left, and lets the connections go.
    fn finish(&mut self) {
        let mut effects = Effects::default();
        self.engine.keep_offsets(&mut effects.commit);
        self.engine.settle(self.clock.now(), &mut effects);
        for client in self.clients.values() {
            client.outbox.finish();
        }
    }

    fn count(&self) {
        self.counters.messages.store(self.engine.stored(), Ordering::Relaxed);
        self.counters.dropped.store(self.engine.store.dropped(), Ordering::Relaxed);
        self.counters.topics.store(self.engine.topics.len() as u64, Ordering::Relaxed);
        self.counters.connections.store(self.clients.len() as u64, Ordering::Relaxed);
    }
}

fn caller(session: SessionId, command: &Command) -> Caller {
    Caller { session, opaque: command.opaque, oneway: command.is_oneway() }
}

/// How long to wait for what is due: it may be due sooner than it seems, as after a sleep.
fn wait_for(due: Millis, now: Millis) -> Duration {
    let wait = u64::try_from(due.saturating_sub(now)).unwrap_or(0);
    Duration::from_millis(wait).min(LONGEST_WAIT)
}

/// The time of day, which never goes back: neither do a queue's store times.
///
/// While a machine sleeps its steady clock may stand still, so the time of day is looked at again
/// and again. When that is set back, time goes on steadily from where it was.
struct Clock {
    known: Millis,
    known_at: Instant,
}

impl Clock {
    fn start() -> Self {
        Self { known: time_of_day(), known_at: Instant::now() }
    }

    fn now(&mut self) -> Millis {
        self.read(time_of_day(), Instant::now())
    }

    fn read(&mut self, time_of_day: Millis, steady: Instant) -> Millis {
        let passed = steady.saturating_duration_since(self.known_at);
        let now = self.known + passed.as_millis() as Millis;
        if time_of_day <= now {
            return now;
        }
        *self = Self { known: time_of_day, known_at: steady };
        time_of_day
    }
}

fn time_of_day() -> Millis {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as Millis
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::atomic::AtomicBool;
    use std::sync::mpsc;

    use bytes::BytesMut;
    use posthaste_protocol::command::put_request;
    use posthaste_protocol::request::{ConsumerGroup, Heartbeat, SendMessage};
    use tokio::sync::Semaphore;

    use super::*;
    use crate::engine::Identity;
    use crate::engine::halves::Timing;
    use crate::store::DiskStore;
    use crate::store::watched::Watched;

    fn engine(file: &Watched) -> Engine {
        let identity = Identity {
            cluster: "DefaultCluster".into(),
            broker: "dev".into(),
            address: "127.0.0.1:10911".into(),
            store_host: SocketAddr::from((Ipv4Addr::LOCALHOST, 10911)),
            auto_create_queues: Some(8),
        };
        let timing = Timing { first_ms: 6_000, again_ms: 30_000, most: 15 };
        let store = DiskStore::with_backend(file.clone(), u64::MAX).expect("open");
        let mut engine = Engine::new(identity, timing, Box::new(store), 1).expect("engine");
        engine.create_topics(&[]).expect("topics");
        engine
    }

    fn frames<R: posthaste_protocol::Request>(session: SessionId, request: &R) -> Event {
        let mut frames = BytesMut::new();
        put_request(&mut frames, 1, false, request);
        Event::Frames { session, frames: frames.freeze(), permits: permits() }
    }

    fn send(session: SessionId) -> Event {
        let message = SendMessage {
            topic: "orders".into(),
            default_topic: "TBW102".into(),
            default_topic_queues: 4,
            body: "x".into(),
            ..SendMessage::default()
        };
        frames(session, &message)
    }

    fn permits() -> Permits {
        let permit = || Arc::new(Semaphore::new(1)).try_acquire_owned().expect("permit");
        Permits { _own: permit(), _all: permit(), _long_frame: None }
    }

    #[test]
    fn an_answer_leaves_after_everything_is_synced() {
        let file = Watched::default();
        let (_events, receiver) = mpsc::channel();
        let mut engine_loop =
            EngineLoop::new(engine(&file), receiver, Arc::default(), Arc::default());
        let (session, outbox) = (SessionId(1), Arc::new(Outbox::default()));
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 50_000));
        engine_loop.turn(Some(Event::Opened {
            session,
            peer,
            port: 0,
            outbox: Arc::clone(&outbox),
        }));

        let early = Arc::new(AtomicBool::new(false));
        let (look, seen) = (Arc::clone(&outbox), Arc::clone(&early));
        file.on_sync(move || seen.store(look.has_waiting(), Ordering::SeqCst));
        let before = file.syncs();
        engine_loop.turn(Some(send(session)));
        assert!(outbox.has_waiting(), "no answer");
        assert!(file.syncs() > before, "nothing was synced");
        assert!(!file.is_dirty(), "something was written and not synced");
        assert!(!early.load(Ordering::SeqCst), "the answer left before the sync");
    }

    #[test]
    fn after_a_sleep_it_is_as_late_as_the_time_of_day_says_and_time_never_goes_back() {
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        let mut clock = Clock { known: 1_000_000, known_at: begin };
        for (what, time_of_day, steady, expected) in [
            ("awake", 1_000_050, at(50), 1_000_050),
            ("an hour of sleep", 4_600_060, at(60), 4_600_060),
            ("set back", 1_000_000, at(70), 4_600_070),
            ("still back", 1_000_500, at(570), 4_600_570),
            ("less than a millisecond, often", 1_000_500, at(570), 4_600_570),
            ("set right again", 4_601_000, at(580), 4_601_000),
            ("the steady clock too", 4_600_000, at(0), 4_601_000),
        ] {
            assert_eq!(clock.read(time_of_day, steady), expected, "{what}");
        }
        // Turns may be shorter than a millisecond.
        let short = |n: u64| begin + Duration::from_millis(580) + Duration::from_micros(n * 100);
        let last = (1..=100).map(|n| clock.read(0, short(n))).last();
        assert_eq!(last, Some(4_601_010));
    }

    #[test]
    fn the_time_is_looked_at_once_a_second_while_something_is_to_come() {
        for (due, now, wait) in [
            (5_000, 5_000, 0),
            (5_999, 5_000, 999),
            (90_000, 5_000, 1_000),
            (0, 5_000, 0),
            (Millis::MAX, -1, 1_000),
            (Millis::MIN, 1, 0),
        ] {
            assert_eq!(wait_for(due, now), Duration::from_millis(wait), "{due} {now}");
        }
    }

    #[test]
    fn what_is_not_kept_yet_is_kept_at_the_end() {
        let file = Watched::default();
        let (events, receiver) = mpsc::channel();
        let engine_loop = EngineLoop::new(engine(&file), receiver, Arc::default(), Arc::default());
        let (session, outbox) = (SessionId(1), Arc::new(Outbox::default()));
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 50_000));
        events.send(Event::Opened { session, peer, port: 0, outbox }).expect("running");
        events.send(send(session)).expect("running");
        let group = ConsumerGroup { group_name: "readers".into(), ..ConsumerGroup::default() };
        let heartbeat = Heartbeat { consumers: vec![group], ..Heartbeat::default() };
        events.send(frames(session, &heartbeat)).expect("running");
        let update = posthaste_protocol::request::UpdateConsumerOffset {
            group: "readers".into(),
            topic: "orders".into(),
            offset: 1,
            ..Default::default()
        };
        events.send(frames(session, &update)).expect("running");
        let (stop, mut stopped) = oneshot::channel();
        events.send(Event::Stop(stop)).expect("running");
        engine_loop.run();
        stopped.try_recv().expect("told that it has stopped");

        let engine = engine(&file);
        let group = engine.groups.get("readers").expect("the group");
        assert_eq!(group.offset("orders", 0), Some(1));
    }
}
