//! The end of trouble: every server is well again, and everything that is sent has to be stored.

use std::sync::Arc;
use std::time::Duration;

use posthaste::{MessageQueue, Producer};

use super::broker::name_of;
use super::deed::NUMBER;
use super::journal::{CallId, End, Verb};
use super::plan::Plan;
use super::round::calm_message;
use super::trouble::{Servers, topic_name};
use super::verbs::{Stage, all_stored, begun_at, replied, written};

/// More than a send needs where nothing is wrong, on a machine that is very busy.
const PATIENCE: Duration = Duration::from_secs(20);

/// Ends all trouble, and sends with every verb to every topic.
pub(super) async fn run(stage: &Arc<Stage>, plan: &Plan, servers: &Servers, producer: &Producer) {
    stage.world.be_calm();
    while !stage.world.is_idle() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    servers.recover();
    stage.world.note("all is well again");
    for place in 0..plan.topics.len() {
        let topic = topic_name(place);
        warm_up(stage, &topic, producer).await;
        send_each(stage, &topic, producer).await;
    }
}

/// What the trouble has left behind in connections and routes shows in these; they are judged, but may
/// fail.
async fn warm_up(stage: &Stage, topic: &str, producer: &Producer) {
    for _ in 0..20 {
        let (call, number) = begin(stage, Verb::Send, topic, Duration::from_secs(2), 1);
        stage.journal.note(call, |call| call.calm = false);
        let producer = producer.with_timeout(Duration::from_secs(2));
        let end = producer.send(calm_message(topic, number)).await;
        let is_stored = end.is_ok();
        stage.journal.end(call, end);
        if is_stored {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn begin(stage: &Stage, verb: Verb, topic: &str, timeout: Duration, count: u32) -> (CallId, u32) {
    let numbers = stage.journal.numbers(count);
    let first = numbers.start;
    let call = stage.journal.begin(verb, numbers, topic, timeout);
    stage.journal.note(call, |call| call.calm = true);
    (call, first)
}

async fn send_each(stage: &Stage, topic: &str, producer: &Producer) {
    let journal = &stage.journal;
    let start = |verb, count| begin(stage, verb, topic, PATIENCE, count);
    let (call, number) = start(Verb::Send, 1);
    let receipt = producer.send(calm_message(topic, number)).await;
    let queue = receipt.as_ref().ok().map(|receipt| receipt.queue().clone());
    journal.end(call, receipt);

    let (call, number) = start(Verb::Keyed, 1);
    let end = producer.send(calm_message(topic, number).order_by(format!("calm-{topic}"))).await;
    journal.end(call, end);

    let (call, number) = start(Verb::Handle, 1);
    match producer.enqueue(calm_message(topic, number)).await {
        Ok(delivery) => journal.end(call, delivery.await),
        Err(error) => journal.end(call, error),
    }

    let (call, number) = start(Verb::GivenQueue, 1);
    let queue = queue.unwrap_or_else(|| MessageQueue::new(topic, name_of(0), 0));
    let given = (queue.broker().to_owned(), queue.id());
    journal.note(call, |call| call.given = Some(given));
    journal.end(call, producer.send(calm_message(topic, number).queue(queue)).await);

    let (call, first) = start(Verb::Batch, 3);
    let batch: Vec<_> = (first..first + 3).map(|number| calm_message(topic, number)).collect();
    journal.end(call, all_stored(producer.send_batch(batch).await));

    let (call, number) = start(Verb::Oneway, 1);
    journal.end(call, written(producer.send_oneway(calm_message(topic, number)).await));

    let (call, number) = start(Verb::Request, 1);
    journal.end(call, replied(producer.request(calm_message(topic, number)).await));

    let (call, number) = start(Verb::Begin, 1);
    match producer.begin(calm_message(topic, number).property("of", NUMBER)).await {
        Err(error) => journal.end(call, End::from(error)),
        Ok(begun) => {
            journal.end(call, begun_at(&begun));
            let failed = begun.commit().await.err().map(|error| error.outcome());
            journal.decided(call, true, failed);
        }
    }
}
