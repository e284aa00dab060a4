//! An address that messages go to: its orders, outbox and window outlast each of its connections.
//!
//! What belongs to one connection is its `Wire`, which is handed to each method that needs it: the
//! present one, or one that retires.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tokio::sync::oneshot;

use super::retiring::Retiring;
use super::wire::Wire;
use crate::ErrorKind;
use crate::accepted::Accepted;
use crate::connection::attempt_failure::AttemptFailure;
use crate::connection::dial::NoConnection;
use crate::connection::events::Events;
use crate::connection::hold::Hold;
use crate::connection::load::Load;
use crate::connection::mailbox::Mailbox;
use crate::connection::outbox::{self, LineId, OpenAttempt, Outbox};
use crate::connection::pause::Pause;
use crate::connection::refused_batch::UnbatchedTopics;
use crate::connection::window::Window;
use crate::connection::{Call, Peer, TaskOrder};
use crate::ledger::Ledger;
use crate::ledger::good_ends::GoodEnds;
use crate::observers::counts::GoodEnd;
use crate::observers::meters::BrokerMeters;

/// What the task knows of its address, whichever connection serves it.
pub(super) struct Endpoint {
    pub(super) ledger: Arc<Ledger>,
    pub(super) events: Arc<dyn Events>,
    pub(super) address: Arc<str>,
    pub(super) peer: Peer,
    pub(super) load: Arc<Load>,
    pub(super) mailbox: Arc<Mailbox>,
    /// What was taken out of it and is not carried out yet.
    pub(super) orders: VecDeque<TaskOrder>,
    /// All handles are gone: finish what is there, then end.
    pub(super) orders_ended: bool,
    pub(super) leaving: Option<oneshot::Sender<()>>,
    /// When the last connection has to be gone, while the producer closes.
    pub(super) leave_by: Option<Instant>,
    pub(super) outbox: Outbox,
    pub(super) hold: Hold,
    pub(super) unbatched_topics: UnbatchedTopics,
    pub(super) calls: VecDeque<Call>,
    /// Whether to connect though nothing waits.
    pub(super) greets: bool,
    pub(super) window: Window,
    pub(super) pause: Pause,
    /// Messages whose answer, or whose write, has come just now.
    pub(super) stored: GoodEnds,
    pub(super) written: GoodEnds,
    /// Messages of requests that were answered just now.
    pub(super) answered_now: usize,
    /// Connects that failed, or connections that brought nothing, in a row.
    pub(super) failures: u32,
    /// How the last connect failed, while there is no connection.
    pub(super) no_connection: Option<NoConnection>,
    /// Wishes of messages that the broker was said to pass over.
    pub(super) passed_over: Vec<&'static str>,
    /// The broker does not know the newer form of a send.
    pub(super) v1: bool,
    /// Earlier connections whose servers go away, and how many there have been.
    pub(super) retiring: Vec<Retiring>,
    pub(super) retired: u64,
    pub(super) scratch: String,
    pub(super) meters: BrokerMeters,
}

impl Endpoint {
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
            Peer::Broker => ledger.meters().broker(&address, ledger.counts()),
            Peer::NameServer => BrokerMeters::none(ledger.counts()),
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

    /// Takes the orders that are there; `wire` is the present connection.
    pub(super) fn take_orders(&mut self, wire: &mut Wire) {
        self.mailbox.take(&mut self.orders);
        while let Some(order) = self.orders.pop_front() {
            self.take_order(wire, order);
        }
    }

    pub(super) fn take_order(&mut self, wire: &mut Wire, order: TaskOrder) {
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
            // After any order, the outbox is looked at.
            TaskOrder::Look => {}
            TaskOrder::Abandon(leave_by) => {
                self.leave_by = Some(leave_by);
                self.abandon(wire, "closing ran out of time");
            }
            TaskOrder::Leave(left, leave_by) => {
                self.leave_by = Some(leave_by);
                self.leaving = Some(left);
            }
            TaskOrder::Unused => self.orders_ended = true,
        }
    }

    /// When no message is held back before it, it is held back anew.
    pub(super) fn put_in_line(&mut self, attempt: OpenAttempt) {
        if self.outbox.holdable() == 0 {
            self.hold.clear();
        }
        self.outbox.push(attempt);
    }

    pub(super) fn report_failure(&mut self, messages: Vec<OpenAttempt>, failed: &AttemptFailure) {
        self.mailbox.done_with(outbox::count(&messages));
        self.events.attempt_failed(messages, Vec::new(), failed);
    }

    /// The attempt of a request's messages has failed. Ordered messages that wait here behind them
    /// go with them, or they would overtake the messages that are tried again.
    pub(super) fn report_failed_request(
        &mut self,
        messages: Vec<OpenAttempt>,
        failed: &AttemptFailure,
    ) {
        let behind = self.outbox.take_behind(&messages);
        self.mailbox.done_with(outbox::count(&messages) + outbox::count(&behind));
        self.events.attempt_failed(messages, behind, failed);
    }

    /// The message failed, and with it the messages of its key that wait behind it.
    pub(super) fn fail(&self, accepted: &Arc<Accepted>, kind: ErrorKind, reason: &str) {
        self.follow(self.ledger.fail_one(accepted, kind, reason));
    }

    /// What was before these messages in their lane has ended.
    pub(super) fn follow(&self, next: Vec<Arc<Accepted>>) {
        if !next.is_empty() {
            self.events.may_follow(next);
        }
    }

    /// The requests of these messages, which had timed out, are over: what waits for that may leave.
    pub(super) fn requests_over(&self, held: impl IntoIterator<Item = Arc<Accepted>>) {
        for accepted in held {
            self.follow(self.ledger.lanes.request_over(&accepted));
        }
    }

    /// The request that an ordered line waited for has ended.
    pub(super) fn unblock(&mut self, line: Option<LineId>) {
        if let Some(line) = line {
            self.outbox.unblock(line);
        }
    }
}
