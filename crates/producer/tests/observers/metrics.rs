//! Metrics: what is recorded, under which names and labels.

#[path = "../../examples/support/recorder.rs"]
mod recorder;

use posthaste::Message;

use self::recorder::Memory;
use crate::fake::{Action, Broker, HANG, NameServer, producer, soon};
use crate::one;

/// Runs a test whose producers' metrics are recorded: all on this thread.
fn recorded(test: impl AsyncFnOnce(&Memory)) {
    let memory = Memory::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    metrics::with_local_recorder(&memory, || runtime.block_on(test(&memory)));
}

/// What a metric shows whose labels have all of these; the first word of it.
#[track_caller]
fn shown(memory: &Memory, name: &str, labels: &[&str]) -> String {
    let lines = memory.lines();
    let fits = |line: &&String| {
        line.starts_with(&format!("{name}{{"))
            && labels.iter().all(|label| line.contains(label))
            && line.contains("messaging.system=\"rocketmq\"")
            && line.contains("posthaste.producer_group=\"faults\"")
    };
    let found: Vec<&String> = lines.iter().filter(fits).collect();
    assert!(found.len() <= 1, "{found:?}");
    let value = found.first().and_then(|line| line.rsplit_once("} "));
    value.map_or("nothing", |(_, value)| value.split(' ').next().unwrap()).to_owned()
}

const SENT: &str = "messaging.client.sent.messages";
const DURATION: &str = "messaging.client.operation.duration";

#[test]
fn every_end_is_counted_by_its_outcome() {
    recorded(async |memory| {
        let (broker, _server, producer) = one().await;
        let message = || Message::new("t", "x");
        soon(producer.send(message())).await.unwrap();
        soon(producer.send_batch([message(), message()])).await.unwrap();
        broker.first([
            Action::refuse(13, "illegal"),
            Action::refuse(14, ""),
            Action::store_and_close(),
        ]);
        soon(producer.send(message())).await.unwrap_err();
        soon(producer.send(message())).await.unwrap();
        broker.always(Action::store_and_say(1, "?"));
        soon(producer.send(message())).await.unwrap_err();
        soon(producer.send(Message::new("a/b", "x"))).await.unwrap_err();
        soon(producer.send_oneway(message())).await.unwrap();
        let of_t = "messaging.destination.name=\"t\"";
        let sent = |labels: &[&str]| shown(memory, SENT, labels);
        let took = |labels: &[&str]| shown(memory, DURATION, labels);
        assert_eq!(sent(&[of_t, "outcome=\"acked\""]), "4");
        assert_eq!(took(&[of_t, "outcome=\"acked\""]), "3", "one of them a batch");
        assert_eq!(sent(&[of_t, "outcome=\"oneway\""]), "1");
        assert_eq!(took(&[of_t, "outcome=\"oneway\""]), "1");
        let invalid = ["outcome=\"not_stored\"", "error.type=\"invalid\""];
        assert_eq!(sent(&[of_t, invalid[0], invalid[1]]), "1");
        assert_eq!(took(&[of_t, invalid[0], invalid[1]]), "1");
        assert_eq!(sent(&["name=\"_OTHER\"", invalid[0], invalid[1]]), "1", "never accepted");
        assert_eq!(sent(&[of_t, "outcome=\"unknown\"", "error.type=\"broker\""]), "1");
        let retries = producer.stats().retries;
        assert!(retries >= 2);
        assert_eq!(shown(memory, "posthaste.retries", &[]), retries.to_string());
    });
}

#[test]
fn a_broker_s_requests_are_counted_by_its_address() {
    recorded(async |memory| {
        let broker = Broker::start("a").await;
        let server = NameServer::of(&[&broker], 1).await;
        let producer = producer(&[&server]).max_window(7).start().await.unwrap();
        broker.first([Action::refuse(2, "busy")]);
        let message = || Message::new("t", "x");
        soon(producer.send(message())).await.unwrap();
        soon(producer.send_batch([message(), message(), message()])).await.unwrap();
        let (host, port) = broker.address().rsplit_once(':').map(owned).unwrap();
        let labels = [format!("address=\"{host}\""), format!("port=\"{port}\"")];
        let labels = labels.each_ref().map(String::as_str);
        let of_broker = |name: &str| shown(memory, &format!("posthaste.broker.{name}"), &labels);
        assert_eq!(of_broker("requests"), "3");
        assert_eq!(of_broker("batches"), "1");
        assert_eq!(of_broker("batched_messages"), "3");
        assert_eq!(of_broker("busy"), "1");
        assert_eq!(of_broker("batch_size"), "3");
        assert_eq!(of_broker("round_trip"), "2", "a refusal is no round trip");
        assert_ne!(of_broker("window"), "0");
        assert_eq!((of_broker("in_flight"), of_broker("waiting")), ("0".into(), "0".into()));
        assert!(!memory.lines().iter().any(|line| line.contains(&server_port(&server))));
        // What waits is shown, and nothing is left of a broker without a connection.
        broker.read(false);
        let deliveries: Vec<_> =
            (0..100).map(|_| producer.try_enqueue(message().order_by("k")).unwrap()).collect();
        crate::fake::until("one is in flight", || of_broker("in_flight") == "1").await;
        broker.read(true);
        for delivery in deliveries {
            soon(delivery).await.unwrap();
        }
        soon(producer.close(HANG)).await;
        crate::fake::until("no window", || of_broker("window") == "0").await;
    });
}

fn owned((host, port): (&str, &str)) -> (String, String) {
    (host.to_owned(), port.to_owned())
}

fn server_port(server: &NameServer) -> String {
    format!("port=\"{}\"", server.address().rsplit_once(':').unwrap().1)
}

/// Topics come from the application, perhaps without end: metrics do not.
#[test]
fn only_so_many_topics_have_labels_of_their_own() {
    recorded(async |memory| {
        let (_broker, _server, producer) = one().await;
        for n in 0..130 {
            soon(producer.send(Message::new(format!("topic-{n}"), "x"))).await.unwrap();
        }
        assert_eq!(shown(memory, SENT, &["name=\"topic-99\"", "acked"]), "1");
        assert_eq!(shown(memory, SENT, &["name=\"topic-100\"", "acked"]), "nothing");
        assert_eq!(shown(memory, SENT, &["name=\"_OTHER\"", "acked"]), "30");
    });
}

#[test]
fn lost_traces_are_counted() {
    recorded(async |memory| {
        let broker = Broker::start("a").await;
        let server = NameServer::start().await;
        server.say("t", crate::fake::Say::Route(crate::fake::route(&[&broker], 1)));
        let producer = producer(&[&server]).message_trace(true).start().await.unwrap();
        soon(producer.send(Message::new("t", "x"))).await.unwrap();
        soon(producer.close(HANG)).await;
        assert_eq!(shown(memory, "posthaste.traces_lost", &[]), "1");
    });
}
