//! Brokers that are slow or do not answer are left out, and taken back.

use std::time::Duration;

use posthaste::{FaultAvoidance, Message, Outcome, Producer, ResponseCode};

use crate::fake::{self, Action, Broker, NameServer, assert_all_ended, soon};

fn message(n: usize) -> Message {
    Message::new("t", n.to_string())
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Two brokers and a producer that leaves out a broker for ten minutes when an answer took so long,
/// or none came, and asks it every 50 ms.
async fn sensitive_to(latency: Duration) -> (Broker, Broker, NameServer, Producer) {
    let (a, b) = (Broker::start("a").await, Broker::start("b").await);
    let server = NameServer::of(&[&a, &b], 4).await;
    let avoidance = FaultAvoidance::default()
        .latencies([(latency, ms(600_000))])
        .unanswered(ms(600_000))
        .probe(ms(50), ms(5_000));
    let builder = fake::producer(&[&server]).fault_avoidance(avoidance).batching(false);
    (a, b, server, builder.start().await.unwrap())
}

/// Sends until this broker has got a message.
async fn until_seen(producer: &Producer, broker: &Broker) {
    let before = broker.seen_count();
    for n in 0..1000 {
        soon(producer.send(message(n))).await.unwrap();
        if broker.seen_count() > before {
            return;
        }
        tokio::time::sleep(ms(5)).await;
    }
    panic!("{} gets nothing", broker.name());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_broker_is_left_out_until_it_answers_quickly() {
    // Longer than a busy machine makes it.
    let (a, b, _server, producer) = sensitive_to(ms(2_000)).await;
    // It is slow, and does not answer when asked how it is.
    a.answer_others(false);
    a.always(Action::ok().after(ms(2_500)));
    until_seen(&producer, &a).await;
    let seen = a.seen_count();
    for n in 0..100 {
        soon(producer.send(message(n))).await.unwrap();
    }
    assert_eq!(a.seen_count(), seen, "it is left out");
    assert!(b.seen_count() >= 100);
    a.always(Action::ok());
    a.answer_others(true);
    until_seen(&producer, &a).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_does_not_answer_is_left_out_too() {
    for closes in [false, true] {
        let (a, b, _server, producer) = sensitive_to(ms(600_000)).await;
        a.answer_others(false);
        a.always(if closes { Action::close() } else { Action::ignore() });
        let brief = producer.with_timeout(ms(4_000));
        until_seen(&brief, &a).await;
        let seen = a.seen_count();
        for n in 0..100 {
            soon(producer.send(message(n))).await.unwrap();
        }
        assert_eq!(a.seen_count(), seen, "it is left out");
        assert!(b.seen_count() >= 100);
        a.always(Action::ok());
        a.answer_others(true);
        until_seen(&producer, &a).await;
        assert_all_ended(&producer);
    }
}

/// When all are left out, none is; and what has to go to a broker goes there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_broker_is_never_left_out() {
    let (a, b, _server, producer) = sensitive_to(ms(100)).await;
    for broker in [&a, &b] {
        broker.answer_others(false);
        broker.always(Action::ok().after(ms(150)));
    }
    for n in 0..6 {
        soon(producer.send(message(n))).await.unwrap();
    }
    let queue = posthaste::MessageQueue::new("t", "a", 1);
    let receipt = soon(producer.send(message(9).queue(queue.clone()))).await.unwrap();
    assert_eq!(receipt.queue(), &queue);
    assert!(a.seen_count() > 0 && b.seen_count() > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn turned_off_a_slow_broker_gets_its_share() {
    let (a, b) = (Broker::start("a").await, Broker::start("b").await);
    let server = NameServer::of(&[&a, &b], 4).await;
    let builder = fake::producer(&[&server]).fault_avoidance(FaultAvoidance::off());
    let producer = builder.start().await.unwrap();
    a.always(Action::ok().after(ms(600)));
    for n in 0..8 {
        soon(producer.send(message(n))).await.unwrap();
    }
    assert_eq!((a.seen_count(), b.seen_count()), (4, 4));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn further_codes_can_be_worth_another_attempt() {
    let (broker, server, plain) = fake::one_broker().await;
    let refusals = || [Action::refuse(604, "no"), Action::refuse(13, "no")];
    broker.first(refusals());
    let error = soon(plain.send(message(0))).await.unwrap_err();
    assert_eq!(error.attempts().len(), 1);

    let codes = [ResponseCode::ILLEGAL_OPERATION, ResponseCode::MESSAGE_ILLEGAL];
    let producer = fake::producer(&[&server]).retry_codes(codes).start().await.unwrap();
    broker.first(refusals());
    soon(producer.send(message(1))).await.unwrap();
    broker.always(Action::refuse(604, "no"));
    let error = soon(producer.send(message(2))).await.unwrap_err();
    assert_eq!((error.attempts().len(), error.outcome()), (3, Outcome::NotStored));
}

/// With an only broker, an attempt has all the time there is, unless a setting limits it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_can_be_cut_short() {
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 4).await;
    let builder = fake::producer(&[&server]).attempt_timeout(ms(500)).retries(2);
    let producer = builder.start().await.unwrap();
    soon(producer.send(message(9))).await.unwrap();
    broker.forget();
    broker.first([Action::ignore(), Action::ignore()]);
    soon(producer.send(message(0))).await.unwrap();
    assert_eq!(broker.seen_count(), 3);
    // The last attempt has all that is left.
    broker.first([Action::ignore(), Action::ignore(), Action::ok().after(ms(1_000))]);
    soon(producer.send(message(1))).await.unwrap();
    assert_eq!(broker.seen_count(), 6);
}
