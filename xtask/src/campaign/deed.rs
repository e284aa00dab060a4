//! What a broker is asked to do, and how it does it.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use fastrand::Rng;
use posthaste_protocol::id::OffsetId;
use posthaste_protocol::properties::{self, name};
use posthaste_protocol::request::{
    CheckTransaction, Empty, EndTransaction, Payload, PushReply, SendAnswer, SendMessage, SendReply,
};
use posthaste_protocol::stored::sys_flag;
use posthaste_protocol::{
    Command, Fields, HeaderEncoding, Incoming, RequestCode, ResponseCode, StoredMessage, batch,
    command,
};

use super::broker::{Broker, Live, Out};
use super::conduct::{Close, Conduct, Write};
use super::fault::Fault;
use super::record::{Copied, Decision, Number, Request};

/// The property with a message's number.
pub(super) const NUMBER: &str = "n";

/// A request that a broker has to answer.
struct Asked {
    opaque: i32,
    deed: Deed,
}

enum Deed {
    Messages(Messages),
    Decision(EndTransaction),
}

/// The messages of a request.
struct Messages {
    /// Its place in the record.
    request: usize,
    topic: String,
    queue: i32,
    half: bool,
    weak: bool,
    all: Vec<Arrived>,
}

struct Arrived {
    number: Number,
    properties: String,
    body: Bytes,
    compressed: bool,
}

impl Broker {
    /// Does what is asked. Gives how long nothing is read from now on; nothing when the connection is
    /// to end.
    pub(super) fn receive(&self, live: &Live, command: &Command) -> Option<Duration> {
        if command.is_answer() {
            return Some(Duration::ZERO);
        }
        let (opaque, oneway) = (command.opaque, command.is_oneway());
        match Incoming::read(command) {
            Ok(Incoming::Send(send) | Incoming::SendReply(SendReply(send))) => {
                return self.take_send(live, &send, opaque, oneway);
            }
            Ok(Incoming::EndTransaction(end)) => {
                return self.take_decision(live, end, opaque, oneway);
            }
            Ok(_) if oneway => {}
            Ok(_) => put(live, answer(opaque, 0, "", &Empty)),
            Err(error) => self.world().record().unreadable.push(error.to_string()),
        }
        Some(Duration::ZERO)
    }

    fn take_send(
        &self,
        live: &Live,
        send: &SendMessage<'_>,
        opaque: i32,
        oneway: bool,
    ) -> Option<Duration> {
        let all = arrived(send);
        let first = all.first()?.number;
        let seen = self.seen(first);
        let mut dice = self.dice(u64::from(first), seen);
        let illegal = self.illegal(&send.topic, send.queue_id, &mut dice);
        let (fault, mut conduct) = match illegal {
            Some(refusal) => (None, refusal),
            None => self.conduct(&mut dice),
        };
        let half = send.sys_flag & sys_flag::TRANSACTION == sys_flag::PREPARED;
        if let Some(fault) = fault {
            let applies = match fault {
                Fault::LateReply => all.iter().any(|one| one.asks_for_reply()),
                _ => true,
            };
            if applies {
                self.world().happens(fault);
            }
        }
        if oneway && conduct.close == Close::No && !matches!(conduct.write, Write::Bytes(_)) {
            conduct.write = Write::Nothing;
        }
        if fault == Some(Fault::StrayCheck) {
            self.ask(live, &stray(), "t", 0, None);
        }
        let code = match &conduct.write {
            Write::Answer { code, .. } => *code,
            _ => 0,
        };
        let weak = matches!(code, 10..=12);
        let request = Request {
            at: self.world().now(),
            broker: self.place(),
            link: live.link,
            opaque,
            oneway,
            numbers: all.iter().map(|one| one.number).collect(),
            queue: send.queue_id,
            fault,
            refused: (code != 0 && !weak).then_some(code),
            done: Vec::new(),
        };
        let request = {
            let mut record = self.world().record();
            record.requests.push(request);
            record.requests.len() - 1
        };
        let (topic, queue) = (send.topic.clone().into_owned(), send.queue_id);
        let deed = Deed::Messages(Messages { request, topic, queue, half, weak, all });
        self.carry_out(live, Asked { opaque, deed }, conduct, dice)
    }

    fn take_decision(
        &self,
        live: &Live,
        end: EndTransaction,
        opaque: i32,
        oneway: bool,
    ) -> Option<Duration> {
        let mut dice = self.dice(end.half_physical_offset.cast_unsigned() | 1 << 40, 0);
        let (fault, mut conduct) = self.conduct(&mut dice);
        // What an answer to a send says is not for the answer to a decision.
        let good = match &conduct.write {
            Write::Answer { code: 0, .. } | Write::Bytes(_) => true,
            Write::Answer { .. } => !conduct.store,
            write => *write == Write::Nothing,
        };
        if !good {
            conduct = Conduct::good();
        } else if let Some(fault) = fault {
            self.world().happens(fault);
        }
        if oneway {
            conduct.write = Write::Nothing;
        }
        self.carry_out(live, Asked { opaque, deed: Deed::Decision(end) }, conduct, dice)
    }

    /// How often a message has been seen by all brokers.
    fn seen(&self, number: Number) -> usize {
        let mut record = self.world().record();
        let seen = record.arrivals.entry(number).or_default();
        *seen += 1;
        *seen - 1
    }

    fn conduct(&self, dice: &mut Rng) -> (Option<Fault>, Conduct) {
        let fault = match self.world().is_calm() {
            true => None,
            false => self.world().profile.of_request(dice),
        };
        let mood = match self.mood() {
            Some(Fault::BrokerBusy) => Some(Conduct::refuse(2, "busy for a while")),
            Some(Fault::BrokerReadOnly) => {
                Some(Conduct::refuse(16, "the broker may not be written"))
            }
            Some(Fault::BrokerStopping) => Some(Conduct::refuse(14, "the broker is stopping")),
            _ => None,
        };
        mood.map_or_else(|| (fault, Conduct::of(fault, dice)), |conduct| (None, conduct))
    }

    /// Whether a topic has no such queue here.
    fn is_gone(&self, topic: &str, queue: i32) -> bool {
        let land = self.world().land();
        let queues = land.topics.iter().find(|known| known.name == topic).map(|known| &known.is);
        let count = queues.and_then(|queues| queues.counts.get(self.place()));
        queues.is_some_and(|queues| queues.exists) && count.is_some_and(|count| queue >= *count)
    }

    /// The refusal of a message to a topic or a queue that is not there.
    fn illegal(&self, topic: &str, queue: i32, dice: &mut Rng) -> Option<Conduct> {
        let exists = {
            let land = self.world().land();
            let mut topics = land.topics.iter();
            topics.find(|known| known.name == topic).is_none_or(|known| known.is.exists)
        };
        if !exists {
            return Some(Conduct::refuse(17, "topic not exist, apply first please"));
        }
        let gone = self.is_gone(topic, queue);
        gone.then(|| {
            self.world().happens(Fault::IllegalQueue);
            // As 4.x and 5.x say it.
            let code = if dice.bool() { 1 } else { 29 };
            Conduct::refuse(code, &format!("request queueId[{queue}] is illegal"))
        })
    }

    /// Stores and answers, now or as much later as the conduct says.
    fn carry_out(
        &self,
        live: &Live,
        asked: Asked,
        conduct: Conduct,
        mut dice: Rng,
    ) -> Option<Duration> {
        let stall = conduct.stall;
        let closes = conduct.close != Close::No;
        if conduct.store_after.is_zero() && conduct.answer_after.is_zero() {
            let place = self.store(&asked, &conduct);
            self.answer(live, &asked, &conduct, place);
            self.follow_up(live, &asked, &conduct, &mut dice);
            return (!closes).then_some(stall);
        }
        let (broker, live, guard) = (self.clone(), live.clone(), self.world().under_way());
        tokio::spawn(async move {
            tokio::time::sleep(conduct.store_after).await;
            let place = broker.store(&asked, &conduct);
            tokio::time::sleep(conduct.answer_after).await;
            broker.answer(&live, &asked, &conduct, place);
            broker.follow_up(&live, &asked, &conduct, &mut dice);
            drop(guard);
        });
        Some(stall)
    }

    /// Stores what is to be stored; gives the place of the first message.
    fn store(&self, asked: &Asked, conduct: &Conduct) -> i64 {
        let now = self.world().now();
        if !conduct.store {
            return 0;
        }
        match &asked.deed {
            Deed::Decision(end) => {
                let id = end.message_id.clone().unwrap_or_default();
                let from_check = end.from_check == Some(true);
                let decision = Decision { id, code: end.decision, from_check };
                self.world().record().decisions.push(decision);
                0
            }
            Deed::Messages(messages) => {
                let count = i64::try_from(messages.all.len()).unwrap_or(1);
                // The record's lock first: what is stored earlier has the lower offset.
                let mut record = self.world().record();
                let first = {
                    let mut offsets = self.offsets();
                    let next = offsets.entry((messages.topic.clone(), messages.queue)).or_default();
                    *next += count;
                    *next - count
                };
                for (offset, one) in (first..).zip(&messages.all) {
                    record.copies.push(self.copy(messages, one, offset, now));
                }
                if let Some(request) = record.requests.get_mut(messages.request) {
                    request.done.push((now, format!("stored from offset {first}")));
                }
                first
            }
        }
    }

    fn copy(&self, messages: &Messages, one: &Arrived, offset: i64, at: Duration) -> Copied {
        Copied {
            number: one.number,
            id: properties::find(&one.properties, name::UNIQ_KEY).unwrap_or_default().to_owned(),
            broker: self.name().to_owned(),
            topic: messages.topic.clone(),
            queue: messages.queue,
            offset,
            request: messages.request,
            at,
            weak: messages.weak,
            whole: one.compressed || one.body.starts_with(format!("{} ", one.number).as_bytes()),
        }
    }

    fn answer(&self, live: &Live, asked: &Asked, conduct: &Conduct, first: i64) {
        let ok = || self.stored_answer(asked, 0, "", first);
        if conduct.close != Close::No || matches!(conduct.write, Write::Bytes(_)) {
            self.doom(live.link);
        }
        match &conduct.write {
            Write::Nothing => {}
            Write::Answer { code: code @ (0 | 10..=12), remark } => {
                put(live, self.stored_answer(asked, *code, remark, first));
            }
            Write::Answer { code, remark } => {
                put(live, answer(asked.opaque, *code, remark, &Empty))
            }
            Write::Trickle => drop(live.out.send(Out::Trickle(ok()))),
            Write::Twice => {
                put(live, ok());
                put(live, ok());
            }
            Write::Binary => put(live, binary(asked.opaque, &self.place_of(asked, first))),
            Write::Cut(mille) => {
                let mut bytes = ok();
                bytes.truncate(bytes.len() * mille / 1_000);
                put(live, bytes);
            }
            Write::Stray => {
                // No producer of a round gets as far as this number.
                put(live, answer(asked.opaque ^ 0x4000_0000, 0, "", &self.place_of(asked, first)));
                put(live, ok());
            }
            Write::Colliding => {
                put(live, request(RequestCode(220), asked.opaque));
                put(live, ok());
            }
            Write::Placeless => put(live, answer(asked.opaque, 0, "", &Empty)),
            Write::Bytes(bytes) => put(live, bytes.clone()),
        }
        if conduct.close != Close::No {
            let _ = live.out.send(Out::Close(conduct.close));
        }
        let now = self.world().now();
        if let Deed::Messages(messages) = &asked.deed
            && let Some(request) = self.world().record().requests.get_mut(messages.request)
        {
            let closes = match conduct.close {
                Close::No => "",
                Close::Fin => ", and closed",
                Close::Reset => ", and reset",
            };
            request.done.push((now, format!("{}{closes}", told(&conduct.write))));
        }
    }

    fn stored_answer(&self, asked: &Asked, code: i32, remark: &str, first: i64) -> Vec<u8> {
        match &asked.deed {
            Deed::Messages(_) => answer(asked.opaque, code, remark, &self.place_of(asked, first)),
            Deed::Decision(_) => answer(asked.opaque, code, remark, &Empty),
        }
    }

    fn place_of(&self, asked: &Asked, first: i64) -> SendAnswer {
        let Deed::Messages(messages) = &asked.deed else { return SendAnswer::default() };
        let host = self.address();
        let id =
            |place: usize| OffsetId { host, offset: (messages.request * 4_096 + place) as i64 };
        let ids: Vec<String> = (0..messages.all.len()).map(|place| id(place).to_string()).collect();
        SendAnswer {
            offset_message_id: ids.join(","),
            queue_id: messages.queue,
            queue_offset: first,
            ..SendAnswer::default()
        }
    }

    // ---- what a broker says by itself ----

    /// Replies to requests, and asks about half messages.
    fn follow_up(&self, live: &Live, asked: &Asked, conduct: &Conduct, dice: &mut Rng) {
        let Deed::Messages(messages) = &asked.deed else { return };
        if !conduct.store {
            return;
        }
        for one in &messages.all {
            if one.asks_for_reply() {
                self.reply_to(live, messages, one, dice);
            }
        }
        if messages.half && dice.u32(..10) < 4 {
            let Some(one) = messages.all.first() else { return };
            let (broker, live, guard) = (self.clone(), live.clone(), self.world().under_way());
            let after = Duration::from_millis(dice.u64(1..400));
            let (topic, queue, text) = (messages.topic.clone(), messages.queue, one.clone());
            let place = (messages.request * 4_096) as i64;
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                broker.ask(&live, &text, &topic, queue, Some(place));
                drop(guard);
            });
        }
    }

    fn reply_to(&self, live: &Live, messages: &Messages, one: &Arrived, dice: &mut Rng) {
        let fault = {
            let record = self.world().record();
            record.requests.get(messages.request).and_then(|request| request.fault)
        };
        let times = match fault {
            Some(Fault::LateReply) => dice.choice([0, 1, 2]).unwrap_or_default(),
            _ => 1,
        };
        let most = if fault == Some(Fault::LateReply) { 900 } else { 10 };
        let after = Duration::from_millis(dice.u64(..most));
        let push = PushReply {
            topic: messages.topic.clone(),
            properties: Some(one.properties.clone()),
            body: one.number.to_string().into(),
            born_host: "127.0.0.1:1".into(),
            store_host: "127.0.0.1:1".into(),
            ..PushReply::default()
        };
        let (broker, live, number) = (self.clone(), live.clone(), one.number);
        let guard = self.world().under_way();
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            for time in 0..times {
                broker.world().record().replied.push(number);
                let mut bytes = BytesMut::new();
                command::put_request(&mut bytes, time, false, &push);
                put(&live, bytes.to_vec());
            }
            drop(guard);
        });
    }

    /// Asks the producer how a half message ended; or a message that does not exist.
    fn ask(&self, live: &Live, one: &Arrived, topic: &str, queue: i32, place: Option<i64>) {
        let host = self.address();
        let place_id = place.unwrap_or(7);
        let stored = StoredMessage {
            topic: topic.to_owned(),
            queue_id: queue,
            queue_offset: 0,
            physical_offset: place_id,
            flag: 0,
            sys_flag: if one.compressed { sys_flag::COMPRESSED } else { 0 },
            born_at_ms: 0,
            born_host: host,
            stored_at_ms: 0,
            store_host: host,
            reconsume_times: 0,
            prepared_offset: 0,
            body: one.body.clone(),
            properties: one.properties.clone(),
        };
        let mut message = BytesMut::new();
        stored.encode(&mut message);
        let id = properties::find(&one.properties, name::UNIQ_KEY).map(str::to_owned);
        let check = CheckTransaction {
            half_offset: 0,
            half_physical_offset: place_id,
            message_id: id.clone(),
            transaction_id: id,
            offset_message_id: Some(OffsetId { host, offset: place_id }.to_string()),
            topic: Some("RMQ_SYS_TRANS_HALF_TOPIC".into()),
            broker_name: Some(self.name().to_owned()),
            message: message.freeze(),
        };
        if place.is_some() {
            self.world().record().asked.push(one.number);
        }
        let mut bytes = BytesMut::new();
        command::put_request(&mut bytes, 0, true, &check);
        put(live, bytes.to_vec());
    }
}

impl Arrived {
    fn asks_for_reply(&self) -> bool {
        properties::find(&self.properties, name::REPLY_TO_CLIENT).is_some()
    }
}

impl Clone for Arrived {
    fn clone(&self) -> Self {
        Self {
            number: self.number,
            properties: self.properties.clone(),
            body: self.body.clone(),
            compressed: self.compressed,
        }
    }
}

/// A half message that no producer has sent.
fn stray() -> Arrived {
    let mut properties = String::new();
    properties::push(&mut properties, NUMBER, &Number::MAX.to_string());
    properties::push(&mut properties, name::UNIQ_KEY, &"F".repeat(32));
    Arrived { number: Number::MAX, properties, body: Bytes::new(), compressed: false }
}

/// The messages of a send.
fn arrived(send: &SendMessage<'_>) -> Vec<Arrived> {
    let compressed = send.sys_flag & sys_flag::COMPRESSED != 0;
    let one = |properties: String, body: Bytes| {
        let number = properties::find(&properties, NUMBER).and_then(|text| text.parse().ok());
        Arrived { number: number.unwrap_or(Number::MAX), properties, body, compressed }
    };
    if !send.batch {
        return vec![one(send.properties.clone().into_owned(), send.body.clone())];
    }
    let entries = batch::decode(send.body.clone()).unwrap_or_default();
    entries.into_iter().map(|entry| one(entry.properties, entry.body)).collect()
}

fn put(live: &Live, bytes: Vec<u8>) {
    let _ = live.out.send(Out::Bytes(bytes));
}

/// An answer as a frame.
pub(super) fn answer<P: Payload>(opaque: i32, code: i32, remark: &str, payload: &P) -> Vec<u8> {
    let mut out = BytesMut::new();
    let remark = Some(remark).filter(|remark| !remark.is_empty());
    command::put_answer(&mut out, opaque, ResponseCode(code), remark, payload);
    out.to_vec()
}

fn binary(opaque: i32, place: &SendAnswer) -> Vec<u8> {
    let mut fields = Fields::new();
    place.write(&mut fields);
    let mut command = Command::request(RequestCode(0), opaque, fields, Bytes::new());
    (command.flag, command.encoding) = (1, HeaderEncoding::Binary);
    let mut out = BytesMut::new();
    command.encode(&mut out);
    out.to_vec()
}

/// A request of the broker's own.
fn request(code: RequestCode, opaque: i32) -> Vec<u8> {
    let mut out = BytesMut::new();
    Command::request(code, opaque, Fields::new(), Bytes::new()).encode(&mut out);
    out.to_vec()
}

/// What was written, in words.
fn told(write: &Write) -> String {
    match write {
        Write::Nothing => "said nothing".into(),
        Write::Answer { code: 0, .. } => "said that it is stored".into(),
        Write::Answer { code, remark } => format!("answered with code {code}: {remark}"),
        Write::Trickle => "said byte by byte that it is stored".into(),
        Write::Twice => "said twice that it is stored".into(),
        Write::Binary => "said in a binary header that it is stored".into(),
        Write::Cut(mille) => format!("wrote {mille} thousandths of the answer"),
        Write::Stray => "answered another number, then this one".into(),
        Write::Colliding => "asked with the same number, then answered".into(),
        Write::Placeless => "answered without a place".into(),
        Write::Bytes(bytes) => format!("wrote {} bytes that are no answer", bytes.len()),
    }
}
