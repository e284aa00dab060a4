//! What brokers answer, and what they should not.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use posthaste::{ErrorKind as K, Message, MessageQueue, Outcome};

use posthaste_protocol::request::Empty;

use crate::fake::{
    Action, DEADLINE, answer, assert_all_ended, frame_of, one_broker, producer, request, settled,
    soon, stored_answer, two_brokers, until,
};

fn message(body: impl ToString) -> Message {
    Message::new("t", body.to_string())
}

// ---- connections that break ----

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_connection_is_unknown_and_tried_again() {
    let (broker, server, producer_of_two) = one_broker().await;
    let once = producer(&[&server]).retries(0).start().await.unwrap();
    for (what, action) in [
        ("close", Action::close()),
        ("reset", Action::reset()),
        ("store and close", Action::store_and_close()),
        ("store and reset", Action::store_and_reset()),
        ("half an answer", Action::half_an_answer()),
        ("length 0", Action::bytes([0, 0, 0, 0])),
        ("length 3", Action::bytes([0, 0, 0, 3, 0, 0, 0])),
        ("length -1", Action::bytes([0xff; 8])),
        ("length over 16 MiB", Action::bytes([1, 0, 0, 1, 0, 0, 0, 0])),
        ("header longer than the frame", Action::bytes([0, 0, 0, 9, 0, 0, 0, 90, 1, 2, 3, 4, 5])),
        ("encoding 7", Action::bytes([0, 0, 0, 6, 7, 0, 0, 2, b'{', b'}'])),
        ("HTTP", Action::bytes(*b"HTTP/1.1 400 Bad Request\r\n\r\n")),
        ("TLS", Action::bytes([0x15, 3, 3, 0, 2, 2, 40])),
        ("no JSON", Action::bytes(frame_of(b"hello"))),
        ("no number", Action::bytes(frame_of(b"{\"code\":0}"))),
        ("depth", Action::bytes(frame_of(&[b'['; 1 << 20]))),
        ("deep fields", Action::bytes(frame_of(&b"{\"extFields\":".repeat(100_000)))),
    ] {
        broker.first([action.clone()]);
        let error = soon(once.send(message(what))).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.outcome()),
            (K::ConnectionLost, Outcome::Unknown),
            "{what}"
        );
        broker.first([action]);
        broker.forget();
        soon(producer_of_two.send(message(what))).await.unwrap();
        let seen = broker.seen();
        assert_eq!(seen.len(), 2, "{what}");
        assert_eq!(seen[0].id, seen[1].id, "copies have one id");
        assert_ne!(seen[0].connection, seen[1].connection, "never used again");
    }
    assert_eq!(producer_of_two.stats().retries, 17);
    assert_eq!(broker.broken(), (0, 0));
    assert_all_ended(&once);
}

fn many_fields(opaque: i32) -> Vec<u8> {
    let fields: String = (0..1_000_000).map(|n| format!(",\"{n}\":\"\"")).collect();
    header(opaque, &format!("\"msgId\":\"0\",\"queueId\":\"0\",\"queueOffset\":\"0\"{fields}"))
}

fn header(opaque: i32, fields: &str) -> Vec<u8> {
    let text = format!("{{\"code\":0,\"flag\":1,\"opaque\":{opaque},\"extFields\":{{{fields}}}}}");
    frame_of(text.as_bytes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_says_yes_and_cannot_be_read_is_unknown() {
    let (broker, _server, producer) = one_broker().await;
    let answers: [fn(i32) -> Vec<u8>; 5] = [
        |opaque| header(opaque, ""),
        |opaque| header(opaque, "\"msgId\":\"x\",\"queueId\":\"0\""),
        |opaque| header(opaque, "\"queueId\":\"0\",\"queueOffset\":\"0\""),
        |opaque| header(opaque, "\"msgId\":\"x\",\"queueId\":\"zero\",\"queueOffset\":\"0\""),
        |opaque| {
            header(
                opaque,
                "\"msgId\":\"x\",\"queueId\":\"0\",\"queueOffset\":\"99999999999999999999\"",
            )
        },
    ];
    for answer in answers {
        broker.first([Action::frames(answer)]);
        let error = soon(producer.send(message("x"))).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (K::Protocol, Outcome::Unknown), "{error}");
    }
    assert_eq!(broker.connections(), 1, "the connection goes on");
    // Large, but well formed.
    broker.first([Action::frames(many_fields)]);
    let _ = soon(producer.send(message("x"))).await;
    broker.first([Action::frames(|opaque| {
        let long = "x".repeat(10 << 20);
        header(opaque, &format!("\"msgId\":\"{long}\",\"queueId\":\"0\",\"queueOffset\":\"0\""))
    })]);
    let _ = soon(producer.send(message("x"))).await;
    soon(producer.send(message("after"))).await.unwrap();
    assert_all_ended(&producer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_to_nothing_twice_and_byte_by_byte() {
    let (broker, _server, producer) = one_broker().await;
    broker.first([
        Action::frames(|opaque| {
            [answer(opaque ^ 0x4000_0000, 13, "not yours", &Empty), stored_answer(opaque)].concat()
        }),
        Action::ok_twice(),
        Action::frames(|opaque| {
            [
                answer(opaque, 0, "", &posthaste_protocol::request::SendAnswer::default()),
                answer(opaque, 13, "second", &Empty),
            ]
            .concat()
        }),
        Action::ok_byte_by_byte(),
    ]);
    for n in 0..6 {
        soon(producer.send(message(n))).await.unwrap();
    }
    assert_eq!(broker.connections(), 1);
    assert_eq!(settled(&producer).acked, 6);
    assert_all_ended(&producer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_brokers_own_requests_are_told_apart_and_answered() {
    let (broker, _server, producer) = one_broker().await;
    broker.first([Action::frames(|opaque| {
        let requests = [40, 39, 326, 220, 99_999].map(|code| request(code, opaque)).concat();
        [requests, stored_answer(opaque)].concat()
    })]);
    let receipt = soon(producer.send(message("x"))).await.unwrap();
    assert_eq!(receipt.offset_message_id(), "0".repeat(32));
    // A transaction check is not answered: it is asked again. A reply that cannot be read is 1.
    until("four answers", || broker.answers().len() == 4).await;
    let opaque = broker.seen()[0].opaque;
    assert!(broker.answers().iter().all(|answer| answer.opaque == opaque));
    let codes: Vec<i32> = broker.answers().iter().map(|answer| answer.code).collect();
    assert_eq!(codes, [3, 1, 3, 3]);
}

/// A peer that asks and asks, and reads no answer, must not fill our memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_requests_from_a_peer_that_does_not_read() {
    let (broker, _server, producer) = one_broker().await;
    broker.first([Action::frames(|opaque| {
        let flood = request(99_999, 7).repeat(100_000);
        [flood, stored_answer(opaque)].concat()
    })]);
    soon(producer.send(message("x"))).await.unwrap();
    soon(producer.send(message("after"))).await.unwrap();
    assert_eq!(broker.broken(), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_on_another_connection_is_not_taken() {
    let (a, b, _server, producer) = two_brokers().await;
    let to = |broker: &str, body: &str| message(body).queue(MessageQueue::new("t", broker, 0));
    soon(producer.send(to("a", "warm"))).await.unwrap();
    a.forget();
    a.always(Action::ignore());
    b.always(Action::frames(|_| (0..64).map(stored_answer).collect::<Vec<_>>().concat()));
    let hasty = producer.with_timeout(DEADLINE);
    let lost = hasty.enqueue(to("a", "x")).await.unwrap();
    until("it has left", || a.seen_count() == 1).await;
    soon(producer.send(to("b", "y"))).await.unwrap();
    let error = soon(lost).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (K::Timeout, Outcome::Unknown));
}

// ---- slow ones ----

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_success_of_an_earlier_attempt_ends_the_send_as_stored() {
    let (a, b, server, _) = two_brokers().await;
    static SEEN: AtomicUsize = AtomicUsize::new(0);
    for broker in [&a, &b] {
        broker.script(|_| match SEEN.fetch_add(1, Ordering::Relaxed) {
            // After the attempt has been given up, before the deadline.
            0 => Action::ok().at_the_gate(),
            _ => Action::ignore(),
        });
    }
    let builder = producer(&[&server]).attempt_timeout(Duration::from_millis(500));
    let producer = builder.start().await.unwrap();
    let sent = tokio::spawn({
        let producer = producer.clone();
        async move { producer.send(message("x")).await }
    });
    until("another attempt", || a.seen_count() + b.seen_count() == 2).await;
    a.open_gate(1);
    b.open_gate(1);
    let receipt = soon(sent).await.unwrap().unwrap();
    let first = if a.stored_count() == 1 { a } else { b };
    assert_eq!(receipt.queue().broker(), first.name());
    assert!((1..=2).contains(&producer.stats().retries));
    assert_all_ended(&producer);
}
