//! Access control, ACL 1.0 of 4.x and ACL 2.0 of 5.x: what is signed is done, everything else is
//! refused, certainly and at once.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use posthaste::{AdminError, Credentials, ErrorKind, Message, Outcome, Producer, SendError};

use super::{arrival, found, transactions};
use crate::interop::cluster::Cluster;
use crate::interop::consumer::Subscription;
use crate::interop::guard::{Guard, NO_PERMISSION};

const TOPIC: &str = "signed";
const CREATED: &str = "signed-and-created";
const TRANSACTED: &str = "signed-transactions";
const LIMIT: Duration = Duration::from_secs(30);
/// No refusal takes this long, unless it is tried again and again.
const AT_ONCE: Duration = Duration::from_secs(30);

pub(crate) fn run(cluster: &mut Cluster) -> Result<String> {
    cluster.create_topic(TOPIC, 4)?;
    let producer = cluster.guarded_producer(TOPIC, Some(Guard::admin()))?;
    let sent = cluster.block_on(arrival::send_all(&producer, TOPIC))?;
    let members = cluster.agent().members(TOPIC, TOPIC)?;
    ensure!(members.len() == 1, "the heartbeat was not taken: {members:?}");
    cluster.block_on(ask_everything(&producer, sent.len()))?;
    let report = cluster.block_on(producer.close(LIMIT));
    ensure!(report.is_clean(), "{report:?}");
    let members = cluster.agent().members(TOPIC, TOPIC)?;
    ensure!(members.is_empty(), "the goodbye was not taken: {members:?}");

    let consumer = cluster.agent().start_consumer(&Subscription::new(TOPIC, TOPIC))?;
    arrival::receive(&consumer, sent.clone(), LIMIT)?;
    cluster.agent().stop(consumer.name())?;

    let builder = Producer::builder(TRANSACTED, cluster.name_server());
    let builder = builder.credentials(Guard::admin());
    transactions::two_of_three(cluster, TRANSACTED, builder).context("transactions")?;

    let strangers = cluster.guard()?.strangers();
    let refused = strangers.len();
    for (name, credentials) in strangers {
        refuses(cluster, name, credentials).with_context(|| format!("with {name}"))?;
    }
    let stored = cluster.count(TOPIC, sent.len())?;
    ensure!(stored == sent.len(), "{stored} stored of {}", sent.len());
    Ok(format!("{} messages, {refused} strangers", sent.len()))
}

/// The calls of an admin, and reading.
async fn ask_everything(producer: &Producer, sent: usize) -> Result<()> {
    let admin = producer.admin();
    admin.create_topic(CREATED, 2).await.context("create_topic")?;
    ensure!(admin.topics().await?.contains(&CREATED.to_owned()), "the topic is not listed");
    let mut ends = 0;
    for queue in admin.publish_queues(TOPIC).await? {
        ends += admin.max_offset(&queue).await.context("max_offset")?
            - admin.min_offset(&queue).await.context("min_offset")?;
        admin.earliest_store_time(&queue).await.context("earliest_store_time")?;
        admin.offset_at(&queue, std::time::SystemTime::now()).await.context("offset_at")?;
    }
    ensure!(ends as usize <= sent, "{ends} of {sent}");
    let mut reader = admin.reader(TOPIC).until_now().open().await.context("reader")?;
    let mut read = 0;
    while reader.next().await.context("reading")?.is_some() {
        read += 1;
    }
    ensure!(read as i64 >= ends, "read {read} of {ends}");
    find_again(producer).await
}

/// A query leaves its flag out of what is signed.
async fn find_again(producer: &Producer) -> Result<()> {
    let receipt = producer.send(Message::new(CREATED, "found").key("key")).await?;
    let admin = producer.admin();
    let viewed = admin.view(CREATED, receipt.offset_message_id()).await.context("view")?;
    ensure!(viewed.is_some(), "{receipt:?} cannot be viewed");
    let by_id = || admin.query_by_unique_id(CREATED, receipt.message_id());
    found::until(by_id, 1).await.context("query by unique id")?;
    let by_key = || admin.query_by_key(CREATED, "key", .., 1);
    found::until(by_key, 1).await.context("query by key")?;
    Ok(())
}

/// Nothing that such a producer wants is done.
fn refuses(cluster: &Cluster, name: &str, credentials: Option<Credentials>) -> Result<()> {
    let producer = cluster.guarded_producer("signed-by-strangers", credentials)?;
    let producer = producer.with_timeout(2 * AT_ONCE);
    let begun = Instant::now();
    cluster.block_on(async {
        let message = || Message::new(TOPIC, "not allowed");
        denied(producer.send(message()).await).context("send")?;
        denied(producer.send(message().order_by("key")).await).context("ordered")?;
        // 4.x looks whether a batch is signed, and not whether the signer may write to the topic.
        if name != NO_PERMISSION {
            denied(producer.send_batch([message(), message()]).await).context("batch")?;
        }
        // No answer says how it ended. It must not be stored.
        producer.send_oneway(message()).await?;
        for queue in producer.admin().publish_queues(TOPIC).await? {
            match producer.admin().max_offset(&queue).await {
                // 4.x lets everybody ask for offsets who has a key.
                Ok(_) | Err(AdminError::Denied { .. }) => {}
                Err(error) => bail!("max_offset: {error}"),
            }
        }
        match producer.admin().create_topic("signed-by-strangers", 1).await {
            Err(AdminError::Denied { .. }) => Ok(()),
            other => bail!("create_topic: {other:?}"),
        }
    })?;
    let took = begun.elapsed();
    ensure!(took < AT_ONCE, "the refusals took {took:?}");
    let stats = producer.stats();
    ensure!(stats.retries == 0, "{stats:?}");
    cluster.block_on(producer.close(LIMIT));
    Ok(())
}

fn denied<T: std::fmt::Debug>(sent: Result<T, SendError>) -> Result<()> {
    let error = sent.err().context("a stranger's message was taken")?;
    ensure!(error.kind() == ErrorKind::Denied, "{error}");
    ensure!(error.outcome() == Outcome::NotStored, "{error}");
    ensure!(error.attempts().len() == 1, "{error}");
    Ok(())
}
