//! Asking a producer whether it can reach its cluster.

use std::time::Duration;

use posthaste_protocol::RequestCode;
use posthaste_protocol::request::TopicRoute;

use crate::fake::{Broker, NameServer, Say, broker_data, producer, queue_data, refusing, soon};

const LONG: Duration = Duration::from_secs(3600);
/// Long enough to ask on a busy machine; what is missing is asked for as long as that.
const SHORT: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_ready_once_a_master_of_each_topic_answers() {
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 4).await;
    let producer = producer(&[&server]).topics(["t", "u"]).start().await.unwrap();
    soon(producer.ready(LONG)).await.unwrap();
    assert!(!broker.heartbeats().is_empty());
    assert_eq!((broker.seen_count(), broker.count_of(RequestCode(17))), (0, 0), "nothing is sent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_topics_the_answer_of_a_name_server_will_do() {
    let server = NameServer::start().await;
    let producer = producer(&[&server]).start().await.unwrap();
    soon(producer.ready(LONG)).await.unwrap();
    let nowhere = posthaste::Producer::builder("ready", refusing().await).start().await.unwrap();
    let error = soon(nowhere.ready(SHORT)).await.unwrap_err();
    assert_eq!(error.missing().len(), 1);
    assert!(error.to_string().contains("no name server answered"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_is_listed() {
    let (broker, gone) = (Broker::start("a").await, refusing().await);
    let server = NameServer::of(&[&broker], 4).await;
    let dead = TopicRoute {
        brokers: vec![broker_data("dead", &gone)],
        queues: vec![queue_data("dead", 4, 6)],
        ..TopicRoute::default()
    };
    let none = TopicRoute { queues: vec![queue_data("dead", 4, 4)], ..dead.clone() };
    server.say("dead", Say::Route(dead));
    server.say("read-only", Say::Route(none));
    server.say("unknown", Say::Code(17));
    server.say("TBW102", Say::Code(17));
    let topics = ["unknown", "t", "dead", "read-only"];
    let producer = producer(&[&server]).topics(topics).start().await.unwrap();
    let error = soon(producer.ready(SHORT)).await.unwrap_err();
    let missing = error.missing();
    assert_eq!(missing.len(), 3, "{missing:?}");
    for (line, words) in missing.iter().zip([
        &["topic unknown", "no name server has a route"][..],
        &["topic dead", "broker dead at", &gone],
        &["topic read-only", "no master"],
    ]) {
        assert!(words.iter().all(|word| line.contains(word)), "{line}: {words:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_waits_for_what_comes_up() {
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 4).await;
    broker.down();
    let producer = producer(&[&server]).topics(["t"]).start().await.unwrap();
    let asking = tokio::spawn({
        let producer = producer.clone();
        async move { producer.ready(LONG).await }
    });
    crate::fake::until("it was asked for", || server.asked("t") > 2).await;
    assert!(!asking.is_finished());
    broker.up().await;
    soon(asking).await.unwrap().unwrap();
    soon(producer.close(LONG)).await;
    let error = soon(producer.ready(LONG)).await.unwrap_err();
    assert!(error.to_string().contains("closed"), "{error}");
}
