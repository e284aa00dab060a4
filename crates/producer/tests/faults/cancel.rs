//! Futures dropped at any point: nothing leaks, and no half frame is ever written.

use std::time::Duration;

use posthaste::{Message, Producer};

use crate::fake::{
    Action, BlackHole, Broker, NameServer, Say, assert_all_ended, broker_data, poll_once, producer,
    queue_data, route, soon, until,
};

/// Drops `count` sends after their first poll; all of them must be gone then but for those that
/// have left.
async fn drop_many(producer: &Producer, message: impl Fn(usize) -> Message, count: usize) {
    for n in 0..count {
        let mut send = Box::pin(producer.send(message(n)));
        assert!(poll_once(send.as_mut()).is_none());
        if n % 1000 == 0 {
            tokio::task::yield_now().await;
        }
    }
    let stats = producer.stats();
    assert!(stats.in_flight <= 2_000, "{stats:?}");
    // There is room for as many as ever.
    let mut deliveries = Vec::new();
    for n in 0..100 {
        deliveries.push(producer.try_enqueue(message(n)).unwrap());
    }
    for delivery in deliveries {
        soon(delivery).await.unwrap_err();
    }
    until("all have ended", || producer.stats().in_flight == 0).await;
    assert_all_ended(producer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_dropped_behind_a_silent_broker() {
    let broker = Broker::start("a").await;
    broker.always(Action::ignore());
    let server = NameServer::of(&[&broker], 4).await;
    let timeout = Duration::from_secs(1);
    let producer = producer(&[&server]).send_timeout(timeout).start().await.unwrap();
    drop_many(&producer, |n| Message::new("t", n.to_string()), 20_000).await;
    drop_many(&producer, |n| Message::new("t", n.to_string()).order_by("x"), 20_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_dropped_before_a_broker_that_cannot_be_reached() {
    let hole = BlackHole::open();
    let server = NameServer::start().await;
    let mut document = route(&[], 0);
    document.brokers = vec![broker_data("a", &hole.address())];
    document.queues = vec![queue_data("a", 4, 6)];
    server.otherwise(Say::Route(document));
    server.say("cold", Say::Nothing);
    let timeout = Duration::from_secs(1);
    let producer = producer(&[&server]).send_timeout(timeout).start().await.unwrap();
    drop_many(&producer, |n| Message::new("t", n.to_string()), 20_000).await;
    drop_many(&producer, |n| Message::new("cold", n.to_string()), 20_000).await;
}
