//! Topics that have fewer queues than the route says: a broker that does not have a queue says so,
//! and that is about the route, not about the message.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use posthaste::{ErrorKind, Message, MessageQueue, Outcome, Producer, SendError};

use crate::fake::{
    Action, Broker, DEADLINE, NameServer, Say, Seen, assert_all_ended, first_copies, producer,
    route, soon, two_brokers, until,
};

/// How brokers say it: 4.x with code 1, 5.x with 29.
const CODES: [i32; 2] = [1, 29];

/// Refuses queues from a number on as brokers do, which may change, and stores the rest.
fn shrinks(broker: &Broker, code: i32, queues: i32) -> Arc<AtomicI32> {
    let end = Arc::new(AtomicI32::new(queues));
    let queues = end.clone();
    broker.script(move |seen| judge(seen, code, queues.load(Ordering::Relaxed)));
    end
}

fn judge(seen: &Seen, code: i32, queues: i32) -> Action {
    let id = seen.queue;
    match id < queues {
        true => Action::ok(),
        false => Action::refuse(
            code,
            &format!("request queueId[{id}] is illegal, TopicConfig [topicName=t] Producer: me"),
        ),
    }
}

/// A broker with eight queues, and a producer that has no retries to use up.
async fn eight_queues() -> (Broker, NameServer, Producer) {
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 8).await;
    let builder = producer(&[&server]).retries(0).async_retries(0);
    let producer = builder.send_timeout(Duration::from_secs(60)).start().await.unwrap();
    (broker, server, producer)
}

fn message(body: impl ToString) -> Message {
    Message::new("t", body.to_string())
}

fn ended_so(error: &SendError) -> (ErrorKind, Outcome) {
    (error.kind(), error.outcome())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_without_a_queue_of_their_own_take_another_one() {
    for code in CODES {
        let (broker, server, producer) = eight_queues().await;
        soon(producer.send(message("warm"))).await.unwrap();
        let asked = server.asked("t");
        shrinks(&broker, code, 2);
        let mut deliveries = Vec::new();
        for n in 0..100 {
            deliveries.push(producer.enqueue(message(n)).await.unwrap());
        }
        for n in 0..20 {
            soon(producer.send(message(n))).await.unwrap();
        }
        for delivery in deliveries {
            assert!((0..2).contains(&soon(delivery).await.unwrap().queue().id()));
        }
        let batch: Vec<Message> = (0..5).map(message).collect();
        assert_eq!(soon(producer.send_batch(batch)).await.unwrap().len(), 5);
        assert_eq!(producer.stats().retries, 0, "none is used up");
        until("the route is looked up again", || server.asked("t") > asked).await;
        assert_all_ended(&producer);
    }
}

/// The route has said so all the time: it is believed again when it is polled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queues_that_are_back_are_used_again() {
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 8).await;
    let builder = producer(&[&server]).route_poll_interval(Duration::from_millis(200));
    let producer = builder.start().await.unwrap();
    let end = shrinks(&broker, 29, 2);
    for n in 0..20 {
        soon(producer.send(message(n))).await.unwrap();
    }
    end.store(8, Ordering::Relaxed);
    let is_used = || broker.stored().iter().any(|seen| seen.queue == 7);
    soon(async {
        while !is_used() {
            producer.send(message("x")).await.unwrap();
        }
    })
    .await;
}

/// Of several brokers one has fewer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_broker_has_no_queue_for_is_stored_all_the_same() {
    let (a, b, server, _) = two_brokers().await;
    let builder = producer(&[&server]).retries(0).async_retries(0);
    let producer = builder.send_timeout(Duration::from_secs(60)).start().await.unwrap();
    shrinks(&a, 29, 1);
    shrinks(&b, 1, 0);
    let mut deliveries = Vec::new();
    for n in 0..200 {
        deliveries.push(producer.enqueue(message(n)).await.unwrap());
    }
    for delivery in deliveries {
        let receipt = soon(delivery).await.unwrap();
        assert_eq!((receipt.queue().broker(), receipt.queue().id()), ("a", 0));
    }
    assert_eq!(producer.stats().retries, 0);
    assert_all_ended(&producer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_given_queue_that_is_gone_is_no_writable_queue() {
    for code in CODES {
        let (broker, server, producer) = eight_queues().await;
        shrinks(&broker, code, 2);
        let queue = MessageQueue::new("t", "a", 6);
        for message in [
            message("given").queue(queue.clone()),
            message("given, ordered").queue(queue.clone()).ordered(),
            message("selected").select_queue(|_| 6),
        ] {
            let error = soon(producer.send(message)).await.unwrap_err();
            let expected = (ErrorKind::NoWritableQueue, Outcome::NotStored);
            assert_eq!(ended_so(&error), expected, "{error}");
            assert_eq!(error.attempts().len(), 1);
        }
        until("the route is looked up again", || server.asked("t") > 1).await;
        assert_eq!(broker.stored_count(), 0);
        assert_all_ended(&producer);
    }
}

/// It stays unknown what becomes of them, but for one in 64.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_way_messages_leave_queues_that_are_gone() {
    for code in CODES {
        let (broker, _server, producer) = eight_queues().await;
        shrinks(&broker, code, 2);
        let is_stored = |seen: &Seen| seen.queue < 2;
        soon(async {
            loop {
                broker.forget();
                for n in 0..200 {
                    producer.send_oneway(message(n)).await.unwrap();
                }
                until("they have arrived", || broker.seen_count() >= 200).await;
                if broker.seen().iter().all(is_stored) {
                    return;
                }
            }
        })
        .await;
    }
}

/// All that is stored of a key is in order, each message once.
fn assert_in_order(stored: &[Seen], keys: usize, messages: usize) {
    assert_eq!(first_copies(stored).len(), stored.len(), "something is stored twice");
    let mut by_key: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for seen in stored {
        by_key.entry(seen.key.clone().unwrap()).or_default().push(seen.text().parse().unwrap());
    }
    assert_eq!(by_key.len(), keys);
    for (key, texts) in by_key {
        assert!(texts.is_sorted(), "{key}: {texts:?}");
        assert_eq!(texts.len(), messages, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_whose_queue_is_gone_move_in_order_with_all_that_waits_for_them() {
    for (code, batching) in [(1, true), (29, false)] {
        let broker = Broker::start("a").await;
        let server = NameServer::of(&[&broker], 8).await;
        let builder = producer(&[&server]).async_retries(0).batching(batching);
        let producer = builder.send_timeout(Duration::from_secs(60)).start().await.unwrap();
        shrinks(&broker, code, 8);
        for key in 0..16 {
            let warm = message(0).order_by(key.to_string());
            soon(producer.send(warm)).await.unwrap();
        }
        shrinks(&broker, code, 2);
        let mut deliveries = Vec::new();
        for n in 1..=40 {
            for key in 0..16 {
                let message = message(n).order_by(key.to_string());
                deliveries.push(producer.enqueue(message).await.unwrap());
            }
        }
        // The name server hears of it late.
        let asked = server.asked("t");
        until("the route is looked up", || server.asked("t") > asked + 1).await;
        server.otherwise(Say::Route(route(&[&broker], 2)));
        let mut queues = HashMap::new();
        for (place, delivery) in deliveries.into_iter().enumerate() {
            let id = soon(delivery).await.unwrap().queue().id();
            assert!((0..2).contains(&id));
            queues.entry(place % 16).or_insert_with(Vec::new).push(id);
        }
        // In one queue all the time but for those whose queue was there from the beginning.
        let moved = queues.values().filter(|ids| ids.iter().all(|id| *id == ids[0])).count();
        assert!(moved >= 8, "{queues:?}");
        assert_in_order(&broker.stored(), 16, 41);
        assert_eq!(producer.stats().retries, 0, "none is used up");
        assert_all_ended(&producer);
    }
}

/// The first copy may be stored in the old queue still.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_does_not_move_after_an_unknown_end() {
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 8).await;
    let producer = producer(&[&server]).send_timeout(2 * DEADLINE).start().await.unwrap();
    // Its queue, of eight and of one.
    let queue = soon(producer.send(message("warm").order_by("key"))).await.unwrap().queue().id();
    assert_ne!(queue, 0);
    let mut first = true;
    broker.script(move |seen| match std::mem::take(&mut first) {
        true => Action::close(),
        false => judge(seen, 29, 1),
    });
    server.otherwise(Say::Route(route(&[&broker], 1)));
    let unknown = producer.enqueue(message("unknown").order_by("key")).await.unwrap();
    let patient = producer.with_timeout(Duration::from_secs(60));
    let behind = patient.enqueue(message("behind").order_by("key")).await.unwrap();
    let error = soon(unknown).await.unwrap_err();
    assert_eq!(ended_so(&error), (ErrorKind::NoWritableQueue, Outcome::Unknown), "{error}");
    let error = soon(behind).await.unwrap_err();
    assert_eq!(ended_so(&error), (ErrorKind::EarlierFailed, Outcome::NotStored), "{error}");
    let texts: Vec<String> = broker.stored().iter().map(Seen::text).collect();
    assert_eq!(texts, ["warm"]);
    // It is idle now, and follows the route.
    let receipt = soon(producer.send(message("later").order_by("key"))).await.unwrap();
    assert_eq!(receipt.queue().id(), 0);
    assert_all_ended(&producer);
}

/// Deleted, and created with fewer: for a while brokers do not even know it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_is_created_again_with_fewer_queues_gets_its_messages() {
    let (broker, server, producer) = eight_queues().await;
    let patient = producer.with_timeout(Duration::from_secs(60));
    soon(patient.send(message(0).order_by("key"))).await.unwrap();
    shrinks(&broker, 29, 1);
    let mut deliveries = Vec::new();
    for n in 1..100 {
        deliveries.push(patient.enqueue(message(n).order_by("key")).await.unwrap());
    }
    until("it is refused", || broker.seen_count() > 1).await;
    server.otherwise(Say::Code(17));
    let asked = server.asked("t");
    until("it is looked up", || server.asked("t") > asked).await;
    server.otherwise(Say::Route(route(&[&broker], 1)));
    for delivery in deliveries {
        assert_eq!(soon(delivery).await.unwrap().queue().id(), 0);
    }
    assert_in_order(&broker.stored(), 1, 100);
    assert_all_ended(&producer);
}
