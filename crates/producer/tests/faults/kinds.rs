//! Kinds of messages: what each says to its broker.

use std::time::{Duration, SystemTime};

use posthaste::{Compression, Message};
use posthaste_protocol::compression::decompress;
use posthaste_protocol::request::SendAnswer;

use crate::fake::{self, Action, answer, one_broker, soon, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_message_asks_for_is_in_its_properties() {
    let (broker, _server, producer) = one_broker().await;
    let plain = || Message::new("t", "x");
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_000_000_123);
    for (message, name, value) in [
        (plain().delay_level(3), "DELAY", "3"),
        (plain().deliver_after(Duration::from_millis(1500)), "TIMER_DELAY_MS", "1500"),
        (plain().deliver_at(at), "TIMER_DELIVER_MS", "1795000000123"),
        (plain().priority(7), "_SYS_MSG_PRIORITY_", "7"),
        (plain().lite_topic("room-1"), "__LITE_TOPIC", "room-1"),
        (plain().light_queue("a").light_queue("%LMQ%b"), "INNER_MULTI_DISPATCH", "%LMQ%a,%LMQ%b"),
    ] {
        soon(producer.send(message)).await.unwrap();
        let sent = broker.seen().pop().unwrap();
        assert_eq!(sent.property(name), Some(value), "{name}");
        assert_eq!(sent.sys_flag, 0);
    }
    // The latest of several delays counts, alone.
    let message = plain().delay_level(3).deliver_after(Duration::from_secs(1)).deliver_at(at);
    soon(producer.send(message)).await.unwrap();
    let sent = broker.seen().pop().unwrap();
    let delays = ["DELAY", "TIMER_DELAY_MS", "TIMER_DELIVER_MS"].map(|name| sent.property(name));
    assert_eq!(delays, [None, None, Some("1795000000123")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_handle_of_a_timer_message_is_in_its_receipt() {
    let (broker, _server, producer) = one_broker().await;
    broker.always(Action::frames(|opaque| {
        let stored = SendAnswer {
            offset_message_id: "0".repeat(32),
            recall_handle: Some("aGFuZGxl".into()),
            ..SendAnswer::default()
        };
        answer(opaque, 0, "", &stored)
    }));
    let timer = Message::new("t", "x").deliver_after(Duration::from_secs(9));
    assert_eq!(soon(producer.send(timer)).await.unwrap().recall_handle(), Some("aGFuZGxl"));
}

/// Under load too: a message that brokers treat specially never shares a request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn special_messages_travel_alone() {
    let (broker, _server, producer) = one_broker().await;
    broker.always(Action::ok().at_the_gate());
    let mut deliveries = Vec::new();
    for n in 0..300 {
        let plain = Message::new("t", n.to_string());
        let message = match n % 3 {
            0 => plain.delay_level(1),
            1 => plain.priority(1),
            _ => plain,
        };
        deliveries.push(soon(producer.enqueue(message)).await.unwrap());
    }
    broker.open_gate(300);
    for delivery in deliveries {
        soon(delivery).await.unwrap();
    }
    let is_special = |n: i32| n % 3 != 2;
    for seen in broker.seen() {
        let n: i32 = seen.text().parse().unwrap();
        assert!(!is_special(n) || seen.together == 1, "{n} went with {}", seen.together);
    }
    assert!(broker.seen().iter().any(|seen| seen.together > 1), "no batch at all");
}

fn long(n: usize) -> Message {
    Message::new("t", format!("{n} ").repeat(3000))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_bodies_are_compressed_alone_and_in_batches() {
    let (broker, server, off) = one_broker().await;
    // As many bytes as are the default.
    let producer = fake::producer(&[&server]).compress_from(4096).start().await.unwrap();
    soon(producer.send(long(1))).await.unwrap();
    let sent = broker.seen().pop().unwrap();
    assert_eq!(sent.sys_flag, 0x301);
    assert!(sent.body.len() < 500);
    assert_eq!(decompress(sent.sys_flag, &sent.body, 1 << 20).unwrap(), long(1).body());

    broker.forget();
    broker.always(Action::ok().at_the_gate());
    let mut deliveries = Vec::new();
    for n in 0..200 {
        let message = if n % 2 == 0 { long(n) } else { Message::new("t", n.to_string()) };
        deliveries.push(soon(producer.enqueue(message)).await.unwrap());
    }
    broker.open_gate(201);
    for delivery in deliveries {
        soon(delivery).await.unwrap();
    }
    for seen in broker.seen() {
        let n: usize = decompressed(&seen).split(' ').next().unwrap().parse().unwrap();
        assert_eq!(seen.sys_flag, if n.is_multiple_of(2) { 0x301 } else { 0 }, "{n}");
    }
    assert!(broker.seen().iter().any(|seen| seen.together > 1 && seen.sys_flag != 0));
    assert_eq!(broker.seen_count(), 200);

    broker.always(Action::ok());
    // A batch that a caller makes has one flag for all its bodies: the short one is compressed too.
    let batch = [long(1), Message::new("t", "2")];
    soon(producer.send_batch(batch.clone())).await.unwrap();
    let sent = broker.seen();
    for (seen, message) in sent.iter().skip(200).zip(&batch) {
        assert_eq!((seen.sys_flag, seen.together), (0x301, 2));
        assert_eq!(decompressed(seen).as_bytes(), message.body());
    }
    assert_eq!(sent.len(), 202);

    soon(off.send(long(1))).await.unwrap();
    assert_eq!(broker.seen().pop().unwrap().sys_flag, 0);
}

fn decompressed(seen: &fake::Seen) -> String {
    let body = decompress(seen.sys_flag, &seen.body, 1 << 20).unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

/// A caller that gets a message back gets it as it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_message_comes_back_uncompressed() {
    let (broker, server, _) = one_broker().await;
    let producer = fake::producer(&[&server])
        .compress_from(1000)
        .compression(Compression::Zlib)
        .compression_level(9)
        .start()
        .await
        .unwrap();
    broker.always(Action::refuse(13, "no"));
    let error = soon(producer.send(long(7))).await.unwrap_err();
    assert_eq!(error.into_message().body(), long(7).body());
    until("it was sent compressed", || broker.seen().pop().unwrap().sys_flag == 0x301).await;
}
