//! The task that owns a connection: hops 4 to 6 of a send.
//!
//! It takes orders, lets messages leave when the window has room, writes many requests at once,
//! reads answers and says what became of each message. No other part touches the socket, the
//! outbox, the window or the table of pending requests, so they need no lock.

mod arriving;
mod ending;
mod leaving;
mod link;
mod retiring;
mod timing;

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::oneshot;

use self::link::Link;
use self::retiring::Retiring;
use super::dial::{NoConnection, Stream};
use super::mailbox::Mailbox;
use super::outgoing::Outgoing;
use super::pending::Pending;
use super::{Call, Load, Peer, TaskOrder, dial};
use crate::ErrorKind;
use crate::accepted::Accepted;
use crate::connection::attempt_failure::AttemptFailure;
use crate::connection::events::Events;
use crate::connection::hold::Hold;
use crate::connection::outbox::{self, LineId, OpenAttempt, Outbox};
use crate::connection::pause::Pause;
use crate::connection::refused_batch::UnbatchedTopics;
use crate::connection::window::Window;
use crate::ledger::Ledger;
use crate::ledger::good_ends::GoodEnds;
use crate::net::backoff::Backoff;
use crate::observers::meters::{BrokerMeters, GoodEnd};

const READ_BUFFER: usize = 16 * 1024;
/// How long nothing is looked for while nothing waits.
const IDLE: Duration = Duration::from_secs(30);
/// A peer that owes an answer and says nothing at all for so long is taken for dead.
const SILENCE: Duration = Duration::from_secs(8);
/// What is due is looked for in steps of this, not one by one.
const TIMER_STEP: Duration = Duration::from_millis(5);
/// Pauses after a connect failed, or a connection brought nothing.
const BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(100), longest: Duration::from_secs(1) };

pub(super) struct Task {
    ledger: Arc<Ledger>,
    events: Arc<dyn Events>,
    address: Arc<str>,
    peer: Peer,
    load: Arc<Load>,
    mailbox: Arc<Mailbox>,
    /// What was taken out of it and is not carried out yet.
    orders: VecDeque<TaskOrder>,
    /// All handles are gone: finish what is there, then end.
    orders_ended: bool,
    leaving: Option<oneshot::Sender<()>>,
    /// When the last connection has to be gone, while the producer closes.
    leave_by: Option<Instant>,
    outbox: Outbox,
    hold: Hold,
    unbatched_topics: UnbatchedTopics,
    calls: VecDeque<Call>,
    /// Whether to connect though nothing waits.
    greets: bool,
    window: Window,
    pause: Pause,
    pending: Pending,
    link: Link,
    /// Messages whose answer, or whose write, has come just now.
    stored: GoodEnds,
    written: GoodEnds,
    /// Messages of requests that were answered just now.
    answered_now: usize,
    /// Connects that failed, or connections that brought nothing, in a row.
    failures: u32,
    /// How the last connect failed, while there is no connection.
    no_connection: Option<NoConnection>,
    /// Wishes of messages that the broker was said to pass over.
    passed_over: Vec<&'static str>,
    /// The broker does not know the newer form of a send.
    v1: bool,
    /// Earlier connections whose servers go away, and how many there have been.
    retiring: Vec<Retiring>,
    retired: u64,
    scratch: String,
    meters: BrokerMeters,
}

impl Task {
    pub(super) fn new(
        ledger: Arc<Ledger>,
        events: Arc<dyn Events>,
        address: Arc<str>,
        peer: Peer,
        (mailbox, load): (Arc<Mailbox>, Arc<Load>),
    ) -> Self {
        let window = Window::new(ledger.config().max_window);
        let hold = Hold::new(ledger.config().linger, ledger.batch_bytes);
        let meters = match peer {
            Peer::Broker => ledger.meters().broker(&address),
            Peer::NameServer => BrokerMeters::none(),
        };
        load.window.store(window.limit(), Ordering::Relaxed);
        Self {
            ledger,
            events,
            address,
            peer,
            load,
            mailbox,
            orders: VecDeque::new(),
            orders_ended: false,
            leaving: None,
            leave_by: None,
            outbox: Outbox::default(),
            hold,
            unbatched_topics: UnbatchedTopics::default(),
            calls: VecDeque::new(),
            greets: false,
            window,
            pause: Pause::default(),
            pending: Pending::default(),
            link: Link::new(Instant::now()),
            stored: GoodEnds::new(GoodEnd::Acked),
            written: GoodEnds::new(GoodEnd::Oneway),
            answered_now: 0,
            failures: 0,
            no_connection: None,
            passed_over: Vec::new(),
            v1: false,
            retiring: Vec::new(),
            retired: 0,
            scratch: String::new(),
            meters,
        }
    }

    pub(super) async fn run(mut self) {
        while self.wait_for_work().await {
            match self.dial().await {
                Some(Ok(stream)) => self.use_connection(stream).await,
                Some(Err(error)) => self.unreachable(error),
                None => break,
            }
            if self.failures > 0 && !self.is_over() {
                let pause = BACKOFF.spread(self.failures);
                self.meanwhile(tokio::time::sleep(pause)).await;
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
            if !self.outbox.is_empty() || !self.calls.is_empty() || self.greets {
                return true;
            }
            self.mailbox.filled(1).await;
            self.take_orders();
        }
    }

    /// Whether nothing is left to do here: it was told to leave, which happens when every message
    /// has ended, or no handle is left that could still want something. Messages hold their
    /// connection, so one without handles owes nobody anything when the producer has ended.
    fn is_over(&self) -> bool {
        let idle = || {
            self.outbox.is_empty()
                && self.calls.is_empty()
                && self.pending.is_empty()
                && self.retiring.is_empty()
        };
        let is_nobodys = self.orders_ended && (self.ledger.stopped.is_cancelled() || idle());
        self.leaving.is_some() || is_nobodys
    }

    async fn dial(&mut self) -> Option<Result<Stream, NoConnection>> {
        tracing::debug!(address = %self.address, "connecting");
        self.greets = false;
        let (address, ledger) = (self.address.clone(), self.ledger.clone());
        self.meanwhile(dial::connect(&address, self.peer, ledger.config())).await
    }

    /// Awaits something while orders are taken and what waits too long is ended. `None` when
    /// nothing is left to await it for.
    async fn meanwhile<F: Future>(&mut self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        loop {
            if self.is_over() {
                return None;
            }
            self.show_load();
            let due = self.outbox.earliest().map(|at| at.max(Instant::now() + TIMER_STEP));
            let due = due.unwrap_or_else(|| Instant::now() + IDLE);
            tokio::select! {
                output = &mut future => return Some(output),
                () = self.mailbox.filled(1) => self.take_orders(),
                // The next round looks whether all is over.
                () = stopped(&self.ledger), if self.orders_ended => {}
                () = tokio::time::sleep_until(due.into()) => self.expire_waiting(Instant::now()),
            }
        }
    }

    /// Takes the orders that are there.
    fn take_orders(&mut self) {
        self.mailbox.take(&mut self.orders);
        while let Some(order) = self.orders.pop_front() {
            self.take_order(order);
        }
    }

    fn take_order(&mut self, order: TaskOrder) {
        match order {
            TaskOrder::Send(attempt) => self.put_in_line(attempt),
            TaskOrder::SendAll(group) => group.into_iter().for_each(|one| self.put_in_line(one)),
            TaskOrder::Call(call) => self.calls.push_back(*call),
            TaskOrder::Retired(number, event) => self.take_old_event(number, event),
            TaskOrder::Greet => self.greets = !self.load.connected.load(Ordering::Relaxed),
            TaskOrder::Sweep => {
                let swept = self.outbox.sweep();
                self.mailbox.done_with(swept);
            }
            // Whatever an order says, the outbox is looked at after it.
            TaskOrder::Look => {}
            TaskOrder::Abandon(leave_by) => {
                self.leave_by = Some(leave_by);
                self.abandon("closing ran out of time");
            }
            TaskOrder::Leave(left, leave_by) => {
                self.leave_by = Some(leave_by);
                self.leaving = Some(left);
            }
            TaskOrder::Unused => self.orders_ended = true,
        }
    }

    /// When no message is held back before it, it is held back anew.
    fn put_in_line(&mut self, attempt: OpenAttempt) {
        if self.outbox.holdable() == 0 {
            self.hold.clear();
        }
        self.outbox.push(attempt);
    }

    // ---- one connection ----

    async fn use_connection(&mut self, mut stream: Stream) {
        tracing::debug!(address = %self.address, "connected");
        self.load.connected();
        self.no_connection = None;
        self.link = Link::new(Instant::now());
        #[cfg(feature = "tls")]
        if let Stream::Tls(_) = &stream {
            self.link.out = Outgoing::copying();
        }
        // Before any message: a broker that does not know this client cannot push a reply to it.
        self.heartbeat(Instant::now());
        let reason = match &mut stream {
            Stream::Plain(stream) => {
                let (reader, writer) = stream.split();
                self.serve(reader, writer, false).await
            }
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => {
                let (reader, writer) = tokio::io::split(stream);
                self.serve(reader, writer, true).await
            }
        };
        if self.link.goes_away && self.leaving.is_none() && !self.link.cut {
            self.load.connected.store(false, Ordering::Relaxed);
            return match stream {
                Stream::Plain(stream) => self.retire(stream),
                #[cfg(feature = "tls")]
                Stream::Tls(stream) => self.retire(stream),
            };
        }
        if self.leaving.is_some() || self.link.cut {
            self.say_goodbye(stream).await;
        }
        self.load.connected.store(false, Ordering::Relaxed);
        self.failures = if self.link.fruitful { 0 } else { self.failures + 1 };
        self.lost(&reason);
    }

    /// Serves the connection until it ends; says why it did. What is handed to a `writer` that
    /// `keeps` may stay in it until it is flushed.
    async fn serve(
        &mut self,
        mut reader: impl AsyncRead + Unpin,
        mut writer: impl AsyncWrite + Unpin,
        keeps: bool,
    ) -> String {
        let mut kept = false;
        let mut timer = pin!(tokio::time::sleep_until(Instant::now().into()));
        loop {
            self.take_orders();
            if !self.outbox.is_empty()
                && (self.pending.requests() > 0 || self.link.yield_probe.is_due())
            {
                // Under load: tasks that are about to send do so first, and share the write, or the
                // batch.
                let before = self.mailbox.backlog();
                tokio::task::yield_now().await;
                let after = self.mailbox.backlog();
                self.link.yield_probe.brought(after > before);
                self.take_orders();
            }
            if self.link.goes_away {
                return "the server goes away".into();
            }
            self.fill(Instant::now());
            if self.is_over() || self.link.cut {
                return "closed".into();
            }
            let due = self.next_due().into();
            if due < timer.deadline() {
                timer.as_mut().reset(due);
            }
            if self.link.input.capacity() - self.link.input.len() < READ_BUFFER / 4 {
                self.link.input.reserve(READ_BUFFER);
            }
            let wake_at = self.hold.wake_at(self.outbox.holdable(), self.pending.holdable());
            tokio::select! {
                // They are taken out where the next round begins.
                () = self.mailbox.filled(wake_at) => {}
                // The next round looks whether all is over.
                () = stopped(&self.ledger), if self.orders_ended => {}
                written = write(&mut writer, &mut self.link.out), if kept || !self.link.out.is_empty() => {
                    match written {
                        Ok(length) => {
                            kept = keeps && length > 0;
                            self.wrote(length);
                        }
                        Err(error) => return self.broke(error),
                    }
                }
                read = reader.read_buf(&mut self.link.input) => match read {
                    Ok(0) => return "the peer closed the connection".into(),
                    Ok(_) => if let Err(reason) = self.receive() {
                        return reason;
                    },
                    Err(error) => return self.broke(error),
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

    /// The connection broke. A peer that refuses our certificate says so only now.
    fn broke(&mut self, error: io::Error) -> String {
        #[cfg(feature = "tls")]
        {
            self.link.no_trust = !self.link.fruitful && crate::net::tls::refuses_us(&error);
        }
        let reason = error.to_string();
        self.link.broken_by = Some(error.into());
        reason
    }

    fn report_failure(&mut self, messages: Vec<OpenAttempt>, failed: &AttemptFailure) {
        self.mailbox.done_with(outbox::count(&messages));
        self.events.attempt_failed(messages, Vec::new(), failed);
    }

    /// The attempt of a request's messages has failed. Ordered messages that wait here behind them
    /// go with them, or they would overtake those that are tried again.
    fn report_failed_request(&mut self, messages: Vec<OpenAttempt>, failed: &AttemptFailure) {
        let behind = self.outbox.take_behind(&messages);
        self.mailbox.done_with(outbox::count(&messages) + outbox::count(&behind));
        self.events.attempt_failed(messages, behind, failed);
    }

    /// The message failed, and with it those of its key that wait behind it.
    fn fail(&self, accepted: &Arc<Accepted>, kind: ErrorKind, reason: &str) {
        self.follow(self.ledger.fail_one(accepted, kind, reason));
    }

    /// What was before these messages in their lane has ended.
    fn follow(&self, next: Vec<Arc<Accepted>>) {
        if !next.is_empty() {
            self.events.may_follow(next);
        }
    }

    /// The requests of these messages, which had timed out, are over: what waits for that may leave.
    fn requests_over(&self, held: impl IntoIterator<Item = Arc<Accepted>>) {
        for accepted in held {
            self.follow(self.ledger.lanes.request_over(&accepted));
        }
    }

    /// The request that an ordered line waited for has ended.
    fn unblock(&mut self, line: Option<LineId>) {
        if let Some(line) = line {
            self.outbox.unblock(line);
        }
    }
}

/// Awaits the end of the producer, of which nobody tells a connection without handles.
async fn stopped(ledger: &Ledger) {
    ledger.stopped.cancelled().await;
}

/// Writes what waits; when nothing does, what the writer has kept.
async fn write(writer: &mut (impl AsyncWrite + Unpin), out: &mut Outgoing) -> io::Result<usize> {
    if out.is_empty() {
        writer.flush().await?;
        return Ok(0);
    }
    writer.write_buf(out).await
}

/// Whatever ends the task, such as the end of the runtime, or a panic: no message is left behind.
impl Drop for Task {
    fn drop(&mut self) {
        self.stored.tell(&self.ledger, |next| self.events.may_follow(next));
        self.written.tell(&self.ledger, |next| self.events.may_follow(next));
        self.orders.extend(self.mailbox.close());
        while let Some(order) = self.orders.pop_front() {
            self.take_order(order);
        }
        self.abandon("the producer has ended");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::task::{Wake, Waker};

    use posthaste_protocol::Command;
    use posthaste_protocol::request::RouteOf;
    use tokio::io::BufWriter;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::accepted::End;
    use crate::accepted::Sharing;
    use crate::connection::outbox::tests::sharing_attempt;
    use crate::{Outcome, Producer};

    async fn task(builder: crate::ProducerBuilder) -> (Task, Arc<Mailbox>) {
        let producer = builder.start().await.unwrap();
        let client = producer.client().clone();
        let mailbox = Arc::<Mailbox>::default();
        let shared = (mailbox.clone(), Arc::new(Load::new()));
        let (ledger, events) = (client.ledger.clone(), client.events());
        (Task::new(ledger, events, "127.0.0.1:1".into(), Peer::NameServer, shared), mailbox)
    }

    /// It ends when there is room again; a timer that is due until then would only burn.
    #[tokio::test]
    async fn the_end_of_a_linger_is_not_due_without_room() {
        let linger = Duration::from_millis(1);
        let builder = Producer::builder("lingers", "127.0.0.1:1").linger(linger, 1 << 20);
        let (mut task, _) = task(builder).await;
        let since = Instant::now().checked_sub(Duration::from_secs(1)).unwrap();
        let sharing = Sharing::With { wait_stored: true, oneway: false, sys_flag: 0 };
        task.put_in_line(sharing_attempt("t", "body", None, since + IDLE, sharing));
        task.fill(since);
        assert_eq!(task.outbox.holdable(), 1, "it lingers");
        assert!(task.next_due() <= Instant::now());
        task.link.out.text().resize(leaving::WRITE_BUFFER, 0);
        assert!(task.next_due() > Instant::now());
    }

    /// Its message may be taken back by its caller; a timer that is due for ever would only burn.
    #[tokio::test]
    async fn the_end_of_a_linger_is_not_due_when_nothing_lingers() {
        let linger = Duration::from_millis(1);
        let builder = Producer::builder("taken-back", "127.0.0.1:1").linger(linger, 1 << 20);
        let (mut task, _) = task(builder).await;
        let now = Instant::now();
        let sharing = Sharing::With { wait_stored: true, oneway: false, sys_flag: 0 };
        task.put_in_line(sharing_attempt("t", "body", None, now + IDLE, sharing));
        task.fill(now);
        assert_eq!(task.outbox.holdable(), 1, "it lingers");
        assert!(task.next_due() <= now + linger);
        task.outbox.drain();
        task.fill(now + linger);
        assert!(task.next_due() > now + linger);
    }

    /// As when the task panics half way: what has ended is told of, and what was taken ends.
    #[tokio::test]
    async fn a_task_that_ends_half_way_leaves_nobody_waiting() {
        let (mut task, _) = task(Producer::builder("half-way", "127.0.0.1:1")).await;
        let message = || sharing_attempt("t", "body", None, Instant::now(), Sharing::Alone);
        let (stored, taken) = (message(), message().accepted);
        let is_told = Arc::new(Flag::default());
        let waker = Waker::from(is_told.clone());
        let mut context = std::task::Context::from_waker(&waker);
        assert!(stored.accepted.poll_end(&mut context).is_pending());
        task.stored.add(&task.ledger, &stored.accepted, End::Written, Instant::now());
        task.orders
            .push_back(TaskOrder::Send(OpenAttempt { accepted: taken.clone(), ..stored.copy() }));
        assert!(!is_told.0.load(Ordering::Relaxed) && !taken.has_ended());
        drop(task);
        assert!(is_told.0.load(Ordering::Relaxed) && taken.has_ended());
    }

    /// A message that comes with the order to leave, and one that is in the buffer by then.
    #[tokio::test]
    async fn what_is_written_with_the_goodbye_is_not_called_not_stored() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        for is_in_the_buffer in [false, true] {
            let (mut task, mailbox) = task(Producer::builder("goodbye", "127.0.0.1:1")).await;
            let until = Instant::now() + Duration::from_secs(60);
            let attempt = sharing_attempt("t", "the body", None, until, Sharing::Alone);
            let accepted = attempt.accepted.clone();
            assert!(mailbox.put(TaskOrder::Send(attempt)).is_ok());
            let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (mut peer, _) = listener.accept().await.unwrap();
            if is_in_the_buffer {
                task.take_orders();
                task.fill(Instant::now());
            }
            let leave = TaskOrder::Leave(oneshot::channel().0, until);
            assert!(mailbox.put(leave).is_ok());
            if is_in_the_buffer {
                task.take_orders();
                task.say_goodbye(Stream::Plain(stream)).await;
                task.lost("closed");
            } else {
                task.use_connection(Stream::Plain(stream)).await;
            }
            drop(task);
            let mut read = Vec::new();
            peer.read_to_end(&mut read).await.unwrap();
            let is_written = read.windows(8).any(|bytes| bytes == b"the body");
            let end = std::future::poll_fn(|context| accepted.poll_end(context));
            let end = tokio::time::timeout(Duration::from_secs(20), end).await.expect("no end");
            let End::Failed(error) = end else { panic!("it has not failed") };
            let expected = if is_written { Outcome::Unknown } else { Outcome::NotStored };
            assert_eq!(error.outcome(), expected);
            assert_eq!(is_written, is_in_the_buffer);
        }
    }

    #[derive(Default)]
    struct Flag(AtomicBool);

    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_not_written_to_a_peer_that_does_not_read() {
        let (mut task, _) = task(Producer::builder("told", "127.0.0.1:1")).await;
        let grows = |task: &mut Task, answer| {
            let before = task.link.out.len();
            let command = Command::of(&RouteOf { topic: "t".into(), standard_json: None }, 0);
            task.calls.push_back(Call { command, answer });
            task.fill(Instant::now());
            task.link.out.len() > before
        };
        assert!(grows(&mut task, None));
        task.link.out.text().resize(leaving::WRITE_BUFFER, 0);
        assert!(!grows(&mut task, None));
        let (answer, _asker) = oneshot::channel();
        assert!(grows(&mut task, Some(answer)));
    }

    /// As TLS does, this writer keeps what it is handed. With nothing to write after it, it has to
    /// be told to let it go.
    #[tokio::test]
    async fn what_a_writer_keeps_is_flushed() {
        let (mut task, mailbox) = task(Producer::builder("flushed", "127.0.0.1:1")).await;
        let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
        let (reader, writer) = tokio::io::split(ours);
        let (answer, _asker) = oneshot::channel();
        let command = Command::of(&RouteOf { topic: "t".into(), standard_json: None }, 0);
        let call = Call { command, answer: Some(answer) };
        mailbox.put(TaskOrder::Call(Box::new(call))).unwrap();
        let mut first = [0; 4];
        let serving = async {
            tokio::select! {
                reason = task.serve(reader, BufWriter::new(writer), true) => panic!("{reason}"),
                read = theirs.read_exact(&mut first) => read.unwrap(),
            }
        };
        let limit = Duration::from_secs(20);
        tokio::time::timeout(limit, serving).await.expect("nothing arrives");
    }
}
