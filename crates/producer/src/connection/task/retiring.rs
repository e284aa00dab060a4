//! Connections whose server goes away (`GO_AWAY` of 5.x): what is on its way there is still
//! answered, while a new connection takes over.
//!
//! The outbox, the window and the order of messages stay where they are. A separate task reads what
//! is left and hands it over; what follows from it is decided as for the present connection.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;
use tokio_util::task::AbortOnDropHandle;

use super::endpoint::Endpoint;
use super::wire::Wire;
use super::{READ_BUFFER, SILENCE};
use crate::connection::mailbox::Mailbox;
use crate::connection::outgoing::Outgoing;
use crate::connection::task_order::{OldConnectionEvent, TaskOrder};

/// How often what has waited too long is looked for.
const TICK: Duration = Duration::from_millis(20);

/// A connection that retires.
pub(super) struct Retiring {
    number: u64,
    /// What is on its way there.
    pub(super) wire: Wire,
    /// Its socket goes with it.
    _reads: AbortOnDropHandle<()>,
}

impl Endpoint {
    /// The server goes away: nothing new is sent on this connection. It ends when all is answered.
    pub(super) fn retire<S>(&mut self, mut wire: Wire, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.failures = if wire.fruitful { 0 } else { self.failures + 1 };
        if self.orders_ended {
            // Messages hold their connection: none is on its way.
            return self.lost(&mut wire, "the server goes away");
        }
        wire.handed_over = wire.position();
        let requests = wire.pending.requests();
        tracing::debug!(address = %self.address, requests, "the server goes away");
        let (number, out) = (self.retired, std::mem::take(&mut wire.out));
        let mailbox = self.mailbox.clone();
        self.retired += 1;
        let reads =
            AbortOnDropHandle::new(tokio::spawn(read_the_rest(stream, out, number, mailbox)));
        self.retiring.push(Retiring { number, wire, _reads: reads });
    }

    /// Something came of a connection that retires.
    pub(super) fn take_old_event(&mut self, number: u64, event: OldConnectionEvent) {
        let Some(at) = self.retiring.iter().position(|one| one.number == number) else { return };
        let mut retiring = self.retiring.swap_remove(at);
        let wire = &mut retiring.wire;
        let ended = match event {
            OldConnectionEvent::Written(length) => {
                self.wrote(wire, length);
                None
            }
            OldConnectionEvent::Read(bytes, _handled) => {
                wire.input.unsplit(bytes);
                let ended = self.receive(wire).err();
                if !wire.pending.is_empty() {
                    wire.owed_since.get_or_insert(Instant::now());
                }
                ended
            }
            OldConnectionEvent::Tick => self.tick_retiring(wire, Instant::now()).err(),
            OldConnectionEvent::Ended(reason) => Some(reason),
        };
        if let Some(reason) = &ended {
            self.lost(wire, reason);
        }
        if ended.is_none() && !(wire.pending.is_empty() && wire.oneways.is_empty()) {
            self.retiring.push(retiring);
        }
    }

    fn tick_retiring(&mut self, wire: &mut Wire, now: Instant) -> Result<(), String> {
        self.expire_pending(wire, now);
        self.expire_oneways(wire, now);
        match wire.owed_since {
            Some(since) if now >= since + SILENCE => {
                Err("the server goes away and owes answers".into())
            }
            _ => Ok(()),
        }
    }

    /// Ends every message that is on its way over a connection that retires.
    pub(super) fn abandon_retiring(&mut self, reason: &str) {
        for Retiring { mut wire, .. } in std::mem::take(&mut self.retiring) {
            self.abandon_wire(&mut wire, reason);
            let counts = wire.pending.sent().map(|sent| sent.together());
            self.mailbox.done_with(counts.sum());
        }
    }
}

/// Writes what was to be written, and reads to the end.
async fn read_the_rest<S: AsyncRead + AsyncWrite>(
    stream: S,
    mut out: Outgoing,
    number: u64,
    mailbox: Arc<Mailbox>,
) {
    let tell = |event| mailbox.put(TaskOrder::Retired(number, event)).is_ok();
    let (mut reader, mut writer) = tokio::io::split(stream);
    let writing = async {
        let written = async {
            while !out.is_empty() {
                let length = writer.write_buf(&mut out).await?;
                tell(OldConnectionEvent::Written(length));
            }
            writer.flush().await
        };
        if let Err(error) = written.await {
            tell(OldConnectionEvent::Ended(error.to_string()));
        }
    };
    let reading = async {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut input = BytesMut::new();
        loop {
            input.reserve(READ_BUFFER);
            let event = tokio::select! {
                read = reader.read_buf(&mut input) => match read {
                    Ok(0) => OldConnectionEvent::Ended("the peer closed the connection".into()),
                    Ok(_) => {
                        let (taken, is_taken) = oneshot::channel();
                        tell(OldConnectionEvent::Read(input.split(), taken));
                        // An error, always: nothing is sent.
                        let _ = is_taken.await;
                        continue;
                    }
                    Err(error) => OldConnectionEvent::Ended(error.to_string()),
                },
                _ = ticks.tick() => OldConnectionEvent::Tick,
            };
            let ended = matches!(event, OldConnectionEvent::Ended(_));
            if !tell(event) || ended {
                return;
            }
        }
    };
    tokio::join!(writing, reading);
}
