//! What a connection is about to write.
//!
//! Frames are encoded one behind another into the same memory. A large body is not copied there: it is
//! kept as its caller gave it, and written from there.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes, BytesMut};
use posthaste_protocol::{batch, frame};

/// A body of this many bytes and more is not copied. Up to 16 KiB that gains nothing that can be
/// measured: the system copies them anyway, and each piece of a write costs something too.
const LARGE: usize = 64 * 1024;

#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    /// All but the bodies that are kept apart.
    text: BytesMut,
    /// How many bytes of the text have been written.
    written: u64,
    bodies: VecDeque<BodyApart>,
    bodies_bytes: usize,
    /// Whether everything is copied.
    copies: bool,
}

/// A body that is kept apart.
#[derive(Debug)]
struct BodyApart {
    /// Its place: this many bytes of the text are before it.
    at: u64,
    bytes: Bytes,
}

/// Where a frame's body goes while it is encoded.
pub(crate) struct Bodies<'a> {
    written: u64,
    bodies: &'a mut VecDeque<BodyApart>,
    /// Bytes that are kept apart.
    bytes: usize,
    /// From this many bytes on.
    large: usize,
}

impl Outgoing {
    /// For a connection that takes in what it is handed anyway, as TLS does: everything is copied.
    pub(crate) fn copying() -> Self {
        Self { copies: true, ..Self::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.text.len() + self.bodies_bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where frames are appended that are copied whole.
    pub(crate) fn text(&mut self) -> &mut BytesMut {
        &mut self.text
    }

    /// Appends a frame that `put` encodes into the text; large bodies that it hands over are kept apart,
    /// unless the frame is `whole`.
    pub(crate) fn put_frame<T>(
        &mut self,
        whole: bool,
        put: impl FnOnce(&mut BytesMut, &mut Bodies<'_>) -> T,
    ) -> T {
        let start = self.text.len();
        let large = if whole || self.copies { usize::MAX } else { LARGE };
        let Self { written, bodies, .. } = self;
        let mut bodies = Bodies { written: *written, bodies, bytes: 0, large };
        let result = put(&mut self.text, &mut bodies);
        let apart = bodies.bytes;
        if apart > 0 {
            frame::lengthen(&mut self.text, start, apart);
            self.bodies_bytes += apart;
        }
        result
    }

    /// Takes back what was appended since it had this length of text.
    pub(crate) fn truncate(&mut self, text: usize) {
        self.text.truncate(text);
        let end = self.written + self.text.len() as u64;
        while let Some(body) = self.bodies.back().filter(|body| body.at > end) {
            self.bodies_bytes -= body.bytes.len();
            self.bodies.pop_back();
        }
    }

    /// Throws everything away.
    pub(crate) fn clear(&mut self) {
        self.advance(self.len());
    }

    /// What is to be written, in its order; no piece is empty.
    fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let mut from = 0;
        let around_bodies = self.bodies.iter().flat_map(move |body| {
            let before = self.text_before(body);
            let text = self.text.get(from..before).unwrap_or_default();
            from = before;
            [text, &body.bytes]
        });
        let rest = self.bodies.back().map_or(0, |last| self.text_before(last));
        let rest = self.text.get(rest..).unwrap_or_default();
        around_bodies.chain([rest]).filter(|piece| !piece.is_empty())
    }

    /// How much text comes before this body.
    fn text_before(&self, body: &BodyApart) -> usize {
        usize::try_from(body.at - self.written).unwrap_or(usize::MAX)
    }
}

impl Bodies<'_> {
    /// The body of a request, behind the text.
    pub(crate) fn put(&mut self, text: &mut BytesMut, body: &Bytes) {
        match body.len() < self.large {
            true => text.extend_from_slice(body),
            false => self.keep(text.len(), body),
        }
    }

    /// A message of a batch, behind the text.
    pub(crate) fn put_entry(
        &mut self,
        text: &mut BytesMut,
        flag: i32,
        body: &Bytes,
        properties: &str,
    ) {
        if body.len() < self.large {
            return batch::put_entry(text, flag, body, properties);
        }
        let place = batch::put_entry_around(text, flag, body.len(), properties);
        self.keep(place, body);
    }

    fn keep(&mut self, place: usize, body: &Bytes) {
        self.bytes += body.len();
        self.bodies.push_back(BodyApart { at: self.written + place as u64, bytes: body.clone() });
    }
}

impl Buf for Outgoing {
    fn remaining(&self) -> usize {
        self.len()
    }

    fn chunk(&self) -> &[u8] {
        self.pieces().next().unwrap_or_default()
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let filled = slices.iter_mut().zip(self.pieces());
        filled.map(|(slice, piece)| *slice = IoSlice::new(piece)).count()
    }

    fn advance(&mut self, mut count: usize) {
        while let Some(body) = self.bodies.front()
            && count > 0
        {
            let before = self.text_before(body).min(count);
            self.text.advance(before);
            self.written += before as u64;
            count -= before;
            let Some(body) = self.bodies.front_mut().filter(|body| body.at == self.written) else {
                continue;
            };
            let taken = body.bytes.len().min(count);
            body.bytes.advance(taken);
            self.bodies_bytes -= taken;
            count -= taken;
            if body.bytes.is_empty() {
                self.bodies.pop_front();
            }
        }
        self.text.advance(count);
        self.written += count as u64;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use posthaste_protocol::request::{RouteOf, SendBatch, SendMessage};
    use posthaste_protocol::{Command, Frame, command};
    use proptest::prelude::*;

    use super::*;

    fn put_request(out: &mut Outgoing, whole: bool, bodies: &[Bytes]) {
        let message = SendMessage { topic: "t".into(), ..SendMessage::default() };
        out.put_frame(whole, |text, apart| match bodies {
            [body] => {
                command::put_request_with(text, 7, false, &message, |text| apart.put(text, body))
            }
            _ => command::put_request_with(text, 7, false, &SendBatch(message), |text| {
                bodies.iter().for_each(|body| apart.put_entry(text, 0, body, "a\u{1}b\u{2}"));
            }),
        });
    }

    fn put_small(out: &mut Outgoing) {
        let request = RouteOf { topic: "t".into(), standard_json: None };
        command::put_request(out.text(), 8, false, &request);
    }

    /// Takes up to this many bytes as a socket would: some whole pieces, and part of the next.
    fn write(out: &mut Outgoing, most: usize, written: &mut BytesMut) {
        let mut slices = [IoSlice::new(&[]); 4];
        let filled = out.chunks_vectored(&mut slices);
        let before = written.len();
        for slice in slices.iter().take(filled) {
            let left = most - (written.len() - before);
            written.extend_from_slice(&slice[..slice.len().min(left)]);
        }
        out.advance(written.len() - before);
    }

    fn body(length: usize) -> Bytes {
        static LONGEST: OnceLock<Bytes> = OnceLock::new();
        let longest = LONGEST.get_or_init(|| (0..2 * LARGE).map(|at| (at % 251) as u8).collect());
        longest.slice(..length)
    }

    #[derive(Debug, Clone)]
    enum Act {
        Small,
        Request(bool, Vec<usize>),
        Taken(Vec<usize>),
        Write(usize),
    }

    fn act() -> impl Strategy<Value = Act> {
        let length = prop_oneof![0usize..200, LARGE - 1..LARGE + 2, LARGE..2 * LARGE];
        let lengths = proptest::collection::vec(length, 1..4);
        prop_oneof![
            Just(Act::Small),
            (any::<bool>(), lengths.clone()).prop_map(|(whole, all)| Act::Request(whole, all)),
            lengths.prop_map(Act::Taken),
            (1usize..4 * LARGE).prop_map(Act::Write),
        ]
    }

    proptest! {
        /// However the bytes are kept apart, written and taken back, they are the same as when everything
        /// is copied.
        #[test]
        fn the_bytes_are_those_of_copies(steps in proptest::collection::vec(act(), 1..20)) {
            let (mut out, mut model) = (Outgoing::default(), Outgoing::copying());
            let mut written = BytesMut::new();
            for step in steps {
                match step {
                    Act::Small => [&mut out, &mut model].map(put_small),
                    Act::Request(whole, lengths) => {
                        let bodies: Vec<Bytes> = lengths.into_iter().map(body).collect();
                        [&mut out, &mut model].map(|out| put_request(out, whole, &bodies))
                    }
                    Act::Taken(lengths) => {
                        let bodies: Vec<Bytes> = lengths.into_iter().map(body).collect();
                        let (length, text) = (out.len(), out.text().len());
                        put_request(&mut out, false, &bodies);
                        out.truncate(text);
                        prop_assert_eq!(out.len(), length);
                        [(), ()]
                    }
                    Act::Write(most) => [write(&mut out, most, &mut written), ()],
                };
                prop_assert_eq!(out.len() + written.len(), model.len());
            }
            while !out.is_empty() {
                write(&mut out, usize::MAX / 2, &mut written);
            }
            prop_assert!(out.bodies.is_empty() && out.chunk().is_empty());
            prop_assert_eq!(written, model.text);
        }
    }

    #[test]
    fn large_bodies_are_not_copied_and_arrive_whole() {
        let (mut out, large) = (Outgoing::default(), body(LARGE));
        put_request(&mut out, false, std::slice::from_ref(&large));
        assert!(out.text().len() < LARGE);
        assert_eq!(out.bodies.front().map(|body| body.bytes.as_ptr()), Some(large.as_ptr()));
        let frame = out.copy_to_bytes(out.len());
        let frame = Frame::take(&mut BytesMut::from(frame), frame::MAX_FRAME).unwrap().unwrap();
        assert_eq!(Command::decode(frame).unwrap().body, large);
        assert!(out.is_empty());
    }

    #[test]
    fn what_is_thrown_away_leaves_nothing() {
        let mut out = Outgoing::default();
        put_request(&mut out, false, &[body(LARGE), body(10)]);
        out.clear();
        assert!(out.is_empty() && out.bodies.is_empty() && out.text().is_empty());
        put_small(&mut out);
        assert_eq!(out.len(), out.text().len());
    }
}
