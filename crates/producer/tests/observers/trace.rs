//! The message trace: what is recorded of each stored message, and that sends do not mind it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use posthaste::{
    ErrorKind, Interceptor, Message, Producer, ReadFrom, ReadMessage, Receipt, StartError,
    TransactionEnd, TransactionState,
};
use posthaste_broker::Broker;
use posthaste_protocol::Command;
use posthaste_protocol::request::{SendAnswer, UnregisterClient};

use crate::fake::{self, Action, HANG, HOUR, NameServer, Say, Seen, assert_all_ended, soon, until};

const TRACE_TOPIC: &str = "RMQ_SYS_TRACE_TOPIC";

/// Long, for a machine under load.
const TIME: Duration = Duration::from_secs(60);

/// The fields of each record, of which each message may have several.
fn records(text: &str) -> Vec<Vec<String>> {
    let records = text.split_terminator('\u{2}');
    records.map(|record| record.split('\u{1}').map(str::to_owned).collect()).collect()
}

/// All that a topic holds.
async fn read_all(name_server: &str, topic: &str) -> Vec<ReadMessage> {
    let producer =
        Producer::builder("reader", name_server).send_timeout(HANG).start().await.unwrap();
    let reader = producer.admin().reader(topic).from(ReadFrom::Start).until_now();
    let mut reader = reader.open().await.unwrap();
    let mut all = Vec::new();
    while let Some(message) = soon(reader.next()).await.unwrap() {
        all.push(message);
    }
    all
}

/// What the trace topic holds, by the topic that it tells of: each message's keys, and its records.
async fn traces(name_server: &str, topic: &str) -> Vec<(String, Vec<Vec<String>>)> {
    let messages = read_all(name_server, topic).await;
    let parts = |message: &ReadMessage| {
        let keys = message.keys().collect::<Vec<_>>().join(" ");
        (keys, records(std::str::from_utf8(message.body()).unwrap()))
    };
    let mut all: Vec<_> = messages.iter().map(parts).collect();
    // They may be in different queues.
    all.sort_by(|one, other| one.1[0][4].cmp(&other.1[0][4]));
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_stored_message_leaves_a_record_as_java_writes_it() {
    let broker = Broker::builder().start().await.unwrap();
    let name_server = broker.name_server().to_string();
    let builder = Producer::builder("traced", name_server.as_str()).send_timeout(TIME);
    let producer = builder.message_trace(true).start().await.unwrap();
    let before = now_ms();
    let plain = producer.send(Message::new("a", "12345")).await.unwrap();
    let full = Message::new("a", "1").tag("red").key("k1").key("k2").order_by("o");
    let full = producer.send(full).await.unwrap();
    let batch = [Message::new("b", "x").key("k3"), Message::new("b", "yy")];
    let batch = producer.send_batch(batch).await.unwrap();
    producer.send_oneway(Message::new("a", "oneway")).await.unwrap();
    producer.send(Message::new("a/b", "invalid")).await.unwrap_err();
    assert!(soon(producer.close(HOUR)).await.is_clean(), "it waits for nothing");
    assert_eq!(producer.stats().traces_lost, 0);
    let address = broker.address().to_string();

    let traces = traces(&name_server, TRACE_TOPIC).await;
    let keys: Vec<&str> = traces.iter().map(|(keys, _)| keys.as_str()).collect();
    let a = format!("{} {} k1 k2", plain.message_id(), full.message_id());
    let b = format!("{} k3 {}", batch[0].message_id(), batch[1].message_id());
    assert_eq!(keys, [a, b], "one trace message for each topic");
    let records: Vec<&Vec<String>> = traces.iter().flat_map(|(_, records)| records).collect();
    assert_eq!(records.len(), 4);
    for (record, (topic, tags, keys, length, receipt)) in records.into_iter().zip([
        ("a", "null", "null", "5", &plain),
        ("a", "red", "k1 k2", "1", &full),
        ("b", "null", "k3", "1", &batch[0]),
        ("b", "null", "null", "2", &batch[1]),
    ]) {
        assert_record(record, &address, (topic, tags, keys, length), receipt);
        assert!((before..=now_ms()).contains(&record[1].parse().unwrap()), "{record:?}");
        assert!(record[10].parse::<u64>().unwrap() < 60_000, "{record:?}");
    }
}

/// Everything but the times.
#[track_caller]
fn assert_record(
    record: &[String],
    address: &str,
    (topic, tags, keys, length): (&str, &str, &str, &str),
    receipt: &Receipt,
) {
    let mut record: Vec<&str> = record.iter().map(String::as_str).collect();
    (record[1], record[10]) = ("when", "took");
    let (id, offset_id) = (receipt.message_id(), receipt.offset_message_id());
    let expected = [
        "Pub",
        "when",
        "DefaultRegion",
        "traced",
        topic,
        id,
        tags,
        keys,
        address,
        length,
        "took",
        "0",
        offset_id,
        "true",
    ];
    assert_eq!(record, expected);
}

fn now_ms() -> u128 {
    std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traces_go_to_the_given_topic_and_are_not_traced() {
    let broker = Broker::builder().start().await.unwrap();
    let name_server = broker.name_server().to_string();
    let builder = Producer::builder("traced", name_server.as_str()).send_timeout(TIME);
    let producer = builder.message_trace(true).trace_topic("my-traces").start().await.unwrap();
    producer.send(Message::new("a", "x")).await.unwrap();
    // Whatever begins with the trace topic's name is not traced, as in Java.
    producer.send(Message::new("my-traces-2", "x")).await.unwrap();
    producer.send(Message::new("my-traces", "Pub")).await.unwrap();
    producer.close(TIME).await;
    let mut messages = read_all(&name_server, "my-traces").await;
    messages.retain(|message| &message.body()[..] != b"Pub");
    assert_eq!(messages.len(), 1);
    assert_eq!(records(std::str::from_utf8(messages[0].body()).unwrap()).len(), 1);
    for bad in ["a/b", "", "TBW102"] {
        let builder = Producer::builder("traced", name_server.as_str()).trace_topic(bad);
        let error = builder.start().await.unwrap_err();
        assert!(matches!(error, StartError::Setting(_)), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_leaves_a_record_of_its_half_and_of_its_end() {
    let soon_asked = Duration::from_millis(200);
    let broker =
        Broker::builder().transaction_check_interval(soon_asked).transaction_timeout(soon_asked);
    let broker = broker.start().await.unwrap();
    let name_server = broker.name_server().to_string();
    let (ended, mut ends) = tokio::sync::mpsc::unbounded_channel();
    let asked = AtomicBool::new(false);
    let producer = Producer::builder("traced", name_server.as_str())
        .send_timeout(TIME)
        .message_trace(true)
        .interceptor(Ends(ended))
        .transaction_checker(move |_| {
            // Asked again, before its answer has arrived, it says nothing: that would leave a record more.
            let is_first = !asked.swap(true, Ordering::Relaxed);
            async move {
                match is_first {
                    true => TransactionState::Rollback,
                    false => std::future::pending().await,
                }
            }
        })
        .start()
        .await
        .unwrap();
    let message = || Message::new("a", "x").tag("red").key("k1").key("k2");
    // However long the commit takes to arrive, no check is sent about this one.
    let never_asked = message().first_check_after(Duration::from_secs(3600));
    let committed = producer.begin(never_asked).await.unwrap();
    let id = committed.message_id().to_owned();
    committed.commit().await.unwrap();
    let undecided = producer.begin(message()).await.unwrap().message_id().to_owned();
    for id in [&id, &undecided] {
        assert_eq!(soon(ends.recv()).await.as_ref(), Some(id));
    }
    producer.close(TIME).await;
    let traces = traces(&name_server, TRACE_TOPIC).await;
    let records: Vec<Vec<String>> = traces.into_iter().flat_map(|(_, records)| records).collect();
    assert_eq!(records.len(), 4);
    let kinds = |id: &str| -> Vec<Vec<&str>> {
        let of_id = records.iter().filter(|record| record[5] == id);
        of_id.map(|record| record.iter().map(String::as_str).collect()).collect()
    };
    let address = broker.address().to_string();
    for (id, state, check) in
        [(&*id, "COMMIT_MESSAGE", "false"), (&*undecided, "ROLLBACK_MESSAGE", "true")]
    {
        let mut told = kinds(id);
        told.sort();
        assert_eq!(told.len(), 2);
        assert_eq!((told[1][0], told[1][11]), ("Pub", "1"), "{told:?}");
        let mut end = told[0].clone();
        end[1] = "when";
        let [before, between] = ["EndTransaction when DefaultRegion traced a", "red"];
        let mut expected: Vec<&str> = before.split(' ').chain([id, between, "k1 k2"]).collect();
        expected.extend([&*address, "2", id, state, check]);
        assert_eq!(end, expected);
    }
}

/// Tells of each transaction that ends, when its record is there.
struct Ends(tokio::sync::mpsc::UnboundedSender<String>);

impl Interceptor for Ends {
    fn transaction_ends(&self, end: &TransactionEnd<'_>) {
        self.0.send(end.message_id().to_owned()).unwrap();
    }
}

/// A `close` that is not awaited to its end is taken up by the next one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_that_was_dropped_is_taken_up_by_the_next() {
    let broker = fake::Broker::start("a").await;
    let server = NameServer::of(&[&broker], 1).await;
    broker.script(|seen| match &*seen.topic {
        TRACE_TOPIC => Action::ok().at_the_gate(),
        _ => Action::ok(),
    });
    let producer = traced(&server).await;
    soon(producer.send(Message::new("t", "x"))).await.unwrap();
    let mut first = Box::pin(producer.close(TIME));
    let seen = || broker.seen().iter().filter(|seen| seen.topic == TRACE_TOPIC).count();
    let traced = || broker.stored().iter().filter(|seen| seen.topic == TRACE_TOPIC).count();
    tokio::select! {
        _ = &mut first => panic!("it awaits the trace"),
        () = until("the trace is there", || seen() == 1) => {}
    }
    drop(first);
    broker.open_gate(1);
    soon(producer.close(TIME)).await;
    // The sender of traces has had its answer, and has left its group.
    let left = |other: &Command| other.read::<UnregisterClient>().ok()?.producer_group;
    let groups = || -> Vec<String> { broker.others().iter().filter_map(left).collect() };
    // The goodbye is written when `close` ends; the broker may not have read it yet.
    until("the sender has left", || groups().iter().any(|group| group.starts_with("_INNER_TRACE")))
        .await;
    assert_eq!((traced(), producer.stats().traces_lost), (1, 0));
}

/// The group's name may be as long as it can be: in Java 5.x there is no trace then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_group_is_traced_and_named_in_full() {
    let broker = Broker::builder().start().await.unwrap();
    let name_server = broker.name_server().to_string();
    let group = "g".repeat(120);
    let builder = Producer::builder(group.as_str(), name_server.as_str()).send_timeout(TIME);
    let producer = builder.message_trace(true).start().await.unwrap();
    producer.send(Message::new("a", "x")).await.unwrap();
    producer.close(TIME).await;
    let traces = traces(&name_server, TRACE_TOPIC).await;
    assert_eq!(traces[0].1[0][3], group);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_records_leave_at_once_and_fewer_after_a_while() {
    let broker = fake::Broker::start("a").await;
    let server = NameServer::of(&[&broker], 1).await;
    let producer = traced(&server).await;
    let traced = || broker.stored().iter().filter(|seen| seen.topic == TRACE_TOPIC).count();
    for n in 0..13 {
        soon(producer.send(Message::new("t", n.to_string()))).await.unwrap();
    }
    // Ten of them without any wait; that is no proof, but what follows is.
    until("ten records are there", || traced() == 1).await;
    until("the others are there", || traced() == 2).await;
    let stored = broker.stored();
    let traces: Vec<usize> = stored
        .iter()
        .filter(|seen| seen.topic == TRACE_TOPIC)
        .map(|seen| records(&seen.text()).len())
        .collect();
    assert_eq!(traces, [10, 3]);
    assert_all_ended(&producer);
}

async fn traced(server: &NameServer) -> Producer {
    fake::producer(&[server]).message_trace(true).start().await.unwrap()
}

/// The answer of a broker that wants no traces.
fn untraced(opaque: i32) -> Vec<u8> {
    let offset_message_id = "0".repeat(32);
    let stored = SendAnswer { offset_message_id, trace_on: Some(false), ..SendAnswer::default() };
    fake::answer(opaque, 0, "", &stored)
}

#[tokio::test]
async fn a_broker_that_wants_no_traces_gets_none() {
    let broker = fake::Broker::start("a").await;
    let server = NameServer::of(&[&broker], 1).await;
    broker.script(|seen| match seen.text().as_str() {
        "untraced" => Action::frames(untraced),
        "weaker" => Action::store_and_say(10, ""),
        _ => Action::ok(),
    });
    let producer = traced(&server).await;
    for text in ["untraced", "weaker", "traced"] {
        soon(producer.send(Message::new("t", text))).await.unwrap();
    }
    soon(producer.close(TIME)).await;
    let stored = broker.stored();
    let traces = stored.iter().filter(|seen| seen.topic == TRACE_TOPIC).map(Seen::text);
    let records = records(&traces.collect::<String>());
    // The body's length, and whether it was stored as firmly as it should be.
    let told: Vec<(&str, &str)> =
        records.iter().map(|record| (&*record[9], &*record[13])).collect();
    assert_eq!(told, [("6", "false"), ("6", "true")]);
}

/// The trace topic's broker stalls: sends go on, and what piles up is dropped and counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_topic_that_stalls_holds_up_nothing() {
    const MESSAGES: usize = 6_000;
    let (broker, stalled) = (fake::Broker::start("a").await, fake::Broker::start("b").await);
    stalled.always(Action::ignore());
    let server = NameServer::of(&[&broker], 1).await;
    server.say(TRACE_TOPIC, Say::Route(fake::route(&[&stalled], 1)));
    let producer = traced(&server).await;
    let mut deliveries = Vec::new();
    for n in 0..MESSAGES {
        deliveries.push(producer.enqueue(Message::new("t", n.to_string())).await.unwrap());
    }
    for delivery in deliveries {
        soon(delivery).await.unwrap();
    }
    // What is on its way or in the queue: 64 messages of ten records and 2,048 records.
    let lost = producer.stats().traces_lost;
    assert!(lost >= (MESSAGES - 2048 - 64 * 10 - 20) as u64, "{lost}");
    // The traces have an hour.
    assert!(soon(producer.close(Duration::from_millis(300))).await.is_clean());
    assert_eq!(producer.stats().traces_lost, MESSAGES as u64);
    assert_all_ended(&producer);
}

/// No trace topic anywhere: nothing but the trace is lost.
#[tokio::test]
async fn without_a_trace_topic_the_trace_alone_is_lost() {
    let broker = fake::Broker::start("a").await;
    let server = NameServer::start().await;
    server.say("t", Say::Route(fake::route(&[&broker], 1)));
    let producer = traced(&server).await;
    soon(producer.send(Message::new("t", "x"))).await.unwrap();
    let error = soon(producer.send(Message::new("unknown", "x"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoTopic);
    assert!(soon(producer.close(TIME)).await.is_clean());
    let stats = producer.stats();
    assert_eq!((stats.acked, stats.traces_lost), (1, 1));
}

/// Java tells of it too, when a property of its process says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recall_leaves_a_record() {
    let broker = Broker::builder().start().await.unwrap();
    let name_server = broker.name_server().to_string();
    let builder = Producer::builder("recalls", name_server.as_str()).send_timeout(TIME);
    let producer = builder.message_trace(true).start().await.unwrap();
    let later = Message::new("timers", "x").deliver_after(Duration::from_secs(3600));
    let receipt = producer.send(later).await.unwrap();
    let id = producer.recall(receipt.recall_handle().unwrap()).await.unwrap();
    assert_eq!(id, receipt.message_id());
    assert!(soon(producer.close(TIME)).await.is_clean());
    let all = traces(&name_server, TRACE_TOPIC).await;
    let records: Vec<_> = all.iter().flat_map(|(_, records)| records).collect();
    let recall = records.iter().find(|record| record[0] == "Recall").expect("no record of it");
    let told: Vec<&str> = recall.iter().skip(3).map(String::as_str).collect();
    assert_eq!(told, ["recalls", "timers", &id, "true"], "{recall:?}");
}
