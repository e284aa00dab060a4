//! One connection: bytes to frames, answers to bytes. One task, which reads and writes at once.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, SystemTime};

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
use crate::fault::{Action, Asked, FaultRule, FaultRules, GARBAGE};
use crate::outbox::{Breach, End, Outbox, Piece};
use crate::seats::Seat;
use crate::wire::{LineInfo, WireLog, WireSide};

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

/// How long a peer may take to hear that its connection was closed.
const PARTING: Duration = Duration::from_secs(1);

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
    #[error("a fault rule ends it")]
    ByRule(End),
}

/// What all connections of a broker share.
#[derive(Clone)]
pub(crate) struct Shared {
    /// To the engine's thread.
    pub(crate) events: Sender<Event>,
    /// Where the broker misbehaves on purpose.
    pub(crate) rules: Arc<FaultRules>,
    /// What goes over connections, as long as it is asked for.
    pub(crate) wire: Arc<WireLog>,
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
    let port = socket.local_addr().map_or(0, |address| address.port());
    let welcome = match shared.rules.is_empty() {
        true => Welcome::Heard,
        false => welcome(&socket, port, &shared.rules).await,
    };
    let is_heard = match welcome {
        Welcome::Heard => true,
        Welcome::Unheard => false,
        Welcome::Ended(end) => return part(socket, end).await,
    };
    let begun = Instant::now();
    let connected_at = SystemTime::now();
    let tap = |is_encrypted| {
        let (id, address) = (session.0, ipv4(peer));
        shared.wire.connect(LineInfo { id, address, port, is_encrypted, connected_at })
    };
    let (outbox, ending);
    match encrypted(socket, begun + FIRST_FRAME, shared.encryption.as_ref()).await {
        Ok(Wire::Plain(socket)) => {
            let socket = Arc::new(socket);
            outbox = Arc::new(Outbox::of(&socket, tap(false)));
            let writing = write(&socket, &outbox);
            let outbox = &outbox;
            let session =
                Session { id: session, peer, port, is_heard, seat, begun, outbox, shared };
            ending = session.run(Source::Plain(&socket), writing).await;
            match (&ending, Arc::into_inner(socket)) {
                (Ending::ByRule(end), Some(socket)) => part(socket, *end).await,
                _ => ending,
            }
        }
        Ok(Wire::Tls(stream)) => {
            let (mut reader, mut writer) = tokio::io::split(*stream);
            // Its bytes are not the frames': no other part can write them.
            outbox = Arc::new(Outbox::without_socket(tap(true)));
            let writing = write_encrypted(&mut writer, &outbox);
            let outbox = &outbox;
            let session =
                Session { id: session, peer, port, is_heard, seat, begun, outbox, shared };
            ending = session.run(Source::Tls(&mut reader), writing).await;
            match ending {
                Ending::ByRule(end) => part(reader.unsplit(writer).into_inner().0, end).await,
                ending => ending,
            }
        }
        Err(ending) => ending,
    }
}

/// How a connection begins.
enum Welcome {
    /// Its requests are answered.
    Heard,
    /// What comes on it is not looked at.
    Unheard,
    /// It ends before anything is read.
    Ended(End),
}

/// Asks the fault rules about a new connection.
async fn welcome(socket: &TcpStream, port: u16, rules: &FaultRules) -> Welcome {
    let rule = rules.hit(&Asked::connect(port), std::time::Instant::now());
    match rule.as_ref().map(FaultRule::action) {
        Some(Action::NoAnswer) => Welcome::Unheard,
        Some(Action::Close) => Welcome::Ended(End::Close),
        Some(Action::Reset) => Welcome::Ended(End::Reset),
        Some(Action::Garbage) => {
            let _ = socket.try_write(&GARBAGE);
            Welcome::Ended(End::Close)
        }
        Some(Action::Delay(time)) => {
            tokio::time::sleep(*time).await;
            Welcome::Heard
        }
        _ => Welcome::Heard,
    }
}

/// Ends a connection as a rule says.
async fn part(mut socket: TcpStream, end: End) -> Ending {
    match end {
        End::Reset => drop(socket.set_zero_linger()),
        End::Close => {
            // To close a connection with unread bytes resets it, and the peer may lose what was written last.
            let close = async {
                socket.shutdown().await?;
                tokio::io::copy(&mut socket, &mut tokio::io::sink()).await
            };
            drop(timeout_at(Instant::now() + PARTING, close).await);
        }
    }
    Ending::ByRule(end)
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
    port: u16,
    is_heard: bool,
    seat: &'a Seat,
    begun: Instant,
    outbox: &'a Arc<Outbox>,
    shared: &'a Shared,
}

impl Session<'_> {
    async fn run(self, source: Source<'_>, writing: impl Future<Output = Ending>) -> Ending {
        let Self { id, peer, port, is_heard, seat, begun, outbox, shared } = self;
        let outbox_of = Arc::clone(outbox);
        let opened = Event::Opened { session: id, peer: ipv4(peer), port, outbox: outbox_of };
        if shared.events.send(opened).is_err() {
            return Ending::Stopped;
        }
        let _closes = Closes(id, shared);
        let reader = Reader {
            is_heard,
            ..Reader::new(source, id, seat, begun + FIRST_FRAME, outbox, shared)
        };
        let ending = tokio::select! {
            ending = reader.run() => ending,
            ending = writing => ending,
            breach = outbox.breach() => Ending::Breach(breach),
        };
        outbox.wire().end(&ending);
        ending
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
    while let Some(piece) = outbox.take().await {
        let written = match piece {
            Piece::Frames(frames) => write_all(socket, frames).await,
            Piece::Trickle(mut frame, rate) => {
                let mut drops = Drops::at(rate);
                loop {
                    match write_all(socket, drops.next(&mut frame).await).await {
                        Ok(()) if !frame.is_empty() => {}
                        written => break written,
                    }
                }
            }
            Piece::End(end) => return Ending::ByRule(end),
        };
        if let Err(error) = written {
            return error.into();
        }
    }
    Ending::Stopped
}

async fn write_all(socket: &TcpStream, mut frames: BytesMut) -> io::Result<()> {
    while !frames.is_empty() {
        socket.writable().await?;
        match socket.try_write(&frames) {
            Ok(written) => frames.advance(written),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn write_encrypted(writer: &mut WriteHalf<TlsStream<TcpStream>>, outbox: &Outbox) -> Ending {
    while let Some(piece) = outbox.take().await {
        let written = match piece {
            Piece::Frames(frames) => write_all_encrypted(writer, frames).await,
            Piece::Trickle(mut frame, rate) => {
                let mut drops = Drops::at(rate);
                loop {
                    match write_all_encrypted(writer, drops.next(&mut frame).await).await {
                        Ok(()) if !frame.is_empty() => {}
                        written => break written,
                    }
                }
            }
            Piece::End(end) => return Ending::ByRule(end),
        };
        if let Err(error) = written {
            return error.into();
        }
    }
    // Says that nothing was cut off; a peer that is gone need not hear it.
    let _ = writer.shutdown().await;
    Ending::Stopped
}

async fn write_all_encrypted(
    writer: &mut WriteHalf<TlsStream<TcpStream>>,
    mut frames: BytesMut,
) -> io::Result<()> {
    writer.write_all_buf(&mut frames).await?;
    writer.flush().await
}

/// The parts of a frame that is written slowly, each in its time.
struct Drops {
    length: usize,
    pause: Duration,
}

impl Drops {
    /// As many bytes a second, in twenty parts or byte by byte.
    fn at(bytes_per_second: u32) -> Self {
        let rate = bytes_per_second.max(1);
        let length = (rate / 20).max(1);
        Self {
            length: length as usize,
            pause: Duration::from_secs_f64(f64::from(length) / f64::from(rate)),
        }
    }

    async fn next(&mut self, frame: &mut BytesMut) -> BytesMut {
        tokio::time::sleep(self.pause).await;
        frame.split_to(self.length.min(frame.len()))
    }
}

/// Where a connection's bytes come from.
enum Source<'a> {
    Plain(&'a TcpStream),
    Tls(&'a mut ReadHalf<TlsStream<TcpStream>>),
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
    /// Whether its requests are looked at.
    is_heard: bool,
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
            is_heard: true,
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
