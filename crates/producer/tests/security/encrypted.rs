//! TLS where everything is in order.

use std::error::Error as _;
use std::time::Duration;

use posthaste::{Credentials, ErrorKind, Message, Outcome, Producer, Tls, TlsVersion};
use posthaste_broker::{Broker, BrokerBuilder};
use tokio_rustls::rustls;

use crate::fake::{
    Action, Broker as Fake, HANG, NameServer, Say, broker_data, queue_data, route, soon, until,
};
use crate::pki::{self, Authority, BOTH, Certificate, Door, TLS_1_2, TLS_1_3};

fn encrypted(certificate: &Certificate) -> BrokerBuilder {
    let Certificate { chain, key } = certificate.clone();
    Broker::builder().tls(chain, key).topic("t", 4)
}

async fn producer(broker: &Broker, tls: Tls) -> Producer {
    let builder = Producer::builder("security", broker.name_server().to_string()).tls(tls);
    builder.send_timeout(Duration::from_secs(20)).start().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_goes_through_an_encrypted_connection() {
    let authority = Authority::new("ours");
    let certificate = authority.issue(&["127.0.0.1"]);
    let builder = encrypted(&certificate).tls_only().access_key("me", "a long secret");
    let broker = builder.start().await.unwrap();
    let builder = Producer::builder("security", broker.name_server().to_string())
        .tls(Tls::new().ca_pem(authority.pem))
        .credentials(Credentials::new("me", "a long secret"));
    let producer = builder.send_timeout(Duration::from_secs(20)).start().await.unwrap();
    soon(producer.send(Message::new("t", "x"))).await.unwrap();
    for n in 0..100 {
        soon(producer.send_oneway(Message::new("t", format!("{n}")))).await.unwrap();
    }
    let mut deliveries = Vec::new();
    // More than any buffer on the way takes at once.
    for size in [1, 1_000, 100_000, 3_000_000].repeat(4) {
        // Nothing that could be compressed.
        let body: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(size).collect();
        let message = Message::new("t", body);
        deliveries.push(producer.enqueue(message).await.unwrap());
    }
    for n in 0..2_000 {
        deliveries.push(producer.enqueue(Message::new("t", format!("{n}"))).await.unwrap());
    }
    for delivery in deliveries {
        soon(delivery).await.unwrap();
    }
    let mut reader = soon(producer.admin().reader("t").until_now().open()).await.unwrap();
    let mut bytes = 0;
    while let Some(message) = soon(reader.next()).await.unwrap() {
        bytes += message.body().len();
    }
    assert!(bytes > 12_000_000);
    assert!(soon(producer.close(Duration::from_secs(10))).await.is_clean());
    assert_eq!(broker.stats().messages, 1 + 100 + 16 + 2_000);
}

/// As real brokers do, one with a certificate takes plain connections too, on the same ports.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_and_encrypted_clients_share_a_broker() {
    let authority = Authority::new("ours");
    let broker = encrypted(&authority.issue(&["127.0.0.1"])).start().await.unwrap();
    let encrypted = producer(&broker, Tls::new().ca_pem(authority.pem)).await;
    let plain = Producer::builder("security", broker.name_server().to_string()).send_timeout(HANG);
    let plain = plain.start().await.unwrap();
    for producer in [&encrypted, &plain] {
        soon(producer.send(Message::new("t", "x"))).await.unwrap();
    }
    assert_eq!(broker.stats().messages, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_given_name_is_what_the_certificate_must_have() {
    let authority = Authority::new("ours");
    let broker = encrypted(&authority.issue(&["mq.example.org"])).start().await.unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &authority.pem).unwrap();
    let tls = Tls::new().ca_file(file.path()).server_name("mq.example.org");
    let named = producer(&broker, tls).await;
    // It was read at the start.
    drop(file);
    soon(named.send(Message::new("t", "x"))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_asks_for_danger_gets_it() {
    let certificate = pki::self_signed(&["whatever.example"]);
    let broker = encrypted(&certificate).tls_only().start().await.unwrap();
    let careless = producer(&broker, Tls::new().dangerous_accept_any_certificate()).await;
    soon(careless.send(Message::new("t", "x"))).await.unwrap();
}

/// The operating system's roots can be read, and ours is none of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_authority_of_our_own_the_systems_count() {
    let authority = Authority::new("ours");
    let broker = encrypted(&authority.issue(&["127.0.0.1"])).start().await.unwrap();
    let builder = Producer::builder("security", broker.name_server().to_string())
        .send_timeout(HANG)
        .tls(Tls::new());
    let producer = match builder.start().await {
        Ok(producer) => producer,
        // A machine without any root says so.
        Err(error) => return assert!(error.to_string().contains("roots"), "{error}"),
    };
    let error = soon(producer.send(Message::new("t", "x"))).await.unwrap_err();
    assert_eq!(error.kind(), posthaste::ErrorKind::Tls, "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_error_of_tls_is_in_the_chain_of_sources() {
    let broker = encrypted(&Authority::new("theirs").issue(&["127.0.0.1"])).start().await.unwrap();
    let producer = producer(&broker, Tls::new().ca_pem(Authority::new("ours").pem)).await;
    let error = soon(producer.send(Message::new("t", "x"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
    let io = error.source().expect("a source");
    assert!(io.is::<std::io::Error>(), "{io:?}");
    let tls = io.source().expect("a deeper one");
    assert!(matches!(tls.downcast_ref(), Some(rustls::Error::InvalidCertificate(_))), "{tls:?}");
    let chain = format!("{error}: {io}: {tls}");
    assert_eq!(chain.matches("UnknownIssuer").count(), 1, "{chain}");
    assert_eq!(format!("{error:#}").matches("UnknownIssuer").count(), 1, "{error:#}");
}

/// What rustls still holds of the old connection goes with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_goes_away_is_read_to_its_end() {
    let authority = Authority::new("ours");
    let (server, broker) = (NameServer::start().await, Fake::start("a").await);
    broker.script(|seen| match (seen.connection, seen.text().as_bytes()[0]) {
        (0, b'A') => Action::refuse(1500, "please go away"),
        (0, _) => Action::ok().at_the_gate(),
        _ => Action::ok(),
    });
    let config = || pki::server(&authority.issue(&["127.0.0.1"]), BOTH, None);
    let names = Door::before(&server.address(), config()).await;
    let door = Door::before(&broker.address(), config()).await;
    let mut document = route(&[], 0);
    document.brokers.push(broker_data("a", &door.address));
    document.queues.push(queue_data("a", 4, 6));
    server.otherwise(Say::Route(document));
    let builder = Producer::builder("security", names.address.clone());
    let builder = builder.tls(Tls::new().ca_pem(authority.pem)).async_retries(0);
    let builder = builder.max_message_size(1 << 22).compress_from(usize::MAX).batching(false);
    let producer = builder.send_timeout(Duration::from_secs(20)).start().await.unwrap();
    let send = |body: String| producer.enqueue(Message::new("t", body));
    let mut deliveries = Vec::new();
    for _ in 0..8 {
        deliveries.push(send("B".repeat(300_000)).await.unwrap());
    }
    until("they have left", || broker.seen_count() == 8).await;
    deliveries.push(send("A".repeat(10)).await.unwrap());
    // More than any buffer takes: some of it is half written when the answer comes.
    for _ in 0..8 {
        deliveries.push(send("C".repeat(300_000)).await.unwrap());
    }
    broker.open_gate(16);
    for delivery in deliveries {
        soon(delivery).await.unwrap();
    }
    let on = |connection| broker.stored().iter().filter(|s| s.connection == connection).count();
    assert_eq!(broker.stored_count(), 17);
    assert!(on(0) >= 8 && on(1) >= 1, "{} and {}", on(0), on(1));
    let stats = producer.stats();
    assert_eq!((stats.unknown, stats.retries, broker.connections()), (0, 0, 2));
}

#[test]
fn a_blocking_producer_has_the_same_settings() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let authority = Authority::new("ours");
    let builder = encrypted(&authority.issue(&["127.0.0.1"])).access_key("me", "a long secret");
    let broker = runtime.block_on(builder.start()).unwrap();
    let producer =
        posthaste::blocking::Producer::builder("security", broker.name_server().to_string())
            .send_timeout(HANG)
            .tls(Tls::new().ca_pem(authority.pem))
            .credentials(|| Credentials::new("me", "a long secret"))
            .vip_channel(false)
            .start()
            .unwrap();
    producer.send(Message::new("t", "x")).unwrap();
    assert!(producer.close(Duration::from_secs(5)).is_clean());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_speaks_no_version_that_is_new_enough_is_told_nothing() {
    let authority = Authority::new("ours");
    let broker = Fake::start("a").await;
    let server = NameServer::of(&[&broker], 4).await;
    for (spoken, least, works) in [
        (TLS_1_2, TlsVersion::V1_2, true),
        (TLS_1_2, TlsVersion::V1_3, false),
        (TLS_1_3, TlsVersion::V1_3, true),
        (BOTH, TlsVersion::V1_3, true),
    ] {
        let config = || pki::server(&authority.issue(&["127.0.0.1"]), spoken, None);
        let names = Door::before(&server.address(), config()).await;
        let door = Door::before(&broker.address(), config()).await;
        let mut document = route(&[], 0);
        document.brokers.push(broker_data("a", &door.address));
        document.queues.push(queue_data("a", 4, 6));
        server.otherwise(Say::Route(document));
        let tls = Tls::new().ca_pem(authority.pem.clone()).least_version(least);
        let builder = Producer::builder("security", &*names.address).tls(tls);
        let producer = builder.send_timeout(Duration::from_secs(20)).start().await.unwrap();
        let sent = soon(producer.send(Message::new("t", "x"))).await;
        match sent {
            Ok(_) => assert!(works, "{spoken:?} {least:?}"),
            Err(error) => {
                assert!(!works, "{spoken:?} {least:?}: {error}");
                let end = (error.kind(), error.outcome());
                assert_eq!(end, (ErrorKind::Tls, Outcome::NotStored), "{error}");
                assert_eq!((names.passed(), door.passed()), (0, 0));
            }
        }
    }
}
