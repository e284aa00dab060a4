//! A rule that a broker has, and what it has done.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use posthaste_protocol::request::TopicRoute;
use tokio::sync::watch;

use super::asked::Asked;
use super::error::FaultError;
use super::on::On;
use super::routes_before::RoutesBefore;
use super::rules::FaultRules;
use super::{Action, Fault, Lie};

/// A rule that a broker follows, and what it has done. Copies are handles to the same rule; it goes on
/// when they are dropped, until it is [removed](Self::remove).
#[derive(Clone)]
pub struct FaultRule(Arc<Inner>);

struct Inner {
    id: u64,
    fault: Fault,
    begun: Instant,
    rules: Weak<FaultRules>,
    tally: Mutex<Tally>,
    changed: Condvar,
    removed: watch::Sender<bool>,
    before: Mutex<RoutesBefore>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    matched: u64,
    hits: u64,
    messages: u64,
}

/// What a rule makes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// It is not for such requests.
    NoMatch,
    /// It lets this one go.
    Spared,
    /// It acts on this one, which is the n-th that fits it.
    Hit(u64),
}

/// A rule that acts on a request.
#[derive(Debug, Clone)]
pub(crate) struct FaultHit {
    pub(crate) rule: FaultRule,
    /// The number of the request among those that fit the rule.
    pub(super) number: u64,
}

impl FaultHit {
    /// How long this request is delayed; of another action, not at all.
    pub(crate) fn delay(&self) -> Duration {
        let fault = self.rule.fault();
        match self.rule.action() {
            Action::Delay(time) => {
                fault.which.jittered(*time, fault.jitter.unwrap_or_default(), self.number)
            }
            _ => Duration::ZERO,
        }
    }
}

impl FaultRule {
    pub(super) fn new(id: u64, fault: Fault, rules: Weak<FaultRules>) -> Self {
        Self(Arc::new(Inner {
            id,
            fault,
            begun: Instant::now(),
            rules,
            tally: Mutex::default(),
            changed: Condvar::new(),
            removed: watch::Sender::new(false),
            before: Mutex::default(),
        }))
    }

    /// The number of the rule: rules are asked in the order of their numbers, and none is given again.
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// The rule.
    pub fn fault(&self) -> &Fault {
        &self.0.fault
    }

    /// How many requests it has hit. A batch is one.
    pub fn hits(&self) -> u64 {
        self.tally().hits
    }

    /// How many messages were in the sends and replies that it has hit.
    pub fn hit_messages(&self) -> u64 {
        self.tally().messages
    }

    /// How many requests fitted it: those that it has hit, and those that it spared. Requests that a
    /// rule before it has hit are not among them.
    pub fn matched(&self) -> u64 {
        self.tally().matched
    }

    /// Waits until it has hit this many requests, in real time, also where tokio's clock is paused.
    ///
    /// # Errors
    /// [`FaultError::Missed`] when it has not after `timeout`.
    pub async fn wait_for(&self, hits: u64, timeout: Duration) -> Result<(), FaultError> {
        let begun = Instant::now();
        let cancelled = Arc::new(Mutex::new(false));
        // A separate thread, for real time; while it waits, a paused clock stands still.
        let (rule, flag) = (self.clone(), Arc::clone(&cancelled));
        let _cancel = Cancel { rule: self, flag: &cancelled };
        let waited = tokio::task::spawn_blocking(move || {
            let is_over = |tally: &Tally| tally.hits >= hits || *lock(&flag);
            let rest = timeout.saturating_sub(begun.elapsed());
            let tally = rule.tally();
            let waited = rule.0.changed.wait_timeout_while(tally, rest, |tally| !is_over(tally));
            drop(waited);
        });
        let _ = waited.await;
        let Tally { matched, hits: now, .. } = *self.tally();
        match now >= hits {
            true => Ok(()),
            false => Err(FaultError::Missed { wanted: hits, hits: now, matched, waited: timeout }),
        }
    }

    /// The broker follows it no more. A delay comes to its end in its time; a connection that is not read,
    /// or slow, because of the rule is as it was.
    pub fn remove(&self) {
        if let Some(rules) = self.0.rules.upgrade() {
            rules.remove(self.0.id);
        }
    }

    /// It was taken out of the broker's rules.
    pub(super) fn note_removed(&self) {
        self.0.removed.send_replace(true);
    }

    /// Whether it was removed, or its time is over.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        *self.0.removed.borrow() || !self.lasts(now)
    }

    /// Waits until it is removed, or its time is over.
    pub(crate) async fn over(&self) {
        let mut removed = self.0.removed.subscribe();
        let removed = removed.wait_for(|is_removed| *is_removed);
        match self.0.fault.which.time {
            None => drop(removed.await),
            Some(time) => {
                let rest = time.saturating_sub(self.0.begun.elapsed());
                drop(tokio::time::timeout(rest, removed).await);
            }
        }
    }

    fn lasts(&self, now: Instant) -> bool {
        self.0.fault.which.time.is_none_or(|time| now.duration_since(self.0.begun) < time)
    }

    /// Whether it is asked while a request arrives.
    pub(super) fn cuts_requests(&self) -> bool {
        let is_connect = self.0.fault.requests.on == On::Connect;
        matches!(self.action(), Action::CutRequestAfter(_)) && !is_connect
    }

    /// What it does; every rule that a broker has does something.
    pub(crate) fn action(&self) -> &Action {
        self.0.fault.actions.first().unwrap_or(&Action::Pass)
    }

    /// Decides, and counts.
    pub(super) fn decide(&self, asked: &Asked<'_>, now: Instant) -> Decision {
        if !self.is_for(asked, now) {
            return Decision::NoMatch;
        }
        let mut tally = self.tally();
        tally.matched += 1;
        if !self.0.fault.which.hits(tally.matched, tally.hits) {
            return Decision::Spared;
        }
        tally.hits += 1;
        tally.messages += asked.messages();
        let number = tally.matched;
        drop(tally);
        self.0.changed.notify_all();
        Decision::Hit(number)
    }

    fn is_for(&self, asked: &Asked<'_>, now: Instant) -> bool {
        let fault = &self.0.fault;
        let is_meant = match fault.requests.on {
            On::Code(code) => asked.code.is_some_and(|asked| asked.0 == code),
            on => asked.on == Some(on),
        };
        let is_kind = fault.requests.kind.is_none_or(|kind| asked.kind() == Some(kind));
        let works = !asked.one_way || self.action().works_one_way(fault.after_store);
        is_meant && is_kind && works && self.lasts(now) && fault.place.fits(asked)
    }

    /// What is told of a topic in place of its route; `None`: that there is no such topic.
    pub(crate) fn told(
        &self,
        lie: &Lie,
        topic: &str,
        real: Option<TopicRoute>,
        now: Instant,
    ) -> Option<TopicRoute> {
        match lie {
            Lie::StaleBy(ago) => lock(&self.0.before).told(topic, real, now, *ago),
            lie => real.and_then(|route| lie.told(route)),
        }
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        lock(&self.0.tally)
    }
}

impl fmt::Debug for FaultRule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { matched, hits, messages } = *self.tally();
        out.debug_struct("FaultRule")
            .field("id", &self.0.id)
            .field("fault", &self.0.fault)
            .field("matched", &matched)
            .field("hits", &hits)
            .field("hit_messages", &messages)
            .finish()
    }
}

/// Ends a wait whose future is dropped: a runtime that ends would wait for its thread.
struct Cancel<'a> {
    rule: &'a FaultRule,
    flag: &'a Mutex<bool>,
}

impl Drop for Cancel<'_> {
    fn drop(&mut self) {
        let tally = self.rule.tally();
        *lock(self.flag) = true;
        drop(tally);
        self.rule.0.changed.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code that can panic runs under these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
