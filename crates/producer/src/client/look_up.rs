//! Looking up the route of a topic that has none yet: one request for all that wait for it.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use posthaste_protocol::request::{DEFAULT_TOPIC, TopicRoute};

use super::Client;
use crate::ErrorKind;
use crate::accepted::lanes::{EARLIER_FAILED, order_key};
use crate::ledger::Phase;
use crate::net::backoff::Backoff;
use crate::route::name_server::NoAnswer;
use crate::route::{self, LookUp, NoRoute, Route};

/// Pauses after name servers could not be reached.
const BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(100), longest: Duration::from_secs(5) };

/// What name servers say of a topic.
#[derive(Debug)]
pub(crate) enum Found {
    Route(Arc<Route>),
    /// Neither the topic nor the default topic is known.
    NoTopic,
}

impl Client {
    /// Looks a topic up until there is a route, there certainly is none, or no message waits any
    /// more.
    pub(crate) fn look_up(
        self: Arc<Self>,
        look_up: LookUp,
    ) -> impl Future<Output = ()> + Send + 'static {
        // Made before the first poll, which never comes when the runtime ends first.
        let guard = EndsWaiting { client: self, look_up, armed: true };
        async move {
            let mut guard = guard;
            guard.client.look_up_until_done(&guard.look_up).await;
            guard.armed = false;
        }
    }

    async fn look_up_until_done(self: &Arc<Self>, look_up: &LookUp) {
        let mut failures = 0;
        let mut last = None;
        loop {
            let asked = self.ask_for_route(&look_up.topic);
            match self.while_somebody_waits(look_up, last.as_ref(), asked).await {
                None => return,
                Some(Ok(Found::Route(route))) => return self.take_route(look_up, &route),
                Some(Ok(Found::NoTopic)) => return self.no_topic(look_up),
                Some(Err(NoAnswer { kind, reason, cause, for_good: true })) => {
                    return self.no_way(look_up, NoRoute { kind, reason, cause });
                }
                Some(Err(error)) => last = Some(error),
            }
            failures += 1;
            let pause = async {
                tokio::select! {
                    () = tokio::time::sleep(BACKOFF.spread(failures)) => {}
                    () = self.directory.changed() => {}
                }
            };
            if self.while_somebody_waits(look_up, last.as_ref(), pause).await.is_none() {
                return;
            }
        }
    }

    /// A topic's route, for a caller that has no message for it yet. What is found now belongs to
    /// no one else.
    pub(crate) async fn route_before(
        self: &Arc<Self>,
        topic: &Arc<str>,
        deadline: Instant,
    ) -> Option<Arc<Route>> {
        if let Some(route) = self.routes.get(topic) {
            return Some(route);
        }
        match tokio::time::timeout_at(deadline.into(), self.ask_for_route(topic)).await {
            Ok(Ok(Found::Route(route))) => Some(route),
            Ok(Ok(Found::NoTopic) | Err(_)) | Err(_) => None,
        }
    }

    /// Asks for a topic's route, and when there is none for the default topic's.
    pub(crate) async fn ask_for_route(
        self: &Arc<Self>,
        topic: &Arc<str>,
    ) -> Result<Found, NoAnswer> {
        let deadline = Instant::now() + self.ledger.config().lookup_timeout;
        let wire_topic = self.ledger.config().on_wire(topic);
        let (document, from_default) = match self.own_route(&wire_topic, deadline).await? {
            Some(document) => (document, false),
            None => match self.default_route(deadline).await? {
                Some(document) => (document, true),
                None => return Ok(Found::NoTopic),
            },
        };
        let mut plan = route::writable_queues(&document);
        if from_default {
            route::limit_queues(&mut plan, self.ledger.config().default_topic_queues);
        }
        if let Some(known) = self.routes.get(topic)
            && known.is_same(&plan, from_default)
        {
            return Ok(Found::Route(known));
        }
        let connection = |address: &str| self.connection(address);
        let wire_topic = match wire_topic {
            Cow::Borrowed(_) => topic.clone(),
            Cow::Owned(wrapped) => wrapped.into(),
        };
        let route = Route::new(topic.clone(), wire_topic, plan, from_default, connection);
        Ok(Found::Route(Arc::new(route)))
    }

    /// What a name server says of a topic: of this producer's zone alone, while it can be sent to there.
    async fn own_route(
        &self,
        wire_topic: &str,
        deadline: Instant,
    ) -> Result<Option<TopicRoute>, NoAnswer> {
        let Some(zone) = &self.ledger.config().zone else {
            return self.directory.route(wire_topic, deadline).await;
        };
        match self.directory.route_in_zone(wire_topic, zone, deadline).await? {
            Some(own) if !route::can_be_written(&own) => {
                tracing::debug!(topic = wire_topic, zone, "no queue in the zone may be written");
                self.directory.route(wire_topic, deadline).await
            }
            answer => Ok(answer),
        }
    }

    /// What a name server says of the topic that new ones are made like; where that is unknown, of the
    /// one that real brokers have for it.
    async fn default_route(&self, deadline: Instant) -> Result<Option<TopicRoute>, NoAnswer> {
        let key = &self.ledger.config().default_topic;
        match self.own_route(key, deadline).await? {
            None if **key != *DEFAULT_TOPIC => self.own_route(DEFAULT_TOPIC, deadline).await,
            answer => Ok(answer),
        }
    }

    /// Looks up the topics that were named at the start, before anything is sent to them, and lets
    /// their brokers know this client. Each by itself: one that is not answered for holds up none.
    pub(crate) fn look_up_ahead(self: &Arc<Self>) {
        for topic in &self.ledger.config().topics {
            let (client, topic) = (self.clone(), topic.clone());
            self.ledger.spawn(async move {
                tokio::select! {
                    () = client.look_up_one_ahead(&topic) => {}
                    () = client.ledger.stopped.cancelled() => {}
                }
            });
        }
    }

    async fn look_up_one_ahead(self: &Arc<Self>, topic: &Arc<str>) {
        let mut failures = 0;
        loop {
            match self.ask_for_route(topic).await {
                Ok(Found::Route(route)) => {
                    self.routes.put_ahead(&route);
                    return route.greet();
                }
                Ok(Found::NoTopic) => {
                    return tracing::warn!(%topic, "there is no route to a topic named at the start");
                }
                Err(error) if error.for_good => {
                    return tracing::warn!(%topic, %error, "a topic named at the start cannot be looked up");
                }
                Err(error) => tracing::debug!(%topic, %error, "not looked up ahead"),
            }
            failures += 1;
            tokio::select! {
                () = tokio::time::sleep(BACKOFF.after(failures)) => {}
                () = self.directory.changed() => {}
            }
        }
    }

    /// What waited goes on its way in the order of acceptance; then the route is everybody's.
    fn take_route(self: &Arc<Self>, look_up: &LookUp, route: &Arc<Route>) {
        tracing::debug!(topic = %route.topic, brokers = ?route.places(), "route found");
        loop {
            let waiting = self.routes.found(look_up, route);
            if waiting.is_empty() {
                return;
            }
            for accepted in waiting {
                self.enter(accepted, route, Instant::now());
            }
        }
    }

    fn no_topic(self: &Arc<Self>, look_up: &LookUp) {
        let key = &self.ledger.config().default_topic;
        let reason = match **key == *DEFAULT_TOPIC {
            true => format!("no name server has a route to it, nor one to {key}"),
            false => {
                format!("no name server has a route to it, nor one to {key} or {DEFAULT_TOPIC}")
            }
        };
        self.no_way(look_up, NoRoute::new(ErrorKind::NoTopic, reason));
    }

    /// What waits for the topic ends, and for a moment what comes for it.
    fn no_way(self: &Arc<Self>, look_up: &LookUp, why: NoRoute) {
        let why = Arc::new(why);
        for accepted in self.routes.missing(look_up, Instant::now(), &why) {
            accepted.note_failed_look_up(why.cause.as_ref());
            self.fail(&accepted, why.kind, &why.reason);
        }
    }

    /// Awaits something while messages that wait for the topic are ended at their deadlines.
    /// `None`: no message waits any more.
    async fn while_somebody_waits<T>(
        self: &Arc<Self>,
        look_up: &LookUp,
        last: Option<&NoAnswer>,
        future: impl Future<Output = T>,
    ) -> Option<T> {
        let mut future = std::pin::pin!(future);
        loop {
            let deadline = self.routes.first_deadline(look_up)?;
            tokio::select! {
                output = &mut future => return Some(output),
                // The next round sleeps no longer than that one may wait.
                () = look_up.sooner() => {}
                () = tokio::time::sleep_until(deadline.into()) => self.end_waiting(look_up, last),
                () = self.ledger.stopped.cancelled() => self.end_waiting(look_up, last),
            }
        }
    }

    /// Ends what waits for a topic beyond its deadline, or all of it when time to close has run out.
    fn end_waiting(self: &Arc<Self>, look_up: &LookUp, last: Option<&NoAnswer>) {
        let abandoned =
            self.ledger.phase() == Phase::Abandoned || self.ledger.stopped.is_cancelled();
        let why = match (abandoned, last) {
            (true, _) => NoRoute::new(ErrorKind::Closed, "closing ran out of time"),
            (false, None) => NoRoute::new(ErrorKind::NoRoute, "no name server answered in time"),
            (false, Some(NoAnswer { kind, reason, cause, .. })) => {
                NoRoute { kind: *kind, reason: reason.clone(), cause: cause.clone() }
            }
        };
        let expired_by = if abandoned { None } else { Some(Instant::now()) };
        self.fail_waiting(look_up, expired_by, &why);
    }

    /// Ends what waits for a topic and has expired, or with `None` all of it. What waits behind one
    /// that failed and has the same key fails too.
    ///
    /// They end under the lock that later messages take to wait, so that one that is accepted when
    /// the failure can be seen does not fail.
    fn fail_waiting(&self, look_up: &LookUp, expired_by: Option<Instant>, why: &NoRoute) {
        let mut failed_keys = HashSet::new();
        let mut all_failed = Vec::new();
        self.routes.take_waiting(look_up, |one| {
            if one.has_ended() {
                return true;
            }
            let key = order_key(one);
            let (kind, reason) = if expired_by.is_none_or(|now| one.deadline <= now) {
                one.note_failed_look_up(why.cause.as_ref());
                (why.kind, &*why.reason)
            } else if key.as_ref().is_some_and(|key| failed_keys.contains(key)) {
                (ErrorKind::EarlierFailed, EARLIER_FAILED)
            } else {
                return false;
            };
            failed_keys.extend(key);
            if let Some(failed) = one.fail(kind, reason) {
                all_failed.push((one.clone(), kind, failed));
            }
            true
        });
        for (accepted, kind, failed) in all_failed {
            self.ledger.finish_failed(&accepted, kind, failed);
        }
    }
}

/// Should the runtime end before a look-up does, what waits for it ends too.
struct EndsWaiting {
    client: Arc<Client>,
    look_up: LookUp,
    armed: bool,
}

impl Drop for EndsWaiting {
    fn drop(&mut self) {
        if self.armed {
            let why = NoRoute::new(ErrorKind::Closed, "the runtime has ended");
            self.client.fail_waiting(&self.look_up, None, &why);
        }
    }
}
