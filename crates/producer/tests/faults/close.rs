//! Closing.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use posthaste::{Delivery, ErrorKind, Message, Outcome, Producer};
use posthaste_protocol::RequestCode;

use crate::fake::{
    Action, BlackHole, Broker, HANG, HOUR, NameServer, Say, assert_all_ended, broker_data,
    one_broker, producer, queue_data, route, soon, until,
};

async fn enqueue(producer: &Producer, count: usize, body: &str) -> Vec<(String, Delivery)> {
    let mut deliveries = Vec::new();
    for n in 0..count {
        let text = format!("{n} {body}");
        let delivery = producer.enqueue(Message::new("t", text.clone())).await.unwrap();
        deliveries.push((text, delivery));
    }
    deliveries
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_accepted_drains() {
    let (broker, _server, producer) = one_broker().await;
    broker.always(Action::ok().after(Duration::from_millis(20)));
    let deliveries = enqueue(&producer, 300, "").await;
    let report = soon(producer.close(HOUR)).await;
    assert!(report.is_clean(), "{report:?}");
    for (_, delivery) in deliveries {
        soon(delivery).await.unwrap();
    }
    assert_all_ended(&producer);
    // The last thing that the broker hears is that the producer leaves.
    until("it left the group", || broker.count_of(RequestCode::UNREGISTER_CLIENT) == 1).await;
    assert_eq!(broker.others().last().unwrap().code, RequestCode::UNREGISTER_CLIENT.0);
    assert_eq!(broker.broken(), (0, 0));

    let error = soon(producer.send(Message::new("t", "late"))).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Closed, Outcome::NotStored));
    assert_eq!(producer.try_enqueue(Message::new("t", "x")).unwrap_err().kind(), ErrorKind::Closed);
    let oneway = soon(producer.send_oneway(Message::new("t", "x"))).await.unwrap_err();
    assert_eq!(oneway.kind(), ErrorKind::Closed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_deadline_the_written_are_unknown_and_the_others_not_stored() {
    let broker = Broker::start("a").await;
    broker.always(Action::store_silently());
    let server = NameServer::of(&[&broker], 4).await;
    let producer = producer(&[&server]).start().await.unwrap();
    let deliveries = enqueue(&producer, 3000, "").await;
    until("some are written", || broker.seen_count() > 0).await;
    let report = soon(producer.close(Duration::from_millis(300))).await;
    assert_eq!(report.undelivered.len(), 3000);
    assert!(report.undelivered.iter().all(|one| one.kind == ErrorKind::Closed));
    let unknown = report.undelivered.iter().filter(|one| one.outcome == Outcome::Unknown).count();
    until("what was written has arrived", || broker.seen_count() == unknown).await;
    let seen: HashSet<String> = broker.seen().iter().map(|seen| seen.text()).collect();
    assert!((1..3000).contains(&seen.len()));
    for (text, delivery) in deliveries {
        let error = soon(delivery).await.unwrap_err();
        let expected = match seen.contains(&text) {
            true => Outcome::Unknown,
            false => Outcome::NotStored,
        };
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::Closed, expected), "{text}");
    }
    for one in &report.undelivered {
        let text = String::from_utf8_lossy(one.message.body()).into_owned();
        assert_eq!(one.outcome == Outcome::Unknown, seen.contains(&text));
    }
    assert_all_ended(&producer);
}

/// The peer does not read, so requests stand in the write buffer when time runs out. Those that
/// are reported as not stored must not be written any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_written_by_the_deadline_is_never_written() {
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 4).await;
    let producer = producer(&[&server]).start().await.unwrap();
    soon(producer.send(Message::new("t", "warm"))).await.unwrap();
    broker.read(false);
    let big = "x".repeat(60_000);
    let mut oneways = tokio::task::JoinSet::new();
    for n in 0..300 {
        let (producer, text) = (producer.clone(), format!("oneway {n} {big}"));
        oneways.spawn(async move {
            let result = producer.send_oneway(Message::new("t", text.clone())).await;
            (text, result)
        });
    }
    until("some are written", || producer.stats().oneway > 0).await;
    let deliveries = enqueue(&producer, 50, &big).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    // The peer reads again while the producer says goodbye.
    let reads = async {
        until("the time is over", || producer.stats().not_stored > 0).await;
        broker.read(true);
    };
    soon(async { tokio::join!(producer.close(Duration::from_millis(200)), reads) }).await;
    let mut not_stored = HashSet::new();
    let (mut unknown, mut written) = (0, 0);
    for (text, delivery) in deliveries {
        match soon(delivery).await {
            Ok(_) => {}
            Err(error) if error.outcome() == Outcome::Unknown => unknown += 1,
            Err(_) => drop(not_stored.insert(text)),
        }
    }
    while let Some(ended) = soon(oneways.join_next()).await {
        let (text, result) = ended.unwrap();
        match result {
            Ok(()) => written += 1,
            Err(error) if error.outcome() == Outcome::Unknown => unknown += 1,
            Err(_) => drop(not_stored.insert(text)),
        }
    }
    println!("{written} one-way messages written, {unknown} unknown, {} not", not_stored.len());
    assert!(written > 0 && !not_stored.is_empty());
    tokio::time::sleep(Duration::from_millis(700)).await;
    let seen: HashSet<String> = broker.seen().iter().map(|seen| seen.text()).collect();
    let false_ones = not_stored.iter().filter(|text| seen.contains(*text)).count();
    assert_eq!(false_ones, 0, "of {}", not_stored.len());
    assert_eq!(broker.broken().0, 0);
    assert_all_ended(&producer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_wait_for_room_are_told_at_once() {
    let broker = Broker::start("a").await;
    broker.always(Action::refuse(13, "").at_the_gate());
    let server = NameServer::of(&[&broker], 4).await;
    let producer = producer(&[&server]).max_pending(10, 1 << 20).start().await.unwrap();
    let accepted = enqueue(&producer, 10, "").await;
    let mut waiting = tokio::task::JoinSet::new();
    for n in 0..10 {
        let producer = producer.clone();
        waiting.spawn(async move {
            match n % 2 {
                0 => producer.send(Message::new("t", "x")).await.unwrap_err(),
                _ => producer.enqueue(Message::new("t", "x")).await.unwrap_err(),
            }
        });
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let closing = tokio::spawn({
        let producer = producer.clone();
        async move { producer.close(HOUR).await }
    });
    while let Some(error) = soon(waiting.join_next()).await {
        let error = error.unwrap();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::Closed, Outcome::NotStored));
    }
    assert!(!closing.is_finished(), "the others are on their way still");
    // A batch that is refused goes again in pieces.
    broker.open_gate(100);
    // Only what was accepted is in the report.
    assert_eq!(soon(closing).await.unwrap().undelivered.len(), 10);
    for (_, delivery) in accepted {
        soon(delivery).await.unwrap_err();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_deadline_does_not_extend_that_of_a_send() {
    let (broker, _server, producer) = one_broker().await;
    broker.always(Action::ignore());
    let hasty = producer.with_timeout(Duration::from_millis(300));
    let deliveries = enqueue(&hasty, 20, "").await;
    let report = soon(producer.close(HOUR)).await;
    assert_eq!(report.undelivered.len(), 20);
    for (_, delivery) in deliveries {
        assert_ne!(soon(delivery).await.unwrap_err().kind(), ErrorKind::Closed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_twice_gives_the_same_report() {
    let (broker, _server, producer) = one_broker().await;
    broker.always(Action::ignore());
    let deliveries = enqueue(&producer, 5, "").await;
    let time = Duration::from_millis(200);
    let (one, two) = soon(async { tokio::join!(producer.close(time), producer.close(time)) }).await;
    let three = soon(producer.close(Duration::from_secs(9))).await;
    let lengths = [one, two, three].map(|report| report.undelivered.len());
    assert_eq!(lengths, [5, 5, 5]);
    drop(deliveries);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_that_was_dropped_is_taken_up_by_another() {
    let (broker, _server, producer) = one_broker().await;
    broker.always(Action::ok().at_the_gate());
    let deliveries = enqueue(&producer, 5, "").await;
    let dropped = producer.close(HOUR);
    assert!(tokio::time::timeout(Duration::from_millis(50), dropped).await.is_err());
    let error = soon(producer.send(Message::new("t", "late"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    broker.open_gate(5);
    assert!(soon(producer.close(HOUR)).await.is_clean());
    for (_, delivery) in deliveries {
        soon(delivery).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_while_it_connects_or_waits_to_connect_again() {
    let hole = BlackHole::open();
    for address in [hole.address(), crate::fake::refusing().await] {
        let server = NameServer::start().await;
        let mut document = route(&[], 0);
        document.brokers = vec![broker_data("a", &address)];
        document.queues = vec![queue_data("a", 4, 6)];
        server.otherwise(Say::Route(document));
        let producer = producer(&[&server]).connect_timeout(HOUR).start().await.unwrap();
        let deliveries = enqueue(&producer, 20, "").await;
        tokio::time::sleep(Duration::from_millis(700)).await;
        let report = soon(producer.close(Duration::from_millis(200))).await;
        assert_eq!(report.undelivered.len(), 20);
        for (_, delivery) in deliveries {
            let error = soon(delivery).await.unwrap_err();
            assert_eq!((error.kind(), error.outcome()), (ErrorKind::Closed, Outcome::NotStored));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_while_routes_are_looked_up_and_brokers_waited_for() {
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 1).await;
    server.say("silent", Say::Nothing);
    // None ends before the closing.
    let producer = producer(&[&server]).async_retries(u32::MAX).start().await.unwrap();
    soon(producer.send(Message::new("t", "warm").order_by("x"))).await.unwrap();
    let gone = Message::new("t", "x").queue(posthaste::MessageQueue::new("t", "gone", 0)).ordered();
    broker.always(Action::refuse(14, "").after(Duration::from_millis(50)));
    let mut deliveries = Vec::new();
    for n in 0..30 {
        let message = match n % 4 {
            0 => Message::new("silent", "x"),
            1 => Message::new("silent", "x").order_by(n.to_string()),
            2 => gone.clone(),
            _ => Message::new("t", "x").order_by(n.to_string()),
        };
        deliveries.push(producer.enqueue(message).await.unwrap());
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    let report = soon(producer.close(Duration::from_millis(100))).await;
    for delivery in deliveries {
        soon(delivery).await.unwrap_err();
    }
    assert_eq!(report.undelivered.len(), 30);
    assert_all_ended(&producer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_with_ten_thousand_in_flight() {
    let broker = Broker::start("a").await;
    broker.always(Action::ignore());
    let server = NameServer::of(&[&broker], 1).await;
    for ordered in [false, true] {
        let producer = producer(&[&server]).start().await.unwrap();
        let mut deliveries = Vec::new();
        for n in 0..9_900 {
            let mut message = Message::new("t", n.to_string());
            if ordered {
                message = message.order_by(n.to_string());
            }
            deliveries.push(producer.enqueue(message).await.unwrap());
        }
        let report = soon(producer.close(Duration::from_millis(200))).await;
        assert_eq!(report.undelivered.len(), 9_900);
        for delivery in deliveries {
            soon(delivery).await.unwrap_err();
        }
        assert_all_ended(&producer);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_is_quick_when_nothing_is_left() {
    let (broker, _server, producer) = one_broker().await;
    soon(producer.send(Message::new("t", "x"))).await.unwrap();
    // The broker is dead, and the producer has tried to reach it again.
    broker.down();
    let hasty = producer.with_timeout(Duration::from_millis(400));
    soon(hasty.send(Message::new("t", "x"))).await.unwrap_err();
    assert!(soon(producer.close(HOUR)).await.is_clean());

    let idle = Producer::builder("idle", "127.0.0.1:1").start().await.unwrap();
    assert!(soon(idle.close(HOUR)).await.is_clean());
}

/// The peer never reads, so it never closes its side. Closes producers until it takes as long as it
/// should: on a busy machine it may take any time, but not always. None takes less.
async fn closing_takes(expected: Range<Duration>, time: Duration, oneway: bool) {
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 4).await;
    let mut took = HANG;
    while took >= expected.end {
        broker.read(true);
        let producer = producer(&[&server]).start().await.unwrap();
        soon(producer.send(Message::new("t", "x"))).await.unwrap();
        broker.read(false);
        if oneway {
            soon(producer.send_oneway(Message::new("t", "x"))).await.unwrap();
        }
        let begun = Instant::now();
        assert!(soon(producer.close(time)).await.is_clean());
        took = begun.elapsed();
        assert!(took >= expected.start, "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_does_not_wait_for_a_peer_that_keeps_its_side_open() {
    let ms = Duration::from_millis;
    // Nothing was written one-way.
    soon(closing_takes(ms(0)..ms(300), HOUR, false)).await;
    // What was written one-way may be reset away otherwise.
    soon(closing_takes(ms(499)..ms(2000), HOUR, true)).await;
    // Its time and a tenth of a second.
    soon(closing_takes(ms(0)..ms(160), ms(50), true)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_report_has_everything_that_failed() {
    let (broker, _server, producer) = one_broker().await;
    for _ in 0..3 {
        let producer = Producer::builder("faults", producer_servers(&_server))
            .send_timeout(HOUR)
            .start()
            .await
            .unwrap();
        let mut n = 0;
        broker.script(move |_| {
            n += 1;
            if n % 2 == 0 { Action::ok() } else { Action::refuse(13, "") }
        });
        let deliveries = enqueue(&producer, 3000, "").await;
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
    }
    drop(producer);
}

fn producer_servers(server: &NameServer) -> String {
    server.address()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_from_a_callback() {
    let (_broker, _server, producer) = one_broker().await;
    let runtime = tokio::runtime::Handle::current();
    let (told, report) = mpsc::channel();
    let delivery = producer.enqueue(Message::new("t", "x")).await.unwrap();
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
    let (broker, _server, producer) = one_broker().await;
    broker.always(Action::ok().after(Duration::from_millis(50)));
    let deliveries = enqueue(&producer, 200, "").await;
    drop(producer);
    for (_, delivery) in deliveries {
        soon(delivery).await.unwrap();
    }
    until("it left the group", || broker.count_of(RequestCode::UNREGISTER_CLIENT) == 1).await;
}

/// The runtime that the producer runs on ends first; its callers are on another.
#[test]
fn a_runtime_that_ends_first_leaves_nobody_waiting() {
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
    };
    let (outer, inner) = (runtime(), runtime());
    outer.block_on(async {
        let broker = Broker::start("a").await;
        broker.always(Action::ignore());
        let server = NameServer::of(&[&broker], 1).await;
        server.say("silent", Say::Nothing);
        let builder = producer(&[&server]).send_timeout(Duration::from_secs(2));
        let producer = inner.spawn(builder.start()).await.unwrap().unwrap();
        let mut deliveries = Vec::new();
        for n in 0..100 {
            let message = match n % 4 {
                0 => Message::new("t", "plain"),
                1 => Message::new("t", "ordered").order_by("x"),
                2 => Message::new("t", "ordered").order_by(n.to_string()),
                _ => Message::new("silent", "cold"),
            };
            deliveries.push(producer.enqueue(message).await.unwrap());
        }
        let waiting = tokio::spawn({
            let producer = producer.clone();
            async move { producer.send(Message::new("t", "waiting")).await }
        });
        until("some have left", || broker.seen_count() > 0).await;
        let ended = tokio::task::spawn_blocking(|| inner.shutdown_timeout(Duration::from_secs(5)));
        soon(ended).await.unwrap();
        for delivery in deliveries {
            soon(delivery).await.unwrap_err();
        }
        soon(waiting).await.unwrap().unwrap_err();
        for message in [Message::new("t", "x"), Message::new("new", "x").order_by("k")] {
            soon(producer.send(message)).await.unwrap_err();
        }
        assert_all_ended(&producer);
        soon(producer.close(Duration::from_millis(100))).await;
        drop(producer);
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_of_producers_come_and_go() {
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 4).await;
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    for n in 0..150 {
        let producer = producer(&[&server]).start().await.unwrap();
        if n % 2 == 0 {
            soon(producer.send(Message::new("t", "x"))).await.unwrap();
        } else {
            drop(producer.enqueue(Message::new("t", "x")).await.unwrap());
        }
        if n % 3 != 0 {
            soon(producer.close(Duration::from_secs(2))).await;
        }
    }
    until("all tasks have ended", || tasks() <= before + 2).await;
}
