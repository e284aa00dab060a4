//! Hop 2 of a send: route, queue, broker; and after a failed attempt again, or the end.
//!
//! A message is moved, not awaited: the part that ends its present stage (a look-up, an attempt,
//! the message before it in its lane) calls in here for the next stage. So a message costs no task,
//! and dropping a caller's future stops nothing half way.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Client;
use super::retry::{self, Left, Next, OtherQueue};
use crate::ErrorKind;
use crate::accepted::lanes::{EARLIER_FAILED, Entered};
use crate::accepted::{Accepted, Mode};
use crate::connection::Connection;
use crate::connection::attempt_failure::{AttemptEnd, AttemptFailure};
use crate::connection::outbox::OpenAttempt;
use crate::connection::target::RouteBroker;
use crate::ledger::Phase;
use crate::message::Destination;
use crate::observers::Stopped;
use crate::route::choice;
use crate::route::{Parked, Route};

/// No attempt is cut shorter than this for the sake of another broker.
const SHORTEST_ATTEMPT: Duration = Duration::from_millis(500);

const PRODUCER_ENDED: &str = "the producer has ended";

/// A message that can go nowhere: it has to end.
pub(crate) struct Undeliverable {
    pub(crate) accepted: Arc<Accepted>,
    pub(crate) kind: ErrorKind,
    pub(crate) reason: Cow<'static, str>,
}

/// Where a message goes next.
enum Placement {
    /// Into the outbox of this connection.
    At(OpenAttempt),
    /// Nowhere, until its queue's broker is back; or any, while none has a master.
    Absent(Arc<Accepted>),
}

impl Undeliverable {
    fn new(accepted: Arc<Accepted>, kind: ErrorKind, reason: &'static str) -> Self {
        Self { accepted, kind, reason: reason.into() }
    }
}

/// Messages that a task of the runtime holds. Should the runtime end first, the messages do too.
struct PausedMessages {
    client: Arc<Client>,
    messages: Vec<Arc<Accepted>>,
}

impl PausedMessages {
    fn new(client: &Arc<Client>, messages: Vec<Arc<Accepted>>) -> Self {
        Self { client: client.clone(), messages }
    }

    /// The first of the messages' deadlines.
    fn first_deadline(&self) -> Option<Instant> {
        self.messages.iter().map(|one| one.deadline).min()
    }

    /// Ends the messages whose time is up.
    fn end_late(&mut self, kind: ErrorKind, reason: &str) {
        let now = Instant::now();
        for late in self.messages.extract_if(.., |one| one.deadline <= now) {
            self.client.fail(&late, kind, reason);
        }
    }

    fn let_go(mut self) -> (Arc<Client>, Vec<Arc<Accepted>>) {
        (self.client.clone(), std::mem::take(&mut self.messages))
    }
}

impl Drop for PausedMessages {
    fn drop(&mut self) {
        for accepted in &self.messages {
            self.client.fail(accepted, ErrorKind::Closed, "the runtime has ended");
        }
    }
}

impl Client {
    /// Sends an accepted message on its way.
    pub(crate) fn deliver(self: &Arc<Self>, accepted: Arc<Accepted>) {
        let routes = self.routes.read();
        if let Some(route) = routes.get(accepted.topic())
            && route.names_queues()
        {
            let now = accepted.since;
            return self.enter(accepted, route, now);
        }
        drop(routes);
        let now = Instant::now();
        // Asked first: what a look-up has brought by its end is seen below.
        let refreshing = self.watch.refreshing().contains(accepted.topic());
        match self.routes.park(accepted, now, refreshing) {
            Parked::Route(route, accepted) => self.enter(accepted, &route, now),
            Parked::Waits => {}
            Parked::First(look_up) => self.ledger.spawn(self.clone().look_up(look_up)),
            Parked::Missing(accepted, missing) => {
                accepted.note_failed_look_up(missing.cause.as_ref());
                self.fail(&accepted, missing.kind, &missing.reason);
            }
        }
    }

    /// The route is known: an ordered message takes its place in its lane, any other may leave.
    pub(crate) fn enter(self: &Arc<Self>, accepted: Arc<Accepted>, route: &Route, now: Instant) {
        if let Destination::Selected(select) = accepted.destination() {
            if !route.names_queues() {
                return self.end_undeliverable(self.no_queue(accepted));
            }
            match choice::select(route, &**select) {
                Ok(queue) => accepted.select(queue),
                Err(reason) => return self.fail(&accepted, ErrorKind::Invalid, &reason),
            }
        }
        let choose = || choice::of_ordered(route, &accepted);
        match self.ledger.lanes.enter(&accepted, choose) {
            Entered::MayLeave => self.dispatch(accepted, route, now),
            Entered::Waits { sooner: false } => {}
            Entered::Waits { sooner: true } => self.watch.wake(),
            Entered::Ended => {}
            Entered::NoQueue => self.end_undeliverable(self.no_queue(accepted)),
        }
    }

    fn dispatch(self: &Arc<Self>, accepted: Arc<Accepted>, route: &Route, now: Instant) {
        match self.placement(accepted, route, None, now) {
            Ok(Placement::At(attempt)) => {
                let Some(broker) = route.brokers.get(attempt.target.broker.place) else {
                    return self.end_undeliverable(self.no_queue(attempt.accepted));
                };
                if let Err(attempt) = broker.connection.send(attempt) {
                    self.fail(&attempt.accepted, ErrorKind::Closed, PRODUCER_ENDED);
                }
            }
            Ok(Placement::Absent(accepted)) => self.keep_absent(vec![accepted]),
            Err(undeliverable) => self.end_undeliverable(undeliverable),
        }
    }

    fn end_undeliverable(self: &Arc<Self>, undeliverable: Undeliverable) {
        self.fail(&undeliverable.accepted, undeliverable.kind, &undeliverable.reason);
    }

    /// Another attempt, or the first of messages that have waited in their lane. One that can go
    /// nowhere ends, and lets the next ones of its lane follow: a loop, since thousands may wait.
    pub(crate) fn dispatch_all(
        self: &Arc<Self>,
        mut messages: Vec<Arc<Accepted>>,
        avoid: Option<&str>,
    ) {
        while !messages.is_empty() {
            messages = self.dispatch_group(messages, avoid);
        }
    }

    /// Places messages, and gives the messages that may leave since others have ended.
    ///
    /// What goes the same way goes by the same route and in one order: ordered messages must be in
    /// their line already when the previous message fails there.
    fn dispatch_group(
        self: &Arc<Self>,
        messages: Vec<Arc<Accepted>>,
        avoid: Option<&str>,
    ) -> Vec<Arc<Accepted>> {
        let mut routes = HashMap::new();
        let mut groups: Vec<(Arc<Connection>, Vec<OpenAttempt>)> = Vec::new();
        let mut absent = Vec::new();
        let mut next = Vec::new();
        for accepted in messages {
            match self.placement_again(accepted, &mut routes, avoid) {
                Ok(Placement::At(attempt)) => {
                    let connection = attempt.target.broker.connection.clone();
                    let same = |group: &&mut (_, _)| Arc::ptr_eq(&group.0, &connection);
                    match groups.iter_mut().find(same) {
                        Some((_, group)) => group.push(attempt),
                        None => groups.push((connection, vec![attempt])),
                    }
                }
                Ok(Placement::Absent(accepted)) => absent.push(accepted),
                Err(Undeliverable { accepted, kind, reason }) => {
                    next.extend(self.ledger.fail_one(&accepted, kind, &reason));
                }
            }
        }
        for (connection, group) in groups {
            for attempt in connection.send_all(group).err().unwrap_or_default() {
                let accepted = &attempt.accepted;
                next.extend(self.ledger.fail_one(accepted, ErrorKind::Closed, PRODUCER_ENDED));
            }
        }
        self.keep_absent(absent);
        next
    }

    /// Keeps messages until their broker, or any master, is in a route again. Once closing has run
    /// out of time, that place is not looked at any more.
    fn keep_absent(self: &Arc<Self>, absent: Vec<Arc<Accepted>>) {
        if absent.is_empty() {
            return;
        }
        self.watch.put_absent(absent);
        if self.ledger.phase() == Phase::Abandoned {
            for late in self.watch.take_absent() {
                self.fail(&late, ErrorKind::Closed, "closing ran out of time");
            }
        }
    }

    fn placement_again(
        self: &Arc<Self>,
        accepted: Arc<Accepted>,
        routes: &mut HashMap<Arc<str>, Arc<Route>>,
        avoid: Option<&str>,
    ) -> Result<Placement, Undeliverable> {
        if let Some(route) = routes.get(accepted.topic()) {
            return self.placement(accepted, route, avoid, Instant::now());
        }
        let Some(route) = self.routes.known(accepted.topic()) else {
            return Err(Undeliverable::new(accepted, ErrorKind::Closed, PRODUCER_ENDED));
        };
        let topic = accepted.topic().clone();
        self.placement(accepted, routes.entry(topic).or_insert(route), avoid, Instant::now())
    }

    /// Chooses a queue and its broker.
    fn placement(
        self: &Arc<Self>,
        accepted: Arc<Accepted>,
        route: &Route,
        avoid: Option<&str>,
        now: Instant,
    ) -> Result<Placement, Undeliverable> {
        if self.ledger.phase() == Phase::Abandoned {
            return Err(Undeliverable::new(accepted, ErrorKind::Closed, "closing ran out of time"));
        }
        if accepted.is_ordered() && accepted.earlier_failed() {
            return Err(Undeliverable::new(accepted, ErrorKind::EarlierFailed, EARLIER_FAILED));
        }
        if accepted.deadline <= now {
            return Err(Undeliverable::new(accepted, ErrorKind::Timeout, "the deadline passed"));
        }
        let target = match accepted.destination() {
            Destination::Any => {
                choice::choose(route, avoid, self.ledger.config().max_pending_messages)
            }
            Destination::Queue { queue, .. } => route.target_of(queue),
            Destination::Selected(_) => {
                accepted.selected().and_then(|queue| route.target_of(queue))
            }
            Destination::Key(_) => {
                self.ledger.lanes.queue_of(&accepted).and_then(|queue| route.target_of(&queue))
            }
        };
        let Some(target) = target else {
            if !accepted.is_ordered() && !route.waits_for_master(accepted.destination()) {
                return Err(self.no_queue(accepted));
            }
            self.watch.doubt(accepted.topic());
            return Ok(Placement::Absent(accepted));
        };
        if let Some(observers) = self.ledger.observers()
            && let Err(Stopped { kind, reason }) = observers.attempt_begins(
                &accepted,
                &target.broker.name,
                target.broker.connection.address(),
            )
        {
            return Err(Undeliverable { accepted, kind, reason: reason.into() });
        }
        // An ordered message that was given up would come again behind messages that have not left yet.
        let may_be_given_up =
            || !accepted.is_ordered() && accepted.retries() < self.most_retries(accepted.mode);
        let most = self.ledger.config().attempt_timeout.filter(|_| may_be_given_up());
        let until = attempt_end(&accepted, route, &target.broker, now, most);
        Ok(Placement::At(OpenAttempt { accepted, target, since: now, until, refused_batch: None }))
    }

    /// The attempt that these messages shared has failed: for each of them again, elsewhere or
    /// here, or the end. Messages that go again do so together, in their order, and what waited
    /// behind them goes after them.
    pub(crate) fn after_failed_attempt(
        self: &Arc<Self>,
        messages: Vec<OpenAttempt>,
        behind: Vec<OpenAttempt>,
        failed: &AttemptFailure,
    ) {
        let now = Instant::now();
        let (mut free, mut again, mut with_new_route) = (Vec::new(), Vec::new(), Vec::new());
        let mut shortest = Duration::MAX;
        for attempt in messages {
            match self.next_attempt(&attempt, failed, now) {
                None => {}
                Some(Next::Stop) => self.fail(&attempt.accepted, failed.kind, &failed.reason),
                Some(Next::Free) => free.push(attempt),
                Some(Next::WithNewRoute) => with_new_route.push(attempt),
                Some(Next::Again(pause)) => {
                    shortest = shortest.min(pause);
                    again.push(attempt);
                }
            }
        }
        // What goes again of an ordered line does so in one way.
        match (again.is_empty(), with_new_route.is_empty()) {
            (true, true) => free.extend(behind),
            (false, _) => again.extend(behind),
            (true, false) => with_new_route.extend(behind),
        }
        for group in free.chunk_by(|one, next| one.target.broker.name == next.target.broker.name) {
            let avoid = group.first().map(|first| &*first.target.broker.name);
            self.dispatch_all(group.iter().map(|one| one.accepted.clone()).collect(), avoid);
        }
        self.retry(again, failed, shortest);
        self.go_on_with_new_route(with_new_route, failed);
    }

    /// What comes after a failed attempt of a message; `None` when it has ended meanwhile.
    fn next_attempt(
        &self,
        attempt: &OpenAttempt,
        failed: &AttemptFailure,
        now: Instant,
    ) -> Option<Next> {
        let accepted = &attempt.accepted;
        let described = failed.describe(attempt, now);
        tracing::debug!(topic = %accepted.topic(), id = %accepted.id, attempt = %described, "attempt failed");
        if let Some(observers) = self.ledger.observers() {
            observers.attempt_failed(accepted, &described);
        }
        if !accepted.note_failed_attempt(described, failed.cause.clone()) {
            return None;
        }
        if failed.refresh_route {
            self.watch.doubt(accepted.topic());
        }
        if failed.singly {
            accepted.limit_batch(1);
        }
        let used = accepted.retries();
        let most = self.most_retries(accepted.mode);
        let left = Left {
            time: accepted.deadline.saturating_duration_since(now),
            retries: most.saturating_sub(used),
            used,
            elsewhere: self.may_go_elsewhere(attempt, failed.ended),
            other_queue: self.other_queue(accepted),
        };
        let next = retry::next(failed.ended, left, || self.ledger.intake.budget.take());
        if matches!(next, Next::Again(_)) {
            accepted.use_retry();
            self.ledger.counts().retries.add(1);
        }
        Some(next)
    }

    /// Whether another broker could take a message whose attempt has ended so.
    fn may_go_elsewhere(&self, attempt: &OpenAttempt, ended: AttemptEnd) -> bool {
        let OpenAttempt { accepted, target, .. } = attempt;
        let others = |route: Arc<Route>| match ended {
            AttemptEnd::NoTrust => route.has_usable_others(&target.broker),
            _ => route.has_others(&target.broker),
        };
        accepted.destination().is_any() && self.routes.known(accepted.topic()).is_some_and(others)
    }

    /// Where a message may go whose queue its broker does not have.
    fn other_queue(&self, accepted: &Accepted) -> OtherQueue {
        let has_some = |route: Arc<Route>| route.has_some_queue();
        match accepted.destination() {
            Destination::Queue { .. } | Destination::Selected(_) => OtherQueue::Never,
            Destination::Any if self.routes.known(accepted.topic()).is_some_and(has_some) => {
                OtherQueue::Known
            }
            Destination::Any | Destination::Key(_) => OtherQueue::InNextRoute,
        }
    }

    fn most_retries(&self, mode: Mode) -> u32 {
        match mode {
            Mode::Sync => self.ledger.config().retries,
            Mode::Async | Mode::Oneway => self.ledger.config().async_retries,
        }
    }

    fn retry(self: &Arc<Self>, again: Vec<OpenAttempt>, failed: &AttemptFailure, pause: Duration) {
        if failed.ended.wants_new_route() {
            return self.go_on_with_new_route(again, failed);
        }
        let Some((messages, avoid)) = taken_from(again) else { return };
        if pause.is_zero() {
            return self.dispatch_all(messages, Some(&avoid));
        }
        let pause = pause.mul_f64(0.5 + fastrand::f64() / 2.0);
        let held = PausedMessages::new(self, messages);
        self.ledger.spawn(async move {
            // Messages behind the failed ones may have less time left than these pause.
            let deadline = held.first_deadline().unwrap_or_else(Instant::now);
            let left = deadline.saturating_duration_since(Instant::now());
            held.client.sleep(pause.min(left)).await;
            let (client, messages) = held.let_go();
            client.dispatch_all(messages, Some(&avoid));
        });
    }

    /// Messages whose broker says that the route is out of date go on when it has been looked up again.
    fn go_on_with_new_route(self: &Arc<Self>, again: Vec<OpenAttempt>, failed: &AttemptFailure) {
        let Some((messages, avoid)) = taken_from(again) else { return };
        let (kind, reason) = (failed.kind, failed.reason.clone());
        let mut held = PausedMessages::new(self, messages);
        self.ledger.spawn(async move {
            while let Some(deadline) = held.first_deadline()
                && let Some(topic) = held.messages.first().map(|first| first.topic().clone())
                && !held.client.route_looked_up(&topic, deadline).await
            {
                held.end_late(kind, &reason);
            }
            let (client, messages) = held.let_go();
            let messages = client.move_keys(messages);
            client.dispatch_all(messages, Some(&avoid));
        });
    }

    /// Keys of these messages whose queue the broker does not have, and the route does not name any
    /// more, move to the queues that they have now, with all that waits for them. Gives what may leave:
    /// the messages that stay, and the messages that moved where nothing is before them.
    fn move_keys(&self, messages: Vec<Arc<Accepted>>) -> Vec<Arc<Accepted>> {
        let keyed = |one: &&Arc<Accepted>| matches!(one.destination(), Destination::Key(_));
        let Some(first) = messages.iter().find(keyed) else { return messages };
        let from = self.ledger.lanes.queue_of(first);
        let (Some(from), Some(route)) = (from, self.routes.known(first.topic())) else {
            return messages;
        };
        if route.names(&from) {
            return messages;
        }
        let may_leave =
            self.ledger.lanes.move_keys(&from, messages, |key| choice::of_key(&route, key));
        // What waits in another lane now may expire sooner than all that waited.
        self.watch.wake();
        may_leave
    }

    /// Messages whose broker was in no route look whether it is back: all of them in one go, or the
    /// order of ordered messages would be lost.
    pub(crate) fn dispatch_absent(self: &Arc<Self>, now: Instant) {
        let mut absent = self.watch.take_absent();
        // What its caller took back.
        absent.retain(|accepted| !accepted.has_ended());
        for late in absent.extract_if(.., |one| one.deadline <= now) {
            self.end_undeliverable(self.no_queue(late));
        }
        self.dispatch_all(absent, None);
    }

    /// A message's time is up while it waits in its lane: behind others, or with them for a broker.
    pub(crate) fn end_in_lane(self: &Arc<Self>, accepted: Arc<Accepted>) {
        let queue = self.ledger.lanes.queue_of(&accepted);
        let target = queue.zip(self.routes.known(accepted.topic()));
        match target.is_some_and(|(queue, route)| route.target_of(&queue).is_none()) {
            true => self.end_undeliverable(self.no_queue(accepted)),
            false => {
                let reason = "it waited behind earlier messages of its queue";
                self.fail(&accepted, ErrorKind::Timeout, reason);
            }
        }
    }

    fn no_queue(&self, accepted: Arc<Accepted>) -> Undeliverable {
        self.watch.doubt(accepted.topic());
        let reason = match accepted.destination() {
            Destination::Queue { queue, .. } => {
                format!("the route has no master with queue {queue}").into()
            }
            _ => "the route has no master with a queue that may be written".into(),
        };
        Undeliverable { accepted, kind: ErrorKind::NoWritableQueue, reason }
    }

    /// Sleeps, but not beyond the end of closing.
    async fn sleep(&self, time: Duration) {
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = self.ledger.stopped.cancelled() => {}
        }
    }
}

/// The messages of an attempt, and its broker.
fn taken_from(again: Vec<OpenAttempt>) -> Option<(Vec<Arc<Accepted>>, Arc<str>)> {
    let broker = again.first()?.target.broker.name.clone();
    Some((again.into_iter().map(|attempt| attempt.accepted).collect(), broker))
}

/// When an attempt ends. While another broker could take the message, half of the time left is
/// kept for that one; an only broker gets it all. `most` is the most that an attempt may take.
fn attempt_end(
    accepted: &Accepted,
    route: &Route,
    broker: &RouteBroker,
    now: Instant,
    most: Option<Duration>,
) -> Instant {
    let mut end = accepted.deadline;
    if accepted.destination().is_any() && route.has_usable_others(broker) {
        let left = end.saturating_duration_since(now);
        end = end.min(now + (left / 2).max(SHORTEST_ATTEMPT));
    }
    end.min(most.map_or(end, |most| now + most))
}
