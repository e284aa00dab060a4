//! What connections tell the client.

use std::sync::Arc;

use posthaste_protocol::{Command, DecodeError};

use super::Client;
use crate::accepted::Accepted;
use crate::connection::WayBack;
use crate::connection::attempt_failure::AttemptFailure;
use crate::connection::events::Events;
use crate::connection::outbox::OpenAttempt;

/// Made for each connection: the pool has none, or a client would keep itself alive.
struct ToClient(Arc<Client>);

impl Client {
    /// What a new connection is given.
    pub(crate) fn events(self: &Arc<Self>) -> Arc<dyn Events> {
        Arc::new(ToClient(self.clone()))
    }
}

impl Events for ToClient {
    fn attempt_failed(
        &self,
        messages: Vec<OpenAttempt>,
        behind: Vec<OpenAttempt>,
        failed: &AttemptFailure,
    ) {
        self.0.after_failed_attempt(messages, behind, failed);
    }

    fn may_follow(&self, next: Vec<Arc<Accepted>>) {
        self.0.let_follow(next);
    }

    fn route_in_doubt(&self, topic: &Arc<str>) {
        self.0.watch.doubt(topic);
    }

    fn broker_left_out(&self) {
        self.0.left_out.notify_one();
    }

    fn transaction_asked(&self, way_back: WayBack, request: &Command) {
        self.0.take_check(way_back, request);
    }

    fn reply_came(&self, request: &Command) -> Result<(), DecodeError> {
        self.0.take_reply(request)
    }
}
