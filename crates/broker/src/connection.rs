//! One connection: bytes to frames (`reader`), answers to bytes (`writer`). One task, which reads and
//! writes at once.

mod cut;
mod reader;
mod writer;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, SystemTime};

use posthaste_protocol::DecodeError;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use self::reader::{Reader, Source};
use self::writer::Writer;
use crate::accounts::Accounts;
use crate::encryption::{Encryption, Wire};
use crate::engine::SessionId;
use crate::engine_loop::Event;
use crate::fault::{Action, Asked, FaultRule, FaultRules, GARBAGE};
use crate::outbox::{Breach, End, Outbox, Piece};
use crate::seats::Seat;
use crate::wire::{LineInfo, WireLog};

/// The first frame is there this soon after the connection began.
const FIRST_FRAME: Duration = Duration::from_secs(5);
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

/// The parts that all connections of a broker share.
#[derive(Clone)]
pub(crate) struct Shared {
    /// To the engine's thread.
    pub(crate) events: Sender<Event>,
    /// Where the broker misbehaves on purpose.
    pub(crate) rules: Arc<FaultRules>,
    /// Records requests and answers, as long as someone asks for them.
    pub(crate) wire: Arc<WireLog>,
    /// Who may use the broker.
    pub(crate) accounts: Arc<Accounts>,
    /// The settings of encrypted connections; `None`: there are only plain ones.
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
        true => Ok(Welcome::default()),
        false => welcome(&socket, port, &shared.rules).await,
    };
    let welcome = match welcome {
        Ok(welcome) => welcome,
        Err(end) => return part(socket, end).await,
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
            let outbox = &outbox;
            let session = Session { id: session, peer, port, welcome, seat, begun, outbox, shared };
            ending = session.run(Source::Plain(&socket), Writer::Plain(&socket)).await;
            match (&ending, Arc::into_inner(socket)) {
                (Ending::ByRule(end), Some(socket)) => part(socket, *end).await,
                _ => ending,
            }
        }
        Ok(Wire::Tls(stream)) => {
            let (mut reader, mut writer) = tokio::io::split(*stream);
            // Its bytes are not the frames': no other part can write them.
            outbox = Arc::new(Outbox::without_socket(tap(true)));
            let outbox = &outbox;
            let session = Session { id: session, peer, port, welcome, seat, begun, outbox, shared };
            ending = session.run(Source::Tls(&mut reader), Writer::Tls(&mut writer)).await;
            match ending {
                Ending::ByRule(end) => part(reader.unsplit(writer).into_inner().0, end).await,
                ending => ending,
            }
        }
        Err(ending) => ending,
    }
}

/// What fault rules do to a connection from its beginning.
#[derive(Debug)]
struct Welcome {
    /// Whether what comes on it is looked at.
    is_heard: bool,
    /// How many bytes may come on it; `None`: any number.
    left: Option<usize>,
    /// The rule that slows it.
    slows: Option<FaultRule>,
    /// How it ends in a while.
    end: Option<End>,
}

impl Default for Welcome {
    fn default() -> Self {
        Self { is_heard: true, left: None, slows: None, end: None }
    }
}

/// Asks the fault rules about a new connection.
///
/// # Errors
/// When it ends before anything is read.
async fn welcome(socket: &TcpStream, port: u16, rules: &FaultRules) -> Result<Welcome, End> {
    let mut welcome = Welcome::default();
    let Some(hit) = rules.hit(&Asked::connect(port), std::time::Instant::now()) else {
        return Ok(welcome);
    };
    match hit.rule.action() {
        Action::NoAnswer => welcome.is_heard = false,
        Action::Close => return Err(End::Close),
        Action::Reset => return Err(End::Reset),
        Action::SlowClose(time) => {
            welcome = Welcome { is_heard: false, end: Some(End::CloseAfter(*time)), ..welcome };
        }
        Action::Garbage => {
            let _ = socket.try_write(&GARBAGE);
            return Err(End::Close);
        }
        Action::Delay(_) => tokio::time::sleep(hit.delay()).await,
        Action::CutRequestAfter(bytes) => welcome.left = Some(*bytes),
        Action::StopReading | Action::ReadAt(_) | Action::WriteAt(_) => {
            welcome.slows = Some(hit.rule);
        }
        _ => {}
    }
    Ok(welcome)
}

/// Ends a connection as a rule says.
async fn part(mut socket: TcpStream, end: End) -> Ending {
    match end {
        End::Reset => drop(socket.set_zero_linger()),
        End::Close | End::CloseAfter(_) => {
            // To close a connection with unread bytes resets it, and the peer may lose the last answers.
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
    welcome: Welcome,
    seat: &'a Seat,
    begun: Instant,
    outbox: &'a Arc<Outbox>,
    shared: &'a Shared,
}

impl Session<'_> {
    async fn run(mut self, source: Source<'_>, writer: Writer<'_>) -> Ending {
        let Self { id, peer, port, begun, outbox, shared, .. } = self;
        if let Some(rule) = self.welcome.slows.take() {
            outbox.faults().begin(rule);
        }
        if let Some(end) = self.welcome.end {
            outbox.push_piece(Piece::End(end));
        }
        let outbox_of = Arc::clone(outbox);
        let opened = Event::Opened { session: id, peer: ipv4(peer), port, outbox: outbox_of };
        if shared.events.send(opened).is_err() {
            return Ending::Stopped;
        }
        let _closes = Closes(id, shared);
        let reader = Reader::new(source, &self, begun + FIRST_FRAME);
        let ending = tokio::select! {
            ending = reader.run() => ending,
            ending = writer.run(outbox) => ending,
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
