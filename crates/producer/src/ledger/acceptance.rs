//! Accepting: hop 1 of a send. A message is checked, gets its permit, its id and its deadline.

use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use super::Ledger;
use crate::accepted::{Accepted, Mode, Permit, Terms, sharing};
use crate::config::Config;
use crate::ledger::Phase;
use crate::message::batch;
use crate::message::content::Content;
use crate::message::validate;
use crate::message::wire_size::stored_bytes;
use crate::{ErrorKind, Message, SendError};

/// What a message takes of the bound beside its text: its place in tables, and its receipt.
const MESSAGE_OVERHEAD: usize = 256;

/// Whether there was room for a message at once.
pub(crate) enum Admission {
    Accepted(Arc<Accepted>),
    /// Boxed, because few sends need it: otherwise every send's future would have room for it.
    MustWait(Box<Unadmitted>),
}

/// A message, or a batch, that waits for room.
pub(crate) struct Unadmitted {
    content: Content,
    size: Size,
    mode: Mode,
    deadline: Instant,
}

/// How large a message or a batch is.
#[derive(Debug, Clone, Copy)]
struct Size {
    /// What it takes of the bounds.
    permit: Permit,
    /// Bytes that a broker stores.
    stored_bytes: usize,
}

impl Ledger {
    /// Whether a message would not even be accepted.
    pub(crate) fn would_reject(&self, message: &Message) -> bool {
        self.phase() != Phase::Open
            || validate::message(message, self.config.max_message_size).is_err()
    }

    /// Checks a message or a batch, takes its permit if there is room, and counts it as in flight.
    /// Its end wakes `waker`, or, when it had to wait for room, the caller that waits there.
    pub(crate) fn accept(
        &self,
        content: Content,
        mode: Mode,
        waker: Option<Waker>,
        timeout: Duration,
    ) -> Result<Admission, SendError> {
        if self.phase() != Phase::Open {
            return Err(closed(content));
        }
        #[cfg(feature = "opentelemetry")]
        let content = crate::message::trace_context::propagate(content);
        let mut content = content;
        let size = match self.check(&content) {
            Ok(bytes) => self.pack(&mut content, bytes),
            Err(reason) => return Err(self.reject(ErrorKind::Invalid, reason, content)),
        };
        let since = Instant::now();
        let deadline = since + timeout;
        Ok(match self.intake.try_take(size.permit) {
            true => Admission::Accepted(self.accepted(content, mode, waker, since, deadline, size)),
            false => Admission::MustWait(Box::new(Unadmitted { content, size, mode, deadline })),
        })
    }

    /// Takes the permit of a message or a batch that there was no room for, within its deadline.
    ///
    /// # Cancellation
    /// Nothing has happened yet when the future is dropped.
    pub(crate) async fn wait_for_room(
        &self,
        unadmitted: Box<Unadmitted>,
    ) -> Result<Arc<Accepted>, SendError> {
        let Unadmitted { size, mode, deadline, .. } = *unadmitted;
        let room = tokio::time::timeout_at(deadline.into(), self.intake.take(size.permit)).await;
        let content = unadmitted.content;
        match room {
            Ok(Ok(())) => Ok(self.accepted(content, mode, None, Instant::now(), deadline, size)),
            Ok(Err(_)) => Err(closed(content)),
            Err(_) => {
                let reason = "no room for the message before its deadline";
                Err(self.reject(ErrorKind::BufferFull, reason, content))
            }
        }
    }

    /// There is no room for a message, and it does not wait.
    pub(crate) fn no_room(&self, unadmitted: Unadmitted) -> SendError {
        self.reject(ErrorKind::BufferFull, "no room for the message now", unadmitted.content)
    }

    /// Compresses what is to be compressed, and says how large the content is.
    fn pack(&self, content: &mut Content, bytes: usize) -> Size {
        let Some(packed) = self.config.packing.pack(content) else {
            return self.size(content.count(), bytes, bytes);
        };
        let (packed_bytes, body_bytes) = (packed.bytes(), content.body_bytes());
        content.pack(packed);
        self.size(content.count(), bytes + packed_bytes, bytes - (body_bytes - packed_bytes))
    }

    /// Checks a message or a batch; gives the bytes that it has.
    fn check(&self, content: &Content) -> Result<usize, String> {
        let max_size = self.config.max_message_size;
        let mut bytes = validate::message(&content.first, max_size)?;
        for message in content.others() {
            // Should its topic be another one, the batch is refused for that.
            bytes += validate::beside_topic(message, max_size)?;
        }
        let mut beside = 0;
        if let Some(namespace) = &self.config.namespace {
            // As in Java it is the name on the wire that has a limit.
            validate::topic(&namespace.wrap(content.first.topic()))?;
            beside = namespace.bytes() * content.count();
        }
        batch::check(content, max_size.saturating_sub(beside))?;
        let bytes = if content.has_added() { content.sent_bytes() } else { bytes };
        Ok(bytes + beside)
    }

    /// How large messages are that keep this many bytes, and send this many. What is larger than a
    /// whole bound takes all of it.
    fn size(&self, count: usize, held: usize, sent: usize) -> Size {
        let Config { max_pending_messages, max_pending_bytes, .. } = self.config;
        let at_most = |value: usize, bound: usize| u32::try_from(value.min(bound));
        let permit = Permit {
            messages: at_most(count, max_pending_messages).unwrap_or(u32::MAX),
            bytes: at_most(held + MESSAGE_OVERHEAD * count, max_pending_bytes).unwrap_or(u32::MAX),
        };
        Size { permit, stored_bytes: stored_bytes(sent) }
    }

    fn accepted(
        &self,
        content: Content,
        mode: Mode,
        waker: Option<Waker>,
        since: Instant,
        deadline: Instant,
        size: Size,
    ) -> Arc<Accepted> {
        let Size { permit, stored_bytes } = size;
        let (epoch, id) = self.intake.accept(content.count());
        let terms = Terms {
            id,
            since,
            deadline,
            epoch,
            mode,
            sharing: sharing(&content, mode, stored_bytes, self.batch_bytes),
            stored_bytes: u32::try_from(stored_bytes).unwrap_or(u32::MAX),
            permit,
            waker,
        };
        Arc::new(Accepted::new(content, terms))
    }

    /// A message that is not even accepted counts as sent and not stored.
    pub(crate) fn reject(
        &self,
        kind: ErrorKind,
        reason: impl Into<String>,
        content: Content,
    ) -> SendError {
        self.counts.rejected.add(content.count());
        self.counts.not_stored.add(content.count());
        self.meters.rejected(kind, content.count());
        SendError::not_stored(kind, reason, content)
    }
}

fn closed(content: Content) -> SendError {
    SendError::not_stored(ErrorKind::Closed, "", content)
}
