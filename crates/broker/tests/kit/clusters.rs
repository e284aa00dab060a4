//! Several brokers behind one name server.

use std::collections::BTreeSet;

use posthaste::{Message, MessageQueue, Outcome, Producer, ResponseCode};
use posthaste_broker::{Broker, BrokerError, Cluster, Decision, Restart};
use posthaste_protocol::request::{BrokerData, RouteOf};
use tokio::net::{TcpListener, TcpStream};

use crate::HANG;
use crate::support::{Client, message};

async fn producer(cluster: &Cluster) -> Producer {
    let builder = Producer::builder("orders-service", cluster.name_server().to_string());
    let checker = |_| std::future::pending();
    builder.send_timeout(HANG).transaction_checker(checker).start().await.unwrap()
}

async fn start() -> (Cluster, Producer) {
    let cluster = Cluster::builder().slave_of(0).topic("orders", 4).start().await.unwrap();
    let producer = producer(&cluster).await;
    (cluster, producer)
}

fn to(broker: &str, queue: i32, body: &'static str) -> Message {
    Message::new("orders", body).queue(MessageQueue::new("orders", broker, queue))
}

/// What the name server says of `orders`: names of brokers, and the ids of those that are up.
async fn route(cluster: &Cluster) -> Vec<(String, Vec<i64>)> {
    let mut client = Client::connect(cluster.name_server()).await;
    let route = client.call(&RouteOf { topic: "orders".into(), standard_json: None }).await;
    assert!(
        route
            .queues
            .iter()
            .map(|q| &q.broker_name)
            .eq(route.brokers.iter().map(|b| &b.broker_name))
    );
    let ids = |broker: BrokerData| broker.broker_addrs.into_keys().collect();
    route.brokers.into_iter().map(|broker| (broker.broker_name.clone(), ids(broker))).collect()
}

/// The names of the brokers that have got messages which are sent now.
async fn receivers(producer: &Producer) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for _ in 0..20 {
        let receipt = producer.send(Message::new("orders", "x")).await.unwrap();
        names.insert(receipt.queue().broker().to_owned());
    }
    names
}

fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn messages_are_spread_over_the_masters() {
    let (cluster, producer) = start().await;
    assert_eq!(receivers(&producer).await, names(["dev-0", "dev-1"]));
    assert_eq!(cluster.messages("orders").await.unwrap().len(), 20);
    for broker in cluster.brokers() {
        assert!(!broker.messages("orders").await.unwrap().is_empty());
    }
    assert!(cluster.slaves()[0].messages("orders").await.unwrap().is_empty());
    let addresses: BTreeSet<_> = cluster
        .brokers()
        .iter()
        .chain(cluster.slaves())
        .flat_map(|broker| [broker.name_server(), broker.address()])
        .chain([cluster.name_server()])
        .collect();
    assert_eq!(addresses.len(), 7);
    // A new topic is on the broker that its first message went to.
    let receipt = producer.send(Message::new("new-topic", "x")).await.unwrap();
    let holders = [0, 1].map(|n| format!("dev-{n}") == receipt.queue().broker());
    for (broker, holds) in cluster.brokers().iter().zip(holders) {
        let topics = broker.topics().await.unwrap();
        assert_eq!(topics.iter().any(|topic| topic.name == "new-topic"), holds);
    }
}

#[tokio::test]
async fn sends_go_to_the_other_broker_when_one_is_down() {
    let (cluster, producer) = start().await;
    let (zero, one) = (("dev-0".to_owned(), vec![0, 1]), ("dev-1".to_owned(), vec![0]));
    assert_eq!(route(&cluster).await, [zero.clone(), one.clone()]);
    assert_eq!(receivers(&producer).await.len(), 2);
    cluster.brokers()[1].down().await.unwrap();
    assert_eq!(route(&cluster).await, [zero]);
    assert_eq!(receivers(&producer).await, names(["dev-0"]));
    cluster.brokers()[1].up().await.unwrap();
    cluster.brokers()[0].down().await.unwrap();
    assert_eq!(route(&cluster).await, [("dev-0".to_owned(), vec![1]), one]);
    assert_eq!(receivers(&producer).await, names(["dev-1"]));
    // A producer that starts now never hears of the one that is down.
    let later = Producer::builder("later", cluster.name_server().to_string());
    let later = later.send_timeout(HANG).start().await.unwrap();
    assert_eq!(receivers(&later).await, names(["dev-1"]));
    assert_eq!(cluster.messages("orders").await.unwrap().len(), 80);
}

#[tokio::test]
async fn a_slave_takes_no_messages_and_may_be_the_only_one_left() {
    let (cluster, _) = start().await;
    let slave = cluster.slaves()[0].address().to_string();
    let only = Cluster::builder().brokers(1).slave_of(0).topic("orders", 1).start().await.unwrap();
    only.brokers()[0].down().await.unwrap();
    let producer = producer(&only).await.with_timeout(std::time::Duration::from_millis(200));
    let error = producer.send(Message::new("orders", "x")).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::NotStored, "{error}");
    assert_eq!(route(&only).await, [("dev-0".to_owned(), vec![1])]);
    assert!(only.slaves()[0].messages("orders").await.unwrap().is_empty());
    only.brokers()[0].up().await.unwrap();

    // Whoever sends to it nevertheless is refused.
    let mut client = Client::connect(slave.parse().unwrap()).await;
    let refused = client.refused(&message("orders", 0, "x")).await;
    assert_eq!(refused, ResponseCode::SERVICE_NOT_AVAILABLE);
}

#[tokio::test]
async fn a_broker_that_restarts_keeps_its_offsets_ids_and_transactions() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Broker::builder().topic("orders", 4).data_dir(folder.path());
    let cluster = Cluster::builder().settings(settings).start().await.unwrap();
    let producer = producer(&cluster).await;
    let first = producer.send(to("dev-1", 2, "first")).await.unwrap();
    let half = producer.begin(to("dev-1", 2, "half")).await.unwrap();
    let id = half.message_id().to_owned();
    drop(half);
    let broker = &cluster.brokers()[1];
    for how in [Restart::same(), Restart::same().on_another_port()] {
        broker.restart(how).await.unwrap();
        let found = broker.message(first.offset_message_id()).await.unwrap().unwrap();
        assert_eq!((found.text(), found.queue, found.offset), (Some("first"), 2, 0));
        assert_eq!(broker.undecided().await.unwrap().len(), 1);
    }
    broker.decide(&id, Decision::Commit).await.unwrap();
    assert_eq!(producer.send(to("dev-1", 2, "third")).await.unwrap().queue_offset(), 2);
    broker.restart(Restart::same().without_data()).await.unwrap();
    assert_eq!(producer.send(to("dev-1", 2, "anew")).await.unwrap().queue_offset(), 0);
    cluster.stop().await;
}

#[tokio::test]
async fn a_cluster_that_is_dropped_frees_its_ports() {
    let (cluster, producer) = start().await;
    producer.close(HANG).await;
    cluster.brokers()[1].down().await.unwrap();
    let brokers = cluster.brokers().iter().chain(cluster.slaves());
    let addresses: Vec<_> = brokers.map(|broker| broker.address()).collect();
    drop(cluster);
    for address in addresses {
        let free = async {
            while TcpStream::connect(address).await.is_ok() {
                tokio::task::yield_now().await;
            }
            TcpListener::bind(address).await
        };
        tokio::time::timeout(HANG, free).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn numbers_that_make_no_sense_are_refused() {
    for (builder, part) in [
        (Cluster::builder().brokers(0), "a cluster has a master"),
        (Cluster::builder().brokers(65), "at most 64"),
        (Cluster::builder().slave_of(2), "no broker 2"),
        (Cluster::builder().settings(Broker::builder().broker_port(1)), "share a port"),
    ] {
        match builder.start().await {
            Err(BrokerError::Setting(text)) => assert!(text.contains(part), "{text}"),
            other => panic!("{other:?}"),
        }
    }
}

/// As twenty tests of one program do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_at_once_do_not_disturb_each_other() {
    let runs: Vec<_> = (0..20)
        .map(|run| {
            tokio::spawn(async move {
                let (cluster, producer) = start().await;
                cluster.brokers()[run % 2].down().await.unwrap();
                let other = format!("dev-{}", 1 - run % 2);
                assert_eq!(receivers(&producer).await, names([other.as_str()]));
                cluster.brokers()[run % 2].up().await.unwrap();
                let count = cluster.brokers()[1 - run % 2].wait_for("orders", 20, HANG).await;
                assert_eq!(count.unwrap().len(), 20);
                assert_eq!(cluster.messages("orders").await.unwrap().len(), 20);
                cluster.stop().await;
            })
        })
        .collect();
    for run in runs {
        run.await.unwrap();
    }
}
