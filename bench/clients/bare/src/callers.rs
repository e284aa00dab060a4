//! The floor of callers: tasks that each await the answer to their message, and one that carries.
//!
//! What is left is what any client costs whose callers are tasks of a runtime: to queue, to write a
//! request, to read an answer, to wake; and what its [`Freight`] costs. Requests leave as Posthaste's do:
//! with batching off at once, else when as many messages wait as are on their way.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bench_session::{
    Arguments, Caller, Latencies, Meter, Outcome, Shape, Stage, Tally, drive, runtime,
};
use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::exchange::frame;
use crate::freight::Freight;
use crate::route::Broker;

/// Most messages of a request, as Posthaste has it.
const MOST_MESSAGES: usize = 1024;
/// Requests in flight at the most, as many as their numbers.
const MOST_REQUESTS: usize = 4096;

/// A caller that waits with his message.
pub(crate) struct Slot<F: Freight> {
    pub(crate) message: F::Message,
    state: Mutex<State<F>>,
}

/// What became of it, once that is known, and whom that wakes.
struct State<F: Freight>(Option<F::Receipt>, Option<Waker>);

impl<F: Freight> Slot<F> {
    fn end(&self, receipt: F::Receipt) -> Option<Waker> {
        let mut state = lock(&self.state);
        state.0 = Some(receipt);
        state.1.take()
    }
}

/// Those who wait for the carrier.
struct Line<F: Freight> {
    desk: F::Desk,
    queued: Arc<Mutex<Queued<F>>>,
}

impl<F: Freight> Clone for Line<F> {
    fn clone(&self) -> Self {
        Self { desk: self.desk.clone(), queued: self.queued.clone() }
    }
}

/// The line of each broker. Callers keep to one.
struct Lines<F: Freight>(Arc<[Line<F>]>);

impl<F: Freight> Clone for Lines<F> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

struct Queued<F: Freight> {
    slots: Vec<Arc<Slot<F>>>,
    /// The carrier, and for how many it waits.
    carrier: Option<(Waker, usize)>,
}

/// Runs the callers, each again and again.
pub(crate) fn run<F: Freight>(
    arguments: &Arguments,
    brokers: &[Broker],
    freight: fn(&Arguments, &Broker) -> Result<F>,
) -> Result<()> {
    let batching = arguments.value("batching") != Some("off");
    let oneway = arguments.shape == Shape::Oneway;
    runtime(arguments)?.block_on(async {
        let mut lines = Vec::new();
        for broker in brokers {
            let stream = TcpStream::connect(&broker.address).await?;
            stream.set_nodelay(true)?;
            let queued = Queued { slots: Vec::new(), carrier: None };
            let freight = freight(arguments, broker)?;
            let line = Line { desk: freight.desk(), queued: Arc::new(Mutex::new(queued)) };
            lines.push(line.clone());
            let carried = Carrier::new(line, freight, batching, oneway).run(stream);
            // Without it everybody waits for ever, so it says why.
            tokio::spawn(async move { carried.await.inspect_err(|error| eprintln!("{error:#}")) });
        }
        let lines = Lines(lines.into());
        if arguments.warm_up_ms > 0 {
            call(arguments, &lines, arguments.warm_up()).await?;
        }
        let stage = Stage;
        stage.ready()?;
        let meter = Meter::start()?;
        let tally = call(arguments, &lines, arguments.measure()).await?;
        let (took, cpu) = (meter.took(), meter.cpu()?);
        stage.report(&tally.measured(took, cpu))
    })
}

async fn call<F: Freight>(
    arguments: &Arguments,
    lines: &Lines<F>,
    time: Duration,
) -> Result<Tally> {
    let latencies = Arc::new(Mutex::new(Latencies::new()?));
    drive(lines, arguments.in_flight, time, arguments.messages, latencies).await
}

impl<F: Freight> Caller for Lines<F> {
    async fn call(&self, number: usize) -> Outcome {
        match self.0.get(number % self.0.len()) {
            Some(line) => Outcome::of(1, line.send(number).await),
            None => Outcome::of(1, false),
        }
    }
}

impl<F: Freight> Line<F> {
    async fn send(&self, caller: usize) -> bool {
        let message = F::accept(&self.desk, caller).await;
        let slot = Arc::new(Slot::<F> { message, state: Mutex::new(State(None, None)) });
        if let Some(carrier) = self.queue(slot.clone()) {
            carrier.wake();
        }
        poll_fn(|context| {
            let mut state = lock(&slot.state);
            if let Some(receipt) = state.0.take() {
                return Poll::Ready(F::is_stored(receipt));
            }
            state.1 = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Gives the carrier, should it have waited for this.
    fn queue(&self, slot: Arc<Slot<F>>) -> Option<Waker> {
        let mut queued = lock(&self.queued);
        queued.slots.push(slot);
        let enough = queued.slots.len();
        queued.carrier.take_if(|(_, wanted)| enough >= *wanted).map(|(carrier, _)| carrier)
    }

    async fn filled(&self, wanted: usize) {
        poll_fn(|context| {
            let mut queued = lock(&self.queued);
            if queued.slots.len() >= wanted {
                return Poll::Ready(());
            }
            queued.carrier = Some((context.waker().clone(), wanted));
            Poll::Pending
        })
        .await;
    }
}

struct Carrier<F: Freight> {
    line: Line<F>,
    freight: F,
    batching: bool,
    /// Callers wait until their message is written.
    oneway: bool,
    waiting: VecDeque<Arc<Slot<F>>>,
    /// Who waits for the request of each number.
    in_flight: Vec<Vec<Arc<Slot<F>>>>,
    free: Vec<usize>,
    /// Numbers of one-way requests that are not written yet.
    unwritten: Vec<usize>,
    /// Messages in flight.
    messages: usize,
}

impl<F: Freight> Carrier<F> {
    fn new(line: Line<F>, freight: F, batching: bool, oneway: bool) -> Self {
        Self {
            line,
            freight,
            batching,
            oneway,
            waiting: VecDeque::new(),
            in_flight: (0..MOST_REQUESTS).map(|_| Vec::new()).collect(),
            free: (0..MOST_REQUESTS).rev().collect(),
            unwritten: Vec::new(),
            messages: 0,
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
                written = writer.write(self.freight.output()), if !self.freight.output().is_empty() => {
                    self.freight.wrote(written?);
                    if self.oneway && self.freight.output().is_empty() {
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

    fn take(&mut self, taken: &mut Vec<Arc<Slot<F>>>) {
        std::mem::swap(&mut lock(&self.line.queued).slots, taken);
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
            self.freight.leave(number, members);
        }
        Ok(())
    }

    /// Everything has been written: none of it is answered.
    fn written(&mut self) {
        let mut woken = Vec::new();
        for number in self.unwritten.drain(..) {
            let members = self.in_flight.get_mut(number).into_iter();
            let members = members.flat_map(|slots| slots.drain(..));
            members.for_each(|slot| woken.extend(slot.end(F::written())));
            self.free.push(number);
        }
        self.freight.done(self.messages);
        self.messages = 0;
        woken.into_iter().for_each(Waker::wake);
    }

    fn receive(&mut self, input: &mut BytesMut) -> Result<()> {
        let (mut woken, before) = (Vec::new(), self.messages);
        while let Some(answered) = frame(input) {
            let (number, receipts) = self.freight.read(answered).context("an unknown answer")?;
            let members = self.in_flight.get_mut(number).context("no such request")?;
            self.messages -= members.len();
            let ended = members.drain(..).zip(receipts);
            ended.for_each(|(slot, receipt)| woken.extend(slot.end(receipt)));
            self.free.push(number);
            let length = answered.len();
            input.advance(length);
        }
        self.freight.done(before - self.messages);
        woken.into_iter().for_each(Waker::wake);
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
