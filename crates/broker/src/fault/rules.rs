//! The rules of a broker.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::asked::Asked;
use super::error::FaultError;
use super::rule::{Decision, FaultHit, FaultRule};
use super::{Action, Fault};

/// The rules of a broker, shared by the engine's thread, the connections and the application.
#[derive(Debug, Default)]
pub(crate) struct FaultRules {
    /// Whether there are any: all that is looked at while there are none.
    any: AtomicBool,
    /// Whether there are any that cut requests off.
    any_cuts: AtomicBool,
    list: Mutex<List>,
}

#[derive(Debug, Default)]
struct List {
    rules: Vec<FaultRule>,
    last: u64,
}

impl FaultRules {
    /// Whether there is no rule.
    pub(crate) fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Acquire)
    }

    /// Adds a rule behind the others.
    ///
    /// # Errors
    /// When it makes no sense.
    pub(crate) fn add(self: &Arc<Self>, fault: Fault) -> Result<FaultRule, FaultError> {
        fault.check()?;
        let mut list = self.lock();
        list.last += 1;
        let rule = FaultRule::new(list.last, fault, Arc::downgrade(self));
        list.rules.push(rule.clone());
        self.note(&list);
        Ok(rule)
    }

    /// Takes a rule out.
    pub(crate) fn remove(&self, id: u64) {
        let mut list = self.lock();
        for rule in list.rules.extract_if(.., |rule| rule.id() == id) {
            rule.note_removed();
        }
        self.note(&list);
    }

    fn note(&self, list: &List) {
        self.any.store(!list.rules.is_empty(), Ordering::Release);
        let cuts = list.rules.iter().any(FaultRule::cuts_requests);
        self.any_cuts.store(cuts, Ordering::Release);
    }

    /// Whether a rule cuts requests off.
    pub(crate) fn has_cuts(&self) -> bool {
        self.any_cuts.load(Ordering::Acquire)
    }

    /// All rules, in their order.
    pub(crate) fn all(&self) -> Vec<FaultRule> {
        self.lock().rules.clone()
    }

    /// The rule that acts on what is asked, if one does. Rules that fit it count it, up to that one. Rules
    /// that cut requests off are asked by [`cut`](Self::cut).
    pub(crate) fn hit(&self, asked: &Asked<'_>, now: Instant) -> Option<FaultHit> {
        let list = self.lock();
        let acts = |rule: &FaultRule| match rule.decide(asked, now) {
            Decision::Hit(number) if *rule.action() != Action::Pass => {
                Some(FaultHit { rule: rule.clone(), number })
            }
            _ => None,
        };
        list.rules.iter().filter(|rule| !rule.cuts_requests()).find_map(acts)
    }

    /// After how many of its bytes a request is cut off, if it is.
    pub(crate) fn cut(&self, asked: &Asked<'_>, now: Instant) -> Option<usize> {
        let list = self.lock();
        let cuts = |rule: &&FaultRule| {
            rule.cuts_requests() && matches!(rule.decide(asked, now), Decision::Hit(_))
        };
        match list.rules.iter().find(cuts)?.action() {
            Action::CutRequestAfter(bytes) => Some(*bytes),
            _ => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::fault::On;

    #[test]
    fn each_connection_is_delayed_by_another_time_the_same_ones_in_every_run() {
        let ms = Duration::from_millis;
        let delays = || {
            let rules = Arc::new(FaultRules::default());
            let slow =
                Fault::on(On::Connect).with_probability(1.0, 7).delay(ms(200)).jitter(ms(50));
            rules.add(slow).expect("a rule");
            let hit = |_| rules.hit(&Asked::connect(1), Instant::now()).expect("a hit").delay();
            (0..3).map(hit).collect::<Vec<_>>()
        };
        let times: Vec<_> = delays().iter().map(Duration::as_micros).collect();
        assert_eq!(times, [203_510, 211_493, 163_410]);
        assert_eq!(delays(), delays());
    }
}
