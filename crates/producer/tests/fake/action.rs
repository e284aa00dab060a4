//! What a broker does with a send.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::seen::Seen;

/// What is done with a send.
#[derive(Debug, Clone)]
pub struct Action {
    pub(super) store: bool,
    pub(super) after: Duration,
    /// Nothing is done before a permit of this is there, which it takes.
    pub(super) gate: Option<Arc<Semaphore>>,
    /// The same with the gate of the broker.
    pub(super) at_the_gate: bool,
    pub(super) write: Write,
    pub(super) close: Close,
}

#[derive(Debug, Clone)]
pub(super) enum Write {
    Nothing,
    Answer(i32, String),
    /// Not the answer, but these bytes.
    Bytes(Vec<u8>),
    /// Bytes made of the request's number.
    Frames(fn(i32) -> Vec<u8>),
    /// The first half of the answer.
    Half,
    Twice,
    /// Byte by byte.
    Slowly,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Close {
    No,
    Fin,
    Reset,
}

impl Action {
    const fn new(store: bool, write: Write, close: Close) -> Self {
        Self { store, after: Duration::ZERO, gate: None, at_the_gate: false, write, close }
    }

    /// Stores and says so.
    pub fn ok() -> Self {
        Self::new(true, Write::Answer(0, String::new()), Close::No)
    }

    /// Does not store, and answers with a code.
    pub fn refuse(code: i32, remark: &str) -> Self {
        Self::new(false, Write::Answer(code, remark.into()), Close::No)
    }

    /// Stores, and answers with a code.
    pub fn store_and_say(code: i32, remark: &str) -> Self {
        Self::new(true, Write::Answer(code, remark.into()), Close::No)
    }

    /// Neither stores nor answers.
    pub fn ignore() -> Self {
        Self::new(false, Write::Nothing, Close::No)
    }

    /// Stores and never answers.
    pub fn store_silently() -> Self {
        Self::new(true, Write::Nothing, Close::No)
    }

    /// Closes the connection instead.
    pub fn close() -> Self {
        Self::new(false, Write::Nothing, Close::Fin)
    }

    pub fn reset() -> Self {
        Self::new(false, Write::Nothing, Close::Reset)
    }

    pub fn store_and_close() -> Self {
        Self::new(true, Write::Nothing, Close::Fin)
    }

    pub fn store_and_reset() -> Self {
        Self::new(true, Write::Nothing, Close::Reset)
    }

    /// Stores, and closes in the middle of the answer.
    pub fn half_an_answer() -> Self {
        Self::new(true, Write::Half, Close::Fin)
    }

    /// Stores, and writes these bytes in place of an answer.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(true, Write::Bytes(bytes.into()), Close::No)
    }

    /// Stores, and writes what is made of the request's number.
    pub fn frames(make: fn(i32) -> Vec<u8>) -> Self {
        Self::new(true, Write::Frames(make), Close::No)
    }

    pub fn ok_twice() -> Self {
        Self::new(true, Write::Twice, Close::No)
    }

    pub fn ok_byte_by_byte() -> Self {
        Self::new(true, Write::Slowly, Close::No)
    }

    /// The same, answered later; what is stored is stored at once.
    pub fn after(mut self, delay: Duration) -> Self {
        self.after = delay;
        self
    }

    /// The same, but nothing is stored or answered before `gate` has a permit, which it takes.
    pub fn once(mut self, gate: &Arc<Semaphore>) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    /// The same, but nothing is stored or answered before the broker's gate lets it pass.
    pub fn at_the_gate(mut self) -> Self {
        self.at_the_gate = true;
        self
    }

    pub fn stores(&self) -> bool {
        self.store
    }
}

/// Decides about the messages of a request.
pub(super) type Script = Box<dyn FnMut(&[Seen]) -> Action + Send>;
