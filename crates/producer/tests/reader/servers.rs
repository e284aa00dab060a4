//! What other brokers answer than the embedded one.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use posthaste::{
    AdminError, Producer, ReadFrom, ReadMessage, Reader, ReaderBuilder, TransactionState,
};
use posthaste_protocol::request::{
    CheckTransaction, EndTransaction, OffsetAnswer, Pull, PullAnswer, QueueMapping, TopicRoute,
    decision,
};
use posthaste_protocol::{Command, RequestCode, command};

use crate::HANG;
use crate::scripted::{Reply, Server, records, route};

/// The answer to a pull.
fn pulled(code: i32, next: i64, messages: Bytes) -> Reply {
    Reply::new(code, "", PullAnswer { next_offset: next, messages, ..PullAnswer::default() })
}

fn found(offsets: std::ops::Range<i64>) -> Reply {
    pulled(0, offsets.end, records(offsets))
}

/// What the broker says at each offset; nothing yet, and after a while, at any other.
async fn broker(mut at: impl FnMut(i64) -> Option<Reply> + Send + 'static) -> Server {
    Server::start(move |request| match request.request_code() {
        RequestCode::GET_MAX_OFFSET => Reply::ok(OffsetAnswer { offset: 20 }),
        RequestCode::PULL_MESSAGE => {
            at(request.read::<Pull>().unwrap().queue_offset).unwrap_or(Reply::Nothing)
        }
        code => panic!("a reader asks for {code}"),
    })
    .await
}

async fn reader_of(names: &Server) -> ReaderBuilder {
    let producer = Producer::builder("readers", names.address.clone())
        .send_timeout(HANG)
        .start()
        .await
        .unwrap();
    producer.admin().reader("t")
}

/// Settings of a reader of one queue on this broker.
async fn reader(broker: &Server) -> ReaderBuilder {
    let address = broker.address.clone();
    let names = Server::names(move |_| Some(route(&[("a", &address)], 1))).await;
    reader_of(&names).await
}

async fn offsets(reader: &mut Reader, count: usize) -> Vec<i64> {
    let mut offsets = Vec::new();
    for _ in 0..count {
        offsets.push(soon(reader).await.unwrap().queue_offset());
    }
    offsets
}

async fn soon(reader: &mut Reader) -> Result<ReadMessage, AdminError> {
    let next = tokio::time::timeout(Duration::from_secs(60), reader.next()).await.unwrap();
    next.map(Option::unwrap)
}

fn pulls(broker: &Server) -> Vec<Pull> {
    let is_pull = |request: &&Command| request.request_code() == RequestCode::PULL_MESSAGE;
    let asked = broker.asked();
    asked.iter().filter(is_pull).map(|request| request.read().unwrap()).collect()
}

/// The second answer that there is no such topic has been asked for after the first. The broker has 20
/// messages then, which a reader that starts at the end would have missed.
#[tokio::test]
async fn a_topic_that_is_waited_for_is_read_from_its_first_message() {
    for from in [ReadFrom::Start, ReadFrom::End] {
        let broker = broker(|offset| (offset == 0).then(|| found(0..20))).await;
        let (address, created) = (broker.address.clone(), Arc::new(Mutex::new(false)));
        let is_there = created.clone();
        let route = move |_: &str| is_there.lock().unwrap().then(|| route(&[("a", &address)], 1));
        let names = Server::names(route).await;
        let builder = reader_of(&names).await;
        let error = builder.clone().open().await.unwrap_err();
        assert_eq!(error, AdminError::NoTopic { topic: "t".into() });
        let before = names.asked().len();
        let opening = tokio::spawn(builder.from(from).wait_for_topic().open());
        while names.asked().len() < before + 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(!opening.is_finished());
        *created.lock().unwrap() = true;
        let opened = tokio::time::timeout(Duration::from_secs(60), opening).await.unwrap();
        let mut reader = opened.unwrap().unwrap();
        assert_eq!(offsets(&mut reader, 20).await, (0..20).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn what_cannot_be_waited_for_is_an_error_at_once() {
    let builder = reader(&broker(|_| None).await).await;
    let error = builder.wait_for_topic().tag("a||b").open().await.unwrap_err();
    assert!(matches!(error, AdminError::Invalid(_)), "{error:?}");
    let refuses = Server::start(|_| Reply::refuse(16, "no permission")).await;
    let error = reader_of(&refuses).await.wait_for_topic().open().await.unwrap_err();
    assert!(matches!(error, AdminError::Denied { .. }), "{error:?}");
}

#[tokio::test]
async fn every_code_moves_the_reader_to_where_it_says() {
    let broker = broker(|offset| match offset {
        0 => Some(pulled(21, 5, Bytes::new())),
        5 => Some(found(5..8)),
        8 => Some(pulled(20, 12, Bytes::new())),
        12 => Some(pulled(19, 14, Bytes::new())),
        14 => Some(found(14..15)),
        // The broker has lost what it had, and begins anew.
        15 => Some(pulled(21, 2, Bytes::new())),
        2 => Some(found(2..4)),
        _ => None,
    })
    .await;
    let mut reader = reader(&broker).await.open().await.unwrap();
    assert_eq!(offsets(&mut reader, 6).await, [5, 6, 7, 14, 2, 3]);
    let asked: Vec<i64> = pulls(&broker).iter().map(|pull| pull.queue_offset).collect();
    assert_eq!(asked[..7], [0, 5, 8, 12, 14, 15, 2]);
}

#[tokio::test]
async fn a_reader_pulls_as_a_tool_and_commits_nothing() {
    let broker = broker(|offset| (offset == 0).then(|| found(0..20))).await;
    let builder = reader(&broker).await.tag("b").tag("a");
    assert!(builder.clone().until_now().open().await.unwrap().next().await.unwrap().is_none());
    let mut following = builder.open().await.unwrap();
    // No message has one of the tags.
    let next = tokio::time::timeout(Duration::from_millis(300), following.next()).await;
    assert!(next.is_err(), "{next:?}");
    let pulls = pulls(&broker);
    assert!(pulls.len() >= 2);
    for pull in &pulls {
        assert_eq!((pull.group.as_str(), pull.commit_offset), ("TOOLS_CONSUMER", 0));
        assert_eq!(pull.subscription.as_deref(), Some("a||b"));
        assert_eq!(pull.expression_type.as_deref(), Some("TAG"));
        assert_eq!(pull.broker_name.as_deref(), Some("a"));
        assert!((1..8_000).contains(&pull.suspend_ms), "{}", pull.suspend_ms);
    }
    // The subscription is in the request; a reader that follows may be kept waiting.
    assert_eq!(pulls.first().map(|pull| pull.sys_flag), Some(0x4));
    assert_eq!(pulls.last().map(|pull| pull.sys_flag), Some(0x4 | 0x2));
}

#[tokio::test]
async fn what_lies_outside_of_the_range_is_not_handed_out() {
    let broker = broker(|offset| match offset {
        // More than was asked for, on both sides.
        0 => Some(found(0..10)),
        10 => Some(pulled(0, 25, records(8..25))),
        _ => None,
    })
    .await;
    let mut reader = reader(&broker).await.until_now().open().await.unwrap();
    assert_eq!(offsets(&mut reader, 20).await, Vec::from_iter(0..20));
    assert!(reader.next().await.unwrap().is_none());
}

/// Also when the queue ends earlier by now than it did at the opening.
#[tokio::test]
async fn until_now_ends_where_there_is_nothing_more() {
    let broker = broker(|offset| match offset {
        0 => Some(found(0..10)),
        _ => Some(pulled(19, offset, Bytes::new())),
    })
    .await;
    let mut reader = reader(&broker).await.until_now().open().await.unwrap();
    assert_eq!(offsets(&mut reader, 10).await.len(), 10);
    assert!(reader.next().await.unwrap().is_none());
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_an_error_and_the_next_ones_follow() {
    let broken = |mut at: Vec<u8>, place: usize| {
        at[place] ^= 0xff;
        Bytes::from([records(0..1).to_vec(), at, records(2..3).to_vec()].concat())
    };
    // The mark of its kind, and its length.
    for (place, follows) in [(4, vec![0, 2, 3]), (0, vec![0, 3])] {
        let broker = broker(move |offset| match offset {
            0 => Some(pulled(0, 3, broken(records(1..2).to_vec(), place))),
            3 => Some(found(3..4)),
            _ => None,
        })
        .await;
        let mut reader = reader(&broker).await.open().await.unwrap();
        let (mut read, mut errors) = (Vec::new(), Vec::new());
        while read.len() < follows.len() {
            match soon(&mut reader).await {
                Ok(message) => read.push(message.queue_offset()),
                Err(error) => errors.push(error),
            }
        }
        assert_eq!(read, follows);
        assert!(matches!(errors.as_slice(), [AdminError::Protocol { .. }]), "{errors:?}");
    }
}

#[tokio::test]
async fn a_broker_that_refuses_is_an_error_at_once_and_asked_again() {
    let case = async |code: i32, remark: &'static str| {
        let mut asked = 0;
        let broker = broker(move |_| {
            asked += 1;
            Some(if asked < 3 { Reply::refuse(code, remark) } else { found(0..1) })
        })
        .await;
        let mut reader = reader(&broker).await.open().await.unwrap();
        for _ in 0..2 {
            let error = soon(&mut reader).await.unwrap_err();
            assert!(error.to_string().contains(remark), "{error}");
        }
        assert_eq!(offsets(&mut reader, 1).await, [0]);
    };
    // Each takes a few seconds, so at once.
    tokio::join!(case(16, "not allowed"), case(1, "AclException: no"), case(26, "no such group"));
}

#[tokio::test]
async fn trouble_that_passes_is_no_error() {
    let mut asked = 0;
    let broker = broker(move |offset| {
        asked += 1;
        Some(match asked {
            1 => Reply::refuse(2, "busy"),
            2 => Reply::Close,
            3 => Reply::refuse(14, "shutting down"),
            4 => Reply::refuse(17, "not yet"),
            5 => Reply::refuse(1, "something else"),
            // Stays where it is, against all sense.
            6 => pulled(20, offset, Bytes::new()),
            7 => pulled(0, offset, records(0..1)),
            _ => found(offset..offset + 1),
        })
    })
    .await;
    let mut reader = reader(&broker).await.open().await.unwrap();
    assert_eq!(offsets(&mut reader, 3).await, [0, 1, 2]);
}

#[tokio::test]
async fn a_broker_that_moves_is_followed() {
    let first = broker(|offset| match offset {
        0 => Some(found(0..10)),
        _ => Some(Reply::Close),
    })
    .await;
    let second = broker(|offset| (offset == 10).then(|| found(10..15))).await;
    let (a, b) = (first.address.clone(), second.address.clone());
    let mut asked = 0;
    let names = Server::names(move |_| {
        asked += 1;
        // The name server forgets a broker that has gone, and learns where it is now.
        match asked {
            1 => Some(route(&[("a", &a)], 1)),
            2 => Some(TopicRoute::default()),
            3 => None,
            _ => Some(route(&[("a", &b)], 1)),
        }
    })
    .await;
    let mut reader = reader_of(&names).await.open().await.unwrap();
    assert_eq!(offsets(&mut reader, 15).await, Vec::from_iter(0..15));
}

#[tokio::test]
async fn without_a_master_a_slave_is_read() {
    let slave = broker(|offset| (offset == 0).then(|| found(0..3))).await;
    let address = slave.address.clone();
    let names = Server::names(move |_| {
        let mut route = route(&[("a", &address)], 1);
        let addresses = &mut route.brokers[0].broker_addrs;
        let address = addresses.remove(&0).unwrap();
        addresses.insert(3, address);
        Some(route)
    })
    .await;
    let mut reader = reader_of(&names).await.open().await.unwrap();
    assert_eq!(offsets(&mut reader, 3).await, [0, 1, 2]);
}

#[tokio::test]
async fn queues_that_may_not_be_read_are_left_out() {
    let pulled_from = Arc::new(Mutex::new(Vec::new()));
    let seen = pulled_from.clone();
    let broker = Server::start(move |request| {
        let pull: Pull = request.read().unwrap();
        seen.lock().unwrap().push(pull.queue_id);
        match pull.queue_offset {
            0 => found(0..1),
            _ => Reply::Nothing,
        }
    })
    .await;
    let address = broker.address.clone();
    let readable = |perm: i32| {
        let address = address.clone();
        Server::names(move |_| {
            let mut route = route(&[("a", &address)], 4);
            route.queues[0].perm = perm;
            // More can be read than written while queues are being taken away.
            route.queues[0].write_queue_nums = 2;
            Some(route)
        })
    };
    let mut reader = reader_of(&readable(4).await).await.open().await.unwrap();
    let mut queues = Vec::new();
    for _ in 0..4 {
        queues.push(soon(&mut reader).await.unwrap().queue().id());
    }
    queues.sort_unstable();
    assert_eq!(queues, [0, 1, 2, 3]);
    let error = reader_of(&readable(2).await).await.open().await.unwrap_err();
    assert!(matches!(error, AdminError::Denied { .. }), "{error:?}");
}

/// With the ends of the queues unknown, it cannot be said what "now" is.
#[tokio::test]
async fn opening_fails_when_the_ends_cannot_be_had() {
    let broker = Server::start(|_| Reply::refuse(16, "no")).await;
    let builder = reader(&broker).await;
    for builder in [builder.clone().until_now(), builder.from(ReadFrom::End)] {
        let error = builder.open().await.unwrap_err();
        assert!(matches!(error, AdminError::Denied { .. }), "{error:?}");
    }
}

/// A logical queue of a static topic has its own name and its own offsets, and is read from the
/// broker that has it now.
#[tokio::test]
async fn a_logical_queue_is_read_where_it_is() {
    // The records lie at 0 to 3 of the broker's queue, which are 100 to 103 of the logical one.
    let broker = broker(|offset| match offset {
        0 => Some(pulled(21, 100, Bytes::new())),
        100 => {
            let messages = records(0..3);
            let answer = PullAnswer { next_offset: 103, messages, ..PullAnswer::default() };
            Some(Reply::ok(PullAnswer { offset_delta: Some(100), ..answer }))
        }
        _ => None,
    })
    .await;
    let address = broker.address.clone();
    let names = Server::names(move |_| {
        let mapping = QueueMapping {
            broker_name: "b".into(),
            current_ids: [(0, 3)].into(),
            total_queues: 1,
            ..QueueMapping::default()
        };
        let mut document = route(&[("a", "127.0.0.1:1"), ("b", &address)], 8);
        document.queue_mappings = Some([("b".into(), mapping)].into());
        Some(document)
    })
    .await;
    let mut reader = reader_of(&names).await.open().await.unwrap();
    for offset in 100..103 {
        let message = soon(&mut reader).await.unwrap();
        assert_eq!(message.queue().to_string(), "t __syslo__global__:0");
        assert_eq!(message.queue_offset(), offset);
        assert_eq!(message.body(), &format!("m{}", offset - 100));
    }
    for pull in pulls(&broker) {
        assert_eq!((pull.queue_id, pull.broker_name.as_deref()), (0, Some("b")));
    }
}

/// A broker asks any connection of the group, and wants its answer from there. No route of the
/// producer leads to this one.
#[tokio::test]
async fn a_check_that_comes_to_a_reader_is_answered() {
    let broker = Server::start(move |request| match request.request_code() {
        RequestCode::PULL_MESSAGE => Reply::Answer(Box::new(|_, out| {
            let message = records(0..1);
            let check = CheckTransaction { half_offset: 7, message, ..CheckTransaction::default() };
            command::put_request(out, 9, true, &check);
        })),
        _ => Reply::Nothing,
    })
    .await;
    let address = broker.address.clone();
    let names = Server::names(move |_| Some(route(&[("a", &address)], 1))).await;
    let builder = Producer::builder("readers", names.address.clone())
        .send_timeout(HANG)
        .transaction_checker(|_| async { TransactionState::Commit });
    let producer = builder.start().await.unwrap();
    let reader = producer.admin().reader("t").open().await.unwrap();
    let is_end = |request: &&Command| request.request_code() == RequestCode::END_TRANSACTION;
    let begun = std::time::Instant::now();
    let end: EndTransaction = loop {
        if let Some(end) = broker.asked().iter().find(is_end) {
            break end.read().unwrap();
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "it is not answered");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!((end.decision, end.half_offset), (decision::COMMIT, 7));
    drop(reader);
}
