//! Requests made beforehand, with a number that can be changed in place.

use std::borrow::Cow;
use std::time::{SystemTime, UNIX_EPOCH};

use bench_session::Arguments;
use bytes::{Bytes, BytesMut};
use memchr::memmem;
use posthaste_protocol::batch::put_entry;
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
}

impl Request {
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

/// A request for each queue of the broker: a message, or a batch of them.
pub(crate) fn for_each_queue(arguments: &Arguments, broker: &Broker) -> Vec<Request> {
    (0..broker.queues.max(1)).map(|queue| request(arguments, broker, queue)).collect()
}

fn request(arguments: &Arguments, broker: &Broker, queue: i32) -> Request {
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
        body: body(arguments),
        ..SendMessage::default()
    };
    let mut frame = BytesMut::new();
    if arguments.batch > 1 {
        command::put_request(&mut frame, FIRST_NUMBER, false, &SendBatch(message));
    } else {
        command::put_request(&mut frame, FIRST_NUMBER, false, &message);
    }
    let opaque = format!("\"opaque\":{FIRST_NUMBER}");
    let number_at = memmem::find(&frame, opaque.as_bytes()).unwrap_or_default() + opaque.len() - 10;
    let counts_at = memmem::find_iter(&frame, COUNT).collect();
    Request { frame, number_at, counts_at }
}

fn body(arguments: &Arguments) -> Bytes {
    let body = vec![b'x'; arguments.body];
    if arguments.batch == 1 {
        return body.into();
    }
    let mut batch = BytesMut::new();
    (0..arguments.batch).for_each(|_| put_entry(&mut batch, 0, &body, PROPERTIES));
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
        let requests = for_each_queue(&arguments.arguments, &broker);
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
    fn a_batch_has_as_many_messages_as_asked_for() {
        let (_, send) = sent("32");
        assert!(send.batch);
        let entries = batch::decode(send.body).unwrap();
        let ids: std::collections::BTreeSet<_> =
            entries.iter().map(|entry| entry.properties.to_string()).collect();
        assert_eq!((entries.len(), ids.len()), (32, 32));
    }
}
