//! Brokers that are paused, down, and started again.

use std::io::ErrorKind;
use std::time::Duration;

use posthaste::{Message, Outcome, Producer, ResponseCode};
use posthaste_broker::{Broker, Decision, Restart};
use posthaste_protocol::request::MaxOffset;
use tokio::net::{TcpSocket, TcpStream};

use crate::support::{Client, waiting_pull};
use crate::{HANG, member, start, to_queue};

/// Until it fails, and then until it works.
async fn send_until_stored(producer: &Producer, body: &'static str) {
    let sent = async {
        while producer.send(Message::new("orders", body)).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(HANG, sent).await.unwrap();
}

async fn is_refused(broker: &Broker) -> bool {
    let mut refused = 0;
    for address in [broker.name_server(), broker.address()] {
        match TcpStream::connect(address).await {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => refused += 1,
            Err(error) => panic!("{error}"),
            Ok(_) => {}
        }
    }
    assert!(matches!(refused, 0 | 2));
    refused == 2
}

#[tokio::test]
async fn in_a_pause_nothing_is_answered_and_connections_stay() {
    let (broker, producer) = start().await;
    producer.send(to_queue(0, "before".to_owned())).await.unwrap();
    let connections = broker.stats().connections;
    broker.pause().await.unwrap();
    let mut delivery = producer.enqueue(to_queue(0, "in the pause".to_owned())).await.unwrap();
    assert!(!is_refused(&broker).await);
    // Tests see what there is, and time goes on for them.
    assert_eq!(broker.messages("orders").await.unwrap().len(), 1);
    tokio::select! {
        result = &mut delivery => panic!("{result:?}"),
        waited = broker.wait_for("orders", 2, Duration::from_millis(200)) => {
            waited.expect_err("nothing is stored in a pause");
        }
    }
    let waits = broker.wait_for("orders", 2, HANG);
    let resume = async {
        tokio::task::yield_now().await;
        broker.resume().await.unwrap();
    };
    let (messages, receipt, ()) = tokio::join!(waits, delivery, resume);
    assert_eq!(messages.unwrap()[1].text(), Some("in the pause"));
    assert_eq!(receipt.unwrap().queue_offset(), 1);
    assert!(broker.stats().connections >= connections);
    broker.resume().await.unwrap();
    broker.pause().await.unwrap();
    broker.stop().await;
}

#[tokio::test]
async fn an_answer_that_falls_due_in_a_pause_leaves_after_it() {
    let (broker, producer) = start().await;
    producer.send(to_queue(0, "later".to_owned()).deliver_after(HANG)).await.unwrap();
    let mut consumer = Client::connect(broker.address()).await;
    let pull = consumer.put(&waiting_pull("orders", 0, 0, HANG), false).await;
    // Requests of one connection are handled in their order: the pull waits by then.
    let max = MaxOffset { topic: "orders".into(), ..MaxOffset::default() };
    assert_eq!(consumer.call(&max).await.offset, 0);
    broker.pause().await.unwrap();
    assert_eq!(broker.deliver_now().await.unwrap(), 1);
    {
        let answer = consumer.answer_to(pull);
        tokio::pin!(answer);
        tokio::select! {
            answer = &mut answer => panic!("answered in a pause: {answer:?}"),
            waited = broker.wait_for("orders", 2, Duration::from_millis(200)) => {
                waited.expect_err("there is one message");
            }
        }
        broker.resume().await.unwrap();
        assert_eq!(answer.await.response_code(), ResponseCode::SUCCESS);
    }
}

#[tokio::test]
async fn nothing_is_delivered_in_a_pause() {
    const SOON: Duration = Duration::from_millis(300);
    let (broker, producer) = start().await;
    // The pause comes before the message's time, sooner or later.
    let sent = loop {
        let before = broker.messages("orders").await.unwrap().len();
        producer.send(Message::new("orders", "soon").deliver_after(SOON)).await.unwrap();
        broker.pause().await.unwrap();
        if broker.messages("orders").await.unwrap().len() == before {
            break before + 1;
        }
        broker.resume().await.unwrap();
    };
    broker.wait_for("orders", sent, 2 * SOON).await.expect_err("it is delivered in a pause");
    broker.resume().await.unwrap();
    broker.wait_for("orders", sent, HANG).await.unwrap();
}

#[tokio::test]
async fn a_broker_goes_down_and_comes_up_on_its_ports() {
    let (broker, producer) = start().await;
    let ports = (broker.name_server(), broker.address());
    let first = producer.send(to_queue(1, "first".to_owned())).await.unwrap();
    for _ in 0..3 {
        broker.down().await.unwrap();
        assert!(is_refused(&broker).await);
        assert!(broker.clients().await.unwrap().is_empty());
        broker.down().await.unwrap();
        let error = producer.with_timeout(Duration::from_millis(200));
        let error = error.send(Message::new("orders", "x")).await.unwrap_err();
        assert_eq!(error.outcome(), Outcome::NotStored);
        // The port of a broker that is down is not free.
        assert!(TcpSocket::new_v4().unwrap().bind(ports.1).is_err());
        broker.up().await.unwrap();
        broker.up().await.unwrap();
        assert!(!is_refused(&broker).await);
        assert_eq!((broker.name_server(), broker.address()), ports);
        send_until_stored(&producer, "again").await;
    }
    let messages = broker.messages("orders").await.unwrap();
    assert_eq!(messages.len(), 4);
    let found = broker.message(first.offset_message_id()).await.unwrap().unwrap();
    assert_eq!(found.text(), Some("first"));
    // A broker that is down can be stopped, and its ports are free then.
    broker.down().await.unwrap();
    broker.stop().await;
    tokio::net::TcpListener::bind(ports.1).await.unwrap();
}

#[tokio::test]
async fn a_restart_keeps_what_there_is_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for settings in [Broker::builder(), Broker::builder().data_dir(folder.path())] {
        let broker = settings.topic("orders", 4).start().await.unwrap();
        let checker = |_| std::future::pending();
        let producer = member(&broker).transaction_checker(checker).start().await.unwrap();
        let first = producer.send(to_queue(0, "first".to_owned())).await.unwrap();
        let half = producer.begin(Message::new("orders", "half")).await.unwrap();
        let id = half.message_id().to_owned();
        drop(half);
        producer.send(Message::new("own", "x")).await.unwrap();

        broker.restart(Restart::same()).await.unwrap();
        send_until_stored(&producer, "second").await;
        broker.decide(&id, Decision::Commit).await.unwrap();
        assert_eq!(broker.messages("orders").await.unwrap().len(), 3);
        let found = broker.message(first.offset_message_id()).await.unwrap().unwrap();
        assert_eq!((found.text(), found.offset), (Some("first"), 0));

        let waiting = broker.handle();
        let waiting = tokio::spawn(async move { waiting.wait_for("orders", 4, HANG).await });
        tokio::task::yield_now().await;
        broker.restart(Restart::same().without_data()).await.unwrap();
        assert!(broker.messages("orders").await.unwrap().is_empty());
        let topics = broker.topics().await.unwrap();
        let own: Vec<_> = topics.iter().filter(|topic| !topic.is_system).collect();
        assert_eq!((own.len(), own[0].name.as_str(), own[0].queues.len()), (1, "orders", 4));
        for n in 0..4 {
            send_until_stored(&producer, "after").await;
            assert_eq!(broker.messages("orders").await.unwrap().len(), n + 1);
        }
        // Who waited for messages goes on waiting.
        assert_eq!(waiting.await.unwrap().unwrap().len(), 4);
        let zero = producer.send(to_queue(3, "x".to_owned())).await.unwrap();
        assert!(zero.queue_offset() <= 4);
        broker.stop().await;
    }
}

#[tokio::test]
async fn a_broker_moves_to_another_port_and_its_route_says_so() {
    let (broker, producer) = start().await;
    let first = producer.send(to_queue(0, "first".to_owned())).await.unwrap();
    let (name_server, old) = (broker.name_server(), broker.address());
    broker.restart(Restart::same().on_another_port()).await.unwrap();
    assert_eq!(broker.name_server(), name_server);
    assert_ne!(broker.address(), old);
    send_until_stored(&producer, "second").await;
    let messages = broker.messages("orders").await.unwrap();
    assert_eq!(messages.len(), 2);
    let found = broker.message(first.offset_message_id()).await.unwrap().unwrap();
    assert_eq!(found.text(), Some("first"));

    broker.restart(Restart::same().on_other_ports()).await.unwrap();
    assert_ne!(broker.name_server(), name_server);
    assert!(TcpStream::connect(name_server).await.is_err());
    let producer = member(&broker).instance_name("later").start().await.unwrap();
    producer.send(Message::new("orders", "third")).await.unwrap();
    assert_eq!(broker.messages("orders").await.unwrap().len(), 3);
}
