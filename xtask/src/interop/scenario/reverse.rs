//! Official producers and push consumers against the embedded broker.

mod faulted;
mod found;
mod requested;
mod timed;
mod transacted;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::exchange;
use crate::interop::agent::{Agent, Mode};
use crate::interop::consumer::{Consumer, Subscription};
use crate::interop::embedded::Embedded;
use crate::interop::envelope::{Delivery, Envelope};

pub(crate) use self::faulted::{faulted_go, faulted_java};
pub(crate) use self::found::found;
pub(crate) use self::requested::requested;
pub(crate) use self::timed::{recalled, timed};
pub(crate) use self::transacted::transacted;

/// The topics that must be there before, and how many queues they have.
pub(crate) const TOPICS: [(&str, u32); 11] = [
    ("pushed", 4),
    ("exchanged", 4),
    ("shared", 8),
    ("retried", 4),
    ("retried-orderly", 4),
    ("resumed", 4),
    ("transacted", 4),
    ("requested", 4),
    ("found", 4),
    ("timed", 4),
    ("recalled", 4),
];

/// The Go client looks for new routes, such as that of its retry topic, every 30 s.
const LIMIT: Duration = Duration::from_secs(60);
/// The tag of what consumers refuse the first time.
const REFUSED: &str = "later";
const SILENCE: Duration = Duration::from_millis(1_500);

/// Everything that is sent in any way comes out unchanged, to a concurrent and an orderly consumer.
pub(crate) fn exchanged(embedded: &Embedded) -> Result<String> {
    const TOPIC: &str = "exchanged";
    let sent = exchange::send_all(embedded.agent(), TOPIC)?;
    exchange::receive_all(embedded.agent(), TOPIC, &sent)?;
    Ok(format!("{} messages", sent.len()))
}

/// Messages that are sent while a push consumer receives reach it unchanged, each once.
pub(crate) fn pushed(embedded: &Embedded) -> Result<String> {
    const TOPIC: &str = "pushed";
    const TAG: &str = "counted";
    let agent = embedded.agent();
    let consumer = agent.start_consumer(&Subscription::new("pushed-consumer", TOPIC))?;
    until_it_receives(agent, TOPIC, &consumer)?;
    send(agent, TOPIC, 1..=40, Some(TAG))?;
    let mut received = Vec::new();
    while received.len() < 40 {
        let next = consumer.take(1, LIMIT)?;
        received.extend(next.into_iter().filter(|one| one.message.tags.as_deref() == Some(TAG)));
    }
    received.extend(consumer.drain(SILENCE));
    ensure!(received.len() == 40, "{} deliveries of 40 messages", received.len());
    ensure!(bodies(&received) == numbered(1..=40), "{received:?}");
    agent.stop(consumer.name())?;
    Ok("40 messages".to_owned())
}

/// A send to a topic that does not exist creates it.
pub(crate) fn created(embedded: &Embedded) -> Result<String> {
    const TOPIC: &str = "created";
    let agent = embedded.agent();
    send(agent, TOPIC, 1..=8, None)?;
    let consumer = agent.start_consumer(&Subscription::new("created-consumer", TOPIC))?;
    let received = consumer.take(8, LIMIT)?;
    ensure!(bodies(&received) == numbered(1..=8), "{received:?}");
    agent.stop(consumer.name())?;
    Ok("8 messages".to_owned())
}

/// Two consumers of a group share the queues; when one leaves, the other gets everything.
pub(crate) fn shared(embedded: &Embedded) -> Result<String> {
    const TOPIC: &str = "shared";
    const GROUP: &str = "shared-group";
    let agent = embedded.agent();
    let first = agent.start_consumer(&Subscription::new("shared-1", TOPIC).of_group(GROUP))?;
    let second = agent.start_consumer(&Subscription::new("shared-2", TOPIC).of_group(GROUP))?;
    let shares = until_both_receive(agent, TOPIC, &first, &second)?;
    agent.stop(first.name())?;
    send(agent, TOPIC, 1_001..=1_080, None)?;
    let wanted = numbered(1_001..=1_080);
    let mut got = BTreeSet::new();
    while !got.is_superset(&wanted) {
        got.extend(bodies(&second.take(1, LIMIT)?));
    }
    agent.stop(second.name())?;
    Ok(shares)
}

/// What a concurrent consumer refuses comes again, after a while and by way of the broker.
pub(crate) fn retried(embedded: &Embedded) -> Result<String> {
    const TOPIC: &str = "retried";
    retry(embedded.agent(), &Subscription::new(TOPIC, TOPIC).refusing(REFUSED))
}

/// What an orderly consumer refuses comes again at once, before what is behind it.
pub(crate) fn retried_orderly(embedded: &Embedded) -> Result<String> {
    const TOPIC: &str = "retried-orderly";
    retry(embedded.agent(), &Subscription::new(TOPIC, TOPIC).orderly().refusing(REFUSED))
}

fn retry(agent: &Agent, subscription: &Subscription) -> Result<String> {
    let consumer = agent.start_consumer(subscription)?;
    send(agent, &subscription.topic, 1..=10, None)?;
    send(agent, &subscription.topic, 11..=20, Some(REFUSED))?;
    let mut times = BTreeMap::new();
    for delivery in consumer.take(30, LIMIT)? {
        ensure!(delivery.message.topic == subscription.topic, "topic: {delivery:?}");
        times.entry(delivery.message.text()).or_insert_with(Vec::new).push(delivery.refused);
    }
    for number in 1..=20 {
        let seen = times.get(&number.to_string()).map_or(&[][..], Vec::as_slice);
        let expected: &[bool] = if number > 10 { &[true, false] } else { &[false] };
        ensure!(seen == expected, "message {number} was refused like this: {seen:?}");
    }
    let surplus = consumer.drain(SILENCE);
    ensure!(surplus.is_empty(), "delivered once too often: {surplus:?}");
    agent.stop(consumer.name())?;
    Ok("10 of 20 refused once".to_owned())
}

/// A consumer goes on where its group stopped.
pub(crate) fn resumed(embedded: &Embedded) -> Result<String> {
    const TOPIC: &str = "resumed";
    const GROUP: &str = "resumed-group";
    let agent = embedded.agent();
    send(agent, TOPIC, 1..=40, None)?;
    let before = agent.start_consumer(&Subscription::new("resumed-1", TOPIC).of_group(GROUP))?;
    ensure!(bodies(&before.take(40, LIMIT)?) == numbered(1..=40), "the first consumer");
    // A listener reports a message before it returns. What has not returned when the consumer stops
    // comes again, and rightly so.
    let surplus = before.drain(SILENCE);
    ensure!(surplus.is_empty(), "delivered twice: {surplus:?}");
    agent.stop(before.name())?;
    send(agent, TOPIC, 41..=60, None)?;
    let after = agent.start_consumer(&Subscription::new("resumed-2", TOPIC).of_group(GROUP))?;
    let received = after.take(20, LIMIT)?;
    ensure!(bodies(&received) == numbered(41..=60), "{:?}", bodies(&received));
    let surplus = after.drain(SILENCE);
    ensure!(surplus.is_empty(), "delivered again: {surplus:?}");
    agent.stop(after.name())?;
    Ok("60 messages over a restart".to_owned())
}

/// Sends in rounds until a consumer receives: some begin with what comes after they have a queue.
fn until_it_receives(agent: &Agent, topic: &str, consumer: &Consumer) -> Result<()> {
    const ROUNDS: i32 = 40;
    for round in 1..=ROUNDS {
        // One for each queue.
        send(agent, topic, round * 1_000 + 1..=round * 1_000 + 4, None)?;
        if !consumer.drain(SILENCE).is_empty() {
            return Ok(());
        }
    }
    anyhow::bail!("the consumer never received anything")
}

/// Sends in rounds until one round is shared by both consumers, none of it lost or doubled.
fn until_both_receive(
    agent: &Agent,
    topic: &str,
    first: &Consumer,
    second: &Consumer,
) -> Result<String> {
    const ROUNDS: i32 = 20;
    const EACH: i32 = 40;
    for round in 0..ROUNDS {
        let numbers = round * EACH + 1..=round * EACH + EACH;
        send(agent, topic, numbers.clone(), None)?;
        let (mine, yours) = (first.drain(SILENCE), second.drain(SILENCE));
        let both: BTreeSet<String> = bodies(&mine).union(&bodies(&yours)).cloned().collect();
        let is_shared = !mine.is_empty() && !yours.is_empty();
        if is_shared && both == numbered(numbers) && mine.len() + yours.len() == EACH as usize {
            return Ok(format!("{} and {} of {EACH}", mine.len(), yours.len()));
        }
    }
    anyhow::bail!("two consumers of a group never shared the messages")
}

fn send(agent: &Agent, topic: &str, numbers: RangeInclusive<i32>, tag: Option<&str>) -> Result<()> {
    let producer = format!("{topic}-producer");
    agent.start_producer(&producer, &producer)?;
    let messages: Vec<Envelope> = numbers
        .map(|number| {
            let mut message = Envelope::new(topic, number.to_string());
            message.tags = tag.map(str::to_owned);
            message
        })
        .collect();
    for outcome in agent.send(&producer, Mode::Sync, &messages)? {
        ensure!(outcome.is_ok(), "{outcome:?}");
    }
    agent.stop(&producer)
}

fn bodies(deliveries: &[Delivery]) -> BTreeSet<String> {
    deliveries.iter().map(|delivery| delivery.message.text()).collect()
}

fn numbered(numbers: RangeInclusive<i32>) -> BTreeSet<String> {
    numbers.map(|number| number.to_string()).collect()
}
