//! A static topic of 5.x, whose logical queues move from one broker to another under load.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use posthaste::{Admin, Message, MessageQueue};

use super::load::{self, Load};
use super::ordered;
use crate::interop::cluster::Cluster;
use crate::interop::consumer::Subscription;

const TOPIC: &str = "static-topic";
const LOGICAL: &str = "__syslo__global__";
/// The body of what is sent to each queue before and after the load.
const GIVEN: &str = "given";
const QUEUES: i32 = 6;
const UP: Duration = Duration::from_secs(3);
const LIMIT: Duration = Duration::from_secs(60);
/// Brokers tell name servers of their queues every few seconds.
const TOLD: Duration = Duration::from_secs(15);

pub(crate) fn run(cluster: &mut Cluster) -> Result<String> {
    cluster.ensure_masters(2)?;
    let (a, b) = (cluster.broker(0)?.name().to_owned(), cluster.broker(1)?.name().to_owned());
    let count = QUEUES.to_string();
    cluster.administer(&["updateStaticTopic", "-t", TOPIC, "-qn", &count, "-b", &a])?;
    let producer = cluster.patient_producer(TOPIC)?;
    let admin = producer.admin().with_timeout(LIMIT);
    cluster.block_on(await_queues(&admin))?;
    let first = cluster.block_on(send_to_each(&producer, &admin))?;

    let runtime = cluster.runtime();
    let load =
        Load::unordered(&runtime, &producer, TOPIC, 4).with_ordered(&runtime, &producer, TOPIC, 4);
    thread::sleep(UP);
    cluster.administer(&["remappingStaticTopic", "-t", TOPIC, "-b", &b])?;
    thread::sleep(UP + TOLD);
    let all = load.finish(&runtime)?;
    let acked = all.iter().filter(|ended| ended.is_acked()).count();
    let lost: Vec<String> =
        all.iter().filter(|ended| !ended.is_acked()).map(ToString::to_string).collect();
    let last = cluster.block_on(send_to_each(&producer, &admin))?;
    for (queue, offset) in &last {
        let before = first.get(queue).copied().unwrap_or(-1);
        ensure!(*offset > before, "{queue}: {offset} after {before}");
    }
    // What the official consumer makes of it: all of it, each key in its order.
    let expected = acked + first.len() + last.len();
    let consumer = cluster.agent().start_consumer(&Subscription::new(TOPIC, TOPIC).orderly())?;
    let received: Vec<_> = consumer
        .take(expected, LIMIT)?
        .into_iter()
        .chain(consumer.drain(Duration::from_secs(1)))
        .map(|delivery| delivery.message)
        .collect();
    cluster.agent().stop(consumer.name())?;
    let read = cluster.block_on(read_back(&admin))?;
    ensure!(read == received.len(), "we read {read}, the official consumer {}", received.len());
    let ordered =
        received.iter().map(|message| message.text()).filter(|text| text.starts_with('o'));
    ordered::check_order(ordered)?;
    let loaded: Vec<_> = received.into_iter().filter(|message| message.text() != GIVEN).collect();
    let balance = load::check(&all, &loaded)?;
    let report = cluster.block_on(producer.close(LIMIT));
    ensure!(report.is_clean(), "{report:?}");
    let retries = producer.stats().retries;
    ensure!(lost.is_empty(), "{} failed, the first: {:?}", lost.len(), lost.first());
    Ok(format!("{balance}, {QUEUES} queues moved from {a} to {b}, {retries} retries"))
}

/// Waits until the name server shows every logical queue on a broker.
async fn await_queues(admin: &Admin) -> Result<()> {
    let deadline = std::time::Instant::now() + TOLD;
    loop {
        let queues = admin.publish_queues(TOPIC).await.unwrap_or_default();
        let expected: Vec<_> =
            (0..QUEUES).map(|id| MessageQueue::new(TOPIC, LOGICAL, id)).collect();
        if queues == expected {
            return Ok(());
        }
        ensure!(std::time::Instant::now() < deadline, "the queues are {queues:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Sends a message to each queue, and compares the receipt with the queue's end; gives the offsets.
async fn send_to_each(
    producer: &posthaste::Producer,
    admin: &Admin,
) -> Result<BTreeMap<MessageQueue, i64>> {
    let mut offsets = BTreeMap::new();
    for queue in admin.publish_queues(TOPIC).await? {
        let receipt = producer.send(Message::new(TOPIC, GIVEN).queue(queue.clone())).await?;
        ensure!(*receipt.queue() == queue, "{receipt:?} for {queue}");
        ensure!(admin.min_offset(&queue).await? <= receipt.queue_offset(), "{receipt:?}");
        let end = admin.max_offset(&queue).await?;
        ensure!(end > receipt.queue_offset(), "{queue} ends at {end}: {receipt:?}");
        offsets.insert(queue, receipt.queue_offset());
    }
    ensure!(offsets.len() == QUEUES as usize, "{offsets:?}");
    Ok(offsets)
}

/// How many messages our reader finds. No two have the same offset in a logical queue.
async fn read_back(admin: &Admin) -> Result<usize> {
    let mut reader = admin.reader(TOPIC).until_now().open().await?;
    let mut places = BTreeSet::new();
    while let Some(message) = reader.next().await? {
        ensure!(message.queue().broker() == LOGICAL, "{}", message.queue());
        let place = (message.queue().clone(), message.queue_offset());
        ensure!(places.insert(place.clone()), "twice at {place:?}");
    }
    Ok(places.len())
}
