//! Every request is signed, with the credentials of the moment.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use posthaste::{AdminError, Credentials, ErrorKind, Message, Outcome, Producer};
use posthaste_broker::Broker;
use posthaste_protocol::request::{Empty, OffsetAnswer, SendAnswer};
use posthaste_protocol::{Command, RequestCode, sign};

use crate::fake::{self, Action, HANG, HOUR, NameServer, settled, soon, until};
use crate::scripted::{Reply, Server, route};

const SECRET: &str = "a long secret";

async fn guarded() -> Broker {
    Broker::builder().access_key("me", SECRET).topic("t", 4).start().await.unwrap()
}

fn producer(broker: &Broker) -> posthaste::ProducerBuilder {
    Producer::builder("security", broker.name_server().to_string()).send_timeout(HOUR)
}

fn is_signed(request: &Command, secret: &str) -> bool {
    let Command { fields, version, body, .. } = request;
    let signature = fields.get(sign::SIGNATURE);
    signature.is_some_and(|one| sign::is_signed(fields, *version, body, secret, one))
}

fn stored() -> SendAnswer {
    SendAnswer { offset_message_id: "0".repeat(32), ..SendAnswer::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_its_account_a_producer_can_do_everything() {
    let broker = guarded().await;
    let producer =
        producer(&broker).credentials(Credentials::new("me", SECRET)).start().await.unwrap();
    soon(producer.send(Message::new("t", "sync"))).await.unwrap();
    soon(producer.send_oneway(Message::new("t", "one-way"))).await.unwrap();
    soon(producer.send(Message::new("t", "in order").order_by("k"))).await.unwrap();
    soon(producer.send_batch([Message::new("t", "a"), Message::new("t", "b")])).await.unwrap();
    let mut deliveries = Vec::new();
    for n in 0..200 {
        deliveries.push(producer.enqueue(Message::new("t", format!("{n}"))).await.unwrap());
    }
    for delivery in deliveries {
        soon(delivery).await.unwrap();
    }
    assert!(producer.stats().batches > 1, "no batch was signed: {:?}", producer.stats());
    let admin = producer.admin();
    soon(admin.create_topic("more", 2)).await.unwrap();
    assert!(soon(admin.topics()).await.unwrap().contains(&"more".to_owned()));
    let mut reader = soon(admin.reader("t").until_now().open()).await.unwrap();
    let mut read = 0;
    while soon(reader.next()).await.unwrap().is_some() {
        read += 1;
    }
    assert_eq!(read, 205);
    assert!(soon(producer.close(Duration::from_secs(5))).await.is_clean());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_account_it_is_refused_at_once() {
    let broker = guarded().await;
    for (credentials, remark) in [
        (None, "username cannot be null."),
        (Some(Credentials::new("me", "another secret")), "check signature failed."),
        (Some(Credentials::new("you", SECRET)), "User:you is not found."),
    ] {
        let mut builder = producer(&broker);
        if let Some(credentials) = credentials {
            builder = builder.credentials(credentials);
        }
        let producer = builder.start().await.unwrap();
        let error = soon(producer.send(Message::new("t", "x"))).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::Denied, Outcome::NotStored));
        assert!(error.to_string().contains(remark), "{error}");
        let error = soon(producer.send_oneway(Message::new("t", "x"))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied);
        let error = soon(producer.admin().topics()).await.unwrap_err();
        assert!(matches!(error, AdminError::Denied { .. }), "{error}");
    }
    assert_eq!(broker.stats().messages, 0);
}

/// All that reaches the two servers is signed: look-ups, heartbeats, sends of every form, calls,
/// and the goodbye.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_leaves_unsigned() {
    let broker = Server::start(|request| match request.request_code() {
        RequestCode::GET_MAX_OFFSET => Reply::ok(OffsetAnswer { offset: 1 }),
        RequestCode::SEND_MESSAGE_V2 if request.body.starts_with(b"old form") => {
            Reply::refuse(3, "not supported")
        }
        RequestCode::SEND_MESSAGE | RequestCode::SEND_MESSAGE_V2 => Reply::ok(stored()),
        RequestCode::SEND_BATCH_MESSAGE => {
            Reply::ok(SendAnswer { offset_message_id: "0,1".into(), ..stored() })
        }
        _ => Reply::ok(Empty),
    })
    .await;
    let document = route(&[("a", &broker.address)], 4);
    let names = Server::names(move |_| Some(document.clone())).await;
    let me = Credentials::new("me", SECRET).security_token("token");
    let builder = Producer::builder("security", &*names.address).send_timeout(HANG).credentials(me);
    let producer = builder.start().await.unwrap();
    soon(producer.send(Message::new("t", "x").key("k").tag("ü"))).await.unwrap();
    soon(producer.send_oneway(Message::new("t", "one-way"))).await.unwrap();
    soon(producer.send_batch([Message::new("t", "a"), Message::new("t", "b")])).await.unwrap();
    soon(producer.send(Message::new("t", "old form"))).await.unwrap();
    let queue = posthaste::MessageQueue::new("t", "a", 0);
    soon(producer.admin().max_offset(&queue)).await.unwrap();
    soon(producer.close(Duration::from_secs(5))).await;
    until("the goodbye", || {
        broker.asked().iter().any(|one| one.request_code() == RequestCode::UNREGISTER_CLIENT)
    })
    .await;

    let mut codes = std::collections::BTreeSet::new();
    for request in [names.asked(), broker.asked(), broker.heartbeats()].concat() {
        assert!(is_signed(&request, SECRET), "{request:?}");
        assert_eq!(request.fields.get(sign::SECURITY_TOKEN), Some("token"));
        codes.insert(request.code);
    }
    assert_eq!(codes, [10, 30, 34, 35, 105, 310, 320].into());
}

/// A refused signature is a final answer: one attempt, or one on each of two brokers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_makes_no_storm() {
    let (a, b) = (fake::Broker::start("a").await, fake::Broker::start("b").await);
    for (code, remark) in [
        (16, "check signature failed."),
        (1, "CODE: 1  DESC: org.apache.rocketmq.acl.common.AclException: Check signature failed"),
    ] {
        a.forget();
        b.forget();
        a.always(Action::refuse(code, remark));
        b.always(Action::refuse(code, remark));
        for brokers in [&[&a][..], &[&a, &b]] {
            let server = NameServer::of(brokers, 4).await;
            let builder = fake::producer(&[&server]).credentials(Credentials::new("me", SECRET));
            let producer = builder.send_timeout(HOUR).start().await.unwrap();
            let before = a.seen_count() + b.seen_count();
            let mut deliveries = Vec::new();
            for n in 0..50 {
                let message = Message::new("t", format!("{n}")).order_by(format!("{n}"));
                deliveries.push(producer.enqueue(message).await.unwrap());
            }
            for delivery in deliveries {
                let error = soon(delivery).await.unwrap_err();
                let end = (error.kind(), error.outcome());
                assert_eq!(end, (ErrorKind::Denied, Outcome::NotStored));
            }
            let error = soon(producer.send(Message::new("t", "x"))).await.unwrap_err();
            assert_eq!(error.attempts().len(), brokers.len());
            let asked = a.seen_count() + b.seen_count() - before;
            assert!(asked <= 50 + brokers.len(), "{asked} attempts of 51 messages");
            assert_eq!(settled(&producer).retries, brokers.len() as u64 - 1);
        }
    }
}

/// The broker knows only the second secret: what was signed with the first is signed anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_that_have_changed_get_another_try() {
    let current = Arc::new(Mutex::new(Credentials::new("me", "first secret")));
    let shared = current.clone();
    let broker = Server::start(move |request| {
        if request.request_code() != RequestCode::SEND_MESSAGE_V2 {
            return Reply::ok(Empty);
        }
        *shared.lock().unwrap() = Credentials::new("me", "second secret");
        match is_signed(request, "second secret") {
            true => Reply::ok(stored()),
            false => Reply::refuse(16, "check signature failed."),
        }
    })
    .await;
    let document = route(&[("a", &broker.address)], 4);
    let names = Server::names(move |_| Some(document.clone())).await;
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let builder =
        Producer::builder("security", &*names.address).send_timeout(HANG).credentials(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            current.lock().unwrap().clone()
        });
    let producer = builder.start().await.unwrap();
    soon(producer.send(Message::new("t", "x"))).await.unwrap();
    assert_eq!(producer.stats().retries, 1);
    let before = calls.load(Ordering::Relaxed);
    soon(producer.send(Message::new("t", "y"))).await.unwrap();
    assert!(calls.load(Ordering::Relaxed) > before, "not asked for each request");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_panics_harms_its_requests_alone() {
    let broker = guarded().await;
    let panics = Arc::new(Mutex::new(false));
    let now = panics.clone();
    let builder = producer(&broker).credentials(move || {
        let panics = *now.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        assert!(!panics, "on purpose");
        Credentials::new("me", SECRET)
    });
    let producer = builder.start().await.unwrap();
    soon(producer.send(Message::new("t", "before"))).await.unwrap();
    *panics.lock().unwrap() = true;
    let error = soon(producer.send(Message::new("t", "meanwhile"))).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Denied, Outcome::NotStored));
    *panics.lock().unwrap() = false;
    soon(producer.send(Message::new("t", "after"))).await.unwrap();
}
