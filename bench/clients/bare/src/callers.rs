//! The floor of callers: tasks that each await the answer to their message, and one that carries.
//!
//! Nothing is made, checked, timed or remembered but whom to wake. What is left is what any client costs
//! whose callers are tasks of a runtime: to queue, to copy a body into a request, to read an answer,
//! to wake. Requests leave as Posthaste's do: with batching off at once, else when as many messages
//! wait as are on their way.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bench_session::{Arguments, Latencies, Meter, Outcome, Shape, Stage, Tally, drive, runtime};
use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::exchange::{Answer, frame};
use crate::request::{self, FIRST_NUMBER, Request};
use crate::route::Broker;

/// Most messages of a request, as Posthaste has it.
const MOST_MESSAGES: usize = 1024;
/// Requests in flight at the most, as many as their numbers.
const MOST_REQUESTS: usize = 4096;

/// A caller that waits, and whether his message was stored, once that is known.
#[derive(Default)]
struct Slot(Mutex<(Option<bool>, Option<Waker>)>);

impl Slot {
    fn end(&self, stored: bool) -> Option<Waker> {
        let mut state = lock(&self.0);
        state.0 = Some(stored);
        state.1.take()
    }
}

/// Those who wait for the carrier.
#[derive(Default)]
struct Line(Mutex<Queued>);

#[derive(Default)]
struct Queued {
    slots: Vec<Arc<Slot>>,
    /// The carrier, and for how many it waits.
    carrier: Option<(Waker, usize)>,
}

/// Runs the callers, each again and again.
pub(crate) fn run(arguments: &Arguments, broker: &Broker) -> Result<()> {
    let batching = arguments.value("batching") != Some("off");
    let requests = request::for_each_queue(arguments, broker, batching.then_some(1));
    runtime(arguments)?.block_on(async {
        let stream = TcpStream::connect(&broker.address).await?;
        stream.set_nodelay(true)?;
        let line = Arc::<Line>::default();
        // Without it everybody waits for ever, so it says why.
        let oneway = arguments.shape == Shape::Oneway;
        let carried = Carrier::new(line.clone(), requests, batching, oneway).run(stream);
        tokio::spawn(async move { carried.await.inspect_err(|error| eprintln!("{error:#}")) });
        if arguments.warm_up_ms > 0 {
            call(arguments, &line, arguments.warm_up()).await?;
        }
        let stage = Stage;
        stage.ready()?;
        let meter = Meter::start()?;
        let tally = call(arguments, &line, arguments.measure()).await?;
        let (took, cpu) = (meter.took(), meter.cpu()?);
        stage.report(&tally.measured(took, cpu))
    })
}

async fn call(arguments: &Arguments, line: &Arc<Line>, time: Duration) -> Result<Tally> {
    let line = line.clone();
    let send = move |_| {
        let line = line.clone();
        async move { Outcome::of(1, line.send().await) }
    };
    let latencies = Arc::new(Mutex::new(Latencies::new()?));
    drive(arguments.in_flight, time, arguments.messages, latencies, send).await
}

impl Line {
    async fn send(&self) -> bool {
        let slot = Arc::<Slot>::default();
        if let Some(carrier) = self.queue(slot.clone()) {
            carrier.wake();
        }
        poll_fn(|context| {
            let mut state = lock(&slot.0);
            if let Some(stored) = state.0 {
                return Poll::Ready(stored);
            }
            state.1 = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Gives the carrier, should it have waited for this.
    fn queue(&self, slot: Arc<Slot>) -> Option<Waker> {
        let mut queued = lock(&self.0);
        queued.slots.push(slot);
        let enough = queued.slots.len();
        queued.carrier.take_if(|(_, wanted)| enough >= *wanted).map(|(carrier, _)| carrier)
    }

    async fn filled(&self, wanted: usize) {
        poll_fn(|context| {
            let mut queued = lock(&self.0);
            if queued.slots.len() >= wanted {
                return Poll::Ready(());
            }
            queued.carrier = Some((context.waker().clone(), wanted));
            Poll::Pending
        })
        .await;
    }
}

struct Carrier {
    line: Arc<Line>,
    requests: Vec<Request>,
    batching: bool,
    /// Callers wait until their message is written.
    oneway: bool,
    waiting: VecDeque<Arc<Slot>>,
    /// Who waits for the request of each number.
    in_flight: Vec<Vec<Arc<Slot>>>,
    free: Vec<usize>,
    /// Numbers of one-way requests that are not written yet.
    unwritten: Vec<usize>,
    /// Messages in flight.
    messages: usize,
    turn: usize,
    id: u64,
    output: Vec<u8>,
}

impl Carrier {
    fn new(line: Arc<Line>, requests: Vec<Request>, batching: bool, oneway: bool) -> Self {
        Self {
            line,
            requests,
            batching,
            oneway,
            waiting: VecDeque::new(),
            in_flight: (0..MOST_REQUESTS).map(|_| Vec::new()).collect(),
            free: (0..MOST_REQUESTS).rev().collect(),
            unwritten: Vec::new(),
            messages: 0,
            turn: 0,
            // Another client must not begin where this one did.
            id: u64::from(std::process::id()) << 40,
            output: Vec::new(),
        }
    }

    async fn run(mut self, mut stream: TcpStream) -> Result<()> {
        let (mut reader, mut writer) = stream.split();
        let (mut input, mut taken) = (BytesMut::with_capacity(1 << 18), Vec::new());
        loop {
            self.take(&mut taken);
            if !self.waiting.is_empty() && (self.messages > 0 || self.oneway) {
                tokio::task::yield_now().await;
                self.take(&mut taken);
            }
            self.fill()?;
            let wanted = self.enough().saturating_sub(self.waiting.len()).max(1);
            input.reserve(1 << 16);
            tokio::select! {
                () = self.line.filled(wanted) => {}
                written = writer.write(&self.output), if !self.output.is_empty() => {
                    self.output.drain(..written?);
                    if self.oneway && self.output.is_empty() {
                        self.written();
                    }
                }
                read = reader.read_buf(&mut input) => {
                    if read? == 0 {
                        bail!("the broker hung up");
                    }
                    self.receive(&mut input)?;
                }
            }
        }
    }

    fn take(&mut self, taken: &mut Vec<Arc<Slot>>) {
        std::mem::swap(&mut lock(&self.line.0).slots, taken);
        self.waiting.extend(taken.drain(..));
    }

    /// So many have to wait for a request to leave.
    fn enough(&self) -> usize {
        if self.batching && !self.oneway { self.messages.max(1) } else { 1 }
    }

    fn fill(&mut self) -> Result<()> {
        while self.waiting.len() >= self.enough() {
            let most = if self.batching { MOST_MESSAGES } else { 1 };
            let Some(number) = self.free.pop() else { break };
            let members = self.in_flight.get_mut(number).context("no such number")?;
            members.extend(self.waiting.drain(..self.waiting.len().min(most)));
            self.messages += members.len();
            self.unwritten.extend(self.oneway.then_some(number));
            self.turn += 1;
            let request = self.requests.get(self.turn % self.requests.len()).context("no queue")?;
            let number = FIRST_NUMBER + i32::try_from(number)?;
            request.put_many(&mut self.output, number, members.len(), &mut self.id);
        }
        Ok(())
    }

    /// Everything has been written: none of it is answered.
    fn written(&mut self) {
        let mut woken = Vec::new();
        for number in self.unwritten.drain(..) {
            let members = self.in_flight.get_mut(number).into_iter();
            members.flat_map(|slots| slots.drain(..)).for_each(|slot| woken.extend(slot.end(true)));
            self.free.push(number);
        }
        self.messages = 0;
        woken.into_iter().for_each(Waker::wake);
    }

    fn receive(&mut self, input: &mut BytesMut) -> Result<()> {
        let mut woken = Vec::new();
        while let Some(answered) = frame(input) {
            let answer = Answer::read(answered).context("an answer that cannot be read")?;
            let length = answered.len();
            input.advance(length);
            let members = self.in_flight.get_mut(answer.number).context("no such request")?;
            self.messages -= members.len();
            let stored = answer.is_stored();
            members.drain(..).for_each(|slot| woken.extend(slot.end(stored)));
            self.free.push(answer.number);
        }
        woken.into_iter().for_each(Waker::wake);
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
