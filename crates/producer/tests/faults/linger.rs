//! Lingering, and flushing.

use std::time::{Duration, Instant};

use posthaste::{Message, Producer, ProducerBuilder, StartError};

use crate::fake::{
    self, Action, Broker, DEADLINE, HOUR, NameServer, Say, route, settled, soon, until,
};

fn message(n: usize) -> Message {
    Message::new("t", n.to_string())
}

/// A broker, its name server, and a producer whose messages linger for an hour, and have two.
async fn lingering(
    set: impl FnOnce(ProducerBuilder) -> ProducerBuilder,
) -> (Broker, NameServer, Producer) {
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 4).await;
    let builder = fake::producer(&[&server]).send_timeout(4 * HOUR).linger(HOUR, 1 << 20);
    let producer = set(builder).start().await.unwrap();
    (broker, server, producer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_ends_a_linger_of_an_hour() {
    let (broker, _server, producer) = lingering(|builder| builder).await;
    let mut deliveries = Vec::new();
    for n in 0..10 {
        deliveries.push(soon(producer.enqueue(message(n))).await.unwrap());
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(broker.seen_count(), 0, "they linger");
    assert!(soon(producer.close(HOUR)).await.is_clean());
    for delivery in deliveries {
        soon(delivery).await.unwrap();
    }
    assert_eq!(broker.seen()[0].together, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flush_awaits_what_was_accepted_and_nothing_else() {
    let (broker, _server, producer) = lingering(|builder| builder).await;
    soon(producer.flush()).await;
    for round in 0..5 {
        let mut deliveries = Vec::new();
        for n in 0..10 {
            deliveries.push(soon(producer.enqueue(message(n))).await.unwrap());
        }
        // Two at once: each awaits all that came before it.
        soon(async { tokio::join!(producer.flush(), producer.flush()) }).await;
        assert_eq!(broker.stored_count(), 10 * (round + 1));
        for delivery in deliveries {
            assert!(fake::poll_once(std::pin::pin!(delivery)).unwrap().is_ok());
        }
    }
    // What is accepted while a flush waits is not waited for, and does not linger.
    broker.always(Action::ok().at_the_gate());
    let _first = soon(producer.enqueue(message(0))).await.unwrap();
    let mut flush = std::pin::pin!(producer.flush());
    assert!(fake::poll_once(flush.as_mut()).is_none());
    until("it has left", || broker.seen_count() == 51).await;
    broker.always(Action::ignore());
    let _second = soon(producer.enqueue(message(1))).await.unwrap();
    broker.open_gate(1);
    soon(flush).await;
    until("the second has left", || broker.seen_count() == 52).await;
    assert_eq!(producer.stats().in_flight, 1);
    // Dropped half way, a flush leaves the next one its turn.
    let mut dropped = Box::pin(producer.flush());
    assert!(fake::poll_once(dropped.as_mut()).is_none());
    drop(dropped);
    broker.down();
    broker.up().await;
    broker.always(Action::ok());
    soon(producer.flush()).await;
    assert_eq!(settled(&producer).in_flight, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn enough_messages_or_bytes_end_it() {
    let (broker, _server, producer) = lingering(|builder| builder.linger(HOUR, 2000)).await;
    let sends: Vec<_> = (0..10).map(|n| soon_send(&producer, n)).collect();
    let mut tasks = tokio::task::JoinSet::new();
    sends.into_iter().for_each(|send| drop(tasks.spawn(send)));
    // About 150 bytes of each are stored; 2,000 are not there yet.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(broker.seen_count(), 0);
    for n in 10..20 {
        tasks.spawn(soon_send(&producer, n));
    }
    until("they have left", || broker.stored_count() >= 14).await;
    assert!(broker.seen()[0].together >= 10, "{}", broker.seen()[0].together);
    soon(producer.flush()).await;
    assert_eq!(broker.stored_count(), 20);
    soon(tasks.join_all()).await;

    let (broker, _server, producer) = lingering(|builder| builder).await;
    for n in 0..1024 {
        drop(soon(producer.enqueue(message(n))).await.unwrap());
    }
    until("1,024 have left", || broker.stored_count() == 1024).await;
}

/// The linger that ended is over with the last that left, also when there was no room after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_while_the_window_is_full_lingers_anew() {
    let builder = |builder: ProducerBuilder| builder.linger(HOUR, 1000).max_window(1);
    let (broker, _server, producer) = lingering(builder).await;
    broker.always(Action::ok().at_the_gate());
    let enough = Message::new("t", vec![b'x'; 1000]);
    let first = soon(producer.enqueue(enough)).await.unwrap();
    until("it has left", || broker.seen_count() == 1).await;
    let _second = soon(producer.enqueue(message(1))).await.unwrap();
    broker.open_gate(2);
    soon(first).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(broker.seen_count(), 1, "the second lingers");
}

/// What a busy broker refused has lingered already.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_refused_does_not_linger_again() {
    let (broker, _server, producer) = lingering(|builder| builder.max_window(1)).await;
    broker.first([Action::refuse(2, "busy").at_the_gate()]);
    let delivery = soon(producer.enqueue(message(1))).await.unwrap();
    {
        let mut flush = std::pin::pin!(producer.flush());
        assert!(fake::poll_once(flush.as_mut()).is_none());
        until("it has left", || broker.seen_count() == 1).await;
    }
    broker.open_gate(1);
    soon(delivery).await.unwrap();
    assert_eq!(producer.stats().busy, 1);
}

fn soon_send(producer: &Producer, n: usize) -> impl Future<Output = ()> + Send + use<> {
    let producer = producer.clone();
    async move { drop(producer.send(message(n)).await.unwrap()) }
}

/// Of several topics and brokers each lingers, and all leave.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_line_leaves_at_the_end() {
    let (a, b) = (Broker::start("a").await, Broker::start("b").await);
    let server = NameServer::start().await;
    server.otherwise(Say::Route(route(&[&a, &b], 2)));
    // Long enough to hand all over, also on a busy machine.
    let linger = Duration::from_secs(2);
    let producer = fake::producer(&[&server]).linger(linger, 1 << 20).start().await.unwrap();
    let mut deliveries = Vec::new();
    for n in 0..400 {
        let message = Message::new(format!("t{}", n % 20), n.to_string());
        deliveries.push(soon(producer.enqueue(message)).await.unwrap());
    }
    for delivery in deliveries {
        soon(delivery).await.unwrap();
    }
    let requests = |broker: &Broker| {
        let seen = broker.seen();
        let opaques: std::collections::HashSet<_> =
            seen.iter().map(|one| (one.connection, one.opaque)).collect();
        (opaques.len(), seen.len())
    };
    let ((requests_a, seen_a), (requests_b, seen_b)) = (requests(&a), requests(&b));
    assert_eq!(seen_a + seen_b, 400);
    assert!(requests_a + requests_b < 200, "{requests_a} and {requests_b} requests");
}

/// A send that has less time than it would linger leaves in good time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_expires_by_lingering() {
    let (broker, _server, producer) = lingering(|builder| builder).await;
    let long = producer.enqueue(message(0)).await.unwrap();
    let brief = producer.with_timeout(2 * DEADLINE);
    let began = Instant::now();
    soon(brief.send(message(1))).await.unwrap();
    assert!(began.elapsed() >= DEADLINE * 8 / 10, "it did not linger");
    soon(long).await.unwrap();
    assert_eq!(broker.seen()[0].together, 2);
}

/// Those that go alone do not wait, and neither do ordered ones.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_alone_leaves_at_once() {
    let (broker, _server, producer) = lingering(|builder| builder).await;
    soon(producer.send(message(0).delay_level(1))).await.unwrap();
    soon(producer.send(message(1).order_by("k"))).await.unwrap();
    soon(producer.send_batch([message(2), message(3)])).await.unwrap();
    assert_eq!(broker.stored_count(), 4);
}

#[tokio::test]
async fn without_batching_it_is_refused() {
    let builder = Producer::builder("g", "127.0.0.1:1").batching(false);
    let error = builder.linger(Duration::from_millis(1), 1).start().await.unwrap_err();
    assert!(matches!(&error, StartError::Setting(text) if text.contains("batching")), "{error}");
}
