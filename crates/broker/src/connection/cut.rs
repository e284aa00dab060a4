//! Requests that a rule cuts off while they arrive.

use std::time::Instant;

use bytes::Bytes;
use posthaste_protocol::frame::{MAX_FRAME, PREFIX};
use posthaste_protocol::{Command, Frame, FrameView, Incoming};

use crate::fault::{Asked, FaultRules};

/// Whether a rule cuts off the request that is arriving.
#[derive(Debug, Default)]
pub(super) struct Cut {
    /// Whether they were asked.
    is_asked: bool,
    /// After how many of its bytes it is cut off.
    after: Option<usize>,
}

impl Cut {
    /// Where in the buffer a request begins that is cut off now. The buffer begins with a frame, and each
    /// request is shown to the rules once: when its header has come.
    pub(super) fn place(&mut self, buffer: &[u8], rules: &FaultRules, port: u16) -> Option<usize> {
        let mut start = 0;
        loop {
            let rest = buffer.get(start..)?;
            // A frame that cannot be read ends the connection elsewhere.
            let view = FrameView::of_begun(rest, MAX_FRAME).ok().flatten()?;
            if !self.is_asked {
                *self = Self { is_asked: true, after: ask(rest, view, rules, port) };
            }
            match self.after {
                Some(bytes) if bytes < view.length && rest.len() >= bytes => return Some(start),
                _ if rest.len() < view.length => return None,
                _ => *self = Self::default(),
            }
            start += view.length;
        }
    }
}

fn ask(rest: &[u8], view: FrameView<'_>, rules: &FaultRules, port: u16) -> Option<usize> {
    let body = rest.get(PREFIX + view.header.len()..view.length.min(rest.len()))?;
    let header = Bytes::copy_from_slice(view.header);
    let body = Bytes::copy_from_slice(body);
    let command = Command::decode(Frame { encoding: view.encoding, header, body }).ok()?;
    if command.is_answer() {
        return None;
    }
    let incoming = Incoming::read(&command).ok();
    let (code, is_oneway) = (command.request_code(), command.is_oneway());
    let asked = Asked::request(code, is_oneway, port, None, incoming.as_ref());
    rules.cut(&asked, Instant::now())
}
