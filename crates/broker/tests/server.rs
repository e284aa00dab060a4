//! The edge: whatever comes in, the others go on being served.

#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

mod support;

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use posthaste_broker::{Broker, BrokerError};
use posthaste_protocol::request::{
    CheckTransaction, ConsumerGroup, EndTransaction, Heartbeat, MaxOffset, ProducerGroup, Pull,
    PullAnswer, PushReply, QueryMessages, Recall, RouteOf, SendMessage, SendReply, Subscription,
    TopicListOf, decision,
};
use posthaste_protocol::{
    Command, Fields, HeaderEncoding, Payload, RequestCode, ResponseCode, StoredMessage,
};
use support::{Client, encoded, frame_of, message, pull, waiting_pull};
use tokio::io::AsyncWriteExt;

async fn start() -> Broker {
    Broker::builder().topic("orders", 4).start().await.expect("start")
}

#[tokio::test]
async fn garbage_closes_its_connection_and_costs_nothing_else() {
    let broker = start().await;
    let mut good = Client::connect(broker.address()).await;
    let header_beyond_frame = [0, 0, 0, 20, 0, 0, 1, 0];
    let unknown_encoding = [0, 0, 0, 8, 7, 0, 0, 2, b'{', b'}', 0, 0];
    let mut no_json = BytesMut::new();
    no_json.put_slice(&[0, 0, 0, 8, 0, 0, 0, 4]);
    no_json.put_slice(b"nope");
    let mut long_header = BytesMut::new();
    long_header.put_u32(300 * 1024 + 4);
    long_header.put_u32(300 * 1024);
    long_header.put_slice(
        format!("{{\"opaque\":1,\"x\":\"{}\"}}", "x".repeat(300 * 1024 - 19)).as_bytes(),
    );
    let mut many_fields = Fields::new();
    for n in 0..300 {
        many_fields.push(&format!("f{n}"), "x");
    }
    let many_fields =
        encoded(&Command::request(RequestCode::HEART_BEAT, 1, many_fields, Bytes::new()));
    let mut state = 7u32;
    let random: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223) | 0x8000_0000;
        (state >> 24) as u8
    })
    .take(4096)
    .collect();
    let cases: Vec<(&str, &[u8])> = vec![
        ("HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        ("TLS hello", &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3]),
        ("random bytes", &random),
        ("length 0", &[0; 8]),
        ("negative length", &[0xFF; 8]),
        ("16 MiB and 1", &[1, 0, 0, 1, 0, 0, 0, 0]),
        ("2 GiB", &[0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0]),
        ("header beyond the frame", &header_beyond_frame),
        ("unknown encoding", &unknown_encoding),
        ("header is no JSON", &no_json),
        ("long header", &long_header),
        (
            "an announced header of 13.9 MB, of which nothing has come",
            &[0, 0xD5, 0, 0, 0, 0xD4, 0, 0],
        ),
        ("many fields", &many_fields),
    ];
    for (what, bytes) in cases {
        for address in [broker.name_server(), broker.address()] {
            let mut bad = Client::connect(address).await;
            // It may be closed before everything is written.
            let _ = bad.socket.write_all(bytes).await;
            assert!(bad.next().await.is_none(), "{what} was answered");
        }
        good.send("orders", 0, what).await;
    }
    broker.stop().await;
}

#[tokio::test]
async fn who_announces_long_frames_holds_nobody_up() {
    let broker = start().await;
    let mut bombs = Vec::new();
    for _ in 0..16 {
        let mut bomb = Client::connect(broker.address()).await;
        bomb.put_raw(&[0x00, 0xFF, 0xFF, 0xF0, 0, 0, 1, 0, b'{']).await;
        bombs.push(bomb);
    }
    let mut good = Client::connect(broker.address()).await;
    for _ in 0..10 {
        good.send("orders", 0, "x").await;
    }
    for bomb in &bombs {
        let waiting = bomb.socket.try_read(&mut [0]).map_err(|error| error.kind());
        assert_eq!(
            waiting,
            Err(ErrorKind::WouldBlock),
            "it was closed before the others were served"
        );
    }
    broker.stop().await;
}

#[tokio::test]
async fn requests_in_pieces_and_many_at_once_are_answered_in_order() {
    let broker = start().await;
    let mut client = Client::connect(broker.address()).await;
    let mut all = BytesMut::new();
    for n in 1..=1_000 {
        all.extend_from_slice(&frame_of(n, false, &message("orders", 1, &n.to_string())));
    }
    let (piecewise, at_once) = all.split_at(600);
    for byte in piecewise.chunks(1) {
        client.put_raw(byte).await;
    }
    client.put_raw(at_once).await;
    for n in 1..=1_000 {
        let answer = client.next().await.expect("answer");
        assert_eq!((answer.opaque, answer.response_code()), (n, ResponseCode::SUCCESS));
    }
    let bodies: Vec<String> = client.read("orders", 1, 0).await.iter().map(body).collect();
    assert_eq!(bodies, (1..=1_000).map(|n| n.to_string()).collect::<Vec<_>>());
    broker.stop().await;
}

fn body(message: &StoredMessage) -> String {
    String::from_utf8(message.body.to_vec()).expect("text")
}

#[tokio::test]
async fn a_frame_of_16_mib_is_read_and_a_body_over_4_mib_refused() {
    let broker = start().await;
    let mut client = Client::connect(broker.address()).await;
    let longest = "x".repeat(4 * 1024 * 1024);
    client.send("orders", 0, &longest).await;
    assert_eq!(client.read("orders", 0, 0).await[0].body.len(), longest.len());
    let too_long = "x".repeat(16 * 1024 * 1024 - 10_000);
    let code = client.refused(&message("orders", 0, &too_long)).await;
    assert_eq!(code, ResponseCode::MESSAGE_ILLEGAL);
    client.send("orders", 0, "still there").await;
    broker.stop().await;
}

#[tokio::test]
async fn escaped_properties_of_full_length_fit_into_a_header() {
    let broker = start().await;
    let mut client = Client::connect(broker.address()).await;
    let value = "\u{3}".repeat(32_000);
    let properties = format!("k\u{1}{value}\u{2}");
    let sent = posthaste_protocol::request::SendMessage {
        properties: properties.into(),
        ..message("orders", 0, "x")
    };
    assert!(frame_of(1, false, &sent).len() > 190_000);
    client.call(&sent).await;
    assert_eq!(client.read("orders", 0, 0).await[0].property("k"), Some(value.as_str()));
    broker.stop().await;
}

#[tokio::test]
async fn both_header_encodings_are_read_and_answered_in_json() {
    let broker = start().await;
    let mut client = Client::connect(broker.name_server()).await;
    for encoding in [HeaderEncoding::Json, HeaderEncoding::Binary] {
        let mut fields = Fields::new();
        RouteOf { topic: "orders".into(), standard_json: None }.write(&mut fields);
        let request =
            Command::request(RequestCode::GET_ROUTEINFO_BY_TOPIC, 9, fields, Bytes::new());
        client.put_raw(&encoded(&Command { encoding, ..request })).await;
        let answer = client.next().await.expect("answer");
        assert_eq!(answer.opaque, 9);
        assert_eq!(answer.response_code(), ResponseCode::SUCCESS);
        assert_eq!(answer.encoding, HeaderEncoding::Json);
        let text = String::from_utf8(answer.body.to_vec()).expect("text");
        assert!(!text.contains(char::is_whitespace), "Go splits addresses out of the text");
    }
    broker.stop().await;
}

#[tokio::test]
async fn numbers_and_booleans_in_fields_need_no_quotes() {
    let broker = start().await;
    let mut client = Client::connect(broker.address()).await;
    let header = br#"{"code":30,"opaque":4,"flag":0,"version":121,"language":"NODEJS","extFields":{"topic":"orders","queueId":0,"unitMode":false,"x":null}}"#;
    let mut frame = BytesMut::new();
    frame.put_u32(4 + header.len() as u32);
    frame.put_u32(header.len() as u32);
    frame.put_slice(header);
    client.put_raw(&frame).await;
    let answer = client.next().await.expect("answer");
    assert_eq!(answer.response_code(), ResponseCode::SUCCESS);
    assert_eq!(answer.fields.get("offset"), Some("0"));
    broker.stop().await;
}

#[tokio::test]
async fn one_port_serves_both_kinds_of_requests() {
    let broker = start().await;
    for address in [broker.name_server(), broker.address()] {
        let mut client = Client::connect(address).await;
        client.call(&RouteOf { topic: "orders".into(), standard_json: None }).await;
        client.send("orders", 0, "x").await;
        assert!(client.call(&TopicListOf).await.topics.contains(&"orders".to_owned()));
    }
    broker.stop().await;
}

#[tokio::test]
async fn a_oneway_send_is_stored_and_not_answered() {
    let broker = start().await;
    let mut client = Client::connect(broker.address()).await;
    client.put(&message("orders", 0, "quiet"), true).await;
    client.put(&message("a/b", 0, "wrong"), true).await;
    // The next answer is this request's, and by then the others are done.
    let max = MaxOffset { topic: "orders".into(), ..MaxOffset::default() };
    client.ask(&message("orders", 1, "after")).await;
    assert_eq!(client.call(&max).await.offset, 1);
    broker.stop().await;
}

#[tokio::test]
async fn answers_of_the_peer_are_passed_over() {
    let broker = start().await;
    let mut client = Client::connect(broker.address()).await;
    let answer = Command::request(RequestCode(0), 77, Fields::new(), Bytes::new());
    client.put_raw(&encoded(&Command { flag: 1, ..answer })).await;
    client.send("orders", 0, "x").await;
    broker.stop().await;
}

#[tokio::test]
async fn a_waiting_pull_is_answered_when_a_message_comes() {
    let broker = start().await;
    let mut consumer = Client::connect(broker.address()).await;
    let mut producer = Client::connect(broker.address()).await;
    let asked = consumer.put(&waiting_pull("orders", 0, 0, Duration::from_secs(30)), false).await;
    // The connection is not blocked by it.
    let max = MaxOffset { topic: "orders".into(), ..MaxOffset::default() };
    assert_eq!(consumer.call(&max).await.offset, 0);
    producer.send("orders", 0, "there").await;
    let answer = consumer.next().await.expect("answer");
    assert_eq!((answer.opaque, answer.response_code()), (asked, ResponseCode::SUCCESS));
    let found: PullAnswer = answer.read().expect("pull answer");
    assert_eq!(StoredMessage::decode_all(found.messages).expect("records")[0].body, "there");
    broker.stop().await;
}

#[tokio::test]
async fn a_waiting_pull_that_sees_nothing_ends() {
    let broker = start().await;
    let mut consumer = Client::connect(broker.address()).await;
    let answer = consumer.ask(&waiting_pull("orders", 0, 0, Duration::from_millis(20))).await;
    assert_eq!(answer.response_code(), ResponseCode::PULL_NOT_FOUND);
    broker.stop().await;
}

#[tokio::test]
async fn members_hear_of_others_that_come_and_go() {
    let broker = start().await;
    let beat = |id: &str| Heartbeat {
        client_id: id.into(),
        consumers: vec![ConsumerGroup {
            group_name: "readers".into(),
            subscriptions: vec![Subscription { topic: "orders".into(), ..Subscription::default() }],
            ..ConsumerGroup::default()
        }],
        ..Heartbeat::default()
    };
    let mut first = Client::connect(broker.address()).await;
    first.put(&beat("one"), false).await;
    assert_push(&[first.next().await, first.next().await]);
    let mut second = Client::connect(broker.address()).await;
    second.put(&beat("two"), false).await;
    assert_push(&[first.next().await]);
    drop(second);
    assert_push(&[first.next().await]);
    broker.stop().await;
}

fn assert_push(commands: &[Option<Command>]) {
    let code = RequestCode::NOTIFY_CONSUMER_IDS_CHANGED.0;
    let pushes = commands.iter().flatten().filter(|c| c.code == code && c.is_oneway());
    assert_eq!(pushes.count(), 1, "{commands:?}");
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_or_half_a_frame_is_disconnected() {
    // Virtual time: the limits pass at once while everybody waits.
    let broker = start().await;
    for bytes in [&b""[..], &[0, 0], &[0, 0, 1, 0, 0, 0, 0, 100, b'{']] {
        let mut slow = Client::connect(broker.address()).await;
        slow.put_raw(bytes).await;
        assert!(slow.next().await.is_none(), "{bytes:?}");
    }
}

#[tokio::test]
async fn who_does_not_read_is_disconnected() {
    let broker = start().await;
    let mut client = Client::connect(broker.address()).await;
    let body = "x".repeat(200 * 1024);
    client.send("orders", 0, &body).await;
    let request = frame_of(1, false, &Pull { max_messages: 1, ..pull("orders", 0, 0) });
    // Sockets keep tens of megabytes, and more requests than that takes are written soon.
    while client.socket.write_all(&request).await.is_ok() {
        tokio::task::yield_now().await;
    }
    Client::connect(broker.address()).await.send("orders", 1, "others go on").await;
    broker.stop().await;
}

#[tokio::test]
async fn several_brokers_in_one_process_and_a_taken_port() {
    let (one, two) = (start().await, start().await);
    assert_ne!(one.address(), two.address());
    let taken = Broker::builder().name_server_port(one.name_server().port()).start().await;
    let error = taken.expect_err("taken");
    assert!(matches!(error, BrokerError::PortTaken(_)));
    assert!(error.to_string().contains("is taken; stop what listens"), "{error}");
    Client::connect(one.address()).await.send("orders", 0, "one").await;
    let mut client = Client::connect(two.address()).await;
    assert!(client.read("orders", 0, 0).await.is_empty());
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn other_machines_are_let_in_only_when_that_is_said() {
    let all = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let error = Broker::builder().listen(all).start().await.expect_err("not loopback");
    assert!(error.to_string().contains("anyone"), "{error}");
    let open = || Broker::builder().listen(all).allow_anyone_to_connect().advertise("127.0.0.1");
    open().start().await.expect("said so").stop().await;
}

/// It told clients to connect to 0.0.0.0.
#[tokio::test]
async fn every_address_of_the_machine_is_none_that_clients_can_be_told() {
    for all in [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)] {
        let everywhere = || Broker::builder().listen(all).allow_anyone_to_connect();
        let error = everywhere().start().await.expect_err("nothing to tell");
        assert!(matches!(error, BrokerError::NoAddress(_)), "{error:?}");
        assert!(error.to_string().contains("advertise"), "{error}");
        let error = everywhere().advertise(all.to_string()).start().await.expect_err("the same");
        assert!(matches!(error, BrokerError::Setting(_)), "{error:?}");
    }
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused() {
    for builder in [
        Broker::builder().broker_name("a/b"),
        Broker::builder().broker_name(""),
        Broker::builder().default_topic_queues(0),
        Broker::builder().default_topic_queues(1_025),
        Broker::builder().topic("a/b", 1),
        Broker::builder().topic("orders", 0),
        Broker::builder().topic("orders", 70_000),
    ] {
        let error = builder.start().await.expect_err("refused");
        assert!(matches!(error, BrokerError::Setting(_)), "{error:?}");
    }
}

#[tokio::test]
async fn the_advertised_host_is_what_routes_and_messages_say() {
    let broker =
        Broker::builder().advertise("10.1.2.3").broker_name("b").start().await.expect("start");
    let mut client = Client::connect(broker.address()).await;
    let answer = client.send("orders", 0, "x").await;
    assert!(answer.offset_message_id.starts_with("0A010203"));
    let route = client.call(&RouteOf { topic: "orders".into(), standard_json: None }).await;
    let expected = format!("10.1.2.3:{}", broker.address().port());
    assert_eq!(route.brokers[0].master(), Some(expected.as_str()));
    assert_eq!(route.queues[0].broker_name, "b");
    broker.stop().await;
}

#[tokio::test]
async fn stopping_frees_ports_and_folder_and_keeps_what_was_sent() {
    let folder = tempfile::tempdir().expect("folder");
    let builder = Broker::builder().data_dir(folder.path()).topic("orders", 1);
    let broker = builder.clone().start().await.expect("start");
    let port = broker.address().port();
    let mut client = Client::connect(broker.address()).await;
    client.send("orders", 0, "kept").await;
    let error = builder.clone().start().await.expect_err("in use");
    assert!(matches!(error, BrokerError::DataInUse(_)), "{error:?}");
    broker.stop().await;
    assert!(client.next().await.is_none(), "the connection is closed");
    let broker = builder.broker_port(port).start().await.expect("free again");
    let mut client = Client::connect(broker.address()).await;
    assert_eq!(client.read("orders", 0, 0).await.len(), 1);
    broker.stop().await;
}

#[tokio::test]
async fn a_producer_is_asked_about_what_it_has_not_decided() {
    let broker = Broker::builder()
        .transaction_timeout(Duration::from_millis(1))
        .transaction_check_interval(Duration::from_millis(50))
        .transaction_check_max(u32::MAX);
    let broker = broker.start().await.expect("start");
    let mut producer = Client::connect(broker.address()).await;
    let half = SendMessage {
        properties: "TRAN_MSG\u{1}true\u{2}PGROUP\u{1}payers\u{2}".into(),
        ..message("orders", 1, "paid")
    };
    producer.call(&half).await;
    let beat = Heartbeat {
        client_id: "payer".into(),
        producers: vec![ProducerGroup { group_name: "payers".into() }],
        ..Heartbeat::default()
    };
    producer.put(&beat, false).await;
    let question = loop {
        let command = producer.next().await.expect("a question");
        if command.code == RequestCode::CHECK_TRANSACTION_STATE.0 && !command.is_answer() {
            break command.read::<CheckTransaction>().expect("a question");
        }
    };
    let end = EndTransaction {
        group: "payers".into(),
        half_offset: question.half_offset,
        half_physical_offset: question.half_physical_offset,
        decision: decision::COMMIT,
        from_check: Some(true),
        ..EndTransaction::default()
    };
    producer.put(&end, true).await;
    let mut consumer = Client::connect(broker.address()).await;
    let pull = waiting_pull("orders", 1, 0, Duration::from_secs(30));
    let found: PullAnswer = consumer.call(&pull).await;
    assert_eq!(StoredMessage::decode_all(found.messages).expect("records")[0].body, "paid");
    broker.stop().await;
}

#[tokio::test]
async fn a_reply_goes_through_the_broker_to_who_waits_for_it() {
    let broker = start().await;
    let mut requester = Client::connect(broker.address()).await;
    let beat = Heartbeat { client_id: "requester".into(), ..Heartbeat::default() };
    requester.call(&beat).await;
    let mut replier = Client::connect(broker.address()).await;
    let reply = SendReply(SendMessage {
        properties: "REPLY_TO_CLIENT\u{1}requester\u{2}CORRELATION_ID\u{1}7\u{2}".into(),
        ..message("DefaultCluster_REPLY_TOPIC", 0, "pong")
    });
    let asked = replier.put(&reply, false).await;
    let push = requester.next().await.expect("the reply");
    assert_eq!(push.request_code(), RequestCode::PUSH_REPLY_MESSAGE_TO_CLIENT);
    assert_eq!(push.read::<PushReply>().expect("a push").body, "pong");
    let received = Command::request(RequestCode(0), push.opaque, Fields::new(), Bytes::new());
    requester.put_raw(&encoded(&Command { flag: 1, ..received })).await;
    let answer = replier.answer_to(asked).await;
    assert_eq!(answer.response_code(), ResponseCode::SUCCESS);
    broker.stop().await;
}

#[tokio::test]
async fn a_timer_message_waits_can_be_taken_back_and_comes() {
    let broker = start().await;
    let mut client = Client::connect(broker.address()).await;
    let timer = |body: &str, ms: u32| SendMessage {
        properties: format!("UNIQ_KEY\u{1}{body}\u{2}TIMER_DELAY_MS\u{1}{ms}\u{2}").into(),
        ..message("orders", 0, body)
    };
    let handle = client.call(&timer("never", 60_000)).await.recall_handle.expect("a handle");
    let recall = Recall { topic: "orders".into(), handle, ..Recall::default() };
    assert_eq!(client.call(&recall).await.message_id, "never");
    let began = std::time::Instant::now();
    client.call(&timer("later", 300)).await;
    let pull = waiting_pull("orders", 0, 0, Duration::from_secs(30));
    let found: PullAnswer = client.call(&pull).await;
    // The broker counts in whole milliseconds.
    assert!(began.elapsed() >= Duration::from_millis(299), "{:?}", began.elapsed());
    assert_eq!(StoredMessage::decode_all(found.messages).expect("records")[0].body, "later");
    broker.stop().await;
}

#[tokio::test]
async fn messages_are_found_by_key() {
    let broker = start().await;
    let mut client = Client::connect(broker.address()).await;
    let sent =
        SendMessage { properties: "KEYS\u{1}one two\u{2}".into(), ..message("orders", 3, "found") };
    client.call(&sent).await;
    let query = QueryMessages {
        topic: "orders".into(),
        key: "two".into(),
        max_count: 32,
        begin_ms: 0,
        end_ms: i64::MAX,
        index_type: None,
        by_unique_id: Some(false),
    };
    let found = client.call(&query).await;
    assert_eq!(StoredMessage::decode_all(found.messages).expect("records")[0].body, "found");
    let nothing = QueryMessages { key: "three".into(), ..query };
    assert_eq!(client.refused(&nothing).await, ResponseCode::QUERY_NOT_FOUND);
    broker.stop().await;
}

#[tokio::test]
async fn figures() {
    let broker = start().await;
    let before = broker.stats();
    assert_eq!((before.messages, before.connections), (0, 0));
    let mut client = Client::connect(broker.address()).await;
    client.send("orders", 0, "x").await;
    client.send("new", 0, "x").await;
    client.send("new", 0, "x").await;
    let after = broker.stats();
    assert_eq!((after.messages, after.connections), (3, 1));
    assert_eq!(after.topics, before.topics + 1);
    broker.stop().await;
}
