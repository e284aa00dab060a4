//! Ordered messages: what waits behind a request of a queue is the next one, and keeps its order
//! whatever happens.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use posthaste::{Delivery, ErrorKind, Message, Outcome, Producer};

use super::{narrow, numbers, requests, sizes, texts};
use crate::fake::{
    Action, Broker, DEADLINE, NameServer, Say, Seen, assert_nothing_left, first_copies, producer,
    route, soon, until,
};

fn keyed(body: impl ToString, key: &str) -> Message {
    Message::new("t", body.to_string()).order_by(key)
}

/// A broker with one queue, its name server, and a producer with room for one request.
async fn one_queue() -> (Broker, NameServer, Producer) {
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 1).await;
    let producer = narrow(&server).start().await.unwrap();
    (broker, server, producer)
}

/// Enqueues messages, and has the broker see the first before the others are accepted. Otherwise they
/// may wait for the route as it does, and be behind it only when it has ended.
async fn behind_the_first(
    broker: &Broker,
    producer: &Producer,
    messages: impl IntoIterator<Item = Message>,
) -> Vec<Delivery> {
    let mut deliveries = Vec::new();
    for message in messages {
        deliveries.push(producer.enqueue(message).await.unwrap());
        until("the first request arrives", || broker.seen_count() > 0).await;
    }
    deliveries
}

/// Nothing of a key was stored before an earlier one of it, as far as first copies go.
#[track_caller]
fn assert_in_order(stored: &[Seen]) {
    let mut last: HashMap<String, usize> = HashMap::new();
    for seen in first_copies(stored) {
        let (Some(key), Ok(n)) = (seen.key.clone(), seen.text().parse()) else { continue };
        if let Some(before) = last.insert(key.clone(), n) {
            assert!(before < n, "{key}: {n} was stored after {before}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_behind_a_request_leaves_together_in_order() {
    let (broker, _server, producer) = one_queue().await;
    broker.first([Action::ok().at_the_gate()]);
    let messages = (0..50).map(|n| keyed(n, ["x", "y", "z"][n % 3]));
    let deliveries = behind_the_first(&broker, &producer, messages).await;
    broker.open_gate(1);
    for (n, delivery) in deliveries.into_iter().enumerate() {
        assert_eq!(soon(delivery).await.unwrap().queue_offset(), n as i64);
    }
    assert_eq!(sizes(&broker.seen()), [1, 49]);
    assert_eq!(texts(&broker.stored()), numbers(0..50));
    assert_nothing_left(&producer).await;
}

/// The broker is busy, and so the batch goes on in pieces, of which the first fails once: the
/// pieces behind it must not overtake it while it pauses.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_tried_again_is_not_overtaken_by_the_rest_of_its_batch() {
    for fault in [Action::refuse(14, ""), Action::refuse(17, ""), Action::close(), Action::reset()]
    {
        let (broker, _server, producer) = one_queue().await;
        let slow = Action::ok().at_the_gate();
        broker.first([slow, Action::refuse(2, "busy"), fault]);
        let messages = (0..20).map(|n| keyed(n, "x"));
        let deliveries = behind_the_first(&broker, &producer, messages).await;
        broker.open_gate(1);
        for delivery in deliveries {
            soon(delivery).await.unwrap();
        }
        let seen = broker.seen();
        assert_eq!(sizes(&seen)[..3], [1, 19, 1], "one finds out whether it is busy still");
        assert_eq!(texts(&broker.stored()), numbers(0..20), "{:?}", requests(&seen));
        assert_nothing_left(&producer).await;
    }
}

/// An ordered message that was given up before its deadline would come again behind the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_ordered_has_its_time_whatever_an_attempt_may_take() {
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 1).await;
    let builder = producer(&[&server]).attempt_timeout(Duration::from_millis(200));
    let producer = builder.send_timeout(Duration::from_millis(1500)).start().await.unwrap();
    let slow = Action::ok().at_the_gate();
    broker.first([slow, Action::refuse(2, "busy"), Action::ignore()]);
    let messages = (0..20).map(|n| keyed(n, "x"));
    let deliveries = behind_the_first(&broker, &producer, messages).await;
    broker.open_gate(1);
    for delivery in deliveries {
        let _ = soon(delivery).await;
    }
    assert_in_order(&broker.stored());
    assert_nothing_left(&producer).await;
}

/// Batches of a caller's count as their messages, also when they waited in their lane.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn given_batches_of_a_key_wait_for_each_other() {
    let (broker, _server, producer) = one_queue().await;
    broker.first([Action::ok().at_the_gate(), Action::refuse(14, "")]);
    let sends = (0..4).map(|batch| {
        let producer = producer.clone();
        let messages: Vec<Message> = (0..5).map(|n| keyed(5 * batch + n, "x")).collect();
        async move { producer.send_batch(messages).await }
    });
    let mut ends = Vec::new();
    for (place, send) in sends.enumerate() {
        ends.push(tokio::spawn(send));
        until("it is accepted", || producer.stats().sent == 5 * (place as u64 + 1)).await;
    }
    broker.open_gate(1);
    for end in ends {
        assert_eq!(soon(end).await.unwrap().unwrap().len(), 5);
    }
    assert_eq!(texts(&broker.stored()), numbers(0..20));
    assert_nothing_left(&producer).await;
}

/// A failure in a batch that goes on in pieces: those of its key end, those of others go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_member_fails_later_ones_of_its_key_alone() {
    let (broker, _server, producer) = one_queue().await;
    let mut first = true;
    broker.script(move |seen| {
        if std::mem::take(&mut first) {
            return Action::ok().at_the_gate();
        }
        // A batch with the bad one in it is refused as a whole; that only it is bad shows later.
        match seen.together > 1 || seen.text() == "7" {
            true => Action::refuse(13, "illegal"),
            false => Action::ok(),
        }
    });
    let messages = (0..20).map(|n| keyed(n, ["x", "y"][n % 2]));
    let deliveries = behind_the_first(&broker, &producer, messages).await;
    broker.open_gate(1);
    for (n, delivery) in deliveries.into_iter().enumerate() {
        let result = soon(delivery).await;
        match n {
            7 => assert_eq!(result.unwrap_err().kind(), ErrorKind::Invalid),
            9.. if n % 2 == 1 => {
                let error = result.unwrap_err();
                let found = (error.kind(), error.outcome());
                assert_eq!(found, (ErrorKind::EarlierFailed, Outcome::NotStored), "{n}: {error}");
            }
            _ => drop(result.unwrap()),
        }
    }
    let expected: Vec<String> =
        (0..20).filter(|n| n % 2 == 0 || *n < 7).map(|n| n.to_string()).collect();
    assert_eq!(texts(&broker.stored()), expected);
    assert_nothing_left(&producer).await;
}

/// The batch was lost, and comes again; one of it ends while the broker is busy. Those of its key
/// may have been stored, but must not be sent again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_be_stored_is_not_sent_again_once_an_earlier_one_has_failed() {
    let (broker, _server, producer) = one_queue().await;
    let mut count = 0;
    let well_again = Arc::new(AtomicBool::new(false));
    let is_well = well_again.clone();
    broker.script(move |_| {
        count += 1;
        match count {
            1 => Action::ok().at_the_gate(),
            2 => Action::close(),
            // Pauses grow to a second: the first of the batch ends in one.
            _ if !is_well.load(Ordering::Relaxed) => Action::refuse(2, "busy"),
            _ => Action::ok(),
        }
    });
    let plug = producer.enqueue(keyed(0, "x")).await.unwrap();
    until("the first request arrives", || broker.seen_count() > 0).await;
    let hasty = producer.with_timeout(DEADLINE);
    let first = hasty.enqueue(keyed(1, "x")).await.unwrap();
    let second = producer.enqueue(keyed(2, "x")).await.unwrap();
    let other = producer.enqueue(keyed(3, "y")).await.unwrap();
    broker.open_gate(1);
    soon(plug).await.unwrap();
    let error = soon(first).await.unwrap_err();
    well_again.store(true, Ordering::Relaxed);
    assert_eq!(error.outcome(), Outcome::Unknown, "{error:?}");
    // At its deadline the answer that the broker is still busy may be on its way.
    assert!(matches!(error.kind(), ErrorKind::Busy | ErrorKind::Timeout), "{error:?}");
    let error = soon(second).await.unwrap_err();
    let found = (error.kind(), error.outcome());
    assert_eq!(found, (ErrorKind::EarlierFailed, Outcome::Unknown), "{error:?}");
    soon(other).await.unwrap();
    assert_eq!(texts(&broker.stored()), ["0", "3"]);
    assert_nothing_left(&producer).await;
}

/// A broker that does anything but lose what it has stored, and that comes and goes.
fn any_action(random: &mut fastrand::Rng) -> Action {
    match random.u32(0..100) {
        0..10 => Action::refuse(2, "busy"),
        10..16 => Action::refuse(14, "stopping"),
        16..19 => Action::refuse(1500, "go away"),
        19..22 => Action::close(),
        22..25 => Action::store_and_reset(),
        25..28 => Action::half_an_answer(),
        28..31 => Action::refuse(1, "?"),
        31..34 => Action::store_and_say(1, "?"),
        34..38 => Action::refuse(13, "illegal"),
        38..41 => Action::refuse(17, "no topic"),
        41..50 => Action::ok().after(Duration::from_millis(random.u64(1..20))),
        _ => Action::ok(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_keys_keep_their_order_whatever_brokers_do() {
    let seed = fastrand::u64(..1 << 32);
    println!("seed {seed}");
    let (a, b) = (Broker::start("a").await, Broker::start("b").await);
    for (n, broker) in [&a, &b].into_iter().enumerate() {
        let mut random = fastrand::Rng::with_seed(seed + n as u64);
        broker.script(move |_| any_action(&mut random));
    }
    let server = NameServer::of(&[&a, &b], 3).await;
    let builder = producer(&[&server]).max_pending(600, 1 << 20);
    let producer = builder.async_retries(5).start().await.unwrap();
    let mover = tokio::spawn({
        let (a, b, server) = (a.clone(), b.clone(), server.clone());
        async move {
            for broker in [&a, &b].into_iter().cycle().take(4) {
                tokio::time::sleep(Duration::from_millis(500)).await;
                broker.move_away().await;
                server.otherwise(Say::Route(route(&[&a, &b], 3)));
            }
        }
    });
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..4_000 {
        let delivery = producer.enqueue(keyed(n, &format!("key-{}", n % 100))).await.unwrap();
        tasks.spawn(async move { (n, delivery.await) });
    }
    let mut acked = Vec::new();
    while let Some(ended) = soon(tasks.join_next()).await {
        let (n, result) = ended.unwrap();
        if result.is_ok() {
            acked.push(n);
        }
    }
    mover.abort();
    println!("{} of 4000 acked; {:?}", acked.len(), producer.stats());
    assert_nothing_left(&producer).await;
    let stats = producer.stats();
    assert!(
        stats.batched > 2 * stats.batches && stats.busy > 5 && acked.len() > 1_000,
        "{stats:?}"
    );
    for broker in [&a, &b] {
        assert_in_order(&broker.stored());
    }
    let mut stored: Vec<usize> =
        [a.stored(), b.stored()].concat().iter().map(|one| one.text().parse().unwrap()).collect();
    stored.sort_unstable();
    assert!(acked.iter().all(|n| stored.binary_search(n).is_ok()));
}
