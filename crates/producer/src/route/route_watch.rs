//! Topics whose routes are looked up again soon, and messages that wait for a broker to come back.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use crate::accepted::Accepted;

/// The shortest time between two look-ups of a topic in doubt. A broker that is back is used
/// within a second after its route shows it.
const DOUBT_INTERVAL: Duration = Duration::from_millis(800);
/// For how long after the last doubt about its route a topic is looked up more often.
const DOUBT_LASTS: Duration = Duration::from_secs(600);
/// How often messages look whether the broker that they wait for is back.
const BROKER_RECHECK: Duration = Duration::from_millis(200);
/// Many topics in doubt share this many look-ups a second.
const LOOK_UPS_PER_SECOND: u32 = 100;

/// Topics whose routes are in doubt, and when each is looked up next; and the messages that
/// can go nowhere else.
#[derive(Debug, Default)]
pub(crate) struct RouteWatch {
    doubted: Mutex<HashMap<Arc<str>, Doubted>>,
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
struct Doubted {
    due: Instant,
    until: Instant,
    /// When the latest look-up began that is over.
    looked_up: watch::Sender<Option<Instant>>,
}

impl RouteWatch {
    /// The route of a topic may be out of date.
    pub(crate) fn doubt(&self, topic: &Arc<str>) {
        let now = Instant::now();
        let until = now + DOUBT_LASTS;
        let mut doubted = self.doubted();
        match doubted.get_mut(topic) {
            Some(known) => known.until = until,
            None => {
                let looked_up = watch::Sender::new(None);
                doubted.insert(topic.clone(), Doubted { due: now, until, looked_up });
                self.wake.notify_one();
            }
        }
    }

    /// Something expires sooner than was known.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Awaits a call of another method that asks for it.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Whether every route is to be looked up again, which is taken for done.
    pub(crate) fn take_poll(&self) -> bool {
        self.poll.swap(false, Ordering::Relaxed)
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
    /// later than was `planned`, even if something happens meanwhile.
    pub(crate) fn recheck_at(&self, planned: Option<Instant>) -> Option<Instant> {
        let first = self.absent().iter().map(|one| one.deadline).min()?;
        Some(first.min(planned.unwrap_or_else(|| Instant::now() + BROKER_RECHECK)))
    }

    fn absent(&self) -> MutexGuard<'_, Vec<Arc<Accepted>>> {
        self.absent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the topics that are due, and sets when they are due again.
    pub(crate) fn due(&self, now: Instant) -> Vec<Arc<str>> {
        let mut doubted = self.doubted();
        doubted.retain(|_, known| known.until > now);
        let share = Duration::from_secs(1) / LOOK_UPS_PER_SECOND * doubted.len() as u32;
        let interval = DOUBT_INTERVAL.max(share);
        let due = doubted.iter_mut().filter(|(_, known)| known.due <= now);
        due.map(|(topic, known)| {
            known.due = now + interval;
            topic.clone()
        })
        .collect()
    }

    /// A look-up that began then is over, with or without a route.
    pub(crate) fn looked_up(&self, topic: &str, began: Instant) {
        if let Some(known) = self.doubted().get(topic) {
            known.looked_up.send_replace(Some(began));
        }
    }

    /// Awaits the end of a look-up that begins from now on, for a topic in doubt.
    pub(crate) async fn next_look_up(&self, topic: &str) {
        let now = Instant::now();
        let looked_up = self.doubted().get(topic).map(|known| known.looked_up.subscribe());
        if let Some(mut looked_up) = looked_up {
            // An error means that it is in doubt no more.
            let _ = looked_up.wait_for(|began| began.is_some_and(|began| began >= now)).await;
        }
    }

    pub(crate) fn refreshing(&self) -> MutexGuard<'_, HashSet<Arc<str>>> {
        self.refreshing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.doubted().values().map(|known| known.due).min()
    }

    fn doubted(&self) -> MutexGuard<'_, HashMap<Arc<str>, Doubted>> {
        self.doubted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
