//! Requests and replies across languages: ours answered by an official consumer, an official
//! producer's answered by us.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use posthaste::{Message, Producer, Reader, RequestError};

use crate::interop::cluster::Cluster;
use crate::interop::envelope::Envelope;
use crate::interop::version::Version;

const OURS: &str = "our-requests";
const THEIRS: &str = "their-requests";
const NOBODYS: &str = "nobodys-requests";
const REQUESTS: usize = 10;
/// A replier takes a while until it has its queues.
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn run(cluster: &mut Cluster) -> Result<String> {
    for topic in [OURS, THEIRS, NOBODYS] {
        cluster.create_topic(topic, 1)?;
    }
    let producer = cluster.producer(OURS)?.with_timeout(LIMIT);
    cluster.agent().start_producer("replying", "official-repliers")?;
    cluster.agent().start_replier("official-replier", "replying", OURS)?;
    cluster.block_on(ask(&producer))?;
    cluster.agent().stop("official-replier")?;
    cluster.agent().stop("replying")?;

    // 4.7.0 does not note its cluster on requests, so consumers cannot reply to requests of its clients.
    let answers = cluster.version() != Version::V4_7_0;
    if answers {
        let reader = cluster.block_on(producer.admin().reader(THEIRS).open())?;
        let replier = cluster.runtime().spawn(reply(reader, producer.clone()));
        cluster.agent().start_producer("asking", "official-requesters")?;
        for number in 0..REQUESTS {
            let request = Envelope::new(THEIRS, format!("{number}?"));
            let reply = cluster.agent().request("asking", &request, LIMIT)?;
            ensure!(reply.body == format!("re: {number}?").into_bytes(), "{reply:?}");
        }
        cluster.agent().stop("asking")?;
        replier.abort();
    }
    let stats = producer.stats();
    ensure!(stats.late_replies == 0, "{stats:?}");
    ensure!(cluster.block_on(producer.close(LIMIT)).is_clean(), "not all were stored");
    let theirs = if answers { "as many of theirs" } else { "none of theirs" };
    Ok(format!("{REQUESTS} of our requests answered, {theirs}"))
}

async fn ask(producer: &Producer) -> Result<()> {
    for number in 0..REQUESTS {
        let text = format!("{number}?");
        let reply = producer.request(Message::new(OURS, text.clone())).await;
        let reply = reply.with_context(|| format!("request {number}"))?;
        ensure!(reply.body() == format!("re: {text}").as_bytes(), "{reply:?}");
        ensure!(reply.property("PUSH_REPLY_TIME").is_some(), "{reply:?}");
    }
    // From brokers of a cluster that is not asked for the first time.
    let brief = producer.with_timeout(Duration::from_secs(3));
    match brief.request(Message::new(NOBODYS, "who is there?")).await {
        Err(RequestError::NoReply { .. }) => Ok(()),
        other => anyhow::bail!("no consumer is there, and yet: {other:?}"),
    }
}

async fn reply(mut reader: Reader, producer: Producer) -> Result<()> {
    while let Some(request) = reader.next().await? {
        let text = String::from_utf8_lossy(request.body()).into_owned();
        if let Some(reply) = request.reply(format!("re: {text}")) {
            producer.send(reply).await?;
        }
    }
    Ok(())
}
