//! What the system said is the source of an error.

use std::error::Error;
use std::io;
use std::time::Duration;

use posthaste::{ErrorKind, Message, SendError};
use posthaste_protocol::request::TopicRoute;
use tokio::net::TcpListener;

use crate::fake::{
    Action, NameServer, Say, broker_data, one_broker, producer, queue_data, refusing, soon,
};

/// The kind of the I/O error that is the source, and the line of the whole chain.
fn source(error: &SendError) -> (io::ErrorKind, String) {
    let source = error.source().unwrap_or_else(|| panic!("{error} has no source"));
    let io = source.downcast_ref::<io::Error>().expect("an I/O error");
    let chain = format!("{error}: {io}");
    // Nothing is said twice, and nothing is lost.
    assert_eq!(chain.matches(&io.to_string()).count(), 1, "{chain}");
    assert!(format!("{error:#}").contains(&io.to_string()), "{error:#}");
    (io.kind(), chain)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_refuses_is_the_source_of_the_error() {
    let server = NameServer::start().await;
    let (brokers, queues) =
        (vec![broker_data("a", &refusing().await)], vec![queue_data("a", 1, 6)]);
    server.otherwise(Say::Route(TopicRoute { brokers, queues, ..TopicRoute::default() }));
    let producer = producer(&[&server]).send_timeout(Duration::from_millis(300));
    let producer = producer.start().await.unwrap();
    let error = soon(producer.send(Message::new("t", "x"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
    assert_eq!(source(&error).0, io::ErrorKind::ConnectionRefused);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_server_that_refuses_is_the_source_of_the_error() {
    let address = refusing().await;
    let builder = posthaste::Producer::builder("faults", address.as_str());
    let producer = builder.send_timeout(Duration::from_millis(300)).start().await.unwrap();
    let error = soon(producer.send(Message::new("t", "x"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoRoute, "{error}");
    let (kind, chain) = source(&error);
    assert_eq!(kind, io::ErrorKind::ConnectionRefused);
    assert!(chain.contains(&address), "{chain}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_is_the_source_of_the_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = NameServer::start().await;
    let address = listener.local_addr().unwrap().to_string();
    let (brokers, queues) = (vec![broker_data("a", &address)], vec![queue_data("a", 1, 6)]);
    server.otherwise(Say::Route(TopicRoute { brokers, queues, ..TopicRoute::default() }));
    let resets = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // What is there and is not read makes a reset of the end.
            stream.peek(&mut [0]).await.unwrap();
            drop(stream);
        }
    });
    let producer = producer(&[&server]).start().await.unwrap();
    let error = soon(producer.send(Message::new("t", "x"))).await.unwrap_err();
    let is_a_reset =
        |kind| matches!(kind, io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe);
    assert!(is_a_reset(source(&error).0), "{error:?}");
    resets.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_has_no_source() {
    let (broker, _server, producer) = one_broker().await;
    broker.always(Action::refuse(13, "too large"));
    let error = soon(producer.send(Message::new("t", "x"))).await.unwrap_err();
    assert!(error.source().is_none(), "{error:?}");
}
