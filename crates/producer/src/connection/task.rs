//! The task that owns a connection: hops 4 to 6 of a send.
//!
//! It takes orders, lets messages leave when the window has room, writes many requests at once,
//! reads answers and says what became of each message. No other part touches the socket, the
//! outbox, the window or the table of pending requests, so they need no lock.

mod arriving;
mod ending;
mod endpoint;
mod leaving;
mod retiring;
mod timing;
mod wire;

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use self::endpoint::Endpoint;
use self::wire::Wire;
use super::dial::{NoConnection, Stream};
use super::mailbox::Mailbox;
use super::outgoing::Outgoing;
use super::{Load, Peer, dial};
use crate::connection::events::Events;
use crate::ledger::Ledger;
use crate::net::backoff::Backoff;

const READ_BUFFER: usize = 16 * 1024;
/// How long nothing is looked for while nothing waits.
const IDLE: Duration = Duration::from_secs(30);
/// A peer that owes an answer and says nothing at all for this long is taken for dead.
const SILENCE: Duration = Duration::from_secs(8);
/// What is due is looked for in steps of this, not one by one.
const TIMER_STEP: Duration = Duration::from_millis(5);
/// Pauses after a connect failed, or a connection brought nothing.
const BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(100), longest: Duration::from_secs(1) };

pub(super) struct Task {
    endpoint: Endpoint,
    /// The present connection; the latest one, while there is none.
    wire: Wire,
}

impl Task {
    pub(super) fn new(
        ledger: Arc<Ledger>,
        events: Arc<dyn Events>,
        address: Arc<str>,
        peer: Peer,
        shared: (Arc<Mailbox>, Arc<Load>),
    ) -> Self {
        let endpoint = Endpoint::new(ledger, events, address, peer, shared);
        Self { endpoint, wire: Wire::new(Instant::now()) }
    }

    pub(super) async fn run(mut self) {
        while self.wait_for_work().await {
            match self.dial().await {
                Some(Ok(stream)) => self.use_connection(stream).await,
                Some(Err(error)) => self.endpoint.unreachable(error),
                None => break,
            }
            if self.endpoint.failures > 0 && !self.is_over() {
                let pause = BACKOFF.spread(self.endpoint.failures);
                self.meanwhile(tokio::time::sleep(pause)).await;
            }
        }
        if let Some(left) = self.endpoint.leaving.take() {
            let _ = left.send(());
        }
    }

    /// Waits until there is something to connect for; `false` when there never will be.
    async fn wait_for_work(&mut self) -> bool {
        loop {
            if self.is_over() {
                return false;
            }
            if !self.endpoint.outbox.is_empty()
                || !self.endpoint.calls.is_empty()
                || self.endpoint.greets
            {
                return true;
            }
            self.endpoint.mailbox.filled(1).await;
            self.endpoint.take_orders(&mut self.wire);
            // A connection that retires may have ended.
            self.endpoint.show_load(&self.wire);
        }
    }

    /// Whether nothing is left to do here: it was told to leave, which happens when every message
    /// has ended, or no handle is left that could still want something. Messages hold their
    /// connection, so one without handles has nothing left to do when the producer has ended.
    fn is_over(&self) -> bool {
        let idle = || {
            self.endpoint.outbox.is_empty()
                && self.endpoint.calls.is_empty()
                && self.wire.pending.is_empty()
                && self.endpoint.retiring.is_empty()
        };
        let is_nobodys =
            self.endpoint.orders_ended && (self.endpoint.ledger.stopped.is_cancelled() || idle());
        self.endpoint.leaving.is_some() || is_nobodys
    }

    async fn dial(&mut self) -> Option<Result<Stream, NoConnection>> {
        tracing::debug!(address = %self.endpoint.address, "connecting");
        self.endpoint.greets = false;
        let (address, ledger) = (self.endpoint.address.clone(), self.endpoint.ledger.clone());
        self.meanwhile(dial::connect(&address, self.endpoint.peer, ledger.config())).await
    }

    /// Awaits something while orders are taken and what waits too long is ended. `None` when
    /// nothing is left to await it for.
    async fn meanwhile<F: Future>(&mut self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        loop {
            if self.is_over() {
                return None;
            }
            self.endpoint.show_load(&self.wire);
            let due = self.endpoint.outbox.earliest().map(|at| at.max(Instant::now() + TIMER_STEP));
            let due = due.unwrap_or_else(|| Instant::now() + IDLE);
            tokio::select! {
                output = &mut future => return Some(output),
                () = self.endpoint.mailbox.filled(1) => self.endpoint.take_orders(&mut self.wire),
                // The next round looks whether all is over.
                () = stopped(&self.endpoint.ledger), if self.endpoint.orders_ended => {}
                () = tokio::time::sleep_until(due.into()) => self.endpoint.expire_waiting(Instant::now()),
            }
        }
    }

    // ---- one connection ----

    async fn use_connection(&mut self, mut stream: Stream) {
        tracing::debug!(address = %self.endpoint.address, "connected");
        self.endpoint.load.connected();
        self.endpoint.no_connection = None;
        self.wire = Wire::new(Instant::now());
        #[cfg(feature = "tls")]
        if let Stream::Tls(_) = &stream {
            self.wire.out = Outgoing::copying();
        }
        // Before any message: a broker that does not know this client cannot push a reply to it.
        self.endpoint.heartbeat(&mut self.wire, Instant::now());
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
        if self.wire.goes_away && self.endpoint.leaving.is_none() && !self.wire.cut {
            self.endpoint.load.connected.store(false, Ordering::Relaxed);
            let wire = std::mem::replace(&mut self.wire, Wire::new(Instant::now()));
            return match stream {
                Stream::Plain(stream) => self.endpoint.retire(wire, stream),
                #[cfg(feature = "tls")]
                Stream::Tls(stream) => self.endpoint.retire(wire, stream),
            };
        }
        if self.endpoint.leaving.is_some() || self.wire.cut {
            self.endpoint.say_goodbye(&mut self.wire, stream).await;
        }
        self.endpoint.load.connected.store(false, Ordering::Relaxed);
        self.endpoint.failures = if self.wire.fruitful { 0 } else { self.endpoint.failures + 1 };
        self.endpoint.lost(&mut self.wire, &reason);
        self.endpoint.show_load(&self.wire);
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
            self.endpoint.take_orders(&mut self.wire);
            if !self.endpoint.outbox.is_empty()
                && (self.wire.pending.requests() > 0 || self.wire.yield_probe.is_due())
            {
                // Under load: tasks that are about to send do so first, and share the write, or the
                // batch.
                let before = self.endpoint.mailbox.backlog();
                tokio::task::yield_now().await;
                let after = self.endpoint.mailbox.backlog();
                self.wire.yield_probe.brought(after > before);
                self.endpoint.take_orders(&mut self.wire);
            }
            if self.wire.goes_away {
                return "the server goes away".into();
            }
            self.endpoint.fill(&mut self.wire, Instant::now());
            if self.is_over() || self.wire.cut {
                return "closed".into();
            }
            let due = self.endpoint.next_due(&self.wire).into();
            if due < timer.deadline() {
                timer.as_mut().reset(due);
            }
            if self.wire.input.capacity() - self.wire.input.len() < READ_BUFFER / 4 {
                self.wire.input.reserve(READ_BUFFER);
            }
            let wake_at = self
                .endpoint
                .hold
                .wake_at(self.endpoint.outbox.holdable(), self.wire.pending.holdable());
            tokio::select! {
                // They are taken out where the next round begins.
                () = self.endpoint.mailbox.filled(wake_at) => {}
                // The next round looks whether all is over.
                () = stopped(&self.endpoint.ledger), if self.endpoint.orders_ended => {}
                written = write(&mut writer, &mut self.wire.out), if kept || !self.wire.out.is_empty() => {
                    match written {
                        Ok(length) => {
                            kept = keeps && length > 0;
                            self.endpoint.wrote(&mut self.wire, length);
                        }
                        Err(error) => return self.wire.broke(error),
                    }
                }
                read = reader.read_buf(&mut self.wire.input) => match read {
                    Ok(0) => return "the peer closed the connection".into(),
                    Ok(_) => if let Err(reason) = self.endpoint.receive(&mut self.wire) {
                        return reason;
                    },
                    Err(error) => return self.wire.broke(error),
                },
                () = &mut timer => {
                    if let Err(reason) = self.endpoint.tick(&mut self.wire, Instant::now()) {
                        return reason;
                    }
                    let due = self.endpoint.next_due(&self.wire);
                    timer.as_mut().reset(due.into());
                }
            }
        }
    }
}

/// Awaits the end of the producer: a connection without handles gets no order to leave.
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

/// No message is left behind when the task ends, even by the end of the runtime or a panic.
impl Drop for Task {
    fn drop(&mut self) {
        let Self { endpoint, wire } = self;
        endpoint.stored.tell(&endpoint.ledger, |next| endpoint.events.may_follow(next));
        endpoint.written.tell(&endpoint.ledger, |next| endpoint.events.may_follow(next));
        endpoint.orders.extend(endpoint.mailbox.close());
        while let Some(order) = endpoint.orders.pop_front() {
            endpoint.take_order(wire, order);
        }
        endpoint.abandon(wire, "the producer has ended");
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
    use tokio::sync::oneshot;

    use super::*;
    use crate::accepted::End;
    use crate::accepted::Sharing;
    use crate::connection::outbox::OpenAttempt;
    use crate::connection::outbox::tests::sharing_attempt;
    use crate::connection::{Call, TaskOrder};
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
        task.endpoint.put_in_line(sharing_attempt("t", "body", None, since + IDLE, sharing));
        task.endpoint.fill(&mut task.wire, since);
        assert_eq!(task.endpoint.outbox.holdable(), 1, "it lingers");
        assert!(task.endpoint.next_due(&task.wire) <= Instant::now());
        task.wire.out.text().resize(leaving::WRITE_BUFFER, 0);
        assert!(task.endpoint.next_due(&task.wire) > Instant::now());
    }

    /// Its message may be taken back by its caller; a timer that is due for ever would only burn.
    #[tokio::test]
    async fn the_end_of_a_linger_is_not_due_when_nothing_lingers() {
        let linger = Duration::from_millis(1);
        let builder = Producer::builder("taken-back", "127.0.0.1:1").linger(linger, 1 << 20);
        let (mut task, _) = task(builder).await;
        let now = Instant::now();
        let sharing = Sharing::With { wait_stored: true, oneway: false, sys_flag: 0 };
        task.endpoint.put_in_line(sharing_attempt("t", "body", None, now + IDLE, sharing));
        task.endpoint.fill(&mut task.wire, now);
        assert_eq!(task.endpoint.outbox.holdable(), 1, "it lingers");
        assert!(task.endpoint.next_due(&task.wire) <= now + linger);
        task.endpoint.outbox.drain();
        task.endpoint.fill(&mut task.wire, now + linger);
        assert!(task.endpoint.next_due(&task.wire) > now + linger);
    }

    /// As when the task panics half way: what has ended is reported, and what was taken ends.
    #[tokio::test]
    async fn a_task_that_ends_half_way_leaves_nobody_waiting() {
        let (mut task, _) = task(Producer::builder("half-way", "127.0.0.1:1")).await;
        let message = || sharing_attempt("t", "body", None, Instant::now(), Sharing::Alone);
        let (stored, taken) = (message(), message().accepted);
        let is_told = Arc::new(Flag::default());
        let waker = Waker::from(is_told.clone());
        let mut context = std::task::Context::from_waker(&waker);
        assert!(stored.accepted.poll_end(&mut context).is_pending());
        task.endpoint.stored.add(
            &task.endpoint.ledger,
            &stored.accepted,
            End::Written,
            Instant::now(),
        );
        task.endpoint
            .orders
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
                task.endpoint.take_orders(&mut task.wire);
                task.endpoint.fill(&mut task.wire, Instant::now());
            }
            let leave = TaskOrder::Leave(oneshot::channel().0, until);
            assert!(mailbox.put(leave).is_ok());
            if is_in_the_buffer {
                task.endpoint.take_orders(&mut task.wire);
                task.endpoint.say_goodbye(&mut task.wire, Stream::Plain(stream)).await;
                task.endpoint.lost(&mut task.wire, "closed");
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
            let before = task.wire.out.len();
            let command = Command::of(&RouteOf { topic: "t".into(), standard_json: None }, 0);
            task.endpoint.calls.push_back(Call { command, answer });
            task.endpoint.fill(&mut task.wire, Instant::now());
            task.wire.out.len() > before
        };
        assert!(grows(&mut task, None));
        task.wire.out.text().resize(leaving::WRITE_BUFFER, 0);
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
