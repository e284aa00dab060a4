//! Messages as a producer has to treat them at the least: each has a body, a unique id and a deadline of its
//! own, holds a permit, and gets a receipt with its place; of several topics (`topics=N`, without batching)
//! each is found by its name. Nothing is retried, routed, cancelled, flushed,
//! observed or counted. Frames are written and read by Posthaste's protocol crate.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use bench_session::{Arguments, Shape};
use bytes::{Buf as _, Bytes, BytesMut};
use posthaste_protocol::answer::StoredReader;
use posthaste_protocol::id::{IdText, UniqueId};
use posthaste_protocol::request::{OwnFields, SendBatch, SendMessage, SendTemplate};
use posthaste_protocol::{FrameView, batch, command, properties};
use tokio::sync::Semaphore;

use super::{Call, Payload};
use crate::route::Broker;

const PERMITS: usize = 10_000;
const TIMEOUT: Duration = Duration::from_secs(3);

pub(crate) struct Whole {
    shared: Arc<Shared>,
    broker: Broker,
    batching: bool,
    oneway: bool,
    /// What single sends of each topic share, once there was one.
    templates: Vec<Option<SendTemplate>>,
    answers: StoredReader,
    turn: i32,
    scratch: String,
    output: BytesMut,
}

/// What callers share.
pub(crate) struct Shared {
    permits: Semaphore,
    ids: AtomicU16,
    body: Bytes,
    topics: Vec<Arc<str>>,
    places: HashMap<Arc<str>, usize>,
}

pub(crate) struct Message {
    _topic: Option<Arc<str>>,
    place: usize,
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
    pub(crate) fn new(arguments: &Arguments, broker: &Broker) -> Result<Self> {
        let body = vec![b'x'; arguments.body].into();
        let topics = arguments.topics()?;
        let places = topics.iter().cloned().zip(0..).collect();
        let (permits, ids) = (Semaphore::new(PERMITS), AtomicU16::new(0));
        Ok(Self {
            templates: topics.iter().map(|_| None).collect(),
            shared: Arc::new(Shared { permits, ids, body, topics, places }),
            broker: broker.clone(),
            batching: arguments.value("batching") != Some("off"),
            oneway: arguments.shape == Shape::Oneway,
            answers: StoredReader::default(),
            turn: 0,
            scratch: String::new(),
            output: BytesMut::new(),
        })
    }

    fn request(
        &self,
        place: usize,
        properties: Cow<'static, str>,
        born_at_ms: i64,
    ) -> SendMessage<'_> {
        SendMessage {
            group: "bench".into(),
            topic: Cow::Borrowed(self.shared.topics.get(place).map_or("", |topic| topic)),
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

impl Payload for Whole {
    type Shared = Arc<Shared>;
    type Message = Message;
    type Receipt = Option<Place>;

    fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }

    async fn accept(shared: &Arc<Shared>, caller: usize) -> Message {
        let several = shared.topics.len() > 1;
        let topic =
            several.then(|| shared.topics.get(caller % shared.topics.len()).cloned()).flatten();
        let place = topic.as_ref().and_then(|topic| shared.places.get(topic).copied());
        // It is never closed.
        if let Ok(permit) = shared.permits.acquire().await {
            permit.forget();
        }
        let id = UniqueId {
            ip: Ipv4Addr::LOCALHOST.into(),
            process: std::process::id() as u16,
            instance: 1,
            time_ms: 1,
            counter: shared.ids.fetch_add(1, Ordering::Relaxed),
        };
        let accepted = Instant::now();
        let (body, deadline) = (shared.body.clone(), accepted + TIMEOUT);
        let (id, place) = (id.text(), place.unwrap_or_default());
        Message { _topic: topic, place, body, id, accepted, deadline }
    }

    fn leave(&mut self, number: usize, members: &[Arc<Call<Self>>]) {
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
                let place = first.message.place;
                let request =
                    SendBatch(self.request(place, "WAIT\u{1}true\u{2}".into(), born_at_ms));
                command::put_request_with(&mut output, number, self.oneway, &request, |output| {
                    for call in members.iter().filter(|call| call.message.deadline > now) {
                        put_properties(&mut scratch, &call.message.id);
                        batch::put_entry(output, 0, &call.message.body, &scratch);
                    }
                });
            }
            false => {
                let Message { body, id, place, .. } = &first.message;
                let made = self.templates.get_mut(*place).and_then(Option::take);
                let template = made.unwrap_or_else(|| {
                    put_properties(&mut scratch, id);
                    let request = self.request(*place, scratch.clone().into(), born_at_ms);
                    SendTemplate::of(&request, id)
                });
                let own = OwnFields { queue_id: self.turn, born_at_ms, properties: "", id };
                template.put(&mut output, number, self.oneway, &own, |output| {
                    output.extend_from_slice(body);
                });
                if let Some(free) = self.templates.get_mut(*place) {
                    *free = Some(template);
                }
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
        self.shared.permits.add_permits(messages);
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
