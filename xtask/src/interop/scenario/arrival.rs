//! What Posthaste sends, in each of its ways, the official Java consumer receives as it was sent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use posthaste::{Message, Producer, Receipt};

use crate::interop::cluster::Cluster;
use crate::interop::consumer::{Consumer, Subscription};
use crate::interop::envelope::Received;

const TOPIC: &str = "arrival";
const LIMIT: Duration = Duration::from_secs(30);
const SILENCE: Duration = Duration::from_millis(300);
const WAYS: [Way; 5] = [Way::Send, Way::Enqueue, Way::Callback, Way::Oneway, Way::Ordered];

/// What brokers, the protocol and the consumer itself add to a message's properties.
const SYSTEM_PROPERTIES: &[&str] = &[
    "TAGS",
    "KEYS",
    "WAIT",
    "UNIQ_KEY",
    "CLUSTER",
    "MIN_OFFSET",
    "MAX_OFFSET",
    "MSG_REGION",
    "TRACE_ON",
    "CONSUME_START_TIME",
    "__SHARDINGKEY",
    "INNER_MULTI_DISPATCH",
    "INSTANCE_ID",
];

#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    Send,
    Enqueue,
    Callback,
    Oneway,
    Ordered,
}

/// What was sent and the receipt for it, by body.
pub(super) type Sent = BTreeMap<Vec<u8>, (Message, Option<Receipt>)>;

pub(crate) fn run(cluster: &mut Cluster) -> Result<String> {
    run_on(cluster, TOPIC)
}

pub(super) fn run_on(cluster: &Cluster, topic: &'static str) -> Result<String> {
    cluster.create_topic(topic, 4)?;
    let producer = cluster.patient_producer(topic)?;
    let sent = cluster.block_on(send_all(&producer, topic))?;
    let report = cluster.block_on(producer.close(LIMIT));
    ensure!(report.is_clean(), "{report:?}");
    let consumer = cluster.agent().start_consumer(&Subscription::new(topic, topic))?;
    receive(&consumer, sent.clone(), LIMIT)?;
    let surplus = consumer.drain(SILENCE);
    ensure!(surplus.is_empty(), "arrived twice: {surplus:?}");
    cluster.agent().stop(consumer.name())?;
    Ok(format!("{} messages in {} ways", sent.len(), WAYS.len()))
}

/// Receives everything that was sent, once, as it was sent.
pub(super) fn receive(consumer: &Consumer, mut awaited: Sent, limit: Duration) -> Result<()> {
    for delivery in consumer.take(awaited.len(), limit)? {
        let got = delivery.message;
        let (message, receipt) = awaited
            .remove(&got.body)
            .with_context(|| format!("not awaited (any more): {}", got.text()))?;
        compare(&message, receipt.as_ref(), &got).with_context(|| format!("{:?}", got.keys))?;
    }
    Ok(())
}

/// Sends everything that a message can be, in every way.
pub(super) async fn send_all(producer: &Producer, topic: &'static str) -> Result<Sent> {
    let mut sent = Sent::new();
    for way in WAYS {
        for message in shapes(topic, way) {
            let receipt = send(producer, way, message.clone()).await?;
            sent.insert(message.body().to_vec(), (message, receipt));
        }
    }
    let stats = producer.stats();
    ensure!(stats.acked + stats.oneway == sent.len() as u64, "{stats:?}");
    Ok(sent)
}

async fn send(producer: &Producer, way: Way, message: Message) -> Result<Option<Receipt>> {
    let name = format!("{way:?} {:?}", message.tag_text());
    let receipt = match way {
        Way::Send | Way::Ordered => producer.send(message).await.map(Some),
        Way::Enqueue => match producer.enqueue(message).await {
            Ok(delivery) => delivery.await.map(Some),
            Err(error) => Err(error),
        },
        Way::Callback => {
            let (end, ended) = tokio::sync::oneshot::channel();
            let delivery = producer.enqueue(message).await.with_context(|| name.clone())?;
            delivery.on_complete(|result| drop(end.send(result)));
            ended.await.context("the callback never came")?.map(Some)
        }
        Way::Oneway => producer.send_oneway(message).await.map(|()| None),
    };
    receipt.with_context(|| name)
}

/// The tag of the message that does not wait for the broker's flush.
pub(super) const UNFLUSHED: &str = "unflushed";

/// Messages that differ in all that a message can carry. Bodies tell them apart.
fn shapes(topic: &'static str, way: Way) -> Vec<Message> {
    let mut shapes = small_shapes(topic, &format!("{way:?}"));
    let large = format!("{way:?} large").into_bytes();
    let filling = (0..200_000).map(|n| (n % 251) as u8);
    shapes.push(Message::new(topic, large.into_iter().chain(filling).collect::<Vec<u8>>()));
    match way {
        Way::Ordered => shapes.into_iter().map(|message| message.order_by("one key")).collect(),
        _ => shapes,
    }
}

/// The shapes that may share a request. Their bodies begin with `name`.
pub(super) fn small_shapes(topic: &'static str, name: &str) -> Vec<Message> {
    let body = |shape: &str| format!("{name} {shape}").into_bytes();
    let every_byte = body("every byte").into_iter().chain(0..=u8::MAX).collect::<Vec<u8>>();
    vec![
        Message::new(topic, body("bare")),
        Message::new(topic, body("tag")).tag("blue"),
        Message::new(topic, body("unusual tag")).tag("größer als 1 & <2>"),
        Message::new(topic, body("key")).key("order-1"),
        Message::new(topic, body("keys")).keys(["order-1", "ключ", "3"]),
        Message::new(topic, body("properties"))
            .property("colour", "grün")
            .property("quoted", r#"{"a": "b\\"}"#)
            .property("lines", "one\ntwo\tthree")
            .property("空", "日本語 🦀"),
        Message::new(topic, body("flag")).flag(42),
        Message::new(topic, body("negative flag")).flag(i32::MIN),
        Message::new(topic, body("unflushed")).tag(UNFLUSHED).wait_stored(false),
        Message::new(topic, every_byte),
        Message::new(topic, body("all")).tag("red").key("all").property("p", "v").flag(7),
    ]
}

fn compare(message: &Message, receipt: Option<&Receipt>, got: &Received) -> Result<()> {
    ensure!(got.topic == message.topic(), "topic {}", got.topic);
    ensure!(got.tags.as_deref() == message.tag_text(), "tags {:?}", got.tags);
    let keys = Some(message.key_texts().join(" ")).filter(|keys| !keys.is_empty());
    ensure!(got.keys == keys, "keys {:?}", got.keys);
    ensure!(got.flag == message.flag_value(), "flag {}", got.flag);
    let own: BTreeMap<&str, &str> = message.properties().collect();
    let mut names: BTreeSet<&str> = own.keys().copied().collect();
    for (name, value) in &own {
        let found = got.properties.get(*name).map(String::as_str);
        ensure!(found == Some(value), "property {name} is {found:?}");
    }
    names.extend(SYSTEM_PROPERTIES);
    let strange: Vec<_> = got.properties.keys().filter(|n| !names.contains(n.as_str())).collect();
    ensure!(strange.is_empty(), "properties that were not set: {strange:?}");
    if let Some(receipt) = receipt {
        ensure!(
            got.msg_id == receipt.message_id()
                && got.queue == receipt.queue().id()
                && got.offset == receipt.queue_offset()
                && got.broker.as_deref().is_none_or(|broker| broker == receipt.queue().broker()),
            "arrived as {} in {:?}:{} at {}, but {receipt:?}",
            got.msg_id,
            got.broker,
            got.queue,
            got.offset
        );
    }
    Ok(())
}
