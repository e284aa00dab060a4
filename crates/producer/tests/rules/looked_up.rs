//! Routes that are looked up, shared, followed when they change, and used for all queues alike.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use posthaste::{
    ErrorKind, FaultAvoidance, Message, MessageQueue, Outcome, Producer, ResponseCode, SendError,
};
use posthaste_broker::{Broker, Cluster, Fault, On, Restart};

use crate::servers::{
    broker, cluster, message, ms, one_broker, one_warm_broker, producer, route, send, texts,
    two_brokers,
};
use crate::support::{HOUR, assert_all_ended, lock, settled, soon, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_does_not_exist_is_asked_for_once_a_second() {
    let broker = Broker::builder().auto_create_topics(false).start().await.unwrap();
    let asked = broker.fault(route().pass()).unwrap();
    let asked_for_default = Fault::on(On::Route).topic("TBW102").pass();
    let asked_for_default = broker.fault(asked_for_default).unwrap();
    let producer = producer(broker.name_server()).start().await.unwrap();
    let begun = Instant::now();
    for _ in 0..50 {
        let error = soon(producer.send(message("x"))).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::NoTopic, Outcome::NotStored));
    }
    let most = 1 + begun.elapsed().as_secs();
    let hits = asked.hits();
    assert!((1..=most).contains(&hits), "{hits} times in {:?}", begun.elapsed());
    assert_eq!(asked_for_default.hits(), hits);
    // It is created.
    let admin = producer.admin();
    soon(admin.create_topic("t", 4)).await.unwrap();
    tokio::time::sleep(ms(1100)).await;
    soon(producer.send(message("x"))).await.unwrap();
    assert_eq!(texts(&broker).await, ["x"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_senders_share_one_look_up() {
    let broker = broker(4).await;
    let looked_up = broker.fault(route().delay(ms(100))).unwrap();
    let producer = producer(broker.name_server()).start().await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..500 {
        let producer = producer.clone();
        tasks.spawn(async move { producer.send(message(n)).await });
    }
    while let Some(sent) = soon(tasks.join_next()).await {
        sent.unwrap().unwrap();
    }
    assert_eq!((looked_up.hits(), texts(&broker).await.len()), (1, 500));
}

/// Who has most time has come first: those after it do not wait as long. The look-up goes on all the time,
/// since the name server answers others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_waiter_for_a_route_ends_by_its_own_deadline() {
    let broker = Broker::builder().topic("t", 1).topic("known", 1).start().await.unwrap();
    let looked_up = broker.fault(route().no_answer()).unwrap();
    let builder = producer(broker.name_server()).lookup_timeout(HOUR);
    let producer = builder.start().await.unwrap();
    let others = tokio::spawn({
        let admin = producer.admin();
        async move {
            loop {
                admin.publish_queues("known").await.unwrap();
                tokio::time::sleep(ms(500)).await;
            }
        }
    });
    let patient = producer.enqueue(message("patient")).await.unwrap();
    until("it is looked up", || looked_up.hits() == 1).await;
    for deadline in [100, 50, 10] {
        let hasty = producer.with_timeout(ms(deadline));
        for message in [message("hasty"), message("hasty").order_by("k")] {
            let error = soon(hasty.send(message)).await.unwrap_err();
            let ended = (error.kind(), error.outcome());
            assert_eq!(ended, (ErrorKind::NoRoute, Outcome::NotStored), "{error}");
        }
    }
    assert_eq!((looked_up.hits(), producer.stats().in_flight), (1, 1), "the first waits on");
    others.abort();
    drop(patient);
    soon(producer.close(Duration::ZERO)).await;
    assert_eq!(broker.stats().messages, 0);
    assert_all_ended(&producer);
}

/// How a send ends whose deadline passes when the answer of the name server is there.
async fn once_the_route_is_known(hasty: &Producer, message: Message) -> SendError {
    loop {
        let error = hasty.send(message.clone()).await.unwrap_err();
        if error.kind() != ErrorKind::NoRoute {
            return error;
        }
    }
}

/// Each way to send waits for a master, and to a route without write permission none does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_with_slaves_only_is_waited_for_to_the_deadline() {
    for known_before in [false, true] {
        let broker = Broker::builder().topic("t", 4).topic("read-only", 4).start().await.unwrap();
        let producer = producer(broker.name_server()).start().await.unwrap();
        if known_before {
            soon(producer.send(message("warm"))).await.unwrap();
        }
        let slave = broker.fault(route().without_master()).unwrap();
        if known_before {
            // A refusal has the route looked up.
            let refused = send().refuse(ResponseCode(14)).remark("it is a slave now");
            let refused = broker.fault(refused).unwrap();
            let hasty = producer.with_timeout(ms(500));
            let error = || async { hasty.send(message("x")).await.unwrap_err().kind() };
            soon(async { while error().await != ErrorKind::NoWritableQueue {} }).await;
            refused.remove();
        }
        let before = broker.stats().messages;
        let queue = MessageQueue::new("t", "dev", 3);
        let mut deliveries = Vec::new();
        for n in 0..5 {
            deliveries.push(producer.enqueue(message(n).order_by("key")).await.unwrap());
            deliveries.push(producer.enqueue(message("any")).await.unwrap());
            deliveries.push(producer.enqueue(message("given").queue(queue.clone())).await.unwrap());
        }
        let hasty = producer.with_timeout(ms(50));
        for message in [message("x"), message("x").order_by("k"), message("x").queue(queue)] {
            let error = soon(once_the_route_is_known(&hasty, message)).await;
            let expected = (ErrorKind::NoWritableQueue, Outcome::NotStored);
            assert_eq!((error.kind(), error.outcome()), expected, "{error}");
        }
        assert_eq!((broker.stats().messages, producer.stats().in_flight), (before, 15));
        slave.remove();
        for delivery in deliveries {
            soon(delivery).await.unwrap();
        }
        let mut stored = broker.messages("t").await.unwrap();
        stored.retain(|one| one.ordering_key.is_some());
        assert!(stored.iter().filter_map(|one| one.text()).eq(["0", "1", "2", "3", "4"]));

        broker.fault(Fault::on(On::Route).topic("read-only").without_write_permission()).unwrap();
        let error = soon(producer.send(Message::new("read-only", "x"))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoWritableQueue, "at once");
        assert_all_ended(&producer);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_topic_takes_the_default_topics_queues() {
    for (default_queues, wanted, expected) in [(8, 4, 4), (3, 4, 3), (8, 6, 6)] {
        let broker = Broker::builder().default_topic_queues(default_queues).start().await.unwrap();
        let builder = producer(broker.name_server()).default_topic_queues(wanted);
        let producer = builder.start().await.unwrap();
        for n in 0..24 {
            soon(producer.send(message(n))).await.unwrap();
        }
        let stored = broker.messages("t").await.unwrap();
        let queues: BTreeSet<u16> = stored.iter().map(|one| one.queue).collect();
        assert_eq!((queues, stored.len()), ((0..expected).collect(), 24));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queues_get_equal_shares() {
    let cluster = cluster().await;
    // A broker that a busy machine makes slow would be left out for a while.
    let builder = producer(cluster.name_server()).fault_avoidance(FaultAvoidance::off());
    let producer = builder.start().await.unwrap();
    for n in 0..800 {
        soon(producer.send(message(n))).await.unwrap();
    }
    let mut shares = BTreeMap::new();
    for broker in cluster.brokers() {
        for one in broker.messages("t").await.unwrap() {
            *shares.entry((broker.name(), one.queue)).or_insert(0) += 1;
        }
    }
    assert_eq!(shares.len(), 8);
    assert!(shares.values().all(|count| (90..=110).contains(count)), "{shares:?}");
}

/// The address that brokers advertise cannot be reached; the map knows a better one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn advertised_addresses_are_mapped() {
    let broker = broker(4).await;
    broker.fault(route().another_address("172.17.0.3:10911")).unwrap();
    let real = broker.address().to_string();
    let map = move |address: &str| (address == "172.17.0.3:10911").then(|| real.clone());
    let producer = producer(broker.name_server()).address_map(map).start().await.unwrap();
    soon(producer.send(message("x"))).await.unwrap();
    assert_eq!(texts(&broker).await, ["x"]);
}

// ---- routes that change ----

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_is_deleted_ends_as_no_topic() {
    let (broker, producer) = one_warm_broker().await;
    let gone = send().refuse(ResponseCode::TOPIC_NOT_EXIST).remark("topic[t] not exist");
    broker.fault(gone).unwrap();
    broker.fault(Fault::on(On::Route).unknown()).unwrap();
    let error = soon(producer.send(message("x"))).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::NoTopic, Outcome::NotStored));
    assert!(error.attempts().len() <= 2);
    assert_eq!(texts(&broker).await, ["warm"]);
}

/// A master that is gone, and comes back at another address.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_moves_is_used_soon_after_the_route_shows_it() {
    let cluster = Cluster::builder().brokers(1).topic("t", 4).start().await.unwrap();
    let [broker] = cluster.brokers() else { panic!("one broker") };
    let producer = producer(cluster.name_server()).start().await.unwrap();
    soon(producer.send(message("warm"))).await.unwrap();
    broker.down().await.unwrap();
    let mut deliveries = Vec::new();
    for n in 0..10 {
        deliveries.push(producer.enqueue(message(n)).await.unwrap());
    }
    tokio::time::sleep(ms(1500)).await;
    let old = broker.address();
    broker.restart(Restart::same().on_another_port()).await.unwrap();
    assert_ne!(broker.address(), old);
    for delivery in deliveries {
        soon(delivery).await.unwrap();
    }
    let stats = producer.stats();
    assert_eq!((stats.unknown, stats.not_stored), (0, 0));
    assert_eq!(texts(broker).await.len(), 1 + 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_server_that_forgets_or_garbles_a_topic_does_not_stop_it() {
    let (broker, producer) = one_warm_broker().await;
    let all = || Fault::on(On::Route);
    for lie in [all().unknown(), all().garbage(), all().refuse(ResponseCode(1)), all().no_answer()]
    {
        let lie = broker.fault(lie).unwrap();
        let stops = broker.fault(send().first(1).refuse(ResponseCode(14))).unwrap();
        let closes = broker.fault(send().first(1).close()).unwrap();
        soon(producer.send(message("x"))).await.unwrap();
        tokio::time::sleep(ms(900)).await;
        soon(producer.send(message("x"))).await.unwrap();
        assert_eq!((stops.hits(), closes.hits()), (1, 1));
        [lie, stops, closes].iter().for_each(posthaste_broker::FaultRule::remove);
    }
    assert_eq!(texts(&broker).await.len(), 1 + 4 * 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_given_queue_is_kept() {
    let (cluster, producer) = two_brokers().await;
    let [a, b] = cluster.brokers() else { panic!("two brokers") };
    let queue = MessageQueue::new("t", b.name(), 3);
    b.fault(send().first(1).refuse(ResponseCode(14))).unwrap();
    b.fault(send().first(1).close()).unwrap();
    for n in 0..10 {
        let receipt = soon(producer.send(message(n).queue(queue.clone()))).await.unwrap();
        assert_eq!(receipt.queue(), &queue);
    }
    assert!(b.faults().iter().all(|rule| rule.hits() == 1));
    assert_eq!((a.stats().messages, b.stats().messages), (0, 10));
    let unknown = MessageQueue::new("t", "c", 0);
    let error = soon(producer.send(message("x").queue(unknown))).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::NoWritableQueue, Outcome::NotStored));
}

// ---- several at once ----

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn producers_of_two_clusters_do_not_meet() {
    let (a, one) = one_broker().await;
    let (b, two) = one_broker().await;
    let third = producer(a.name_server()).start().await.unwrap();
    b.fault(send().refuse(ResponseCode::MESSAGE_ILLEGAL)).unwrap();
    let ids = Arc::new(Mutex::new(HashSet::new()));
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
    assert_eq!((a.stats().messages, b.stats().messages), (600, 0));
    let counts = (settled(&one).acked, settled(&two).not_stored, settled(&third).acked);
    assert_eq!(counts, (300, 300, 300));
    soon(one.close(Duration::from_secs(1))).await;
    soon(third.send(message("x"))).await.unwrap();
}
