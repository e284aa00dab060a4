//! Reads that fail for a while: what was to be done is done later.

use std::sync::Arc;

use posthaste_protocol::ResponseCode;
use posthaste_protocol::request::{CreateTopic, Heartbeat, ProducerGroup, SendMessage};

use super::brittle::Brittle;
use super::harness::{Bench, message, with_properties, with_queues};
use crate::store::watched::Watched;
use crate::store::{DiskStore, MemoryStore};

fn bench() -> (Arc<Brittle>, Bench) {
    let brittle = Arc::new(Brittle::default());
    let bench = Bench::with_store(brittle.over(MemoryStore::new(1 << 30)));
    (brittle, bench)
}

fn sent(property: &str, value: &str) -> SendMessage<'static> {
    with_properties(&[(property, value)], message("orders", 0, property))
}

#[test]
fn what_is_due_and_cannot_be_read_comes_later_and_is_tried_once_a_second() {
    for (property, value) in [("DELAY", "1"), ("TIMER_DELAY_MS", "1000")] {
        let (brittle, mut bench) = bench();
        bench.call(0, &sent(property, value));
        bench.call(0, &sent(property, value));
        brittle.set_broken(true);
        bench.pass(5_000);
        assert!((5..=10).contains(&brittle.failures()), "{property}: {}", brittle.failures());
        brittle.set_broken(false);
        bench.pass(1_000);
        assert_eq!(bench.bodies("orders", 0), [property, property]);
        bench.pass(100_000);
        assert_eq!(bench.read("orders", 0).len(), 2, "{property}: once");
    }
}

#[test]
fn a_delayed_message_that_cannot_be_read_when_it_is_stored_comes_all_the_same() {
    let (brittle, mut bench) = bench();
    brittle.set_broken(true);
    bench.call(0, &sent("DELAY", "2"));
    bench.pass(2_000);
    brittle.set_broken(false);
    bench.pass(2_999);
    assert!(bench.read("orders", 0).is_empty());
    bench.pass(1);
    assert_eq!(bench.bodies("orders", 0), ["DELAY"]);
}

/// The messages before it have come by then, and do not come again.
#[test]
fn what_cannot_be_delivered_keeps_its_place() {
    for (property, value) in [("DELAY", "1"), ("TIMER_DELAY_MS", "1000")] {
        let file = Watched::default();
        let open = || DiskStore::with_backend(file.clone(), u64::MAX).expect("open");
        let mut bench = Bench::with_store(Box::new(open()));
        for queue_id in [0, 3] {
            bench.call(0, &SendMessage { queue_id, ..sent(property, value) });
        }
        bench.call(0, &with_queues(1));
        drop(bench);

        let brittle = Arc::new(Brittle::default());
        let mut bench = Bench::with_store(brittle.over(open()));
        // Queue 3 is not known any more.
        brittle.set_no_ends(true);
        bench.pass(5_000);
        assert_eq!(brittle.failures(), 5, "{property}");
        assert_eq!(bench.bodies("orders", 0), [property]);
        brittle.set_no_ends(false);
        bench.pass(100_000);
        bench.call(0, &with_queues(4));
        assert_eq!(bench.bodies("orders", 3), [property]);
        assert_eq!(bench.bodies("orders", 0), [property], "once");
    }
}

#[test]
fn a_half_message_that_cannot_be_read_is_asked_about_later() {
    let (brittle, mut bench) = bench();
    bench.call(0, &sent("TRAN_MSG", "true"));
    let group = ProducerGroup { group_name: "producers".into() };
    let beat = Heartbeat { client_id: "p".into(), producers: vec![group], ..Heartbeat::default() };
    bench.call(1, &beat);
    brittle.set_broken(true);
    assert!(bench.pass(10_000).is_empty());
    assert_eq!(brittle.failures(), 5);
    brittle.set_broken(false);
    assert_eq!(bench.pass(1_000).len(), 1, "no producer was asked");
}

/// A queue whose end is not known would be written over.
#[test]
fn a_topic_does_not_change_while_the_ends_of_its_queues_cannot_be_read() {
    let (brittle, mut bench) = bench();
    let more = with_queues(8);
    brittle.set_broken(true);
    for topic in ["orders", "new"] {
        let more = CreateTopic { topic: topic.into(), ..more.clone() };
        assert_eq!(bench.code(0, &more), ResponseCode::SYSTEM_ERROR);
    }
    brittle.set_broken(false);
    assert_eq!(bench.code(0, &message("orders", 7, "x")), ResponseCode::INVALID_PARAMETER);
    assert!(bench.engine.topics.get("new").is_none());
    bench.call(0, &more);
    assert_eq!(bench.call(0, &message("orders", 7, "x")).queue_offset, 0);
}
