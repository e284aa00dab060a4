//! What arrives on a connection: bytes to whole frames, which go to the engine's thread.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use posthaste_protocol::frame;
use tokio::io::{AsyncReadExt as _, ReadHalf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::server::TlsStream;

use super::cut::Cut;
use super::writer::Portion;
use super::{Ending, Session, Shared};
use crate::engine::SessionId;
use crate::engine_loop::{Event, Permits};
use crate::outbox::{End, Outbox};
use crate::seats::Seat;
use crate::wire::WireSide;

/// Bytes asked for by one read; what a connection holds while a frame of ordinary length arrives.
const READ_LENGTH: usize = 64 * 1024;
/// How many runs of frames of one connection may be on their way. Frames that come while the engine
/// commits are the next commit, and a sync takes the same time for a long commit as for a short one: there
/// should be room for all that a busy client has in flight, such as 1,024 messages of 1 KiB.
const RUNS_IN_FLIGHT: usize = 32;
/// A frame is complete this soon after its first byte.
const WHOLE_FRAME: Duration = Duration::from_secs(10);
/// A connection that says nothing for this long is closed. Clients send a heartbeat every 30 s.
const IDLE: Duration = Duration::from_secs(120);

/// Where a connection's bytes come from.
pub(super) enum Source<'a> {
    Plain(&'a TcpStream),
    Tls(&'a mut ReadHalf<TlsStream<TcpStream>>),
}

impl Source<'_> {
    /// Reads at most this many bytes into a buffer that, on a plain connection, exists only while there
    /// is something in it.
    async fn read(&mut self, buffer: &mut BytesMut, most: usize) -> io::Result<usize> {
        match self {
            Self::Tls(reader) => {
                buffer.reserve(READ_LENGTH);
                reader.read_buf(&mut buffer.limit(most)).await
            }
            Self::Plain(socket) => loop {
                socket.readable().await?;
                buffer.reserve(READ_LENGTH);
                match socket.try_read_buf(&mut (&mut *buffer).limit(most)) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    result => return result,
                }
            },
        }
    }
}

pub(super) struct Reader<'a> {
    source: Source<'a>,
    session: SessionId,
    port: u16,
    seat: &'a Seat,
    outbox: &'a Outbox,
    shared: &'a Shared,
    /// Whether it may stay: it has sent a request signed by an account, or no signatures are
    /// required.
    is_known: bool,
    /// Whether its requests are looked at.
    is_heard: bool,
    /// How many bytes may still come; `None`: any number.
    left: Option<usize>,
    cut: Cut,
    runs: Arc<Semaphore>,
    buffer: BytesMut,
    deadline: Instant,
    /// Room for a long frame, from its first bytes until it is done.
    long_frame: Option<OwnedSemaphorePermit>,
}

impl<'a> Reader<'a> {
    /// `deadline` is for the first frame.
    pub(super) fn new(source: Source<'a>, session: &Session<'a>, deadline: Instant) -> Self {
        let Session { id, port, seat, outbox, shared, ref welcome, .. } = *session;
        Self {
            source,
            session: id,
            port,
            seat,
            outbox,
            shared,
            is_known: shared.accounts.is_empty(),
            is_heard: welcome.is_heard,
            left: welcome.left,
            cut: Cut::default(),
            runs: Arc::new(Semaphore::new(RUNS_IN_FLIGHT)),
            buffer: BytesMut::new(),
            deadline,
            long_frame: None,
        }
    }

    pub(super) async fn run(mut self) -> Ending {
        loop {
            if let Err(ending) = self.step().await {
                return ending;
            }
        }
    }

    /// Reads once, and hands over what is complete.
    async fn step(&mut self) -> Result<(), Ending> {
        let was_empty = self.buffer.is_empty();
        let most = match self.left.is_some() || self.outbox.faults().any() {
            false => usize::MAX,
            true => self.pace().await?,
        };
        match timeout_at(self.deadline, self.source.read(&mut self.buffer, most)).await {
            Ok(Ok(0)) => return Err(Ending::Closed),
            Ok(Ok(length)) => self.left = self.left.map(|left| left.saturating_sub(length)),
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => return Err(Ending::TooSlow),
        }
        self.seat.heard();
        // A rule may have begun while it was awaited.
        self.wait_while_stopped().await;
        let is_cut = self.shared.rules.has_cuts() && self.cut_off();
        let any = self.take_whole().await?;
        if is_cut {
            return Err(Ending::ByRule(End::Reset));
        }
        self.deadline = match (any, self.buffer.is_empty()) {
            // A peer that has signed nothing yet has only the first frame's time for that.
            _ if !self.is_known => self.deadline,
            (_, true) => Instant::now() + IDLE,
            (true, false) => Instant::now() + WHOLE_FRAME,
            // A frame goes on; its time, or the first frame's, runs.
            (false, false) if was_empty => self.deadline.min(Instant::now() + WHOLE_FRAME),
            (false, false) => self.deadline,
        };
        self.make_room().await
    }

    /// Hands over the frames that are whole, if there are any.
    async fn take_whole(&mut self) -> Result<bool, Ending> {
        let whole = frame::whole_frames(&self.buffer, frame::MAX_FRAME)?;
        if whole == 0 {
            return Ok(false);
        }
        let frames = self.buffer.split_to(whole).freeze();
        self.outbox.wire().note(WireSide::Client, &frames);
        let mut refusals = BytesMut::new();
        let admitted = self.shared.accounts.admit(frames, &mut refusals)?;
        if !refusals.is_empty() {
            self.outbox.push(refusals);
        }
        self.is_known |= admitted.is_signed;
        match admitted.frames.is_empty() || !self.is_known || !self.is_heard {
            true => self.long_frame = None,
            false => self.hand_over(admitted.frames).await?,
        }
        Ok(true)
    }

    /// Waits as long as rules say before the next read; gives back how much that may read. A connection
    /// that is slow because of a rule has all the time that it needs.
    async fn pace(&mut self) -> Result<usize, Ending> {
        if self.left == Some(0) {
            return Err(Ending::ByRule(End::Reset));
        }
        self.wait_while_stopped().await;
        let left = self.left.unwrap_or(usize::MAX);
        let Some(rate) = self.outbox.faults().read_rate() else { return Ok(left) };
        let portion = Portion::at(rate);
        tokio::time::sleep(portion.pause).await;
        self.deadline = Instant::now() + IDLE;
        Ok(portion.length.min(left))
    }

    async fn wait_while_stopped(&mut self) {
        while let Some(rule) = self.outbox.faults().stops_reading() {
            rule.over().await;
            self.deadline = Instant::now() + IDLE;
        }
    }

    /// Whether a rule cuts a request off of which enough has come. What comes before it is left.
    fn cut_off(&mut self) -> bool {
        let cut = self.cut.place(&self.buffer, &self.shared.rules, self.port);
        if let Some(place) = cut {
            self.buffer.truncate(place);
        }
        cut.is_some()
    }

    /// Gives frames to the engine, unread: reading them where they are handled leaves their texts in
    /// place, and no thread frees memory that another one has allocated for a message. Waits while too much
    /// is on its way: the peer then notices that its bytes are not read.
    async fn hand_over(&mut self, frames: Bytes) -> Result<(), Ending> {
        let own = Arc::clone(&self.runs).acquire_owned().await;
        let all = Arc::clone(&self.shared.runs).acquire_owned().await;
        let (Ok(own), Ok(all)) = (own, all) else { return Err(Ending::Stopped) };
        let permits = Permits { _own: own, _all: all, _long_frame: self.long_frame.take() };
        let event = Event::Frames { session: self.session, frames, permits };
        self.shared.events.send(event).map_err(|_| Ending::Stopped)
    }

    /// Reserves room for a long frame that has begun, before more of it is read. Memory is taken
    /// only as its bytes arrive. Short frames need no room: a client that sends short ones is never
    /// held up by one that announces long ones.
    async fn make_room(&mut self) -> Result<(), Ending> {
        let declared = self.buffer.first_chunk::<4>().map_or(0, |l| u32::from_be_bytes(*l));
        if declared as usize <= READ_LENGTH || self.long_frame.is_some() {
            return Ok(());
        }
        let room = Arc::clone(&self.shared.long_frames).acquire_many_owned(declared);
        match timeout_at(self.deadline, room).await {
            Ok(permit) => {
                self.long_frame = permit.ok();
                Ok(())
            }
            Err(_) => Err(Ending::TooSlow),
        }
    }
}
