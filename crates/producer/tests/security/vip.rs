//! The second port of a broker.

use std::time::Duration;

use posthaste::{ErrorKind, Message};

use crate::fake::{Broker, NameServer, broker_data, producer, queue_data, route, settled, soon};

/// A broker that advertises the port two above the one where it is, as a real one does whose
/// second port is meant.
async fn two_ports_up(broker: &Broker) -> NameServer {
    let (host, port) = broker
        .address()
        .rsplit_once(':')
        .map(|(h, p)| (h.to_owned(), p.parse::<u16>().unwrap()))
        .unwrap();
    let server = NameServer::start().await;
    let mut document = route(&[], 0);
    document.brokers.push(broker_data("a", &format!("{host}:{}", port + 2)));
    document.queues.push(queue_data("a", 4, 6));
    server.otherwise(crate::fake::Say::Route(document));
    server
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_is_for_a_broker_goes_two_ports_below() {
    let broker = Broker::start("a").await;
    let server = two_ports_up(&broker).await;
    let vip = producer(&[&server]).vip_channel(true).start().await.unwrap();
    soon(vip.send(Message::new("t", "x"))).await.unwrap();
    soon(vip.close(Duration::from_secs(5))).await;
    assert_eq!((broker.stored_count(), settled(&vip).acked), (1, 1));

    let plain = producer(&[&server]).send_timeout(Duration::from_secs(2)).start().await;
    let error = soon(plain.unwrap().send(Message::new("t", "x"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
}

/// The map has the last word, and gets the port that is meant.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_map_gets_the_port_two_below() {
    let broker = Broker::start("a").await;
    let server = two_ports_up(&broker).await;
    let expected = broker.address();
    let builder = producer(&[&server]).vip_channel(true).address_map(move |address| {
        assert_eq!(address, expected);
        None
    });
    let producer = builder.start().await.unwrap();
    soon(producer.send(Message::new("t", "x"))).await.unwrap();
}
