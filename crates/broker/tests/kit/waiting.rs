//! Waiting for messages.

use std::time::Duration;

use posthaste::Message;
use posthaste_broker::{Broker, Fault, KitError, NotArrived, On};

use crate::{HANG, member, start};

/// Waits in vain; gives back what is said of it.
async fn in_vain(broker: &Broker, topic: &str, count: usize) -> NotArrived {
    match broker.wait_for(topic, count, Duration::from_millis(20)).await {
        Err(KitError::NotArrived(what)) => *what,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn it_ends_as_soon_as_the_messages_are_there() {
    let (broker, producer) = start().await;
    let handle = broker.handle();
    let waiting = tokio::spawn(async move { handle.wait_for("orders", 3, HANG * 60).await });
    for n in 0..3 {
        assert!(!waiting.is_finished());
        producer.send(Message::new("orders", n.to_string())).await.unwrap();
    }
    assert_eq!(waiting.await.unwrap().unwrap().len(), 3);
    // What is there is not waited for, and more than is awaited comes too.
    assert_eq!(broker.wait_for("orders", 2, Duration::ZERO).await.unwrap().len(), 3);
    assert!(broker.wait_for("no topic", 0, Duration::ZERO).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_topic_may_come_into_being_meanwhile() {
    let (broker, producer) = start().await;
    let wait = broker.wait_for("new-topic", 1, HANG);
    let send = producer.send(Message::new("new-topic", "x"));
    let (messages, receipt) = tokio::join!(wait, send);
    receipt.unwrap();
    assert_eq!(messages.unwrap()[0].text(), Some("x"));
}

#[tokio::test]
async fn it_says_what_has_arrived_instead() {
    let (broker, producer) = start().await;
    producer.send(Message::new("orders", "created").tag("new").keys(["o-1", "c-7"])).await.unwrap();
    producer.send(Message::new("orders", vec![0xff; 9])).await.unwrap();
    producer.send(Message::new("bills", "y".repeat(100))).await.unwrap();
    producer.send(Message::new("orders", "later").delay_level(18)).await.unwrap();

    let few = in_vain(&broker, "orders", 5).await;
    assert_eq!((few.arrived, few.newest.len(), few.exists, few.delayed), (2, 2, true, 1));
    let text = KitError::NotArrived(Box::new(few)).to_string();
    for part in [
        "topic `orders` has 2 of the 5 messages awaited after 20ms",
        "`bills` (1)",
        "delayed messages that wait: 1",
        "tag new, keys o-1 c-7: \"created\"",
        ": 9 bytes",
    ] {
        assert!(text.contains(part), "{text}");
    }
    for absent in ["paused", "no such topic", "fault rules"] {
        assert!(!text.contains(absent), "{text}");
    }

    let misspelt = in_vain(&broker, "oders", 1).await;
    assert!(!misspelt.exists);
    assert_eq!(misspelt.others[0], ("orders".to_owned(), 2));
    assert!(misspelt.to_string().contains("there is no such topic"), "{misspelt}");
    let long = in_vain(&broker, "bills", 2).await.to_string();
    assert!(long.contains(&format!("{}…", "y".repeat(60))), "{long}");
}

#[tokio::test]
async fn it_says_which_fault_rules_have_hit() {
    let (broker, producer) = start().await;
    broker.fault(Fault::on(On::Send).topic("bills").pass()).unwrap();
    broker.fault(Fault::on(On::Send).first(2).no_answer()).unwrap();
    for n in ["1", "2"] {
        let lost = producer.with_timeout(Duration::from_millis(50));
        lost.send(Message::new("orders", n)).await.expect_err("no answer");
    }
    let few = in_vain(&broker, "orders", 1).await;
    assert_eq!(few.faults, [("on=send first=2 do=no-answer".to_owned(), 2)]);
    let text = "fault rules that have hit requests: `on=send first=2 do=no-answer` (2)";
    assert!(few.to_string().contains(text), "{few}");
}

#[tokio::test]
async fn a_delayed_message_counts_once_it_is_delivered_and_a_half_once_it_is_committed() {
    let (broker, producer) = start().await;
    producer
        .send(Message::new("orders", "soon").deliver_after(Duration::from_millis(50)))
        .await
        .unwrap();
    assert_eq!(broker.wait_for("orders", 1, HANG).await.unwrap()[0].text(), Some("soon"));

    let checker = |_| std::future::pending();
    let halves = member(&broker).transaction_checker(checker).instance_name("halves");
    let halves = halves.start().await.unwrap();
    let half = halves.begin(Message::new("orders", "half")).await.unwrap();
    let few = in_vain(&broker, "orders", 2).await;
    assert_eq!((few.arrived, few.undecided, few.delayed), (1, 1, 0));
    assert!(few.to_string().contains("half messages without a decision: 1"), "{few}");
    let (messages, committed) = tokio::join!(broker.wait_for("orders", 2, HANG), half.commit());
    committed.unwrap();
    assert_eq!(messages.unwrap()[1].text(), Some("half"));
}

#[tokio::test(start_paused = true)]
async fn with_a_paused_clock_it_ends_at_once_and_says_why() {
    let broker = Broker::builder().topic("orders", 1).start().await.unwrap();
    assert!(broker.wait_for("orders", 0, HANG).await.unwrap().is_empty());
    let Err(KitError::NotArrived(why)) = broker.wait_for("orders", 1, HANG * 60).await else {
        panic!("nothing has arrived")
    };
    assert!(why.is_clock_paused);
    assert!(why.to_string().contains("the tokio clock is paused"), "{why}");
    tokio::time::resume();
    assert!(!in_vain(&broker, "orders", 1).await.is_clock_paused);
}

#[tokio::test]
async fn one_who_waits_hears_that_the_broker_stops() {
    let (broker, _producer) = start().await;
    let handle = broker.handle();
    let waiting = tokio::spawn(async move { handle.wait_for("orders", 1, HANG * 60).await });
    tokio::task::yield_now().await;
    broker.stop().await;
    assert!(matches!(waiting.await.unwrap(), Err(KitError::Stopped(None))));
}
