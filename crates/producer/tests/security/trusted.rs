//! A route may name any server. Whom a producer sends to, and shows its access key, its application
//! can say.

use std::time::Duration;

use posthaste::{
    AdminError, Credentials, ErrorKind, Message, MessageQueue, NameServers, Outcome, Producer,
    StartError, TransactionState,
};
use posthaste_protocol::request::{RecallHandle, TopicRoute};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::fake::{Broker, NameServer, Say, broker_data, producer, queue_data, settled, soon};

/// A route to one broker at this address.
fn route_to(name: &str, address: &str) -> TopicRoute {
    TopicRoute {
        brokers: vec![broker_data(name, address)],
        queues: vec![queue_data(name, 4, 6)],
        ..TopicRoute::default()
    }
}

fn me() -> Credentials {
    Credentials::new("me", "hush").security_token("token")
}

/// Whatever is called, no connection goes there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_that_names_a_stranger_gets_neither_access_key_nor_connection() {
    let stranger = Broker::start("stranger").await;
    let server = NameServer::of(&[&stranger], 4).await;
    // It is to be created.
    server.say("u", Say::Code(17));
    let builder = producer(&[&server]).credentials(me()).trusted_brokers(["10.0.0.0/8", "broker"]);
    let builder = builder.topics(["t"]).message_trace(true);
    let builder = builder.transaction_checker(|_| async { TransactionState::Unknown });
    let producer = builder.start().await.unwrap();
    let message = || Message::new("t", "x");

    let errors = [
        soon(producer.send(message())).await.unwrap_err(),
        soon(producer.send(message().order_by("k"))).await.unwrap_err(),
        soon(producer.send_oneway(message())).await.unwrap_err(),
        soon(producer.send_batch([message(), message()])).await.unwrap_err(),
        soon(async { producer.enqueue(message()).await.unwrap().await }).await.unwrap_err(),
        soon(producer.begin(message())).await.unwrap_err(),
    ];
    for error in errors {
        let end = (error.kind(), error.outcome());
        assert_eq!(end, (ErrorKind::Untrusted, Outcome::NotStored), "{error}");
        // Which broker, of which topic, and what to add.
        let text = error.to_string();
        for word in ["topic t", "stranger at 127.0.0.1:", "`127.0.0.1`", "add it to the trusted"] {
            assert!(text.contains(word), "{word}: {text}");
        }
        assert!(error.help().contains("trusted brokers"), "{}", error.help());
    }

    let admin = producer.admin();
    let handle = RecallHandle {
        topic: "t".into(),
        broker: "stranger".into(),
        deliver_at_ms: 1,
        unique_id: "0".repeat(32),
    };
    let mut reader = soon(admin.reader("t").open()).await.unwrap();
    for error in [
        soon(admin.max_offset(&MessageQueue::new("t", "stranger", 0))).await.unwrap_err(),
        soon(admin.create_topic("u", 1)).await.unwrap_err(),
        soon(producer.recall(&handle.to_string())).await.unwrap_err(),
        soon(admin.reader("t").until_now().open()).await.unwrap_err(),
        soon(reader.next()).await.unwrap_err(),
    ] {
        assert!(matches!(error, AdminError::Untrusted { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("topic ") && text.contains("127.0.0.1:"), "{text}");
        assert!(text.contains("add it to the trusted brokers"), "{text}");
    }
    drop(reader);
    soon(producer.close(Duration::from_secs(5))).await;
    assert_eq!(stranger.connections(), 0);
}

/// A broker that is trusted takes what would have gone to the other, and the trace goes nowhere
/// else either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_beside_a_trusted_broker_gets_nothing_and_costs_nothing() {
    let (own, stranger) = (Broker::start("own").await, Broker::start("stranger").await);
    let port = stranger.address().rsplit_once(':').unwrap().1.to_owned();
    // The same machine, by a name that is not in the list.
    let elsewhere = format!("localhost:{port}");
    let mut both = route_to("stranger", &elsewhere);
    both.brokers.push(broker_data("own", &own.address()));
    both.queues.push(queue_data("own", 4, 6));
    let server = NameServer::start().await;
    server.say("t", Say::Route(both));
    server.say("RMQ_SYS_TRACE_TOPIC", Say::Route(route_to("stranger", &elsewhere)));
    let builder = producer(&[&server]).credentials(me()).message_trace(true);
    let producer = builder.trusted_brokers(["127.0.0.1"]).start().await.unwrap();
    for n in 0..50 {
        soon(producer.send(Message::new("t", format!("{n}")))).await.unwrap();
    }
    assert_eq!(own.stored_count(), 50);
    assert!(soon(producer.close(Duration::from_secs(5))).await.is_clean());
    assert_eq!(settled(&producer).traces_lost, 50);
    assert_eq!(stranger.connections(), 0);
}

/// What counts is where the connection would lead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_map_leads_to_the_address_that_has_to_be_trusted() {
    let broker = Broker::start("a").await;
    let server = NameServer::start().await;
    server.otherwise(Say::Route(route_to("a", "172.17.0.3:10911")));
    let reached = broker.address();
    let map = move |_: &str| Some(reached.clone());
    for (trusted, works) in [("127.0.0.0/8", true), ("172.17.0.0/16", false)] {
        let builder = producer(&[&server]).address_map(map.clone()).trusted_brokers([trusted]);
        let producer = builder.start().await.unwrap();
        let sent = soon(producer.send(Message::new("t", "x"))).await;
        assert_eq!(sent.is_ok(), works, "{trusted}: {sent:?}");
    }
    assert_eq!(broker.stored_count(), 1);
}

/// It answers over plain HTTP, so anyone on the way could have written the list.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_server_cannot_name_strangers_either() {
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 4).await;
    let port = server.address().rsplit_once(':').unwrap().1.to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/list", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let answer = format!("HTTP/1.0 200 OK\r\n\r\nlocalhost:{port};[::1]:{port}\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    let builder = || {
        let names = NameServers::address_server(url.as_str());
        Producer::builder("security", names).credentials(me())
    };
    let wary = builder().trusted_brokers(["127.0.0.1"]);
    let wary = wary.send_timeout(Duration::from_secs(2)).start().await.unwrap();
    let error = soon(wary.send(Message::new("t", "x"))).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::NoRoute, Outcome::NotStored));
    assert!(error.to_string().contains("add them to the trusted brokers"), "{error}");
    assert!(error.to_string().contains("localhost:"), "{error}");
    assert_eq!(server.connections(), 0);
    let builder = builder().trusted_brokers(["127.0.0.1", "localhost"]);
    let producer = builder.send_timeout(Duration::from_secs(15)).start().await.unwrap();
    soon(producer.send(Message::new("t", "x"))).await.unwrap();
}

#[tokio::test]
async fn a_list_that_cannot_be_meant_is_refused_at_the_start() {
    for list in [&[][..], &["broker:10911"], &["10.0.0.0/33"], &["http://broker"]] {
        let builder = Producer::builder("security", "127.0.0.1:1");
        let error = builder.trusted_brokers(list.iter().copied()).start().await.unwrap_err();
        assert!(matches!(&error, StartError::Setting(why) if why.contains("trusted")), "{error}");
    }
}
