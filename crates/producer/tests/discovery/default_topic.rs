//! The topic that brokers make new ones like (Java: `createTopicKey`).

use std::time::Duration;

use posthaste::{ErrorKind, Message, StartError};

use crate::fake::{Broker, NameServer, Say, producer, route, soon};

/// What a broker learned of it with the first send that it saw.
fn told(broker: &Broker) -> Option<String> {
    broker.requests().iter().find_map(|one| one.fields.get("c").map(str::to_owned))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_topic_is_made_like_the_one_that_is_named() {
    for (template, tbw102) in [(true, false), (false, true), (true, true)] {
        let (broker, other) = (Broker::start("a").await, Broker::start("b").await);
        let server = NameServer::start().await;
        if template {
            server.say("template", Say::Route(route(&[&broker], 4)));
        }
        if tbw102 {
            let there = if template { &other } else { &broker };
            server.say("TBW102", Say::Route(route(&[there], 4)));
        }
        let builder = producer(&[&server]).create_topic_key("template");
        let producer = builder.send_timeout(Duration::from_secs(20)).start().await.unwrap();
        soon(producer.send(Message::new("new", "x"))).await.unwrap();
        assert_eq!((broker.stored_count(), other.stored_count()), (1, 0));
        assert_eq!(told(&broker).as_deref(), Some("template"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_either_the_topic_is_missing() {
    let server = NameServer::start().await;
    let builder = producer(&[&server]).create_topic_key("template");
    let producer = builder.start().await.unwrap();
    let error = soon(producer.send(Message::new("new", "x"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoTopic);
    assert!(error.to_string().contains("template or TBW102"), "{error}");
    let error = self::producer(&[&server]).create_topic_key("a b").start().await.unwrap_err();
    assert!(matches!(&error, StartError::Setting(why) if why.contains("create_topic_key")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unless_told_otherwise_it_is_javas() {
    let broker = Broker::start("a").await;
    let server = NameServer::start().await;
    server.say("TBW102", Say::Route(route(&[&broker], 4)));
    let producer = producer(&[&server]).start().await.unwrap();
    soon(producer.send(Message::new("new", "x"))).await.unwrap();
    assert_eq!(told(&broker).as_deref(), Some("TBW102"));
}
