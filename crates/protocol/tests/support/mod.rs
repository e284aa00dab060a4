//! What several test files need: hex, base64, the recorded frames.

#![allow(dead_code, reason = "no test file uses all of it")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use bytes::BytesMut;
use posthaste_protocol::frame::MAX_FRAME;
use posthaste_protocol::{Command, Frame, HeaderEncoding};
use serde::Deserialize;

/// The recordings, by the version of the software that was recorded.
pub(crate) const RECORDINGS: [(&str, &str); 3] = [
    ("4.7.0", include_str!("../recorded/java-4.7.0.jsonl")),
    ("4.9.7", include_str!("../recorded/java-4.9.7.jsonl")),
    ("5.5.0", include_str!("../recorded/java-5.5.0.jsonl")),
];

/// One line of a recording.
#[derive(Debug, Deserialize)]
pub(crate) struct Recorded {
    pub(crate) n: u32,
    pub(crate) connection: u32,
    pub(crate) from: String,
    pub(crate) kind: String,
    pub(crate) code: i32,
    pub(crate) opaque: i32,
    frame_base64: String,
}

impl Recorded {
    /// The frame's bytes, length prefix included.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        base64(&self.frame_base64)
    }

    /// The frame's bytes behind its header, found without the code that is tested.
    pub(crate) fn body(&self) -> Vec<u8> {
        let bytes = self.bytes();
        let header = u32::from_be_bytes([0, bytes[5], bytes[6], bytes[7]]) as usize;
        bytes[8 + header..].to_vec()
    }

    pub(crate) fn command(&self) -> Command {
        decode(&self.bytes())
    }

    pub(crate) fn is_answer(&self) -> bool {
        self.kind == "answer"
    }

    /// Whether it says where a message was stored. (5.x says so in some errors, too, and names an
    /// id in answers to other requests.)
    pub(crate) fn is_send_answer(&self) -> bool {
        let fields = self.command().fields;
        let names = ["msgId", "queueOffset"];
        self.is_answer() && self.code == 0 && names.iter().all(|name| fields.get(name).is_some())
    }
}

/// The lines of one recording.
pub(crate) fn recorded(text: &str) -> Vec<Recorded> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The only command in `bytes`.
pub(crate) fn decode(bytes: &[u8]) -> Command {
    let mut buffer = BytesMut::from(bytes);
    let frame = Frame::take(&mut buffer, MAX_FRAME).unwrap().unwrap();
    assert!(buffer.is_empty(), "{} bytes behind the frame", buffer.len());
    Command::decode(frame).unwrap()
}

pub(crate) fn encode(command: &Command) -> BytesMut {
    let mut out = BytesMut::new();
    command.encode(&mut out);
    out
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|b| !b.is_ascii_whitespace())
        .map(|b| (b as char).to_digit(16).unwrap() as u8)
        .collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut count, mut bytes) = (0u32, 0, Vec::with_capacity(text.len() * 3 / 4));
    for digit in text.bytes().filter(|b| *b != b'=') {
        bits = bits << 6 | ALPHABET.iter().position(|b| *b == digit).unwrap() as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

/// Valid input for a fuzz target, out of the recorded frames.
pub(crate) fn seeds(target: &str) -> Vec<Vec<u8>> {
    let lines: Vec<_> = RECORDINGS.iter().flat_map(|(_, text)| recorded(text)).collect();
    let mut seeds: Vec<Vec<u8>> = lines.iter().filter_map(|line| seed(target, line)).collect();
    if target == "frame" {
        // Streams, too.
        seeds.extend(lines.chunks(6).map(|lines| lines.iter().flat_map(Recorded::bytes).collect()));
    }
    if target == "send_answer" {
        let answers = lines.iter().filter(|line| line.is_send_answer());
        seeds.extend(answers.map(|line| encoded_answer(line, HeaderEncoding::Binary)));
    }
    seeds.sort();
    seeds.dedup();
    seeds
}

fn seed(target: &str, line: &Recorded) -> Option<Vec<u8>> {
    let body = line.body();
    let stored = body.get(4..8) == Some(&[0xDA, 0xA3, 0x20, 0xA7]);
    match target {
        "frame" => Some(line.bytes()),
        "json_header" => Some(header(&line.bytes())),
        "binary_header" => {
            let command = Command { encoding: HeaderEncoding::Binary, ..line.command() };
            Some(header(&encode(&command)))
        }
        "send_answer" => line.is_send_answer().then(|| encoded_answer(line, HeaderEncoding::Json)),
        "route_document" => body.starts_with(b"{").then_some(body),
        "properties" => line.command().fields.get("i").map(|text| text.as_bytes().to_vec()),
        "batch_body" => (line.code == 320).then_some(body),
        "stored_record" => stored.then_some(body),
        _ => None,
    }
}

/// The header of an answer, behind a byte that says its encoding. In JSON it is as it was recorded.
fn encoded_answer(line: &Recorded, encoding: HeaderEncoding) -> Vec<u8> {
    let frame = match encoding {
        HeaderEncoding::Json => line.bytes(),
        HeaderEncoding::Binary => encode(&Command { encoding, ..line.command() }).to_vec(),
    };
    [vec![u8::from(encoding == HeaderEncoding::Binary)], header(&frame)].concat()
}

fn header(frame: &[u8]) -> Vec<u8> {
    let length = u32::from_be_bytes([0, frame[5], frame[6], frame[7]]) as usize;
    frame[8..8 + length].to_vec()
}
