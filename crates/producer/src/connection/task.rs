//! The task that owns a connection: hops 4 to 6 of a send.
//!
//! It takes orders, lets messages leave when the window has room, writes many requests at once,
//! reads answers and says what became of each message. Nobody else touches the socket, the outbox,
//! the window or the table of pending requests, so none of them needs a lock.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use posthaste_protocol::frame::MAX_FRAME;
use posthaste_protocol::request::{Empty, Heartbeat, ProducerGroup, UnregisterClient};
use posthaste_protocol::{Command, Frame, RequestCode, ResponseCode, command};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

use super::pending::{Asker, Pending, Sent};
use super::{Call, CallError, Load, Order, Peer, dial};
use crate::accepted::{Accepted, Mode};
use crate::answer::Remedy;
use crate::attempt::{self, Form};
use crate::client::Client;
use crate::deliver::AttemptFailed;
use crate::outbox::{Outbox, Waiting};
use crate::pause::Pause;
use crate::retry::Ended;
use crate::window::Window;
use crate::{ErrorKind, Outcome};

/// No more requests are encoded while so much is not written: encoded copies count as memory too.
const WRITE_BUFFER: usize = 256 * 1024;
const READ_BUFFER: usize = 16 * 1024;
/// Orders taken before the socket is looked at again.
const ORDERS_AT_ONCE: usize = 1024;
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(30);
/// A peer that owes an answer and says nothing at all for so long is taken for dead.
const SILENCE: Duration = Duration::from_secs(8);
/// What is due is looked for in steps of this, not one by one.
const TIMER_STEP: Duration = Duration::from_millis(5);
/// One in so many one-way messages goes as an ordinary request.
const ONEWAYS_PER_PROBE: usize = 64;
const LONGEST_BACKOFF: Duration = Duration::from_secs(1);
/// How long an unregister and the last bytes may take.
const GOODBYE: Duration = Duration::from_millis(500);

pub(super) struct Task {
    client: Arc<Client>,
    address: Arc<str>,
    peer: Peer,
    load: Arc<Load>,
    orders: mpsc::UnboundedReceiver<Order>,
    /// All handles are gone: finish what is there, then end.
    orders_ended: bool,
    leaving: Option<oneshot::Sender<()>>,
    outbox: Outbox,
    calls: VecDeque<Call>,
    window: Window,
    pause: Pause,
    pending: Pending,
    link: Link,
    /// Connects that failed, or connections that brought nothing, in a row.
    failures: u32,
    /// The broker does not know the newer form of a send.
    v1: bool,
    /// The server is about to stop: nothing new is sent on this connection.
    draining: bool,
    scratch: String,
}

/// What belongs to one TCP connection.
struct Link {
    out: BytesMut,
    input: BytesMut,
    /// Bytes written since it was made.
    written: u64,
    last_read: Instant,
    heartbeat_at: Instant,
    /// Whether anything of use has been read.
    fruitful: bool,
    /// One-way messages that are not written yet, with the place at which each ends.
    oneways: VecDeque<(u64, Waiting, i32)>,
    /// One-way messages since the last probe.
    since_probe: usize,
    /// One-way messages written that no answered probe speaks for.
    unconfirmed: usize,
    /// Nothing more may be written: part of what should have been has been thrown away.
    cut: bool,
}

impl Link {
    fn new(now: Instant) -> Self {
        Self {
            out: BytesMut::new(),
            input: BytesMut::new(),
            written: 0,
            last_read: now,
            heartbeat_at: now,
            fruitful: false,
            oneways: VecDeque::new(),
            since_probe: 0,
            unconfirmed: 0,
            cut: false,
        }
    }

    /// Place of the next byte among all that the connection writes.
    fn position(&self) -> u64 {
        self.written + self.out.len() as u64
    }
}

impl Task {
    pub(super) fn new(
        client: Arc<Client>,
        address: Arc<str>,
        peer: Peer,
        load: Arc<Load>,
        orders: mpsc::UnboundedReceiver<Order>,
    ) -> Self {
        let window = Window::new(client.config().max_window);
        load.window.store(window.limit(), Ordering::Relaxed);
        Self {
            client,
            address,
            peer,
            load,
            orders,
            orders_ended: false,
            leaving: None,
            outbox: Outbox::default(),
            calls: VecDeque::new(),
            window,
            pause: Pause::default(),
            pending: Pending::default(),
            link: Link::new(Instant::now()),
            failures: 0,
            v1: false,
            draining: false,
            scratch: String::new(),
        }
    }

    pub(super) async fn run(mut self) {
        while self.wait_for_work().await {
            match self.dial().await {
                Some(Ok(stream)) => self.use_connection(stream).await,
                Some(Err(error)) => self.unreachable(&error.to_string()),
                None => break,
            }
            if self.failures > 0 && !self.is_over() {
                let backoff = Duration::from_millis(50) * 2u32.saturating_pow(self.failures.min(5));
                let backoff = backoff.min(LONGEST_BACKOFF).mul_f64(0.75 + fastrand::f64() / 4.0);
                self.meanwhile(tokio::time::sleep(backoff)).await;
            }
        }
        if let Some(left) = self.leaving.take() {
            let _ = left.send(());
        }
    }

    /// Waits until there is something to connect for; `false` when there never will be.
    async fn wait_for_work(&mut self) -> bool {
        loop {
            if self.is_over() {
                return false;
            }
            if !self.outbox.is_empty() || !self.calls.is_empty() {
                return true;
            }
            match self.orders.recv().await {
                Some(order) => self.take_order(order),
                None => self.orders_ended = true,
            }
        }
    }

    /// Whether nothing is left to do here: told to leave, which comes when every message has
    /// ended, or without anybody who could still want something.
    fn is_over(&self) -> bool {
        let idle = self.outbox.is_empty() && self.calls.is_empty() && self.pending.is_empty();
        self.leaving.is_some() || (self.orders_ended && idle)
    }

    async fn dial(&mut self) -> Option<std::io::Result<TcpStream>> {
        tracing::debug!(address = %self.address, "connecting");
        let address = self.address.clone();
        let timeout = self.client.config().connect_timeout;
        self.meanwhile(dial::connect(&address, timeout)).await
    }

    /// Awaits something while orders are taken and what waits too long is ended. `None` when
    /// nothing is left to await it for.
    async fn meanwhile<F: Future>(&mut self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        loop {
            if self.is_over() {
                return None;
            }
            let due = self.outbox.earliest().map(|at| at.max(Instant::now() + TIMER_STEP));
            let due = due.unwrap_or_else(|| Instant::now() + HEARTBEAT_INTERVAL);
            tokio::select! {
                output = &mut future => return Some(output),
                order = self.orders.recv(), if !self.orders_ended => match order {
                    Some(order) => self.take_order(order),
                    None => self.orders_ended = true,
                },
                () = tokio::time::sleep_until(due.into()) => self.expire_waiting(Instant::now()),
            }
        }
    }

    fn take_order(&mut self, order: Order) {
        match order {
            Order::Send(waiting) => self.outbox.push(waiting),
            Order::Call(call) => self.calls.push_back(call),
            Order::Sweep => {
                let swept = self.outbox.sweep();
                self.done_with(swept);
            }
            Order::Abandon => self.abandon("closing ran out of time"),
            Order::Leave(left) => self.leaving = Some(left),
        }
    }

    // ---- one connection ----

    async fn use_connection(&mut self, mut stream: TcpStream) {
        tracing::debug!(address = %self.address, "connected");
        self.load.connected();
        self.link = Link::new(Instant::now());
        let reason = self.serve(&mut stream).await;
        if self.leaving.is_some() || self.link.cut {
            self.say_goodbye(stream).await;
        }
        self.load.connected.store(false, Ordering::Relaxed);
        self.draining = false;
        self.failures = if self.link.fruitful { 0 } else { self.failures + 1 };
        self.lost(&reason);
    }

    /// Serves the connection until it ends; says why it did.
    async fn serve(&mut self, stream: &mut TcpStream) -> String {
        let (mut reader, mut writer) = stream.split();
        let mut timer = pin!(tokio::time::sleep_until(Instant::now().into()));
        loop {
            self.take_queued_orders();
            self.fill(Instant::now());
            if self.is_over() || self.link.cut || (self.draining && self.pending.is_empty()) {
                return "closed".into();
            }
            let due = self.next_due().into();
            if due < timer.deadline() {
                timer.as_mut().reset(due);
            }
            if self.link.input.capacity() - self.link.input.len() < READ_BUFFER / 4 {
                self.link.input.reserve(READ_BUFFER);
            }
            tokio::select! {
                order = self.orders.recv(), if !self.orders_ended => match order {
                    Some(order) => self.take_order(order),
                    None => self.orders_ended = true,
                },
                written = writer.write_buf(&mut self.link.out), if !self.link.out.is_empty() => {
                    match written {
                        Ok(length) => self.wrote(length),
                        Err(error) => return error.to_string(),
                    }
                }
                read = reader.read_buf(&mut self.link.input) => match read {
                    Ok(0) => return "the peer closed the connection".into(),
                    Ok(_) => if let Err(reason) = self.receive() {
                        return reason;
                    },
                    Err(error) => return error.to_string(),
                },
                () = &mut timer => {
                    if let Err(reason) = self.tick(Instant::now()) {
                        return reason;
                    }
                    let due = self.next_due();
                    timer.as_mut().reset(due.into());
                }
            }
        }
    }

    fn take_queued_orders(&mut self) {
        for _ in 0..ORDERS_AT_ONCE {
            match self.orders.try_recv() {
                Ok(order) => self.take_order(order),
                Err(_) => break,
            }
        }
    }

    /// Lets leave what may: calls at once, messages while the window has room.
    fn fill(&mut self, now: Instant) {
        while let Some(call) = self.calls.pop_front() {
            self.put_call(call, now);
        }
        while self.has_room(now) {
            let Some(waiting) = self.outbox.next() else { break };
            self.put_message(waiting, now);
        }
        self.load.in_flight.store(self.pending.places(), Ordering::Relaxed);
        self.load.window.store(self.window.limit(), Ordering::Relaxed);
    }

    fn has_room(&self, now: Instant) -> bool {
        let limit = self.window.limit();
        self.pending.places() < limit
            && self.link.out.len() < WRITE_BUFFER
            && self.link.unconfirmed < limit * ONEWAYS_PER_PROBE
            && !self.draining
            && self.pause.until(now).is_none()
    }

    fn put_call(&mut self, call: Call, now: Instant) {
        let Call { mut command, answer } = call;
        if !answer.is_closed() {
            // How long to wait is the caller's matter; the entry only must not stay for ever.
            let forget_at = now + 4 * SILENCE;
            command.opaque = self.pending.next_opaque();
            self.pending.insert(command.opaque, Asker::Call(answer), now, forget_at, forget_at);
            command.encode(&mut self.link.out);
        }
    }

    /// Hop 5: the message goes into the write buffer, and its waiter into the table.
    fn put_message(&mut self, waiting: Waiting, now: Instant) {
        let accepted = waiting.accepted.clone();
        let queue = waiting.target.next_queue();
        let oneway = accepted.mode == Mode::Oneway;
        let probe = oneway
            && !self.client.config().oneway_unlimited
            && self.link.since_probe + 1 >= ONEWAYS_PER_PROBE;
        let form =
            Form { opaque: self.pending.next_opaque(), oneway: oneway && !probe, v1: self.v1 };
        let starts_at = self.link.position();
        let broker = waiting.target.broker_name().clone();
        let left = accepted.leave(|message| {
            let (out, scratch) = (&mut self.link.out, &mut self.scratch);
            let to = (&*broker, queue);
            attempt::put_request(out, scratch, self.client.config(), &accepted, message, to, form);
        });
        if left.is_none() {
            // Its caller took it back.
            return self.done_with(1);
        }
        if oneway {
            return self.remember_oneway(waiting, queue, probe.then_some(form.opaque), now);
        }
        let until = waiting.until;
        // A timed-out request keeps its place in the window for as long again: the broker may
        // still be working on it.
        let forget_at = until + until.saturating_duration_since(waiting.since);
        let sent = Sent { waiting, queue, starts_at, given_up: false, v1: form.v1 };
        self.pending.insert(form.opaque, Asker::Message(sent), now, until, forget_at);
    }

    fn remember_oneway(&mut self, waiting: Waiting, queue: i32, probe: Option<i32>, now: Instant) {
        let link = &mut self.link;
        link.since_probe += 1;
        if !self.client.config().oneway_unlimited {
            link.unconfirmed += 1;
        }
        if let Some(opaque) = probe {
            let confirms = std::mem::take(&mut link.since_probe);
            let forget_at = now + SILENCE;
            self.pending.insert(opaque, Asker::Probe { confirms }, now, forget_at, forget_at);
        }
        link.oneways.push_back((link.position(), waiting, queue));
    }

    /// Hop 6 is done for the first `length` bytes of the write buffer.
    fn wrote(&mut self, length: usize) {
        self.link.written += length as u64;
        while self.link.oneways.front().is_some_and(|(end, ..)| *end <= self.link.written) {
            let Some((_, waiting, _)) = self.link.oneways.pop_front() else { break };
            self.client.written(&waiting.accepted);
            self.done_with(1);
        }
    }

    // ---- what comes back ----

    fn receive(&mut self) -> Result<(), String> {
        let now = Instant::now();
        self.link.last_read = now;
        while let Some(frame) =
            Frame::take(&mut self.link.input, MAX_FRAME).map_err(|e| e.to_string())?
        {
            let command = Command::decode(frame).map_err(|e| e.to_string())?;
            if command.is_answer() {
                self.take_answer(command, now);
            } else {
                self.answer_peer(&command);
            }
            self.link.fruitful = true;
        }
        Ok(())
    }

    fn take_answer(&mut self, answer: Command, now: Instant) {
        let in_flight = self.pending.places();
        let Some((asker, sent_at)) = self.pending.take(answer.opaque) else {
            tracing::debug!(address = %self.address, opaque = answer.opaque, "answer to no request");
            return;
        };
        let round_trip = now.saturating_duration_since(sent_at);
        match asker {
            // The caller may have stopped waiting.
            Asker::Call(caller) => drop(caller.send(Ok(answer))),
            Asker::Heartbeat => {}
            Asker::Probe { confirms } => {
                self.link.unconfirmed = self.link.unconfirmed.saturating_sub(confirms);
                match answer.response_code() {
                    ResponseCode::SYSTEM_BUSY | ResponseCode::FLOW_CONTROL => self.refused(now),
                    _ => self.window.answered(now, round_trip, in_flight),
                }
            }
            Asker::Message(sent) => {
                let broker = sent.waiting.target.broker_name();
                match attempt::receipt(&answer, &sent.waiting.accepted, broker) {
                    Ok(receipt) => {
                        self.window.answered(now, round_trip, in_flight);
                        self.pause.succeeded();
                        self.client.stored(&sent.waiting.accepted, receipt);
                        self.done_with(1);
                    }
                    Err(refusal) => self.take_refusal(sent, answer.response_code(), refusal, now),
                }
            }
        }
    }

    fn take_refusal(
        &mut self,
        sent: Sent,
        code: ResponseCode,
        refusal: attempt::Refusal,
        now: Instant,
    ) {
        if refusal.verdict.remedy == Remedy::WaitHere {
            self.refused(now);
            return self.put_back(sent);
        }
        if code == ResponseCode::REQUEST_CODE_NOT_SUPPORTED && !sent.v1 {
            self.v1 = true;
            return self.put_back(sent);
        }
        if code == ResponseCode::GO_AWAY {
            self.draining = true;
        }
        let verdict = refusal.verdict;
        let ended = Ended::Answered(verdict.remedy);
        if sent.given_up {
            return self.done_with(1);
        }
        self.attempt_failed(sent.waiting, Some(sent.queue), |failed| AttemptFailed {
            kind: verdict.kind,
            outcome: verdict.outcome,
            reason: refusal.reason,
            ended,
            refresh_route: verdict.refresh_route,
            ..failed
        });
    }

    /// A broker that refuses gets less, and nothing for a moment.
    fn refused(&mut self, now: Instant) {
        self.client.counters().busy.add_one();
        self.window.refused(now);
        self.pause.refused(now, fastrand::f64());
    }

    /// What was certainly not stored goes back to the head of its line.
    fn put_back(&mut self, sent: Sent) {
        if sent.given_up || sent.waiting.accepted.has_ended() {
            return self.done_with(1);
        }
        sent.waiting.accepted.back_in_line();
        self.outbox.push_front(sent.waiting);
    }

    /// A request from the peer. None is known yet that a producer has to fulfil.
    fn answer_peer(&mut self, request: &Command) {
        let code = request.request_code();
        tracing::debug!(address = %self.address, %code, "request from the peer");
        if !request.is_oneway() && code != RequestCode::CHECK_TRANSACTION_STATE {
            let remark = format!(" request type {} not supported", code.0);
            let not_supported = ResponseCode::REQUEST_CODE_NOT_SUPPORTED;
            let out = &mut self.link.out;
            command::put_answer(out, request.opaque, not_supported, Some(&remark), &Empty);
        }
    }

    // ---- time ----

    fn next_due(&self) -> Instant {
        let now = Instant::now();
        let soon = now + TIMER_STEP;
        let paused = self.pause.until(now).filter(|_| !self.outbox.is_empty());
        let silence = (!self.pending.is_empty()).then(|| now + SILENCE / 2);
        let ends = [self.outbox.earliest(), self.pending.earliest()];
        ends.into_iter()
            .flatten()
            .map(|at| at.max(soon))
            .chain(paused)
            .chain(silence)
            .fold(self.link.heartbeat_at.max(soon), Instant::min)
    }

    fn tick(&mut self, now: Instant) -> Result<(), String> {
        self.expire_waiting(now);
        self.expire_pending(now);
        let owed_since = self.pending.oldest().map(|oldest| oldest.max(self.link.last_read));
        if owed_since.is_some_and(|since| now.saturating_duration_since(since) > SILENCE) {
            return Err(format!("the peer owes an answer and was silent for {SILENCE:?}"));
        }
        if now >= self.link.heartbeat_at {
            self.heartbeat(now);
        }
        Ok(())
    }

    fn heartbeat(&mut self, now: Instant) {
        self.link.heartbeat_at = now + HEARTBEAT_INTERVAL;
        if self.peer == Peer::NameServer {
            return;
        }
        let heartbeat = Heartbeat {
            client_id: self.client.id().to_owned(),
            producers: vec![ProducerGroup { group_name: self.client.config().group.to_string() }],
            ..Heartbeat::default()
        };
        let opaque = self.pending.next_opaque();
        let forget_at = now + HEARTBEAT_INTERVAL;
        self.pending.insert(opaque, Asker::Heartbeat, now, forget_at, forget_at);
        command::put_request(&mut self.link.out, opaque, false, &heartbeat);
    }

    fn expire_waiting(&mut self, now: Instant) {
        let (kind, reason) = match self.load.connected.load(Ordering::Relaxed) {
            true => (ErrorKind::Busy, "no room in the broker's window in time"),
            false => (ErrorKind::Connect, "no connection in time"),
        };
        for waiting in self.outbox.expire(now) {
            self.attempt_failed(waiting, None, |failed| AttemptFailed {
                kind,
                reason: reason.into(),
                ..failed
            });
        }
    }

    fn expire_pending(&mut self, now: Instant) {
        let mut late = Vec::new();
        let forgotten = self.pending.expire(now, |sent| {
            let Waiting { accepted, target, since, until } = &sent.waiting;
            let (accepted, target) = (accepted.clone(), target.clone());
            let waiting = Waiting { accepted, target, since: *since, until: *until };
            late.push((waiting, sent.queue));
        });
        for (waiting, queue) in late {
            // It stays in the table, and in the backlog, until it is forgotten.
            self.load.backlog.fetch_add(1, Ordering::Relaxed);
            self.attempt_failed(waiting, Some(queue), |failed| AttemptFailed {
                kind: ErrorKind::Timeout,
                outcome: Outcome::Unknown,
                reason: "no answer in time".into(),
                ended: Ended::Unanswered,
                ..failed
            });
        }
        for asker in forgotten {
            match asker {
                Asker::Message(_) => self.done_with(1),
                Asker::Probe { confirms } => {
                    self.link.unconfirmed = self.link.unconfirmed.saturating_sub(confirms);
                }
                Asker::Call(_) | Asker::Heartbeat => {}
            }
        }
    }

    // ---- ends ----

    /// The address cannot be reached: what waits for it looks for another way.
    fn unreachable(&mut self, reason: &str) {
        tracing::debug!(address = %self.address, reason, "cannot connect");
        self.failures += 1;
        self.load.connect_failed();
        for call in self.calls.drain(..) {
            let error = CallError::Connect { address: self.address.clone(), reason: reason.into() };
            // The caller may have stopped waiting.
            let _ = call.answer.send(Err(error));
        }
        for waiting in self.outbox.drain() {
            self.attempt_failed(waiting, None, |failed| AttemptFailed {
                kind: ErrorKind::Connect,
                reason: reason.into(),
                refresh_route: true,
                ..failed
            });
        }
    }

    /// The connection is gone. What was in flight may have been stored, unless not a byte of it
    /// had been written; what waits goes on waiting for the next connection.
    fn lost(&mut self, reason: &str) {
        tracing::debug!(address = %self.address, reason, "connection ended");
        for asker in self.pending.drain() {
            match asker {
                Asker::Message(sent) => self.lost_message(sent, reason),
                Asker::Call(caller) => {
                    let (address, reason) = (self.address.clone(), reason.to_owned());
                    // The caller may have stopped waiting.
                    let _ = caller.send(Err(CallError::Lost { address, reason }));
                }
                Asker::Probe { .. } | Asker::Heartbeat => {}
            }
        }
        // A request that was cut short is no request: it was not stored.
        for (_, waiting, queue) in std::mem::take(&mut self.link.oneways) {
            self.attempt_failed(waiting, Some(queue), |failed| AttemptFailed {
                kind: ErrorKind::ConnectionLost,
                reason: reason.into(),
                refresh_route: true,
                ..failed
            });
        }
    }

    fn lost_message(&mut self, sent: Sent, reason: &str) {
        if sent.given_up {
            return self.done_with(1);
        }
        let (outcome, ended) = match sent.starts_at < self.link.written {
            true => (Outcome::Unknown, Ended::Unanswered),
            false => (Outcome::NotStored, Ended::Unsent),
        };
        self.attempt_failed(sent.waiting, Some(sent.queue), |failed| AttemptFailed {
            kind: ErrorKind::ConnectionLost,
            outcome,
            reason: reason.into(),
            ended,
            refresh_route: true,
            ..failed
        });
    }

    /// Closing has run out of time: every message ends now. What is not written yet ends as not
    /// stored, so it must not be written any more.
    fn abandon(&mut self, reason: &str) {
        if !self.link.out.is_empty() {
            self.link.out.clear();
            self.link.cut = true;
        }
        let waiting = self.outbox.drain().into_iter().map(|waiting| waiting.accepted);
        let mut all: Vec<Arc<Accepted>> = waiting.collect();
        self.done_with(all.len());
        for sent in self.pending.messages() {
            if sent.starts_at >= self.link.written {
                sent.waiting.accepted.back_in_line();
            }
            all.push(sent.waiting.accepted.clone());
        }
        let oneways = std::mem::take(&mut self.link.oneways);
        self.done_with(oneways.len());
        for (_, waiting, _) in oneways {
            // Not written, or cut short: not stored either way.
            waiting.accepted.back_in_line();
            all.push(waiting.accepted);
        }
        for accepted in all {
            self.client.fail(&accepted, ErrorKind::Closed, reason);
        }
    }

    /// Unregisters, then lets the peer read what was written before the socket goes.
    async fn say_goodbye(&mut self, mut stream: TcpStream) {
        if self.peer == Peer::Broker && !self.link.cut {
            let unregister = UnregisterClient {
                client_id: self.client.id().to_owned(),
                producer_group: Some(self.client.config().group.to_string()),
                consumer_group: None,
            };
            let opaque = self.pending.next_opaque();
            command::put_request(&mut self.link.out, opaque, false, &unregister);
        }
        let goodbye = async {
            stream.write_all_buf(&mut self.link.out).await?;
            stream.shutdown().await?;
            let mut rest = [0; 1024];
            while stream.read(&mut rest).await? > 0 {}
            std::io::Result::Ok(())
        };
        // Courtesy: the broker notices a closed connection anyway.
        let _ = tokio::time::timeout(GOODBYE, goodbye).await;
    }

    fn attempt_failed(
        &mut self,
        waiting: Waiting,
        queue: Option<i32>,
        how: impl FnOnce(AttemptFailed) -> AttemptFailed,
    ) {
        self.done_with(1);
        let failed = how(AttemptFailed::unsent(waiting.target, waiting.since, queue));
        self.client.attempt_failed(waiting.accepted, failed);
    }

    /// So many messages are no longer this connection's.
    fn done_with(&self, messages: usize) {
        self.load.backlog.fetch_sub(messages, Ordering::Relaxed);
    }
}

/// Whatever ends the task, such as the end of the runtime: no message is left behind.
impl Drop for Task {
    fn drop(&mut self) {
        self.orders.close();
        while let Ok(order) = self.orders.try_recv() {
            self.take_order(order);
        }
        self.abandon("the producer has ended");
    }
}
