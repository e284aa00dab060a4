//! Messages as a producer has to treat them at the least: each has a body, a unique id and a deadline of its
//! own, holds a permit, and gets a receipt with its place. Nothing is retried, routed, cancelled, flushed,
//! observed or counted. Frames are written and read by Posthaste's protocol crate.

use std::borrow::Cow;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bench_session::{Arguments, Shape};
use bytes::{Buf as _, Bytes, BytesMut};
use posthaste_protocol::answer::StoredReader;
use posthaste_protocol::id::{IdText, UniqueId};
use posthaste_protocol::request::{OwnFields, SendBatch, SendMessage, SendTemplate};
use posthaste_protocol::{FrameView, batch, command, properties};
use tokio::sync::Semaphore;

use super::Freight;
use crate::callers::Slot;
use crate::route::Broker;

const PERMITS: usize = 10_000;
const TIMEOUT: Duration = Duration::from_secs(3);

pub(crate) struct Whole {
    desk: Arc<Desk>,
    topic: String,
    broker: Broker,
    batching: bool,
    oneway: bool,
    /// What single sends share, once there was one.
    template: Option<SendTemplate>,
    answers: StoredReader,
    turn: i32,
    scratch: String,
    output: BytesMut,
}

/// What callers share.
pub(crate) struct Desk {
    permits: Semaphore,
    ids: AtomicU16,
    body: Bytes,
}

pub(crate) struct Message {
    body: Bytes,
    id: IdText,
    accepted: Instant,
    deadline: Instant,
}

/// Where a message was stored.
pub(crate) struct Place {
    _queue: i32,
    _offset: i64,
    /// Its offset message id is a part of the answer's text.
    _id: (u32, u32),
    _ids: Arc<str>,
}

impl Whole {
    pub(crate) fn new(arguments: &Arguments, broker: &Broker) -> Self {
        let body = vec![b'x'; arguments.body].into();
        let desk = Desk { permits: Semaphore::new(PERMITS), ids: AtomicU16::new(0), body };
        Self {
            desk: Arc::new(desk),
            topic: arguments.topic.clone(),
            broker: broker.clone(),
            batching: arguments.value("batching") != Some("off"),
            oneway: arguments.shape == Shape::Oneway,
            template: None,
            answers: StoredReader::default(),
            turn: 0,
            scratch: String::new(),
            output: BytesMut::new(),
        }
    }

    fn request(&self, properties: Cow<'static, str>, born_at_ms: i64) -> SendMessage<'_> {
        SendMessage {
            group: "bench".into(),
            topic: Cow::Borrowed(&self.topic),
            default_topic: "TBW102".into(),
            default_topic_queues: 4,
            queue_id: self.turn,
            born_at_ms,
            properties,
            broker_name: Some(Cow::Borrowed(&self.broker.name)),
            ..SendMessage::default()
        }
    }
}

impl Freight for Whole {
    type Desk = Arc<Desk>;
    type Message = Message;
    type Receipt = Option<Place>;

    fn desk(&self) -> Arc<Desk> {
        self.desk.clone()
    }

    async fn accept(desk: &Arc<Desk>) -> Message {
        // It is never closed.
        if let Ok(permit) = desk.permits.acquire().await {
            permit.forget();
        }
        let id = UniqueId {
            ip: Ipv4Addr::LOCALHOST.into(),
            process: std::process::id() as u16,
            instance: 1,
            time_ms: 1,
            counter: desk.ids.fetch_add(1, Ordering::Relaxed),
        };
        let accepted = Instant::now();
        let (body, deadline) = (desk.body.clone(), accepted + TIMEOUT);
        Message { body, id: id.text(), accepted, deadline }
    }

    fn leave(&mut self, number: usize, members: &[Arc<Slot<Self>>]) {
        let Some(first) = members.first() else { return };
        self.turn = (self.turn + 1) % self.broker.queues.max(1);
        let now = Instant::now();
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let born = wall.saturating_sub(now.saturating_duration_since(first.message.accepted));
        let (number, born_at_ms) = (number as i32, born.as_millis() as i64);
        let mut output = std::mem::take(&mut self.output);
        let mut scratch = std::mem::take(&mut self.scratch);
        match self.batching {
            true => {
                let request = SendBatch(self.request("WAIT\u{1}true\u{2}".into(), born_at_ms));
                command::put_request_with(&mut output, number, self.oneway, &request, |output| {
                    for slot in members.iter().filter(|slot| slot.message.deadline > now) {
                        put_properties(&mut scratch, &slot.message.id);
                        batch::put_entry(output, 0, &slot.message.body, &scratch);
                    }
                });
            }
            false => {
                let Message { body, id, .. } = &first.message;
                let template = self.template.take().unwrap_or_else(|| {
                    put_properties(&mut scratch, id);
                    SendTemplate::of(&self.request(scratch.clone().into(), born_at_ms), id)
                });
                let own = OwnFields { queue_id: self.turn, born_at_ms, properties: "", id };
                template.put(&mut output, number, self.oneway, &own, |output| {
                    output.extend_from_slice(body);
                });
                self.template = Some(template);
            }
        }
        (self.output, self.scratch) = (output, scratch);
    }

    fn output(&self) -> &[u8] {
        &self.output
    }

    fn wrote(&mut self, bytes: usize) {
        self.output.advance(bytes);
    }

    fn written() -> Option<Place> {
        // Nobody says where: as good as any.
        Some(Place { _queue: 0, _offset: 0, _id: (0, 0), _ids: Arc::from("") })
    }

    fn read(&mut self, answer: &[u8]) -> Option<(usize, impl Iterator<Item = Option<Place>>)> {
        let stored = self.answers.peek(FrameView::of_first(answer, usize::MAX).ok()??)?;
        let (ids, queue): (Arc<str>, _) = (stored.offset_message_ids.into(), stored.queue_id);
        let mut ends = memchr::memchr_iter(b',', stored.offset_message_ids.as_bytes());
        let (mut from, length) = (0, stored.offset_message_ids.len());
        let places = (stored.queue_offset..).map(move |offset| {
            let to = ends.next().unwrap_or(length) as u32;
            let id = (from, to);
            from = to + 1;
            Some(Place { _queue: queue, _offset: offset, _id: id, _ids: ids.clone() })
        });
        Some((usize::try_from(stored.opaque).ok()?, places))
    }

    fn done(&mut self, messages: usize) {
        self.desk.permits.add_permits(messages);
    }

    fn is_stored(place: Option<Place>) -> bool {
        place.is_some()
    }
}

fn put_properties(out: &mut String, id: &IdText) {
    out.clear();
    properties::push(out, "WAIT", "true");
    properties::push(out, properties::name::UNIQ_KEY, id.as_str());
}
