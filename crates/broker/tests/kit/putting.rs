//! Messages that the test puts into topics, and places that it names.

use std::time::Duration;

use posthaste_broker::{Broker, KitError, NewMessage, PageOf, Position};

use crate::start;

#[tokio::test]
async fn a_message_that_is_put_is_as_one_that_was_sent() {
    let (broker, _producer) = start().await;
    let message = NewMessage::new("orders", "hello").tag("new").key("o-1").key("c-7").queue(2);
    let put = broker.put(message.property("colour", "red")).await.unwrap();
    assert_eq!((put.queue, put.offset), (2, 0));
    let messages = broker.messages("orders").await.unwrap();
    let [message] = messages.as_slice() else { panic!("one message: {messages:?}") };
    assert_eq!((message.text(), message.tag.as_deref()), (Some("hello"), Some("new")));
    assert_eq!(message.keys, ["o-1", "c-7"]);
    assert_eq!(message.properties["colour"], "red");
    assert_eq!((&message.unique_id, &message.offset_id), (&put.unique_id, &put.offset_id));
    assert_eq!(broker.message_at(&put.offset_id).await.unwrap().as_ref(), Some(message));
    assert_eq!(broker.message_at(&put.unique_id).await.unwrap(), None);
    assert_eq!(broker.stats().messages, 1);
}

#[tokio::test]
async fn a_new_topic_comes_into_being_and_a_delayed_message_waits() {
    let broker = Broker::builder().start().await.unwrap();
    let late = NewMessage::new("payments", "late").delay(Duration::from_secs(3600));
    let put = broker.put(late).await.unwrap();
    assert!(broker.topics().await.unwrap().iter().any(|topic| topic.name == "payments"));
    assert_eq!(broker.messages("payments").await.unwrap(), []);
    assert_eq!(broker.deliver_now().await.unwrap(), 1);
    assert_eq!(broker.messages("payments").await.unwrap()[0].unique_id, put.unique_id);
}

#[tokio::test]
async fn what_a_producer_may_not_send_is_not_put() {
    let (broker, _producer) = start().await;
    let to_orders = || NewMessage::new("orders", "x");
    for (message, said) in [
        (NewMessage::new("orders", ""), "no body"),
        (NewMessage::new("a b", "x"), "topic"),
        (NewMessage::new("SCHEDULE_TOPIC_XXXX", "x"), "is forbidden"),
        (to_orders().queue(9), "queueId[9] is illegal"),
        (to_orders().property("UNIQ_KEY", "x"), "belongs to the protocol"),
        (to_orders().property("a\u{1}b", "x"), "without the characters"),
        (to_orders().property("a", ""), "a property has a name and a value"),
        (to_orders().tag("a\u{2}b"), "without the characters"),
        (to_orders().delay(Duration::from_secs(4 * 24 * 3600)), "delay"),
    ] {
        let what = format!("{message:?}");
        match broker.put(message).await {
            Err(KitError::Refused(text)) => assert!(text.contains(said), "{what}: {text}"),
            other => panic!("{what}: {other:?}"),
        }
    }
    assert_eq!(broker.stats().messages, 0);
    let handle = broker.handle();
    broker.stop().await;
    let stopped = handle.put(to_orders()).await;
    assert!(matches!(stopped, Err(KitError::Stopped(None))), "{stopped:?}");
    assert_eq!(handle.addresses(), None);
}

#[tokio::test]
async fn a_page_begins_at_a_place_and_looks_at_as_many_messages_as_it_may() {
    let (broker, _producer) = start().await;
    for n in 0..20 {
        broker.put(NewMessage::new("orders", n.to_string()).queue(n / 10)).await.unwrap();
    }
    let at: Position = [(1, 5)].into_iter().collect();
    let of = PageOf::topic("orders").queue(1).from(at);
    let bodies = |page: posthaste_broker::Page| -> Vec<String> {
        page.messages.iter().map(|message| message.text().unwrap().to_owned()).collect()
    };
    assert_eq!(bodies(broker.page(of.clone().count(2)).await.unwrap()), ["15", "16"]);
    assert_eq!(bodies(broker.page(of.newest_first().count(2)).await.unwrap()), ["14", "13"]);
    let none = PageOf::topic("orders").key("none");
    let some = broker.page(none.clone().look_at(7)).await.unwrap();
    assert_eq!((some.looked_at, some.is_end), (7, false));
    let rest = broker.page(none.from(some.next)).await.unwrap();
    assert_eq!((rest.looked_at, rest.is_end), (13, true));
}
