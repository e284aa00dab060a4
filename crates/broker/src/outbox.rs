//! What waits to be written to one connection.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::{Buf, BytesMut};
use posthaste_protocol::DecodeError;
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// Whoever reads so slowly that more than this waits for it is disconnected.
const MAX_PENDING: usize = 4 * 1024 * 1024;

/// Frames for one connection: the engine's thread puts them in, the connection's task writes them.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// Where the frames go in the end. The connection's task owns it: it closes when that ends.
    socket: Weak<TcpStream>,
    state: Mutex<State>,
    changed: Notify,
    breached: Notify,
}

/// Why a connection is closed before everything is written to it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Breach {
    #[error("the peer does not read what it has asked for")]
    Overflow,
    #[error("not the protocol: {0}")]
    Decode(DecodeError),
}

#[derive(Debug, Default)]
struct State {
    waiting: BytesMut,
    /// Bytes that are being written.
    in_write: usize,
    finished: bool,
    breach: Option<Breach>,
}

impl Outbox {
    /// The outbox of a connection.
    pub(crate) fn of(socket: &Arc<TcpStream>) -> Self {
        Self { socket: Arc::downgrade(socket), ..Self::default() }
    }

    /// Writes frames now, as far as the connection takes them and nothing waits before them. The
    /// rest is added. For who has little to write: to wake the connection's task costs more.
    pub(crate) fn write(&self, mut frames: BytesMut) {
        if let Some(socket) = self.socket.upgrade() {
            let state = self.lock();
            if state.waiting.is_empty() && state.in_write == 0 {
                // What is wrong with the connection shows again when the rest is written.
                let written = socket.try_write(&frames).unwrap_or(0);
                frames.advance(written);
            }
        }
        if !frames.is_empty() {
            self.push(frames);
        }
    }

    /// Adds frames. When too much waits already the connection is closed instead.
    pub(crate) fn push(&self, frames: BytesMut) {
        let mut state = self.lock();
        if state.waiting.len() + state.in_write > MAX_PENDING {
            drop(state);
            return self.break_off(Breach::Overflow);
        }
        match state.waiting.is_empty() {
            true => state.waiting = frames,
            false => state.waiting.extend_from_slice(&frames),
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Nothing more comes: the connection closes once it has written what waits.
    pub(crate) fn finish(&self) {
        self.lock().finished = true;
        self.changed.notify_one();
    }

    /// The connection closes at once.
    pub(crate) fn break_off(&self, why: Breach) {
        self.lock().breach = Some(why);
        self.breached.notify_one();
    }

    /// Everything that waits, as soon as there is something; `None` when nothing comes any more.
    /// What an earlier call gave counts as written.
    pub(crate) async fn take(&self) -> Option<BytesMut> {
        loop {
            {
                let mut state = self.lock();
                state.in_write = state.waiting.len();
                if !state.waiting.is_empty() {
                    return Some(std::mem::take(&mut state.waiting));
                }
                if state.finished {
                    return None;
                }
            }
            self.changed.notified().await;
        }
    }

    /// Whether something waits to be written.
    #[cfg(test)]
    pub(crate) fn has_waiting(&self) -> bool {
        !self.lock().waiting.is_empty()
    }

    /// Waits until the connection is to be closed at once.
    pub(crate) async fn breach(&self) -> Breach {
        loop {
            self.breached.notified().await;
            if let Some(why) = self.lock().breach.take() {
                return why;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
