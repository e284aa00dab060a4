//! What is kept of one connection: its last exchanges.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use posthaste_protocol::FrameView;
use posthaste_protocol::frame::MAX_FRAME;

use super::exchange::{WireExchange, WireSide};
use super::frame::{self, Head, WireFrame};

/// How many exchanges are kept that are over.
const KEPT: usize = 100;
/// How many requests are kept whose answers are awaited; older ones count as never answered.
const AWAITED: usize = 1_000;

/// The last exchanges of one connection.
#[derive(Debug, Default)]
pub(super) struct Tape {
    /// Those that are over, in the order of their ends.
    over: VecDeque<WireExchange>,
    /// Those that wait for answers, in the order of their requests.
    awaited: VecDeque<(WireExchange, Instant)>,
    last: u64,
    bytes: usize,
    /// The client id that a heartbeat has said.
    client_id: Option<String>,
}

/// A moment, by both clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) steady: Instant,
    pub(super) time: SystemTime,
}

impl Tape {
    /// Takes down what one side has written: frames, and perhaps bytes that are none.
    pub(super) fn note(&mut self, from: WireSide, mut bytes: &[u8], now: Moment) {
        while !bytes.is_empty() {
            let view = FrameView::of_first(bytes, MAX_FRAME).ok().flatten();
            let Some(view) = view else {
                return self.note_stray(from, bytes, now);
            };
            let (frame, head) = WireFrame::read(bytes, view, now.time);
            let (whole, rest) = bytes.split_at_checked(view.length).unwrap_or((bytes, &[]));
            self.note_client(&frame, whole);
            match head {
                Some(head) if head.is_answer => self.note_answer(from.other(), frame, head, now),
                Some(head) => self.note_request(from, frame, head, now),
                None => self.end(self.exchange(from, 0, Some(frame), None)),
            }
            bytes = rest;
        }
    }

    fn note_client(&mut self, frame: &WireFrame, whole: &[u8]) {
        let body = whole.get(whole.len().saturating_sub(frame.body_length)..).unwrap_or_default();
        if let Some(id) = frame::client_id(frame.code, body) {
            self.client_id = Some(id);
        }
    }

    fn note_request(&mut self, asked_by: WireSide, frame: WireFrame, head: Head, now: Moment) {
        let exchange = WireExchange {
            is_oneway: head.is_oneway,
            ..self.exchange(asked_by, head.opaque, Some(frame), None)
        };
        if head.is_oneway {
            return self.end(exchange);
        }
        self.last += 1;
        self.bytes += exchange.size();
        self.awaited.push_back((exchange, now.steady));
        if self.awaited.len() > AWAITED
            && let Some((oldest, _)) = self.awaited.pop_front()
        {
            self.put(oldest);
        }
    }

    fn note_answer(&mut self, asked_by: WireSide, frame: WireFrame, head: Head, now: Moment) {
        let is_its = |(known, _): &(WireExchange, Instant)| {
            known.opaque == head.opaque && known.asked_by == asked_by
        };
        // Mostly answers come in the order of the requests.
        let found = self.awaited.iter().position(is_its);
        let Some((mut exchange, since)) = found.and_then(|at| self.awaited.remove(at)) else {
            return self.end(self.exchange(asked_by, head.opaque, None, Some(frame)));
        };
        self.bytes += frame.size();
        exchange.answer = Some(Arc::new(frame));
        exchange.took = Some(now.steady.saturating_duration_since(since));
        self.put(exchange);
    }

    fn note_stray(&mut self, from: WireSide, bytes: &[u8], now: Moment) {
        let frame = WireFrame::stray(bytes, now.time);
        self.end(match from {
            WireSide::Client => self.exchange(from, 0, Some(frame), None),
            WireSide::Broker => self.exchange(from.other(), 0, None, Some(frame)),
        });
    }

    fn exchange(
        &self,
        asked_by: WireSide,
        opaque: i32,
        request: Option<WireFrame>,
        answer: Option<WireFrame>,
    ) -> WireExchange {
        WireExchange {
            number: self.last + 1,
            asked_by,
            opaque,
            is_oneway: false,
            request: request.map(Arc::new),
            answer: answer.map(Arc::new),
            took: None,
        }
    }

    /// Takes down an exchange that is over as soon as it has begun.
    fn end(&mut self, exchange: WireExchange) {
        self.last += 1;
        self.bytes += exchange.size();
        self.put(exchange);
    }

    fn put(&mut self, exchange: WireExchange) {
        self.over.push_back(exchange);
        if self.over.len() > KEPT
            && let Some(oldest) = self.over.pop_front()
        {
            self.bytes -= oldest.size();
        }
    }

    /// Forgets the older half.
    pub(super) fn thin(&mut self) {
        self.over.drain(..self.over.len().div_ceil(2));
        self.awaited.drain(..self.awaited.len().div_ceil(2));
        self.bytes = self.all().map(WireExchange::size).sum();
    }

    /// Forgets everything, but who the client is.
    pub(super) fn clear(&mut self) {
        *self = Self { last: self.last, client_id: self.client_id.take(), ..Self::default() };
    }

    /// Bytes that it takes in memory, about.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What the client calls itself, if it has said so on this connection.
    pub(super) fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    /// Its exchanges, in the order of their beginnings.
    pub(super) fn exchanges(&self) -> Vec<WireExchange> {
        let mut all: Vec<_> = self.all().cloned().collect();
        all.sort_unstable_by_key(|exchange| exchange.number);
        all
    }

    fn all(&self) -> impl Iterator<Item = &WireExchange> {
        self.over.iter().chain(self.awaited.iter().map(|(exchange, _)| exchange))
    }
}
