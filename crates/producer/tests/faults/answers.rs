//! What brokers answer, and what they should not.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use posthaste::{
    ErrorKind as K, Message, MessageQueue, Outcome, Producer, ResponseCode, SendError, SendStatus,
};

use posthaste_protocol::request::Empty;

use crate::fake::{
    Action, Broker, DEADLINE, NameServer, answer, assert_all_ended, frame_of, one_broker, producer,
    request, settled, soon, stored_answer, two_brokers, until,
};

fn message(body: impl ToString) -> Message {
    Message::new("t", body.to_string())
}

/// How a send ends that a broker refuses to its deadline. When its answer is on its way just then, it
/// shows nothing, and another send is tried.
async fn refused_to_the_end(hasty: &Producer, body: impl ToString) -> SendError {
    loop {
        let error = hasty.send(message(body.to_string())).await.unwrap_err();
        if error.kind() != K::Timeout {
            return error;
        }
    }
}

/// The table of `failures.md`, section 2, with the list of `sending.md`, section 7.
fn expected(code: i32) -> Option<(Outcome, K)> {
    use Outcome::{NotStored, Unknown};
    Some(match code {
        0 | 10 | 11 | 12 => return None,
        2 | 215 => (NotStored, K::Busy),
        3 | 15 => (NotStored, K::Unsupported),
        13 | 29 => (NotStored, K::Invalid),
        14 | 501 | 1500 => (NotStored, K::Unavailable),
        16 => (NotStored, K::Denied),
        17 => (NotStored, K::NoTopic),
        26 | 204 | 205 | 604 | 2017 | 2018 => (NotStored, K::Rejected(ResponseCode(code))),
        _ => (Unknown, K::Broker(ResponseCode(code))),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_code_means_what_the_table_says() {
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 4).await;
    broker.script(|seen| {
        let code: i32 = seen.text().parse().unwrap();
        match expected(code) {
            None => Action::store_and_say(code, ""),
            Some(_) => Action::refuse(code, "because"),
        }
    });
    let producer = producer(&[&server]).retries(0).start().await.unwrap();
    let hasty = producer.with_timeout(Duration::from_millis(700));
    let mut codes: Vec<i32> = ResponseCode::NAMED.iter().map(|code| code.0).collect();
    codes.extend([i32::MIN, -1, 65_535, 65_536, i32::MAX]);
    codes.extend((0..1000).map(|_| fastrand::i32(..)));
    codes.extend((0..300).map(|_| fastrand::i32(-10..3000)));
    // These hold up what comes after them.
    codes.sort_by_key(|code| matches!(code, 2 | 215));
    for code in codes {
        let result = match code {
            2 | 215 => Err(soon(refused_to_the_end(&hasty, code)).await),
            _ => soon(producer.send(message(code))).await,
        };
        match (expected(code), result) {
            (None, Ok(receipt)) => {
                let status = match code {
                    10 => SendStatus::FlushDiskTimeout,
                    11 => SendStatus::SlaveNotAvailable,
                    12 => SendStatus::FlushSlaveTimeout,
                    _ => SendStatus::Stored,
                };
                assert_eq!(receipt.status(), status);
            }
            (Some(expected), Err(error)) => {
                assert_eq!((error.outcome(), error.kind()), expected, "code {code}");
                assert!(!error.help().is_empty());
                assert!(matches!(code, 2 | 215) || format!("{error}").contains("because"));
            }
            (expected, got) => panic!("code {code}: {got:?} instead of {expected:?}"),
        }
    }
    assert_all_ended(&producer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn code_1_is_unknown_but_for_proven_remarks() {
    let (broker, _server, producer) = one_broker().await;
    let hasty = producer.with_timeout(DEADLINE);
    for (remark, outcome) in [
        ("org.apache.rocketmq.acl.common.AclException: no", Outcome::NotStored),
        ("request queueId[99] is illegal", Outcome::NotStored),
        ("store putMessage return null", Outcome::Unknown),
        ("", Outcome::Unknown),
    ] {
        broker.always(Action::refuse(1, remark));
        let error = soon(refused_to_the_end(&hasty, "x")).await;
        assert_eq!(error.outcome(), outcome, "{remark}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retries_are_counted_and_end() {
    let (broker, server, producer_of_two) = one_broker().await;
    broker.first([Action::refuse(14, ""), Action::refuse(14, "")]);
    soon(producer_of_two.send(message("third time"))).await.unwrap();
    let stats = settled(&producer_of_two);
    assert_eq!((stats.retries, stats.acked, stats.not_stored), (2, 1, 0));
    assert_eq!(broker.seen_count(), 3);

    broker.always(Action::refuse(14, "stopping"));
    let producer = producer(&[&server]).retries(1).async_retries(3).start().await.unwrap();
    let error = soon(producer.send(message("x"))).await.unwrap_err();
    assert_eq!(error.attempts().len(), 2, "{error:?}");
    assert!(
        error.attempts().iter().all(|one| one.reason == "stopping" && one.kind == K::Unavailable)
    );
    let error = soon(producer.enqueue(message("x")).await.unwrap()).await.unwrap_err();
    assert_eq!(error.attempts().len(), 4, "{error:?}");
    assert_eq!(producer.stats().retries, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_goes_to_another_broker() {
    let (a, b, _server, producer) = two_brokers().await;
    for _ in 0..20 {
        a.forget();
        b.forget();
        a.always(Action::refuse(14, ""));
        soon(producer.send(message("x"))).await.unwrap();
        assert!(a.seen_count() <= 1);
        assert_eq!(b.stored_count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn denied_is_tried_once_elsewhere_and_illegal_not_again() {
    let (a, b, _server, producer) = two_brokers().await;
    for (code, attempts) in [(16, 2), (13, 1), (29, 1), (604, 1), (-5, 1)] {
        a.always(Action::refuse(code, ""));
        b.always(Action::refuse(code, ""));
        let error = soon(producer.send(message("x"))).await.unwrap_err();
        assert_eq!(error.attempts().len(), attempts, "{code}");
    }
    let (only, _server, producer) = one_broker().await;
    only.always(Action::refuse(16, ""));
    let error = soon(producer.send(message("x"))).await.unwrap_err();
    assert_eq!((error.attempts().len(), error.kind()), (1, K::Denied));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_broker_is_asked_in_the_older_form() {
    let (broker, _server, producer) = one_broker().await;
    broker.script(|seen| if seen.code == 10 { Action::ok() } else { Action::refuse(3, "") });
    soon(producer.send(message("first"))).await.unwrap();
    soon(producer.send(message("second"))).await.unwrap();
    let codes: Vec<i32> = broker.seen().iter().map(|seen| seen.code).collect();
    assert_eq!(codes, [310, 10, 10]);
    assert_eq!(broker.stored()[1].text(), "second");
    assert_eq!(producer.stats().retries, 0);

    let (broker, _server, producer) = one_broker().await;
    broker.always(Action::refuse(3, ""));
    let error = soon(producer.send(message("x"))).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (K::Unsupported, Outcome::NotStored));
    assert_eq!(broker.seen_count(), 2);
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
async fn a_late_answer_changes_nothing() {
    let (broker, _server, producer) = one_broker().await;
    soon(producer.send(message("warm"))).await.unwrap();
    broker.first([Action::ok().at_the_gate()]);
    let hasty = producer.with_timeout(DEADLINE);
    let begun = Instant::now();
    let error = soon(hasty.send(message("late"))).await.unwrap_err();
    assert!(begun.elapsed() >= DEADLINE, "{:?}", begun.elapsed());
    assert_eq!((error.kind(), error.outcome()), (K::Timeout, Outcome::Unknown));
    broker.open_gate(1);
    until("the late answer is there", || producer.stats().brokers[0].in_flight == 0).await;
    soon(producer.send(message("x"))).await.unwrap();
    let stats = settled(&producer);
    assert_eq!((stats.unknown, stats.acked), (1, 2));
    until("its place is free", || producer.stats().brokers[0].in_flight == 0).await;
    assert_all_ended(&producer);
}

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

/// Requests pass, answers do not: unknown, and no more copies than attempts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_lost_leave_few_copies() {
    let (a, b, _server, producer) = two_brokers().await;
    for _ in 0..2 {
        soon(producer.send(message("warm"))).await.unwrap();
    }
    a.always(Action::store_silently());
    b.always(Action::store_silently());
    let before = a.stored_count() + b.stored_count();
    let patient = producer.with_timeout(DEADLINE);
    let error = soon(patient.send(message("x"))).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (K::Timeout, Outcome::Unknown));
    let attempts = error.attempts().len();
    until("all copies are there", || a.stored_count() + b.stored_count() == before + attempts)
        .await;
    assert!((2..=3).contains(&attempts), "{attempts}");
}

/// One broker of two is slow: the other takes over most of the work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_broker_gets_less() {
    let (a, b, _server, producer) = two_brokers().await;
    a.always(Action::ok().at_the_gate());
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..2000 {
        let producer = producer.clone();
        tasks.spawn(async move { producer.send(message(n)).await });
        if n % 20 == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    until("the other has most of them", || b.stored_count() > 1500).await;
    a.open_gate(2000);
    while let Some(sent) = soon(tasks.join_next()).await {
        sent.unwrap().unwrap();
    }
}

// ---- codes that ask for a new route ----

/// Thousands that are refused at once look the route up once, not each on its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_refused_at_once_share_one_look_up() {
    for code in [17, 501, 14] {
        let (broker, server, producer) = one_broker().await;
        soon(producer.send(message("warm"))).await.unwrap();
        broker.always(Action::refuse(code, "").after(Duration::from_millis(20)));
        let mut deliveries = Vec::new();
        let begun = Instant::now();
        for n in 0..300 {
            deliveries.push(producer.enqueue(message(n)).await.unwrap());
        }
        for delivery in deliveries {
            let error = soon(delivery).await.unwrap_err();
            assert_eq!(Some((error.outcome(), error.kind())), expected(code));
        }
        let most = 3 + begun.elapsed().as_millis() / 700;
        let asked = server.asked("t");
        assert!((2..=most as usize).contains(&asked), "{code}: {asked} look-ups, at most {most}");
        assert_all_ended(&producer);
    }
}
