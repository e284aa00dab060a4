//! Reading back from the embedded broker.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]
#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

#[path = "../scripted/mod.rs"]
mod scripted;
mod servers;

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use futures_core::Stream as _;
use posthaste::{AdminError, Message, MessageQueue, Producer, ReadFrom, ReadMessage, Reader};
use posthaste_broker::{Broker, BrokerBuilder};

/// Longer than anything takes, however busy the machine is: it only ends a hang.
const HANG: Duration = Duration::from_secs(60);

async fn start(settings: BrokerBuilder) -> (Broker, Producer) {
    let broker = settings.start().await.unwrap();
    let name_server = broker.name_server().to_string();
    let producer = Producer::builder("readers", name_server)
        .send_timeout(HANG)
        .compress_from(usize::MAX)
        .start()
        .await
        .unwrap();
    (broker, producer)
}

async fn send(producer: &Producer, topic: &str, bodies: impl IntoIterator<Item = String>) {
    for body in bodies {
        producer.send(Message::new(topic, body)).await.unwrap();
    }
}

fn numbers(range: std::ops::Range<usize>) -> impl Iterator<Item = String> {
    range.map(|n| format!("m{n}"))
}

async fn next(reader: &mut Reader) -> ReadMessage {
    let next = tokio::time::timeout(Duration::from_secs(60), reader.next()).await;
    next.expect("a message within a minute").unwrap().expect("a message")
}

async fn take(reader: &mut Reader, count: usize) -> Vec<ReadMessage> {
    let mut messages = Vec::new();
    for _ in 0..count {
        messages.push(next(reader).await);
    }
    messages
}

async fn rest(mut reader: Reader) -> Vec<ReadMessage> {
    let mut messages = Vec::new();
    while let Some(message) = reader.next().await.unwrap() {
        messages.push(message);
    }
    messages
}

fn bodies<'a>(messages: impl IntoIterator<Item = &'a ReadMessage>) -> BTreeSet<String> {
    let text = |m: &ReadMessage| String::from_utf8(m.body().to_vec()).unwrap();
    messages.into_iter().map(text).collect()
}

/// Each queue's offsets follow each other without a gap or a repetition.
fn assert_in_order(messages: &[ReadMessage]) {
    let mut next = BTreeMap::new();
    for message in messages {
        let expected = next.entry(message.queue().clone()).or_insert(message.queue_offset());
        assert_eq!(message.queue_offset(), *expected, "{}", message.queue());
        *expected += 1;
    }
}

#[tokio::test]
async fn a_message_comes_back_as_it_was_sent() {
    let (broker, producer) = start(Broker::builder().topic("same", 2)).await;
    let before = SystemTime::now() - Duration::from_millis(1);
    let message = Message::new("same", vec![0, 255, b'x'])
        .tag("t")
        .keys(["k1", "k2"])
        .property("colour", "blue")
        .property("size", "9")
        .flag(7)
        .order_by("who");
    let receipt = producer.send(message).await.unwrap();
    let reader = producer.admin().reader("same").until_now().open().await.unwrap();
    let messages = rest(reader).await;
    let [read] = messages.as_slice() else { panic!("{messages:?}") };
    assert_eq!(read.body()[..], [0, 255, b'x']);
    assert_eq!(read.tag(), Some("t"));
    assert_eq!(read.keys().collect::<Vec<_>>(), ["k1", "k2"]);
    assert_eq!(read.properties().collect::<Vec<_>>(), [("colour", "blue"), ("size", "9")]);
    assert!(read.all_properties().any(|(name, value)| (name, value) == ("TAGS", "t")));
    assert_eq!((read.flag(), read.ordering_key()), (7, Some("who")));
    assert_eq!((read.queue(), read.queue_offset()), (receipt.queue(), receipt.queue_offset()));
    assert_eq!(read.message_id(), receipt.message_id());
    assert_eq!(read.offset_message_id(), receipt.offset_message_id());
    assert!(!read.is_compressed());
    assert!(before <= read.born_at() && read.born_at() <= SystemTime::now());
    assert!(before <= read.stored_at() && read.stored_at() <= SystemTime::now());
    assert_eq!(read.born_host().ip(), broker.address().ip());
}

#[tokio::test]
async fn until_now_ends_where_the_queues_ended_when_it_was_opened() {
    let (_broker, producer) = start(Broker::builder().topic("now", 3)).await;
    send(&producer, "now", numbers(0..500)).await;
    let reader = producer.admin().reader("now").until_now().open().await.unwrap();
    send(&producer, "now", numbers(500..600)).await;
    let messages = rest(reader).await;
    assert_eq!(bodies(&messages), numbers(0..500).collect());
    assert_eq!(messages.len(), 500);
    assert_in_order(&messages);
}

#[tokio::test]
async fn the_end_of_an_empty_topic_is_there_at_once_and_stays() {
    let (_broker, producer) = start(Broker::builder().topic("empty", 2)).await;
    for from in [ReadFrom::Start, ReadFrom::End] {
        let builder = producer.admin().reader("empty").from(from).until_now();
        let mut reader = builder.open().await.unwrap();
        for _ in 0..3 {
            assert!(reader.next().await.unwrap().is_none());
        }
    }
}

#[tokio::test]
async fn what_lands_is_followed() {
    let (_broker, producer) = start(Broker::builder().topic("live", 4)).await;
    send(&producer, "live", numbers(0..50)).await;
    let mut all = producer.admin().reader("live").open().await.unwrap();
    let mut new = producer.admin().reader("live").from(ReadFrom::End).open().await.unwrap();
    let mut seen = take(&mut all, 50).await;
    assert_eq!(bodies(&seen), numbers(0..50).collect());
    for n in 50..80 {
        send(&producer, "live", numbers(n..n + 1)).await;
        let expected = numbers(n..n + 1).collect();
        let message = next(&mut all).await;
        assert_eq!(bodies([&message]), expected);
        seen.push(message);
        assert_eq!(bodies([&next(&mut new).await]), expected);
    }
    assert_in_order(&seen);
}

#[tokio::test]
async fn only_messages_with_one_of_the_tags_are_read() {
    let (_broker, producer) = start(Broker::builder().topic("tags", 2)).await;
    // `Aa` and `BB` have the same hash, which is all that a broker compares.
    for (n, tag) in ["Aa", "BB", "c", "*"].iter().cycle().take(400).enumerate() {
        let message = Message::new("tags", format!("m{n}")).tag(*tag);
        producer.send(message).await.unwrap();
    }
    producer.send(Message::new("tags", "untagged")).await.unwrap();
    let read = async |tags: &[&str]| {
        let builder = producer.admin().reader("tags").until_now();
        let builder = tags.iter().fold(builder, |builder, tag| builder.tag(*tag));
        let messages = rest(builder.open().await.unwrap()).await;
        let mut counts = BTreeMap::new();
        for message in &messages {
            *counts.entry(message.tag().map(str::to_owned)).or_insert(0) += 1;
        }
        counts.into_iter().collect::<Vec<_>>()
    };
    let tagged = |tag: &str| (Some(tag.to_owned()), 100);
    assert_eq!(read(&["Aa"]).await, [tagged("Aa")]);
    assert_eq!(read(&["BB", "c"]).await, [tagged("BB"), tagged("c")]);
    assert_eq!(read(&["*"]).await, [tagged("*")]);
    assert_eq!(read(&["none"]).await, []);
    assert_eq!(read(&[]).await.len(), 5);
    for tag in ["", " a", "a||b"] {
        let error = producer.admin().reader("tags").tag(tag).open().await.unwrap_err();
        assert!(matches!(error, AdminError::Invalid(_)), "{tag}: {error:?}");
    }
}

#[tokio::test]
async fn a_topic_that_is_not_there_can_be_tried_again() {
    let (_broker, producer) = start(Broker::builder()).await;
    let admin = producer.admin();
    let error = admin.reader("later").open().await.unwrap_err();
    assert_eq!(error, AdminError::NoTopic { topic: "later".into() });
    send(&producer, "later", numbers(0..1)).await;
    let mut reader = admin.reader("later").open().await.unwrap();
    assert_eq!(bodies([&next(&mut reader).await]), numbers(0..1).collect());
}

#[tokio::test]
async fn a_reader_is_a_stream() {
    let (_broker, producer) = start(Broker::builder().topic("stream", 2)).await;
    send(&producer, "stream", numbers(0..5)).await;
    let mut ends = producer.admin().reader("stream").until_now().open().await.unwrap();
    let mut read = Vec::new();
    while let Some(message) = next_of_stream(&mut ends).await {
        read.push(message.unwrap());
    }
    assert_eq!(bodies(&read), numbers(0..5).collect());
    assert!(next_of_stream(&mut ends).await.is_none());
    // Of a closed producer it says so once, and ends.
    let mut follows = producer.admin().reader("stream").open().await.unwrap();
    assert!(next_of_stream(&mut follows).await.unwrap().is_ok());
    producer.close(Duration::from_secs(5)).await;
    let closed = loop {
        match next_of_stream(&mut follows).await {
            Some(Ok(_)) => {}
            end => break end,
        }
    };
    assert_eq!(closed.unwrap().unwrap_err(), AdminError::Closed);
    assert!(next_of_stream(&mut follows).await.is_none());
}

async fn next_of_stream(reader: &mut Reader) -> Option<Result<ReadMessage, AdminError>> {
    let next = std::future::poll_fn(|context| Pin::new(&mut *reader).poll_next(context));
    tokio::time::timeout(Duration::from_secs(60), next).await.expect("this hangs")
}

#[tokio::test]
async fn a_reader_moves_no_offset_and_takes_no_message_from_anybody() {
    let (_broker, producer) = start(Broker::builder().topic("shared", 2)).await;
    send(&producer, "shared", numbers(0..20)).await;
    for _ in 0..3 {
        let reader = producer.admin().reader("shared").until_now().open().await.unwrap();
        assert_eq!(rest(reader).await.len(), 20);
    }
}

#[tokio::test]
async fn what_memory_has_dropped_is_passed_over() {
    let settings = Broker::builder().topic("drops", 1).memory_limit(1 << 20);
    let (_broker, producer) = start(settings).await;
    for n in 0..40 {
        let mut body = vec![b'x'; 100_000];
        body[0] = n;
        producer.send(Message::new("drops", body)).await.unwrap();
    }
    let queue = MessageQueue::new("drops", "dev", 0);
    let least = producer.admin().min_offset(&queue).await.unwrap();
    assert!(least > 0);
    let reader = producer.admin().reader("drops").until_now().open().await.unwrap();
    let messages = rest(reader).await;
    assert_eq!(messages.first().map(ReadMessage::queue_offset), Some(least));
    assert_eq!(messages.last().map(ReadMessage::queue_offset), Some(39));
    assert!(messages.iter().all(|m| i64::from(m.body()[0]) == m.queue_offset()));
    assert_in_order(&messages);
}

/// Large messages come one a pull and wait to be taken; nothing is lost while they are not taken.
#[tokio::test]
async fn a_slow_taker_misses_nothing() {
    let (_broker, producer) = start(Broker::builder().topic("slow", 2)).await;
    for n in 0..60 {
        producer.send(Message::new("slow", vec![n; 300_000])).await.unwrap();
    }
    let mut reader = producer.admin().reader("slow").until_now().open().await.unwrap();
    let mut messages = take(&mut reader, 1).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    messages.extend(rest(reader).await);
    assert_eq!(messages.len(), 60);
    let firsts: BTreeSet<u8> = messages.iter().map(|m| m.body()[0]).collect();
    assert_eq!(firsts.len(), 60);
    assert_in_order(&messages);
}

#[tokio::test]
async fn dropping_a_call_of_next_loses_nothing() {
    let (_broker, producer) = start(Broker::builder().topic("cancel", 2)).await;
    send(&producer, "cancel", numbers(0..200)).await;
    let mut reader = producer.admin().reader("cancel").until_now().open().await.unwrap();
    let mut messages = Vec::new();
    loop {
        tokio::select! {
            biased;
            () = tokio::task::yield_now() => {}
            message = reader.next() => match message.unwrap() {
                Some(message) => messages.push(message),
                None => break,
            },
        }
    }
    assert_eq!(bodies(&messages), numbers(0..200).collect());
    assert_eq!(messages.len(), 200);
}

/// The reader's own connection goes when it is dropped.
#[tokio::test]
async fn dropping_a_reader_ends_its_tasks_and_its_connection() {
    let (broker, producer) = start(Broker::builder().topic("drop", 4)).await;
    send(&producer, "drop", numbers(0..4)).await;
    let before = broker.stats().connections;
    let mut reader = producer.admin().reader("drop").open().await.unwrap();
    take(&mut reader, 4).await;
    assert_eq!(broker.stats().connections, before + 1);
    drop(reader);
    for _ in 0..600 {
        if broker.stats().connections == before {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{} connections, {before} before", broker.stats().connections);
}

#[tokio::test]
async fn a_reader_keeps_the_producer_alive_and_ends_with_it() {
    let (_broker, producer) = start(Broker::builder().topic("close", 1)).await;
    send(&producer, "close", numbers(0..1)).await;
    let mut reader = producer.admin().reader("close").open().await.unwrap();
    let other = producer.clone();
    drop(producer);
    take(&mut reader, 1).await;
    other.close(Duration::from_secs(5)).await;
    assert_eq!(reader.next().await.unwrap_err(), AdminError::Closed);
    assert_eq!(reader.next().await.unwrap_err(), AdminError::Closed);
    assert_eq!(reader.admin().reader("close").open().await.unwrap_err(), AdminError::Closed);
}

#[tokio::test]
async fn advertised_addresses_are_mapped() {
    let broker = Broker::builder().advertise("broker.invalid").topic("mapped", 1);
    let broker = broker.start().await.unwrap();
    let real = broker.address().to_string();
    let advertised = format!("broker.invalid:{}", broker.address().port());
    let builder = Producer::builder("readers", broker.name_server().to_string()).send_timeout(HANG);
    let builder = builder.address_map(move |address| {
        assert_eq!(address, advertised);
        Some(real.clone())
    });
    let producer = builder.start().await.unwrap();
    send(&producer, "mapped", numbers(0..1)).await;
    let queue = MessageQueue::new("mapped", "dev", 0);
    assert_eq!(producer.admin().max_offset(&queue).await.unwrap(), 1);
    let reader = producer.admin().reader("mapped").until_now().open().await.unwrap();
    assert_eq!(rest(reader).await.len(), 1);
}

fn again(broker: &Broker) -> BrokerBuilder {
    let ports = (broker.name_server().port(), broker.address().port());
    Broker::builder().name_server_port(ports.0).broker_port(ports.1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_goes_and_comes_back_costs_no_message_and_repeats_none() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Broker::builder().topic("back", 3).data_dir(folder.path());
    let (mut broker, producer) = start(settings).await;
    let mut reader = producer.admin().reader("back").open().await.unwrap();
    let mut messages = Vec::new();
    for round in 0..3 {
        let range = round * 100..(round + 1) * 100;
        send(&producer, "back", numbers(range.clone())).await;
        // Half of it is read before the broker goes, so that it goes in the middle.
        messages.extend(take(&mut reader, 50).await);
        let settings = again(&broker).data_dir(folder.path());
        broker.stop().await;
        broker = settings.start().await.unwrap();
        messages.extend(take(&mut reader, 50).await);
    }
    assert_eq!(bodies(&messages), numbers(0..300).collect());
    assert_eq!(messages.len(), 300);
    assert_in_order(&messages);
}

/// It is looked up again as soon as a broker makes trouble, and every 30 s; the first is tested.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queues_that_the_topic_gains_are_read_too() {
    for from in [ReadFrom::Start, ReadFrom::End] {
        let (broker, producer) = start(Broker::builder().topic("gains", 1)).await;
        let mut reader = producer.admin().reader("gains").from(from).open().await.unwrap();
        let settings = again(&broker).topic("gains", 4);
        broker.stop().await;
        let _broker = settings.start().await.unwrap();
        for id in 0..4 {
            let queue = MessageQueue::new("gains", "dev", id);
            let message = Message::new("gains", format!("m{id}")).queue(queue.clone());
            // Until the producer's route shows the queue.
            while producer.send(message.clone()).await.is_err() {}
            let message = next(&mut reader).await;
            assert_eq!((message.queue(), bodies([&message])), (&queue, [format!("m{id}")].into()));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_stays_away_is_an_error_that_the_reader_survives() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Broker::builder().topic("away", 1).data_dir(folder.path());
    let (broker, producer) = start(settings).await;
    send(&producer, "away", numbers(0..1)).await;
    let patience = Duration::from_millis(300);
    let mut reader = producer.admin().reader("away").patience(patience).open().await.unwrap();
    take(&mut reader, 1).await;
    let settings = again(&broker).data_dir(folder.path());
    let address = broker.address().to_string();
    broker.stop().await;
    for _ in 0..2 {
        let error = reader.next().await.unwrap_err();
        assert!(matches!(&error, AdminError::Unreachable(text) if text.contains(&address)));
    }
    let _broker = settings.start().await.unwrap();
    send(&producer, "away", numbers(1..2)).await;
    let message = loop {
        // Errors from before it came back may still wait to be reported.
        match reader.next().await {
            Ok(message) => break message.unwrap(),
            Err(error) => assert!(matches!(error, AdminError::Unreachable(_)), "{error:?}"),
        }
    };
    assert_eq!(bodies([&message]), numbers(1..2).collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_small_messages_are_all_read_once() {
    let (_broker, producer) = start(Broker::builder().topic("many", 4)).await;
    // This is about reading; a machine under load may take its time to send.
    let producer = producer.with_timeout(Duration::from_secs(60));
    let mut reader = producer.admin().reader("many").open().await.unwrap();
    let count = 20_000;
    let sending = async {
        let mut deliveries = Vec::new();
        for n in 0..count {
            deliveries.push(producer.enqueue(Message::new("many", format!("m{n}"))).await.unwrap());
        }
        for delivery in deliveries {
            delivery.await.unwrap();
        }
    };
    let ((), messages) = tokio::join!(sending, take(&mut reader, count));
    assert_eq!(bodies(&messages).len(), count);
    assert_in_order(&messages);
}
