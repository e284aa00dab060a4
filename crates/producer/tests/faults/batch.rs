//! Batches under load: how they form, and how each of their messages ends on its own.

mod forming;
mod lost;
mod oneway;
mod ordered;
mod refused;

use std::collections::HashSet;

use posthaste::{Delivery, Message, Producer, ProducerBuilder};

use crate::fake::{Action, Broker, HANG, NameServer, Seen, producer, until};

/// A producer with room for one request at a time: what waits meanwhile leaves together.
fn narrow(server: &NameServer) -> ProducerBuilder {
    producer(&[server]).max_window(1).topics(["t"])
}

/// A broker, its name server, and a producer with room for one request at a time.
async fn one_narrow() -> (Broker, NameServer, Producer) {
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 4).await;
    let producer = narrow(&server).start().await.unwrap();
    (broker, server, producer)
}

/// Does what the script says, but answers a plug only when it is pulled.
fn behind_plug(
    mut script: impl FnMut(&Seen) -> Action + Send + 'static,
) -> impl FnMut(&Seen) -> Action + Send + 'static {
    move |seen| match seen.text().as_str() {
        "plug" => Action::ok().at_the_gate(),
        _ => script(seen),
    }
}

/// A message at each of these brokers behind which others wait.
struct Plugs(Vec<Broker>);

impl Plugs {
    /// Has them answered, so that what has come meanwhile leaves.
    fn pull(self) {
        self.0.iter().for_each(|broker| broker.open_gate(1));
    }
}

/// Sends something behind which others wait. The route of the producer's topics is known by then: a
/// message that waits for one does not wait behind the plug.
async fn plug(producer: &Producer, brokers: &[&Broker]) -> Plugs {
    producer.ready(HANG).await.unwrap();
    for _ in brokers {
        drop(producer.enqueue(Message::new("plug", "plug")).await.unwrap());
    }
    until("the plugs are there", || brokers.iter().all(|broker| broker.seen_count() == 1)).await;
    Plugs(brokers.iter().map(|&broker| broker.clone()).collect())
}

/// Messages `0..count` of topic `t`, which wait behind a plug and leave together.
async fn enqueue(producer: &Producer, count: usize) -> Vec<Delivery> {
    let mut deliveries = Vec::new();
    for n in 0..count {
        deliveries.push(producer.enqueue(Message::new("t", n.to_string())).await.unwrap());
    }
    deliveries
}

/// The requests that carried these messages: their texts.
fn requests(list: &[Seen]) -> Vec<Vec<String>> {
    let mut requests: Vec<Vec<String>> = Vec::new();
    let mut last = None;
    for seen in list.iter().filter(|seen| seen.topic != "plug") {
        if last.replace((seen.connection, seen.opaque)) != Some((seen.connection, seen.opaque)) {
            requests.push(Vec::new());
        }
        requests.last_mut().unwrap().push(seen.text());
    }
    requests
}

/// How many messages each of these requests carried.
fn sizes(list: &[Seen]) -> Vec<usize> {
    requests(list).iter().map(Vec::len).collect()
}

/// What is stored, but for plugs.
fn stored(broker: &Broker) -> Vec<Seen> {
    broker.stored().into_iter().filter(|seen| seen.topic != "plug").collect()
}

fn texts(list: &[Seen]) -> Vec<String> {
    list.iter().map(Seen::text).collect()
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

/// Every message was stored once.
#[track_caller]
fn assert_stored_once(stored: &[Seen], count: usize) {
    let found: HashSet<String> = stored.iter().map(Seen::text).collect();
    assert_eq!((stored.len(), found.len()), (count, count));
}
