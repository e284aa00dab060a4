//! Messages sent by an official client in every way it knows, and received in every way, must come out
//! as they went in.

use std::collections::BTreeMap;
use std::iter;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::interop::agent::{Agent, Mode};
use crate::interop::consumer::Subscription;
use crate::interop::envelope::{Envelope, Outcome, Received};

const LIMIT: Duration = Duration::from_secs(30);
const SILENCE: Duration = Duration::from_millis(200);
const MODES: [Mode; 5] = [Mode::Sync, Mode::Async, Mode::Oneway, Mode::Batch, Mode::Keyed];
const PER_MODE: usize = 3;

/// What was sent and the receipt for it, by body.
pub(crate) type Sent = BTreeMap<Vec<u8>, (Envelope, Outcome)>;

/// Sends to an existing topic in all modes.
pub(crate) fn send_all(agent: &Agent, topic: &str) -> Result<Sent> {
    let mut sent = Sent::new();
    agent.start_producer(topic, &format!("producers-of-{topic}"))?;
    for mode in MODES {
        let messages = (0..PER_MODE).map(|n| message(topic, &format!("{mode:?}-{n}")));
        let full = matches!(mode, Mode::Sync).then(|| full_of_properties(topic));
        let messages: Vec<Envelope> = messages.chain(full).collect();
        let outcomes = agent.send(topic, mode, &messages)?;
        for outcome in &outcomes {
            ensure!(matches!(mode, Mode::Oneway) || outcome.is_ok(), "{mode:?}: {outcome:?}");
        }
        // A batch has one receipt for all its messages, which does not fit any of them.
        let receipts = outcomes.into_iter().filter(|_| !matches!(mode, Mode::Batch));
        let receipts = receipts.chain(iter::repeat(Outcome::default()));
        sent.extend(messages.into_iter().zip(receipts).map(|pair| (pair.0.body.clone(), pair)));
    }
    agent.stop(topic)?;
    Ok(sent)
}

/// Receives everything twice: by a concurrent and by an orderly push consumer.
pub(crate) fn receive_all(agent: &Agent, topic: &str, sent: &Sent) -> Result<()> {
    // Versions have dots in them, which groups may not have.
    let name = format!("{topic}-at-{}", agent.name().replace('.', "_"));
    for subscription in [
        Subscription::new(&format!("{name}-concurrent"), topic),
        Subscription::new(&format!("{name}-orderly"), topic).orderly(),
    ] {
        let consumer = agent.start_consumer(&subscription)?;
        let mut awaited = sent.clone();
        for delivery in consumer.take(sent.len(), LIMIT)? {
            ensure!(!delivery.refused && delivery.message.reconsume_times == 0, "{delivery:?}");
            compare(&mut awaited, &delivery.message)?;
        }
        let surplus = consumer.drain(SILENCE);
        ensure!(surplus.is_empty(), "received more than was sent: {surplus:?}");
        agent.stop(consumer.name())?;
    }
    Ok(())
}

/// Checks a message against what was sent, and crosses it off.
pub(crate) fn compare(awaited: &mut Sent, got: &Received) -> Result<()> {
    let (sent, receipt) =
        awaited.remove(&got.body).with_context(|| format!("not awaited (any more): {got:?}"))?;
    ensure!(
        got.topic == sent.topic
            && got.tags == sent.tags
            && got.keys == sent.keys
            && got.flag == sent.flag,
        "{got:?} was sent as {sent:?}"
    );
    if receipt.is_ok() {
        ensure!(
            receipt.msg_id.as_ref() == Some(&got.msg_id)
                && receipt.queue == Some(got.queue)
                && receipt.offset == Some(got.offset),
            "{got:?} has the receipt {receipt:?}"
        );
    }
    for (name, value) in &sent.properties {
        ensure!(got.properties.get(name) == Some(value), "property {name}: {got:?}");
    }
    Ok(())
}

fn message(topic: &str, name: &str) -> Envelope {
    let mut message = Envelope::new(topic, format!("{name} \u{0}\u{ff} ünï"));
    message.tags = Some("blue".to_owned());
    message.keys = Some(format!("{name} second"));
    message.flag = 42;
    message.properties.insert("colour".to_owned(), "grün = \"green\"".to_owned());
    message.order_key = Some(name.to_owned());
    message
}

/// As many properties as brokers take beside their own, with names of two letters: the longest header.
fn full_of_properties(topic: &str) -> Envelope {
    /// Bytes of all properties as they travel.
    const LENGTH: usize = 32_511;
    let letters = || ('a'..='z').chain('A'..='Z').chain('0'..='9');
    let names = letters().flat_map(|first| letters().map(move |second| format!("{first}{second}")));
    let mut message = Envelope::new(topic, "full of properties");
    let mut left = LENGTH;
    for name in names {
        // A name and a value, and what is behind each.
        let of_value = if left < 20 { left - 4 } else { 4 };
        left -= 4 + of_value;
        message.properties.insert(name, "v".repeat(of_value));
        if left == 0 {
            break;
        }
    }
    if let Some(mut last) = message.properties.last_entry() {
        last.get_mut().push_str(&"v".repeat(left));
    }
    message
}
