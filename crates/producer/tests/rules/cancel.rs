//! Futures dropped at any point: nothing leaks, and no half frame is ever written. A broker closes a
//! connection on which half a frame is followed by another, and the sends around it would fail.

use posthaste::{Delivery, Producer, ResponseCode};
use posthaste_broker::{Fault, On};

use crate::servers::{broker, keyed, message, ms, one_broker, one_warm_broker, producer};
use crate::servers::{route, send, texts, until_in_flight};
use crate::support::{HANG, HOUR, assert_all_ended, assert_nothing_left, poll_once, soon, until};

/// Polls a send `polls` times, with time for something to happen between two polls, and drops it.
async fn poll_and_drop(send: impl Future, polls: usize) -> bool {
    let mut send = Box::pin(send);
    for poll in 0..polls {
        if poll > 0 {
            match poll % 3 {
                0 => tokio::time::sleep(ms(2)).await,
                _ => tokio::task::yield_now().await,
            }
        }
        if poll_once(send.as_mut()).is_some() {
            return true;
        }
    }
    false
}

async fn neighbours(producer: &Producer, count: usize) -> Vec<Delivery> {
    let mut all = Vec::new();
    for n in 0..count {
        all.push(producer.enqueue(message(format!("neighbour {n}"))).await.unwrap());
    }
    all
}

/// Sends of each kind are dropped at each poll while their neighbours, which have no second attempt,
/// are under way; each time with a new producer or always with the same one.
async fn drop_at_every_poll(each_time_anew: bool, fault: Fault) {
    let broker = broker(2).await;
    broker.fault(fault).unwrap();
    let begin = || producer(broker.name_server()).retries(0).async_retries(0).start();
    let mut shared = begin().await.unwrap();
    let mut done = 0;
    for polls in 0..24 {
        if each_time_anew {
            shared = begin().await.unwrap();
        }
        let around = neighbours(&shared, 3).await;
        let (p, o, w) = tokio::join!(
            poll_and_drop(shared.send(message(format!("plain {polls}"))), polls),
            poll_and_drop(shared.send(keyed(format!("ordered {polls}"), "x")), polls),
            poll_and_drop(shared.send_oneway(message(format!("oneway {polls}"))), polls),
        );
        let behind = shared.enqueue(keyed(format!("behind {polls}"), "x")).await.unwrap();
        done += usize::from(p) + usize::from(o) + usize::from(w);
        poll_and_drop(shared.enqueue(message("entering")), polls).await;
        for delivery in around.into_iter().chain([behind]) {
            soon(delivery).await.unwrap();
        }
        soon(shared.send(message("after"))).await.unwrap();
        until("all have ended", || shared.stats().in_flight == 0).await;
    }
    println!("{done} of 72 were done before they were dropped");
    assert_nothing_left(&shared).await;
    assert!(soon(shared.close(HOUR)).await.is_clean());
    let texts = texts(&broker).await;
    let count = |part: &str| texts.iter().filter(|text| text.starts_with(part)).count();
    assert_eq!([count("neighbour"), count("behind"), count("after")], [72, 24, 24]);
    assert!(["plain", "ordered", "oneway", "entering"].iter().all(|part| count(part) <= 24));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_at_every_poll_with_a_quick_broker() {
    drop_at_every_poll(false, send().pass()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_at_every_poll_with_a_slow_broker() {
    drop_at_every_poll(false, send().after_store().delay(ms(7))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_at_every_poll_with_a_busy_broker() {
    drop_at_every_poll(false, send().every(4).refuse(ResponseCode::SYSTEM_BUSY)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_at_every_poll_before_the_route_is_known() {
    drop_at_every_poll(true, route().delay(ms(5))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_has_left_runs_to_its_end_on_its_own() {
    let (broker, producer) = one_warm_broker().await;
    broker.fault(send().first(1).refuse(ResponseCode::SERVICE_NOT_AVAILABLE)).unwrap();
    broker.pause().await.unwrap();
    let mut sent = Box::pin(producer.send(message("left")));
    assert!(poll_once(sent.as_mut()).is_none());
    until_in_flight(&producer, 1).await;
    drop(sent);
    broker.resume().await.unwrap();
    until("it has ended", || producer.stats().in_flight == 0).await;
    let stats = producer.stats();
    assert_eq!((stats.acked, stats.withdrawn), (2, 0), "{stats:?}");
    assert_eq!(texts(&broker).await, ["warm", "left"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_a_delivery_cancels_nothing() {
    let (broker, producer) = one_broker().await;
    for n in 0..100 {
        drop(producer.enqueue(message(n)).await.unwrap());
    }
    broker.wait_for("t", 100, HANG).await.unwrap();
    until("all have ended", || producer.stats().acked == 100).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runtime_that_is_aborted_in_the_middle_leaves_the_brokers_alone() {
    let (broker, producer) = one_broker().await;
    let connects = Fault::on(On::Connect).port(broker.address().port());
    let connects = broker.fault(connects.pass()).unwrap();
    let heartbeats = broker.fault(Fault::on(On::Heartbeat).pass()).unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..200 {
        let producer = producer.clone();
        tasks.spawn(async move { producer.send(message(n)).await });
    }
    tokio::time::sleep(ms(3)).await;
    tasks.abort_all();
    while soon(tasks.join_next()).await.is_some() {}
    until("all have ended", || producer.stats().in_flight == 0).await;
    assert_all_ended(&producer);
    soon(producer.send(message("after"))).await.unwrap();
    heartbeats.wait_for(1, HANG).await.unwrap();
    assert_eq!(connects.hits(), 1, "no half frame has ended the connection");
    assert_eq!(texts(&broker).await.last().unwrap(), "after");
}
