//! Ordered sends.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use posthaste::{ErrorKind, Message, MessageQueue, Outcome, Producer, SendError};
use tokio::sync::Semaphore;

use crate::fake::{
    Action, BlackHole, Broker, DEADLINE, HOUR, NameServer, Say, assert_all_ended, broker_data,
    lock, one_broker, poll_once, producer, queue_data, route, soon, two_brokers, until,
};

fn keyed(body: impl ToString, key: &str) -> Message {
    Message::new("t", body.to_string()).order_by(key)
}

/// One broker with one queue.
async fn one_queue(timeout: Duration) -> (Broker, NameServer, Producer) {
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 1).await;
    let producer = producer(&[&server]).send_timeout(timeout).start().await.unwrap();
    (broker, server, producer)
}

fn texts(broker: &Broker) -> Vec<String> {
    broker.stored().iter().map(|seen| seen.text()).collect()
}

fn is_earlier_failed(error: &SendError) -> bool {
    error.kind() == ErrorKind::EarlierFailed && error.outcome() == Outcome::NotStored
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_request_of_an_ordered_queue_is_on_its_way_at_a_time() {
    let (broker, _server, producer) = one_queue(HOUR).await;
    let gate = Arc::new(Semaphore::new(0));
    broker.always(Action::ok().once(&gate));
    let given = MessageQueue::new("t", "a", 0);
    let mut deliveries = Vec::new();
    for n in 0..24 {
        let message = match n % 3 {
            0 => Message::new("t", n.to_string()).queue(given.clone()).ordered(),
            1 => keyed(n, "x"),
            _ => keyed(n, "y"),
        };
        deliveries.push(producer.enqueue(message).await.unwrap());
    }
    let requests = || {
        let mut requests = broker.seen();
        requests.dedup_by_key(|seen| seen.opaque);
        requests
    };
    while broker.stored_count() < 24 {
        let stored = broker.stored_count();
        until("the next request is there", || broker.seen_count() > stored).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        let unanswered = &broker.seen()[stored..];
        assert_eq!(unanswered.len(), unanswered[0].together, "one request is on its way");
        gate.add_permits(1);
        until("it is stored", || broker.stored_count() > stored).await;
    }
    for delivery in deliveries {
        soon(delivery).await.unwrap();
    }
    let expected: Vec<String> = (0..24).map(|n| n.to_string()).collect();
    assert_eq!(texts(&broker), expected);
    assert!(requests().iter().any(|seen| seen.together > 1), "what waits leaves together");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unordered_messages_are_not_held_up_by_one_another() {
    let (broker, _server, producer) = one_queue(HOUR).await;
    let gate = Arc::new(Semaphore::new(0));
    broker.always(Action::ok().once(&gate));
    let queue = MessageQueue::new("t", "a", 0);
    let mut deliveries = Vec::new();
    for n in 0..10 {
        let message = Message::new("t", n.to_string()).queue(queue.clone());
        deliveries.push(producer.enqueue(message).await.unwrap());
    }
    until("all have left before the first is answered", || broker.seen_count() == 10).await;
    assert_eq!(broker.stored_count(), 0);
    gate.add_permits(10);
    for delivery in deliveries {
        soon(delivery).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_fails_those_of_its_key_that_were_accepted_before_it_was_known() {
    let (broker, _server, producer) = one_queue(HOUR).await;
    let gate = Arc::new(Semaphore::new(0));
    let closed = gate.clone();
    broker.script(move |seen| match seen.text().as_str() {
        "bad" => Action::refuse(13, "illegal").once(&closed),
        _ => Action::ok(),
    });
    let bad = producer.enqueue(keyed("bad", "x")).await.unwrap();
    let mut followers = Vec::new();
    for n in 0..4 {
        followers.push(producer.enqueue(keyed(n, "x")).await.unwrap());
    }
    let others = producer.enqueue(keyed("other", "y")).await.unwrap();
    let given = Message::new("t", "given").queue(MessageQueue::new("t", "a", 0)).ordered();
    let given = producer.enqueue(given).await.unwrap();
    gate.add_permits(1);

    let error = soon(bad).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Invalid, Outcome::NotStored));
    // The failure has been delivered: this one goes on.
    let later = producer.enqueue(keyed("later", "x")).await.unwrap();
    for follower in followers {
        let error = soon(follower).await.unwrap_err();
        assert!(is_earlier_failed(&error), "{error}");
    }
    soon(others).await.unwrap();
    soon(given).await.unwrap();
    soon(later).await.unwrap();
    assert_eq!(texts(&broker), ["other", "given", "later"]);
    assert_all_ended(&producer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unanswered_message_fails_its_key_too_and_nothing_of_it_overtakes() {
    let (broker, _server, producer) = one_queue(HOUR).await;
    soon(producer.send(keyed("warm", "x"))).await.unwrap();
    broker.forget();
    broker.first([Action::store_silently()]);
    let hasty = producer.with_timeout(DEADLINE);
    let first = hasty.enqueue(keyed(0, "x")).await.unwrap();
    let second = producer.enqueue(keyed(1, "x")).await.unwrap();
    let error = soon(first).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, Outcome::Unknown));
    assert!(is_earlier_failed(&soon(second).await.unwrap_err()));
    // The broker may be at the first one still: its queue waits for twice its time.
    soon(producer.send(keyed(2, "x"))).await.unwrap();
    assert_eq!(texts(&broker), ["0", "2"]);
    assert_all_ended(&producer);
}

/// The broker stores the first message only after its deadline, on a connection that lives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_stored_after_its_deadline_is_not_overtaken() {
    let (broker, _server, patient) = one_queue(HOUR).await;
    let producer = patient.with_timeout(DEADLINE);
    soon(patient.send(keyed("warm", "x"))).await.unwrap();
    // In the same line of the outbox, and in another one.
    for wait_stored in [true, false] {
        broker.forget();
        let gate = Arc::new(Semaphore::new(0));
        broker.first([Action::ok().once(&gate)]);
        let error = soon(producer.send(keyed("late", "x"))).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, Outcome::Unknown));
        let next = keyed("next", "x").wait_stored(wait_stored);
        let next = patient.enqueue(next).await.unwrap();
        let other_key = patient.enqueue(keyed("other key", "y")).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(broker.seen_count(), 1, "nothing of the queue leaves before the first is over");
        gate.add_permits(1);
        soon(next).await.unwrap();
        soon(other_key).await.unwrap();
        assert_eq!(texts(&broker), ["late", "next", "other key"]);
    }
    assert_all_ended(&producer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_goes_on_when_the_connection_of_its_timed_out_request_ends() {
    let (broker, _server, producer) = one_queue(HOUR).await;
    let hasty = producer.with_timeout(DEADLINE);
    // Otherwise the queue waits for as long again every time; a busy machine makes it wait now and then.
    soon(async {
        loop {
            broker.forget();
            broker.first([Action::ignore()]);
            hasty.send(keyed("lost", "x")).await.unwrap_err();
            let next = producer.enqueue(keyed("next", "x")).await.unwrap();
            let begun = Instant::now();
            broker.down();
            broker.up().await;
            next.await.unwrap();
            assert_eq!(texts(&broker), ["next"]);
            if begun.elapsed() < DEADLINE / 2 {
                break;
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_one_that_has_not_left_fails_nobody() {
    let (broker, _server, producer) = one_queue(HOUR).await;
    broker.first([Action::ok().at_the_gate()]);
    let first = producer.enqueue(keyed(0, "x")).await.unwrap();
    until("the first has left", || broker.seen_count() == 1).await;
    let mut dropped = Vec::new();
    for n in 0..200 {
        let mut send = Box::pin(producer.send(keyed(format!("dropped {n}"), "x")));
        assert!(poll_once(send.as_mut()).is_none());
        dropped.push(send);
    }
    let last = producer.enqueue(keyed(1, "x")).await.unwrap();
    drop(dropped);
    broker.open_gate(1);
    soon(first).await.unwrap();
    soon(last).await.unwrap();
    assert_eq!(texts(&broker), ["0", "1"]);
    assert_eq!(producer.stats().withdrawn, 200);
    assert_all_ended(&producer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_dropped_before_the_route_is_known_holds_up_nobody() {
    let broker = Broker::start("a").await;
    let server = NameServer::start().await;
    let found = Say::Route(route(&[&broker], 1));
    let gate = Arc::new(Semaphore::new(0));
    server.say("t", Say::Once(gate.clone(), Box::new(found)));
    let producer = producer(&[&server]).start().await.unwrap();
    let mut send = Box::pin(producer.send(keyed("dropped", "x")));
    assert!(poll_once(send.as_mut()).is_none());
    drop(send);
    gate.add_permits(100);
    soon(producer.send(keyed("same key", "x"))).await.unwrap();
    soon(producer.send(keyed("other key", "y"))).await.unwrap();
    assert_eq!(texts(&broker), ["same key", "other key"]);
    assert_all_ended(&producer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_before_the_route_is_known_fails_its_key() {
    let broker = Broker::start("a").await;
    let server = NameServer::start().await;
    let found = Say::Route(route(&[&broker], 1));
    let gate = Arc::new(Semaphore::new(0));
    server.say("t", Say::Once(gate.clone(), Box::new(found)));
    let producer = producer(&[&server]).start().await.unwrap();
    let hasty = producer.with_timeout(DEADLINE);
    let first = hasty.enqueue(keyed("first", "x")).await.unwrap();
    let second = producer.enqueue(keyed("second", "x")).await.unwrap();
    let other = producer.enqueue(keyed("other", "y")).await.unwrap();
    let error = soon(first).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::NoRoute, Outcome::NotStored));
    let third = producer.enqueue(keyed("third", "x")).await.unwrap();
    gate.add_permits(100);
    let error = soon(second).await.unwrap_err();
    assert!(is_earlier_failed(&error), "{error}");
    soon(other).await.unwrap();
    soon(third).await.unwrap();
    assert_eq!(texts(&broker), ["other", "third"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn order_is_kept_through_the_look_up_of_the_route() {
    let broker = Broker::start("a").await;
    let server = NameServer::start().await;
    let found = Say::Route(route(&[&broker], 4));
    server.say("t", Say::Later(Duration::from_millis(100), Box::new(found)));
    let producer = producer(&[&server]).lookup_timeout(HOUR).start().await.unwrap();
    let mut deliveries = Vec::new();
    for n in 0..400 {
        deliveries.push(producer.enqueue(keyed(n, &format!("{}", n % 7))).await.unwrap());
        if n % 100 == 50 {
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    }
    for delivery in deliveries {
        soon(delivery).await.unwrap();
    }
    assert_eq!(server.asked("t"), 1);
    let mut last: HashMap<String, usize> = HashMap::new();
    for seen in broker.stored() {
        let n = seen.text().parse().unwrap();
        assert!(last.insert(seen.key.unwrap(), n).is_none_or(|before| before < n));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn busy_and_broken_connections_do_not_change_the_order() {
    let (broker, _server, producer) = one_queue(HOUR).await;
    let mut random = fastrand::Rng::with_seed(7);
    broker.script(move |_| match random.u32(0..40) {
        0 => Action::refuse(2, "busy"),
        1 => Action::close(),
        2 => Action::store_and_reset(),
        3 => Action::refuse(14, ""),
        _ => Action::ok(),
    });
    let mut deliveries = Vec::new();
    for n in 0..300 {
        deliveries.push(producer.enqueue(keyed(n, &format!("{}", n % 3))).await.unwrap());
    }
    for delivery in deliveries {
        let _ = soon(delivery).await;
    }
    let mut last: HashMap<String, usize> = HashMap::new();
    let stored = broker.stored();
    for seen in crate::fake::first_copies(&stored) {
        let n = seen.text().parse().unwrap();
        assert!(last.insert(seen.key.unwrap(), n).is_none_or(|before| before < n));
    }
    assert!(stored.len() > 100);
    assert_all_ended(&producer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ordered_sends_wait_for_the_broker_of_their_queue() {
    let (a, b) = (Broker::start("a").await, Broker::start("b").await);
    let server = NameServer::of(&[&a, &b], 4).await;
    let producer = producer(&[&server]).start().await.unwrap();
    let receipt = soon(producer.send(keyed("warm", "x"))).await.unwrap();
    let (down, other) = match receipt.queue().broker() {
        "a" => (a, b),
        _ => (b, a),
    };
    // Gone from the route as well.
    down.down();
    server.otherwise(Say::Route(route(&[&other], 4)));
    let mut deliveries = Vec::new();
    for n in 0..10 {
        deliveries.push(producer.enqueue(keyed(n, "x")).await.unwrap());
    }
    tokio::time::sleep(Duration::from_millis(1200)).await;
    down.move_away().await;
    let both = match down.name() {
        "a" => route(&[&down, &other], 4),
        _ => route(&[&other, &down], 4),
    };
    server.otherwise(Say::Route(both));
    for delivery in deliveries {
        assert_eq!(soon(delivery).await.unwrap().queue(), receipt.queue());
    }
    assert_eq!(other.stored_count(), 0);
    let expected = ["warm", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    assert_eq!(texts(&down), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_keeps_its_queue_while_it_is_busy_and_follows_the_route_when_idle() {
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 1).await;
    let producer = producer(&[&server]).start().await.unwrap();
    // Java's hash of "b" is 98, of which 3 leaves 2.
    let until_told = Arc::new(Mutex::new(true));
    let hold = until_told.clone();
    broker.script(move |seen| match (&*seen.topic, *lock(&hold)) {
        ("t", true) => Action::refuse(14, ""),
        _ => Action::ok(),
    });
    let first = producer.enqueue(keyed(0, "b")).await.unwrap();
    until("refused", || broker.seen_count() > 0).await;
    server.otherwise(Say::Route(route(&[&broker], 3)));
    // 14 has the route refreshed; the retries go to the queue that it had.
    let error = soon(first).await.unwrap_err();
    assert!(error.attempts().iter().all(|attempt| attempt.queue == Some(0)), "{error:?}");
    *lock(&until_told) = false;
    soon(async {
        while producer.send(keyed(1, "b")).await.unwrap().queue().id() != 2 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}

/// Many keys of one queue, and a broker that does not answer: all end at their deadlines.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_keys_behind_a_silent_broker_end() {
    let (broker, _server, producer) = one_queue(Duration::from_millis(1500)).await;
    broker.always(Action::ignore());
    let mut deliveries = Vec::new();
    for n in 0..9_000 {
        deliveries.push(producer.enqueue(keyed(n, &format!("{}", n / 2))).await.unwrap());
    }
    // All together: ends that took longer the more there are would take minutes.
    soon(async {
        for delivery in deliveries {
            delivery.await.unwrap_err();
        }
    })
    .await;
    assert_all_ended(&producer);
}

/// A lane whose messages expire by the dozen while their turn comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_whose_broker_is_gone_ends_thousands_without_trouble() {
    let hole = BlackHole::open();
    let server = NameServer::start().await;
    let mut document = route(&[], 0);
    document.brokers = vec![broker_data("a", &hole.address())];
    document.queues = vec![queue_data("a", 1, 6)];
    server.otherwise(Say::Route(document));
    let producer =
        producer(&[&server]).send_timeout(Duration::from_millis(600)).start().await.unwrap();
    let mut deliveries = Vec::new();
    for n in 0..5_000 {
        deliveries.push(producer.enqueue(keyed(n, &n.to_string())).await.unwrap());
    }
    for delivery in deliveries {
        let error = soon(delivery).await.unwrap_err();
        assert_eq!(error.outcome(), Outcome::NotStored, "{error}");
    }
    assert_all_ended(&producer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_withdrawn_message_lets_the_next_one_go() {
    let (broker, _server, producer) = one_broker().await;
    broker.always(Action::ok().after(Duration::from_millis(50)));
    soon(producer.send(Message::new("t", "warm"))).await.unwrap();
    let mut first = Box::pin(producer.send(keyed("first", "x")));
    let _ = poll_once(first.as_mut());
    let second = producer.enqueue(keyed("second", "x")).await.unwrap();
    drop(first);
    soon(second).await.unwrap();
    assert_all_ended(&producer);
}

// ---- selectors ----

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_selector_picks_the_queue_and_keeps_its_order() {
    let (a, b, _server, producer) = two_brokers().await;
    let select = |place: usize| {
        move |queues: &[MessageQueue]| {
            assert_eq!(queues.len(), 8);
            place
        }
    };
    for broker in [&a, &b] {
        broker.always(Action::ok().after(Duration::from_millis(2)));
    }
    let mut deliveries = Vec::new();
    for n in 0..400 {
        let place = n % 2 * 5;
        let message = Message::new("t", n.to_string()).select_queue(select(place));
        deliveries.push((place, soon(producer.enqueue(message)).await.unwrap()));
    }
    for (place, delivery) in deliveries {
        let receipt = soon(delivery).await.unwrap();
        let expected = if place == 0 { ("a", 0) } else { ("b", 1) };
        assert_eq!((receipt.queue().broker(), receipt.queue().id()), expected);
    }
    for broker in [&a, &b] {
        let stored: Vec<usize> =
            broker.stored().iter().map(|seen| seen.text().parse().unwrap()).collect();
        assert_eq!(stored.len(), 200);
        assert!(stored.is_sorted(), "{stored:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_selector_that_panics_or_misses_ends_its_own_send() {
    let (broker, server, producer) = one_broker().await;
    let wild = Message::new("t", "x").select_queue(|queues| queues.len());
    let error = soon(producer.send(wild)).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Invalid, Outcome::NotStored));
    assert!(error.to_string().contains("place 4"), "{error}");
    let bad = Message::new("t", "x").select_queue(|_| panic!("on purpose"));
    let error = soon(producer.send(bad)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("panicked"), "{error}");
    soon(producer.send(Message::new("t", "x").select_queue(|_| 3))).await.unwrap();
    assert_eq!(broker.stored()[0].queue, 3);

    server.say("none", Say::Route(route(&[&broker], 0)));
    let nowhere = Message::new("none", "x").select_queue(|_| panic!("it has nothing to pick"));
    let error = soon(producer.send(nowhere)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoWritableQueue);
    assert_all_ended(&producer);
}
