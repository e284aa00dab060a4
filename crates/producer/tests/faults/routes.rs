//! Name servers, and what they say.

use std::time::{Duration, Instant};

use posthaste::{ErrorKind, FaultAvoidance, Message, MessageQueue, Outcome, Producer, SendError};
use posthaste_protocol::request::{BrokerData, QueueData, TopicRoute};

use crate::fake::{
    Action, BlackHole, Broker, DEADLINE, HOUR, NameServer, Say, Seen, assert_all_ended,
    broker_data, lock, one_broker, producer, queue_data, refusing, route, settled, soon,
    two_brokers, until,
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
async fn a_topic_that_does_not_exist_is_asked_for_once_a_second() {
    let server = NameServer::start().await;
    let producer = producer(&[&server]).start().await.unwrap();
    let begun = Instant::now();
    for _ in 0..50 {
        let error = soon(producer.send(message("x"))).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::NoTopic, Outcome::NotStored));
    }
    let most = 1 + begun.elapsed().as_secs() as usize;
    let asked = server.asked("t");
    assert!((1..=most).contains(&asked), "{asked} times in {:?}", begun.elapsed());
    assert_eq!(server.asked("TBW102"), asked);
    // It is created.
    let broker = Broker::start("a").await;
    server.say("t", Say::Route(route(&[&broker], 4)));
    tokio::time::sleep(Duration::from_millis(1100)).await;
    soon(producer.send(message("x"))).await.unwrap();
    assert_eq!(server.asked("t"), asked + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_senders_share_one_look_up() {
    let broker = Broker::start("a").await;
    let server = NameServer::start().await;
    let found = Say::Route(route(&[&broker], 4));
    server.say("t", Say::Later(Duration::from_millis(100), Box::new(found)));
    let producer = producer(&[&server]).start().await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..500 {
        let producer = producer.clone();
        tasks.spawn(async move { producer.send(message(n)).await });
    }
    while let Some(sent) = soon(tasks.join_next()).await {
        sent.unwrap().unwrap();
    }
    assert_eq!(server.asked("t"), 1);
}

/// Who has most time has come first: those after it do not wait as long. The look-up goes on all the time,
/// since the name server answers others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_waiter_for_a_route_ends_by_its_own_deadline() {
    let (broker, server) = (Broker::start("a").await, NameServer::start().await);
    server.otherwise(Say::Nothing);
    server.say("known", Say::Route(route(&[&broker], 1)));
    let hour = Duration::from_secs(3600);
    let builder = producer(&[&server]).send_timeout(hour).lookup_timeout(hour);
    let producer = builder.start().await.unwrap();
    let others = tokio::spawn({
        let admin = producer.admin();
        async move {
            loop {
                admin.publish_queues("known").await.unwrap();
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
    });
    let patient = producer.enqueue(message("patient")).await.unwrap();
    until("it is looked up", || server.asked("t") == 1).await;
    for deadline in [100, 50, 10] {
        let hasty = producer.with_timeout(Duration::from_millis(deadline));
        for message in [message("hasty"), message("hasty").order_by("k")] {
            let error = soon(hasty.send(message)).await.unwrap_err();
            let ended = (error.kind(), error.outcome());
            assert_eq!(ended, (ErrorKind::NoRoute, Outcome::NotStored), "{error}");
        }
    }
    assert_eq!((server.asked("t"), producer.stats().in_flight), (1, 1), "the first waits on");
    others.abort();
    drop(patient);
    soon(producer.close(Duration::ZERO)).await;
    assert_all_ended(&producer);
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

/// Each way to send waits for a master, and to a route without write permission none does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_with_slaves_only_is_waited_for_to_the_deadline() {
    let slaves = |broker: &Broker, perm| {
        let mut document = route(&[broker], 4);
        document.brokers[0].broker_addrs = [(1, broker.address())].into();
        document.queues = vec![queue_data("a", 4, perm)];
        Say::Route(document)
    };
    for known_before in [false, true] {
        let broker = Broker::start("a").await;
        let server = NameServer::of(&[&broker], 4).await;
        let producer = producer(&[&server]).start().await.unwrap();
        if known_before {
            soon(producer.send(message("warm"))).await.unwrap();
            broker.always(Action::refuse(14, "it is a slave now"));
            broker.forget();
        }
        server.otherwise(slaves(&broker, 6));
        if known_before {
            // A refusal has the route looked up.
            let hasty = producer.with_timeout(Duration::from_millis(500));
            let error = || async { hasty.send(message("x")).await.unwrap_err().kind() };
            soon(async { while error().await != ErrorKind::NoWritableQueue {} }).await;
            broker.always(Action::ok());
            broker.forget();
        }
        let queue = MessageQueue::new("t", "a", 3);
        let mut deliveries = Vec::new();
        for n in 0..5 {
            deliveries.push(producer.enqueue(message(n).order_by("key")).await.unwrap());
            deliveries.push(producer.enqueue(message("any")).await.unwrap());
            deliveries.push(producer.enqueue(message("given").queue(queue.clone())).await.unwrap());
        }
        let hasty = producer.with_timeout(Duration::from_millis(50));
        for message in [message("x"), message("x").order_by("k"), message("x").queue(queue)] {
            let error = soon(once_the_route_is_known(&hasty, message)).await;
            let expected = (ErrorKind::NoWritableQueue, Outcome::NotStored);
            assert_eq!((error.kind(), error.outcome()), expected, "{error}");
        }
        assert_eq!((broker.seen_count(), producer.stats().in_flight), (0, 15));
        server.otherwise(Say::Route(route(&[&broker], 4)));
        for delivery in deliveries {
            soon(delivery).await.unwrap();
        }
        let stored = broker.stored();
        let ordered = stored.iter().filter(|seen| seen.key.is_some()).map(Seen::text);
        assert_eq!(ordered.collect::<Vec<_>>(), ["0", "1", "2", "3", "4"]);

        server.say("read-only", slaves(&broker, 4));
        let error = soon(producer.send(Message::new("read-only", "x"))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoWritableQueue, "at once");
        assert_all_ended(&producer);
    }
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_topic_takes_the_default_topics_queues() {
    let broker = Broker::start("a").await;
    for (default_queues, expected) in [(8, 4), (3, 3)] {
        let server = NameServer::start().await;
        server.say("TBW102", Say::Route(route(&[&broker], default_queues)));
        let producer = producer(&[&server]).start().await.unwrap();
        broker.forget();
        for n in 0..24 {
            soon(producer.send(message(n))).await.unwrap();
        }
        let queues: std::collections::BTreeSet<i32> =
            broker.stored().iter().map(|seen| seen.queue).collect();
        assert_eq!(queues, (0..expected).collect());
        assert!(broker.stored().iter().all(|seen| seen.topic == "t"));
    }
    let server = NameServer::start().await;
    server.say("TBW102", Say::Route(route(&[&broker], 8)));
    let producer = producer(&[&server]).default_topic_queues(6).start().await.unwrap();
    broker.forget();
    for n in 0..24 {
        soon(producer.send(message(n))).await.unwrap();
    }
    assert_eq!(broker.stored().iter().map(|seen| seen.queue).max(), Some(5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queues_get_equal_shares() {
    let (a, b, server, _) = two_brokers().await;
    // A broker that a busy machine makes slow would be left out for a while.
    let builder = producer(&[&server]).fault_avoidance(FaultAvoidance::off());
    let producer = builder.start().await.unwrap();
    for n in 0..800 {
        soon(producer.send(message(n))).await.unwrap();
    }
    let mut shares = std::collections::BTreeMap::new();
    for (name, seen) in
        a.stored().iter().map(|s| ("a", s.queue)).chain(b.stored().iter().map(|s| ("b", s.queue)))
    {
        *shares.entry((name, seen)).or_insert(0) += 1;
    }
    assert_eq!(shares.len(), 8);
    assert!(shares.values().all(|count| (90..=110).contains(count)), "{shares:?}");
}

/// The address that brokers advertise cannot be reached; the map knows a better one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn advertised_addresses_are_mapped() {
    let broker = Broker::start("a").await;
    let server = NameServer::start().await;
    let mut document = route(&[&broker], 4);
    document.brokers = vec![broker_data("a", "172.17.0.3:10911")];
    server.otherwise(Say::Route(document));
    let real = broker.address();
    let map = move |address: &str| (address == "172.17.0.3:10911").then(|| real.clone());
    let producer = producer(&[&server]).address_map(map).start().await.unwrap();
    soon(producer.send(message("x"))).await.unwrap();
    assert_eq!(broker.stored_count(), 1);
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_is_deleted_ends_as_no_topic() {
    let (broker, server, producer) = one_broker().await;
    soon(producer.send(message("x"))).await.unwrap();
    broker.always(Action::refuse(17, "topic[t] not exist"));
    server.otherwise(Say::Code(17));
    let error = soon(producer.send(message("x"))).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::NoTopic, Outcome::NotStored));
    assert!(error.attempts().len() <= 2);
}

/// A master that is gone, and comes back at another address.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_moves_is_used_soon_after_the_route_shows_it() {
    let (broker, server, producer) = one_broker().await;
    soon(producer.send(message("warm"))).await.unwrap();
    broker.down();
    let mut deliveries = Vec::new();
    for n in 0..10 {
        deliveries.push(producer.enqueue(message(n)).await.unwrap());
    }
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let old = broker.address();
    broker.move_away().await;
    assert_ne!(broker.address(), old);
    server.otherwise(Say::Route(route(&[&broker], 4)));
    for delivery in deliveries {
        soon(delivery).await.unwrap();
    }
    let error_free = producer.stats();
    assert_eq!((error_free.unknown, error_free.not_stored), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_server_that_forgets_or_garbles_a_topic_does_not_stop_it() {
    let (broker, server, producer) = one_broker().await;
    soon(producer.send(message("warm"))).await.unwrap();
    for say in [Say::Code(17), Say::Body(b"{]".to_vec()), Say::Code(1), Say::Nothing] {
        server.otherwise(say);
        broker.first([Action::refuse(14, ""), Action::close()]);
        soon(producer.send(message("x"))).await.unwrap();
        tokio::time::sleep(Duration::from_millis(900)).await;
        soon(producer.send(message("x"))).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_given_queue_is_kept() {
    let (a, b, _server, producer) = two_brokers().await;
    let queue = MessageQueue::new("t", "b", 3);
    a.always(Action::ok());
    b.first([Action::refuse(14, ""), Action::close()]);
    for n in 0..10 {
        let receipt = soon(producer.send(message(n).queue(queue.clone()))).await.unwrap();
        assert_eq!(receipt.queue(), &queue);
    }
    assert_eq!(a.seen_count(), 0);
    let unknown = MessageQueue::new("t", "c", 0);
    let error = soon(producer.send(message("x").queue(unknown))).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::NoWritableQueue, Outcome::NotStored));
}

// ---- several at once ----

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn producers_of_two_clusters_do_not_meet() {
    let (a, _server_a, one) = one_broker().await;
    let (b, _server_b, two) = one_broker().await;
    let third = producer(&[&_server_a]).start().await.unwrap();
    b.always(Action::refuse(13, ""));
    let ids = std::sync::Arc::new(std::sync::Mutex::new(std::collections::HashSet::new()));
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..300 {
        let (one, two, third, ids) = (one.clone(), two.clone(), third.clone(), ids.clone());
        tasks.spawn(async move {
            let receipt = one.send(message(n)).await.unwrap();
            assert!(lock(&ids).insert(receipt.message_id().to_owned()));
            two.send(message(n)).await.unwrap_err();
            let receipt = third.send(message(n)).await.unwrap();
            assert!(lock(&ids).insert(receipt.message_id().to_owned()));
        });
    }
    while let Some(done) = soon(tasks.join_next()).await {
        done.unwrap();
    }
    assert_eq!((a.stored_count(), b.stored_count()), (600, 0));
    let counts = (settled(&one).acked, settled(&two).not_stored, settled(&third).acked);
    assert_eq!(counts, (300, 300, 300));
    soon(one.close(Duration::from_secs(1))).await;
    soon(third.send(message("x"))).await.unwrap();
}
