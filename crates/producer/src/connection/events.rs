//! What a connection's task reports to the client.

use std::sync::Arc;

use posthaste_protocol::{Command, DecodeError};

use super::WayBack;
use super::attempt_failure::AttemptFailure;
use crate::accepted::Accepted;
use crate::connection::outbox::OpenAttempt;

/// What comes of a connection beyond the ends of messages, which go to the ledger.
///
/// It is handed in when a connection is made. A plain send that is stored calls none of it.
pub(crate) trait Events: Send + Sync {
    /// The attempt that these messages shared has failed; others wait `behind` them.
    fn attempt_failed(
        &self,
        messages: Vec<OpenAttempt>,
        behind: Vec<OpenAttempt>,
        failed: &AttemptFailure,
    );

    /// What was before these messages in their lane has ended.
    fn may_follow(&self, next: Vec<Arc<Accepted>>);

    /// The route of a topic may be out of date.
    fn route_in_doubt(&self, topic: &Arc<str>);

    /// A broker is left out for its health.
    fn broker_left_out(&self);

    /// A broker asks what became of a transaction.
    fn transaction_asked(&self, way_back: WayBack, request: &Command);

    /// A broker hands over the reply to a request.
    fn reply_came(&self, request: &Command) -> Result<(), DecodeError>;
}
