//! Namespaces: names are the application's here, and have their namespace on the wire.

use std::collections::BTreeSet;
use std::time::Duration;

use posthaste::{Admin, Credentials, ErrorKind, Message, MessageQueue, Producer, TransactionState};
use posthaste_broker::Broker;
use posthaste_protocol::{Command, sign};

use crate::fake::{self, NameServer, soon};

const TIME: Duration = Duration::from_secs(15);

async fn embedded(namespace: Option<&str>) -> (Broker, Producer) {
    let broker = Broker::builder().start().await.unwrap();
    let producer = of(&broker, namespace).await;
    (broker, producer)
}

async fn of(broker: &Broker, namespace: Option<&str>) -> Producer {
    let builder = Producer::builder("orders", broker.name_server().to_string()).send_timeout(TIME);
    let builder = match namespace {
        Some(namespace) => builder.namespace(namespace),
        None => builder,
    };
    builder.start().await.unwrap()
}

async fn bodies(admin: &Admin, topic: &str) -> BTreeSet<String> {
    let mut reader = soon(admin.reader(topic).until_now().open()).await.unwrap();
    let mut bodies = BTreeSet::new();
    while let Some(message) = soon(reader.next()).await.unwrap() {
        assert_eq!(message.queue().topic(), topic);
        bodies.insert(String::from_utf8(message.body().to_vec()).unwrap());
    }
    bodies
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_verb_keeps_the_callers_names() {
    let (broker, producer) = embedded(Some("shop")).await;
    let message = |body: &str| Message::new("paid", body.to_owned());
    let receipt = soon(producer.send(message("plain").tag("t"))).await.unwrap();
    assert_eq!(receipt.queue().topic(), "paid");
    let given = receipt.queue().clone();
    let receipt = soon(producer.send(message("given").queue(given.clone()))).await.unwrap();
    assert_eq!(receipt.queue(), &given);
    let receipt = soon(producer.send(message("ordered").order_by("k"))).await.unwrap();
    assert_eq!(receipt.queue().topic(), "paid");
    let receipts = soon(producer.send_batch([message("b1"), message("b2")])).await.unwrap();
    assert!(receipts.iter().all(|receipt| receipt.queue().topic() == "paid"));
    soon(producer.send_oneway(message("oneway"))).await.unwrap();
    // One that has its namespace already is the same topic, as in Java.
    soon(producer.send(Message::new("shop%paid", "whole"))).await.unwrap();
    soon(producer.flush()).await;

    let expected = ["b1", "b2", "given", "oneway", "ordered", "plain", "whole"];
    let expected: BTreeSet<String> = expected.map(str::to_owned).into();
    let outside = of(&broker, None).await;
    fake::until("all is stored", || broker.stats().messages == 7).await;
    assert_eq!(bodies(&outside.admin(), "shop%paid").await, expected);
    assert_eq!(bodies(&producer.admin(), "paid").await, expected);
    let mut reader = soon(outside.admin().reader("shop%paid").until_now().open()).await.unwrap();
    while let Some(message) = soon(reader.next()).await.unwrap() {
        let instance = message.all_properties().find(|(name, _)| *name == "INSTANCE_ID");
        assert_eq!(instance, Some(("INSTANCE_ID", "shop")));
    }
    // Not another namespace's topic of that name.
    let elsewhere = of(&broker, Some("other")).await;
    let error = soon(elsewhere.admin().reader("paid").open()).await.unwrap_err();
    assert!(error.to_string().contains("no such topic: paid"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn admin_speaks_of_the_namespaces_own_topics() {
    let (broker, producer) = embedded(Some("shop")).await;
    let (admin, outside) = (producer.admin(), of(&broker, None).await.admin());
    soon(admin.create_topic("made", 3)).await.unwrap();
    soon(outside.create_topic("foreign", 1)).await.unwrap();
    let queues = soon(admin.publish_queues("made")).await.unwrap();
    assert_eq!(queues.len(), 3);
    assert!(queues.iter().all(|queue| queue.topic() == "made"));
    assert_eq!(soon(outside.publish_queues("shop%made")).await.unwrap().len(), 3);
    let (own, all) = (soon(admin.topics()).await.unwrap(), soon(outside.topics()).await.unwrap());
    assert!(own.contains(&"made".to_owned()) && own.contains(&"TBW102".to_owned()), "{own:?}");
    assert!(!own.iter().any(|topic| topic.contains("foreign")), "{own:?}");
    assert!(all.contains(&"shop%made".to_owned()) && all.contains(&"foreign".to_owned()));

    let receipt = soon(producer.send(Message::new("made", "x").key("k"))).await.unwrap();
    let by_id = soon(admin.query_by_unique_id("made", receipt.message_id())).await.unwrap();
    let by_key = soon(admin.query_by_key("made", "k", .., 9)).await.unwrap();
    let viewed = soon(admin.view("made", receipt.offset_message_id())).await.unwrap().unwrap();
    for found in [&by_id[0], &by_key[0], &viewed] {
        assert_eq!(
            (found.queue(), found.message_id()),
            (receipt.queue(), receipt.message_id().into())
        );
    }
    assert!(soon(outside.query_by_key("foreign", "k", .., 9)).await.unwrap().is_empty());
    let queue = receipt.queue();
    assert_eq!(soon(admin.max_offset(queue)).await.unwrap(), 1);
    assert_eq!(soon(admin.min_offset(queue)).await.unwrap(), 0);
    let long_ago = std::time::SystemTime::UNIX_EPOCH;
    assert_eq!(soon(admin.offset_at(queue, long_ago)).await.unwrap(), 0);
    assert!(soon(admin.earliest_store_time(queue)).await.unwrap().is_some());
    let unknown = MessageQueue::new("made", queue.broker(), 9);
    let error = soon(admin.max_offset(&unknown)).await.unwrap_err().to_string();
    assert!(error.contains("topic made has no queue 9"), "{error}");
}

/// The broker asks the group in the namespace, and the checker sees the application's topic.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_are_checked_in_the_namespace() {
    let soon_asked = Duration::from_millis(200);
    let broker = Broker::builder().transaction_check_interval(soon_asked);
    let broker = broker.transaction_timeout(soon_asked).start().await.unwrap();
    let (asked, mut topics) = tokio::sync::mpsc::unbounded_channel();
    let builder = Producer::builder("orders", broker.name_server().to_string()).namespace("shop");
    let builder = builder.send_timeout(TIME).transaction_checker(move |half| {
        asked.send(half.queue().topic().to_owned()).unwrap();
        async { TransactionState::Commit }
    });
    let producer = builder.start().await.unwrap();
    let begin = |body: &'static str| producer.begin(Message::new("paid", body));
    soon(soon(begin("committed")).await.unwrap().commit()).await.unwrap();
    soon(soon(begin("rolled back")).await.unwrap().rollback()).await.unwrap();
    drop(soon(begin("undecided")).await.unwrap());
    assert_eq!(soon(topics.recv()).await.as_deref(), Some("paid"));
    let outside = of(&broker, None).await;
    let mut reader = soon(outside.admin().reader("shop%paid").open()).await.unwrap();
    let mut arrived = BTreeSet::new();
    for _ in 0..2 {
        let message = soon(reader.next()).await.unwrap().unwrap();
        arrived.insert(String::from_utf8(message.body().to_vec()).unwrap());
    }
    assert_eq!(arrived, ["committed", "undecided"].map(String::from).into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_find_their_way_in_the_namespace() {
    let (_broker, producer) = embedded(Some("shop")).await;
    soon(producer.admin().create_topic("prices", 1)).await.unwrap();
    let replier = producer.clone();
    let mut reader = soon(replier.admin().reader("prices").open()).await.unwrap();
    let replies = tokio::spawn(async move {
        let request = reader.next().await.unwrap().unwrap();
        replier.send(request.reply("42").unwrap()).await.unwrap();
    });
    let reply = soon(producer.request(Message::new("prices", "EUR"))).await.unwrap();
    assert_eq!(reply.body(), "42");
    assert_eq!(reply.queue().topic(), "DefaultCluster_REPLY_TOPIC");
    soon(replies).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_group_has_its_namespace_everywhere_on_the_wire() {
    let broker = fake::Broker::start("a").await;
    let server = NameServer::of(&[&broker], 1).await;
    let builder = fake::producer(&[&server]).namespace("shop");
    let producer = builder.start().await.unwrap();
    soon(producer.send(Message::new("t", "x"))).await.unwrap();
    let seen = broker.seen().remove(0);
    assert_eq!((&*seen.topic, &*seen.group), ("shop%t", "shop%faults"));
    assert_eq!(seen.instance.as_deref(), Some("shop"));
    assert_eq!((server.asked("shop%t"), server.asked("t")), (1, 0));
    assert_eq!(broker.heartbeats()[0].producers[0].group_name, "shop%faults");

    // Those of a batch, and the batch.
    soon(producer.send_batch([Message::new("t", "1"), Message::new("t", "2")])).await.unwrap();
    let batch = &broker.seen()[1..];
    assert!(batch.iter().all(|seen| seen.instance.as_deref() == Some("shop")));
    assert!(batch[0].outer.as_ref().unwrap().contains("INSTANCE_ID\u{1}shop\u{2}"));

    soon(producer.close(Duration::from_secs(5))).await;
    let left = broker.goodbye().await;
    assert_eq!(left.producer_group.as_deref(), Some("shop%faults"));
}

/// The second kind: names stay as they are, and every request has the namespace beside; signed, if
/// requests are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_the_second_kind_every_request_says_it_beside() {
    let broker = fake::Broker::start("a").await;
    let server = NameServer::of(&[&broker], 1).await;
    let builder = fake::producer(&[&server]).namespace_v2("space").credentials(me());
    let producer = builder.start().await.unwrap();
    let message = || Message::new("t", "x");
    soon(producer.send(message())).await.unwrap();
    soon(producer.send_oneway(message())).await.unwrap();
    soon(producer.send_batch([message(), message()])).await.unwrap();
    soon(producer.admin().max_offset(&MessageQueue::new("t", "a", 0))).await.unwrap_err();
    soon(producer.close(Duration::from_secs(5))).await;
    let mut codes = BTreeSet::new();
    let others = broker.others();
    for request in server.requests().iter().chain(&broker.requests()).chain(&others) {
        let Command { fields, version, body, .. } = request;
        assert_eq!((fields.get("nsd"), fields.get("ns")), (Some("true"), Some("space")));
        let signature = fields.get(sign::SIGNATURE).unwrap();
        assert!(sign::is_signed(fields, *version, body, "secret", signature), "{request:?}");
        codes.insert(request.code);
    }
    let expected = [105, 310, 320, 34, 30, 35];
    assert_eq!(codes, expected.into());
    assert!(broker.seen().iter().all(|seen| seen.topic == "t" && seen.instance.is_none()));
}

fn me() -> Credentials {
    Credentials::new("me", "secret")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_show_the_callers_names() {
    let server = NameServer::start().await;
    let producer = fake::producer(&[&server]).namespace("shop").start().await.unwrap();
    let error = soon(producer.send(Message::new("nowhere", "x"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoTopic);
    assert_eq!(error.message().topic(), "nowhere");
    assert!(!error.to_string().contains("shop"), "{error}");
    assert_eq!(server.asked("shop%nowhere"), 1);
    // The limit is that of the name on the wire.
    let long = "x".repeat(123);
    let error = soon(producer.send(Message::new(long.as_str(), "x"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let error = soon(producer.admin().create_topic(&long, 1)).await.unwrap_err();
    assert!(matches!(error, posthaste::AdminError::Invalid(_)), "{error:?}");
}
