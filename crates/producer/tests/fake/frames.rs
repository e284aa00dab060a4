//! Frames that a server writes.

use bytes::{Bytes, BytesMut};
use posthaste_protocol::request::{Payload, SendAnswer};
use posthaste_protocol::{Command, Fields, Request, RequestCode, ResponseCode, command};

/// An answer as a frame.
pub fn answer<P: Payload>(opaque: i32, code: i32, remark: &str, payload: &P) -> Vec<u8> {
    let mut out = BytesMut::new();
    let remark = Some(remark).filter(|remark| !remark.is_empty());
    command::put_answer(&mut out, opaque, ResponseCode(code), remark, payload);
    out.to_vec()
}

/// The answer that a message was stored.
pub fn stored_answer(opaque: i32) -> Vec<u8> {
    let stored = SendAnswer { offset_message_id: "0".repeat(32), ..SendAnswer::default() };
    answer(opaque, 0, "", &stored)
}

/// A typed request of the broker's own.
pub fn request_of<R: Request>(opaque: i32, oneway: bool, request: &R) -> Vec<u8> {
    let mut out = BytesMut::new();
    command::put_request(&mut out, opaque, oneway, request);
    out.to_vec()
}

/// A request of the broker's own.
pub fn request(code: i32, opaque: i32) -> Vec<u8> {
    let mut out = BytesMut::new();
    Command::request(RequestCode(code), opaque, Fields::new(), Bytes::new()).encode(&mut out);
    out.to_vec()
}

/// A frame with this header and no body, whatever the header is.
pub fn frame_of(header: &[u8]) -> Vec<u8> {
    let mut out = ((header.len() + 4) as u32).to_be_bytes().to_vec();
    out.extend_from_slice(&(header.len() as u32).to_be_bytes());
    out.extend_from_slice(header);
    out
}
