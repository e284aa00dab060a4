//! What a producer of ours takes back does not come to the official consumer.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use posthaste::{AdminError, Message, Producer, ResponseCode};

use crate::interop::cluster::Cluster;
use crate::interop::consumer::Subscription;
use crate::interop::version::Version;

const TOPIC: &str = "recalled";
/// Long enough for a broker to note that a message is taken back.
const DELAY: Duration = Duration::from_secs(8);
const LIMIT: Duration = Duration::from_secs(40);
const SILENCE: Duration = Duration::from_secs(3);

pub(crate) fn run(cluster: &mut Cluster) -> Result<String> {
    run_on(cluster, TOPIC)
}

pub(super) fn run_on(cluster: &Cluster, topic: &'static str) -> Result<String> {
    cluster.create_topic(topic, 2)?;
    let producer = cluster.patient_producer("recallers")?;
    match cluster.version() {
        Version::V5_5_0 => taken_back(cluster, topic, &producer),
        older => cluster.block_on(not_known(&producer, older)),
    }
}

/// A handle of a message that never was.
fn of_nothing(topic: &str) -> String {
    URL_SAFE.encode(format!("v1 {topic} broker-a 9 id"))
}

fn taken_back(cluster: &Cluster, topic: &'static str, producer: &Producer) -> Result<String> {
    let consumer = cluster.agent().start_consumer(&Subscription::new(topic, topic))?;
    let sent_at = Instant::now();
    let (gone, comes) = cluster.block_on(async {
        let gone = producer.send(Message::new(topic, "gone").deliver_after(DELAY)).await?;
        let comes = producer.send(Message::new(topic, "comes").deliver_after(DELAY)).await?;
        let handle = gone.recall_handle().context("no handle")?;
        let id = producer.recall(handle).await?;
        ensure!(id == gone.message_id(), "{id} was taken back, not {gone:?}");
        let error = producer.recall(&of_nothing(topic)).await;
        let is_refused = matches!(
            &error,
            Err(AdminError::Refused { code: ResponseCode::ILLEGAL_OPERATION, .. })
        );
        ensure!(is_refused, "{error:?}");
        Ok((gone, comes))
    })?;
    let come = consumer.take(1, LIMIT)?.remove(0).message;
    // Real brokers count in seconds, and round them down.
    let early = DELAY.saturating_sub(sent_at.elapsed());
    ensure!(early < Duration::from_secs(1), "{early:?} early");
    ensure!(come.msg_id == comes.message_id(), "{come:?}, and not {comes:?}");
    let surplus = consumer.drain(SILENCE);
    ensure!(surplus.is_empty(), "{gone:?} came nevertheless: {surplus:?}");
    cluster.agent().stop(consumer.name())?;
    Ok("one of two".to_owned())
}

/// 4.x does not know the request; its older versions do not even say so.
async fn not_known(producer: &Producer, version: Version) -> Result<String> {
    let hasty = producer.with_timeout(Duration::from_secs(2));
    let error = hasty.recall(&of_nothing(TOPIC)).await;
    let is_expected = match version {
        Version::V4_7_0 => matches!(&error, Err(AdminError::Timeout(_))),
        _ => matches!(
            &error,
            Err(AdminError::Refused { code: ResponseCode::REQUEST_CODE_NOT_SUPPORTED, .. })
        ),
    };
    ensure!(is_expected, "{error:?}");
    Ok("not known there".to_owned())
}
