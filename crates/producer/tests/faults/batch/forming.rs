//! Which messages share a request, and which never do.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use posthaste::{Message, MessageQueue};
use posthaste_protocol::RequestCode;
use tokio::sync::Semaphore;

use super::{
    assert_stored_once, behind_plug, enqueue, narrow, one_narrow, plug, requests, sizes, stored,
    texts,
};
use crate::fake::{
    Action, Broker, NameServer, Seen, assert_nothing_left, one_broker, producer, soon, until,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lone_send_is_a_plain_send() {
    let (broker, _server, producer) = one_broker().await;
    for n in 0..20 {
        soon(producer.send(Message::new("t", n.to_string()))).await.unwrap();
    }
    assert!(broker.seen().iter().all(|seen| {
        (seen.code, seen.together, &seen.outer) == (RequestCode::SEND_MESSAGE_V2.0, 1, &None)
    }));
    assert_eq!(producer.stats().batches, 0);
}

/// Also when it waited.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_waited_alone_is_a_plain_send() {
    let (broker, _server, producer) = one_narrow().await;
    broker.script(behind_plug(|_| Action::ok()));
    let plugs = plug(&producer, &[&broker]).await;
    let waits = producer.enqueue(Message::new("t", "x")).await.unwrap();
    plugs.pull();
    soon(waits).await.unwrap();
    let last = broker.seen().pop().unwrap();
    assert_eq!((last.code, last.together, last.outer), (310, 1, None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_caller_gets_the_receipt_of_its_own_message() {
    let (broker, _server, producer) = one_narrow().await;
    broker.script(behind_plug(|_| Action::ok()));
    // The queue has something in it already.
    let queue = MessageQueue::new("t", "a", 2);
    for n in 0..3 {
        let message = Message::new("t", format!("before {n}")).queue(queue.clone());
        soon(producer.send(message)).await.unwrap();
    }
    broker.forget();
    let plugs = plug(&producer, &[&broker]).await;
    let mut deliveries = Vec::new();
    for n in 0..100 {
        let message = Message::new("t", n.to_string()).queue(queue.clone());
        deliveries.push(producer.enqueue(message).await.unwrap());
    }
    let mut offset_ids = HashSet::new();
    let mut receipts = Vec::new();
    plugs.pull();
    for delivery in deliveries {
        let id = delivery.message_id();
        let receipt = soon(delivery).await.unwrap();
        assert_eq!((receipt.message_id(), receipt.queue()), (&*id, &queue));
        assert!(offset_ids.insert(receipt.offset_message_id().to_owned()));
        receipts.push(receipt);
    }
    assert_eq!(sizes(&broker.seen()), [100]);
    let last = broker.seen().pop().unwrap();
    assert_eq!(last.code, RequestCode::SEND_BATCH_MESSAGE.0);
    // The place in the batch is the place in the queue, and that of the offset id.
    for (place, (receipt, stored)) in receipts.iter().zip(stored(&broker)).enumerate() {
        assert_eq!((receipt.message_id(), place.to_string()), (&*stored.id, stored.text()));
        assert_eq!(receipt.queue_offset(), 3 + place as i64);
        assert_eq!(receipt.offset_message_id(), format!("{:016X}{place:016X}", stored.opaque));
    }
    let stats = producer.stats();
    assert_eq!((stats.batches, stats.batched), (1, 100));
}

/// Callers that know nothing of batches, more than the broker answers at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_batches_form() {
    let (broker, server, _) = one_broker().await;
    broker.always(Action::ok().after(Duration::from_millis(2)));
    let begin = || producer(&[&server]);
    for batching in [true, false] {
        let producer = begin().batching(batching).start().await.unwrap();
        broker.forget();
        let mut callers = tokio::task::JoinSet::new();
        for caller in 0..200 {
            let producer = producer.clone();
            callers.spawn(async move {
                for n in 0..20 {
                    let text = format!("{caller} {n}");
                    let receipt = producer.send(Message::new("t", text)).await.unwrap();
                    assert_eq!(receipt.queue().broker(), "a");
                }
            });
        }
        while let Some(done) = soon(callers.join_next()).await {
            done.unwrap();
        }
        assert_stored_once(&broker.stored(), 4_000);
        let requests = sizes(&broker.seen()).len();
        let stats = producer.stats();
        match batching {
            true => assert!(requests < 1_000 && stats.batches > 0, "{requests} requests"),
            false => assert_eq!((requests, stats.batches, stats.batched), (4_000, 0, 0)),
        }
        assert_nothing_left(&producer).await;
    }
}

/// Everything waits behind one plug; what leaves together is alike.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_messages_of_a_kind_share_a_request() {
    let (broker, _server, producer) = one_narrow().await;
    broker.script(behind_plug(|_| Action::ok()));
    let plugs = plug(&producer, &[&broker]).await;
    let given = MessageQueue::new("t", "a", 3);
    let kinds: [fn(Message, &MessageQueue) -> Message; 4] = [
        |message, _| message,
        |message, _| message.wait_stored(false),
        |message, given| message.queue(given.clone()),
        |message, given| message.queue(given.clone()).wait_stored(false),
    ];
    let mut deliveries = Vec::new();
    for n in 0..60 {
        let topic = ["t", "u", "%RETRY%g"][n % 3];
        let kind = (n / 3) % 4;
        let message = Message::new(topic, format!("{kind} {n}"));
        // Given queues are of one topic.
        let kind = if topic == "t" { kind } else { kind % 2 };
        let message = kinds[kind](message, &given);
        deliveries.push(producer.enqueue(message).await.unwrap());
    }
    let mut oneways = tokio::task::JoinSet::new();
    for n in 0..10 {
        let producer = producer.clone();
        oneways
            .spawn(async move { producer.send_oneway(Message::new("t", format!("9 {n}"))).await });
    }
    until("all wait", || producer.stats().sent == 1 + 60 + 10).await;
    plugs.pull();
    for delivery in deliveries {
        soon(delivery).await.unwrap();
    }
    while let Some(sent) = soon(oneways.join_next()).await {
        sent.unwrap().unwrap();
    }
    until("all are stored", || stored(&broker).len() == 70).await;
    assert_stored_once(&stored(&broker), 70);
    let mut batches: HashMap<i32, Vec<Seen>> = HashMap::new();
    for seen in broker.seen() {
        batches.entry(seen.opaque).or_default().push(seen);
    }
    let mut sizes_of: HashMap<(String, bool), usize> = HashMap::new();
    for batch in batches.values() {
        let kind = |seen: &Seen| {
            let kind = seen.text().split(' ').next().unwrap_or_default().to_owned();
            let kind = if seen.topic == "u" {
                (kind.parse::<u8>().unwrap() % 2).to_string()
            } else {
                kind
            };
            (seen.topic.clone(), kind, seen.oneway)
        };
        let first = &batch[0];
        assert!(batch.iter().all(|seen| kind(seen) == kind(first)), "{batch:?}");
        assert_eq!(first.together, batch.len());
        assert!(!first.topic.starts_with("%RETRY%") || batch.len() == 1);
        assert_eq!(first.code == 320, batch.len() > 1);
        if let Some(outer) = &first.outer {
            // The wait flag is what the members say.
            let waits = matches!(&*kind(first).1, "0" | "2" | "9");
            assert!(outer.contains(&format!("WAIT\u{1}{waits}")), "{outer}");
        }
        let largest = sizes_of.entry((first.topic.clone(), first.oneway)).or_default();
        *largest = batch.len().max(*largest);
    }
    assert_eq!(sizes_of[&("t".into(), false)], 5);
    assert_eq!(sizes_of[&("u".into(), false)], 10);
    assert_eq!(sizes_of[&("t".into(), true)], 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_has_1024_messages_at_the_most() {
    let (broker, _server, producer) = one_narrow().await;
    broker.script(behind_plug(|_| Action::ok()));
    let plugs = plug(&producer, &[&broker]).await;
    let deliveries = enqueue(&producer, 2_500).await;
    plugs.pull();
    for delivery in deliveries {
        soon(delivery).await.unwrap();
    }
    assert_eq!(sizes(&broker.seen()), [1024, 1024, 452]);
    assert_stored_once(&stored(&broker), 2_500);
}

/// What a broker stores of a message: its fixed part, topic, body, properties.
fn stored_bytes(seen: &Seen) -> usize {
    let properties = format!("UNIQ_KEY\u{1}{}\u{2}WAIT\u{1}true\u{2}", seen.id);
    91 + seen.topic.len() + seen.body.len() + properties.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_has_one_mebibyte_of_stored_bytes_at_the_most() {
    let (broker, _server, producer) = one_narrow().await;
    broker.script(behind_plug(|_| Action::ok()));
    let plugs = plug(&producer, &[&broker]).await;
    let mut deliveries = Vec::new();
    // 100,000 bytes each with all that belongs to them, and one with over half of the cap.
    for n in 0..25 {
        let length = if n == 12 { 600_000 } else { 100_000 };
        let text = format!("{n} {}", "x".repeat(length - 200));
        deliveries.push(producer.enqueue(Message::new("t", text)).await.unwrap());
    }
    plugs.pull();
    for delivery in deliveries {
        soon(delivery).await.unwrap();
    }
    let mut bytes: HashMap<i32, (usize, usize)> = HashMap::new();
    for seen in broker.seen().iter().filter(|seen| seen.topic == "t") {
        let (count, sum) = bytes.entry(seen.opaque).or_default();
        (*count, *sum) = (*count + 1, *sum + stored_bytes(seen));
        assert!(*sum <= 1 << 20 && (seen.body.len() < 500_000 || seen.together == 1));
    }
    let mut counts: Vec<usize> = bytes.values().map(|(count, _)| *count).collect();
    counts.sort_unstable();
    assert_eq!(counts, [1, 4, 10, 10], "{bytes:?}");
}

/// A producer whose largest message is smaller than that: brokers are set up alike.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_not_larger_than_the_largest_message() {
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 4).await;
    let producer = narrow(&server).max_message_size(10_000).start().await.unwrap();
    broker.script(behind_plug(|_| Action::ok()));
    let plugs = plug(&producer, &[&broker]).await;
    let mut deliveries = Vec::new();
    for n in 0..20 {
        let text = format!("{n} {}", "x".repeat(1_790));
        deliveries.push(producer.enqueue(Message::new("t", text)).await.unwrap());
    }
    plugs.pull();
    for delivery in deliveries {
        soon(delivery).await.unwrap();
    }
    assert_eq!(sizes(&broker.seen()), [5, 5, 5, 5]);
}

/// Dropped before it left, a send is in no batch; other sends do not notice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_its_caller_took_back_is_not_in_the_batch() {
    let (broker, _server, producer) = one_narrow().await;
    broker.script(behind_plug(|_| Action::ok()));
    let plugs = plug(&producer, &[&broker]).await;
    let mut sends: Vec<_> =
        (0..20).map(|n| Box::pin(producer.send(Message::new("t", n.to_string())))).collect();
    for send in &mut sends {
        assert!(crate::fake::poll_once(send.as_mut()).is_none());
    }
    for place in [19, 7, 0] {
        drop(sends.remove(place));
    }
    plugs.pull();
    for send in sends {
        soon(send).await.unwrap();
    }
    let expected: Vec<String> = (1..19).filter(|n| *n != 7).map(|n| n.to_string()).collect();
    assert_eq!(texts(&stored(&broker)), expected);
    assert_eq!(requests(&broker.seen()), [expected]);
    assert_eq!(producer.stats().withdrawn, 3);
    assert_nothing_left(&producer).await;
}

/// A few wait for more of their kind while many are on their way; but not for an answer that does
/// not come.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_held_back_leaves_without_an_answer_too() {
    let (broker, _server, producer) = one_broker().await;
    broker.always(Action::ignore());
    broker.down();
    let _many = enqueue(&producer, 50).await;
    broker.up().await;
    until("many are on their way", || broker.seen_count() == 50).await;
    let few = enqueue(&producer, 3).await;
    until("the few have left", || broker.seen_count() == 53).await;
    // And not since the connection was given up.
    assert_eq!(
        (producer.stats().retries, broker.seen()[52].connection),
        (0, broker.seen()[0].connection)
    );
    drop(few);
}

/// Nor do they wait as long as messages leave that are never held back, or until those leave them room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_held_back_leaves_beside_a_stream_of_others() {
    for max_window in [1024, 32] {
        beside_a_stream(max_window).await;
    }
}

/// The stream goes on in steps, however fast the machine is: in each some of its messages are stored, and others
/// leave in their places. A step takes longer than anything may be held back; and they are small, so that
/// the window never finds the stream at its end while it measures.
async fn beside_a_stream(max_window: usize) {
    const STEP: usize = 2;
    const LONGEST_HOLD: Duration = Duration::from_millis(10);
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 64).await;
    let producer = producer(&[&server]).max_window(max_window).start().await.unwrap();
    let gate = Arc::new(Semaphore::new(0));
    let of_stream = gate.clone();
    broker.script(move |seen| match seen.text().as_str() {
        "stream" => Action::ok().once(&of_stream),
        _ => Action::ignore(),
    });
    broker.down();
    let _many = enqueue(&producer, 50).await;
    broker.up().await;
    until("many are on their way", || broker.seen_count() == 50).await;
    let mut stream = tokio::task::JoinSet::new();
    for key in 0..64 {
        let (producer, message) = (producer.clone(), Message::new("t", "stream"));
        stream.spawn(async move {
            loop {
                producer.send(message.clone().order_by(format!("{key}"))).await.unwrap();
            }
        });
    }
    until("the stream runs", || broker.seen_count() >= 50 + STEP).await;
    let mut few = enqueue(&producer, 3).await;
    for topic in 0..20 {
        few.push(producer.enqueue(Message::new(format!("t{topic}"), "other")).await.unwrap());
    }
    let others = || broker.seen().iter().filter(|seen| seen.text() != "stream").count();
    let mut steps = 0;
    while others() < 73 {
        assert!(steps < 200, "{} of the few are held back", 73 - others());
        tokio::time::sleep(2 * LONGEST_HOLD).await;
        let stored = broker.stored_count() + STEP;
        gate.add_permits(STEP);
        until("the stream goes on", || broker.stored_count() >= stored).await;
        steps += 1;
    }
}
