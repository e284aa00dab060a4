//! Requests that were made beforehand: nothing is made, checked, timed or remembered but whom to wake.

use std::sync::Arc;

use bench_session::Arguments;

use super::{Call, Payload};
use crate::exchange::Answer;
use crate::request::{self, FIRST_NUMBER, Request};
use crate::route::Broker;

pub(crate) struct Prepared {
    requests: Vec<Request>,
    turn: usize,
    id: u64,
    output: Vec<u8>,
}

impl Prepared {
    pub(crate) fn new(arguments: &Arguments, broker: &Broker) -> Self {
        let batching = arguments.value("batching") != Some("off");
        Self {
            requests: request::for_each_queue(arguments, broker, batching.then_some(1)),
            turn: 0,
            // Another client must not begin where this one did.
            id: u64::from(std::process::id()) << 40,
            output: Vec::new(),
        }
    }
}

impl Payload for Prepared {
    type Shared = ();
    type Message = ();
    type Receipt = bool;

    fn shared(&self) {}

    async fn accept((): &(), _: usize) {}

    fn leave(&mut self, number: usize, members: &[Arc<Call<Self>>]) {
        self.turn += 1;
        let Some(request) = self.requests.get(self.turn % self.requests.len()) else { return };
        let number = FIRST_NUMBER + number as i32;
        request.put_many(&mut self.output, number, members.len(), &mut self.id);
    }

    fn output(&self) -> &[u8] {
        &self.output
    }

    fn wrote(&mut self, bytes: usize) {
        self.output.drain(..bytes);
    }

    fn written() -> bool {
        true
    }

    fn read(&mut self, answer: &[u8]) -> Option<(usize, impl Iterator<Item = bool>)> {
        let answer = Answer::read(answer)?;
        Some((answer.number, std::iter::repeat(answer.is_stored())))
    }

    fn done(&mut self, _: usize) {}

    fn is_stored(stored: bool) -> bool {
        stored
    }
}
