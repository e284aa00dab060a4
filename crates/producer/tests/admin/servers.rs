//! What other servers say than the embedded one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use posthaste::{Admin, AdminError, MessageQueue, Producer, ResponseCode};
use posthaste_protocol::request::{CreateTopic, Empty, OffsetAnswer, StoreTime};

use crate::scripted::{Reply, Server, route};

async fn admin(names: &Server) -> Admin {
    let producer = Producer::builder("admins", names.address.clone()).start().await.unwrap();
    producer.admin()
}

/// A name server that knows the default topic, and shows a created one once `broker` was asked.
async fn names_of(broker: &Server) -> Server {
    let broker = broker.clone();
    Server::names(move |topic| {
        let shown = topic == "TBW102" || !broker.asked().is_empty();
        shown.then(|| route(&[("a", &broker.address)], 3))
    })
    .await
}

#[tokio::test]
async fn a_topic_is_created_as_java_asks_for_it() {
    let broker = Server::start(|_| Reply::ok(Empty)).await;
    let admin = admin(&names_of(&broker).await).await;
    admin.create_topic("made", 3).await.unwrap();
    let asked: Vec<CreateTopic> =
        broker.asked().iter().map(|request| request.read().unwrap()).collect();
    let expected = CreateTopic {
        topic: "made".into(),
        default_topic: "TBW102".into(),
        read_queues: 3,
        write_queues: 3,
        perm: 6,
        filter_type: Some("SINGLE_TAG".into()),
        sys_flag: Some(0),
        order: Some(false),
        attributes: None,
    };
    assert_eq!(asked, [expected]);
}

/// Brokers that create no topics on their own have no default topic.
#[tokio::test]
async fn without_the_default_topic_the_brokers_are_those_of_one_that_all_have() {
    let broker = Server::start(|_| Reply::ok(Empty)).await;
    let address = broker.address.clone();
    let names = Server::names(move |topic| {
        matches!(topic, "SELF_TEST_TOPIC" | "made").then(|| route(&[("a", &address)], 1))
    })
    .await;
    admin(&names).await.create_topic("made", 1).await.unwrap();
    assert_eq!(broker.asked().len(), 1);

    let names = Server::names(|_| None).await;
    let error = admin(&names).await.create_topic("made", 1).await.unwrap_err();
    assert!(matches!(error, AdminError::Unreachable(_)), "{error:?}");
}

#[tokio::test]
async fn a_busy_broker_is_asked_five_times() {
    for (refusals, created) in [(4, true), (5, false)] {
        let mut asked = 0;
        let broker = Server::start(move |_| {
            asked += 1;
            if asked > refusals { Reply::ok(Empty) } else { Reply::refuse(2, "busy") }
        })
        .await;
        let result = admin(&names_of(&broker).await).await.create_topic("made", 3).await;
        assert_eq!(broker.asked().len(), 5);
        match created {
            true => result.unwrap(),
            false => assert_eq!(
                result.unwrap_err(),
                AdminError::Refused {
                    code: ResponseCode::SYSTEM_BUSY,
                    remark: "busy".into(),
                    address: broker.address.clone(),
                }
            ),
        }
    }
}

/// 4.x has no code of its own for it.
#[tokio::test]
async fn a_denial_is_one_error_whatever_its_code() {
    for (code, remark) in [(16, "check signature failed"), (1, "AclException: no access key")] {
        let broker = Server::start(move |_| Reply::refuse(code, remark)).await;
        let error = admin(&names_of(&broker).await).await.create_topic("made", 3).await;
        let (remark, address) = (remark.to_owned(), broker.address.clone());
        assert_eq!(error.unwrap_err(), AdminError::Denied { address, remark });
        assert_eq!(broker.asked().len(), 1, "asking again will not help");
    }
}

#[tokio::test]
async fn one_broker_that_accepts_is_enough() {
    let silent = Server::start(|_| Reply::Nothing).await;
    let broker = Server::start(|_| Reply::ok(Empty)).await;
    let (a, b) = (silent.address.clone(), broker.address.clone());
    let names = Server::names(move |topic| match topic {
        "TBW102" => Some(route(&[("a", &a), ("b", &b)], 8)),
        _ => Some(route(&[("b", &b)], 3)),
    })
    .await;
    // Far longer than it takes: the silent one must not use it all up.
    let admin = admin(&names).await.with_timeout(Duration::from_secs(60));
    let created = admin.create_topic("made", 3);
    tokio::time::timeout(Duration::from_secs(30), created).await.unwrap().unwrap();
    assert_eq!((silent.asked().len(), broker.asked().len()), (1, 1));
}

#[tokio::test]
async fn creating_waits_until_every_broker_that_accepted_shows_the_queues() {
    let a = Server::start(|_| Reply::ok(Empty)).await;
    let b = Server::start(|_| Reply::ok(Empty)).await;
    let asked = Arc::new(AtomicUsize::new(0));
    let (count, addresses) = (asked.clone(), (a.address.clone(), b.address.clone()));
    let names = Server::names(move |topic| {
        let (a, b) = (("a", addresses.0.as_str()), ("b", addresses.1.as_str()));
        if topic == "TBW102" {
            return Some(route(&[a, b], 8));
        }
        match count.fetch_add(1, Ordering::Relaxed) {
            0 | 1 => None,
            // As it was before.
            2 => Some(route(&[a, b], 2)),
            3..7 => Some(route(&[a], 3)),
            _ => Some(route(&[a, b], 3)),
        }
    })
    .await;
    admin(&names).await.create_topic("made", 3).await.unwrap();
    assert!(asked.load(Ordering::Relaxed) > 7);
}

#[tokio::test]
async fn a_topic_that_never_shows_is_said_to_be_created() {
    let broker = Server::start(|_| Reply::ok(Empty)).await;
    let address = broker.address.clone();
    let names =
        Server::names(move |topic| (topic == "TBW102").then(|| route(&[("a", &address)], 8))).await;
    let admin = admin(&names).await.with_timeout(Duration::from_millis(300));
    let error = admin.create_topic("made", 3).await.unwrap_err();
    assert!(matches!(&error, AdminError::Timeout(text) if text.contains("was created")), "{error}");
}

/// A broker, and the admin and queue to ask it with.
async fn broker_with(
    script: impl FnMut(&posthaste_protocol::Command) -> Reply + Send + 'static,
) -> (Server, Admin, MessageQueue) {
    let broker = Server::start(script).await;
    let address = broker.address.clone();
    let names = Server::names(move |_| Some(route(&[("a", &address)], 1))).await;
    (broker, admin(&names).await, MessageQueue::new("t", "a", 0))
}

#[tokio::test]
async fn a_broker_that_does_not_answer_may_not_know_the_request() {
    let (broker, admin, queue) = broker_with(|_| Reply::Nothing).await;
    let admin = admin.with_timeout(Duration::from_millis(200));
    let error = admin.max_offset(&queue).await.unwrap_err();
    assert!(matches!(&error, AdminError::Timeout(text) if text.contains(&broker.address)));
    assert!(error.to_string().contains("does not know a request"), "{error}");
    assert!(error.help().contains("does not know a request"), "{}", error.help());
}

#[tokio::test]
async fn what_a_broker_says_of_a_queue_is_an_error_of_its_kind() {
    let (broker, admin, queue) = broker_with(|_| Reply::Nothing).await;
    broker.script(|_| Reply::refuse(3, "request type 30 not supported"));
    let error = admin.max_offset(&queue).await.unwrap_err();
    let unknown = ResponseCode::REQUEST_CODE_NOT_SUPPORTED;
    assert!(matches!(&error, AdminError::Refused { code, .. } if *code == unknown), "{error:?}");
    assert!(error.help().contains("does not know the request"), "{}", error.help());
    broker.script(|_| Reply::refuse(17, "no topic"));
    let error = admin.min_offset(&queue).await.unwrap_err();
    assert_eq!(error, AdminError::NoTopic { topic: "t".into() });
    // An answer without the offset.
    broker.script(|_| Reply::ok(Empty));
    let error = admin.max_offset(&queue).await.unwrap_err();
    assert!(matches!(&error, AdminError::Protocol { reason, .. } if reason.contains("offset")));
}

#[tokio::test]
async fn a_connection_that_breaks_is_tried_once_more() {
    let mut first = true;
    let (broker, admin, queue) = broker_with(move |_| match std::mem::take(&mut first) {
        true => Reply::Close,
        false => Reply::ok(OffsetAnswer { offset: 7 }),
    })
    .await;
    assert_eq!(admin.max_offset(&queue).await.unwrap(), 7);
    broker.script(|_| Reply::Close);
    let error = admin.max_offset(&queue).await.unwrap_err();
    assert!(matches!(error, AdminError::Unreachable(_)), "{error:?}");
    assert_eq!(broker.asked().len(), 4);
}

#[tokio::test]
async fn times_that_are_none_are_none() {
    let (broker, admin, queue) = broker_with(|_| Reply::Nothing).await;
    for timestamp_ms in [-1, i64::MIN] {
        broker.script(move |_| Reply::ok(StoreTime { timestamp_ms }));
        assert_eq!(admin.earliest_store_time(&queue).await.unwrap(), None);
    }
}

/// By a new connection: there may be another server at its address by now.
#[tokio::test]
async fn a_server_that_goes_away_is_asked_once_more() {
    for (refusals, expected) in [(1, Ok(7)), (2, Err(2))] {
        let mut asked = 0;
        let broker = Server::start(move |_| {
            asked += 1;
            match asked <= refusals {
                true => Reply::refuse(1500, "please go away"),
                false => Reply::ok(OffsetAnswer { offset: 7 }),
            }
        })
        .await;
        let address = broker.address.clone();
        let names = Server::names(move |_| Some(route(&[("a", &address)], 1))).await;
        let answer = admin(&names).await.max_offset(&MessageQueue::new("t", "a", 0)).await;
        match expected {
            Ok(offset) => assert_eq!(answer.unwrap(), offset),
            Err(asked) => {
                let error = answer.unwrap_err();
                let code = ResponseCode::GO_AWAY;
                assert!(
                    matches!(error, AdminError::Refused { code: c, .. } if c == code),
                    "{error}"
                );
                assert_eq!(broker.asked().len(), asked);
            }
        }
    }
}
