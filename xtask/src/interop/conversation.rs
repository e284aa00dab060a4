use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;
use serde_json::Value;

use super::envelope::Delivery;
use super::tethered::Tethered;

/// Commands to a helper program, one JSON object per line, and what it says in return: an answer for
/// each command, and messages for the inboxes that were opened for them.
pub(crate) struct Conversation {
    turns: Mutex<Turns>,
    inboxes: Inboxes,
    _process: Tethered,
}

struct Turns {
    next_id: u64,
    commands: ChildStdin,
    answers: Receiver<Answer>,
}

#[derive(Deserialize)]
struct Answer {
    id: u64,
    ok: Option<Value>,
    error: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Delivery(Box<Delivery>),
    Answer(Answer),
}

type Inboxes = Arc<Mutex<HashMap<String, Sender<Delivery>>>>;

impl Conversation {
    pub(crate) fn start(name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        let mut process = Tethered::converse(name, command, log)?;
        let commands = process.child().stdin.take().context("no pipe to the helper")?;
        let said = process.child().stdout.take().context("no pipe from the helper")?;
        let (answers, answered) = mpsc::channel();
        let inboxes = Inboxes::default();
        let delivering = Arc::clone(&inboxes);
        thread::spawn(move || sort(said, &answers, &delivering));
        let turns = Turns { next_id: 1, commands, answers: answered };
        Ok(Self { turns: Mutex::new(turns), inboxes, _process: process })
    }

    /// Sends one command and waits for its answer.
    pub(crate) fn call(&self, verb: &str, mut command: Value, limit: Duration) -> Result<Value> {
        let mut turns = unpoisoned(&self.turns);
        let id = turns.next_id;
        turns.next_id += 1;
        let fields = command.as_object_mut().context("a command is an object")?;
        fields.insert("do".to_owned(), verb.into());
        fields.insert("id".to_owned(), id.into());
        writeln!(turns.commands, "{command}").with_context(|| format!("saying {verb}"))?;
        turns.await_answer(id, limit).with_context(|| format!("helper, command {verb}"))
    }

    /// Collects the deliveries of the consumer that will be started under this name.
    pub(crate) fn open_inbox(&self, consumer: &str) -> Receiver<Delivery> {
        let (sender, receiver) = mpsc::channel();
        unpoisoned(&self.inboxes).insert(consumer.to_owned(), sender);
        receiver
    }
}

impl Turns {
    fn await_answer(&self, id: u64, limit: Duration) -> Result<Value> {
        loop {
            let answer = self.answers.recv_timeout(limit).map_err(|error| match error {
                RecvTimeoutError::Timeout => anyhow!("no answer within {limit:?}"),
                RecvTimeoutError::Disconnected => anyhow!("the helper has ended"),
            })?;
            // No caller waits for the answer to a command that took too long.
            if answer.id != id {
                continue;
            }
            return match answer.error {
                Some(error) => bail!(error),
                None => Ok(answer.ok.unwrap_or_default()),
            };
        }
    }
}

fn sort(said: ChildStdout, answers: &Sender<Answer>, inboxes: &Inboxes) {
    for line in BufReader::new(said).lines().map_while(Result::ok) {
        match serde_json::from_str(&line) {
            // Without a receiver the scenario is over, and what still comes is of no interest.
            Ok(Line::Answer(answer)) => drop(answers.send(answer)),
            Ok(Line::Delivery(delivery)) => deliver(*delivery, inboxes),
            Err(error) => eprintln!("helper said what is no line of ours ({error}): {line}"),
        }
    }
}

fn deliver(delivery: Delivery, inboxes: &Inboxes) {
    if let Some(inbox) = unpoisoned(inboxes).get(&delivery.consumer) {
        let _ = inbox.send(delivery);
    }
}

fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
