//! Closing.

use std::collections::HashSet;
use std::sync::mpsc;
use std::time::Duration;

use posthaste::{ErrorKind, Message, MessageQueue, Outcome, Producer, ResponseCode};
use posthaste_broker::{Fault, On};
use posthaste_protocol::RequestCode;

use crate::servers::{
    broker, keyed, message, ms, one_broker, one_warm_broker, producer, send, texts,
};
use crate::support::{HANG, HOUR, assert_all_ended, enqueue_numbered, soon, until};

/// A rule that counts the clients that leave their groups.
fn leaving() -> Fault {
    Fault::on(On::Code(RequestCode::UNREGISTER_CLIENT.0)).pass()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_accepted_drains() {
    let (broker, producer) = one_broker().await;
    broker.fault(send().after_store().delay(ms(20))).unwrap();
    let left = broker.fault(leaving()).unwrap();
    let deliveries = enqueue_numbered(&producer, 300, "").await;
    let report = soon(producer.close(HOUR)).await;
    assert!(report.is_clean(), "{report:?}");
    for (_, delivery) in deliveries {
        soon(delivery).await.unwrap();
    }
    assert_all_ended(&producer);
    left.wait_for(1, HANG).await.unwrap();
    until("the connection ends", || broker.stats().connections == 0).await;
    assert_eq!((left.hits(), texts(&broker).await.len()), (1, 300));

    let error = soon(producer.send(message("late"))).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Closed, Outcome::NotStored));
    assert_eq!(producer.try_enqueue(message("x")).unwrap_err().kind(), ErrorKind::Closed);
    let oneway = soon(producer.send_oneway(message("x"))).await.unwrap_err();
    assert_eq!(oneway.kind(), ErrorKind::Closed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_deadline_the_written_are_unknown_and_the_others_not_stored() {
    let (broker, producer) = one_broker().await;
    broker.fault(send().after_store().no_answer()).unwrap();
    let deliveries = enqueue_numbered(&producer, 3000, "").await;
    until("some are written", || broker.stats().messages > 0).await;
    let report = soon(producer.close(ms(300))).await;
    assert_eq!(report.undelivered.len(), 3000);
    assert!(report.undelivered.iter().all(|one| one.kind == ErrorKind::Closed));
    let unknown = report.undelivered.iter().filter(|one| one.outcome == Outcome::Unknown).count();
    until("what was written is stored", || broker.stats().messages == unknown as u64).await;
    let stored: HashSet<String> = texts(&broker).await.into_iter().collect();
    assert!((1..3000).contains(&stored.len()));
    for (text, delivery) in deliveries {
        let error = soon(delivery).await.unwrap_err();
        let expected = match stored.contains(&text) {
            true => Outcome::Unknown,
            false => Outcome::NotStored,
        };
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::Closed, expected), "{text}");
    }
    for one in &report.undelivered {
        let text = String::from_utf8_lossy(one.message.body()).into_owned();
        assert_eq!(one.outcome == Outcome::Unknown, stored.contains(&text));
    }
    assert_all_ended(&producer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_wait_for_room_are_told_at_once() {
    let broker = broker(4).await;
    let builder = producer(broker.name_server()).max_pending(10, 1 << 20);
    let producer = builder.start().await.unwrap();
    soon(producer.send(message("warm"))).await.unwrap();
    broker.fault(send().refuse(ResponseCode::MESSAGE_ILLEGAL)).unwrap();
    broker.pause().await.unwrap();
    let accepted = enqueue_numbered(&producer, 10, "").await;
    let mut waiting = tokio::task::JoinSet::new();
    for n in 0..10 {
        let producer = producer.clone();
        waiting.spawn(async move {
            match n % 2 {
                0 => producer.send(message("x")).await.unwrap_err(),
                _ => producer.enqueue(message("x")).await.unwrap_err(),
            }
        });
    }
    tokio::time::sleep(ms(100)).await;
    let closing = tokio::spawn({
        let producer = producer.clone();
        async move { producer.close(HOUR).await }
    });
    while let Some(error) = soon(waiting.join_next()).await {
        let error = error.unwrap();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::Closed, Outcome::NotStored));
    }
    assert!(!closing.is_finished(), "the others are on their way still");
    broker.resume().await.unwrap();
    // Only what was accepted is in the report.
    assert_eq!(soon(closing).await.unwrap().undelivered.len(), 10);
    for (_, delivery) in accepted {
        soon(delivery).await.unwrap_err();
    }
    assert_eq!(texts(&broker).await, ["warm"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_deadline_does_not_extend_that_of_a_send() {
    let (broker, producer) = one_broker().await;
    broker.fault(send().no_answer()).unwrap();
    let hasty = producer.with_timeout(ms(300));
    let deliveries = enqueue_numbered(&hasty, 20, "").await;
    let report = soon(producer.close(HOUR)).await;
    assert_eq!(report.undelivered.len(), 20);
    for (_, delivery) in deliveries {
        assert_ne!(soon(delivery).await.unwrap_err().kind(), ErrorKind::Closed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_twice_gives_the_same_report() {
    let (broker, producer) = one_broker().await;
    broker.fault(send().no_answer()).unwrap();
    let deliveries = enqueue_numbered(&producer, 5, "").await;
    let time = ms(200);
    let (one, two) = soon(async { tokio::join!(producer.close(time), producer.close(time)) }).await;
    let three = soon(producer.close(Duration::from_secs(9))).await;
    let lengths = [one, two, three].map(|report| report.undelivered.len());
    assert_eq!(lengths, [5, 5, 5]);
    drop(deliveries);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_that_was_dropped_is_taken_up_by_another() {
    let (broker, producer) = one_warm_broker().await;
    broker.pause().await.unwrap();
    let deliveries = enqueue_numbered(&producer, 5, "").await;
    let dropped = producer.close(HOUR);
    assert!(tokio::time::timeout(ms(50), dropped).await.is_err());
    let error = soon(producer.send(message("late"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    broker.resume().await.unwrap();
    assert!(soon(producer.close(HOUR)).await.is_clean());
    for (_, delivery) in deliveries {
        soon(delivery).await.unwrap();
    }
    assert_eq!(texts(&broker).await.len(), 1 + 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_while_routes_are_looked_up_and_brokers_waited_for() {
    let broker = broker(1).await;
    broker.fault(Fault::on(On::Route).topic("silent").no_answer()).unwrap();
    // None ends before the closing.
    let builder = producer(broker.name_server()).async_retries(u32::MAX);
    let producer = builder.start().await.unwrap();
    soon(producer.send(keyed("warm", "x"))).await.unwrap();
    let gone = message("x").queue(MessageQueue::new("t", "gone", 0)).ordered();
    broker.fault(send().refuse(ResponseCode::SERVICE_NOT_AVAILABLE)).unwrap();
    let mut deliveries = Vec::new();
    for n in 0..30 {
        let message = match n % 4 {
            0 => Message::new("silent", "x"),
            1 => Message::new("silent", "x").order_by(n.to_string()),
            2 => gone.clone(),
            _ => keyed("x", &n.to_string()),
        };
        deliveries.push(producer.enqueue(message).await.unwrap());
    }
    tokio::time::sleep(ms(20)).await;
    let report = soon(producer.close(ms(100))).await;
    for delivery in deliveries {
        soon(delivery).await.unwrap_err();
    }
    assert_eq!(report.undelivered.len(), 30);
    assert_eq!(texts(&broker).await, ["warm"]);
    assert_all_ended(&producer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_with_ten_thousand_in_flight() {
    let broker = broker(1).await;
    broker.fault(send().no_answer()).unwrap();
    for ordered in [false, true] {
        let producer = producer(broker.name_server()).start().await.unwrap();
        let mut deliveries = Vec::new();
        for n in 0..9_900 {
            let message = if ordered { keyed(n, &n.to_string()) } else { message(n) };
            deliveries.push(producer.enqueue(message).await.unwrap());
        }
        let report = soon(producer.close(ms(200))).await;
        assert_eq!(report.undelivered.len(), 9_900);
        for delivery in deliveries {
            soon(delivery).await.unwrap_err();
        }
        assert_all_ended(&producer);
    }
    assert_eq!(broker.stats().messages, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_is_quick_when_nothing_is_left() {
    let (broker, producer) = one_warm_broker().await;
    // The broker is dead, and the producer has tried to reach it again.
    broker.down().await.unwrap();
    let hasty = producer.with_timeout(ms(400));
    soon(hasty.send(message("x"))).await.unwrap_err();
    assert!(soon(producer.close(HOUR)).await.is_clean());

    let idle = Producer::builder("idle", "127.0.0.1:1").start().await.unwrap();
    assert!(soon(idle.close(HOUR)).await.is_clean());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_report_has_everything_that_failed() {
    let broker = broker(4).await;
    broker.fault(send().every(2).refuse(ResponseCode::MESSAGE_ILLEGAL)).unwrap();
    let mut acked = 0;
    for _ in 0..3 {
        let producer = producer(broker.name_server()).start().await.unwrap();
        let deliveries = enqueue_numbered(&producer, 3000, "").await;
        let before = producer.stats();
        let report = soon(producer.close(HOUR)).await;
        let after = producer.stats();
        let failed_since = after.not_stored - before.not_stored;
        assert!(report.undelivered.len() as u64 >= failed_since, "{failed_since}");
        let mut failed = 0;
        for (_, delivery) in deliveries {
            failed += u64::from(soon(delivery).await.is_err());
        }
        assert_eq!(failed, after.not_stored);
        acked += after.acked;
    }
    assert_eq!(broker.stats().messages, acked);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_from_a_callback() {
    let (_broker, producer) = one_broker().await;
    let runtime = tokio::runtime::Handle::current();
    let (told, report) = mpsc::channel();
    let delivery = producer.enqueue(message("x")).await.unwrap();
    let inside = producer.clone();
    delivery.on_complete(move |result| {
        result.unwrap();
        told.send(runtime.block_on(inside.close(HOUR))).unwrap();
    });
    let report = tokio::task::spawn_blocking(move || report.recv_timeout(HANG).unwrap());
    assert!(report.await.unwrap().is_clean());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_without_closing_it_still_delivers_and_leaves() {
    let (broker, producer) = one_broker().await;
    broker.fault(send().after_store().delay(ms(50))).unwrap();
    let left = broker.fault(leaving()).unwrap();
    let deliveries = enqueue_numbered(&producer, 200, "").await;
    drop(producer);
    for (_, delivery) in deliveries {
        soon(delivery).await.unwrap();
    }
    left.wait_for(1, HANG).await.unwrap();
    assert_eq!(texts(&broker).await.len(), 200);
}

/// The runtime that the producer runs on ends first; its callers are on another.
#[test]
fn a_runtime_that_ends_first_leaves_nobody_waiting() {
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
    };
    let (outer, inner) = (runtime(), runtime());
    outer.block_on(async {
        let broker = broker(1).await;
        let unanswered = broker.fault(send().no_answer()).unwrap();
        broker.fault(Fault::on(On::Route).topic("silent").no_answer()).unwrap();
        let builder = producer(broker.name_server()).send_timeout(Duration::from_secs(2));
        let producer = inner.spawn(builder.start()).await.unwrap().unwrap();
        let mut deliveries = Vec::new();
        for n in 0..100 {
            let message = match n % 4 {
                0 => message("plain"),
                1 => keyed("ordered", "x"),
                2 => keyed("ordered", &n.to_string()),
                _ => Message::new("silent", "cold"),
            };
            deliveries.push(producer.enqueue(message).await.unwrap());
        }
        let waiting = tokio::spawn({
            let producer = producer.clone();
            async move { producer.send(message("waiting")).await }
        });
        unanswered.wait_for(1, HANG).await.unwrap();
        let ended = tokio::task::spawn_blocking(|| inner.shutdown_timeout(Duration::from_secs(5)));
        soon(ended).await.unwrap();
        for delivery in deliveries {
            soon(delivery).await.unwrap_err();
        }
        soon(waiting).await.unwrap().unwrap_err();
        for message in [message("x"), Message::new("new", "x").order_by("k")] {
            soon(producer.send(message)).await.unwrap_err();
        }
        assert_all_ended(&producer);
        soon(producer.close(ms(100))).await;
        drop(producer);
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_of_producers_come_and_go() {
    let broker = broker(4).await;
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    for n in 0..150 {
        let producer = producer(broker.name_server()).start().await.unwrap();
        if n % 2 == 0 {
            soon(producer.send(message("x"))).await.unwrap();
        } else {
            drop(producer.enqueue(message("x")).await.unwrap());
        }
        if n % 3 != 0 {
            soon(producer.close(Duration::from_secs(2))).await;
        }
    }
    until("all tasks have ended", || tasks() <= before + 2).await;
    until("all connections have ended", || broker.stats().connections == 0).await;
    assert_eq!(broker.messages("t").await.unwrap().len(), 150);
}
