//! Messages found again by id and key, and taken back, with the embedded broker.

use std::time::{Duration, SystemTime};

use posthaste::{
    AdminError, Compression, Credentials, Message, Producer, ReadFrom, ReadMessage, ResponseCode,
};
use posthaste_broker::Broker;

use crate::{HANG, start};

fn texts(messages: &[ReadMessage]) -> Vec<String> {
    messages.iter().map(|m| String::from_utf8_lossy(m.body()).into_owned()).collect()
}

#[tokio::test]
async fn a_message_is_found_by_everything_that_its_receipt_says() {
    let (_broker, producer, admin) = start(Broker::builder().topic("found", 4)).await;
    for n in 0..8 {
        let message = Message::new("found", n.to_string()).key("all").key(format!("key-{n}"));
        let receipt = producer.send(message.tag("t").property("colour", "red")).await.unwrap();
        let viewed = admin.view("found", receipt.offset_message_id()).await.unwrap().unwrap();
        let by_id = admin.query_by_unique_id("found", receipt.message_id()).await.unwrap();
        let by_key = admin.query_by_key("found", &format!("key-{n}"), .., 10).await.unwrap();
        let of_any_topic = admin.view_of_any_topic(receipt.offset_message_id()).await.unwrap();
        let viewed = [viewed, of_any_topic.unwrap()];
        for found in by_id.iter().chain(&by_key).chain(&viewed) {
            assert_eq!(found.body(), &n.to_string());
            assert_eq!(found.queue(), receipt.queue());
            assert_eq!(found.queue_offset(), receipt.queue_offset());
            assert_eq!(found.message_id(), receipt.message_id());
            assert_eq!(found.offset_message_id(), receipt.offset_message_id());
            assert_eq!(found.tag(), Some("t"));
            assert_eq!(found.properties().collect::<Vec<_>>(), [("colour", "red")]);
        }
        assert_eq!((by_id.len(), by_key.len()), (1, 1));
    }
    let all = admin.query_by_key("found", "all", .., 100).await.unwrap();
    assert_eq!(texts(&all), ["0", "1", "2", "3", "4", "5", "6", "7"]);
    let newest = admin.query_by_key("found", "all", .., 3).await.unwrap();
    assert_eq!(texts(&newest), ["5", "6", "7"]);
    assert!(admin.query_by_key("found", "all", .., 0).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_range_of_time_is_kept_to() {
    let (_broker, producer, admin) = start(Broker::builder().topic("found", 1)).await;
    let mut stored_at = Vec::new();
    for n in 0..3 {
        let message = Message::new("found", n.to_string()).key("k");
        let receipt = producer.send(message).await.unwrap();
        let viewed = admin.view("found", receipt.offset_message_id()).await.unwrap().unwrap();
        stored_at.push(viewed.stored_at());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let query = |range| admin.query_by_key("found", "k", range, 10);
    use std::ops::Bound::{Excluded, Included, Unbounded};
    for (range, expected) in [
        ((Unbounded, Unbounded), "012"),
        ((Included(stored_at[1]), Unbounded), "12"),
        ((Excluded(stored_at[1]), Unbounded), "2"),
        ((Unbounded, Included(stored_at[1])), "01"),
        ((Unbounded, Excluded(stored_at[1])), "0"),
        ((Included(stored_at[1]), Included(stored_at[1])), "1"),
        ((Included(SystemTime::now() + Duration::from_secs(60)), Unbounded), ""),
    ] {
        assert_eq!(texts(&query(range).await.unwrap()).concat(), expected, "{range:?}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_no_error_and_what_cannot_be_is_one() {
    let (_broker, producer, admin) = start(Broker::builder().topic("found", 1)).await;
    let receipt = producer.send(Message::new("found", "x").key("k")).await.unwrap();
    producer.send(Message::new("other", "x")).await.unwrap();
    let id = receipt.offset_message_id();
    let later = format!("{}{:016X}", &id[..16], u64::from_str_radix(&id[16..], 16).unwrap() + 1);
    assert!(admin.view("found", &later).await.unwrap().is_none());
    assert!(admin.view_of_any_topic(&later).await.unwrap().is_none());
    let error = admin.view_of_any_topic("7F00").await.unwrap_err();
    assert!(matches!(error, AdminError::Invalid(_)), "{error}");
    assert!(admin.view("other", id).await.unwrap().is_none(), "it is of another topic");
    assert!(admin.query_by_unique_id("found", "another").await.unwrap().is_empty());
    assert!(admin.query_by_unique_id("other", receipt.message_id()).await.unwrap().is_empty());
    assert!(admin.query_by_key("found", "another", .., 10).await.unwrap().is_empty());

    let missing = AdminError::NoTopic { topic: "nowhere".into() };
    assert_eq!(admin.view("nowhere", id).await.unwrap_err(), missing);
    assert_eq!(admin.query_by_key("nowhere", "k", .., 1).await.unwrap_err(), missing);
    assert_eq!(admin.query_by_unique_id("nowhere", "k").await.unwrap_err(), missing);
    let invalid = |error: AdminError| assert!(matches!(error, AdminError::Invalid(_)), "{error:?}");
    for no_id in ["", "xyz", receipt.message_id().get(1..).unwrap(), "Ä"] {
        invalid(admin.view("found", no_id).await.unwrap_err());
    }
    invalid(admin.query_by_key("found", "", .., 1).await.unwrap_err());
    invalid(admin.query_by_key("found", "two keys", .., 1).await.unwrap_err());
    invalid(admin.query_by_unique_id("found", "").await.unwrap_err());
    invalid(admin.query_by_key("a/b", "k", .., 1).await.unwrap_err());
}

#[tokio::test]
async fn a_compressed_body_is_read_as_it_was_sent() {
    let broker = Broker::builder().topic("packed", 1).start().await.unwrap();
    let name_server = broker.name_server().to_string();
    let producer = Producer::builder("packers", name_server)
        .send_timeout(HANG)
        .compression(Compression::Zlib)
        .compress_from(100)
        .start()
        .await
        .unwrap();
    let body = "over and over ".repeat(100);
    let receipt = producer.send(Message::new("packed", body.clone())).await.unwrap();
    let admin = producer.admin().with_timeout(HANG);
    let viewed = admin.view("packed", receipt.offset_message_id()).await.unwrap().unwrap();
    let mut reader = admin.reader("packed").from(ReadFrom::Start).until_now().open().await.unwrap();
    let read = reader.next().await.unwrap().unwrap();
    for message in [viewed, read] {
        assert_eq!(message.body(), &body);
        assert!(message.stored_body().len() < body.len() / 2, "it was not compressed");
        assert!(!message.is_compressed(), "body() is what was sent");
        assert_eq!(message.clone().body(), &body);
    }
}

/// A query leaves its flag out of what is signed.
#[tokio::test]
async fn a_producer_that_signs_finds_and_takes_back_too() {
    let secret = "a long secret";
    let broker = Broker::builder().topic("found", 1).access_key("me", secret);
    let broker = broker.start().await.unwrap();
    let name_server = broker.name_server().to_string();
    let producer = Producer::builder("signers", name_server).send_timeout(HANG);
    let producer = producer.credentials(Credentials::new("me", secret)).start().await.unwrap();
    let message = Message::new("found", "x").key("k");
    let receipt = producer.send(message.clone()).await.unwrap();
    let admin = producer.admin().with_timeout(HANG);
    assert!(admin.view("found", receipt.offset_message_id()).await.unwrap().is_some());
    assert_eq!(admin.query_by_key("found", "k", .., 9).await.unwrap().len(), 1);
    let by_id = admin.query_by_unique_id("found", receipt.message_id()).await.unwrap();
    assert_eq!(by_id.len(), 1);
    let later = producer.send(message.deliver_after(Duration::from_secs(60))).await.unwrap();
    producer.recall(later.recall_handle().unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_message_that_is_taken_back_does_not_come() {
    let (_broker, producer, _admin) = start(Broker::builder().topic("timed", 1)).await;
    let send = |text: &'static str, ms| {
        producer.send(Message::new("timed", text).deliver_after(Duration::from_millis(ms)))
    };
    let (gone, comes) = (send("gone", 1_500).await.unwrap(), send("comes", 1_600).await.unwrap());
    let handle = gone.recall_handle().unwrap();
    assert_eq!(producer.recall(handle).await.unwrap(), gone.message_id());
    let again = producer.recall(handle).await.unwrap_err();
    let too_late = ResponseCode::ILLEGAL_OPERATION;
    assert!(matches!(&again, AdminError::Refused { code, .. } if *code == too_late), "{again:?}");
    assert!(again.help().contains("too late"), "{}", again.help());
    let admin = producer.admin().with_timeout(HANG);
    let mut reader = admin.reader("timed").from(ReadFrom::Start).open().await.unwrap();
    assert_eq!(reader.next().await.unwrap().unwrap().message_id(), comes.message_id());
    assert!(producer.recall(comes.recall_handle().unwrap()).await.is_err(), "it has come");
}

#[tokio::test]
async fn what_is_no_handle_is_refused_before_anybody_is_asked() {
    let producer = Producer::builder("recallers", "127.0.0.1:1").start().await.unwrap();
    let handle = |topic: &str| {
        posthaste_protocol::request::RecallHandle {
            topic: topic.into(),
            broker: "dev".into(),
            deliver_at_ms: 9,
            unique_id: "id".into(),
        }
        .to_string()
    };
    for wrong in [
        String::new(),
        "no handle".into(),
        handle("%RETRY%group"),
        handle("%DLQ%group"),
        handle("a/b"),
    ] {
        let error = producer.recall(&wrong).await.unwrap_err();
        assert!(matches!(error, AdminError::Invalid(_)), "{wrong}: {error:?}");
    }
    let error = producer.recall(&handle("t")).await.unwrap_err();
    assert!(matches!(error, AdminError::Unreachable(_)), "{error:?}");
}

/// What a namespace adds to names stays on the wire.
#[tokio::test]
async fn in_a_namespace_messages_are_found_under_their_topics_own_name() {
    let broker = Broker::builder().start().await.unwrap();
    let name_server = broker.name_server().to_string();
    let producer = Producer::builder("owners", name_server)
        .send_timeout(HANG)
        .namespace("ns")
        .start()
        .await
        .unwrap();
    let admin = producer.admin().with_timeout(HANG);
    let settings = posthaste::TopicSettings::new(1);
    admin.create_topic_with("found", &settings).await.unwrap();
    let message = Message::new("found", "x").key("k");
    let receipt = producer.send(message.clone()).await.unwrap();
    let viewed = admin.view("found", receipt.offset_message_id()).await.unwrap().unwrap();
    let by_key = admin.query_by_key("found", "k", .., 9).await.unwrap();
    let by_id = admin.query_by_unique_id("found", receipt.message_id()).await.unwrap();
    assert_eq!((by_key.len(), by_id.len()), (1, 1));
    for message in by_key.iter().chain(&by_id).chain([&viewed]) {
        assert_eq!(message.queue().topic(), "found");
    }
    let later = producer.send(message.deliver_after(Duration::from_secs(60))).await.unwrap();
    producer.recall(later.recall_handle().unwrap()).await.unwrap();
}
