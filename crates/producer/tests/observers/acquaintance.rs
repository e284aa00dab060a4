//! A producer with a checker that no broker can know says so.

use std::time::Duration;

use posthaste::TransactionState;

use crate::fake::{Broker, NameServer, Say, producer, route, until};
use crate::warnings::Warnings;

/// All of it on one thread, whose log this is.
#[tokio::test]
async fn brokers_that_cannot_be_found_are_to_be_named_by_topics() {
    let (warnings, _guard) = Warnings::listen();
    let server = NameServer::start().await;
    let begin = || {
        let often = Duration::from_millis(20);
        let builder = producer(&[&server]).route_poll_interval(often);
        builder.transaction_checker(|_| async { TransactionState::Commit })
    };
    let unknown = begin().start().await.unwrap();
    until("it is warned", || !warnings.lines().is_empty()).await;
    // Once, however often it looks.
    let asked = server.asked("SELF_TEST_TOPIC");
    until("it looks again", || server.asked("SELF_TEST_TOPIC") > asked + 2).await;
    let lines = warnings.lines();
    assert!(lines.len() == 1 && lines[0].contains("`topics`"), "{lines:?}");
    drop(unknown);

    warnings.forget();
    let broker = Broker::start("a").await;
    server.say("t", Say::Route(route(&[&broker], 1)));
    let _named = begin().topics(["t"]).start().await.unwrap();
    until("it is known", || !broker.heartbeats().is_empty()).await;
    assert!(warnings.lines().is_empty(), "{:?}", warnings.lines());
}
