//! One connection: bytes to requests, answers to bytes. One task, which reads and writes at once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use bytes::BytesMut;
use posthaste_protocol::{Command, DecodeError, Frame, Incoming, frame};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::engine::{Request, SessionId};
use crate::outbox::Outbox;
use crate::turn::{Event, Permits};

/// Bytes asked for by one read; what a connection holds while a frame of ordinary length arrives.
const READ_LENGTH: usize = 64 * 1024;
/// The longest header. Properties may be 32 KiB, and JSON escapes can make them six times as long.
const MAX_HEADER: usize = 256 * 1024;
/// The most fields that a header has.
const MAX_FIELDS: usize = 256;
/// How many requests are handed over at once at the most.
const MAX_BATCH: usize = 256;
/// How many batches of one connection may be on their way. What has come while the engine commits
/// is the next commit: with fewer, many small requests in flight would make many small commits.
const BATCHES_IN_FLIGHT: usize = 8;
/// The first frame is there so soon after the connection.
const FIRST_FRAME: Duration = Duration::from_secs(5);
/// A frame is complete so soon after its first byte.
const WHOLE_FRAME: Duration = Duration::from_secs(10);
/// A connection that says nothing for so long is closed. Clients send a heartbeat every 30 s.
const IDLE: Duration = Duration::from_secs(120);

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
enum Ending {
    #[error("the peer has closed it")]
    Closed,
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("not the protocol: {0}")]
    Decode(#[from] DecodeError),
    #[error("nothing, or only part of a frame, has come for too long")]
    TooSlow,
    #[error("the peer does not read what it has asked for")]
    Overflow,
    #[error("the broker has stopped")]
    Stopped,
}

/// What all connections of a broker share.
#[derive(Clone)]
pub(crate) struct Shared {
    /// To the engine's thread.
    pub(crate) events: Sender<Event>,
    /// One permit for each batch that may be on its way, all connections together.
    pub(crate) batches: Arc<Semaphore>,
    /// Room for frames that are longer than one read, in bytes, all connections together.
    pub(crate) long_frames: Arc<Semaphore>,
}

/// Serves one connection until it ends.
pub(crate) async fn serve(
    mut socket: TcpStream,
    peer: SocketAddr,
    session: SessionId,
    shared: Shared,
) {
    let outbox = Arc::new(Outbox::default());
    let opened = Event::Opened { session, peer: ipv4(peer), outbox: Arc::clone(&outbox) };
    if shared.events.send(opened).is_err() {
        return;
    }
    // Answers are small and wanted at once.
    let _ = socket.set_nodelay(true);
    let (reader, writer) = socket.split();
    let ending = tokio::select! {
        ending = Reader::new(reader, session, &shared).run() => ending,
        ending = write(writer, &outbox) => ending,
        () = outbox.overflow() => Ending::Overflow,
    };
    tracing::debug!(%peer, session = session.0, %ending, "connection ends");
    let _ = shared.events.send(Event::Closed(session));
}

/// Some clients can read nothing but IPv4 addresses in stored messages.
fn ipv4(peer: SocketAddr) -> SocketAddr {
    match peer.ip().to_canonical() {
        std::net::IpAddr::V4(ip) => SocketAddr::from((ip, peer.port())),
        std::net::IpAddr::V6(_) => SocketAddr::from(([127, 0, 0, 1], peer.port())),
    }
}

async fn write(mut socket: WriteHalf<'_>, outbox: &Outbox) -> Ending {
    while let Some(frames) = outbox.take().await {
        if let Err(error) = socket.write_all(&frames).await {
            return error.into();
        }
    }
    Ending::Stopped
}

struct Reader<'a> {
    socket: ReadHalf<'a>,
    session: SessionId,
    shared: &'a Shared,
    batches: Arc<Semaphore>,
    buffer: BytesMut,
    deadline: Instant,
    /// Room for a long frame, from its first bytes until it is done.
    long_frame: Option<OwnedSemaphorePermit>,
}

impl<'a> Reader<'a> {
    fn new(socket: ReadHalf<'a>, session: SessionId, shared: &'a Shared) -> Self {
        Self {
            socket,
            session,
            shared,
            batches: Arc::new(Semaphore::new(BATCHES_IN_FLIGHT)),
            buffer: BytesMut::new(),
            deadline: Instant::now() + FIRST_FRAME,
            long_frame: None,
        }
    }

    async fn run(mut self) -> Ending {
        loop {
            if let Err(ending) = self.step().await {
                return ending;
            }
        }
    }

    /// Reads once, and hands over what is complete.
    async fn step(&mut self) -> Result<(), Ending> {
        let was_empty = self.buffer.is_empty();
        match timeout_at(self.deadline, self.read()).await {
            Ok(Ok(0)) => return Err(Ending::Closed),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => return Err(Ending::TooSlow),
        }
        let mut any = false;
        loop {
            let before = self.buffer.len();
            let requests = self.take_requests()?;
            any |= self.buffer.len() < before;
            if requests.is_empty() {
                break;
            }
            self.hand_over(requests).await?;
        }
        self.deadline = match (any, self.buffer.is_empty()) {
            (_, true) => Instant::now() + IDLE,
            (true, false) => Instant::now() + WHOLE_FRAME,
            // A frame goes on; its time, or the first frame's, runs.
            (false, false) if was_empty => self.deadline.min(Instant::now() + WHOLE_FRAME),
            (false, false) => self.deadline,
        };
        self.make_room().await
    }

    /// Reads into a buffer that exists only while there is something in it.
    async fn read(&mut self) -> std::io::Result<usize> {
        loop {
            self.socket.readable().await?;
            self.buffer.reserve(READ_LENGTH);
            match self.socket.try_read_buf(&mut self.buffer) {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
    }

    /// Takes the next complete frames off the buffer. Answers of the peer are passed over: nothing
    /// that it is told wants one.
    fn take_requests(&mut self) -> Result<Vec<Request>, DecodeError> {
        let mut requests = Vec::new();
        while requests.len() < MAX_BATCH {
            let Some(frame) = Frame::take(&mut self.buffer, frame::MAX_FRAME)? else { break };
            if frame.header.len() > MAX_HEADER {
                return Err(DecodeError::Header(format!("{} bytes", frame.header.len())));
            }
            let command = Command::decode(frame)?;
            if command.fields.len() > MAX_FIELDS {
                return Err(DecodeError::Header(format!("{} fields", command.fields.len())));
            }
            if !command.is_answer() {
                requests.push(Request {
                    opaque: command.opaque,
                    oneway: command.is_oneway(),
                    incoming: Incoming::read(&command),
                });
            }
        }
        Ok(requests)
    }

    /// Gives requests to the engine. Waits while too much is on its way: the peer then notices
    /// that its bytes are not read.
    async fn hand_over(&mut self, requests: Vec<Request>) -> Result<(), Ending> {
        let own = Arc::clone(&self.batches).acquire_owned().await;
        let all = Arc::clone(&self.shared.batches).acquire_owned().await;
        let (Ok(own), Ok(all)) = (own, all) else { return Err(Ending::Stopped) };
        let permits = Permits { _own: own, _all: all, _long_frame: self.long_frame.take() };
        let event = Event::Requests { session: self.session, requests, permits };
        self.shared.events.send(event).map_err(|_| Ending::Stopped)
    }

    /// Reserves room for a long frame that has begun, before more of it is read. Memory is taken
    /// only as its bytes arrive. Short frames need no room: who sends those is never held up by
    /// who announces long ones.
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
