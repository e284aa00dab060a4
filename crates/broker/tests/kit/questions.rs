//! What there is, and who is there.

use std::time::{Duration, SystemTime};

use posthaste::Message;
use posthaste_broker::{Broker, KitError, PageOf};

use crate::{HANG, member, start};

#[tokio::test]
async fn a_message_is_seen_as_its_sender_gave_it() {
    let (broker, producer) = start().await;
    let body = "over and over ".repeat(1_000);
    let message = Message::new("orders", body.clone()).tag("new").keys(["o-1", "c-7"]).flag(42);
    let message = message.property("colour", "red").order_by("o-1");
    let receipt = producer.send(message).await.unwrap();

    let messages = broker.messages("orders").await.unwrap();
    assert_eq!(messages.len(), 1);
    let message = &messages[0];
    assert_eq!((message.topic.as_str(), message.text()), ("orders", Some(body.as_str())));
    assert!(!message.is_compressed);
    assert_eq!(i32::from(message.queue), receipt.queue().id());
    assert_eq!(message.offset as i64, receipt.queue_offset());
    assert_eq!((message.tag.as_deref(), message.flag), (Some("new"), 42));
    assert_eq!(message.keys, ["o-1", "c-7"]);
    assert_eq!(message.ordering_key.as_deref(), Some("o-1"));
    let properties: Vec<_> = message.properties.iter().collect();
    assert_eq!(properties, [(&"colour".to_owned(), &"red".to_owned())]);
    assert_eq!(message.system_properties["KEYS"], "o-1 c-7");
    assert_eq!(message.unique_id, receipt.message_id());
    assert_eq!(message.offset_id, receipt.offset_message_id());
    assert_eq!(message.waits_for, None);
    assert!(message.born_at <= message.stored_at + Duration::from_secs(1));
    assert_eq!(message.born_host.ip(), broker.address().ip());

    for id in [receipt.message_id(), receipt.offset_message_id()] {
        assert_eq!(broker.message(id).await.unwrap().as_ref(), Some(message), "{id}");
    }
    let elsewhere = receipt.offset_message_id().replacen("7F000001", "7F000002", 1);
    for id in ["", "no id", elsewhere.as_str()] {
        assert_eq!(broker.message(id).await.unwrap(), None, "{id}");
    }
    assert_eq!(broker.messages("no topic").await.unwrap(), []);
}

#[tokio::test]
async fn the_sender_is_known_while_it_is_connected() {
    let (broker, producer) = start().await;
    producer.send(Message::new("orders", "x")).await.unwrap();
    // The heartbeat that says who it is need not have come before the message.
    let known = async {
        loop {
            let message = broker.messages("orders").await.unwrap().remove(0);
            if message.group.is_some() {
                return message;
            }
            tokio::task::yield_now().await;
        }
    };
    let message = tokio::time::timeout(HANG, known).await.unwrap();
    assert_eq!(message.group.as_deref(), Some("orders-service"));

    let clients = broker.clients().await.unwrap();
    let client = clients.iter().find(|client| client.client_id == message.client).unwrap();
    assert!(client.client_id.is_some());
    assert_eq!(client.producer_groups, ["orders-service"]);
    assert_eq!((client.consumer_groups.len(), client.address), (0, message.born_host));
    assert!(client.language.is_some() && client.version > 0 && client.last_heartbeat.is_some());
    assert!(client.connected_at <= SystemTime::now());
    let groups = broker.groups().await.unwrap();
    assert_eq!(groups.len(), 1);
    assert_eq!(groups[0].name, "orders-service");
    assert_eq!(groups[0].producers, [client.client_id.clone().unwrap()]);
    assert!(groups[0].consumers.is_empty() && groups[0].topics.is_empty());

    producer.close(HANG).await;
    let gone = async {
        while !broker.clients().await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(HANG, gone).await.unwrap();
    assert_eq!(broker.messages("orders").await.unwrap()[0].client, None);
}

#[tokio::test]
async fn what_waits_says_where_it_goes_and_when() {
    let (broker, producer) = start().await;
    let now = SystemTime::now();
    let level = Message::new("orders", "level").delay_level(5);
    let level = producer.send(level).await.unwrap();
    let timer = Message::new("orders", "timer").deliver_after(Duration::from_secs(3_600));
    let timer = producer.send(timer).await.unwrap();
    let half = member(&broker).transaction_checker(|_| std::future::pending());
    let half = half.instance_name("halves").start().await.unwrap();
    let open = half.begin(Message::new("orders", "half")).await.unwrap();

    assert_eq!(broker.messages("orders").await.unwrap(), []);
    for (id, after) in [
        (level.message_id(), Some(Duration::from_secs(60))),
        (timer.message_id(), Some(Duration::from_secs(3_600))),
        (open.message_id(), None),
    ] {
        let message = broker.message(id).await.unwrap().expect("the message that waits");
        assert_ne!(message.topic, "orders");
        let waits_for = message.waits_for.expect("it waits");
        assert_eq!(waits_for.topic, "orders");
        assert_eq!(waits_for.at.is_some(), after.is_some());
        if let (Some(at), Some(after)) = (waits_for.at, after) {
            let from = now + after - Duration::from_secs(1);
            assert!((from..from + HANG).contains(&at), "{at:?}");
        }
    }
    open.commit().await.unwrap();
    let messages = broker.messages("orders").await.unwrap();
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].group.as_deref(), Some("orders-service"));
    assert_eq!(messages[0].text(), Some("half"));
}

#[tokio::test]
async fn topics_say_how_much_they_have() {
    let (broker, producer) = start().await;
    let before = broker.topics().await.unwrap();
    let orders = |topics: &[posthaste_broker::TopicInfo]| {
        topics.iter().find(|topic| topic.name == "orders").unwrap().clone()
    };
    assert_eq!((orders(&before).messages, orders(&before).last_write), (0, None));
    for n in 0..9 {
        producer.send(crate::to_queue(n % 2, n.to_string())).await.unwrap();
    }
    let topics = broker.topics().await.unwrap();
    assert_eq!(topics.len() as u64, broker.stats().topics);
    assert!(topics.is_sorted_by_key(|topic| topic.name.clone()));
    let own: Vec<_> = topics.iter().filter(|topic| !topic.is_system).collect();
    assert_eq!(own.len(), 1);
    let orders = orders(&topics);
    assert_eq!((orders.read_queues, orders.write_queues, orders.permissions), (4, 4, 6));
    let ends: Vec<_> =
        orders.queues.iter().map(|q| (q.queue, q.min_offset, q.max_offset)).collect();
    assert_eq!(ends, [(0, 0, 5), (1, 0, 4), (2, 0, 0), (3, 0, 0)]);
    assert_eq!(orders.messages, 9);
    let last = broker.messages("orders").await.unwrap().last().unwrap().stored_at;
    assert_eq!(orders.last_write, Some(last));
}

#[tokio::test]
async fn a_topic_knows_its_last_message_from_before_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Broker::builder().data_dir(folder.path()).topic("orders", 4).start();
    let broker = open().await.unwrap();
    let producer = member(&broker).start().await.unwrap();
    for queue in [0, 2, 1] {
        producer.send(crate::to_queue(queue, "x".repeat(9))).await.unwrap();
        // Another millisecond, or the time of any queue would do.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let last = broker.messages("orders").await.unwrap().last().unwrap().stored_at;
    producer.close(HANG).await;
    broker.stop().await;

    let broker = open().await.unwrap();
    // The second answer is what the first has found.
    for _ in 0..2 {
        let topics = broker.topics().await.unwrap();
        let of = |name| topics.iter().find(|topic| topic.name == name).unwrap().last_write;
        assert_eq!((of("orders"), of("SCHEDULE_TOPIC_XXXX")), (Some(last), None));
    }
}

#[tokio::test]
async fn a_handle_outlives_its_broker_and_says_that_it_has_stopped() {
    let (broker, _producer) = start().await;
    let handle = broker.handle();
    assert_eq!(handle.messages("orders").await.unwrap(), []);
    broker.stop().await;
    assert!(matches!(handle.messages("orders").await, Err(KitError::Stopped(None))));

    let (broker, _producer) = start().await;
    let handle = broker.handle();
    drop(broker);
    let stopped = async {
        while handle.page(PageOf::topic("orders")).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(HANG, stopped).await.expect("a handle keeps no broker running");
}

#[tokio::test]
async fn a_handle_has_the_name_and_the_figures_of_its_broker_to_the_end() {
    let (broker, producer) = start().await;
    producer.send(Message::new("orders", "one")).await.unwrap();
    let handle = broker.handle();
    assert_eq!((handle.name(), handle.stats().messages), ("dev", 1));
    assert_eq!(handle.stats(), broker.stats());
    broker.stop().await;
    assert_eq!((handle.name(), handle.stats().messages), ("dev", 1));
}
