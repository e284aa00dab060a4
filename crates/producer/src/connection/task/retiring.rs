//! Connections whose server goes away (`GO_AWAY` of 5.x): what is on its way there is still
//! answered, while a new connection takes over.
//!
//! The outbox, the window and the order of messages stay where they are. A separate task reads what
//! is left and hands it over; what follows from it is decided as if the connection were the present
//! one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;
use tokio_util::task::AbortOnDropHandle;

use super::link::Link;
use super::{READ_BUFFER, SILENCE, Task};
use crate::connection::mailbox::Mailbox;
use crate::connection::outgoing::Outgoing;
use crate::connection::pending::Pending;
use crate::connection::task_order::{OldConnectionEvent, TaskOrder};

/// How often what has waited too long is looked for.
const TICK: Duration = Duration::from_millis(20);

/// A connection that retires.
pub(super) struct Retiring {
    number: u64,
    link: Link,
    pending: Pending,
    /// Its socket goes with it.
    _reads: AbortOnDropHandle<()>,
}

impl Retiring {
    /// What is on its way there.
    pub(super) fn pending(&self) -> &Pending {
        &self.pending
    }
}

impl Task {
    /// The server goes away: nothing new is sent on this connection. It ends when all is answered.
    pub(super) fn retire<S>(&mut self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.failures = if self.link.fruitful { 0 } else { self.failures + 1 };
        if self.orders_ended {
            // Messages hold their connection: none is on its way.
            return self.lost("the server goes away");
        }
        let mut link = std::mem::replace(&mut self.link, Link::new(Instant::now()));
        link.handed_over = link.position();
        let pending = std::mem::take(&mut self.pending);
        tracing::debug!(address = %self.address, requests = pending.requests(), "the server goes away");
        let (number, out) = (self.retired, std::mem::take(&mut link.out));
        let mailbox = self.mailbox.clone();
        self.retired += 1;
        let reads =
            AbortOnDropHandle::new(tokio::spawn(read_the_rest(stream, out, number, mailbox)));
        self.retiring.push(Retiring { number, link, pending, _reads: reads });
    }

    /// Something came of a connection that retires.
    pub(super) fn take_old_event(&mut self, number: u64, event: OldConnectionEvent) {
        let Some(at) = self.retiring.iter().position(|one| one.number == number) else { return };
        let mut retiring = self.retiring.swap_remove(at);
        self.swap(&mut retiring);
        let ended = match event {
            OldConnectionEvent::Written(length) => {
                self.wrote(length);
                None
            }
            OldConnectionEvent::Read(bytes, _handled) => {
                self.link.input.unsplit(bytes);
                let ended = self.receive().err();
                if !self.pending.is_empty() {
                    self.link.owed_since.get_or_insert(Instant::now());
                }
                ended
            }
            OldConnectionEvent::Tick => self.tick_retiring(Instant::now()).err(),
            OldConnectionEvent::Ended(reason) => Some(reason),
        };
        if let Some(reason) = &ended {
            self.lost(reason);
        }
        let goes_on = ended.is_none() && !(self.pending.is_empty() && self.link.oneways.is_empty());
        self.swap(&mut retiring);
        if goes_on {
            self.retiring.push(retiring);
        }
    }

    fn tick_retiring(&mut self, now: Instant) -> Result<(), String> {
        self.expire_pending(now);
        self.expire_oneways(now);
        match self.link.owed_since {
            Some(since) if now >= since + SILENCE => {
                Err("the server goes away and owes answers".into())
            }
            _ => Ok(()),
        }
    }

    /// Ends every message that is on its way over a connection that retires.
    pub(super) fn abandon_retiring(&mut self, reason: &str) {
        for mut retiring in std::mem::take(&mut self.retiring) {
            self.swap(&mut retiring);
            self.abandon_link(reason);
            let counts = self.pending.sent().map(|sent| sent.together());
            self.mailbox.done_with(counts.sum());
            self.swap(&mut retiring);
        }
    }

    /// Takes a retiring connection for the present one, or back.
    fn swap(&mut self, retiring: &mut Retiring) {
        std::mem::swap(&mut self.link, &mut retiring.link);
        std::mem::swap(&mut self.pending, &mut retiring.pending);
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
