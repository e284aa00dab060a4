//! Connections that are not needed any more, to brokers that owe answers.

use std::time::Duration;

use posthaste::Message;
use posthaste_protocol::request::Empty;

use crate::fake::{Broker, NameServer, Say, answer, producer, route, soon, until};

/// Beyond the end of each test.
const LONG: Duration = Duration::from_secs(100);

/// The topic has moved to another broker; what the old one owes would come within minutes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_ends_the_connection_to_a_broker_that_no_route_leads_to() {
    let (old, new) = (Broker::start("a").await, Broker::start("b").await);
    let server = NameServer::of(&[&old], 1).await;
    old.answer_others(false);
    let builder = producer(&[&server])
        .route_poll_interval(Duration::from_millis(100))
        .heartbeat_interval(LONG);
    let producer = builder.start().await.unwrap();
    soon(producer.send(Message::new("t", "old"))).await.unwrap();
    // It is alive: its silence ends nothing.
    let talks = tokio::spawn({
        let old = old.clone();
        async move {
            loop {
                old.push(answer(-1, 0, "to nobody", &Empty));
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
    });
    server.otherwise(Say::Route(route(&[&new], 1)));
    let address = old.address();
    let is_known = || producer.stats().brokers.iter().any(|one| one.address == address);
    until("no route leads there", || !is_known()).await;
    assert_eq!(old.open_connections(), 1, "it owes the answer to a heartbeat");
    soon(producer.send(Message::new("t", "new"))).await.unwrap();
    soon(producer.close(Duration::from_secs(5))).await;
    until("it is left alone", || old.open_connections() + new.open_connections() == 0).await;
    talks.abort();
}
