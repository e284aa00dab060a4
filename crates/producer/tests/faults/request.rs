//! Requests and replies.

use std::time::Duration;

use bytes::Bytes;
use posthaste::{ErrorKind, Message, Outcome, Producer, ReadFrom, RequestError};
use posthaste_protocol::RequestCode;
use posthaste_protocol::request::PushReply;

use crate::fake::{
    Action, Broker, HANG, NameServer, Say, Seen, producer, request_of, route, soon, until,
};

/// Brokers of cluster `c`, which has a topic for replies.
async fn cluster(brokers: &[&Broker]) -> NameServer {
    let server = NameServer::start().await;
    let mut document = route(brokers, 4);
    document.brokers.iter_mut().for_each(|broker| broker.cluster = "c".into());
    server.otherwise(Say::Route(document));
    server
}

/// The reply that a broker pushes for a request.
fn push(seen: &Seen, body: &'static str, opaque: i32) -> Vec<u8> {
    let id = seen.property("CORRELATION_ID").unwrap();
    let reply = PushReply {
        group: "repliers".into(),
        topic: "c_REPLY_TOPIC".into(),
        default_topic: "TBW102".into(),
        properties: Some(format!(
            "MSG_TYPE\u{1}reply\u{2}CORRELATION_ID\u{1}{id}\u{2}TAGS\u{1}done\u{2}"
        )),
        born_host: "/10.0.0.1:5555".into(),
        store_host: "host/10.0.0.2:10911".into(),
        body: Bytes::from_static(body.as_bytes()),
        ..PushReply::default()
    };
    request_of(opaque, false, &reply)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_awaits_its_reply() {
    let (a, b) = (Broker::start("a").await, Broker::start("b").await);
    let server = cluster(&[&a, &b]).await;
    let timeout = Duration::from_secs(60);
    let producer = producer(&[&server]).send_timeout(timeout).start().await.unwrap();
    let request = tokio::spawn({
        let producer = producer.clone();
        async move { producer.request(Message::new("t", "EUR/USD?")).await }
    });
    let seen = || a.seen().into_iter().chain(b.seen()).next();
    until("it is sent", || seen().is_some()).await;
    let sent = seen().unwrap();
    for (name, value) in [("TTL", "60000"), ("CLUSTER", "c")] {
        assert_eq!(sent.property(name), Some(value), "{name}");
    }
    assert!(sent.property("REPLY_TO_CLIENT").unwrap().contains('@'));
    // Whichever broker the replier chooses, it knows the requester.
    // The heartbeat to the other broker travels on a connection of its own.
    for broker in [&a, &b] {
        until("it knows", || broker.count_of(RequestCode::HEART_BEAT) > 0).await;
    }
    // By the other broker.
    let pushes = if a.seen().is_empty() { &a } else { &b };
    pushes.push(push(&sent, "1.08", 77));
    let reply = soon(request).await.unwrap().unwrap();
    assert_eq!((&reply.body()[..], reply.tag()), (&b"1.08"[..], Some("done")));
    assert_eq!(reply.born_host().to_string(), "10.0.0.1:5555");
    assert!(reply.property("ARRIVE_TIME").is_some());
    until("the broker is told", || !pushes.answers().is_empty()).await;
    let answer = pushes.answers().pop().unwrap();
    assert_eq!((answer.opaque, answer.code), (77, 0));
    // A second copy comes too late.
    pushes.push(push(&sent, "1.09", 78));
    until("it is counted", || producer.stats().late_replies == 1).await;
    until("and answered", || pushes.answers().len() == 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_may_come_before_the_send_is_answered_and_instead_of_it() {
    let broker = Broker::start("a").await;
    let server = cluster(&[&broker]).await;
    let producer = producer(&[&server]).start().await.unwrap();
    broker.always(Action::store_silently());
    let request = tokio::spawn({
        let producer = producer.clone();
        async move { producer.request(Message::new("t", "?")).await }
    });
    until("it is sent", || broker.seen_count() == 1).await;
    broker.push(push(&broker.seen()[0], "!", 1));
    assert_eq!(soon(request).await.unwrap().unwrap().body(), "!");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_reply_the_request_says_what_became_of_the_message() {
    let broker = Broker::start("a").await;
    let server = cluster(&[&broker]).await;
    let producer = producer(&[&server]).start().await.unwrap();
    let brief = producer.with_timeout(Duration::from_secs(2));
    let error = soon(brief.request(Message::new("t", "?"))).await.unwrap_err();
    let text = error.to_string();
    let RequestError::NoReply { receipt, .. } = error else { panic!("{text}") };
    assert_eq!(receipt.message_id(), broker.seen()[0].id);
    assert!(text.contains(receipt.message_id()), "{text}");

    broker.always(Action::refuse(13, "no"));
    let error = soon(brief.request(Message::new("t", "?"))).await.unwrap_err();
    let RequestError::Send(error) = error else { panic!("{error}") };
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Invalid, Outcome::NotStored));

    broker.always(Action::ignore());
    let error = soon(brief.request(Message::new("t", "?"))).await.unwrap_err();
    let RequestError::Send(error) = error else { panic!("{error}") };
    assert_eq!(error.outcome(), Outcome::Unknown);
}

/// What was asked for can be replied to, by the request that replies travel in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_travels_as_one() {
    let embedded = posthaste_broker::Broker::builder().topic("t", 1).start().await.unwrap();
    let requester =
        Producer::builder("requesters", embedded.name_server().to_string()).send_timeout(HANG);
    let requester = requester.start().await.unwrap();
    soon(requester.send(Message::new("t", "no request"))).await.unwrap();
    let brief = requester.with_timeout(Duration::from_secs(2));
    let _ = soon(brief.request(Message::new("t", "?"))).await.unwrap_err();
    let mut reader = requester.admin().reader("t").from(ReadFrom::Start).open().await.unwrap();
    let plain = soon(reader.next()).await.unwrap().unwrap();
    assert!(plain.reply("to nobody").is_none());
    let request = soon(reader.next()).await.unwrap().unwrap();
    let reply = request.reply("42").unwrap();
    assert_eq!(reply.topic(), "DefaultCluster_REPLY_TOPIC");

    let broker = Broker::start("a").await;
    let server = cluster(&[&broker]).await;
    let replier = producer(&[&server]).start().await.unwrap();
    soon(replier.send(reply)).await.unwrap();
    let sent = broker.seen().pop().unwrap();
    assert_eq!(sent.code, RequestCode::SEND_REPLY_MESSAGE_V2.0);
    assert_eq!((sent.property("MSG_TYPE"), sent.text().as_str()), (Some("reply"), "42"));
    for name in ["CORRELATION_ID", "REPLY_TO_CLIENT", "TTL"] {
        assert_eq!(sent.property(name), request.property(name), "{name}");
    }
}

/// Name servers are not asked about what will not be sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_is_refused_at_once() {
    let server = NameServer::start().await;
    let producer = producer(&[&server]).start().await.unwrap();
    let kind_of = |result| match result {
        Err(RequestError::Send(error)) => error.kind(),
        other => panic!("{other:?}"),
    };
    let invalid = soon(producer.request(Message::new("no topic!", "x"))).await;
    assert_eq!(kind_of(invalid), ErrorKind::Invalid);
    assert!(producer.close(Duration::from_secs(5)).await.is_clean());
    assert_eq!(kind_of(soon(producer.request(Message::new("t", "x"))).await), ErrorKind::Closed);
    assert!(server.requests().is_empty());
}
