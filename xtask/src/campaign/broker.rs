//! A scripted broker: where it listens, who is connected, and what befalls it as a whole.
//!
//! It speaks the real protocol on loopback sockets. What it does with a request follows from the
//! round's seed, the request's first message and how often it has seen that; it records what it
//! stored, and when.

use std::collections::HashMap;
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use fastrand::Rng;
use posthaste_protocol::frame::MAX_FRAME;
use posthaste_protocol::{Command, Frame};
use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use super::conduct::Close;
use super::fault::{Fault, dice};
use super::record::Link;
use super::world::World;

/// The longest that a connection waits at a time for the thing that it is made to wait for.
const SLICE: Duration = Duration::from_millis(10);

#[derive(Clone)]
pub(super) struct Broker(Arc<Inner>);

struct Inner {
    place: usize,
    name: String,
    world: Arc<World>,
    listening: Mutex<Listening>,
    links: Mutex<Vec<Live>>,
    /// What befalls it, and until when.
    mood: Mutex<Option<(Fault, Duration)>>,
    /// The offset that each queue's next message gets.
    offsets: Mutex<HashMap<(String, i32), i64>>,
    accepted: AtomicU64,
}

struct Listening {
    listener: Arc<TcpListener>,
    accepts: Option<JoinHandle<()>>,
    /// How many calls of `down` have not been followed by one of `up`.
    downs: usize,
    /// Earlier ports: no other program gets them while the round runs.
    held: Vec<Arc<TcpListener>>,
}

/// A connection that is there.
#[derive(Clone)]
pub(super) struct Live {
    /// Its place in the record.
    pub(super) link: usize,
    pub(super) out: UnboundedSender<Out>,
}

/// What is written to a connection.
pub(super) enum Out {
    Bytes(Vec<u8>),
    /// Byte by byte.
    Trickle(Vec<u8>),
    Close(Close),
}

/// How a connection is treated from its beginning.
struct Treatment {
    fault: Option<Fault>,
    /// Bytes after which it is reset, for one that cuts requests.
    cut_after: usize,
    /// How long it is silent, or keeps its side open.
    time: Duration,
}

impl Broker {
    pub(super) fn start(world: &Arc<World>, place: usize) -> std::io::Result<Self> {
        let listener = Arc::new(listen()?);
        let listening = Listening { listener, accepts: None, downs: 0, held: Vec::new() };
        let broker = Self(Arc::new(Inner {
            place,
            name: name_of(place),
            world: world.clone(),
            listening: Mutex::new(listening),
            links: Mutex::default(),
            mood: Mutex::default(),
            offsets: Mutex::default(),
            accepted: AtomicU64::new(0),
        }));
        broker.accept();
        Ok(broker)
    }

    pub(super) fn name(&self) -> &str {
        &self.0.name
    }

    pub(super) fn place(&self) -> usize {
        self.0.place
    }

    pub(super) fn world(&self) -> &Arc<World> {
        &self.0.world
    }

    pub(super) fn address(&self) -> SocketAddr {
        let address = lock(&self.0.listening).listener.local_addr();
        address.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 1)))
    }

    pub(super) fn offsets(&self) -> MutexGuard<'_, HashMap<(String, i32), i64>> {
        lock(&self.0.offsets)
    }

    /// Is so for a while.
    pub(super) fn feel(&self, fault: Fault, until: Duration) {
        *lock(&self.0.mood) = Some((fault, until));
    }

    /// What befalls it now.
    pub(super) fn mood(&self) -> Option<Fault> {
        let (fault, until) = (*lock(&self.0.mood))?;
        (self.0.world.now() < until && !self.0.world.is_calm()).then_some(fault)
    }

    // ---- listening ----

    /// Refuses new connections, and cuts the present ones.
    pub(super) fn down(&self) {
        let mut listening = lock(&self.0.listening);
        // The socket stays bound, so that no other program gets its port. Not twice: what it accepts later
        // would be shut down too.
        if listening.downs == 0 {
            let _ = SockRef::from(&*listening.listener).shutdown(Shutdown::Both);
        }
        listening.downs += 1;
        if let Some(accepts) = listening.accepts.take() {
            accepts.abort();
        }
        drop(listening);
        self.cut_links(Close::Reset);
    }

    /// Listens again, at the same address; unless it has moved meanwhile, or another fault keeps it down.
    pub(super) fn up(&self) -> std::io::Result<()> {
        let mut listening = lock(&self.0.listening);
        if listening.downs != 1 {
            listening.downs = listening.downs.saturating_sub(1);
            return Ok(());
        }
        listening.downs = 0;
        SockRef::from(&*listening.listener).listen(256)?;
        // Registered anew: the runtime takes one that was shut down for closed, for good.
        let again = listening.listener.as_fd().try_clone_to_owned()?;
        listening.listener = Arc::new(TcpListener::from_std(again.into())?);
        drop(listening);
        self.accept();
        Ok(())
    }

    /// Comes back at another port, which name servers do not know yet.
    pub(super) fn move_away(&self) -> std::io::Result<()> {
        self.down();
        let listener = Arc::new(listen()?);
        let mut listening = lock(&self.0.listening);
        let old = std::mem::replace(&mut listening.listener, listener);
        listening.downs = 0;
        listening.held.push(old);
        drop(listening);
        self.accept();
        let address = self.address();
        if let Some(known) = self.0.world.land().brokers.get_mut(self.0.place) {
            known.is = address;
        }
        Ok(())
    }

    fn accept(&self) {
        let broker = self.clone();
        let mut listening = lock(&self.0.listening);
        let listener = listening.listener.clone();
        listening.accepts = Some(tokio::spawn(async move {
            // It fails when it is down.
            while let Ok((stream, _)) = listener.accept().await {
                let number = broker.0.accepted.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(broker.clone().serve(number, stream));
            }
        }));
    }

    /// Cuts every connection.
    pub(super) fn cut_links(&self, close: Close) {
        for live in lock(&self.0.links).drain(..) {
            self.doom(live.link);
            let _ = live.out.send(Out::Close(close));
        }
    }

    /// Nothing that a connection says can be relied on from here on.
    pub(super) fn doom(&self, link: usize) {
        let now = self.0.world.now();
        if let Some(link) = self.0.world.record().links.get_mut(link) {
            link.ended_at.get_or_insert(now);
        }
    }

    fn stalls(&self, link: usize) {
        if let Some(link) = self.0.world.record().links.get_mut(link) {
            link.stalled = true;
        }
    }

    // ---- one connection ----

    async fn serve(self, number: u64, stream: TcpStream) {
        let world = self.0.world.clone();
        let treatment = self.treatment(number);
        if treatment.fault == Some(Fault::AcceptAndClose) {
            return;
        }
        let _ = stream.set_nodelay(true);
        let now = world.now();
        let link = {
            let mut record = world.record();
            let link = Link { at: now, ended_at: None, stalled: false };
            record.links.push(link);
            record.links.len() - 1
        };
        let (reader, writer) = stream.into_split();
        let (out, queue) = unbounded_channel();
        let live = Live { link, out };
        lock(&self.0.links).push(live.clone());
        let writing = tokio::spawn(write(writer, queue));
        if treatment.fault == Some(Fault::AcceptAndSilence) {
            self.stalls(link);
            self.wait(treatment.time, &writing).await;
            self.doom(link);
            return writing.abort();
        }
        let kept_open = self.read(&live, reader, &treatment, &writing).await;
        self.doom(link);
        lock(&self.0.links).retain(|one| one.link != link);
        if let Some(_reader) = kept_open
            && treatment.fault == Some(Fault::KeepsSideOpen)
        {
            world.happens(Fault::KeepsSideOpen);
            self.wait(treatment.time, &writing).await;
        }
        drop(live);
    }

    fn treatment(&self, number: u64) -> Treatment {
        let world = &self.0.world;
        let mut dice = dice(&[world.seed, 2, self.0.place as u64, number]);
        let fault = world.profile.of_connection(&mut dice).filter(|_| !world.is_calm());
        if let Some(fault @ (Fault::AcceptAndClose | Fault::AcceptAndSilence)) = fault {
            world.happens(fault);
        }
        let time = Duration::from_millis(dice.u64(100..1_200));
        Treatment { fault, cut_after: dice.usize(10..20_000), time }
    }

    /// Waits, but not beyond the end of trouble, nor of the connection.
    async fn wait(&self, time: Duration, writing: &JoinHandle<()>) {
        let until = self.0.world.now() + time;
        while self.0.world.now() < until && !self.0.world.is_calm() && !writing.is_finished() {
            tokio::time::sleep(SLICE).await;
        }
    }

    /// Reads to the end. Gives the socket's half when it was the peer that closed.
    async fn read(
        &self,
        live: &Live,
        mut reader: OwnedReadHalf,
        treatment: &Treatment,
        writing: &JoinHandle<()>,
    ) -> Option<OwnedReadHalf> {
        let (mut input, mut total, mut stall) = (BytesMut::new(), 0, Duration::ZERO);
        loop {
            if !stall.is_zero() {
                self.stalls(live.link);
                self.wait(stall, writing).await;
            }
            while self.mood() == Some(Fault::BrokerFrozen) && !writing.is_finished() {
                self.stalls(live.link);
                tokio::time::sleep(SLICE).await;
            }
            let read = tokio::select! {
                biased;
                () = live.out.closed() => return None,
                read = reader.read_buf(&mut input) => read.unwrap_or_default(),
            };
            total += read;
            let cuts = treatment.fault == Some(Fault::CutRequest)
                && total > treatment.cut_after
                && !self.0.world.is_calm();
            if cuts {
                // The rest was never read.
                input.truncate(input.len().saturating_sub(total - treatment.cut_after));
            }
            stall = self.take_frames(live, &mut input)?;
            if cuts {
                self.0.world.happens(Fault::CutRequest);
                self.doom(live.link);
                let _ = live.out.send(Out::Close(Close::Reset));
                live.out.closed().await;
                return None;
            }
            if read == 0 {
                return Some(reader);
            }
        }
    }

    /// Gives how long nothing is read from now on; nothing when the connection is to end.
    fn take_frames(&self, live: &Live, input: &mut BytesMut) -> Option<Duration> {
        let mut stall = Duration::ZERO;
        loop {
            match Frame::take(input, MAX_FRAME).map(|frame| frame.map(Command::decode)) {
                Ok(Some(Ok(command))) => stall = stall.max(self.receive(live, &command)?),
                Ok(None) => return Some(stall),
                Ok(Some(Err(error))) | Err(error) => {
                    self.0.world.record().unreadable.push(error.to_string());
                    return None;
                }
            }
        }
    }

    /// Throws dice for a request that begins with a message, seen so often before.
    pub(super) fn dice(&self, message: u64, seen: usize) -> Rng {
        dice(&[self.0.world.seed, 3, message, seen as u64])
    }
}

pub(super) fn name_of(place: usize) -> String {
    format!("broker-{place}")
}

/// A port that stays ours even while it does not listen: it was asked for by its number.
fn listen() -> std::io::Result<TcpListener> {
    let free = |port| -> std::io::Result<TcpSocket> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        Ok(socket)
    };
    let port = free(0)?.local_addr()?.port();
    free(port)?.listen(256)
}

async fn write(mut writer: OwnedWriteHalf, mut queue: UnboundedReceiver<Out>) {
    while let Some(next) = queue.recv().await {
        match next {
            Out::Bytes(bytes) => drop(writer.write_all(&bytes).await),
            Out::Trickle(bytes) => {
                for byte in bytes {
                    drop(writer.write_all(&[byte]).await);
                    tokio::task::yield_now().await;
                }
            }
            Out::Close(Close::Reset) => {
                let _ = SockRef::from(writer.as_ref()).set_linger(Some(Duration::ZERO));
                return;
            }
            Out::Close(_) => return,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
