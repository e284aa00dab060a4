//! Ends: of a connect that fails, of a connection, of the time to close.

use std::sync::Arc;
use std::time::{Duration, Instant};

use posthaste_protocol::request::UnregisterClient;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::endpoint::Endpoint;
use super::wire::Wire;
use crate::accepted::Accepted;
use crate::connection::attempt_failure::{AttemptEnd, AttemptFailure};
use crate::connection::dial::{NoConnection, Stream};
use crate::connection::outbox::{self, OpenAttempt};
use crate::connection::outgoing::Outgoing;
use crate::connection::pending::{Asker, Sent};
use crate::connection::{CallError, Peer};
use crate::{ErrorKind, Outcome};

/// How long the peer may take to read one-way messages, whose end is not reported, if closing has
/// that much time.
const GOODBYE: Duration = Duration::from_millis(500);

impl Endpoint {
    /// The address cannot be reached: what waits for it looks for another way.
    pub(super) fn unreachable(&mut self, error: NoConnection) {
        let NoConnection { kind, ref reason, ref cause, for_good } = error;
        tracing::debug!(address = %self.address, reason, "cannot connect");
        self.failures += 1;
        self.load.connect_failed();
        for call in self.calls.drain(..) {
            let (address, reason) = (self.address.clone(), reason.clone());
            let cause = cause.clone();
            call.fail(|| match kind {
                ErrorKind::Tls => CallError::Tls { address, reason, for_good, cause },
                ErrorKind::Untrusted => CallError::Untrusted { address, reason },
                _ => CallError::Connect { address, reason, cause },
            });
        }
        let failed = AttemptFailure {
            cause: cause.clone(),
            refresh_route: true,
            ended: if for_good { AttemptEnd::NoTrust } else { AttemptEnd::Unsent },
            ..AttemptFailure::unsent(kind, reason)
        };
        self.no_connection = Some(error);
        let waiting = self.outbox.drain();
        self.report_failure(waiting, &failed);
    }

    /// The connection is gone. What was in flight may have been stored, unless not a byte of it
    /// had been written; what waits goes on waiting for the next connection.
    pub(super) fn lost(&mut self, wire: &mut Wire, reason: &str) {
        tracing::debug!(address = %self.address, reason, "connection ended");
        for asker in wire.pending.drain() {
            match asker {
                Asker::Messages(sent) => self.lost_request(wire, sent, reason),
                Asker::Call(caller) => {
                    let (address, reason) = (self.address.clone(), reason.to_owned());
                    let cause = wire.broken_by.clone();
                    // The caller may have stopped waiting.
                    let _ = caller.send(Err(match wire.no_trust {
                        true => CallError::Tls { address, reason, for_good: true, cause },
                        false => CallError::Lost { address, reason, cause },
                    }));
                }
                Asker::Probe { .. } | Asker::Heartbeat => {}
            }
        }
        self.lost_oneways(wire, reason);
    }

    /// One-way messages that were not written. A request that was cut short is no request: it was
    /// not stored.
    fn lost_oneways(&mut self, wire: &mut Wire, reason: &str) {
        let (ended, mut lost): (Vec<_>, Vec<_>) =
            std::mem::take(&mut wire.oneways).into_iter().partition(|one| one.given_up);
        self.mailbox.done_with(ended.len());
        self.requests_over(ended.into_iter().map(|one| one.attempt.accepted));
        // Messages of a queue together, or what waits behind the first would overtake the others.
        lost.sort_by_key(|one| one.queue);
        while let Some(queue) = lost.first().map(|one| one.queue) {
            let others = lost.split_off(lost.partition_point(|one| one.queue == queue));
            let mut failed = wire.failure_of(queue, reason);
            if lost.iter().any(|one| one.ends_at <= wire.may_be_read()) {
                failed.outcome = Outcome::Unknown;
                failed.ended = AttemptEnd::Unanswered;
            }
            let messages = lost.into_iter().map(|one| one.attempt).collect();
            self.report_failed_request(messages, &failed);
            lost = others;
        }
    }

    /// The broker did not answer as it should have.
    pub(super) fn unanswered(&self) {
        if self.load.health.unanswered(&self.ledger.config().avoidance, Instant::now()) {
            self.events.broker_left_out();
        }
    }

    fn lost_request(&mut self, wire: &Wire, mut sent: Sent, reason: &str) {
        self.unblock(sent.blocks.take());
        self.mailbox.done_with(sent.given_up());
        let held = sent.holding();
        let mut failed = wire.failure_of(sent.queue, reason);
        if sent.starts_at < wire.may_be_read() && !wire.no_trust {
            self.unanswered();
            failed.outcome = Outcome::Unknown;
            failed.ended = AttemptEnd::Unanswered;
        }
        let messages: Vec<OpenAttempt> = sent.open().collect();
        for refused_batch in messages.iter().filter_map(|attempt| attempt.refused_batch.as_ref()) {
            refused_batch.failed();
        }
        self.report_failed_request(messages, &failed);
        self.requests_over(held);
    }

    /// Closing has run out of time: every message ends now. What is not written yet ends as not
    /// stored, so it must not be written any more.
    pub(super) fn abandon(&mut self, wire: &mut Wire, reason: &str) {
        let waiting = self.outbox.drain();
        self.mailbox.done_with(outbox::count(&waiting));
        for attempt in waiting {
            self.fail(&attempt.accepted, ErrorKind::Closed, reason);
        }
        self.abandon_wire(wire, reason);
        self.abandon_retiring(reason);
    }

    /// As [`abandon`](Self::abandon), of what is on its way over the connection.
    pub(super) fn abandon_wire(&mut self, wire: &mut Wire, reason: &str) {
        if !wire.out.is_empty() {
            wire.out.clear();
            wire.cut = true;
        }
        let mut all: Vec<Arc<Accepted>> = Vec::new();
        for sent in wire.pending.sent() {
            for accepted in sent.messages.iter().map(|attempt| &attempt.accepted) {
                if sent.starts_at >= wire.may_be_read() {
                    accepted.returned_to_line();
                }
                all.push(accepted.clone());
            }
        }
        let oneways = std::mem::take(&mut wire.oneways);
        self.mailbox.done_with(oneways.len());
        for one in oneways {
            if one.ends_at > wire.may_be_read() {
                // Not written, or cut short: not stored either way.
                one.attempt.accepted.returned_to_line();
            }
            all.push(one.attempt.accepted);
        }
        for accepted in &all {
            self.fail(accepted, ErrorKind::Closed, reason);
        }
        self.requests_over(all);
    }

    /// Unregisters. What was written one-way is read by the peer before the socket goes, or it could be
    /// reset away; all else was answered, or is known not to be.
    pub(super) async fn say_goodbye(&mut self, wire: &mut Wire, stream: Stream) {
        // What is left in the buffer is written here, so it may be stored.
        wire.handed_over = wire.position();
        if self.peer == Peer::Broker && !wire.cut {
            let unregister = UnregisterClient {
                client_id: self.ledger.id().to_owned(),
                producer_group: Some(self.ledger.config().group.to_string()),
                consumer_group: None,
            };
            let opaque = wire.pending.next_opaque();
            self.ledger.config().seal.put(wire.out.text(), opaque, false, &unregister);
        }
        let latest = Instant::now() + GOODBYE;
        let until = self.leave_by.map_or(latest, |at| at.min(latest));
        let (out, until_read) = (&mut wire.out, wire.told_oneway);
        let goodbye = async {
            match stream {
                Stream::Plain(stream) => finish(stream, out, until_read).await,
                #[cfg(feature = "tls")]
                Stream::Tls(stream) => finish(stream, out, until_read).await,
            }
        };
        // Courtesy: the broker notices a closed connection anyway.
        let _ = tokio::time::timeout_at(until.into(), goodbye).await;
    }
}

/// Writes the last bytes, and may wait until the peer has read them: it closes too then.
async fn finish(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    out: &mut Outgoing,
    until_read: bool,
) -> std::io::Result<()> {
    stream.write_all_buf(out).await?;
    stream.shutdown().await?;
    let mut rest = [0; 1024];
    while until_read && stream.read(&mut rest).await? > 0 {}
    Ok(())
}
