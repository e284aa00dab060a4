//! Requests out, answers in.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bench_session::{Arguments, Latencies, Shape, Tally};
use memchr::memmem;

use crate::request::{FIRST_NUMBER, Request};

/// Requests of one write. More would fill the socket's buffers before an answer is read.
const WRITE: usize = 256;
const READ: usize = 256 * 1024;
const SYSTEM_BUSY: i32 = 2;

/// When the exchange ends.
#[derive(Clone, Copy)]
pub(crate) enum Limit {
    Time(Duration),
    Requests(u64),
}

/// What came of it.
pub(crate) struct Ended {
    pub(crate) tally: Tally,
    pub(crate) refused: u64,
    pub(crate) requests: u64,
}

/// One connection with so many requests in flight.
pub(crate) struct Exchange {
    stream: TcpStream,
    requests: Vec<Request>,
    /// Messages of a request.
    batch: u64,
    /// Requests of one write at the most.
    write: usize,
    /// When the request of each number began.
    begun: Vec<Instant>,
    /// Numbers that are not in flight.
    free: Vec<usize>,
    /// The id of the next message.
    id: u64,
    output: Vec<u8>,
    input: Vec<u8>,
    filled: usize,
}

impl Exchange {
    pub(crate) fn new(
        stream: TcpStream,
        requests: Vec<Request>,
        arguments: &Arguments,
    ) -> Result<Self> {
        let in_flight = arguments.in_flight;
        Ok(Self {
            stream,
            requests,
            batch: arguments.batch as u64,
            write: if arguments.shape == Shape::Burst { usize::MAX } else { WRITE },
            begun: vec![Instant::now(); in_flight],
            free: (0..in_flight).rev().collect(),
            // Another client must not begin where this one did.
            id: u64::from(std::process::id()) << 40,
            output: Vec::new(),
            input: vec![0; READ],
            filled: 0,
        })
    }

    /// Runs until the limit is reached and the last answer has come.
    pub(crate) fn run(&mut self, limit: Limit) -> Result<Ended> {
        let tally = Tally { messages: 0, failed: 0, latencies: Latencies::new()? };
        let mut ended = Ended { tally, refused: 0, requests: 0 };
        let began = Instant::now();
        loop {
            let now = Instant::now();
            let left = match limit {
                Limit::Time(time) if now < began + time => usize::MAX,
                Limit::Time(_) => 0,
                Limit::Requests(all) => usize::try_from(all - ended.requests)?,
            };
            ended.requests += self.send(left, now)?;
            if self.free.len() == self.begun.len() {
                return Ok(ended);
            }
            self.receive(&mut ended)?;
        }
    }

    /// Writes as many requests as may be in flight; gives their number.
    fn send(&mut self, at_most: usize, now: Instant) -> Result<u64> {
        let count = at_most.min(self.write).min(self.free.len());
        self.output.clear();
        for number in self.free.drain(self.free.len() - count..) {
            let request = self.requests.get(number % self.requests.len()).context("no queue")?;
            request.put(&mut self.output, FIRST_NUMBER + i32::try_from(number)?, &mut self.id);
            if let Some(begun) = self.begun.get_mut(number) {
                *begun = now;
            }
        }
        self.stream.write_all(&self.output)?;
        Ok(count as u64)
    }

    /// Reads once and takes all answers that are there.
    fn receive(&mut self, ended: &mut Ended) -> Result<()> {
        if self.filled == self.input.len() {
            self.input.resize(2 * self.filled, 0);
        }
        let read = self.stream.read(self.input.get_mut(self.filled..).context("no room")?)?;
        if read == 0 {
            bail!("the broker hung up");
        }
        self.filled += read;
        let (now, mut from) = (Instant::now(), 0);
        while let Some(frame) = frame(self.input.get(from..self.filled).unwrap_or_default()) {
            let answer = Answer::read(frame).context("an answer that cannot be read")?;
            from += frame.len();
            let begun = self.begun.get(answer.number).context("an answer to no request")?;
            ended.tally.latencies.record(now - *begun);
            self.free.push(answer.number);
            if answer.is_stored() {
                ended.tally.messages += self.batch;
            } else {
                ended.tally.failed += self.batch;
                ended.refused += u64::from(answer.code == SYSTEM_BUSY);
            }
        }
        self.input.copy_within(from..self.filled, 0);
        self.filled -= from;
        Ok(())
    }
}

/// The first frame, when it is there as a whole.
pub(crate) fn frame(buffer: &[u8]) -> Option<&[u8]> {
    let length = u32::from_be_bytes(*buffer.first_chunk::<4>()?) as usize;
    buffer.get(..length + 4)
}

/// What matters of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    code: i32,
    /// The number of the request, counted from 0.
    pub(crate) number: usize,
}

impl Answer {
    pub(crate) fn read(frame: &[u8]) -> Option<Self> {
        let header = frame.get(8..)?;
        let code = digits(header, memmem::find(header, b"\"code\":")? + 7)?;
        let opaque = digits(header, memmem::rfind(header, b"\"opaque\":")? + 9)?;
        Some(Self { code, number: usize::try_from(opaque - FIRST_NUMBER).ok()? })
    }

    /// As the messages of 10 to 12 are, if less firmly.
    pub(crate) fn is_stored(&self) -> bool {
        matches!(self.code, 0 | 10..=12)
    }
}

fn digits(header: &[u8], from: usize) -> Option<i32> {
    let digits = header.get(from..)?.iter().take_while(|byte| byte.is_ascii_digit());
    digits
        .map(|digit| i32::from(digit - b'0'))
        .try_fold(0i32, |sum, digit| sum.checked_mul(10)?.checked_add(digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_its_code_and_the_number_of_its_request() {
        let header = br#"........{"code":12,"extFields":{"msgId":"7F,7F"},"flag":1,"opaque":1000000007,"version":1}"#;
        assert_eq!(Answer::read(header), Some(Answer { code: 12, number: 7 }));
        assert_eq!(Answer::read(b"........{}"), None);
    }

    #[test]
    fn a_cut_frame_waits() {
        assert_eq!(frame(&[0, 0, 0, 2, 1, 2, 3]), Some(&[0, 0, 0, 2, 1, 2][..]));
        assert_eq!(frame(&[0, 0, 0, 2, 1]), None);
        assert_eq!(frame(&[0, 0]), None);
    }
}
