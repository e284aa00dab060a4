//! One connection: bytes to frames, answers to bytes. One task, which reads and writes at once.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use posthaste_protocol::{DecodeError, frame};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::server::TlsStream;

use crate::accounts::Accounts;
use crate::encryption::{Encryption, Wire};
use crate::engine::SessionId;
use crate::engine_loop::{Event, Permits};
use crate::outbox::{Breach, Outbox};
use crate::seats::Seat;

/// Bytes asked for by one read; what a connection holds while a frame of ordinary length arrives.
const READ_LENGTH: usize = 64 * 1024;
/// How many runs of frames of one connection may be on their way. What has come while the engine
/// commits is the next commit, and to sync it takes the same time however long it is: there should
/// be room for what a busy client has in flight, such as 1,024 messages of 1 KiB.
const RUNS_IN_FLIGHT: usize = 32;
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
    Io(#[from] io::Error),
    #[error("not the protocol: {0}")]
    Decode(#[from] DecodeError),
    #[error("nothing, or only part of a frame, has come for too long")]
    TooSlow,
    #[error("{0}")]
    Breach(Breach),
    #[error("its place is needed for another one")]
    SentAway,
    #[error("the broker has stopped")]
    Stopped,
}

/// What all connections of a broker share.
#[derive(Clone)]
pub(crate) struct Shared {
    /// To the engine's thread.
    pub(crate) events: Sender<Event>,
    /// Who may use the broker.
    pub(crate) accounts: Arc<Accounts>,
    /// What encrypted connections need; `None`: there are only plain ones.
    pub(crate) encryption: Option<Encryption>,
    /// One permit for each run of frames that may be on its way, all connections together.
    pub(crate) runs: Arc<Semaphore>,
    /// Room for frames that are longer than one read, in bytes, all connections together.
    pub(crate) long_frames: Arc<Semaphore>,
}

/// Serves one connection until it ends, or its seat is wanted for another one.
pub(crate) async fn serve(
    socket: TcpStream,
    peer: SocketAddr,
    seat: Seat,
    session: SessionId,
    shared: Shared,
) {
    let ending = tokio::select! {
        ending = run(socket, peer, &seat, session, &shared) => ending,
        () = seat.wanted() => Ending::SentAway,
    };
    tracing::debug!(%peer, session = session.0, %ending, "connection ends");
}

async fn run(
    socket: TcpStream,
    peer: SocketAddr,
    seat: &Seat,
    session: SessionId,
    shared: &Shared,
) -> Ending {
    // Answers are small and wanted at once.
    let _ = socket.set_nodelay(true);
    let begun = Instant::now();
    match encrypted(socket, begun + FIRST_FRAME, shared.encryption.as_ref()).await {
        Ok(Wire::Plain(socket)) => {
            let socket = Arc::new(socket);
            let outbox = Arc::new(Outbox::of(&socket));
            let writing = write(&socket, &outbox);
            let session = Session { id: session, peer, seat, begun, outbox: &outbox, shared };
            session.run(Source::Plain(&socket), writing).await
        }
        Ok(Wire::Tls(stream)) => {
            let (reader, writer) = tokio::io::split(*stream);
            // Its bytes are not the frames': no other part can write them.
            let outbox = Arc::new(Outbox::default());
            let writing = write_encrypted(writer, &outbox);
            let session = Session { id: session, peer, seat, begun, outbox: &outbox, shared };
            session.run(Source::Tls(reader), writing).await
        }
        Err(ending) => ending,
    }
}

/// Waits until it is clear whether a connection is encrypted, and until it is.
async fn encrypted(
    socket: TcpStream,
    deadline: Instant,
    encryption: Option<&Encryption>,
) -> Result<Wire, Ending> {
    match encryption {
        None => Ok(Wire::Plain(socket)),
        Some(encryption) => match timeout_at(deadline, encryption.accept(socket)).await {
            Ok(wire) => Ok(wire?),
            Err(_) => Err(Ending::TooSlow),
        },
    }
}

/// A connection that the engine knows of, until it ends.
struct Session<'a> {
    id: SessionId,
    peer: SocketAddr,
    seat: &'a Seat,
    begun: Instant,
    outbox: &'a Arc<Outbox>,
    shared: &'a Shared,
}

impl Session<'_> {
    async fn run(self, source: Source<'_>, writing: impl Future<Output = Ending>) -> Ending {
        let Self { id, peer, seat, begun, outbox, shared } = self;
        let opened = Event::Opened { session: id, peer: ipv4(peer), outbox: Arc::clone(outbox) };
        if shared.events.send(opened).is_err() {
            return Ending::Stopped;
        }
        let _closes = Closes(id, shared);
        let reader = Reader::new(source, id, seat, begun + FIRST_FRAME, outbox, shared);
        tokio::select! {
            ending = reader.run() => ending,
            ending = writing => ending,
            breach = outbox.breach() => Ending::Breach(breach),
        }
    }
}

/// Tells the engine that a connection has ended, also when its task is cut off.
struct Closes<'a>(SessionId, &'a Shared);

impl Drop for Closes<'_> {
    fn drop(&mut self) {
        let _ = self.1.events.send(Event::Closed(self.0));
    }
}

/// Some clients can read nothing but IPv4 addresses in stored messages.
fn ipv4(peer: SocketAddr) -> SocketAddr {
    match peer.ip().to_canonical() {
        std::net::IpAddr::V4(ip) => SocketAddr::from((ip, peer.port())),
        std::net::IpAddr::V6(_) => SocketAddr::from(([127, 0, 0, 1], peer.port())),
    }
}

async fn write(socket: &TcpStream, outbox: &Outbox) -> Ending {
    while let Some(mut frames) = outbox.take().await {
        while !frames.is_empty() {
            if let Err(error) = socket.writable().await {
                return error.into();
            }
            match socket.try_write(&frames) {
                Ok(written) => frames.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return error.into(),
            }
        }
    }
    Ending::Stopped
}

async fn write_encrypted(mut writer: WriteHalf<TlsStream<TcpStream>>, outbox: &Outbox) -> Ending {
    while let Some(mut frames) = outbox.take().await {
        let written = async {
            writer.write_all_buf(&mut frames).await?;
            writer.flush().await
        };
        if let Err(error) = written.await {
            return error.into();
        }
    }
    // Says that nothing was cut off; a peer that is gone need not hear it.
    let _ = writer.shutdown().await;
    Ending::Stopped
}

/// Where a connection's bytes come from.
enum Source<'a> {
    Plain(&'a TcpStream),
    Tls(ReadHalf<TlsStream<TcpStream>>),
}

impl Source<'_> {
    /// Reads into a buffer that, on a plain connection, exists only while there is something in it.
    async fn read(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        match self {
            Self::Tls(reader) => {
                buffer.reserve(READ_LENGTH);
                reader.read_buf(buffer).await
            }
            Self::Plain(socket) => loop {
                socket.readable().await?;
                buffer.reserve(READ_LENGTH);
                match socket.try_read_buf(buffer) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    result => return result,
                }
            },
        }
    }
}

struct Reader<'a> {
    source: Source<'a>,
    session: SessionId,
    seat: &'a Seat,
    outbox: &'a Outbox,
    shared: &'a Shared,
    /// Whether it may stay: it has sent a request signed by an account, or no signatures are
    /// required.
    is_known: bool,
    runs: Arc<Semaphore>,
    buffer: BytesMut,
    deadline: Instant,
    /// Room for a long frame, from its first bytes until it is done.
    long_frame: Option<OwnedSemaphorePermit>,
}

impl<'a> Reader<'a> {
    fn new(
        source: Source<'a>,
        session: SessionId,
        seat: &'a Seat,
        deadline: Instant,
        outbox: &'a Outbox,
        shared: &'a Shared,
    ) -> Self {
        Self {
            source,
            session,
            seat,
            outbox,
            shared,
            is_known: shared.accounts.is_empty(),
            runs: Arc::new(Semaphore::new(RUNS_IN_FLIGHT)),
            buffer: BytesMut::new(),
            deadline,
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
        match timeout_at(self.deadline, self.source.read(&mut self.buffer)).await {
            Ok(Ok(0)) => return Err(Ending::Closed),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => return Err(Ending::TooSlow),
        }
        self.seat.heard();
        let whole = frame::whole_frames(&self.buffer, frame::MAX_FRAME)?;
        let any = whole > 0;
        if any {
            let frames = self.buffer.split_to(whole).freeze();
            let mut refusals = BytesMut::new();
            let admitted = self.shared.accounts.admit(frames, &mut refusals)?;
            if !refusals.is_empty() {
                self.outbox.push(refusals);
            }
            self.is_known |= admitted.is_signed;
            match admitted.frames.is_empty() || !self.is_known {
                true => self.long_frame = None,
                false => self.hand_over(admitted.frames).await?,
            }
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

    /// Gives frames to the engine, unread: reading them where they are handled leaves their texts in
    /// place, and one thread frees what another one has allocated for no message. Waits while too much is on its way: the peer then notices
    /// that its bytes are not read.
    async fn hand_over(&mut self, frames: Bytes) -> Result<(), Ending> {
        let own = Arc::clone(&self.runs).acquire_owned().await;
        let all = Arc::clone(&self.shared.runs).acquire_owned().await;
        let (Ok(own), Ok(all)) = (own, all) else { return Err(Ending::Stopped) };
        let permits = Permits { _own: own, _all: all, _long_frame: self.long_frame.take() };
        let event = Event::Frames { session: self.session, frames, permits };
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
