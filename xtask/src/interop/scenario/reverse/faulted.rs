//! Fault rules of the embedded broker, as producers meet them: an official one, and one of ours.
//!
//! A producer sends a message until its call ends well. What the first call said, how many calls it
//! took and how many copies are stored then is what a program has to be ready for.

use anyhow::{Context, Result, ensure};
use posthaste::{Message, Producer};
use posthaste_broker::{BrokerHandle, Fault};
use tokio::task::JoinSet;

use crate::interop::agent::{Agent, Mode};
use crate::interop::embedded::Embedded;
use crate::interop::envelope::Envelope;

/// What a producer makes of a fault.
#[derive(Debug, Clone, Copy)]
struct Seen {
    /// A part of what its first call says.
    says: &'static str,
    /// How many calls it takes until one ends well.
    calls: usize,
    /// How many copies are stored then.
    copies: usize,
    /// When the time was up at the very end of an attempt, Java makes the others in what is left of the
    /// last millisecond: it may say this in place of `says`, and each may store a copy more.
    at_the_end: Option<&'static str>,
}

/// A fault, and what producers make of it.
struct Row {
    /// A part of the topic's name.
    name: &'static str,
    /// The rule, but for the topic.
    rule: &'static str,
    ours: Seen,
    java: Seen,
    /// `None`: it does not survive it.
    go: Option<Seen>,
}

const fn seen(says: &'static str, calls: usize, copies: usize) -> Seen {
    Seen { says, calls, copies, at_the_end: None }
}

/// Of the Java client when no answer comes.
const fn no_answer(copies: usize) -> Seen {
    let at_the_end = Some("MQClientException: Send [");
    Seen {
        at_the_end,
        ..seen("RemotingTooMuchRequestException: sendDefaultImpl call timeout", 2, copies)
    }
}

/// Of our client and of the official ones when all is well; `copies` are more than one where an attempt
/// came to nothing that had stored the message.
const fn ours(copies: usize) -> Seen {
    seen("Stored", 1, copies)
}

const fn well(copies: usize) -> Seen {
    seen("SEND_OK", 1, copies)
}

/// What our client says when no answer comes.
const UNKNOWN: &str = "Unknown (Timeout)";
/// Attempts of the Java client after its first.
const RETRIES: usize = 2;

/// Java sends three times, but has three seconds for all of them; Go has three seconds for each.
#[rustfmt::skip]
static ROWS: [Row; 14] = [
    Row { name: "busy", rule: "first=3 do=refuse code=SYSTEM_BUSY", ours: ours(1),
        java: seen("MQClientException: Send [3] times, still failed", 2, 1), go: Some(seen("CODE: 2", 4, 1)) },
    Row { name: "unanswered", rule: "first=1 point=after-store do=no-answer", ours: seen(UNKNOWN, 2, 2),
        java: no_answer(2), go: Some(well(2)) },
    Row { name: "lost", rule: "first=1 do=no-answer", ours: seen(UNKNOWN, 2, 1),
        java: no_answer(1), go: Some(well(1)) },
    Row { name: "other-number", rule: "first=1 do=answer-to-another-number", ours: seen(UNKNOWN, 2, 2),
        java: no_answer(2), go: Some(well(2)) },
    Row { name: "cut", rule: "first=1 do=cut-after bytes=20", ours: ours(2), java: well(2), go: Some(well(2)) },
    Row { name: "closed", rule: "first=1 point=after-store do=close", ours: ours(2), java: well(2), go: Some(well(2)) },
    Row { name: "reset", rule: "first=1 point=after-store do=reset", ours: ours(2), java: well(2), go: Some(well(2)) },
    Row { name: "sent-away", rule: "first=1 do=go-away", ours: ours(1), java: well(1),
        go: Some(seen("CODE: 1500", 2, 1)) },
    Row { name: "twice", rule: "first=1 do=answer-twice", ours: ours(1), java: well(1), go: Some(well(1)) },
    Row { name: "delayed", rule: "first=1 do=delay by=500ms", ours: ours(1), java: well(1), go: Some(well(1)) },
    Row { name: "10", rule: "first=1 do=status code=FLUSH_DISK_TIMEOUT", ours: seen("FlushDiskTimeout", 1, 1),
        java: seen("FLUSH_DISK_TIMEOUT", 1, 1), go: Some(seen("FLUSH_DISK_TIMEOUT", 1, 1)) },
    Row { name: "11", rule: "first=1 do=status code=SLAVE_NOT_AVAILABLE", ours: seen("SlaveNotAvailable", 1, 1),
        java: seen("SLAVE_NOT_AVAILABLE", 1, 1), go: Some(seen("SLAVE_NOT_AVAILABLE", 1, 1)) },
    Row { name: "12", rule: "first=1 do=status code=FLUSH_SLAVE_TIMEOUT", ours: seen("FlushSlaveTimeout", 1, 1),
        java: seen("FLUSH_SLAVE_TIMEOUT", 1, 1), go: Some(seen("FLUSH_SLAVE_TIMEOUT", 1, 1)) },
    // The Go client takes the bytes for a length, and its process ends: the last row.
    Row { name: "garbage", rule: "first=1 point=after-store do=garbage", ours: ours(2), java: well(2), go: None },
];

/// More than any producer needs.
const CALLS: usize = 6;
const SENDER: &str = "faulted";

/// The Java client, and ours.
pub(crate) fn faulted_java(embedded: &Embedded) -> Result<String> {
    embedded.agent().start_producer(SENDER, SENDER)?;
    for row in &ROWS {
        row.check_agent(embedded, row.java)?;
    }
    embedded.agent().stop(SENDER)?;
    let name_server = embedded.broker().name_server().to_string();
    embedded.block_on(async {
        let mut rows = JoinSet::new();
        for row in &ROWS {
            rows.spawn(row.check_ours(embedded.broker().handle(), name_server.clone()));
        }
        rows.join_all().await.into_iter().collect::<Result<()>>()
    })?;
    Ok(format!("{} rules, each twice", ROWS.len()))
}

/// The Go client. Its process has ended after this.
pub(crate) fn faulted_go(embedded: &Embedded) -> Result<String> {
    embedded.agent().start_producer(SENDER, SENDER)?;
    for row in &ROWS {
        match row.go {
            Some(expected) => row.check_agent(embedded, expected)?,
            None => {
                let topic = row.begin(embedded.broker(), "agent")?;
                let end = call(embedded.agent(), &topic);
                ensure!(end.is_err(), "{}: it survives now: {end:?}", row.name);
            }
        }
    }
    Ok(format!("{} rules", ROWS.len()))
}

impl Row {
    /// Adds the rule for a topic of a client; gives the topic.
    fn begin(&self, broker: &BrokerHandle, client: &str) -> Result<String> {
        let topic = format!("faulted-{}-{client}", self.name);
        let rule: Fault = format!("on=send topic={topic} {}", self.rule).parse()?;
        broker.fault(rule)?;
        Ok(topic)
    }

    fn check_agent(&self, embedded: &Embedded, expected: Seen) -> Result<()> {
        let topic = self.begin(embedded.broker(), "agent")?;
        let (says, mut is_well) = call(embedded.agent(), &topic)?;
        let mut calls = 1;
        while !is_well && calls < CALLS {
            (_, is_well) = call(embedded.agent(), &topic)?;
            calls += 1;
        }
        let copies = embedded.block_on(embedded.broker().messages(&topic))?.len();
        self.compare(&says, calls, copies, expected)
    }

    async fn check_ours(&self, broker: BrokerHandle, name_server: String) -> Result<()> {
        let topic = self.begin(&broker, "ours")?;
        let producer = Producer::builder(SENDER, name_server).start().await?;
        let mut says = Vec::new();
        while says.len() < CALLS {
            match producer.send(Message::new(topic.as_str(), "x")).await {
                Ok(receipt) => {
                    says.push(format!("{:?}", receipt.status()));
                    break;
                }
                Err(error) => says.push(format!("{:?} ({:?})", error.outcome(), error.kind())),
            }
        }
        let copies = broker.messages(&topic).await?.len();
        let first = says.first().context("no call")?;
        self.compare(first, says.len(), copies, self.ours)
    }

    fn compare(&self, says: &str, calls: usize, copies: usize, expected: Seen) -> Result<()> {
        let as_expected = match expected.at_the_end {
            Some(other) if says.contains(other) => {
                (expected.copies..=expected.copies + RETRIES).contains(&copies)
            }
            _ => says.contains(expected.says) && copies == expected.copies,
        };
        ensure!(
            as_expected && calls == expected.calls,
            "{}: {says:?}, {calls} calls, {copies} copies, and not {expected:?}",
            self.name
        );
        Ok(())
    }
}

/// One call of an official producer: what it says, and whether it ended well.
fn call(agent: &Agent, topic: &str) -> Result<(String, bool)> {
    let outcomes = agent.send(SENDER, Mode::Sync, &[Envelope::new(topic, "x")])?;
    let outcome = outcomes.first().context("no outcome")?;
    Ok(match (&outcome.status, &outcome.error) {
        (Some(status), _) => (status.clone(), true),
        (None, error) => (error.clone().unwrap_or_default(), false),
    })
}
