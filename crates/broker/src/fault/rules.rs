//! The rules of a broker.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::asked::Asked;
use super::error::FaultError;
use super::rule::{Decision, FaultRule};
use super::{Action, Fault};

/// The rules of a broker, shared by the engine's thread, the connections and the application.
#[derive(Debug, Default)]
pub(crate) struct FaultRules {
    /// Whether there are any: all that is looked at while there are none.
    any: AtomicBool,
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
        self.any.store(true, Ordering::Release);
        Ok(rule)
    }

    /// Takes a rule out.
    pub(crate) fn remove(&self, id: u64) {
        let mut list = self.lock();
        list.rules.retain(|rule| rule.id() != id);
        self.any.store(!list.rules.is_empty(), Ordering::Release);
    }

    /// All rules, in their order.
    pub(crate) fn all(&self) -> Vec<FaultRule> {
        self.lock().rules.clone()
    }

    /// The rule that acts on what is asked, if one does. Rules that fit it count it, up to that one.
    pub(crate) fn hit(&self, asked: &Asked<'_>, now: Instant) -> Option<FaultRule> {
        let list = self.lock();
        let acts = |rule: &&FaultRule| {
            rule.decide(asked, now) == Decision::Hit && *rule.action() != Action::Pass
        };
        list.rules.iter().find(acts).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
