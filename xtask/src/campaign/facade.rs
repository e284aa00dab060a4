//! Callers of the blocking facade, each on a separate thread.

use std::time::Duration;

use posthaste::blocking::Producer;

use super::journal::{End, Verb};
use super::plan::TROUBLE;
use super::verbs::{Hand, all_stored, written};

impl Hand {
    /// Sends until it has sent what it should, or the producer is closed.
    pub(super) fn run_blocking(mut self, producer: &Producer) {
        let mut calls = self.caller.messages.min(60);
        while calls > 0 && self.stage.world.now() < TROUBLE {
            calls = if self.stage.is_closing() { calls.min(3) } else { calls };
            calls -= 1;
            match self.dice.u32(..8) {
                0..3 => self.send_blocking(producer),
                3 | 4 => self.enqueue_blocking(producer),
                5 => self.batch_blocking(producer),
                6 => self.oneway_blocking(producer),
                _ => self.begin_blocking(producer),
            }
            std::thread::sleep(Duration::from_millis(self.dice.u64(..5)));
        }
    }

    fn send_blocking(&mut self, producer: &Producer) {
        let (call, timeout, message) = self.one(Verb::Blocking);
        self.end(call, Some(producer.with_timeout(timeout).send(message)));
    }

    fn enqueue_blocking(&mut self, producer: &Producer) {
        for _ in 0..self.burst() {
            let (call, timeout, message) = self.one(Verb::Blocking);
            match producer.with_timeout(timeout).enqueue(message) {
                Err(error) => self.end(call, Some(error)),
                Ok(delivery) => {
                    self.stage.journal.accepted(call);
                    let journal = self.stage.journal.clone();
                    delivery.on_complete(move |end| journal.end(call, end));
                }
            }
        }
    }

    fn batch_blocking(&mut self, producer: &Producer) {
        let count = self.dice.u32(2..=20);
        let (call, timeout, messages) = self.call(Verb::Blocking, count);
        self.end(call, Some(all_stored(producer.with_timeout(timeout).send_batch(messages))));
    }

    fn oneway_blocking(&mut self, producer: &Producer) {
        let (call, timeout, message) = self.one(Verb::Oneway);
        self.end(call, Some(written(producer.with_timeout(timeout).send_oneway(message))));
    }

    fn begin_blocking(&mut self, producer: &Producer) {
        let (call, timeout, message) = self.one(Verb::Begin);
        let begun = match producer.with_timeout(timeout).begin(message) {
            Err(error) => return self.end(call, Some(error)),
            Ok(begun) => begun,
        };
        self.end(call, Some(End::Acked(vec![begun.receipt().into()])));
        let commit = self.dice.bool();
        let ended = if commit { begun.commit() } else { begun.rollback() };
        let failed = ended.err().map(|error| error.outcome());
        self.stage.journal.decided(call, commit, failed);
    }
}
