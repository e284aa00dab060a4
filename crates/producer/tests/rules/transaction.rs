//! Transactions: what local code decides, and what becomes of an end that does not arrive.

use std::time::Duration;

use posthaste::{ErrorKind, Message, Outcome, Producer, ResponseCode, TransactionState};
use posthaste_broker::{Broker, Fault, On};

use crate::servers::{message, ms, producer, send, texts};
use crate::support::{HANG, soon};

/// A broker, and a producer whose checker says this when it is asked, which it is soon.
async fn checked(soon: Duration, state: TransactionState) -> (Broker, Producer) {
    let broker = Broker::builder().topic("t", 4).transaction_timeout(soon);
    let broker = broker.transaction_check_interval(soon).start().await.unwrap();
    let builder = producer(broker.name_server());
    let builder = builder.transaction_checker(move |_| async move { state });
    let producer = builder.start().await.unwrap();
    (broker, producer)
}

/// As long as it is told nothing, such a broker does not ask within a test.
const NEVER: Duration = Duration::from_secs(3_600);

fn end() -> Fault {
    Fault::on(On::TransactionEnd)
}

async fn undecided(broker: &Broker) -> usize {
    broker.undecided().await.unwrap().len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_checker_none_begins() {
    let (broker, producer) = crate::servers::one_broker().await;
    let error = soon(producer.begin(message("x"))).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Invalid, Outcome::NotStored));
    assert!(error.to_string().contains("transaction_checker"), "{error}");
    assert_eq!(broker.stats().messages, 0);
}

/// Real brokers would store it, and never deliver it after its commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delayed_half_message_is_refused_before_anything_is_sent() {
    let (broker, producer) = checked(NEVER, TransactionState::Commit).await;
    let soon_after = Duration::from_secs(4);
    for delayed in [
        message("x").delay_level(3),
        message("x").deliver_after(soon_after),
        message("x").deliver_at(std::time::SystemTime::now() + soon_after),
    ] {
        let error = soon(producer.begin(delayed.clone())).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::Invalid, Outcome::NotStored));
        assert!(error.to_string().contains("once the transaction is committed"), "{error}");
        let local = |_: &_| async { panic!("it has not begun") };
        soon(producer.send_in_transaction(delayed, local)).await.unwrap_err();
    }
    assert_eq!(broker.stats().messages, 0);
}

/// Stored, but not as firmly as the broker is set up to: it must not begin.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_weakly_stored_half_message_is_rolled_back() {
    let (broker, producer) = checked(NEVER, TransactionState::Commit).await;
    let ends = broker.fault(end().pass()).unwrap();
    for code in [10, 11, 12] {
        let weak = broker.fault(send().status(ResponseCode(code))).unwrap();
        let error = soon(producer.begin(message("x"))).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::Unavailable, Outcome::NotStored));
        assert!(error.to_string().contains("rolled back"), "{error}");
        assert_eq!(error.into_message().body(), "x");
        assert_eq!((weak.hits(), undecided(&broker).await), (1, 0));
        weak.remove();
    }
    assert_eq!(ends.hits(), 3);
    assert!(texts(&broker).await.is_empty(), "none is committed");
    assert!(producer.close(HANG).await.is_clean());
}

/// It is stored, and whether it was rolled back is not known: the checker must not commit it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_weakly_stored_half_message_that_may_be_left_is_rolled_back_when_asked_for() {
    let (broker, producer) = checked(ms(200), TransactionState::Commit).await;
    broker.fault(send().status(ResponseCode::FLUSH_DISK_TIMEOUT)).unwrap();
    let failed = broker.fault(end().first(1).refuse(ResponseCode(1))).unwrap();
    let error = soon(producer.begin(message("x"))).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Unavailable, Outcome::Unknown));
    assert_eq!(failed.hits(), 1);
    soon(async { while undecided(&broker).await > 0 {} }).await;
    assert!(texts(&broker).await.is_empty(), "it is not committed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_local_code_says_decides() {
    let (broker, producer) = checked(NEVER, TransactionState::Unknown).await;
    let ends = broker.fault(end().pass()).unwrap();
    let [committed, rolled_back, left] =
        [TransactionState::Commit, TransactionState::Rollback, TransactionState::Unknown];
    for (state, heard, stored, open) in
        [(committed, 1, 1, 0), (rolled_back, 2, 1, 0), (left, 2, 1, 1)]
    {
        let run = |half: &posthaste::Transaction| {
            assert!(!half.message_id().is_empty());
            async move { state }
        };
        assert_eq!(soon(producer.send_in_transaction(message("x"), run)).await.unwrap(), state);
        let found = (ends.hits(), texts(&broker).await.len(), undecided(&broker).await);
        assert_eq!(found, (heard, stored, open), "{state:?}");
    }
    let refused = Message::new("t", "");
    let run = |_: &posthaste::Transaction| async { unreachable!("it has not begun") };
    let error = soon(producer.send_in_transaction(refused, run)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(error.into_send_error().unwrap().into_message().topic(), "t");
}

/// The broker refuses, is gone, or breaks off: the caller that ends the transaction learns it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_that_does_not_arrive_is_an_error() {
    let (broker, producer) = checked(NEVER, TransactionState::Unknown).await;
    let begin = || async { soon(producer.begin(message("x"))).await.unwrap() };

    // Some codes prove that the broker has not noted the end; code 1 says only that it failed.
    for (code, kind, outcome) in [
        (13, ErrorKind::Rejected(ResponseCode(13)), Outcome::NotStored),
        (1, ErrorKind::Broker(ResponseCode(1)), Outcome::Unknown),
    ] {
        let refuses = broker.fault(end().refuse(ResponseCode(code))).unwrap();
        let error = soon(begin().await.commit()).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (kind, outcome), "{error}");
        assert!(error.help().contains("checker"), "{}", error.help());
        refuses.remove();
    }

    // Noted, and not answered.
    let silent = broker.fault(end().after_store().no_answer()).unwrap();
    let brief = producer.with_timeout(Duration::from_secs(2));
    let transaction = soon(brief.begin(message("noted"))).await.unwrap();
    let error = soon(transaction.commit()).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, Outcome::Unknown));
    assert!(error.receipt().is_some());
    silent.wait_for(1, HANG).await.unwrap();
    silent.remove();
    broker.wait_for("t", 1, HANG).await.unwrap();

    let transaction = soon(brief.begin(message("x"))).await.unwrap();
    broker.down().await.unwrap();
    let error = soon(transaction.rollback()).await.unwrap_err();
    match error.kind() {
        ErrorKind::Connect | ErrorKind::ConnectionLost => {}
        // On a busy machine its time may end while another connect is on its way.
        kind => {
            assert_eq!((kind, error.outcome()), (ErrorKind::Timeout, Outcome::Unknown), "{error}")
        }
    }
    assert_eq!((texts(&broker).await, undecided(&broker).await), (vec!["noted".to_owned()], 3));
}

/// A broker that is away for a moment gets the decision when it is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_comes_back_is_told() {
    let (broker, producer) = checked(NEVER, TransactionState::Unknown).await;
    let transaction = soon(producer.begin(message("x"))).await.unwrap();
    broker.down().await.unwrap();
    // Until the producer knows.
    let brief = producer.with_timeout(ms(50));
    while soon(brief.send(message("y"))).await.unwrap_err().kind() != ErrorKind::Connect {}
    let commit = tokio::spawn(transaction.commit());
    tokio::time::sleep(ms(50)).await;
    let elsewhere = posthaste_broker::Restart::same().on_another_port();
    broker.restart(elsewhere).await.unwrap();
    soon(commit).await.unwrap().unwrap();
    let stored = broker.wait_for("t", 1, HANG).await.unwrap();
    assert_eq!(stored[0].text(), Some("x"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn undecided_ones_are_reported_when_closing() {
    let (broker, producer) = checked(NEVER, TransactionState::Unknown).await;
    let mut ids = Vec::new();
    for body in ["dropped", "kept", "decided"] {
        let transaction = soon(producer.begin(message(body))).await.unwrap();
        match body {
            "decided" => soon(transaction.commit()).await.unwrap(),
            _ => ids.push(transaction.message_id().to_owned()),
        }
    }
    let report = producer.close(HANG).await;
    let undecided: Vec<&str> = report.undecided.iter().map(|one| one.message_id()).collect();
    assert_eq!(undecided, ids);
    assert!(!report.is_clean());
    assert!(report.undelivered.is_empty());
    assert_eq!(
        (texts(&broker).await, broker.undecided().await.unwrap().len()),
        (vec!["decided".to_owned()], 2)
    );
}
