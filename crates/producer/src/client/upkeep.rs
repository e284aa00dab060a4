//! What goes on in the background: routes are kept fresh, and messages that wait in their lanes, or
//! for a broker, end at their deadlines.

use std::sync::Arc;
use std::time::Instant;

use super::Client;
use super::look_up::Found;
use crate::{ErrorKind, route::Route};

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
    let interval = client.ledger.config().route_poll_interval;
    let mut poll_at = Instant::now() + interval;
    let mut recheck_at = None;
    loop {
        recheck_at = client.watch.recheck_at(recheck_at);
        let dues = [client.watch.next_due(), client.ledger.lanes.earliest(), recheck_at];
        let due = dues.into_iter().flatten().fold(poll_at, Instant::min);
        tokio::select! {
            () = client.ledger.stopped.cancelled() => return,
            () = client.watch.woken() => {}
            () = tokio::time::sleep_until(due.into()) => {}
        }
        let now = Instant::now();
        if recheck_at.take_if(|at| *at <= now).is_some() {
            client.dispatch_absent(now);
        }
        for accepted in client.ledger.lanes.expired(now) {
            client.end_in_lane(accepted);
        }
        let topics = match client.watch.take_poll() || now >= poll_at {
            true => {
                poll_at = now + interval;
                client.pool.drop_unused();
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
        client.ledger.begin_closing();
        client.ledger.begin_abandoning();
        client.ledger.stopped.cancel();
        let absent = client.watch.take_absent();
        for accepted in client.ledger.lanes.all_waiting().into_iter().chain(absent) {
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
        self.ledger.spawn(async move {
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
            () = self.ledger.stopped.cancelled() => return,
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

    /// Awaits the next look-up of a topic in doubt, which all messages of the topic share;
    /// `false` when the deadline comes first.
    pub(crate) async fn route_looked_up(&self, topic: &str, deadline: Instant) -> bool {
        tokio::select! {
            () = self.watch.next_look_up(topic) => true,
            () = self.ledger.stopped.cancelled() => true,
            () = tokio::time::sleep_until(deadline.into()) => false,
        }
    }

    fn take_newer(&self, route: Arc<Route>) {
        let Some(known) = self.routes.get(&route.topic) else { return };
        // The default topic's route says nothing about a topic that had its own route.
        if Arc::ptr_eq(&known, &route) || (route.from_default_topic && !known.from_default_topic) {
            return;
        }
        tracing::debug!(topic = %route.topic, brokers = ?route.places(), "route changed");
        self.routes.put_ahead(&route);
    }
}
