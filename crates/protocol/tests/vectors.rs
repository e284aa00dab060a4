//! Byte vectors made with the Java classes of 4.7.0.

use bytes::{Bytes, BytesMut};
use posthaste_protocol::request::RouteOf;
use posthaste_protocol::{Command, Fields, Frame, HeaderEncoding, Language, java};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|b| !b.is_ascii_whitespace())
        .map(|b| (b as char).to_digit(16).unwrap() as u8)
        .collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

#[test]
fn binary_request() {
    let mut fields = Fields::new();
    fields.push("topic", "TopicTest");
    let command = Command {
        code: 105,
        language: Language::Java,
        version: 353,
        opaque: 7,
        flag: 0,
        remark: None,
        fields,
        body: Bytes::new(),
        encoding: HeaderEncoding::Binary,
    };
    let bytes = hex(
        "0000002d 01000029 0069 00 0161 00000007 00000000 00000000 00000014 0005 746f706963 00000009 546f70696354657374",
    );
    let mut out = BytesMut::new();
    command.encode(&mut out);
    assert_eq!(out, bytes);
    let frame = Frame::take(&mut out, 1 << 20).unwrap().unwrap();
    let read = Command::decode(frame).unwrap();
    assert_eq!(read, command);
    assert_eq!(read.read::<RouteOf>().unwrap().topic, "TopicTest");
}

#[test]
fn java_hash() {
    assert_eq!(java::hash("orderId-100"), 1_327_397_677);
}
