//! A connection to one address: the handle that everybody shares.
//!
//! Behind it stands one task that owns the socket ([`task`]). Callers only queue orders; whatever
//! they drop, no half frame is ever written.

pub(crate) mod answer;
pub(crate) mod attempt;
pub(crate) mod attempt_failure;
mod course;
pub(crate) mod dial;
pub(crate) mod events;
mod health;
mod hold;
pub(crate) mod load;
mod mailbox;
pub(crate) mod outbox;
pub(crate) mod outgoing;
pub(crate) mod pause;
mod pending;
pub(crate) mod pool;
pub(crate) mod refused_batch;
pub(crate) mod send_memo;
pub(crate) mod target;
mod task;
mod task_order;
pub(crate) mod window;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use posthaste_protocol::{Command, DecodeError, Request, ResponseCode};
use tokio::sync::oneshot;

use self::load::{BrokerLoad, Load};
use self::mailbox::Mailbox;
use self::outbox::OpenAttempt;
pub(crate) use self::task_order::{Call, CallError, Peer, TaskOrder};
use crate::observers::counts::BrokerStats;

#[cfg(feature = "bench")]
pub(crate) use pending::operation as pending_operation;

/// The shared handle of a connection; it is dialled when first needed, and again when lost.
#[derive(Debug)]
pub(crate) struct Connection {
    address: Arc<str>,
    mailbox: Arc<Mailbox>,
    load: Arc<Load>,
}

impl Connection {
    /// One that no task has to do with.
    #[cfg(test)]
    pub(crate) fn to_nobody(address: &str) -> Self {
        Self { address: address.into(), mailbox: Arc::default(), load: Arc::new(Load::new()) }
    }

    pub(crate) fn address(&self) -> &Arc<str> {
        &self.address
    }

    pub(crate) fn load(&self) -> &Load {
        &self.load
    }

    /// What is known of it to who looks for a broker.
    pub(crate) fn snapshot(&self) -> BrokerLoad {
        BrokerLoad { backlog: self.mailbox.backlog(), left_out: self.load.is_left_out() }
    }

    /// The protocol version of the broker (`MQVersion` ordinal), once it has answered a heartbeat.
    /// Behind a proxy it is the proxy's.
    pub(crate) fn broker_version(&self) -> Option<i32> {
        Some(self.load.version.load(Ordering::Relaxed)).filter(|version| *version != 0)
    }

    /// Queues a message; gives it back when the task has ended.
    pub(crate) fn send(&self, attempt: OpenAttempt) -> Result<(), OpenAttempt> {
        match self.mailbox.put(TaskOrder::Send(attempt)) {
            Err(TaskOrder::Send(attempt)) => Err(attempt),
            _ => Ok(()),
        }
    }

    /// Queues messages in one go; gives them back when the task has ended.
    pub(crate) fn send_all(&self, group: Vec<OpenAttempt>) -> Result<(), Vec<OpenAttempt>> {
        match self.mailbox.put(TaskOrder::SendAll(group)) {
            Err(TaskOrder::SendAll(group)) => Err(group),
            _ => Ok(()),
        }
    }

    /// A caller took back a message that may wait here.
    pub(crate) fn withdrawn(&self) {
        let withdrawn = self.load.withdrawn.fetch_add(1, Ordering::Relaxed) + 1;
        if withdrawn > 64 && withdrawn * 2 > self.mailbox.backlog() {
            self.load.withdrawn.store(0, Ordering::Relaxed);
            self.order(TaskOrder::Sweep);
        }
    }

    /// Tells the task something.
    pub(crate) fn order(&self, order: TaskOrder) {
        // The task ends when the producer or the runtime does; then no caller is left to tell.
        let _ = self.mailbox.put(order);
    }

    /// Asks, and awaits the answer until `deadline`.
    ///
    /// # Errors
    /// Any answer but code 0 is an error.
    pub(crate) async fn call<R: Request>(
        &self,
        request: &R,
        deadline: Instant,
    ) -> Result<R::Answer, CallError> {
        let answer = self.call_raw(request, deadline).await?;
        if answer.response_code() != ResponseCode::SUCCESS {
            return Err(CallError::Refused {
                address: self.address.clone(),
                code: answer.response_code(),
                remark: answer.remark.unwrap_or_default(),
            });
        }
        answer.read::<R::Answer>().map_err(|error| self.garbled(error))
    }

    /// As [`call`](Self::call), with any code of the answer. A server that goes away is asked
    /// once more, by a new connection: there may be another one at its address.
    pub(crate) async fn call_raw<R: Request>(
        &self,
        request: &R,
        deadline: Instant,
    ) -> Result<Command, CallError> {
        match self.ask(request, deadline).await {
            Ok(answer) if answer.response_code() == ResponseCode::GO_AWAY => {
                self.ask(request, deadline).await
            }
            answer => answer,
        }
    }

    async fn ask<R: Request>(&self, request: &R, deadline: Instant) -> Result<Command, CallError> {
        let (answer, receiver) = oneshot::channel();
        let call = Call { command: Command::of(request, 0), answer: Some(answer) };
        self.order(TaskOrder::Call(Box::new(call)));
        match tokio::time::timeout_at(deadline.into(), receiver).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => {
                let reason = "the producer has ended".into();
                Err(CallError::Lost { address: self.address.clone(), reason, cause: None })
            }
            Err(_) => Err(CallError::Timeout { address: self.address.clone() }),
        }
    }

    pub(crate) fn garbled(&self, error: DecodeError) -> CallError {
        CallError::Garbled { address: self.address.clone(), error }
    }

    pub(crate) fn stats(&self) -> BrokerStats {
        let backlog = self.mailbox.backlog();
        let in_flight = self.load.in_flight.load(Ordering::Relaxed);
        BrokerStats {
            address: self.address.to_string(),
            version: self.broker_version(),
            window: self.load.window.load(Ordering::Relaxed),
            in_flight: self.load.requests.load(Ordering::Relaxed),
            messages_in_flight: in_flight,
            waiting: backlog.saturating_sub(in_flight),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.mailbox.end();
    }
}

/// The way back to a peer that has asked something: to the task of its connection, which it keeps
/// from nothing, not even from ending.
#[derive(Debug, Clone)]
pub(crate) struct WayBack {
    pub(crate) address: Arc<str>,
    mailbox: Arc<Mailbox>,
}

impl WayBack {
    /// Sends a request without wanting an answer; `false`, and nothing `before` it, when no task is
    /// left that could. Should the connection break, it is lost.
    pub(crate) fn tell<R: Request>(&self, request: &R, before: impl FnOnce()) -> bool {
        if !self.mailbox.is_open() {
            return false;
        }
        before();
        let command = Command::of(request, 0).oneway();
        self.mailbox.put(TaskOrder::Call(Box::new(Call { command, answer: None }))).is_ok()
    }
}
