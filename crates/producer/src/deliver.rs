//! Hop 2 of a send: route, queue, broker; and after a failed attempt again, or the end.
//!
//! A message is moved, not awaited: whoever ends its present stage (a look-up, an attempt, the
//! message before it in its lane) calls in here for the next one. So a message costs no task, and
//! dropping a caller's future stops nothing half way.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::accepted::{Accepted, Mode};
use crate::client::{Client, Phase};
use crate::message::Destination;
use crate::order::Entered;
use crate::outbox::Waiting;
use crate::retry::{self, Ended, Left, Next};
use crate::route::{Parked, Route, Target};
use crate::{Attempt, ErrorKind, Outcome, queue};

/// No attempt is cut shorter than this for the sake of another broker.
const SHORTEST_ATTEMPT: Duration = Duration::from_millis(500);
/// How often an ordered message looks whether its queue's broker is back.
const BROKER_RECHECK: Duration = Duration::from_millis(200);

/// A failed attempt.
#[derive(Debug, Clone)]
pub(crate) struct AttemptFailed {
    pub(crate) target: Target,
    /// Queue, once one was chosen.
    pub(crate) queue: Option<i32>,
    pub(crate) since: Instant,
    pub(crate) kind: ErrorKind,
    pub(crate) outcome: Outcome,
    pub(crate) reason: String,
    pub(crate) ended: Ended,
    /// Whether the route is looked up again, since it may be out of date.
    pub(crate) refresh_route: bool,
}

impl AttemptFailed {
    /// An attempt of which nothing was written.
    pub(crate) fn unsent(target: Target, since: Instant, queue: Option<i32>) -> Self {
        Self {
            queue: queue.or(target.queue),
            target,
            since,
            kind: ErrorKind::Connect,
            outcome: Outcome::NotStored,
            reason: String::new(),
            ended: Ended::Unsent,
            refresh_route: false,
        }
    }
}

/// A message that can go nowhere: it has to end.
pub(crate) struct Stranded {
    pub(crate) accepted: Arc<Accepted>,
    pub(crate) kind: ErrorKind,
    pub(crate) reason: Cow<'static, str>,
}

impl Stranded {
    fn new(accepted: Arc<Accepted>, kind: ErrorKind, reason: &'static str) -> Self {
        Self { accepted, kind, reason: reason.into() }
    }
}

/// A message that a task of the runtime holds. Should the runtime end first, the message does too.
struct Held {
    client: Arc<Client>,
    accepted: Arc<Accepted>,
    armed: bool,
}

impl Held {
    fn new(client: &Arc<Client>, accepted: Arc<Accepted>) -> Self {
        Self { client: client.clone(), accepted, armed: true }
    }

    fn let_go(mut self) -> (Arc<Client>, Arc<Accepted>) {
        self.armed = false;
        (self.client.clone(), self.accepted.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.armed {
            self.client.fail(&self.accepted, ErrorKind::Closed, "the runtime has ended");
        }
    }
}

impl Client {
    /// Sends an accepted message on its way.
    pub(crate) fn deliver(self: &Arc<Self>, accepted: Arc<Accepted>) {
        if let Some(route) = self.routes.get(accepted.topic()) {
            return self.enter(accepted, &route);
        }
        match self.routes.park(accepted, Instant::now()) {
            Parked::Route(route, accepted) => self.enter(accepted, &route),
            Parked::Waits => {}
            Parked::First(topic) => self.spawn(self.clone().look_up(topic)),
            Parked::Missing(accepted, kind, reason) => self.fail(&accepted, kind, &reason),
        }
    }

    /// The route is known: an ordered message takes its place in its lane, any other may leave.
    pub(crate) fn enter(self: &Arc<Self>, accepted: Arc<Accepted>, route: &Arc<Route>) {
        let choose = || queue::of_ordered(route, accepted.destination());
        match self.lanes.enter(&accepted, choose) {
            Entered::MayLeave => self.place(accepted, route, None),
            Entered::Waits { sooner: false } => {}
            Entered::Waits { sooner: true } => self.watch.look(),
            Entered::Ended => {}
            Entered::NoQueue => self.end_stranded(self.no_queue(accepted)),
        }
    }

    fn place(self: &Arc<Self>, accepted: Arc<Accepted>, route: &Arc<Route>, avoid: Option<&str>) {
        if let Err(stranded) = self.try_place(accepted, route, avoid) {
            self.end_stranded(stranded);
        }
    }

    /// Another attempt.
    fn place_again(self: &Arc<Self>, accepted: Arc<Accepted>, avoid: Option<&str>) {
        if let Err(stranded) = self.try_place_again(accepted, avoid) {
            self.end_stranded(stranded);
        }
    }

    fn end_stranded(self: &Arc<Self>, stranded: Stranded) {
        self.fail(&stranded.accepted, stranded.kind, &stranded.reason);
    }

    /// Another attempt, or the first of a message that has waited in its lane.
    pub(crate) fn try_place_again(
        self: &Arc<Self>,
        accepted: Arc<Accepted>,
        avoid: Option<&str>,
    ) -> Result<(), Stranded> {
        match self.routes.known(accepted.topic()) {
            Some(route) => self.try_place(accepted, &route, avoid),
            None => Err(Stranded::new(accepted, ErrorKind::Closed, "the producer has ended")),
        }
    }

    /// Chooses a queue and its broker, and hands the message to that broker's outbox.
    fn try_place(
        self: &Arc<Self>,
        accepted: Arc<Accepted>,
        route: &Arc<Route>,
        avoid: Option<&str>,
    ) -> Result<(), Stranded> {
        let now = Instant::now();
        if self.phase() == Phase::Abandoned {
            return Err(Stranded::new(accepted, ErrorKind::Closed, "closing ran out of time"));
        }
        if accepted.deadline <= now {
            return Err(Stranded::new(accepted, ErrorKind::Timeout, "the deadline passed"));
        }
        let target = match accepted.destination() {
            Destination::Any => queue::choose(route, avoid, self.config().max_pending_messages),
            Destination::Queue { queue, .. } => route.target_of(queue),
            Destination::Key(_) => {
                self.lanes.queue_of(&accepted).and_then(|queue| route.target_of(&queue))
            }
        };
        let Some(target) = target else {
            if !accepted.is_ordered() {
                return Err(self.no_queue(accepted));
            }
            self.wait_for_broker(accepted);
            return Ok(());
        };
        let until = attempt_end(&accepted, &target, now);
        let connection = target.route.brokers.get(target.broker).map(|b| b.connection.clone());
        if let Some(connection) = connection {
            let sent = connection.send(Waiting { accepted, target, since: now, until });
            // Its task has ended, as after closing.
            sent.map_err(|waiting| {
                let kind = ErrorKind::Closed;
                Stranded::new(waiting.accepted, kind, "the producer has ended")
            })?;
        }
        Ok(())
    }

    /// The attempt has failed: again, elsewhere or here, or the end.
    pub(crate) fn attempt_failed(self: &Arc<Self>, accepted: Arc<Accepted>, failed: AttemptFailed) {
        let now = Instant::now();
        let broker = failed.target.broker_name().clone();
        let attempt = failed.describe(now);
        tracing::debug!(topic = %accepted.topic(), id = %accepted.id, %attempt, "attempt failed");
        if !accepted.failed_attempt(attempt) {
            return;
        }
        if failed.refresh_route {
            self.watch.trouble(accepted.topic());
        }
        let used = accepted.retries();
        let most = match accepted.mode {
            Mode::Sync => self.config().retries,
            Mode::Async | Mode::Oneway => self.config().async_retries,
        };
        let left = Left {
            time: accepted.deadline.saturating_duration_since(now),
            retries: most.saturating_sub(used),
            used,
            elsewhere: failed.target.has_others() && *accepted.destination() == Destination::Any,
        };
        match retry::next(failed.ended, left, || self.budget.take()) {
            Next::Stop => self.fail(&accepted, failed.kind, &failed.reason),
            Next::Free => self.place_again(accepted, Some(&broker)),
            Next::Again(pause) => {
                accepted.use_retry();
                self.counters().retries.add_one();
                self.retry(accepted, &failed, pause);
            }
        }
    }

    fn retry(self: &Arc<Self>, accepted: Arc<Accepted>, failed: &AttemptFailed, pause: Duration) {
        let avoid = failed.target.broker_name().clone();
        let new_route = failed.ended.wants_new_route();
        if pause.is_zero() && !new_route {
            return self.place_again(accepted, Some(&avoid));
        }
        let pause = pause.mul_f64(0.5 + fastrand::f64() / 2.0);
        let held = Held::new(self, accepted);
        let (kind, reason) = (failed.kind, failed.reason.clone());
        self.spawn(async move {
            let Held { client, accepted, .. } = &held;
            let mut in_time = true;
            if new_route {
                in_time = client.route_looked_up(accepted.topic(), accepted.deadline).await;
            } else {
                client.sleep(pause).await;
            }
            let (client, accepted) = held.let_go();
            match in_time {
                true => client.place_again(accepted, Some(&avoid)),
                false => client.fail(&accepted, kind, &reason),
            }
        });
    }

    /// The broker of an ordered message's queue is in no route: the message waits for it, since
    /// it may not go anywhere else.
    fn wait_for_broker(self: &Arc<Self>, accepted: Arc<Accepted>) {
        self.watch.trouble(accepted.topic());
        let held = Held::new(self, accepted);
        self.spawn(async move {
            let left = held.accepted.deadline.saturating_duration_since(Instant::now());
            held.client.sleep(left.min(BROKER_RECHECK)).await;
            let (client, accepted) = held.let_go();
            if accepted.has_ended() {
                // Its caller took it back.
            } else if left <= BROKER_RECHECK {
                client.end_stranded(client.no_queue(accepted));
            } else {
                client.place_again(accepted, None);
            }
        });
    }

    fn no_queue(&self, accepted: Arc<Accepted>) -> Stranded {
        self.watch.trouble(accepted.topic());
        let reason = match accepted.destination() {
            Destination::Queue { queue, .. } => format!("the route has no queue {queue}").into(),
            _ => "the route has no queue that may be written on a reachable master".into(),
        };
        Stranded { accepted, kind: ErrorKind::NoWritableQueue, reason }
    }

    /// Sleeps, but not beyond the end of closing.
    async fn sleep(&self, time: Duration) {
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = self.stopped.cancelled() => {}
        }
    }
}

/// When an attempt ends. While another broker could take the message, half of the time left is
/// kept for that one; an only broker gets it all.
fn attempt_end(accepted: &Accepted, target: &Target, now: Instant) -> Instant {
    if *accepted.destination() != Destination::Any || !target.has_usable_others() {
        return accepted.deadline;
    }
    let left = accepted.deadline.saturating_duration_since(now);
    accepted.deadline.min(now + (left / 2).max(SHORTEST_ATTEMPT))
}

impl AttemptFailed {
    fn describe(&self, now: Instant) -> Attempt {
        Attempt {
            broker: self.target.broker_name().clone(),
            address: self.target.address(),
            queue: self.queue,
            took: now.saturating_duration_since(self.since),
            kind: self.kind,
            outcome: self.outcome,
            reason: self.reason.clone(),
        }
    }
}
