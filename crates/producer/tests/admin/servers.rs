//! What other servers say than the embedded one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use posthaste::{
    Admin, AdminError, MessageQueue, Producer, ResponseCode, TopicSettings, TopicType, TopicUpdate,
};
use posthaste_protocol::id::OffsetId;
use posthaste_protocol::request::{
    CreateTopic, Empty, IndexType, OffsetAnswer, QueryAnswer, QueryMessages, RawBody, Recall,
    RecallAnswer, RecallHandle, StoreTime, ViewMessage,
};
use posthaste_protocol::{Command, RequestCode, StoredMessage};

use crate::HANG;
use crate::scripted::{Reply, Server, route};

async fn admin(names: &Server) -> Admin {
    let producer = Producer::builder("admins", names.address.clone())
        .send_timeout(HANG)
        .start()
        .await
        .unwrap();
    producer.admin().with_timeout(HANG)
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

#[tokio::test]
async fn what_is_said_of_a_topic_travels() {
    let broker = Server::start(|_| Reply::ok(Empty)).await;
    let address = broker.address.clone();
    let asked = broker.clone();
    let names = Server::names(move |topic| {
        let mut shown = route(&[("a", &address)], 3);
        shown.queues[0].read_queue_nums = 4;
        shown.queues[0].perm = 4;
        (topic == "TBW102" || !asked.asked().is_empty()).then_some(shown)
    })
    .await;
    let settings = TopicSettings::new(3)
        .read_queues(4)
        .writable(false)
        .ordered(true)
        .topic_type(TopicType::Transaction)
        .attribute("reserve.time", "7");
    admin(&names).await.create_topic_with("made", &settings).await.unwrap();
    let asked: CreateTopic = broker.asked()[0].read().unwrap();
    assert_eq!((asked.read_queues, asked.write_queues, asked.perm), (4, 3, 4));
    assert_eq!(asked.order, Some(true));
    let attributes = "+message.type=TRANSACTION,+reserve.time=7";
    assert_eq!(asked.attributes.as_deref(), Some(attributes));
}

/// Brokers that create no topics on their own have no default topic.
#[tokio::test]
async fn without_the_default_topic_the_brokers_are_those_of_one_that_all_have() {
    let broker = Server::start(|_| Reply::ok(Empty)).await;
    let address = broker.address.clone();
    let asked = broker.clone();
    let names = Server::names(move |topic| {
        let shown = topic == "SELF_TEST_TOPIC" || (topic == "made" && !asked.asked().is_empty());
        shown.then(|| route(&[("a", &address)], 1))
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

/// 4.x has no special code for it.
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
    let asked = broker.clone();
    let names = Server::names(move |topic| match topic {
        "TBW102" => Some(route(&[("a", &a), ("b", &b)], 8)),
        _ => (!asked.asked().is_empty()).then(|| route(&[("b", &b)], 3)),
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
            0..3 => None,
            3..7 => Some(route(&[a], 3)),
            _ => Some(route(&[a, b], 3)),
        }
    })
    .await;
    admin(&names).await.create_topic("made", 3).await.unwrap();
    assert!(asked.load(Ordering::Relaxed) > 7);
}

/// What was written and read before, and who might, shows for a while.
#[tokio::test]
async fn changing_waits_until_everything_that_changed_shows() {
    let broker = Server::start(|_| Reply::ok(Empty)).await;
    let asked = Arc::new(AtomicUsize::new(0));
    let (count, address) = (asked.clone(), broker.address.clone());
    let names = Server::names(move |topic| {
        let mut shown = route(&[("a", &address)], 3);
        if topic == "made" {
            (shown.queues[0].read_queue_nums, shown.queues[0].perm) =
                match count.fetch_add(1, Ordering::Relaxed) {
                    0 | 1 => (3, 6),
                    2 | 3 => (4, 6),
                    4 | 5 => (3, 4),
                    _ => (4, 4),
                };
        }
        Some(shown)
    })
    .await;
    let update = TopicUpdate::new().read_queues(4).writable(false);
    admin(&names).await.update_topic("made", &update).await.unwrap();
    assert!(asked.load(Ordering::Relaxed) > 6);
}

/// Nothing is changed where it is.
#[tokio::test]
async fn a_topic_that_only_some_masters_have_is_completed_on_the_others() {
    let a = Server::start(|_| Reply::ok(Empty)).await;
    let b = Server::start(|_| Reply::ok(Empty)).await;
    let (with, asked) = ((a.address.clone(), b.address.clone()), b.clone());
    let names = Server::names(move |topic| {
        let both = [("a", with.0.as_str()), ("b", with.1.as_str())];
        let created = topic == "TBW102" || !asked.asked().is_empty();
        let mut shown = route(if created { &both } else { &both[..1] }, 3);
        // On the first there are more.
        (shown.queues[0].read_queue_nums, shown.queues[0].write_queue_nums) = (8, 8);
        Some(shown)
    })
    .await;
    let admin = admin(&names).await;
    admin.create_topic("made", 3).await.unwrap();
    assert_eq!((a.asked().len(), b.asked().len()), (0, 1));
    let error = admin.create_topic("made", 3).await.unwrap_err();
    assert_eq!(error.to_string(), "topic made exists already: 8 queues on a, 3 queues on b");
    assert_eq!((a.asked().len(), b.asked().len()), (0, 1));
}

/// An update says nothing of what stays, and a broker that withholds a permission from every topic at
/// present does not close this one for good.
#[tokio::test]
async fn an_update_keeps_on_each_broker_what_it_does_not_name() {
    let a = Server::start(|_| Reply::ok(Empty)).await;
    let b = Server::start(|_| Reply::ok(Empty)).await;
    let (with, asked) = ((a.address.clone(), b.address.clone()), (a.clone(), b.clone()));
    let names = Server::names(move |topic| {
        let mut shown = route(&[("a", &with.0), ("b", &with.1)], 4);
        shown.order_topic_conf = Some("a:4;b:4".into());
        // Broker b may not be written at all, broker a not in this topic.
        shown.queues[1].perm = 4;
        if topic == "made" {
            shown.queues[0].perm = 4;
            shown.queues[0].topic_sys_flag = Some(2);
            shown.queues[1].read_queue_nums = 6;
            for (queues, server) in shown.queues.iter_mut().zip([&asked.0, &asked.1]) {
                if !server.asked().is_empty() {
                    queues.write_queue_nums = 8;
                }
            }
        }
        Some(shown)
    })
    .await;
    admin(&names).await.update_topic("made", &TopicUpdate::new().write_queues(8)).await.unwrap();
    let asked = |server: &Server| -> CreateTopic { server.asked()[0].read().unwrap() };
    let said = |request: CreateTopic| {
        (request.read_queues, request.write_queues, request.perm, request.sys_flag, request.order)
    };
    assert_eq!(said(asked(&a)), (4, 8, 4, Some(2), Some(true)));
    assert_eq!(said(asked(&b)), (6, 8, 6, Some(0), Some(true)));
}

#[tokio::test]
async fn an_update_that_one_broker_refuses_is_no_success() {
    let a = Server::start(|_| Reply::ok(Empty)).await;
    let b = Server::start(|_| Reply::refuse(16, "no permission")).await;
    let with = (a.address.clone(), b.address.clone());
    let names = Server::names(move |_| Some(route(&[("a", &with.0), ("b", &with.1)], 4))).await;
    let error = admin(&names).await.update_topic("made", &TopicUpdate::new().queues(8)).await;
    let address = b.address.clone();
    assert_eq!(error.unwrap_err(), AdminError::Denied { address, remark: "no permission".into() });
}

/// Two name servers that show topic `t` on brokers `a` and `b`, until both have been asked to forget
/// it, and one more time.
async fn two_name_servers(a: &Server, b: &Server) -> (Server, Server, Admin) {
    let shown = |address: (String, String)| {
        let (mut forgets, mut looks) = (false, 0);
        move |request: &Command| {
            if request.request_code() == RequestCode::DELETE_TOPIC_IN_NAMESRV {
                forgets = true;
                return Reply::ok(Empty);
            }
            looks += usize::from(forgets);
            match looks {
                0 | 1 => Reply::ok(route(&[("a", &address.0), ("b", &address.1)], 4)),
                _ => Reply::refuse(17, "no route"),
            }
        }
    };
    let addresses = || (a.address.clone(), b.address.clone());
    let (one, two) =
        (Server::start(shown(addresses())).await, Server::start(shown(addresses())).await);
    let both = format!("{};{}", one.address, two.address);
    let producer = Producer::builder("admins", both).send_timeout(HANG).start().await.unwrap();
    (one, two, producer.admin().with_timeout(HANG))
}

/// The topics that a server was asked to delete, with this code.
fn deletions(server: &Server, code: RequestCode) -> Vec<String> {
    let asked = server.asked().into_iter().filter(|request| request.request_code() == code);
    asked.map(|request| request.fields.get("topic").unwrap().to_string()).collect()
}

#[tokio::test]
async fn a_topic_is_deleted_at_every_broker_and_then_at_every_name_server() {
    let a = Server::start(|_| Reply::ok(Empty)).await;
    let b = Server::start(|_| Reply::ok(Empty)).await;
    let (one, two, admin) = two_name_servers(&a, &b).await;
    admin.delete_topic("t").await.unwrap();
    for broker in [&a, &b] {
        assert_eq!(deletions(broker, RequestCode::DELETE_TOPIC_IN_BROKER), ["t"]);
    }
    for server in [&one, &two] {
        assert_eq!(deletions(server, RequestCode::DELETE_TOPIC_IN_NAMESRV), ["t"]);
    }
    let looks = [&one, &two].map(|server| server.asked().len()).iter().sum::<usize>();
    assert!(looks > 4, "it was still shown once: {looks}");
}

/// A name server that has forgotten a topic learns of it again from a broker that still has it.
#[tokio::test]
async fn no_name_server_forgets_a_topic_that_a_broker_keeps() {
    let a = Server::start(|_| Reply::ok(Empty)).await;
    let b = Server::start(|_| Reply::refuse(1, "disk broken")).await;
    let (one, two, admin) = two_name_servers(&a, &b).await;
    let error = admin.delete_topic("t").await.unwrap_err();
    assert!(matches!(&error, AdminError::Refused { remark, .. } if remark == "disk broken"));
    assert_eq!(deletions(&a, RequestCode::DELETE_TOPIC_IN_BROKER), ["t"]);
    for server in [&one, &two] {
        assert!(deletions(server, RequestCode::DELETE_TOPIC_IN_NAMESRV).is_empty());
    }
    // Again is safe: brokers take the deletion of a topic that they do not have.
    b.script(|_| Reply::ok(Empty));
    admin.delete_topic("t").await.unwrap();

    let dead = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (one, _two, _admin) = two_name_servers(&a, &b).await;
    let producer =
        Producer::builder("admins", format!("{};{dead}", one.address)).send_timeout(HANG);
    let error = producer.start().await.unwrap().admin().delete_topic("t").await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with(&dead.to_string()) && text.contains("was deleted at its brokers"),
        "{text}"
    );
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

/// A message of topic `t` that lies at `offset` of the broker at `host`.
fn stored(host: &str, offset: i64, properties: &[(&str, &str)]) -> StoredMessage {
    let host = host.parse().unwrap();
    let mut text = String::new();
    for (name, value) in properties {
        posthaste_protocol::properties::push(&mut text, name, value);
    }
    StoredMessage {
        topic: "t".into(),
        queue_id: 3,
        queue_offset: offset,
        physical_offset: offset,
        flag: 0,
        sys_flag: 0,
        born_at_ms: 0,
        born_host: host,
        stored_at_ms: 1_000 + offset,
        store_host: host,
        reconsume_times: 0,
        prepared_offset: 0,
        body: Bytes::from(format!("m{offset}")),
        properties: text,
    }
}

fn encoded(messages: &[StoredMessage]) -> Bytes {
    let mut out = BytesMut::new();
    messages.iter().for_each(|message| message.encode(&mut out));
    out.freeze()
}

fn found(messages: &[StoredMessage]) -> Reply {
    Reply::ok(QueryAnswer {
        index_updated_at_ms: Some(1),
        index_physical_offset: Some(1),
        messages: encoded(messages),
    })
}

/// Two brokers, `a` and `b`, that answer as scripted, and the admin to ask them with.
async fn two_brokers(
    a: impl FnMut(&Command) -> Reply + Send + 'static,
    b: impl FnMut(&Command) -> Reply + Send + 'static,
) -> (Server, Server, Admin) {
    let (a, b) = (Server::start(a).await, Server::start(b).await);
    let (at_a, at_b) = (a.address.clone(), b.address.clone());
    let names = Server::names(move |_| Some(route(&[("a", &at_a), ("b", &at_b)], 4))).await;
    (a, b, admin(&names).await)
}

#[tokio::test]
async fn queries_are_asked_as_java_asks_them() {
    let script = |_: &Command| Reply::refuse(22, "can not find message");
    let (a, b, admin) = two_brokers(script, script).await;
    let begin = SystemTime::UNIX_EPOCH + Duration::from_millis(5);
    assert!(admin.query_by_key("t", "k", begin.., 9).await.unwrap().is_empty());
    assert!(admin.query_by_unique_id("t", "ID").await.unwrap().is_empty());
    for broker in [a, b] {
        let asked = broker.asked();
        let queries: Vec<QueryMessages> = asked.iter().map(|one| one.read().unwrap()).collect();
        let by_key = QueryMessages {
            topic: "t".into(),
            key: "k".into(),
            max_count: 9,
            begin_ms: 5,
            end_ms: i64::MAX,
            index_type: Some(IndexType::Key),
            by_unique_id: Some(false),
        };
        let by_id = QueryMessages {
            key: "ID".into(),
            max_count: 32,
            begin_ms: 0,
            index_type: Some(IndexType::UniqueId),
            by_unique_id: Some(true),
            ..by_key.clone()
        };
        assert_eq!(queries, [by_key, by_id]);
    }
}

/// Indexes go by hashes, so brokers find too much; and each finds its own.
#[tokio::test]
async fn what_brokers_find_is_filtered_and_put_together() {
    let at = "10.0.0.1:10911";
    let script = |messages: Vec<StoredMessage>| move |_: &Command| found(&messages);
    let (_a, _b, admin) = two_brokers(
        script(vec![
            stored(at, 5, &[("KEYS", "x k"), ("UNIQ_KEY", "k")]),
            stored(at, 2, &[("KEYS", "kk"), ("UNIQ_KEY", "other")]),
        ]),
        script(vec![
            stored(at, 9, &[("KEYS", "k"), ("UNIQ_KEY", "K")]),
            stored(at, 1, &[("KEYS", "k")]),
            StoredMessage { topic: "u".into(), ..stored(at, 3, &[("KEYS", "k")]) },
        ]),
    )
    .await;
    let places = |messages: Vec<posthaste::ReadMessage>| -> Vec<String> {
        messages.iter().map(|m| format!("{}@{}", m.queue_offset(), m.queue())).collect()
    };
    let by_key = admin.query_by_key("t", "k", .., 10).await.unwrap();
    let queue = |broker| MessageQueue::new("t", broker, 3).to_string();
    let expected =
        [format!("1@{}", queue("b")), format!("5@{}", queue("a")), format!("9@{}", queue("b"))];
    assert_eq!(places(by_key), expected);
    let newest = admin.query_by_key("t", "k", .., 1).await.unwrap();
    assert_eq!(places(newest), [format!("9@{}", queue("b"))]);
    let by_id = admin.query_by_unique_id("t", "k").await.unwrap();
    assert_eq!(places(by_id), [format!("5@{}", queue("a"))]);
}

#[tokio::test]
async fn a_broker_that_fails_is_an_error_when_the_others_find_nothing() {
    let one = || found(&[stored("10.0.0.1:1", 5, &[("KEYS", "k")])]);
    let (a, b, admin) = two_brokers(move |_| one(), |_| Reply::refuse(1, "broken")).await;
    assert_eq!(admin.query_by_key("t", "k", .., 9).await.unwrap().len(), 1);
    a.script(|_| Reply::refuse(22, "nothing"));
    let error = admin.query_by_key("t", "k", .., 9).await.unwrap_err();
    assert!(matches!(&error, AdminError::Refused { remark, .. } if remark == "broken"));
    b.script(|_| {
        Reply::ok(QueryAnswer { messages: Bytes::from_static(b"no record"), ..Default::default() })
    });
    let error = admin.query_by_key("t", "k", .., 9).await.unwrap_err();
    assert!(matches!(error, AdminError::Protocol { .. }), "{error:?}");
    b.script(|_| Reply::Nothing);
    let admin = admin.with_timeout(Duration::from_millis(200));
    let error = admin.query_by_unique_id("t", "k").await.unwrap_err();
    assert!(matches!(error, AdminError::Timeout(_)), "{error:?}");
}

fn id(host: &str, offset: i64) -> String {
    OffsetId { host: host.parse().unwrap(), offset }.to_string()
}

#[tokio::test]
async fn a_message_is_viewed_at_the_broker_that_its_id_names() {
    let script = |_: &Command| Reply::refuse(1, "can not find message by the offset, 7");
    let (a, b, admin) = two_brokers(script, script).await;
    let at_b = b.address.clone();
    assert!(admin.view("t", &id(&at_b, 7)).await.unwrap().is_none());
    let asked: ViewMessage = b.asked()[0].read().unwrap();
    assert_eq!(asked, ViewMessage { offset: 7, topic: Some("t".into()) });
    assert!(a.asked().is_empty());

    let here = at_b.clone();
    b.script(move |_| Reply::ok(RawBody(encoded(&[stored(&here, 7, &[])]))));
    let viewed = admin.view("t", &id(&at_b, 7)).await.unwrap().unwrap();
    assert_eq!(
        (viewed.queue(), viewed.body().as_ref()),
        (&MessageQueue::new("t", "b", 3), &b"m7"[..])
    );
    // What lies elsewhere, or cannot be read, is not the message that was meant.
    let here = at_b.clone();
    b.script(move |_| Reply::ok(RawBody(encoded(&[stored(&here, 8, &[])]))));
    assert!(admin.view("t", &id(&at_b, 7)).await.unwrap().is_none());
    b.script(|_| Reply::ok(RawBody(Bytes::from_static(b"no record"))));
    assert!(admin.view("t", &id(&at_b, 7)).await.unwrap().is_none());
    b.script(|_| Reply::refuse(16, "no"));
    let error = admin.view("t", &id(&at_b, 7)).await.unwrap_err();
    assert!(matches!(error, AdminError::Denied { .. }), "{error:?}");
}

/// Routes may have names where ids have addresses. Then only the brokers of the route are asked: an
/// id may come from anywhere.
#[tokio::test]
async fn an_id_leads_to_no_address_outside_of_the_route() {
    let foreign = Server::start(|_| Reply::Nothing).await;
    let (address, other) = (foreign.address.clone(), "10.9.9.9:10911");
    let there = address.clone();
    let (a, b, admin) = two_brokers(
        move |_| Reply::ok(RawBody(encoded(&[stored(other, 7, &[])]))),
        move |_| Reply::ok(RawBody(encoded(&[stored(&there, 7, &[])]))),
    )
    .await;
    let viewed = admin.view("t", &id(&address, 7)).await.unwrap().unwrap();
    assert_eq!(viewed.queue().broker(), "b");
    assert_eq!((a.asked().len(), b.asked().len(), foreign.asked().len()), (1, 1, 0));
}

#[tokio::test]
async fn a_recall_goes_once_to_the_broker_of_its_handle() {
    let script = |_: &Command| Reply::Close;
    let (a, b, admin) = two_brokers(script, script).await;
    drop(admin);
    let (at_a, at_b) = (a.address.clone(), b.address.clone());
    let names = Server::names(move |_| Some(route(&[("a", &at_a), ("b", &at_b)], 4))).await;
    let producer = Producer::builder("recallers", names.address.clone())
        .send_timeout(HANG)
        .start()
        .await
        .unwrap();
    let handle = |broker: &str| {
        RecallHandle {
            topic: "t".into(),
            broker: broker.into(),
            deliver_at_ms: 9,
            unique_id: "id".into(),
        }
        .to_string()
    };
    let error = producer.recall(&handle("b")).await.unwrap_err();
    assert!(matches!(error, AdminError::Unreachable(_)), "{error:?}");
    assert_eq!(b.asked().len(), 1, "it may have been done: not again");
    b.script(|_| Reply::ok(RecallAnswer { message_id: "the id".into(), region: None }));
    assert_eq!(producer.recall(&handle("b")).await.unwrap(), "the id");
    let asked = &b.asked()[1];
    assert_eq!(asked.request_code(), RequestCode::RECALL_MESSAGE);
    let expected = Recall {
        group: Some("recallers".into()),
        topic: "t".into(),
        handle: handle("b"),
        broker_name: Some("b".into()),
    };
    assert_eq!(asked.read::<Recall>().unwrap(), expected);
    b.script(|_| Reply::refuse(16, "recall failed, operation is forbidden"));
    let error = producer.recall(&handle("b")).await.unwrap_err();
    assert!(matches!(error, AdminError::Denied { .. }), "{error:?}");
    let error = producer.recall(&handle("c")).await.unwrap_err();
    assert!(matches!(&error, AdminError::Unreachable(text) if text.contains("broker c")));
    b.script(|_| Reply::Nothing);
    let hasty = producer.with_timeout(Duration::from_millis(200));
    let error = hasty.recall(&handle("b")).await.unwrap_err();
    assert!(matches!(error, AdminError::Timeout(_)), "{error:?}");
    assert!(a.asked().is_empty());
}
