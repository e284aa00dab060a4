//! What goes on in the background: routes are kept fresh, and messages that wait in their lanes, or
//! for a broker, end at their deadlines.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use crate::accepted::Accepted;
use crate::client::Client;
use crate::look_up::Found;
use crate::{ErrorKind, route::Route};

/// How often a topic in trouble is looked up again, at the most. A broker that is back is used
/// within a second after its route shows it.
const TROUBLE_INTERVAL: Duration = Duration::from_millis(800);
/// For how long after its last trouble a topic is looked up more often.
const TROUBLE_LASTS: Duration = Duration::from_secs(600);
/// How often messages look whether the broker that they wait for is back.
const BROKER_RECHECK: Duration = Duration::from_millis(200);
/// Many topics in trouble share so many look-ups a second.
const LOOK_UPS_PER_SECOND: u32 = 100;

/// Topics whose brokers have made trouble, and when each is looked up next; and the messages that
/// can go nowhere else.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    troubled: Mutex<HashMap<Arc<str>, Troubled>>,
    /// Ordered messages whose queue's broker is in no route, in their order, and others while the route
    /// has slaves only.
    absent: Mutex<Vec<Arc<Accepted>>>,
    /// Topics whose routes are being looked up again.
    refreshing: Mutex<HashSet<Arc<str>>>,
    wake: Notify,
    /// Every route is to be looked up again, without waiting for its time.
    poll: AtomicBool,
}

#[derive(Debug)]
struct Troubled {
    due: Instant,
    until: Instant,
    /// When the latest look-up began that is over.
    looked_up: watch::Sender<Option<Instant>>,
}

impl Watch {
    /// The route of a topic may be out of date.
    pub(crate) fn trouble(&self, topic: &Arc<str>) {
        let now = Instant::now();
        let until = now + TROUBLE_LASTS;
        let mut troubled = self.troubled();
        match troubled.get_mut(topic) {
            Some(known) => known.until = until,
            None => {
                let looked_up = watch::Sender::new(None);
                troubled.insert(topic.clone(), Troubled { due: now, until, looked_up });
                self.wake.notify_one();
            }
        }
    }

    /// Something expires sooner than was known.
    pub(crate) fn look(&self) {
        self.wake.notify_one();
    }

    /// Has every route looked up again at once.
    pub(crate) fn poll_now(&self) {
        self.poll.store(true, Ordering::Relaxed);
        self.wake.notify_one();
    }

    /// Messages wait for a broker to come back.
    pub(crate) fn put_absent(&self, messages: Vec<Arc<Accepted>>) {
        self.absent().extend(messages);
        self.wake.notify_one();
    }

    /// Takes all messages that wait for a broker.
    pub(crate) fn take_absent(&self) -> Vec<Arc<Accepted>> {
        std::mem::take(&mut self.absent())
    }

    /// When to look next whether a broker is back, or a message that waits for one expires; not
    /// later than was `planned`, whatever happens meanwhile.
    fn recheck_at(&self, planned: Option<Instant>) -> Option<Instant> {
        let first = self.absent().iter().map(|one| one.deadline).min()?;
        Some(first.min(planned.unwrap_or_else(|| Instant::now() + BROKER_RECHECK)))
    }

    fn absent(&self) -> MutexGuard<'_, Vec<Arc<Accepted>>> {
        self.absent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the topics that are due, and sets when they are due again.
    fn due(&self, now: Instant) -> Vec<Arc<str>> {
        let mut troubled = self.troubled();
        troubled.retain(|_, known| known.until > now);
        let share = Duration::from_secs(1) / LOOK_UPS_PER_SECOND * troubled.len() as u32;
        let interval = TROUBLE_INTERVAL.max(share);
        let due = troubled.iter_mut().filter(|(_, known)| known.due <= now);
        due.map(|(topic, known)| {
            known.due = now + interval;
            topic.clone()
        })
        .collect()
    }

    /// A look-up that began then is over, whatever came of it.
    fn looked_up(&self, topic: &str, began: Instant) {
        if let Some(known) = self.troubled().get(topic) {
            known.looked_up.send_replace(Some(began));
        }
    }

    /// Awaits the end of a look-up that begins from now on, for a topic in trouble.
    async fn next_look_up(&self, topic: &str) {
        let now = Instant::now();
        let looked_up = self.troubled().get(topic).map(|known| known.looked_up.subscribe());
        if let Some(mut looked_up) = looked_up {
            // An error means that it is in trouble no more.
            let _ = looked_up.wait_for(|began| began.is_some_and(|began| began >= now)).await;
        }
    }

    fn refreshing(&self) -> MutexGuard<'_, HashSet<Arc<str>>> {
        self.refreshing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_due(&self) -> Option<Instant> {
        self.troubled().values().map(|known| known.due).min()
    }

    fn troubled(&self) -> MutexGuard<'_, HashMap<Arc<str>, Troubled>> {
        self.troubled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs until the producer ends.
pub(crate) fn run(client: Arc<Client>) -> impl Future<Output = ()> + Send + 'static {
    // Made before the first poll, which never comes when the runtime ends first.
    let guard = EndsProducer(client);
    async move {
        let guard = guard;
        keep_up(&guard.0).await;
    }
}

async fn keep_up(client: &Arc<Client>) {
    let interval = client.config().route_poll_interval;
    let mut poll_at = Instant::now() + interval;
    let mut recheck_at = None;
    loop {
        recheck_at = client.watch.recheck_at(recheck_at);
        let dues = [client.watch.next_due(), client.lanes.earliest(), recheck_at];
        let due = dues.into_iter().flatten().fold(poll_at, Instant::min);
        tokio::select! {
            () = client.stopped.cancelled() => return,
            () = client.watch.wake.notified() => {}
            () = tokio::time::sleep_until(due.into()) => {}
        }
        let now = Instant::now();
        if recheck_at.take_if(|at| *at <= now).is_some() {
            client.place_absent(now);
        }
        for accepted in client.lanes.expired(now) {
            client.end_in_lane(accepted);
        }
        let topics = match client.watch.poll.swap(false, Ordering::Relaxed) || now >= poll_at {
            true => {
                poll_at = now + interval;
                client.drop_unused_connections();
                client.greet_brokers();
                let routes = client.routes.all();
                routes.iter().for_each(|route| route.restore());
                routes.iter().map(|route| route.topic.clone()).collect()
            }
            false => client.watch.due(now),
        };
        for topic in topics {
            client.begin_refresh(topic);
        }
    }
}

/// A route that is being looked up again.
struct Refreshing(Arc<Client>, Arc<str>);

impl Drop for Refreshing {
    fn drop(&mut self) {
        self.0.watch.refreshing().remove(&self.1);
    }
}

/// Without upkeep nothing would end what waits: should the runtime end first, the producer does.
struct EndsProducer(Arc<Client>);

impl Drop for EndsProducer {
    fn drop(&mut self) {
        let client = &self.0;
        client.begin_closing();
        client.begin_abandoning();
        client.stopped.cancel();
        let absent = client.watch.take_absent();
        for accepted in client.lanes.all_waiting().into_iter().chain(absent) {
            client.fail(&accepted, ErrorKind::Closed, "the runtime has ended");
        }
    }
}

impl Client {
    /// Looks a known route up again in the background. Not while it is being looked up already: with
    /// a name server that is slow to answer they would pile up.
    fn begin_refresh(self: &Arc<Self>, topic: Arc<str>) {
        if !self.watch.refreshing().insert(topic.clone()) {
            return;
        }
        let refreshing = Refreshing(self.clone(), topic);
        self.spawn(async move {
            let Refreshing(client, topic) = &refreshing;
            client.refresh(topic).await;
        });
    }

    /// Looks a known route up again. What cannot be looked up, or is not known any more, stays as
    /// it was (as in Java): a name server that restarts forgets every topic for a while.
    pub(crate) async fn refresh(self: &Arc<Self>, topic: &Arc<str>) {
        let began = Instant::now();
        let found = tokio::select! {
            found = self.ask_for_route(topic) => found,
            () = self.stopped.cancelled() => return,
        };
        match found {
            Ok(Found::Route(route)) => self.take_newer(route),
            Ok(Found::NoTopic) => tracing::debug!(%topic, "the name server has no route any more"),
            Err(error) => tracing::debug!(%topic, %error, "route not refreshed"),
        }
        self.watch.looked_up(topic, began);
    }

    /// As [`refresh`](Self::refresh), but at most until `deadline`.
    pub(crate) async fn refresh_before(self: &Arc<Self>, topic: &Arc<str>, deadline: Instant) {
        // What has not come by the deadline is of no use any more.
        let _ = tokio::time::timeout_at(deadline.into(), self.refresh(topic)).await;
    }

    /// Awaits the next look-up of a topic in trouble, which all messages of the topic share;
    /// `false` when the deadline comes first.
    pub(crate) async fn route_looked_up(&self, topic: &str, deadline: Instant) -> bool {
        tokio::select! {
            () = self.watch.next_look_up(topic) => true,
            () = self.stopped.cancelled() => true,
            () = tokio::time::sleep_until(deadline.into()) => false,
        }
    }

    fn take_newer(&self, route: Arc<Route>) {
        let Some(known) = self.routes.get(&route.topic) else { return };
        // The default topic's route says nothing about a topic that had one of its own.
        if Arc::ptr_eq(&known, &route) || (route.from_default_topic && !known.from_default_topic) {
            return;
        }
        tracing::debug!(topic = %route.topic, brokers = ?route.places(), "route changed");
        self.routes.put(route);
    }
}
