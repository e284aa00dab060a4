//! One-way messages in batches: as many as ever may be unconfirmed, and each caller hears when its
//! message is written.

use posthaste::{ErrorKind, Message, Outcome, Producer, SendError};
use tokio::task::JoinSet;

use super::{assert_stored_once, behind_plug, narrow, one_narrow, plug, sizes, stored};
use crate::fake::{Action, DEADLINE, assert_nothing_left, settled, soon, until};

/// One-way sends of messages `0..count`, all under way.
fn oneways(producer: &Producer, count: usize) -> JoinSet<Result<(), SendError>> {
    let mut sends = JoinSet::new();
    for n in 0..count {
        let producer = producer.clone();
        sends.spawn(async move { producer.send_oneway(Message::new("t", n.to_string())).await });
    }
    sends
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_ways_that_wait_leave_as_batches_and_are_told_when_they_are_written() {
    let (broker, _server, producer) = one_narrow().await;
    broker.script(behind_plug(|_| Action::ok()));
    let plugs = plug(&producer, &[&broker]).await;
    let mut sends = oneways(&producer, 300);
    until("all wait", || producer.stats().sent == 1 + 300).await;
    plugs.pull();
    while let Some(sent) = soon(sends.join_next()).await {
        sent.unwrap().unwrap();
    }
    until("all are stored", || stored(&broker).len() == 300).await;
    assert_stored_once(&stored(&broker), 300);
    let found = sizes(&broker.seen());
    // Never more than one probe speaks for: 64 for each place of the window.
    assert!(found.iter().all(|size| *size <= 64) && found.len() < 30, "{found:?}");
    let seen = broker.seen();
    assert!(seen.iter().any(|seen| seen.together > 1));
    let probed = seen.iter().filter(|seen| seen.topic == "t" && !seen.oneway).count();
    assert!(probed >= 300 / 64, "{probed} in probes");
    let stats = settled(&producer);
    assert_eq!((stats.oneway, stats.acked), (300, 1));
    assert_nothing_left(&producer).await;
}

/// The broker answers no probe: a number of messages is written, and the others end at their
/// deadlines.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_do_not_let_more_be_unconfirmed() {
    let (broker, server, _) = one_narrow().await;
    let producer = narrow(&server).max_window(3).start().await.unwrap();
    broker.script(behind_plug(|_| Action::ignore()));
    let plugs = plug(&producer, &[&broker]).await;
    let mut sends = oneways(&producer.with_timeout(DEADLINE), 1000);
    let (mut written, mut busy) = (0, 0);
    plugs.pull();
    while let Some(sent) = soon(sends.join_next()).await {
        match sent.unwrap() {
            Ok(()) => written += 1,
            Err(error) => {
                assert_eq!((error.kind(), error.outcome()), (ErrorKind::Busy, Outcome::NotStored));
                busy += 1;
            }
        }
    }
    assert_eq!((written + busy, written <= 3 * 64), (1000, true), "{written} written");
    assert!(written > 64, "{written} written");
    until("all written have arrived", || broker.seen_count() == 1 + written).await;
    assert!(sizes(&broker.seen()).iter().any(|size| *size > 1));
}

/// After a refusal one message finds out whether the broker is well again, an ordinary request; and
/// then batches form as before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_ways_find_out_that_a_busy_broker_is_well_again() {
    let (broker, server, _) = one_narrow().await;
    let producer = narrow(&server).start().await.unwrap();
    broker.first([Action::refuse(2, "busy")]);
    broker.down();
    let mut sends = oneways(&producer, 64);
    until("all wait", || producer.stats().sent == 64).await;
    broker.up().await;
    until("the probe was refused", || producer.stats().busy == 1).await;
    while let Some(sent) = soon(sends.join_next()).await {
        sent.unwrap().unwrap();
    }
    let mut sends = oneways(&producer, 200);
    while let Some(sent) = soon(sends.join_next()).await {
        sent.unwrap().unwrap();
    }
    until("all have arrived", || broker.seen_count() == 264).await;
    let requests: Vec<(usize, bool)> =
        broker.seen().iter().map(|seen| (seen.together, seen.oneway)).collect();
    assert_eq!(requests[0], (64, false));
    assert_eq!(requests[64], (1, false), "one that is answered");
    assert!(requests[65..].iter().any(|(together, _)| *together > 1), "{requests:?}");
    assert_nothing_left(&producer).await;
}
