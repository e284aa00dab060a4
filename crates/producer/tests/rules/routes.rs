//! Routes that are not true, heartbeats, and connections that do not come about.

use std::time::Duration;

use posthaste::{Message, Outcome, Producer, SendError, TopicUpdate};
use posthaste_broker::{Broker, Fault, FaultRule, On};

use crate::support::{DEADLINE, HANG, soon};

async fn start(fault: Option<Fault>) -> (Broker, Producer) {
    let broker = Broker::builder().topic("orders", 4).start().await.unwrap();
    if let Some(fault) = fault {
        broker.fault(fault).unwrap();
    }
    let producer = Producer::builder("rules", broker.name_server().to_string());
    let producer = producer.send_timeout(HANG).retries(0).start().await.unwrap();
    (broker, producer)
}

fn route() -> Fault {
    Fault::on(On::Route).topic("orders")
}

/// How a send ends that has some time, once the rule is hit: on a busy machine the time may be over
/// before.
async fn once_it_is_hit(producer: &Producer, rule: &FaultRule) -> SendError {
    let hasty = producer.with_timeout(DEADLINE);
    soon(async {
        loop {
            let error = hasty.send(Message::new("orders", "x")).await.unwrap_err();
            if rule.hits() >= 1 {
                return error;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_route_that_leads_nowhere_stores_nothing() {
    for (name, fault) in [
        ("empty", route().empty()),
        ("no master", route().without_master()),
        ("no queues", route().queues(0)),
        ("no write permission", route().without_write_permission()),
        ("another address", route().another_address("127.0.0.1:1")),
    ] {
        let (broker, producer) = start(Some(fault)).await;
        let error = once_it_is_hit(&producer, &broker.faults()[0]).await;
        assert_eq!(error.outcome(), Outcome::NotStored, "{name}: {error}");
        assert_eq!(broker.stats().messages, 0, "{name}");
    }
}

#[tokio::test]
async fn a_route_is_unknown_for_a_while() {
    let (broker, producer) = start(Some(route().first(1).unknown())).await;
    // The name server does not know it; the default topic's route stands in.
    producer.send(Message::new("orders", "x")).await.unwrap();
    assert_eq!(broker.faults()[0].hits(), 1);
}

#[tokio::test]
async fn a_route_with_fewer_queues_is_followed() {
    let (_broker, producer) = start(Some(route().queues(1))).await;
    for _ in 0..8 {
        let receipt = producer.send(Message::new("orders", "x")).await.unwrap();
        assert_eq!(receipt.queue().id(), 0);
    }
}

/// The queues that the topic has at the broker, whatever routes say.
async fn queues_of_orders(broker: &Broker) -> u16 {
    let topics = broker.topics().await.unwrap();
    topics.iter().find(|topic| topic.name == "orders").unwrap().write_queues
}

#[tokio::test]
async fn a_stale_route_is_the_old_one() {
    let (broker, producer) = start(None).await;
    let stale = broker.fault(route().stale_by(HANG * 100)).unwrap();
    let admin = producer.admin();
    assert_eq!(admin.publish_queues("orders").await.unwrap().len(), 4);
    // It is changed, and the name server never shows it.
    let impatient = producer.with_timeout(DEADLINE).admin();
    impatient.update_topic("orders", &TopicUpdate::new().queues(8)).await.unwrap_err();
    soon(async { while queues_of_orders(&broker).await != 8 {} }).await;
    assert_eq!(admin.publish_queues("orders").await.unwrap().len(), 4);
    stale.remove();
    assert_eq!(admin.publish_queues("orders").await.unwrap().len(), 8);
}

#[tokio::test]
async fn connections_that_do_not_come_about_are_tried_again() {
    let second = Duration::from_millis(10);
    for (name, fault) in [
        ("close", Fault::on(On::Connect).first(2).close()),
        ("reset", Fault::on(On::Connect).first(2).reset()),
        ("garbage", Fault::on(On::Connect).first(2).garbage()),
        ("delay", Fault::on(On::Connect).first(2).delay(second)),
    ] {
        let broker = Broker::builder().topic("orders", 4).start().await.unwrap();
        let rule = broker.fault(fault).unwrap();
        let producer = Producer::builder("rules", broker.name_server().to_string());
        let producer = producer.send_timeout(HANG).retries(9).start().await.unwrap();
        let sent = producer.send(Message::new("orders", "x")).await;
        sent.unwrap_or_else(|error| panic!("{name}: {error}"));
        rule.wait_for(2, HANG).await.unwrap();
    }
}

#[tokio::test]
async fn a_connection_that_nobody_listens_to_is_silent() {
    let (broker, producer) = start(None).await;
    let silent = broker.fault(Fault::on(On::Connect).no_answer()).unwrap();
    let error = once_it_is_hit(&producer, &silent).await;
    assert_eq!(error.outcome(), Outcome::NotStored, "{error}");
    broker.stop().await;
}
