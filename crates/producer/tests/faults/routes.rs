//! Name servers, and what they say.

use std::time::{Duration, Instant};

use posthaste::{ErrorKind, Message, Outcome, Producer, SendError};
use posthaste_protocol::request::{BrokerData, QueueData, TopicRoute};

use crate::fake::{
    Action, BlackHole, Broker, DEADLINE, HOUR, NameServer, Say, assert_all_ended, broker_data,
    one_broker, producer, queue_data, refusing, route, soon, two_brokers, until,
};

/// How a send ends whose deadline passes when the answer of the name server is there.
async fn once_the_route_is_known(hasty: &Producer, message: Message) -> SendError {
    loop {
        let error = hasty.send(message.clone()).await.unwrap_err();
        if error.kind() != ErrorKind::NoRoute {
            return error;
        }
    }
}

fn message(body: impl ToString) -> Message {
    Message::new("t", body.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_name_server_is_no_route() {
    let addresses = format!("{};{}", refusing().await, refusing().await);
    let builder = Producer::builder("faults", addresses).send_timeout(Duration::from_millis(700));
    let producer = builder.start().await.unwrap();
    let begun = Instant::now();
    let error = soon(producer.send(message("x"))).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::NoRoute, Outcome::NotStored));
    assert!(begun.elapsed() >= Duration::from_millis(700), "{:?}", begun.elapsed());
    assert!(error.to_string().contains("127.0.0.1"), "{error}");
    assert_all_ended(&producer);
}

/// One that cannot be reached, one that accepts and says nothing, one whose name is unknown: the
/// one that works is found, whichever is asked first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn name_servers_that_do_not_answer_are_passed_over() {
    let hole = BlackHole::open();
    let silent = NameServer::start().await;
    silent.otherwise(Say::Nothing);
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 4).await;
    for bad in
        [hole.address(), silent.address(), "no-such-host.invalid:9876".into(), refusing().await]
    {
        for _ in 0..3 {
            let list = format!("{bad};{}", server.address());
            let producer = Producer::builder("faults", list).send_timeout(HOUR);
            let producer = producer.start().await.unwrap();
            soon(producer.send(message("x"))).await.unwrap();
            // From now on the one that works is asked first, and the other only when it takes long.
            soon(async {
                for n in 0.. {
                    let topic = format!("another{n}");
                    producer.send(Message::new(topic.as_str(), "x")).await.unwrap();
                    if silent.asked(&topic) == 0 {
                        break;
                    }
                }
            })
            .await;
        }
    }
    let list = format!("{};no-such-host.invalid:1;{}", hole.address(), server.address());
    let producer = Producer::builder("faults", list).send_timeout(HOUR).start().await.unwrap();
    soon(producer.send(message("x"))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn name_servers_that_answer_garbage_are_passed_over() {
    let broker = Broker::start("a").await;
    let good = NameServer::of(&[&broker], 4).await;
    let bad = NameServer::start().await;
    for say in [
        Say::Bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        Say::Bytes(vec![0xff; 100]),
        Say::Body(b"{".to_vec()),
        Say::Body(Vec::new()),
        Say::Body(vec![b'['; 1 << 20]),
        Say::Body(b"{\"queueDatas\":[{\"perm\":6}]}".to_vec()),
        Say::Code(1),
        Say::Code(-3),
    ] {
        bad.otherwise(say.clone());
        let both = producer(&[&bad, &good]).start().await.unwrap();
        soon(both.send(message("x"))).await.unwrap();
        let alone = producer(&[&bad]).send_timeout(Duration::from_millis(250));
        let error = soon(alone.start().await.unwrap().send(message("x"))).await.unwrap_err();
        let expected = (ErrorKind::NoRoute, Outcome::NotStored);
        assert_eq!((error.kind(), error.outcome()), expected, "{say:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_form_of_a_route_document_is_read() {
    let broker = Broker::start("a").await;
    let server = NameServer::start().await;
    let address = broker.address();
    let padding = "x".repeat(10 << 20);
    for (n, body) in [
        format!("{{\"brokerDatas\":[{{\"brokerAddrs\":{{0:\"{address}\"}},\"brokerName\":\"a\",\"cluster\":\"c\"}}],\"filterServerTable\":{{}},\"queueDatas\":[{{\"brokerName\":\"a\",\"perm\":6,\"readQueueNums\":4,\"topicSynFlag\":0,\"writeQueueNums\":4}}]}}"),
        format!("{{\"unknown\":[1,{{}}],\"brokerDatas\":[{{\"brokerAddrs\":{{\"0\":\"{address}\"}},\"brokerName\":\"a\",\"enableActingMaster\":false}}],\"queueDatas\":[{{\"brokerName\":\"a\",\"perm\":6,\"readQueueNums\":4,\"topicSysFlag\":0,\"writeQueueNums\":4}}]}}"),
        format!("{{\"padding\":\"{padding}\",\"brokerDatas\":[{{\"brokerAddrs\":{{\"0\":\"{address}\"}},\"brokerName\":\"a\"}}],\"queueDatas\":[{{\"brokerName\":\"a\",\"perm\":6,\"writeQueueNums\":4}}]}}"),
    ]
    .into_iter()
    .enumerate()
    {
        server.say(&format!("t{n}"), Say::Body(body.into_bytes()));
        let producer = producer(&[&server]).lookup_timeout(HOUR).start().await.unwrap();
        soon(producer.send(Message::new(format!("t{n}"), "x"))).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_without_a_queue_to_write_is_no_writable_queue() {
    let broker = Broker::start("a").await;
    let master = || broker_data("a", &broker.address());
    let slave = || {
        let mut data = master();
        data.broker_addrs = [(1, broker.address())].into();
        data
    };
    let cases: Vec<(&str, Vec<BrokerData>, Vec<QueueData>)> = vec![
        ("nothing", vec![], vec![]),
        ("no queue", vec![master()], vec![]),
        ("0 queues", vec![master()], vec![queue_data("a", 0, 6)]),
        ("-1 queues", vec![master()], vec![queue_data("a", -1, 6)]),
        ("read only", vec![master()], vec![queue_data("a", 4, 4)]),
        ("no permission", vec![master()], vec![queue_data("a", 4, 0)]),
        // These wait for a master, to their deadlines.
        ("no broker", vec![], vec![queue_data("a", 4, 6)]),
        ("another broker", vec![master()], vec![queue_data("b", 4, 6)]),
        ("only a slave", vec![slave()], vec![queue_data("a", 4, 6)]),
    ];
    let server = NameServer::start().await;
    for (n, (what, brokers, queues)) in cases.into_iter().enumerate() {
        let topic = format!("t{n}");
        server.say(&topic, Say::Route(TopicRoute { brokers, queues, ..TopicRoute::default() }));
        let producer =
            producer(&[&server]).send_timeout(Duration::from_millis(300)).start().await.unwrap();
        for message in
            [Message::new(topic.as_str(), "x"), Message::new(topic.as_str(), "x").order_by("key")]
        {
            let error = soon(once_the_route_is_known(&producer, message)).await;
            let expected = (ErrorKind::NoWritableQueue, Outcome::NotStored);
            assert_eq!((error.kind(), error.outcome()), expected, "{what}: {error}");
        }
    }
    assert_eq!(broker.seen_count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queues_that_must_not_be_written_are_left_out() {
    let (a, b, server, producer) = two_brokers().await;
    let mut document = route(&[&a, &b], 4);
    document.queues = vec![queue_data("a", 4, 4), queue_data("b", 3, 2)];
    server.say("t", Say::Route(document));
    for n in 0..40 {
        soon(producer.send(message(n))).await.unwrap();
        soon(producer.send(message(n).order_by(n.to_string()))).await.unwrap();
    }
    assert_eq!(a.seen_count(), 0);
    assert_eq!(b.stored_count(), 80);
    assert!(b.stored().iter().all(|seen| (0..3).contains(&seen.queue)));
}

/// What a name server says is not believed without bounds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_with_billions_of_queues_does_not_fill_the_memory() {
    let (broker, server, producer) = one_broker().await;
    let mut document = route(&[&broker], i32::MAX);
    document.queues = vec![queue_data("a", i32::MAX, 6); 8];
    server.say("t", Say::Route(document));
    let result = soon(producer.with_timeout(DEADLINE).send(message("x"))).await;
    println!("{result:?}");
    assert!(peak_memory() < 1 << 30, "{}", peak_memory());
    soon(producer.send(Message::new("other", "x"))).await.unwrap();
}

/// Most of the address space that this process has used.
fn peak_memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<usize>().ok());
    // Stacks and arenas of the other tests' threads count, though they are never touched.
    let resident = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let resident =
        resident.and_then(|line| line.trim().trim_end_matches(" kB").parse::<usize>().ok());
    resident.or(kib).unwrap_or_default() * 1024
}

// ---- routes that change ----

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_route_is_taken_at_the_next_attempt() {
    let (a, b) = (Broker::start("a").await, Broker::start("b").await);
    let server = NameServer::of(&[&a], 4).await;
    let producer = producer(&[&server]).start().await.unwrap();
    soon(producer.send(message("warm"))).await.unwrap();
    // The attempt under way ends where it is.
    a.always(Action::ok().after(Duration::from_millis(400)));
    let under_way = producer.enqueue(message("under way")).await.unwrap();
    until("it has left", || a.seen_count() == 2).await;
    a.always(Action::refuse(501, "moved"));
    server.otherwise(Say::Route(route(&[&b], 4)));
    let receipt = soon(producer.send(message("moved"))).await.unwrap();
    assert_eq!(receipt.queue().broker(), "b");
    assert_eq!(soon(under_way).await.unwrap().queue().broker(), "a");
    soon(producer.send(message("after"))).await.unwrap();
    assert_eq!(b.stored_count(), 2);
}

// ---- several at once ----
