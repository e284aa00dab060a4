//! Servers that stop in order: they send away what comes, and answer what they have.

use std::time::{Duration, Instant};

use posthaste::{ErrorKind, Outcome};
use posthaste_broker::{Broker, Fault, FaultRule, On};

use crate::servers::{broker, keyed, message, ms, one_broker, producer, send, texts, two_brokers};
use crate::support::{DEADLINE, HANG, assert_all_ended, soon};

/// A rule that counts the connections to the broker's own port.
fn connections(broker: &Broker) -> FaultRule {
    broker.fault(Fault::on(On::Connect).port(broker.address().port()).pass()).unwrap()
}

/// A neighbour that is never answered must not keep the others from the new connection, and ends as
/// it would have.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_without_an_answer_holds_up_nobody() {
    let broker = broker(4).await;
    let connections = connections(&broker);
    let silent = broker.fault(send().key("lost").no_answer()).unwrap();
    broker.fault(send().first(1).go_away()).unwrap();
    let builder = producer(broker.name_server()).async_retries(0).batching(false);
    let producer = builder.start().await.unwrap();
    let endless = producer.enqueue(message("lost").key("lost")).await.unwrap();
    silent.wait_for(1, HANG).await.unwrap();
    let hasty = producer.with_timeout(DEADLINE);
    let lost = hasty.enqueue(message("lost").key("lost")).await.unwrap();
    silent.wait_for(2, HANG).await.unwrap();
    soon(producer.send(message("x"))).await.unwrap();
    assert_eq!((connections.hits(), texts(&broker).await), (2, vec!["x".to_owned()]));
    let error = soon(lost).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, Outcome::Unknown));
    soon(producer.close(Duration::ZERO)).await;
    soon(endless).await.unwrap_err();
    assert_all_ended(&producer);
}

/// Sent away for a second time a message looks for another broker.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stays_away_is_left_for_another() {
    let (cluster, producer) = two_brokers().await;
    let [a, b] = cluster.brokers() else { panic!("two brokers") };
    let away = a.fault(send().go_away()).unwrap();
    for n in 0..20 {
        let receipt = soon(producer.send(message(n))).await.unwrap();
        assert_eq!(receipt.queue().broker(), b.name());
    }
    assert_eq!((a.stats().messages, b.stats().messages), (0, 20));
    assert_eq!(away.hits(), 2 * producer.stats().retries, "each of them twice");
}

/// Without another one a send ends, and the producer does not dial without pause.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_says_nothing_else_is_no_storm() {
    let (broker, producer) = one_broker().await;
    let connections = connections(&broker);
    broker.fault(send().go_away()).unwrap();
    let begun = Instant::now();
    let mut sends = 0;
    while begun.elapsed() < Duration::from_secs(3) {
        let error = soon(producer.send(message("x"))).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::Unavailable, Outcome::NotStored));
        sends += 1;
    }
    let most = 27 * begun.elapsed().as_secs() + 1;
    assert!(connections.hits() < most, "{} for {sends} sends", connections.hits());
    assert_eq!(broker.stats().messages, 0);
    assert_all_ended(&producer);
}

/// Servers come and go under load: order is kept, nothing is lost or stored twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_come_and_go_cost_nothing() {
    let broker = broker(2).await;
    let connections = connections(&broker);
    // Of 40 sends one is sent away, and more lie between two of them than are on their way: no message
    // meets it twice. The others are answered slowly.
    broker.fault(send().every(40).go_away()).unwrap();
    broker.fault(send().after_store().delay(ms(3))).unwrap();
    let builder = producer(broker.name_server()).async_retries(0).batching(false).max_window(16);
    let producer = builder.start().await.unwrap();
    let mut deliveries = Vec::new();
    for n in 0..1500 {
        let plain = message(format!("plain:{n}"));
        let message = if n % 3 == 0 { plain } else { keyed(n, "key") };
        deliveries.push(producer.enqueue(message).await.unwrap());
    }
    for delivery in deliveries {
        soon(delivery).await.unwrap();
    }
    let texts = texts(&broker).await;
    assert_eq!(texts.len(), 1500);
    let ordered: Vec<usize> = texts.iter().filter_map(|text| text.parse().ok()).collect();
    assert_eq!(ordered.len(), 1000);
    assert!(ordered.is_sorted(), "{ordered:?}");
    assert!(connections.hits() > 20, "{}", connections.hits());
    assert_eq!(producer.stats().unknown, 0);
    assert_all_ended(&producer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_ends_what_is_on_a_retiring_connection() {
    let (broker, producer) = one_broker().await;
    let kept = broker.fault(send().key("kept").after_store().no_answer()).unwrap();
    broker.fault(send().first(1).go_away()).unwrap();
    let unanswered = producer.enqueue(message("kept").key("kept")).await.unwrap();
    kept.wait_for(1, HANG).await.unwrap();
    soon(producer.send(message("sent away"))).await.unwrap();
    let report = soon(producer.close(ms(300))).await;
    assert_eq!(report.undelivered.len(), 1);
    let error = soon(unanswered).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Closed, Outcome::Unknown));
    assert_eq!(texts(&broker).await, ["kept", "sent away"]);
    assert_all_ended(&producer);
}
