//! Futures dropped at any point: nothing leaks, and no half frame is ever written.

use std::time::Duration;

use posthaste::{Message, Producer};
use posthaste_protocol::RequestCode;

use crate::fake::{
    Action, BlackHole, Broker, HOUR, NameServer, Say, assert_all_ended, broker_data, poll_once,
    producer, queue_data, route, soon, until,
};

/// Polls a send `polls` times, with time for something to happen between two polls, and drops it.
async fn poll_and_drop(send: impl Future, polls: usize) -> bool {
    let mut send = Box::pin(send);
    for poll in 0..polls {
        if poll > 0 {
            match poll % 3 {
                0 => tokio::time::sleep(Duration::from_millis(2)).await,
                _ => tokio::task::yield_now().await,
            }
        }
        if poll_once(send.as_mut()).is_some() {
            return true;
        }
    }
    false
}

async fn neighbours(producer: &Producer, count: usize) -> Vec<posthaste::Delivery> {
    let mut all = Vec::new();
    for n in 0..count {
        all.push(producer.enqueue(Message::new("t", format!("neighbour {n}"))).await.unwrap());
    }
    all
}

/// Sends of each kind are dropped at each poll while their neighbours are under way.
async fn drop_at_every_poll(cold: bool, script: impl Fn(usize) -> Action + Send + Clone + 'static) {
    let broker = Broker::start("a").await;
    let server = NameServer::start().await;
    let found = Say::Route(route(&[&broker], 2));
    server.otherwise(match cold {
        true => Say::Later(Duration::from_millis(5), Box::new(found)),
        false => found,
    });
    let mut count = 0;
    broker.script(move |_| {
        count += 1;
        script(count)
    });
    let begin = || producer(&[&server]).start();
    let mut shared = begin().await.unwrap();
    let mut done = 0;
    for polls in 0..24 {
        if cold {
            shared = begin().await.unwrap();
        }
        let around = neighbours(&shared, 3).await;
        let plain = Message::new("t", format!("plain {polls}"));
        let ordered = Message::new("t", format!("ordered {polls}")).order_by("x");
        let behind = Message::new("t", format!("behind {polls}")).order_by("x");
        let oneway = Message::new("t", format!("oneway {polls}"));
        let (p, o, w) = tokio::join!(
            poll_and_drop(shared.send(plain), polls),
            poll_and_drop(shared.send(ordered), polls),
            poll_and_drop(shared.send_oneway(oneway), polls),
        );
        let behind = shared.enqueue(behind).await.unwrap();
        let entering = Message::new("t", "entering");
        done += usize::from(p) + usize::from(o) + usize::from(w);
        poll_and_drop(shared.enqueue(entering), polls).await;
        for delivery in around.into_iter().chain([behind]) {
            soon(delivery).await.unwrap();
        }
        soon(shared.send(Message::new("t", "after"))).await.unwrap();
        until("all have ended", || shared.stats().in_flight == 0).await;
        assert_all_ended(&shared);
    }
    println!("{done} of 72 were done before they were dropped");
    until("nothing is left", || {
        shared.stats().brokers.iter().all(|broker| broker.in_flight == 0 && broker.waiting == 0)
    })
    .await;
    let report = soon(shared.close(HOUR)).await;
    assert!(report.is_clean());
    assert_eq!(broker.broken(), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_at_every_poll_with_a_quick_broker() {
    drop_at_every_poll(false, |_| Action::ok()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_at_every_poll_with_a_slow_broker() {
    drop_at_every_poll(false, |_| Action::ok().after(Duration::from_millis(7))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_at_every_poll_with_a_busy_broker() {
    let script = |n| if n % 4 == 0 { Action::refuse(2, "busy") } else { Action::ok() };
    drop_at_every_poll(false, script).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_at_every_poll_before_the_route_is_known() {
    drop_at_every_poll(true, |_| Action::ok()).await;
}

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_has_left_runs_to_its_end_on_its_own() {
    let (broker, _server, producer) = crate::fake::one_broker().await;
    broker.first([Action::refuse(14, "").after(Duration::from_millis(100)), Action::ok()]);
    let mut send = Box::pin(producer.send(Message::new("t", "left")));
    assert!(poll_once(send.as_mut()).is_none());
    until("it has left", || broker.seen_count() == 1).await;
    drop(send);
    until("it has ended", || producer.stats().in_flight == 0).await;
    let stats = producer.stats();
    assert_eq!((stats.acked, stats.withdrawn), (1, 0), "{stats:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_a_delivery_cancels_nothing() {
    let (broker, _server, producer) = crate::fake::one_broker().await;
    for n in 0..100 {
        drop(producer.enqueue(Message::new("t", n.to_string())).await.unwrap());
    }
    until("all are stored", || broker.stored_count() == 100).await;
    until("all have ended", || producer.stats().acked == 100).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runtime_that_is_aborted_in_the_middle_leaves_the_brokers_alone() {
    let (broker, _server, producer) = crate::fake::one_broker().await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..200 {
        let producer = producer.clone();
        tasks.spawn(async move { producer.send(Message::new("t", n.to_string())).await });
    }
    tokio::time::sleep(Duration::from_millis(3)).await;
    tasks.abort_all();
    while soon(tasks.join_next()).await.is_some() {}
    until("all have ended", || producer.stats().in_flight == 0).await;
    assert_all_ended(&producer);
    soon(producer.send(Message::new("t", "after"))).await.unwrap();
    assert_eq!(broker.broken(), (0, 0));
    until("a heartbeat", || broker.count_of(RequestCode::HEART_BEAT) >= 1).await;
}
