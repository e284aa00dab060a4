//! Topics and offsets of the embedded broker.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]
#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

mod finding;
#[path = "../scripted/mod.rs"]
mod scripted;
mod servers;

use std::time::{Duration, SystemTime};

use posthaste::{
    Admin, AdminError, ErrorKind, Message, MessageQueue, Producer, TopicSettings, TopicType,
    TopicUpdate,
};
use posthaste_broker::{Broker, BrokerBuilder};

/// Longer than anything takes, however busy the machine is: it only ends a hang.
const HANG: Duration = Duration::from_secs(60);

async fn start(settings: BrokerBuilder) -> (Broker, Producer, Admin) {
    let broker = settings.start().await.unwrap();
    let name_server = broker.name_server().to_string();
    let producer = Producer::builder("admins", name_server)
        .send_timeout(HANG)
        .compress_from(usize::MAX)
        .start()
        .await
        .unwrap();
    let admin = producer.admin().with_timeout(HANG);
    (broker, producer, admin)
}

#[tokio::test]
async fn a_created_topic_has_its_queues_and_is_listed() {
    let (_broker, producer, admin) = start(Broker::builder()).await;
    admin.create_topic("made", 5).await.unwrap();
    let queues = admin.publish_queues("made").await.unwrap();
    let expected: Vec<_> = (0..5).map(|id| MessageQueue::new("made", "dev", id)).collect();
    assert_eq!(queues, expected);
    let topics = admin.topics().await.unwrap();
    assert!(topics.contains(&"made".to_owned()), "{topics:?}");
    assert!(topics.is_sorted(), "{topics:?}");
    let receipt = producer.send(Message::new("made", "x").queue(expected[4].clone())).await;
    assert_eq!(receipt.unwrap().queue(), &expected[4]);
}

#[tokio::test]
async fn a_topic_is_created_as_its_settings_say() {
    let (_broker, producer, admin) = start(Broker::builder()).await;
    let settings = TopicSettings::new(4).read_queues(6).topic_type(TopicType::Fifo).ordered(true);
    admin.create_topic_with("typed", &settings).await.unwrap();
    assert_eq!(admin.publish_queues("typed").await.unwrap().len(), 4);
    let sixth = MessageQueue::new("typed", "dev", 5);
    assert_eq!(admin.max_offset(&sixth).await.unwrap(), 0, "it can be read");

    admin.update_topic("typed", &TopicUpdate::new().writable(false)).await.unwrap();
    assert!(admin.publish_queues("typed").await.unwrap().is_empty());
    let error = producer.send(Message::new("typed", "x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoWritableQueue);
    let there = &admin.describe_topic("typed").await.unwrap()[0];
    assert_eq!((there.read_queues, there.write_queues, there.writable), (6, 4, false));
    admin.update_topic("typed", &TopicUpdate::new().writable(true)).await.unwrap();
    producer.send(Message::new("typed", "x")).await.unwrap();
}

#[tokio::test]
async fn attributes_that_a_broker_does_not_know_are_refused_by_it() {
    let (_broker, _producer, admin) = start(Broker::builder()).await;
    let colour = TopicSettings::new(1).attribute("colour", "blue");
    let error = admin.create_topic_with("painted", &colour).await.unwrap_err();
    assert!(matches!(&error, AdminError::Refused { remark, .. } if remark.contains("colour")));
    let gone = TopicUpdate::new().without_attribute("message.type");
    admin.create_topic("plain", 1).await.unwrap();
    let error = admin.update_topic("plain", &gone).await.unwrap_err();
    assert!(matches!(error, AdminError::Refused { .. }), "{error:?}");
    let typed = TopicUpdate::new().topic_type(TopicType::Mixed);
    admin.update_topic("plain", &typed).await.unwrap();
    admin.update_topic("plain", &gone).await.unwrap();
    let wrong = TopicUpdate::new().attribute("a,b", "x");
    let error = admin.update_topic("plain", &wrong).await.unwrap_err();
    assert!(matches!(error, AdminError::Invalid(_)), "{error:?}");
}

/// As `topic create shr --queues 2` did where it had 8, with messages in them.
#[tokio::test]
async fn a_topic_that_is_there_is_not_created_again_with_fewer_queues() {
    let (_broker, producer, admin) = start(Broker::builder().topic("there", 8)).await;
    let last = MessageQueue::new("there", "dev", 7);
    producer.send(Message::new("there", "x").queue(last.clone())).await.unwrap();
    for queues in [2, 8, 16] {
        let error = admin.create_topic("there", queues).await.unwrap_err();
        let AdminError::Exists { topic, brokers } = &error else { panic!("{error:?}") };
        assert_eq!((topic.as_str(), brokers.len()), ("there", 1));
        assert_eq!((brokers[0].read_queues, brokers[0].write_queues), (8, 8));
        assert_eq!(error.to_string(), "topic there exists already: 8 queues on dev");
    }
    assert_eq!(admin.publish_queues("there").await.unwrap().len(), 8);
    assert_eq!(admin.max_offset(&last).await.unwrap(), 1);
}

#[tokio::test]
async fn an_update_that_puts_messages_out_of_reach_is_refused_until_that_is_meant() {
    let (_broker, producer, admin) = start(Broker::builder().topic("shrinks", 8)).await;
    for queue in [1, 2, 7, 7] {
        let queue = MessageQueue::new("shrinks", "dev", queue);
        producer.send(Message::new("shrinks", "x").queue(queue)).await.unwrap();
    }
    let out_of_reach = |messages| AdminError::OutOfReach { topic: "shrinks".to_owned(), messages };
    for (update, messages) in [
        (TopicUpdate::new().queues(2), 3),
        (TopicUpdate::new().read_queues(3), 2),
        (TopicUpdate::new().readable(false), 4),
    ] {
        let error = admin.update_topic("shrinks", &update).await.unwrap_err();
        assert_eq!(error, out_of_reach(messages), "{update:?}");
        let there = &admin.describe_topic("shrinks").await.unwrap()[0];
        assert_eq!((there.read_queues, there.write_queues, there.readable), (8, 8, true));
    }
    // Those of the first two queues stay in reach, whatever is written.
    admin.update_topic("shrinks", &TopicUpdate::new().write_queues(2)).await.unwrap();
    assert_eq!(admin.publish_queues("shrinks").await.unwrap().len(), 2);
    let meant = TopicUpdate::new().queues(2).abandon_messages(true);
    admin.update_topic("shrinks", &meant).await.unwrap();
    assert_eq!(admin.describe_topic("shrinks").await.unwrap()[0].read_queues, 2);
    let grown = TopicUpdate::new().queues(8);
    admin.update_topic("shrinks", &grown).await.unwrap();
    let missing = admin.update_topic("nowhere", &grown).await.unwrap_err();
    assert_eq!(missing, AdminError::NoTopic { topic: "nowhere".into() });
}

#[tokio::test]
async fn a_topic_can_be_given_another_number_of_queues() {
    let (_broker, producer, admin) = start(Broker::builder()).await;
    // The first send makes the topic known to the producer, with four queues.
    producer.send(Message::new("grows", "x")).await.unwrap();
    assert_eq!(admin.publish_queues("grows").await.unwrap().len(), 4);
    admin.update_topic("grows", &TopicUpdate::new().queues(6)).await.unwrap();
    assert_eq!(admin.publish_queues("grows").await.unwrap().len(), 6);
    // The producer has taken note: a queue that is not in its route would be no queue to it.
    let queues: Vec<i32> = {
        let mut queues = Vec::new();
        for _ in 0..6 {
            let receipt = producer.send(Message::new("grows", "x")).await.unwrap();
            queues.push(receipt.queue().id());
        }
        queues.sort_unstable();
        queues
    };
    assert_eq!(queues, [0, 1, 2, 3, 4, 5]);
}

/// A producer remembers for a second that a topic is missing; not once it was created.
#[tokio::test]
async fn a_deleted_topic_is_gone_with_its_messages() {
    let (_broker, producer, admin) = start(Broker::builder().auto_create_topics(false)).await;
    admin.create_topic("short-lived", 2).await.unwrap();
    let queue = MessageQueue::new("short-lived", "dev", 1);
    producer.send(Message::new("short-lived", "x").queue(queue.clone())).await.unwrap();
    assert_eq!(admin.max_offset(&queue).await.unwrap(), 1);

    admin.delete_topic("short-lived").await.unwrap();
    let missing = AdminError::NoTopic { topic: "short-lived".into() };
    assert_eq!(admin.describe_topic("short-lived").await.unwrap_err(), missing);
    assert!(!admin.topics().await.unwrap().contains(&"short-lived".to_owned()));
    assert_eq!(admin.delete_topic("short-lived").await.unwrap_err(), missing);
    let error = producer.send(Message::new("short-lived", "x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoTopic);

    admin.create_topic("short-lived", 2).await.unwrap();
    assert_eq!(admin.max_offset(&queue).await.unwrap(), 0);
    for topic in ["TBW102", "SELF_TEST_TOPIC", "a/b"] {
        let error = admin.delete_topic(topic).await.unwrap_err();
        assert!(matches!(error, AdminError::Invalid(_)), "{topic}: {error:?}");
    }
}

#[tokio::test]
async fn a_send_right_after_the_creation_finds_the_topic() {
    let (_broker, producer, admin) = start(Broker::builder().auto_create_topics(false)).await;
    let error = producer.send(Message::new("late", "x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoTopic);
    admin.create_topic("late", 1).await.unwrap();
    producer.send(Message::new("late", "x")).await.unwrap();
}

#[tokio::test]
async fn names_that_cannot_be_and_queues_that_are_none_are_refused_before_anybody_is_asked() {
    let producer = Producer::builder("admins", "127.0.0.1:1").start().await.unwrap();
    let admin = producer.admin();
    for (topic, queues) in [
        ("", 1),
        ("a/b", 1),
        ("a b", 1),
        ("TBW102", 1),
        ("SCHEDULE_TOPIC_XXXX", 1),
        ("RMQ_SYS_TRANS_HALF_TOPIC", 1),
        ("SELF_TEST_TOPIC", 1),
        ("BenchmarkTest", 1),
        ("rmq_sys_something", 1),
        ("t", 0),
        ("t", 65_536),
        ("t", u32::MAX),
    ] {
        let error = admin.create_topic(topic, queues).await.unwrap_err();
        assert!(matches!(error, AdminError::Invalid(_)), "{topic} {queues}: {error:?}");
    }
    let error = admin.publish_queues("a/b").await.unwrap_err();
    assert!(matches!(error, AdminError::Invalid(_)), "{error:?}");
}

#[tokio::test]
async fn a_broker_that_refuses_is_quoted() {
    let (broker, _producer, admin) = start(Broker::builder()).await;
    let error = admin.create_topic("too-many", 60_000).await.unwrap_err();
    let AdminError::Refused { remark, address, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*address, broker.address().to_string());
    assert!(remark.contains("60000"), "{remark}");
    assert!(!error.help().is_empty());
}

#[tokio::test]
async fn a_topic_that_is_not_there_is_named() {
    let (_broker, _producer, admin) = start(Broker::builder()).await;
    let missing = AdminError::NoTopic { topic: "nowhere".into() };
    assert_eq!(admin.publish_queues("nowhere").await.unwrap_err(), missing);
    let queue = MessageQueue::new("nowhere", "dev", 0);
    assert_eq!(admin.min_offset(&queue).await.unwrap_err(), missing);
    assert_eq!(admin.max_offset(&queue).await.unwrap_err(), missing);
    assert_eq!(admin.offset_at(&queue, SystemTime::now()).await.unwrap_err(), missing);
    assert_eq!(admin.earliest_store_time(&queue).await.unwrap_err(), missing);
    assert!(missing.help().contains("nowhere"));
}

#[tokio::test]
async fn a_queue_or_broker_that_the_topic_does_not_have_is_an_error_and_not_offset_0() {
    let (_broker, _producer, admin) = start(Broker::builder().topic("two", 2)).await;
    for (broker, id) in [("dev", 2), ("dev", -1), ("other", 0)] {
        let queue = MessageQueue::new("two", broker, id);
        let error = admin.max_offset(&queue).await.unwrap_err();
        assert!(matches!(error, AdminError::Invalid(_)), "{queue}: {error:?}");
    }
}

#[tokio::test]
async fn offsets_and_times_of_a_queue() {
    let (_broker, producer, admin) = start(Broker::builder().topic("one", 1)).await;
    let queue = MessageQueue::new("one", "dev", 0);
    assert_eq!(admin.min_offset(&queue).await.unwrap(), 0);
    assert_eq!(admin.max_offset(&queue).await.unwrap(), 0);
    assert_eq!(admin.earliest_store_time(&queue).await.unwrap(), None);

    for n in 0..3 {
        producer.send(Message::new("one", format!("{n}"))).await.unwrap();
    }
    assert_eq!(admin.min_offset(&queue).await.unwrap(), 0);
    assert_eq!(admin.max_offset(&queue).await.unwrap(), 3);
    let first = admin.earliest_store_time(&queue).await.unwrap().unwrap();
    assert_eq!(admin.offset_at(&queue, first).await.unwrap(), 0);
    assert_eq!(admin.offset_at(&queue, SystemTime::UNIX_EPOCH).await.unwrap(), 0);
    let before_1970 = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
    assert_eq!(admin.offset_at(&queue, before_1970).await.unwrap(), 0);
    let tomorrow = SystemTime::now() + Duration::from_secs(86_400);
    assert_eq!(admin.offset_at(&queue, tomorrow).await.unwrap(), 3);
}

#[tokio::test]
async fn what_memory_has_dropped_raises_the_least_offset() {
    let settings = Broker::builder().topic("drops", 1).memory_limit(1 << 20);
    let (_broker, producer, admin) = start(settings).await;
    let queue = MessageQueue::new("drops", "dev", 0);
    for _ in 0..40 {
        producer.send(Message::new("drops", vec![b'x'; 100_000])).await.unwrap();
    }
    let least = admin.min_offset(&queue).await.unwrap();
    assert!((1..40).contains(&least), "{least}");
    assert_eq!(admin.max_offset(&queue).await.unwrap(), 40);
}

#[tokio::test]
async fn an_admin_keeps_the_producer_alive_and_ends_with_it() {
    let (_broker, producer, admin) = start(Broker::builder()).await;
    let other = producer.clone();
    drop(producer);
    drop(other);
    admin.create_topic("alive", 1).await.unwrap();

    let (_broker, producer, admin) = start(Broker::builder()).await;
    producer.close(Duration::from_secs(1)).await;
    assert_eq!(admin.topics().await.unwrap_err(), AdminError::Closed);
    assert_eq!(admin.create_topic("dead", 1).await.unwrap_err(), AdminError::Closed);
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let producer = Producer::builder("admins", "127.0.0.1:1").start().await.unwrap();
    let error = producer.admin().topics().await.unwrap_err();
    assert!(matches!(&error, AdminError::Unreachable(text) if text.contains("127.0.0.1:1")));
    let error = producer.admin().create_topic("t", 1).await.unwrap_err();
    assert!(matches!(error, AdminError::Unreachable(_)), "{error:?}");
}

/// A server that takes connections and never says a word.
#[tokio::test]
async fn a_server_that_never_answers_ends_the_call_by_its_deadline() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let producer =
        Producer::builder("admins", address.clone()).send_timeout(HANG).start().await.unwrap();
    let admin = producer.admin().with_timeout(Duration::from_millis(200));
    let error = admin.topics().await.unwrap_err();
    assert!(matches!(&error, AdminError::Unreachable(text) if text.contains(&address)), "{error}");
    assert!(error.to_string().contains("may not answer"), "{error}");
}

/// After the broker has gone and come back on the same ports, the old connection is of no use.
#[tokio::test]
async fn a_broken_connection_is_replaced() {
    let (broker, _producer, admin) = start(Broker::builder().topic("back", 1)).await;
    let queue = MessageQueue::new("back", "dev", 0);
    assert_eq!(admin.max_offset(&queue).await.unwrap(), 0);
    let ports = (broker.name_server().port(), broker.address().port());
    broker.stop().await;
    let again = Broker::builder().name_server_port(ports.0).broker_port(ports.1).topic("back", 1);
    let _broker = again.start().await.unwrap();
    assert_eq!(admin.max_offset(&queue).await.unwrap(), 0);
}
