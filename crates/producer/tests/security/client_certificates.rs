//! Servers that want to know who connects.

use std::time::Duration;

use posthaste::{ErrorKind, Message, Outcome, Producer, StartError, Tls};

use crate::fake::{Broker, HANG, NameServer, broker_data, queue_data, route, soon};
use crate::pki::{self, Authority, Certificate, Door, TLS_1_2, TLS_1_3};

const HERE: &[&str] = &["127.0.0.1"];

/// A name server and a broker behind doors; the broker's takes only those that `clients` has
/// signed, the name server's too if `both`.
async fn doors(
    authority: &Authority,
    clients: &Authority,
    versions: &[&'static tokio_rustls::rustls::SupportedProtocolVersion],
    both: bool,
) -> (Broker, Door, Door) {
    let (server, broker) = (NameServer::start().await, Broker::start("a").await);
    let config =
        |strict: bool| pki::server(&authority.issue(HERE), versions, strict.then_some(clients));
    let names = Door::before(&server.address(), config(both)).await;
    let door = Door::before(&broker.address(), config(true)).await;
    let mut document = route(&[], 0);
    document.brokers.push(broker_data("a", &door.address));
    document.queues.push(queue_data("a", 4, 6));
    server.otherwise(crate::fake::Say::Route(document));
    (broker, names, door)
}

fn tls(authority: &Authority, shown: Option<&Certificate>) -> Tls {
    let tls = Tls::new().ca_pem(authority.pem.clone());
    match shown {
        Some(one) => tls.client_certificate(one.chain.clone(), one.key.clone()),
        None => tls,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ours_is_shown_to_who_asks() {
    let (authority, clients) = (Authority::new("servers"), Authority::new("clients"));
    for versions in [TLS_1_2, TLS_1_3] {
        let (broker, names, _door) = doors(&authority, &clients, versions, true).await;
        let shown = clients.issue(&["order-service"]);
        let builder = Producer::builder("security", &*names.address).send_timeout(HANG);
        let producer = builder.tls(tls(&authority, Some(&shown))).start().await.unwrap();
        soon(producer.send(Message::new("t", "x"))).await.unwrap();
        assert_eq!(broker.stored_count(), 1);
    }
}

/// None, one of strangers, one that has expired: refused by name server or broker, with either
/// version, and nothing got past the door.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_one_that_is_taken_nothing_is_stored() {
    let (authority, clients) = (Authority::new("servers"), Authority::new("clients"));
    let foreign = Authority::new("strangers").issue(&["order-service"]);
    let expired = clients.issue_with(&["order-service"], |params| {
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    });
    for versions in [TLS_1_2, TLS_1_3] {
        for both in [true, false] {
            for shown in [None, Some(&foreign), Some(&expired)] {
                let (broker, names, door) = doors(&authority, &clients, versions, both).await;
                let builder = Producer::builder("security", &*names.address);
                let builder = builder.send_timeout(Duration::from_secs(60));
                let producer = builder.tls(tls(&authority, shown)).start().await.unwrap();
                let error = soon(producer.send(Message::new("t", "x"))).await.unwrap_err();
                let end = (error.kind(), error.outcome());
                assert_eq!(end, (ErrorKind::Tls, Outcome::NotStored), "{versions:?}: {error}");
                assert_eq!((door.passed(), broker.stored_count()), (0, 0));
            }
        }
    }
}

#[tokio::test]
async fn one_that_cannot_be_used_is_told_at_the_start() {
    let authority = Authority::new("ours");
    let (one, other) = (authority.issue(&["a"]), authority.issue(&["b"]));
    let mixed = Certificate { chain: one.chain, key: other.key };
    let builder = Producer::builder("security", "127.0.0.1:1");
    let error = builder.tls(tls(&authority, Some(&mixed))).start().await.unwrap_err();
    assert!(matches!(&error, StartError::Tls(_)), "{error}");
    let builder = Producer::builder("security", "127.0.0.1:1");
    let error = builder.tls(Tls::new().ca_file("/nowhere/ca.pem")).start().await.unwrap_err();
    assert!(error.to_string().contains("/nowhere/ca.pem"), "{error}");
}
