//! Requests made beforehand, with a number that can be changed in place.

use std::borrow::Cow;
use std::time::{SystemTime, UNIX_EPOCH};

use bench_session::{Arguments, Shape};
use bytes::{Bytes, BytesMut};
use memchr::memmem;
use posthaste_protocol::batch::{entry_length, put_entry};
use posthaste_protocol::command;
use posthaste_protocol::request::{SendBatch, SendMessage};

use crate::route::Broker;

/// Numbers of requests start here, so that all have ten digits.
pub(crate) const FIRST_NUMBER: i32 = 1_000_000_000;

/// What every message of a real client carries: its unique id, and whether to wait for the store.
const PROPERTIES: &str = "UNIQ_KEY\u{1}7F00000100002A9F0000000000000001\u{2}WAIT\u{1}true";
/// The part of an id that counts.
const COUNT: &[u8] = b"0000000000000001";

/// One request as it is written.
pub(crate) struct Request {
    frame: BytesMut,
    /// Where the ten digits of its number are.
    number_at: usize,
    /// Where the counts in the ids of its messages are. No two ids are alike: a broker enters each
    /// into an index, and one that is always the same costs it less.
    counts_at: Vec<usize>,
    /// Where its last message begins.
    last_at: usize,
}

impl Request {
    /// As [`put`](Self::put), of a batch whose message is there so many times.
    pub(crate) fn put_many(&self, out: &mut Vec<u8>, number: i32, messages: usize, id: &mut u64) {
        let start = out.len();
        self.put(out, number, id);
        let message = start + self.last_at..out.len();
        let count_at = self.counts_at.last().map_or(0, |at| at.saturating_sub(self.last_at));
        for _ in 1..messages {
            let copy = out.len() + count_at;
            out.extend_from_within(message.clone());
            if let Some(digits) = out.get_mut(copy..).and_then(|rest| rest.first_chunk_mut()) {
                *digits = hex(*id);
            }
            *id += 1;
        }
        let length = (out.len() - start - 4) as u32;
        if let Some(declared) = out.get_mut(start..).and_then(|rest| rest.first_chunk_mut()) {
            *declared = length.to_be_bytes();
        }
    }

    /// Appends the frame with this number to `out`; its messages get the ids from `id` on, which
    /// moves on.
    pub(crate) fn put(&self, out: &mut Vec<u8>, number: i32, id: &mut u64) {
        let start = out.len();
        out.extend_from_slice(&self.frame);
        let frame = out.get_mut(start..).unwrap_or_default();
        let mut rest = number;
        for digit in frame.iter_mut().skip(self.number_at).take(10).rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        for at in &self.counts_at {
            let Some(digits) = frame.get_mut(*at..).and_then(|rest| rest.first_chunk_mut()) else {
                continue;
            };
            *digits = hex(*id);
            *id += 1;
        }
    }
}

fn hex(id: u64) -> [u8; 16] {
    let mut rest = id;
    let mut digits = [0; 16];
    for digit in digits.iter_mut().rev() {
        let low = (rest & 15) as u8;
        *digit = if low < 10 { b'0' + low } else { b'A' - 10 + low };
        rest >>= 4;
    }
    digits
}

/// A request for each queue of the broker: a message, or a batch of so many.
pub(crate) fn for_each_queue(
    arguments: &Arguments,
    broker: &Broker,
    batch: Option<usize>,
) -> Vec<Request> {
    (0..broker.queues.max(1)).map(|queue| request(arguments, broker, queue, batch)).collect()
}

fn request(arguments: &Arguments, broker: &Broker, queue: i32, batch: Option<usize>) -> Request {
    let oneway = arguments.shape == Shape::Oneway;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let message = SendMessage {
        group: "bench".into(),
        topic: Cow::Borrowed(&arguments.topic),
        default_topic: "TBW102".into(),
        default_topic_queues: 4,
        queue_id: queue,
        born_at_ms: i64::try_from(now.as_millis()).unwrap_or_default(),
        properties: PROPERTIES.into(),
        broker_name: Some(Cow::Borrowed(&broker.name)),
        body: body(arguments, batch),
        ..SendMessage::default()
    };
    let mut frame = BytesMut::new();
    if batch.is_some() {
        command::put_request(&mut frame, FIRST_NUMBER, oneway, &SendBatch(message));
    } else {
        command::put_request(&mut frame, FIRST_NUMBER, oneway, &message);
    }
    let opaque = format!("\"opaque\":{FIRST_NUMBER}");
    let number_at = memmem::find(&frame, opaque.as_bytes()).unwrap_or_default() + opaque.len() - 10;
    let counts_at = memmem::find_iter(&frame, COUNT).collect();
    let last = entry_length(arguments.body, PROPERTIES.len());
    let last_at = frame.len() - batch.map_or(0, |_| last);
    Request { frame, number_at, counts_at, last_at }
}

fn body(arguments: &Arguments, batch: Option<usize>) -> Bytes {
    let body = vec![b'x'; arguments.body];
    let Some(messages) = batch else { return body.into() };
    let mut batch = BytesMut::new();
    (0..messages).for_each(|_| put_entry(&mut batch, 0, &body, PROPERTIES));
    batch.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use posthaste_protocol::request::Incoming;
    use posthaste_protocol::{Command, Frame, batch};

    fn sent(batch: &str) -> (Command, SendMessage<'static>) {
        use clap::Parser;
        let line = ["bare", "--name-server", "h:1", "--topic", "T", "--shape", "batch"];
        let arguments = crate::CommandLine::parse_from(line.into_iter().chain(["--batch", batch]));
        let broker = Broker { name: "b".into(), address: String::new(), queues: 2 };
        let batch = (arguments.arguments.batch > 1).then_some(arguments.arguments.batch);
        let requests = for_each_queue(&arguments.arguments, &broker, batch);
        let (mut out, mut id) = (Vec::new(), 0xA0);
        requests[1].put(&mut out, 1_000_000_042, &mut id);
        // That of the header itself is none that a broker keeps.
        assert!(id >= 0xA0 + arguments.arguments.batch as u64);
        let frame = Frame::take(&mut BytesMut::from(&out[..]), usize::MAX).unwrap().unwrap();
        let command = Command::decode(frame).unwrap();
        let Ok(Incoming::Send(send)) = Incoming::read(&command) else { panic!("not a send") };
        (command, send)
    }

    #[test]
    fn only_the_number_changes() {
        let (command, send) = sent("1");
        assert_eq!((command.opaque, send.queue_id, send.batch), (1_000_000_042, 1, false));
        assert_eq!(send.body.len(), 128);
        assert_eq!(
            send.properties,
            "UNIQ_KEY\u{1}7F00000100002A9F00000000000000A0\u{2}WAIT\u{1}true"
        );
    }

    #[test]
    fn a_batch_of_one_becomes_more() {
        use clap::Parser;
        let line = ["bare", "--name-server", "h:1", "--topic", "T", "--shape", "callers"];
        let arguments = crate::CommandLine::parse_from(line).arguments;
        let broker = Broker { name: "b".into(), address: String::new(), queues: 2 };
        let single = for_each_queue(&arguments, &broker, None);
        let mut out = Vec::new();
        single[0].put_many(&mut out, 1_000_000_000, 1, &mut 0);
        assert!(Frame::take(&mut BytesMut::from(&out[..]), usize::MAX).unwrap().is_some());
        let requests = for_each_queue(&arguments, &broker, Some(1));
        let (mut out, mut id) = (vec![1, 2, 3], 0);
        requests[0].put_many(&mut out, 1_000_000_007, 5, &mut id);
        let mut out = BytesMut::from(&out[3..]);
        let frame = Frame::take(&mut out, usize::MAX).unwrap().unwrap();
        assert!(out.is_empty());
        let command = Command::decode(frame).unwrap();
        let Ok(Incoming::Send(send)) = Incoming::read(&command) else { panic!("not a send") };
        let entries = batch::decode(send.body).unwrap();
        let ids: std::collections::BTreeSet<_> =
            entries.iter().map(|entry| entry.properties.to_string()).collect();
        assert_eq!((command.opaque, entries.len(), ids.len()), (1_000_000_007, 5, 5));
    }

    #[test]
    fn a_batch_has_as_many_messages_as_asked_for() {
        let (_, send) = sent("32");
        assert!(send.batch);
        let entries = batch::decode(send.body).unwrap();
        let ids: std::collections::BTreeSet<_> =
            entries.iter().map(|entry| entry.properties.to_string()).collect();
        assert_eq!((entries.len(), ids.len()), (32, 32));
    }
}
