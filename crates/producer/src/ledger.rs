//! What is accepted, and how it ends: the part of a producer that knows neither routes nor connections.

mod acceptance;
mod awaited_replies;
pub(crate) mod callbacks;
mod checks;
mod close_report;
pub(crate) mod good_ends;
mod undecided;

use std::future::Future;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use posthaste_protocol::request::{Heartbeat, ProducerGroup};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub(crate) use self::acceptance::{Admission, Unadmitted};
pub(crate) use self::awaited_replies::AwaitedReplies;
use self::callbacks::Callbacks;
pub(crate) use self::checks::Checks;
pub use self::close_report::{CloseReport, Undelivered};
pub(crate) use self::undecided::Transactions;
use crate::accepted::intake::Intake;
use crate::accepted::lanes::Lanes;
use crate::accepted::{Accepted, Failed, Permit, Wake};
use crate::config::Config;
use crate::observers::Observers;
use crate::observers::counts::Counts;
use crate::observers::meters::Meters;
use crate::{ErrorKind, Outcome};

/// Settings, permits, lanes and counts, and everything that learns of the end of a message.
pub(crate) struct Ledger {
    config: Config,
    id: String,
    runtime: Handle,
    counts: Arc<Counts>,
    meters: Meters,
    observers: Option<Box<Observers>>,
    pub(crate) intake: Intake,
    pub(crate) lanes: Lanes,
    /// Most bytes of a batch.
    pub(crate) batch_bytes: usize,
    phase: AtomicU8,
    /// Tells the tasks in the background to end.
    pub(crate) stopped: CancellationToken,
    /// Notified when a message ends while `close` or `flush` waits.
    pub(crate) ended: Notify,
    undelivered: Mutex<Vec<Undelivered>>,
    pub(crate) transactions: Transactions,
    pub(crate) checks: Checks,
    pub(crate) awaited_replies: AwaitedReplies,
    callbacks: Callbacks,
}

/// How far closing has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Open,
    /// Nothing new is accepted; what is accepted runs to its end.
    Closing,
    /// Closing ran out of time: everything ends.
    Abandoned,
}

impl Ledger {
    pub(crate) fn new(
        config: Config,
        runtime: &Handle,
        counts: Arc<Counts>,
        meters: Meters,
        observers: Option<Box<Observers>>,
    ) -> Self {
        let ip = config.identity.ip();
        Self {
            id: config.identity.client_id(ip),
            intake: Intake::new(config.max_pending_messages, config.max_pending_bytes, ip),
            lanes: Lanes::new(config.batch_bytes()),
            batch_bytes: config.batch_bytes(),
            transactions: Transactions::default(),
            checks: Checks::new(config.checks_at_once, config.checks_waiting),
            awaited_replies: AwaitedReplies::default(),
            callbacks: Callbacks::new(config.callback_executor.clone()),
            config,
            runtime: runtime.clone(),
            observers,
            meters,
            counts,
            phase: AtomicU8::new(Phase::Open as u8),
            stopped: CancellationToken::new(),
            ended: Notify::new(),
            undelivered: Mutex::default(),
        }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// `ip@instance`, by which brokers know this client.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// What brokers learn of this client.
    pub(crate) fn heartbeat(&self) -> Heartbeat {
        let heartbeat = Heartbeat {
            client_id: self.id.clone(),
            producers: vec![ProducerGroup { group_name: self.config.group.to_string() }],
            ..Heartbeat::default()
        };
        let fingerprint = if self.config.heartbeat_v2 { heartbeat.fingerprint() } else { 0 };
        Heartbeat { fingerprint, ..heartbeat }
    }

    pub(crate) fn counts(&self) -> &Arc<Counts> {
        &self.counts
    }

    pub(crate) fn meters(&self) -> &Meters {
        &self.meters
    }

    /// The observers of sends, if there are any.
    pub(crate) fn observers(&self) -> Option<&Observers> {
        self.observers.as_deref()
    }

    /// Messages accepted and not ended.
    pub(crate) fn in_flight(&self) -> u64 {
        self.counts.in_flight(self.intake.epochs.accepted())
    }

    /// Runs something in the background, on the runtime that the producer was started on.
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(future);
    }

    /// A message failed, and with it the messages of its key that wait behind it. Gives the messages that may
    /// leave now.
    pub(crate) fn fail_one(
        &self,
        accepted: &Arc<Accepted>,
        kind: ErrorKind,
        reason: &str,
    ) -> Vec<Arc<Accepted>> {
        let Some((failed, followers)) = self.lanes.fail(accepted, kind, reason) else {
            return Vec::new();
        };
        for (follower, failed) in followers.failed {
            self.finish_failed(&follower, ErrorKind::EarlierFailed, failed);
        }
        self.finish_failed(accepted, kind, failed);
        followers.next
    }

    /// A message has failed: it is counted, and its caller learns of it.
    pub(crate) fn finish_failed(&self, accepted: &Accepted, kind: ErrorKind, failed: Failed) {
        let Failed { wake, outcome, content } = failed;
        if self.phase() != Phase::Open {
            // Before it is counted: closing takes the list when the counts say that all is over.
            let undelivered = |message| Undelivered { message, kind, outcome };
            self.undelivered().extend(content.into_messages().into_iter().map(undelivered));
        }
        self.meters.failed(accepted, kind, outcome);
        match outcome {
            Outcome::NotStored => self.counts.not_stored.add(accepted.count()),
            Outcome::Unknown => self.counts.unknown.add(accepted.count()),
        }
        self.finish(accepted, wake);
    }

    /// The permit goes back, and the caller learns of the end.
    pub(crate) fn finish(&self, accepted: &Accepted, wake: Wake) {
        let Permit { messages, bytes } = accepted.permit;
        self.intake.epochs.end(accepted.epoch, accepted.count());
        self.give_back(messages as usize, bytes as usize);
        self.wake(wake);
    }

    /// Permits come back.
    pub(crate) fn give_back(&self, places: usize, bytes: usize) {
        self.intake.give_back(places, bytes);
        if self.ends_are_awaited() {
            self.ended.notify_waiters();
        }
    }

    pub(crate) fn wake(&self, wake: Wake) {
        match wake {
            Wake::Nothing => {}
            Wake::Waker(waker) => waker.wake(),
            Wake::Callback(run) => self.callbacks.run(*run),
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Open,
            1 => Phase::Closing,
            _ => Phase::Abandoned,
        }
    }

    /// From now on nothing is accepted; callers that wait for room are woken.
    pub(crate) fn begin_closing(&self) {
        self.phase.fetch_max(Phase::Closing as u8, Ordering::AcqRel);
        self.intake.close();
    }

    pub(crate) fn begin_abandoning(&self) {
        self.phase.fetch_max(Phase::Abandoned as u8, Ordering::AcqRel);
    }

    pub(crate) fn undelivered(&self) -> MutexGuard<'_, Vec<Undelivered>> {
        self.undelivered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a caller awaits ends; nothing lingers then.
    pub(crate) fn ends_are_awaited(&self) -> bool {
        self.phase() != Phase::Open || self.intake.epochs.is_flushing()
    }

    /// Awaits ends, until they are all there by what `is_over` says.
    pub(crate) async fn all_ended(&self, is_over: impl Fn() -> bool) {
        loop {
            let mut ended = std::pin::pin!(self.ended.notified());
            // Listen before looking, or the last end could slip in between.
            ended.as_mut().enable();
            if is_over() {
                return;
            }
            ended.await;
        }
    }
}
