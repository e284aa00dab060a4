//! Observers of sends: interceptors, and the message trace.
//!
//! They hang on at two places: where an attempt begins, and where a message ends or an attempt fails.
//! A producer without them pays a look at an empty place.

pub(crate) mod counts;
#[cfg_attr(not(feature = "metrics"), path = "observers/meters/off.rs")]
pub(crate) mod meters;
pub(crate) mod span;
pub(crate) mod trace;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::slice;
use std::sync::Arc;

use posthaste_protocol::Properties;

use self::trace::{Recalled, Trace};
use crate::accepted::{Accepted, End};
use crate::config::Config;
use crate::config::discovery::Discovery;
use crate::config::interceptor::{Interceptor, SendAttempt, TransactionEnd};
use crate::message::batch;
use crate::message::content::Content;
use crate::{Attempt, ErrorKind, Receipt};

pub(crate) struct Observers {
    interceptors: Vec<Arc<dyn Interceptor>>,
    trace: Option<Trace>,
    /// The largest batch that a caller may make, in bytes.
    max_message_size: usize,
}

/// Why an attempt does not take place.
pub(crate) struct Stopped {
    pub(crate) kind: ErrorKind,
    pub(crate) reason: String,
}

/// Where messages were stored, for all of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoredAt<'a> {
    /// Address of the broker.
    pub(crate) address: &'a str,
    /// Whether the broker wants traces of it.
    pub(crate) trace_on: bool,
}

impl Observers {
    /// `None` without observers.
    pub(crate) fn of(config: &Config, trace: Option<Trace>) -> Option<Box<Self>> {
        let interceptors = config.interceptors.clone();
        let nobody = interceptors.is_empty() && trace.is_none();
        let max_message_size = config.max_message_size;
        (!nobody).then(|| Box::new(Self { interceptors, trace, max_message_size }))
    }

    /// These name servers are asked from now on.
    pub(crate) fn discover(&self, discovery: Discovery) {
        if let Some(trace) = &self.trace {
            trace.discover(discovery);
        }
    }

    /// An attempt is about to begin: interceptors may add properties to its messages, or veto it.
    pub(crate) fn attempt_begins(
        &self,
        accepted: &Accepted,
        broker: &str,
        address: &str,
    ) -> Result<(), Stopped> {
        if self.interceptors.is_empty() {
            return Ok(());
        }
        // A copy: no lock is held while code of the application runs.
        let Some((number, mut content)) = accepted.begin_attempt() else { return Ok(()) };
        let mut added = content.added();
        for ((message, id), added) in content.messages().zip(accepted.ids()).zip(&mut added) {
            self.ask(SendAttempt { message, id, broker, address, number, added })?;
        }
        if added.iter().all(Properties::is_empty) {
            return Ok(());
        }
        content.add(added.clone());
        let too_large = |reason| Stopped { kind: ErrorKind::Invalid, reason };
        batch::check_size(&content, self.max_message_size).map_err(too_large)?;
        accepted.add(added);
        Ok(())
    }

    fn ask(&self, mut attempt: SendAttempt<'_>) -> Result<(), Stopped> {
        for interceptor in &self.interceptors {
            if let Some(Err(reason)) = contained(|| interceptor.before_attempt(&mut attempt)) {
                return Err(Stopped { kind: ErrorKind::Vetoed, reason });
            }
        }
        Ok(())
    }

    /// A message, or a batch, was stored.
    pub(crate) fn stored(&self, accepted: &Accepted, end: &End, at: StoredAt<'_>) {
        let receipts: &[Receipt] = match end {
            End::Stored(receipt) => slice::from_ref(receipt),
            End::BatchStored(receipts) => receipts,
            End::Written | End::Failed(_) => return,
        };
        if let Some(trace) = self.trace.as_ref().filter(|_| at.trace_on) {
            let _ = accepted.with_content(|content| {
                for (entry, receipt) in content.entries().zip(receipts) {
                    trace.stored(accepted, entry, receipt, at.address);
                }
            });
        }
        let Some(content) = self.content_for_interceptors(accepted) else { return };
        for (message, receipt) in content.messages().zip(receipts) {
            self.tell(|interceptor| interceptor.stored(message, receipt));
        }
    }

    /// A one-way message was written.
    pub(crate) fn written(&self, accepted: &Accepted) {
        let Some(content) = self.content_for_interceptors(accepted) else { return };
        for (message, id) in content.messages().zip(accepted.ids()) {
            self.tell(|interceptor| interceptor.written(message, id.as_str()));
        }
    }

    /// An attempt of a message, or a batch, has failed.
    pub(crate) fn attempt_failed(&self, accepted: &Accepted, attempt: &Attempt) {
        let Some(content) = self.content_for_interceptors(accepted) else { return };
        for (message, id) in content.messages().zip(accepted.ids()) {
            self.tell(|interceptor| interceptor.attempt_failed(message, id.as_str(), attempt));
        }
    }

    /// A transaction is about to end.
    pub(crate) fn transaction_ends(&self, end: &TransactionEnd<'_>) {
        if let Some(trace) = &self.trace {
            trace.transaction_ends(end);
        }
        self.tell(|interceptor| interceptor.transaction_ends(end));
    }

    /// A broker has answered to a recall.
    pub(crate) fn recalled(&self, recalled: Recalled<'_>) {
        if let Some(trace) = &self.trace {
            trace.recalled(recalled);
        }
    }

    pub(crate) fn trace(&self) -> Option<&Trace> {
        self.trace.as_ref()
    }

    /// A copy of what is sent, unless there is no interceptor to show it to, or it has ended.
    fn content_for_interceptors(&self, accepted: &Accepted) -> Option<Content> {
        if self.interceptors.is_empty() { None } else { accepted.with_content(Content::clone) }
    }

    fn tell(&self, tell: impl Fn(&dyn Interceptor)) {
        for interceptor in &self.interceptors {
            contained(|| tell(&**interceptor));
        }
    }
}

/// Runs code of the application; `None` when it panicked.
fn contained<T>(code: impl FnOnce() -> T) -> Option<T> {
    let result = catch_unwind(AssertUnwindSafe(code));
    if result.is_err() {
        tracing::error!("an interceptor panicked; its message goes on");
    }
    result.ok()
}
