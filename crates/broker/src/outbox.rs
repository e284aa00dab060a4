//! What waits to be written to one connection.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use posthaste_protocol::DecodeError;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::fault::LineFaults;
use crate::wire::{WireSide, WireTap};

/// A client that reads so slowly that more than this waits for it is disconnected.
const MAX_PENDING: usize = 4 * 1024 * 1024;

/// Frames for one connection: the engine's thread puts them in, and the connection's task writes what
/// that does not write itself.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// Where the frames go in the end. The connection's task owns it: it closes when that ends.
    socket: Weak<TcpStream>,
    state: Mutex<State>,
    changed: Notify,
    breached: Notify,
    wire: WireTap,
    faults: LineFaults,
}

/// Why a connection is closed before everything is written to it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Breach {
    #[error("the peer does not read what it has asked for")]
    Overflow,
    #[error("not the protocol: {0}")]
    Decode(DecodeError),
}

/// What is written to a connection.
#[derive(Debug)]
pub(crate) enum Piece {
    /// Frames.
    Frames(BytesMut),
    /// A frame that is written at this many bytes a second.
    Trickle(BytesMut, u32),
    /// The connection ends.
    End(End),
}

/// How a connection ends that nothing is wrong with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It is closed.
    Close,
    /// It is reset.
    Reset,
    /// It is closed this much later.
    CloseAfter(Duration),
}

impl Piece {
    fn length(&self) -> usize {
        match self {
            Self::Frames(frames) | Self::Trickle(frames, _) => frames.len(),
            // Something is being written.
            Self::End(_) => 1,
        }
    }
}

#[derive(Debug, Default)]
struct State {
    waiting: BytesMut,
    /// What waits behind that, because it is not written like other frames, or comes after such a piece.
    behind: VecDeque<Piece>,
    /// Bytes that are being written.
    in_write: usize,
    finished: bool,
    breach: Option<Breach>,
}

impl Outbox {
    /// The outbox of a connection.
    pub(crate) fn of(socket: &Arc<TcpStream>, wire: WireTap) -> Self {
        Self { socket: Arc::downgrade(socket), wire, ..Self::default() }
    }

    /// The outbox of a connection to which its task alone can write.
    pub(crate) fn without_socket(wire: WireTap) -> Self {
        Self { wire, ..Self::default() }
    }

    /// What rules do to the connection as a whole.
    pub(crate) fn faults(&self) -> &LineFaults {
        &self.faults
    }

    /// What the connection tells the wire log by.
    pub(crate) fn wire(&self) -> &WireTap {
        &self.wire
    }

    /// Writes frames now, as far as the connection takes them and nothing waits before them. The
    /// rest is added. To wake the connection's task would cost more.
    pub(crate) fn write(&self, mut frames: BytesMut) {
        self.wire.note(WireSide::Broker, &frames);
        let state = self.lock();
        if state.waiting.is_empty()
            && state.in_write == 0
            && state.behind.is_empty()
            && !self.faults.any()
            && let Some(socket) = self.socket.upgrade()
        {
            // What is wrong with the connection shows again when the rest is written.
            let written = socket.try_write(&frames).unwrap_or(0);
            frames.advance(written);
        }
        if !frames.is_empty() {
            // Under the same lock, so that no other frame comes in between the parts of one.
            self.add(state, frames);
        }
    }

    /// Adds frames. When too much waits already the connection is closed instead.
    pub(crate) fn push(&self, frames: BytesMut) {
        self.wire.note(WireSide::Broker, &frames);
        self.add(self.lock(), frames);
    }

    /// Adds a piece that is written in its turn.
    pub(crate) fn push_piece(&self, piece: Piece) {
        match piece {
            Piece::Frames(frames) => self.push(frames),
            piece => {
                if let Piece::Trickle(frame, _) = &piece {
                    self.wire.note(WireSide::Broker, frame);
                }
                self.lock().behind.push_back(piece);
                self.changed.notify_one();
            }
        }
    }

    fn add(&self, mut state: MutexGuard<'_, State>, frames: BytesMut) {
        let later: usize = state.behind.iter().map(Piece::length).sum();
        if state.waiting.len() + state.in_write + later > MAX_PENDING {
            drop(state);
            return self.break_off(Breach::Overflow);
        }
        let State { waiting, behind, .. } = &mut *state;
        match behind.back_mut() {
            Some(Piece::Frames(last)) => last.extend_from_slice(&frames),
            Some(_) => behind.push_back(Piece::Frames(frames)),
            None if waiting.is_empty() => *waiting = frames,
            None => waiting.extend_from_slice(&frames),
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

    /// What waits next, as soon as there is something: frames mostly, and all that wait; `None` when
    /// nothing comes any more. What an earlier call gave counts as written.
    pub(crate) async fn take(&self) -> Option<Piece> {
        loop {
            {
                let mut state = self.lock();
                state.in_write = state.waiting.len();
                if !state.waiting.is_empty() {
                    return Some(Piece::Frames(std::mem::take(&mut state.waiting)));
                }
                if let Some(piece) = state.behind.pop_front() {
                    state.in_write = piece.length();
                    return Some(piece);
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
        let state = self.lock();
        !state.waiting.is_empty() || !state.behind.is_empty()
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

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;

    /// What is written at once and what waits, taken in turns, arrives in its order also when the
    /// peer reads so late that the connection takes no more.
    #[tokio::test]
    async fn what_is_written_at_once_never_overtakes_what_waits() {
        let (mut client, socket) = connected().await;
        let outbox = Outbox::of(&socket, WireTap::default());
        let mut expected = Vec::new();
        for n in 0..60_000u32 {
            let frame = BytesMut::from(&n.to_be_bytes().repeat(16)[..]);
            expected.extend_from_slice(&frame);
            match n % 3 {
                0 => outbox.push(frame),
                _ => outbox.write(frame),
            }
            if n % 1_000 == 1 && outbox.lock().waiting.len() < 2_000_000 {
                // The connection's task gets as far as it can without a reader.
                let Some(Piece::Frames(mut frames)) = outbox.take().await else {
                    panic!("nothing waits")
                };
                let written = socket.try_write(&frames).unwrap_or(0);
                frames.advance(written);
                outbox.put_back(frames);
            }
        }
        outbox.finish();
        let write = async {
            while let Some(Piece::Frames(mut frames)) = outbox.take().await {
                while !frames.is_empty() {
                    socket.writable().await.expect("writable");
                    frames.advance(socket.try_write(&frames).unwrap_or(0));
                }
            }
        };
        let mut arrived = vec![0; expected.len()];
        let (_, read) = tokio::join!(write, client.read_exact(&mut arrived));
        read.expect("everything");
        assert!(arrived == expected, "the order is another one");
    }

    /// The engine's thread is not alone: a connection's task refuses requests that no client may
    /// make.
    #[tokio::test]
    async fn nothing_comes_in_between_the_parts_of_a_frame() {
        const LARGE: usize = 300_000;
        const FRAMES: usize = 200;
        let (client, socket) = connected().await;
        let outbox = Arc::new(Outbox::of(&socket, WireTap::default()));
        let small = Arc::clone(&outbox);
        let refusing = std::thread::spawn(move || {
            while !small.lock().finished {
                small.push(BytesMut::from(&b"s"[..]));
                std::thread::yield_now();
            }
        });
        let mut read = vec![0; 1 << 20];
        let mut in_frame = 0;
        for n in 0..FRAMES {
            outbox.write(BytesMut::from(&[b'L'; LARGE][..]));
            if n + 1 == FRAMES {
                outbox.finish();
            }
            while let Some(Piece::Frames(mut frames)) = tokio::select! {
                biased;
                frames = outbox.take() => frames,
                () = std::future::ready(()) => None,
            } {
                while !frames.is_empty() {
                    frames.advance(socket.try_write(&frames).unwrap_or(0));
                    let length = client.try_read(&mut read).unwrap_or(0);
                    for byte in &read[..length] {
                        match byte {
                            b'L' => in_frame = (in_frame + 1) % LARGE,
                            _ => assert_eq!(in_frame, 0, "a frame is torn"),
                        }
                    }
                    tokio::task::yield_now().await;
                }
            }
        }
        refusing.join().expect("the other thread");
    }

    #[tokio::test]
    async fn what_comes_behind_a_trickle_waits_for_it() {
        let outbox = Outbox::default();
        let frames = |text: &str| BytesMut::from(text.as_bytes());
        outbox.push(frames("a"));
        outbox.push_piece(Piece::Trickle(frames("slow"), 1));
        outbox.push(frames("b"));
        outbox.push(frames("c"));
        outbox.push_piece(Piece::End(End::Close));
        let mut taken = Vec::new();
        for _ in 0..4 {
            taken.push(match outbox.take().await {
                Some(Piece::Frames(frames)) => String::from_utf8_lossy(&frames).into_owned(),
                Some(piece) => format!("{piece:?}"),
                None => "nothing".to_owned(),
            });
        }
        assert_eq!(taken, ["a", r#"Trickle(b"slow", 1)"#, "bc", "End(Close)"]);
    }

    async fn connected() -> (TcpStream, Arc<TcpStream>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let address = listener.local_addr().expect("address");
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (client, (socket, _)) = (client.expect("connect"), accepted.expect("accept"));
        socket.writable().await.expect("writable");
        (client, Arc::new(socket))
    }

    impl Outbox {
        /// Undoes a [`take`](Self::take) whose frames could not all be written.
        fn put_back(&self, mut frames: BytesMut) {
            let mut state = self.lock();
            frames.extend_from_slice(&state.waiting);
            (state.waiting, state.in_write) = (frames, 0);
        }
    }
}
