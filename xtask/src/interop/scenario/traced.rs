//! The message trace of ours: the official decoder reads every record, with the fields that Java's own
//! have, and the official tool finds them.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use posthaste::{Message, Producer, Receipt, TransactionState};

use crate::interop::agent::Mode;
use crate::interop::cluster::Cluster;
use crate::interop::envelope::Envelope;
use crate::interop::version::Version;

const TOPIC: &str = "traced";
const TRACE_TOPIC: &str = "RMQ_SYS_TRACE_TOPIC";
const JAVA: &str = "traced-java";
const GROUP: &str = "traced-of-ours";
const LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(200);

/// Fields of a record by the names that the official client gives them.
type Record = BTreeMap<String, String>;

/// A message and where it was stored; its kind (Java: `MessageType`).
struct Sent {
    message: Message,
    receipt: Receipt,
    kind: &'static str,
}

pub(crate) fn run(cluster: &mut Cluster) -> Result<String> {
    cluster.create_topic(TOPIC, 4)?;
    let broker = cluster.broker(0)?.address();
    let (sent, committed) = cluster.block_on(send_all(&cluster.name_server()))?;
    let java = send_java(cluster)?;
    // 4.7.0 neither reads records of a transaction's end nor has a tool for traces.
    let is_new = cluster.version() != Version::V4_7_0;
    let wanted = sent.len() + usize::from(is_new) + 1;
    let records = await_records(cluster, wanted)?;
    // Java's loses what it is about to send when it is stopped, sometimes.
    cluster.agent().stop(JAVA)?;
    for Sent { message, receipt, kind } in &sent {
        let record = of_id(&records, "Pub", receipt.message_id())?;
        compare(record, message, receipt, kind, &broker)
            .with_context(|| format!("{message:?}: {record:?}"))?;
    }
    compare_with_java(&records, &sent, &java)?;
    if is_new {
        compare_end(of_id(&records, "EndTransaction", &committed)?, &broker)?;
        find(cluster, &sent)?;
    }
    Ok(format!("{} records of ours", records.len() - 1))
}

async fn send_all(name_server: &str) -> Result<(Vec<Sent>, String)> {
    let producer = Producer::builder(GROUP, name_server)
        .send_timeout(LIMIT)
        .message_trace(true)
        .transaction_checker(|_| async { TransactionState::Unknown })
        .start()
        .await?;
    let plain = || Message::new(TOPIC, "plain");
    let full = || Message::new(TOPIC, "with tag").tag("größer").key("k1").key("ключ");
    let mut sent = Vec::new();
    let large = Message::new(TOPIC, "compressed ".repeat(1000));
    for (message, kind) in [
        (plain(), "Normal_Msg"),
        (full(), "Normal_Msg"),
        (full().order_by("key"), "Normal_Msg"),
        (plain().delay_level(1), "Delay_Msg"),
        (large, "Normal_Msg"),
    ] {
        let receipt = producer.send(message.clone()).await?;
        sent.push(Sent { message, receipt, kind });
    }
    let batch = [plain().key("batched"), full()];
    for (message, receipt) in batch.clone().into_iter().zip(producer.send_batch(batch).await?) {
        sent.push(Sent { message, receipt, kind: "Normal_Msg" });
    }
    producer.send_oneway(plain()).await?;
    let half = producer.begin(full()).await?;
    let receipt = half.receipt().clone();
    half.commit().await?;
    let committed = receipt.message_id().to_owned();
    sent.push(Sent { message: full(), receipt, kind: "Trans_Msg_Half" });
    producer.close(LIMIT).await;
    let lost = producer.stats().traces_lost;
    ensure!(lost == 0, "{lost} traces lost");
    Ok((sent, committed))
}

/// A message as one of ours, by the official client.
fn send_java(cluster: &Cluster) -> Result<String> {
    let agent = cluster.agent();
    agent.start_traced_producer(JAVA, "traced-of-java")?;
    let mut message = Envelope::new(TOPIC, "with tag");
    message.tags = Some("größer".to_owned());
    message.keys = Some("k1 ключ".to_owned());
    let outcomes = agent.send(JAVA, Mode::Sync, &[message])?;
    let id = outcomes.first().and_then(|outcome| outcome.msg_id.clone());
    id.with_context(|| format!("{outcomes:?}"))
}

/// Every record of the trace topic, once this many are of this scenario.
fn await_records(cluster: &Cluster, wanted: usize) -> Result<Vec<Record>> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let mut records = Vec::new();
        for message in cluster.agent().stored(TRACE_TOPIC)? {
            records.extend(cluster.agent().decode_traces(&message.text())?);
        }
        records.retain(|record| field(record, "Topic") == TOPIC);
        if records.len() >= wanted {
            ensure!(records.len() == wanted, "{} records instead of {wanted}", records.len());
            return Ok(records);
        }
        if Instant::now() > deadline {
            bail!("{} of {wanted} records: {records:?}", records.len());
        }
        thread::sleep(POLL);
    }
}

fn field<'a>(record: &'a Record, name: &str) -> &'a str {
    record.get(name).map(String::as_str).unwrap_or_default()
}

fn of_id<'a>(records: &'a [Record], kind: &str, id: &str) -> Result<&'a Record> {
    let is_it =
        |record: &&Record| field(record, "TraceType") == kind && field(record, "MsgId") == id;
    records.iter().find(is_it).with_context(|| format!("no {kind} record of {id}: {records:?}"))
}

fn compare(
    record: &Record,
    message: &Message,
    receipt: &Receipt,
    kind: &str,
    broker: &str,
) -> Result<()> {
    let body = message.body().len();
    let keys = message.key_texts().join(" ");
    let expected = [
        ("RegionId", "DefaultRegion"),
        ("GroupName", GROUP),
        ("Tags", message.tag_text().unwrap_or("null")),
        ("Keys", if keys.is_empty() { "null" } else { &keys }),
        ("StoreHost", broker),
        ("MsgType", kind),
        ("OffsetMsgId", receipt.offset_message_id()),
        ("Success", "true"),
    ];
    for (name, value) in expected {
        ensure!(field(record, name) == value, "{name} is not {value}");
    }
    let length: usize = field(record, "BodyLength").parse()?;
    ensure!(length == body || (body >= 4096 && length < body), "body length");
    let took: u128 = field(record, "CostTime").parse()?;
    ensure!(took < LIMIT.as_millis(), "cost time");
    let age = since_1970()?.abs_diff(field(record, "TimeStamp").parse()?);
    ensure!(age < 2 * LIMIT.as_millis(), "time stamp");
    Ok(())
}

fn compare_end(record: &Record, broker: &str) -> Result<()> {
    for (name, value) in [
        ("GroupName", GROUP),
        ("Topic", TOPIC),
        ("Tags", "größer"),
        ("Keys", "k1 ключ"),
        ("StoreHost", broker),
        ("MsgType", "Trans_msg_Commit"),
        ("TransactionState", "COMMIT_MESSAGE"),
        ("FromTransactionCheck", "false"),
    ] {
        ensure!(field(record, name) == value, "{name} is not {value}: {record:?}");
    }
    Ok(())
}

/// A record of Java's and one of ours, of messages alike, differ in what must differ alone.
fn compare_with_java(records: &[Record], sent: &[Sent], java: &str) -> Result<()> {
    // What belongs to each message, or is made up by the decoder.
    const OF_EACH: [&str; 9] = [
        "CostTime",
        "GroupName",
        "MsgId",
        "OffsetMsgId",
        "RequestId",
        "StoreTime",
        "TimeStamp",
        "TraceBeans",
        "ClientHost",
    ];
    let alike = sent.get(1).context("nothing was sent")?.receipt.message_id();
    let (ours, theirs) = (of_id(records, "Pub", alike)?, of_id(records, "Pub", java)?);
    for name in ours.keys().chain(theirs.keys()) {
        let same = field(ours, name) == field(theirs, name);
        ensure!(same || OF_EACH.contains(&&**name), "{name}: {ours:?} and {theirs:?}");
    }
    Ok(())
}

/// The official tool finds each message's trace by its id.
fn find(cluster: &Cluster, sent: &[Sent]) -> Result<()> {
    let deadline = Instant::now() + LIMIT;
    let first = sent.first().context("nothing was sent")?;
    let last = sent.last().context("nothing was sent")?;
    for Sent { receipt, .. } in [first, last] {
        // Brokers enter messages into the index a moment after they have stored them.
        loop {
            let said = cluster.mqadmin(&["queryMsgTraceById", "-i", receipt.message_id()])?;
            let shows =
                |line: &str| ["Pub", GROUP, "success"].iter().all(|word| line.contains(word));
            if said.lines().any(shows) {
                break;
            }
            if Instant::now() > deadline {
                bail!("mqadmin shows no trace of {}:\n{said}", receipt.message_id());
            }
            thread::sleep(POLL);
        }
    }
    Ok(())
}

fn since_1970() -> Result<u128> {
    Ok(std::time::SystemTime::UNIX_EPOCH.elapsed()?.as_millis())
}
