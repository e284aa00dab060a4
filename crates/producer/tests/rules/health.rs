//! Brokers that are slow or do not answer are left out, and taken back.

use std::time::Duration;

use posthaste::{FaultAvoidance, MessageQueue, Outcome, Producer, ResponseCode};
use posthaste_broker::{Broker, Cluster, Fault, FaultRule, On};
use posthaste_protocol::RequestCode;

use crate::servers::{broker, cluster, message, ms, one_broker, producer, send, texts};
use crate::support::{assert_all_ended, soon};

/// Two brokers and a producer that leaves out a broker for ten minutes when an answer took so long,
/// or none came, and asks it every 50 ms.
async fn sensitive_to(latency: Duration) -> (Cluster, Producer) {
    let cluster = cluster().await;
    let avoidance = FaultAvoidance::default()
        .latencies([(latency, ms(600_000))])
        .unanswered(ms(600_000))
        .probe(ms(50), ms(5_000));
    let builder = producer(cluster.name_server()).fault_avoidance(avoidance).batching(false);
    (cluster, builder.start().await.unwrap())
}

/// Rules that count the sends to a broker, have it misbehave, and have it silent when it is asked how
/// it is.
fn ill(broker: &Broker, fault: Fault) -> [FaultRule; 3] {
    let asked = Fault::on(On::Code(RequestCode::GET_MAX_OFFSET.0));
    [send().pass(), fault, asked.no_answer()].map(|fault| broker.fault(fault).unwrap())
}

/// Sends until the rule has counted another message.
async fn until_seen(producer: &Producer, seen: &FaultRule) {
    let before = seen.hits();
    for n in 0..1000 {
        soon(producer.send(message(n))).await.unwrap();
        if seen.hits() > before {
            return;
        }
        tokio::time::sleep(ms(5)).await;
    }
    panic!("the broker gets nothing");
}

/// A broker of two is ill, is left out, and is taken back when it is well again.
async fn is_left_out_and_taken_back(latency: Duration, patience: Duration, fault: Fault) {
    let (cluster, producer) = sensitive_to(latency).await;
    let [a, b] = cluster.brokers() else { panic!("two brokers") };
    let [seen, ill, unasked] = ill(a, fault);
    until_seen(&producer.with_timeout(patience), &seen).await;
    let hits = seen.hits();
    for n in 0..100 {
        soon(producer.send(message(n))).await.unwrap();
    }
    assert_eq!(seen.hits(), hits, "it is left out");
    assert!(b.stats().messages >= 100);
    ill.remove();
    unasked.remove();
    until_seen(&producer, &seen).await;
    assert_all_ended(&producer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_broker_is_left_out_until_it_answers_quickly() {
    // Longer than a busy machine makes it.
    let slow = send().after_store().delay(ms(2_500));
    is_left_out_and_taken_back(ms(2_000), ms(600_000), slow).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_does_not_answer_is_left_out_too() {
    for fault in [send().close(), send().no_answer()] {
        is_left_out_and_taken_back(ms(600_000), ms(4_000), fault).await;
    }
}

/// When all are left out, none is; and what has to go to a broker goes there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_broker_is_never_left_out() {
    let (cluster, producer) = sensitive_to(ms(100)).await;
    for broker in cluster.brokers() {
        ill(broker, send().after_store().delay(ms(150)));
    }
    for n in 0..6 {
        soon(producer.send(message(n))).await.unwrap();
    }
    let queue = MessageQueue::new("t", "dev-0", 1);
    let receipt = soon(producer.send(message(9).queue(queue.clone()))).await.unwrap();
    assert_eq!(receipt.queue(), &queue);
    assert!(cluster.brokers().iter().all(|broker| broker.stats().messages > 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn turned_off_a_slow_broker_gets_its_share() {
    let cluster = cluster().await;
    let builder = producer(cluster.name_server()).fault_avoidance(FaultAvoidance::off());
    let producer = builder.start().await.unwrap();
    cluster.brokers()[0].fault(send().after_store().delay(ms(600))).unwrap();
    for n in 0..8 {
        soon(producer.send(message(n))).await.unwrap();
    }
    assert!(cluster.brokers().iter().all(|broker| broker.stats().messages == 4));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn further_codes_can_be_worth_another_attempt() {
    let (broker, plain) = one_broker().await;
    let codes = [ResponseCode::ILLEGAL_OPERATION, ResponseCode::MESSAGE_ILLEGAL];
    let refuse_each_once = || codes.map(|code| broker.fault(send().first(1).refuse(code)).unwrap());
    let rules = refuse_each_once();
    let error = soon(plain.send(message(0))).await.unwrap_err();
    assert_eq!(error.attempts().len(), 1);
    rules.iter().for_each(FaultRule::remove);

    let builder = producer(broker.name_server()).retry_codes(codes);
    let producer = builder.start().await.unwrap();
    refuse_each_once();
    soon(producer.send(message(1))).await.unwrap();
    broker.fault(send().refuse(codes[0])).unwrap();
    let error = soon(producer.send(message(2))).await.unwrap_err();
    assert_eq!((error.attempts().len(), error.outcome()), (3, Outcome::NotStored));
    assert_eq!(texts(&broker).await, ["1"]);
}

/// With an only broker, an attempt has all the time there is, unless a setting limits it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_can_be_cut_short() {
    let broker = broker(1).await;
    let builder = producer(broker.name_server()).attempt_timeout(ms(500)).retries(2);
    let producer = builder.start().await.unwrap();
    soon(producer.send(message(9))).await.unwrap();
    let seen = broker.fault(send().pass()).unwrap();
    broker.fault(send().first(2).no_answer()).unwrap();
    soon(producer.send(message(0))).await.unwrap();
    assert_eq!(seen.hits(), 3);
    // The last attempt has all that is left.
    broker.fault(send().first(2).no_answer()).unwrap();
    broker.fault(send().after_store().delay(ms(1_000))).unwrap();
    soon(producer.send(message(1))).await.unwrap();
    assert_eq!(seen.hits(), 6);
    assert_eq!(texts(&broker).await, ["9", "0", "1"]);
}
