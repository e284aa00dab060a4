//! A stream of frames gives the same frames however it is cut.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod support;
#[path = "targets/mod.rs"]
mod targets;

use std::sync::LazyLock;

use bytes::BytesMut;
use posthaste_protocol::frame::MAX_FRAME;
use posthaste_protocol::{Command, Frame, HeaderEncoding};
use proptest::collection::vec;
use proptest::prelude::*;
use support::{RECORDINGS, encode, recorded};
use targets::take_all;

/// The recorded frames, and the same commands with binary headers: 1,098 frames.
static FRAMES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut frames = Vec::new();
    for (_, text) in RECORDINGS {
        for line in recorded(text) {
            frames.push(line.bytes());
            let binary = Command { encoding: HeaderEncoding::Binary, ..line.command() };
            frames.push(encode(&binary).to_vec());
        }
    }
    assert_eq!(frames.len(), 1098);
    frames
});

/// At each cut of each of 1,000 frames: nothing is taken before the frame is whole, then it is
/// taken and what follows stays.
#[test]
fn every_cut_of_a_thousand_frames() {
    let following = b"\0\0\0";
    for bytes in &*FRAMES {
        let whole = Frame::take(&mut BytesMut::from(&bytes[..]), MAX_FRAME).unwrap();
        for cut in 0..bytes.len() {
            let mut buffer = BytesMut::from(&bytes[..cut]);
            assert_eq!(Frame::take(&mut buffer, MAX_FRAME), Ok(None));
            assert_eq!(buffer, bytes[..cut]);
            buffer.extend_from_slice(&bytes[cut..]);
            buffer.extend_from_slice(following);
            assert_eq!(Frame::take(&mut buffer, MAX_FRAME).unwrap(), whole);
            assert_eq!(buffer, following[..]);
        }
    }
}

#[test]
fn a_thousand_frames_byte_by_byte() {
    let stream = FRAMES.concat();
    let (taken, error) = take_all(stream.chunks(1));
    assert_eq!(error, None);
    assert_eq!(taken.len(), 1098);
    assert_eq!(take_all([&stream[..]]), (taken, None));
}

/// The same for every split point of the whole stream of some frames.
#[test]
fn every_split_point_of_a_stream() {
    let stream = FRAMES[..60].concat();
    let whole = take_all([&stream[..]]);
    assert_eq!(whole.0.len(), 60);
    for split in 0..=stream.len() {
        let (first, second) = stream.split_at(split);
        assert_eq!(take_all([first, second]), whole, "split at {split}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn pieces_of_any_length(lengths in vec(1..3000usize, 1..40), start in 0..1000usize) {
        let stream = FRAMES[start..start + 90].concat();
        let mut rest = &stream[..];
        let mut pieces = Vec::new();
        for length in lengths.iter().cycle() {
            let (piece, tail) = rest.split_at((*length).min(rest.len()));
            pieces.push(piece);
            rest = tail;
            if rest.is_empty() {
                break;
            }
        }
        let whole = take_all([&stream[..]]);
        prop_assert_eq!(whole.0.len(), 90);
        prop_assert_eq!(take_all(pieces), whole);
    }

    /// A bad frame ends the stream with the same error wherever it is cut.
    #[test]
    fn errors_do_not_depend_on_the_pieces(start in 0..1000usize, bad in vec(any::<u8>(), 8..40), piece in 1..50usize) {
        let mut stream = FRAMES[start..start + 5].concat();
        stream.extend(&bad);
        prop_assert_eq!(take_all(stream.chunks(piece)), take_all([&stream[..]]));
    }
}
