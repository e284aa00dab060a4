//! Ordered sends.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use posthaste::{ErrorKind, Message, MessageQueue, Outcome, Producer, ResponseCode, SendError};
use posthaste_broker::{Broker, Fault, On, Restart};

use crate::servers::{
    broker, first_copies, keyed, message, ms, one_warm_broker, producer, route, send, text, texts,
    two_brokers, until_in_flight,
};
use crate::support::{DEADLINE, HANG, HOUR, assert_all_ended, poll_once, soon};

/// One broker with one queue, and a producer that has a connection to it.
async fn one_queue(timeout: Duration) -> (Broker, Producer) {
    let broker = broker(1).await;
    let builder = producer(broker.name_server()).send_timeout(timeout);
    let producer = builder.start().await.unwrap();
    soon(producer.with_timeout(HOUR).send(keyed("warm", "warm"))).await.unwrap();
    until_in_flight(&producer, 0).await;
    (broker, producer)
}

fn is_earlier_failed(error: &SendError) -> bool {
    error.kind() == ErrorKind::EarlierFailed && error.outcome() == Outcome::NotStored
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unordered_messages_are_not_held_up_by_one_another() {
    let (broker, producer) = one_queue(HOUR).await;
    broker.pause().await.unwrap();
    let queue = MessageQueue::new("t", "dev", 0);
    let mut deliveries = Vec::new();
    for n in 0..10 {
        deliveries.push(producer.enqueue(message(n).queue(queue.clone())).await.unwrap());
    }
    // All have left before the first is answered.
    until_in_flight(&producer, 10).await;
    assert_eq!(texts(&broker).await, ["warm"]);
    broker.resume().await.unwrap();
    for delivery in deliveries {
        soon(delivery).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_fails_those_of_its_key_that_were_accepted_before_it_was_known() {
    let (broker, producer) = one_queue(HOUR).await;
    broker.fault(send().key("bad").refuse(ResponseCode::MESSAGE_ILLEGAL)).unwrap();
    broker.pause().await.unwrap();
    let bad = producer.enqueue(keyed("bad", "x").key("bad")).await.unwrap();
    let mut followers = Vec::new();
    for n in 0..4 {
        followers.push(producer.enqueue(keyed(n, "x")).await.unwrap());
    }
    let others = producer.enqueue(keyed("other", "y")).await.unwrap();
    let given = message("given").queue(MessageQueue::new("t", "dev", 0)).ordered();
    let given = producer.enqueue(given).await.unwrap();
    broker.resume().await.unwrap();

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
    assert_eq!(texts(&broker).await, ["warm", "other", "given", "later"]);
    assert_all_ended(&producer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unanswered_message_fails_its_key_too_and_nothing_of_it_overtakes() {
    let (broker, producer) = one_queue(HOUR).await;
    broker.fault(send().first(1).after_store().no_answer()).unwrap();
    let hasty = producer.with_timeout(DEADLINE);
    let first = hasty.enqueue(keyed(0, "x")).await.unwrap();
    let second = producer.enqueue(keyed(1, "x")).await.unwrap();
    let error = soon(first).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, Outcome::Unknown));
    assert!(is_earlier_failed(&soon(second).await.unwrap_err()));
    // The broker may be at the first one still: its queue waits for twice its time.
    soon(producer.send(keyed(2, "x"))).await.unwrap();
    assert_eq!(texts(&broker).await, ["warm", "0", "2"]);
    assert_all_ended(&producer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_goes_on_when_the_connection_of_its_timed_out_request_ends() {
    let (broker, producer) = one_queue(HOUR).await;
    let hasty = producer.with_timeout(DEADLINE);
    // Otherwise the queue waits for as long again every time; a busy machine makes it wait now and then.
    soon(async {
        loop {
            let lost = broker.fault(send().no_answer()).unwrap();
            hasty.send(keyed("lost", "x")).await.unwrap_err();
            lost.remove();
            let next = producer.enqueue(keyed("next", "x")).await.unwrap();
            let begun = Instant::now();
            broker.down().await.unwrap();
            broker.up().await.unwrap();
            next.await.unwrap();
            if begun.elapsed() < DEADLINE / 2 {
                break;
            }
        }
    })
    .await;
    let texts = texts(&broker).await;
    assert!(texts.len() > 1 && texts[1..].iter().all(|text| text == "next"), "{texts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_one_that_has_not_left_fails_nobody() {
    let (broker, producer) = one_queue(HOUR).await;
    broker.pause().await.unwrap();
    let first = producer.enqueue(keyed(0, "x")).await.unwrap();
    until_in_flight(&producer, 1).await;
    let mut dropped = Vec::new();
    for n in 0..200 {
        let mut send = Box::pin(producer.send(keyed(format!("dropped {n}"), "x")));
        assert!(poll_once(send.as_mut()).is_none());
        dropped.push(send);
    }
    let last = producer.enqueue(keyed(1, "x")).await.unwrap();
    drop(dropped);
    broker.resume().await.unwrap();
    soon(first).await.unwrap();
    soon(last).await.unwrap();
    assert_eq!(texts(&broker).await, ["warm", "0", "1"]);
    assert_eq!(producer.stats().withdrawn, 200);
    assert_all_ended(&producer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn order_is_kept_through_the_look_up_of_the_route() {
    let broker = broker(4).await;
    let looked_up = broker.fault(route().delay(ms(100))).unwrap();
    let builder = producer(broker.name_server()).lookup_timeout(HOUR);
    let producer = builder.start().await.unwrap();
    let mut deliveries = Vec::new();
    for n in 0..400 {
        deliveries.push(producer.enqueue(keyed(n, &format!("{}", n % 7))).await.unwrap());
        if n % 100 == 50 {
            tokio::time::sleep(ms(40)).await;
        }
    }
    for delivery in deliveries {
        soon(delivery).await.unwrap();
    }
    assert_eq!(looked_up.hits(), 1);
    assert_eq!(in_order(&broker).await, 400);
}

/// Each key's messages are stored in order, as far as first copies go. Gives how many copies there are.
async fn in_order(broker: &Broker) -> usize {
    let stored = broker.messages("t").await.unwrap();
    let copies = stored.len();
    let mut last: HashMap<String, usize> = HashMap::new();
    for one in first_copies(stored) {
        let Ok(n) = text(&one).parse() else { continue };
        let key = one.ordering_key.unwrap();
        assert!(last.insert(key, n).is_none_or(|before| before < n));
    }
    copies
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn busy_and_broken_connections_do_not_change_the_order() {
    let (broker, producer) = one_queue(HOUR).await;
    for (seed, fault) in [
        send().refuse(ResponseCode::SYSTEM_BUSY),
        send().close(),
        send().after_store().reset(),
        send().refuse(ResponseCode::SERVICE_NOT_AVAILABLE),
    ]
    .into_iter()
    .enumerate()
    {
        broker.fault(fault.with_probability(0.025, seed as u64)).unwrap();
    }
    let mut deliveries = Vec::new();
    for n in 0..300 {
        deliveries.push(producer.enqueue(keyed(n, &format!("{}", n % 3))).await.unwrap());
        // Many requests, not one.
        if n % 4 == 0 {
            tokio::time::sleep(ms(1)).await;
        }
    }
    for delivery in deliveries {
        let _ = soon(delivery).await;
    }
    assert!(in_order(&broker).await > 100);
    assert_all_ended(&producer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ordered_sends_wait_for_the_broker_of_their_queue() {
    let (cluster, producer) = two_brokers().await;
    let receipt = soon(producer.send(keyed("warm", "x"))).await.unwrap();
    let is_its = |broker: &&Broker| broker.name() == receipt.queue().broker();
    let down = cluster.brokers().iter().find(is_its).unwrap();
    // Gone from the route as well.
    down.down().await.unwrap();
    let mut deliveries = Vec::new();
    for n in 0..10 {
        deliveries.push(producer.enqueue(keyed(n, "x")).await.unwrap());
    }
    tokio::time::sleep(ms(1200)).await;
    down.restart(Restart::same().on_another_port()).await.unwrap();
    for delivery in deliveries {
        assert_eq!(soon(delivery).await.unwrap().queue(), receipt.queue());
    }
    let expected = ["warm", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    assert_eq!(texts(down).await, expected);
    assert_eq!(cluster.messages("t").await.unwrap().len(), expected.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_keeps_its_queue_while_it_is_busy_and_follows_the_route_when_idle() {
    let broker = broker(3).await;
    let one_queue = broker.fault(route().queues(1)).unwrap();
    let stops = broker.fault(send().refuse(ResponseCode::SERVICE_NOT_AVAILABLE)).unwrap();
    let producer = producer(broker.name_server()).start().await.unwrap();
    // Java's hash of "b" is 98, of which 3 leaves 2.
    let first = producer.enqueue(keyed(0, "b")).await.unwrap();
    stops.wait_for(1, HANG).await.unwrap();
    one_queue.remove();
    // 14 has the route refreshed; the retries go to the queue that it had.
    let error = soon(first).await.unwrap_err();
    assert!(error.attempts().iter().all(|attempt| attempt.queue == Some(0)), "{error:?}");
    stops.remove();
    soon(async {
        while producer.send(keyed(1, "b")).await.unwrap().queue().id() != 2 {
            tokio::time::sleep(ms(50)).await;
        }
    })
    .await;
}

/// Many keys of one queue, and a broker that does not answer: all end at their deadlines.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_keys_behind_a_silent_broker_end() {
    let (broker, producer) = one_queue(ms(1500)).await;
    broker.fault(send().no_answer()).unwrap();
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
    assert_eq!(texts(&broker).await, ["warm"]);
    assert_all_ended(&producer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_withdrawn_message_lets_the_next_one_go() {
    let (broker, producer) = one_warm_broker().await;
    broker.fault(send().after_store().delay(ms(50))).unwrap();
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
    let (cluster, producer) = two_brokers().await;
    let select = |place: usize| {
        move |queues: &[MessageQueue]| {
            assert_eq!(queues.len(), 8);
            place
        }
    };
    for broker in cluster.brokers() {
        broker.fault(send().after_store().delay(ms(2))).unwrap();
    }
    let mut deliveries = Vec::new();
    for n in 0..400 {
        let place = n % 2 * 5;
        let message = message(n).select_queue(select(place));
        deliveries.push((place, soon(producer.enqueue(message)).await.unwrap()));
    }
    for (place, delivery) in deliveries {
        let receipt = soon(delivery).await.unwrap();
        let expected = if place == 0 { ("dev-0", 0) } else { ("dev-1", 1) };
        assert_eq!((receipt.queue().broker(), receipt.queue().id()), expected);
    }
    for broker in cluster.brokers() {
        let stored: Vec<usize> =
            texts(broker).await.iter().map(|text| text.parse().unwrap()).collect();
        assert_eq!(stored.len(), 200);
        assert!(stored.is_sorted(), "{stored:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_selector_that_panics_or_misses_ends_its_own_send() {
    let broker = Broker::builder().topic("t", 4).topic("none", 1).start().await.unwrap();
    broker.fault(Fault::on(On::Route).topic("none").queues(0)).unwrap();
    let producer = producer(broker.name_server()).start().await.unwrap();
    let wild = message("x").select_queue(|queues| queues.len());
    let error = soon(producer.send(wild)).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Invalid, Outcome::NotStored));
    assert!(error.to_string().contains("place 4"), "{error}");
    let bad = message("x").select_queue(|_| panic!("on purpose"));
    let error = soon(producer.send(bad)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("panicked"), "{error}");
    soon(producer.send(message("x").select_queue(|_| 3))).await.unwrap();
    assert_eq!(broker.messages("t").await.unwrap()[0].queue, 3);

    let nowhere = Message::new("none", "x").select_queue(|_| panic!("it has nothing to pick"));
    let error = soon(producer.send(nowhere)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoWritableQueue);
    assert_all_ended(&producer);
}
