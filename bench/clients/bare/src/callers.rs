//! The floor of callers: tasks that each await the answer to their message, and one that carries.
//!
//! What is left is what any client costs whose callers are tasks of a runtime: to queue, to write a
//! request, to read an answer, to wake; and what its [`Payload`] costs. Requests leave as Posthaste's do:
//! with batching off at once, else when as many messages wait as are on their way.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
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
use crate::payload::{Call, Payload, lock};
use crate::route::Broker;

/// Most messages of a request, as Posthaste has it.
const MOST_MESSAGES: usize = 1024;
/// Requests in flight at the most, as many as their numbers.
const MOST_REQUESTS: usize = 4096;

/// Those who wait for the carrier.
struct Line<P: Payload> {
    shared: P::Shared,
    queued: Arc<Mutex<Queued<P>>>,
}

impl<P: Payload> Clone for Line<P> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone(), queued: self.queued.clone() }
    }
}

/// The line of each broker. Callers keep to one.
struct Lines<P: Payload>(Arc<[Line<P>]>);

impl<P: Payload> Clone for Lines<P> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

struct Queued<P: Payload> {
    calls: Vec<Arc<Call<P>>>,
    /// The carrier, and for how many it waits.
    carrier: Option<(Waker, usize)>,
}

/// Runs the callers, each again and again.
pub(crate) fn run<P: Payload>(
    arguments: &Arguments,
    brokers: &[Broker],
    payload: fn(&Arguments, &Broker) -> Result<P>,
) -> Result<()> {
    let batching = arguments.value("batching") != Some("off");
    let oneway = arguments.shape == Shape::Oneway;
    runtime(arguments)?.block_on(async {
        let mut lines = Vec::new();
        for broker in brokers {
            let stream = TcpStream::connect(&broker.address).await?;
            stream.set_nodelay(true)?;
            let queued = Queued { calls: Vec::new(), carrier: None };
            let payload = payload(arguments, broker)?;
            let line = Line { shared: payload.shared(), queued: Arc::new(Mutex::new(queued)) };
            lines.push(line.clone());
            let carried = Carrier::new(line, payload, batching, oneway).run(stream);
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

async fn call<P: Payload>(
    arguments: &Arguments,
    lines: &Lines<P>,
    time: Duration,
) -> Result<Tally> {
    let latencies = Arc::new(Mutex::new(Latencies::new()?));
    drive(lines, arguments.in_flight, time, arguments.messages, latencies).await
}

impl<P: Payload> Caller for Lines<P> {
    async fn call(&self, number: usize) -> Outcome {
        match self.0.get(number % self.0.len()) {
            Some(line) => Outcome::of(1, line.send(number).await),
            None => Outcome::of(1, false),
        }
    }
}

impl<P: Payload> Line<P> {
    async fn send(&self, caller: usize) -> bool {
        let message = P::accept(&self.shared, caller).await;
        let call = Arc::new(Call::<P>::new(message));
        if let Some(carrier) = self.queue(call.clone()) {
            carrier.wake();
        }
        P::is_stored(call.receipt().await)
    }

    /// Gives the carrier, should it have waited for this.
    fn queue(&self, call: Arc<Call<P>>) -> Option<Waker> {
        let mut queued = lock(&self.queued);
        queued.calls.push(call);
        let enough = queued.calls.len();
        queued.carrier.take_if(|(_, wanted)| enough >= *wanted).map(|(carrier, _)| carrier)
    }

    async fn filled(&self, wanted: usize) {
        poll_fn(|context| {
            let mut queued = lock(&self.queued);
            if queued.calls.len() >= wanted {
                return Poll::Ready(());
            }
            queued.carrier = Some((context.waker().clone(), wanted));
            Poll::Pending
        })
        .await;
    }
}

struct Carrier<P: Payload> {
    line: Line<P>,
    payload: P,
    batching: bool,
    /// Callers wait until their message is written.
    oneway: bool,
    waiting: VecDeque<Arc<Call<P>>>,
    /// Who waits for the request of each number.
    in_flight: Vec<Vec<Arc<Call<P>>>>,
    free: Vec<usize>,
    /// Numbers of one-way requests that are not written yet.
    unwritten: Vec<usize>,
    /// Messages in flight.
    messages: usize,
}

impl<P: Payload> Carrier<P> {
    fn new(line: Line<P>, payload: P, batching: bool, oneway: bool) -> Self {
        Self {
            line,
            payload,
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
                written = writer.write(self.payload.output()), if !self.payload.output().is_empty() => {
                    self.payload.wrote(written?);
                    if self.oneway && self.payload.output().is_empty() {
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

    fn take(&mut self, taken: &mut Vec<Arc<Call<P>>>) {
        std::mem::swap(&mut lock(&self.line.queued).calls, taken);
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
            self.payload.leave(number, members);
        }
        Ok(())
    }

    /// Everything has been written: none of it is answered.
    fn written(&mut self) {
        let mut woken = Vec::new();
        for number in self.unwritten.drain(..) {
            let members = self.in_flight.get_mut(number).into_iter();
            let members = members.flat_map(|calls| calls.drain(..));
            members.for_each(|call| woken.extend(call.end(P::written())));
            self.free.push(number);
        }
        self.payload.done(self.messages);
        self.messages = 0;
        woken.into_iter().for_each(Waker::wake);
    }

    fn receive(&mut self, input: &mut BytesMut) -> Result<()> {
        let (mut woken, before) = (Vec::new(), self.messages);
        while let Some(answered) = frame(input) {
            let (number, receipts) = self.payload.read(answered).context("an unknown answer")?;
            let members = self.in_flight.get_mut(number).context("no such request")?;
            self.messages -= members.len();
            let ended = members.drain(..).zip(receipts);
            ended.for_each(|(call, receipt)| woken.extend(call.end(receipt)));
            self.free.push(number);
            let length = answered.len();
            input.advance(length);
        }
        self.payload.done(before - self.messages);
        woken.into_iter().for_each(Waker::wake);
        Ok(())
    }
}
