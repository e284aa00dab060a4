//! What went over connections.

use std::sync::Arc;

use posthaste::{Credentials, Message, Producer, Tls};
use posthaste_broker::{Broker, Fault, On, WireConnection, WireExchange, WireFrame, WireSide};
use posthaste_protocol::{RequestCode, ResponseCode};
use rcgen::{CertificateParams, KeyPair};

use crate::{HANG, member, start};

/// The exchanges that are sends, with their connections, as soon as `is_enough`.
async fn sends(
    broker: &Broker,
    is_enough: impl Fn(&[(WireConnection, WireExchange)]) -> bool,
) -> Vec<(WireConnection, WireExchange)> {
    let sends = async {
        loop {
            let connections = broker.wire().await.unwrap();
            let all = connections.iter().flat_map(|connection| {
                connection.exchanges.iter().map(|it| (connection.clone(), it.clone()))
            });
            let is_send = |exchange: &WireExchange| {
                code(&exchange.request) == Some(RequestCode::SEND_MESSAGE_V2.0)
            };
            let sends: Vec<_> = all.filter(|(_, exchange)| is_send(exchange)).collect();
            if is_enough(&sends) {
                return sends;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(HANG, sends).await.expect("the sends")
}

fn code(frame: &Option<Arc<WireFrame>>) -> Option<i32> {
    frame.as_ref().and_then(|frame| frame.code)
}

#[tokio::test]
async fn a_send_is_seen_on_its_connection_once_the_log_is_asked_for() {
    let (broker, producer) = start().await;
    producer.send(Message::new("orders", "before")).await.unwrap();
    let first = broker.wire().await.unwrap();
    assert!(first.len() >= 2, "{first:?}");
    assert!(first.iter().all(|connection| connection.exchanges.is_empty()), "{first:?}");

    let receipt = producer.send(Message::new("orders", "hello").keys(["o-1"])).await.unwrap();
    let sends = sends(&broker, |sends| !sends.is_empty()).await;
    assert_eq!(sends.len(), 1);
    let (connection, exchange) = &sends[0];
    assert_eq!((connection.port, connection.is_encrypted), (broker.address().port(), false));
    assert_eq!(connection.end, None);
    let clients = broker.clients().await.unwrap();
    let client = clients.iter().find(|client| client.address == connection.address).unwrap();
    assert!(client.client_id.is_some());
    assert_eq!(connection.client_id, client.client_id);
    assert_eq!((exchange.asked_by, exchange.topic()), (WireSide::Client, Some("orders")));
    assert_eq!(code(&exchange.answer), Some(0));
    assert!(exchange.took.is_some());
    let (request, answer) = (exchange.request.as_ref().unwrap(), exchange.answer.as_ref().unwrap());
    assert_eq!(&request.body[..], b"hello");
    assert!(request.at <= answer.at);
    assert_eq!(answer.fields.get("msgId"), Some(receipt.offset_message_id()));
}

#[tokio::test]
async fn faults_are_seen_as_they_went_over_the_wire() {
    let (broker, producer) = start().await;
    broker.wire().await.unwrap();
    let busy = Fault::on(On::Send).key("busy").first(1).refuse(ResponseCode::SYSTEM_BUSY);
    broker.fault(busy.remark("not now")).unwrap();
    broker.fault(Fault::on(On::Send).key("gone").first(1).reset()).unwrap();
    for key in ["busy", "gone"] {
        producer.send(Message::new("orders", key).keys([key])).await.unwrap();
    }
    let answered = |(_, exchange): &&(WireConnection, WireExchange)| exchange.answer.is_some();
    let sends = sends(&broker, |sends| {
        let ended = sends.iter().filter(|(connection, _)| connection.end.is_some());
        sends.iter().filter(answered).count() >= 3 && ended.count() >= 1
    })
    .await;
    let bodies = |wanted: Option<i32>| {
        let of = sends.iter().filter(|(_, exchange)| code(&exchange.answer) == wanted);
        of.map(|(_, it)| it.request.as_ref().unwrap().body.clone()).collect::<Vec<_>>()
    };
    assert_eq!(bodies(Some(ResponseCode::SYSTEM_BUSY.0)), ["busy"]);
    assert_eq!(bodies(None), ["gone"]);
    assert_eq!(bodies(Some(0)), ["busy", "gone"]);
    let (connection, _) = sends.iter().find(|(_, exchange)| exchange.answer.is_none()).unwrap();
    let end = connection.end.as_ref().unwrap();
    assert_eq!(end.why, "a fault rule ends it");
    let remarks = sends.iter().filter_map(|(_, it)| it.answer.as_ref()?.remark.clone());
    assert_eq!(remarks.collect::<Vec<_>>(), ["not now"]);
}

#[tokio::test]
async fn an_encrypted_and_signed_connection_shows_its_requests_and_no_credentials() {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    let broker = Broker::builder()
        .topic("orders", 4)
        .access_key("an-access-key", "a-secret-key")
        .tls(certificate.clone(), key.serialize_pem())
        .start()
        .await
        .unwrap();
    broker.wire().await.unwrap();
    let producer = member(&broker)
        .credentials(Credentials::new("an-access-key", "a-secret-key"))
        .tls(Tls::new().ca_pem(certificate.clone()))
        .start()
        .await
        .unwrap();
    producer.send(Message::new("orders", "x")).await.unwrap();
    let sends = sends(&broker, |sends| !sends.is_empty()).await;
    let (connection, exchange) = &sends[0];
    assert!(connection.is_encrypted);
    let fields = &exchange.request.as_ref().unwrap().fields;
    assert_eq!(fields.get("AccessKey"), Some("(not shown)"));
    let shown = format!("{:?}", broker.wire().await.unwrap());
    assert!(!shown.contains("an-access-key") && !shown.contains("a-secret-key"), "{shown}");

    // A refusal is seen, too.
    let wrong = Producer::builder("others", broker.name_server().to_string())
        .credentials(Credentials::new("an-access-key", "another-secret"))
        .tls(Tls::new().ca_pem(certificate));
    let wrong = wrong.start().await.unwrap();
    wrong.send(Message::new("orders", "x")).await.expect_err("a refusal");
    let refused = async {
        loop {
            let connections = broker.wire().await.unwrap();
            let mut all = connections.iter().flat_map(|connection| &connection.exchanges);
            let is_refusal =
                |frame: &Arc<WireFrame>| frame.remark.as_deref() == Some("check signature failed.");
            if all.any(|it| it.answer.as_ref().is_some_and(is_refusal)) {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(HANG, refused).await.expect("the refusal");
}
