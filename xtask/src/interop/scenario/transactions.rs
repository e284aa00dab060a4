//! Transactions: the official consumer gets the messages that were committed, whether by the sender or by the checker.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use posthaste::{ErrorKind, Message, Producer, ProducerBuilder, ReadMessage, TransactionState};

use crate::interop::cluster::Cluster;
use crate::interop::consumer::{Consumer, Subscription};

const TOPIC: &str = "transactions";
/// Sends to a broker that is still cold.
const PATIENCE: Duration = Duration::from_secs(20);
/// Brokers ask after three seconds, and every four.
const ASKED_WITHIN: Duration = Duration::from_secs(60);
const SILENCE: Duration = Duration::from_secs(2);

/// What is done with each message, by its body.
const COMMITTED: &str = "committed";
const ROLLED_BACK: &str = "rolled back";
const BY_LOCAL_CODE: &str = "committed by local code";
const LEFT: &str = "left, and committed when asked the second time";
const LEFT_FOR_GOOD: &str = "left, and rolled back when asked";
pub(super) const KILLED: &str = "left by a process that was killed, and committed when asked";

pub(crate) fn run(cluster: &mut Cluster) -> Result<String> {
    run_on(cluster, TOPIC)
}

pub(super) fn run_on(cluster: &Cluster, topic: &'static str) -> Result<String> {
    cluster.create_topic(topic, 2)?;
    let consumer = cluster.agent().start_consumer(&Subscription::new(topic, topic))?;
    kill_a_member(&cluster.entrance(), topic)?;
    let asked = Arc::new(AtomicUsize::new(0));
    let producer = cluster.block_on(start(cluster.entrance(), topic, Arc::clone(&asked)))?;
    cluster.block_on(decide(&producer, topic))?;
    let mut awaited: BTreeSet<&str> = [COMMITTED, BY_LOCAL_CODE, LEFT, KILLED].into();
    receive(&consumer, topic, &mut awaited)?;
    let surplus = consumer.drain(SILENCE);
    ensure!(surplus.is_empty(), "never committed, or twice: {surplus:?}");
    let report = cluster.block_on(producer.close(PATIENCE));
    ensure!(report.undecided.is_empty(), "{report:?}");
    cluster.agent().stop(consumer.name())?;
    Ok(format!("6 transactions, {} checks", asked.load(Ordering::Relaxed)))
}

/// Of three messages one is committed, one rolled back, and one is left, to be committed when the broker
/// asks: two arrive, also for a producer with other settings.
pub(super) fn two_of_three(
    cluster: &Cluster,
    topic: &'static str,
    settings: ProducerBuilder,
) -> Result<()> {
    cluster.create_topic(topic, 2)?;
    let settings = settings.send_timeout(PATIENCE);
    let settings = settings.transaction_checker(|_| async { TransactionState::Commit });
    let producer = cluster.block_on(settings.start())?;
    cluster.block_on(async {
        let begin = |body: &'static str| producer.begin(Message::new(topic, body));
        begin(COMMITTED).await?.commit().await?;
        begin(ROLLED_BACK).await?.rollback().await?;
        drop(begin(LEFT).await?);
        anyhow::Ok(())
    })?;
    let consumer = cluster.agent().start_consumer(&Subscription::new(topic, topic))?;
    let mut awaited: BTreeSet<&str> = [COMMITTED, LEFT].into();
    receive(&consumer, topic, &mut awaited)?;
    let surplus = consumer.drain(SILENCE);
    ensure!(surplus.is_empty(), "never committed, or twice: {surplus:?}");
    cluster.block_on(producer.close(PATIENCE));
    cluster.agent().stop(consumer.name())
}

pub(super) async fn start(
    entrance: String,
    group: &str,
    asked: Arc<AtomicUsize>,
) -> Result<Producer> {
    let checker = move |half: ReadMessage| {
        let (body, before) = (half.body().clone(), asked.fetch_add(1, Ordering::Relaxed));
        async move {
            match std::str::from_utf8(&body).unwrap_or_default() {
                LEFT if before == 0 => TransactionState::Unknown,
                LEFT | KILLED => TransactionState::Commit,
                _ => TransactionState::Rollback,
            }
        }
    };
    let builder = Producer::builder(group, entrance).send_timeout(PATIENCE);
    Ok(builder.transaction_checker(checker).start().await?)
}

async fn decide(producer: &Producer, topic: &'static str) -> Result<()> {
    let begin = |body: &'static str| producer.begin(Message::new(topic, body).tag("half"));
    // Brokers would take a delayed half message, and not deliver it after its commit.
    let delayed = Message::new(topic, LEFT).deliver_after(Duration::from_secs(1));
    let refused = producer.begin(delayed).await.err().context("a delayed half message began")?;
    ensure!(refused.kind() == ErrorKind::Invalid, "{refused}");
    // The first that is asked for is this one.
    drop(begin(LEFT).await?);
    begin(COMMITTED).await?.commit().await?;
    begin(ROLLED_BACK).await?.rollback().await?;
    let commit = |_: &_| async { TransactionState::Commit };
    producer.send_in_transaction(Message::new(topic, BY_LOCAL_CODE), commit).await?;
    drop(begin(LEFT_FOR_GOOD).await?);
    Ok(())
}

/// Another member of the group begins a transaction and dies.
pub(super) fn kill_a_member(entrance: &str, topic: &str) -> Result<()> {
    let mut member = Command::new(std::env::current_exe()?)
        .args(["half", "--name-server", entrance])
        .args(["--group", topic, "--topic", topic, "--body", KILLED])
        .stdout(Stdio::piped())
        .spawn()?;
    let said = member.stdout.take().context("no pipe from the member")?;
    let mut id = String::new();
    BufReader::new(said).read_line(&mut id)?;
    member.kill()?;
    member.wait()?;
    ensure!(id.trim().len() >= 32, "the half message was not stored: {id:?}");
    Ok(())
}

pub(super) fn receive(
    consumer: &Consumer,
    topic: &str,
    awaited: &mut BTreeSet<&str>,
) -> Result<()> {
    while !awaited.is_empty() {
        for delivery in consumer.take(1, ASKED_WITHIN).with_context(|| format!("{awaited:?}"))? {
            let text = delivery.message.text();
            ensure!(awaited.remove(text.as_str()), "came, and should not: {text}");
            ensure!(delivery.message.topic == topic, "{:?}", delivery.message);
        }
    }
    Ok(())
}
