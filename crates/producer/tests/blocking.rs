//! The verbs that wait, against the embedded broker.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, SystemTime};

use posthaste::blocking::{Admin, Delivery, Producer, ProducerBuilder, Reader};
use posthaste::{
    AdminError, ErrorKind, Message, MessageQueue, Outcome, StartError, TopicSettings, TopicType,
    TopicUpdate,
};
use posthaste_broker::{Broker, BrokerBuilder};
use tokio::runtime::Runtime;

/// Longer than anything takes, however busy the machine is: it only ends a hang.
const HANG: Duration = Duration::from_secs(60);

/// A broker, and the runtime that it lives on.
struct Server {
    broker: Broker,
    _runtime: Runtime,
}

fn serve(settings: BrokerBuilder) -> Server {
    let runtime = Runtime::new().unwrap();
    let broker = runtime.block_on(settings.start()).unwrap();
    Server { broker, _runtime: runtime }
}

fn producer(server: &Server) -> Producer {
    builder(server).start().unwrap()
}

fn builder(server: &Server) -> ProducerBuilder {
    Producer::builder("blocking", server.broker.name_server().to_string()).send_timeout(HANG)
}

fn bodies(mut reader: Reader) -> BTreeSet<String> {
    let mut bodies = BTreeSet::new();
    while let Some(message) = reader.next().unwrap() {
        let body = String::from_utf8(message.body().to_vec()).unwrap();
        assert!(bodies.insert(body.clone()), "{body} twice");
    }
    bodies
}

/// Waits for something that happens in the background.
fn eventually(what: &str, mut happens: impl FnMut() -> bool) {
    for _ in 0..1200 {
        if happens() {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("never: {what}");
}

#[test]
fn each_verb_stores_its_message() {
    let server = serve(Broker::builder().topic("verbs", 2));
    let producer = producer(&server);
    let receipt = producer.send(Message::new("verbs", "sent")).unwrap();
    assert_eq!((receipt.queue().topic(), receipt.queue_offset()), ("verbs", 0));
    let delivery = producer.enqueue(Message::new("verbs", "enqueued")).unwrap();
    let id = delivery.message_id();
    assert_eq!(delivery.wait().unwrap().message_id(), id);
    let delivery = producer.try_enqueue(Message::new("verbs", "tried")).unwrap();
    delivery.wait_timeout(Duration::from_secs(60)).unwrap().unwrap();
    let (sender, receiver) = mpsc::channel();
    let delivery = producer.enqueue(Message::new("verbs", "called back")).unwrap();
    delivery.on_complete(move |result| sender.send(result).unwrap());
    receiver.recv().unwrap().unwrap();
    producer.send_oneway(Message::new("verbs", "one-way")).unwrap();
    let stats = producer.stats();
    assert_eq!((stats.sent, stats.acked, stats.oneway, stats.in_flight), (5, 4, 1, 0));

    eventually("the one-way message is stored", || server.broker.stats().messages == 5);
    let reader = producer.admin().reader("verbs").until_now().open().unwrap();
    let expected = ["sent", "enqueued", "tried", "called back", "one-way"];
    assert_eq!(bodies(reader), expected.map(str::to_owned).into());

    assert!(producer.close(Duration::from_secs(10)).is_clean());
    let error = producer.send(Message::new("verbs", "late")).unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Closed, Outcome::NotStored));
    assert!(producer.close(Duration::from_secs(10)).is_clean());
}

#[test]
fn admin_calls_wait_for_their_answers() {
    let server = serve(Broker::builder());
    let producer = producer(&server);
    let admin = producer.admin();
    admin.create_topic("made", 3).unwrap();
    assert!(admin.topics().unwrap().contains(&"made".to_owned()));
    let queues = admin.publish_queues("made").unwrap();
    assert_eq!(queues.len(), 3);
    assert!(matches!(admin.create_topic("made", 1), Err(AdminError::Exists { .. })));
    admin.update_topic("made", &TopicUpdate::new().queues(4)).unwrap();
    assert_eq!(admin.describe_topic("made").unwrap()[0].read_queues, 4);
    let queue: &MessageQueue = &queues[1];
    assert_eq!(admin.earliest_store_time(queue).unwrap(), None);
    producer.send(Message::new("made", "x").queue(queue.clone())).unwrap();
    assert_eq!(admin.min_offset(queue).unwrap(), 0);
    assert_eq!(admin.max_offset(queue).unwrap(), 1);
    assert!(admin.earliest_store_time(queue).unwrap().is_some());
    assert_eq!(admin.offset_at(queue, SystemTime::UNIX_EPOCH).unwrap(), 0);
    let settings = TopicSettings::new(2).topic_type(TopicType::Delay);
    admin.create_topic_with("delayed", &settings).unwrap();
    let receipt = producer.send(Message::new("delayed", "found").key("k")).unwrap();
    let viewed = admin.view("delayed", receipt.offset_message_id()).unwrap().unwrap();
    let by_key = admin.query_by_key("delayed", "k", .., 1).unwrap().remove(0);
    let by_id = admin.query_by_unique_id("delayed", receipt.message_id()).unwrap().remove(0);
    assert!([viewed, by_key, by_id].iter().all(|message| message.body() == "found"));
    let later = Message::new("delayed", "never").deliver_after(Duration::from_secs(60));
    let later = producer.send(later).unwrap();
    let recalled = producer.recall(later.recall_handle().unwrap()).unwrap();
    assert_eq!(recalled, later.message_id());
    let missing = AdminError::NoTopic { topic: "nowhere".into() };
    let admin = admin.with_timeout(Duration::from_secs(60));
    assert_eq!(admin.reader("nowhere").open().unwrap_err(), missing);
    let reader = admin.reader("made").until_now().open().unwrap();
    assert_eq!(reader.admin().max_offset(queue).unwrap(), 1);
    assert_eq!(bodies(reader).len(), 1);
    admin.delete_topic("made").unwrap();
    assert!(matches!(admin.delete_topic("made"), Err(AdminError::NoTopic { .. })));
}

#[test]
fn handles_are_shared_between_threads() {
    fn shared<T: Clone + Send + Sync + 'static>() {}
    fn sent<T: Send + 'static>() {}
    shared::<Producer>();
    shared::<ProducerBuilder>();
    shared::<Admin>();
    sent::<Delivery>();
    sent::<Reader>();

    let server = serve(Broker::builder().topic("threads", 4));
    let producer = producer(&server);
    let threads: Vec<_> = (0..8)
        .map(|n| {
            let producer = producer.clone();
            thread::spawn(move || {
                for m in 0..50 {
                    producer.send(Message::new("threads", format!("{n}-{m}"))).unwrap();
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let reader = producer.admin().reader("threads").until_now().open().unwrap();
    assert_eq!(bodies(reader).len(), 400);
}

/// The runtime's own way to wait would panic here.
#[test]
fn calls_in_asynchronous_code_work() {
    let server = serve(Broker::builder());
    let inside = |topic: &str| {
        let producer = producer(&server);
        producer.admin().create_topic(topic, 2).unwrap();
        producer.send(Message::new(topic, "sent")).unwrap();
        producer.enqueue(Message::new(topic, "enqueued")).unwrap().wait().unwrap();
        let reader = producer.admin().reader(topic).until_now().open().unwrap();
        assert_eq!(bodies(reader), ["sent", "enqueued"].map(str::to_owned).into());
        assert!(producer.close(Duration::from_secs(10)).is_clean());
    };
    // Without timers of its own, too.
    let current = tokio::runtime::Builder::new_current_thread().build().unwrap();
    current.block_on(async { inside("current") });
    let multi = Runtime::new().unwrap();
    multi.block_on(async { inside("multi") });
    let spawned = producer(&server);
    let send = async move { spawned.send(Message::new("spawned", "x")).unwrap() };
    assert_eq!(multi.block_on(multi.spawn(send)).unwrap().queue_offset(), 0);
}

#[test]
fn dropping_the_last_handle_in_asynchronous_code_neither_panics_nor_loses_anything() {
    let server = serve(Broker::builder().topic("dropped", 4));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        // More than the producer can have written when the handle goes, on any machine.
        let producer = builder(&server).send_timeout(Duration::from_secs(60)).start().unwrap();
        for n in 0..2_000 {
            drop(producer.enqueue(Message::new("dropped", format!("{n}"))).unwrap());
        }
    });
    eventually("all are stored", || server.broker.stats().messages == 2_000);
    // Its thread has ended: it says goodbye last.
    eventually("nobody is connected", || server.broker.stats().connections == 0);
}

#[test]
fn a_delivery_outlives_the_producer() {
    let server = serve(Broker::builder().topic("outlives", 1));
    let producer = producer(&server);
    let delivery = producer.enqueue(Message::new("outlives", "x")).unwrap();
    drop(producer);
    assert_eq!(delivery.wait().unwrap().queue_offset(), 0);
}

#[test]
fn a_callback_may_call_the_producer() {
    let server = serve(Broker::builder().topic("nested", 1));
    let producer = producer(&server);
    let (sender, receiver) = mpsc::channel();
    let delivery = producer.enqueue(Message::new("nested", "first")).unwrap();
    let same = producer.clone();
    delivery
        .on_complete(move |_| sender.send(same.send(Message::new("nested", "second"))).unwrap());
    assert_eq!(receiver.recv().unwrap().unwrap().queue_offset(), 1);
}

/// A server that takes connections and never says a word.
#[test]
fn a_wait_that_runs_out_gives_the_delivery_back() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let builder = Producer::builder("blocking", address);
    let producer = builder.send_timeout(Duration::from_secs(2)).start().unwrap();
    let delivery = producer.enqueue(Message::new("silent", "x")).unwrap();
    let delivery = delivery.wait_timeout(Duration::ZERO).unwrap_err();
    let delivery = delivery.wait_timeout(Duration::from_millis(20)).unwrap_err();
    let error = delivery.wait().unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::NoRoute, Outcome::NotStored));
    let other = producer.with_timeout(Duration::from_millis(50));
    let error = other.send(Message::new("silent", "x")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoRoute);
}

#[test]
fn room_is_waited_for_or_not() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let builder = Producer::builder("blocking", address).max_pending(1, 1 << 20);
    let producer = builder.send_timeout(Duration::from_secs(2)).start().unwrap();
    let _first = producer.enqueue(Message::new("full", "1")).unwrap();
    let error = producer.try_enqueue(Message::new("full", "2")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BufferFull);
    // The first ends within its deadline; there is room then.
    let patient = producer.with_timeout(Duration::from_secs(60));
    drop(patient.enqueue(Message::new("full", "3")).unwrap());
}

#[test]
fn closing_reports_what_was_not_delivered() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let builder = Producer::builder("blocking", address);
    let producer = builder.send_timeout(Duration::from_secs(60)).start().unwrap();
    let delivery = producer.enqueue(Message::new("stuck", "x")).unwrap();
    let report = producer.close(Duration::from_millis(50));
    assert_eq!(report.undelivered.len(), 1);
    assert_eq!(report.undelivered[0].message.topic(), "stuck");
    assert_eq!(delivery.wait().unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn a_setting_that_is_wrong_is_an_error_of_the_start() {
    let error = Producer::builder("blocking", "nonsense").start().unwrap_err();
    assert!(matches!(error, StartError::NameServers(_)), "{error:?}");
    let error = Producer::builder("", "127.0.0.1:9876").start().unwrap_err();
    assert!(matches!(error, StartError::Group(_)), "{error:?}");
}

#[test]
fn a_batch_can_be_handed_over_and_waited_for_later() {
    let server = serve(Broker::builder());
    let producer = producer(&server);
    let batch = || [Message::new("batches", "a"), Message::new("batches", "b")];
    let delivery = producer.enqueue_batch(batch()).unwrap();
    let ids = delivery.message_ids();
    let receipts = delivery.wait().unwrap();
    assert_eq!(receipts.iter().map(|one| one.message_id()).collect::<Vec<_>>(), ids);
    let mut delivery = producer.enqueue_batch(batch()).unwrap();
    let receipts = loop {
        match delivery.wait_timeout(Duration::from_millis(1)) {
            Ok(end) => break end.unwrap(),
            Err(again) => delivery = again,
        }
    };
    assert_eq!(receipts.len(), 2);
    let (sender, receiver) = mpsc::channel();
    let delivery = producer.enqueue_batch(batch()).unwrap();
    delivery.on_complete(move |result| sender.send(result).unwrap());
    assert_eq!(receiver.recv().unwrap().unwrap().len(), 2);
    assert_eq!(server.broker.stats().messages, 6);
}

/// Java: `setCallbackExecutor`.
#[test]
fn callbacks_run_on_the_application_s_own_threads() {
    let server = serve(Broker::builder());
    let builder = builder(&server).callback_executor(|callback| {
        thread::Builder::new().name("own".into()).spawn(callback).unwrap();
    });
    let producer = builder.start().unwrap();
    let (sender, receiver) = mpsc::channel();
    let delivery = producer.enqueue(Message::new("t", "x")).unwrap();
    delivery.on_complete(move |result| {
        let name = thread::current().name().map(str::to_owned);
        sender.send((name, result.is_ok())).unwrap();
    });
    assert_eq!(receiver.recv().unwrap(), (Some("own".to_owned()), true));
}
