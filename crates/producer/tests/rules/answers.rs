//! What brokers answer: what each code means, and what becomes of sends without an answer.

use std::time::{Duration, Instant};

use posthaste::{ErrorKind as K, Outcome, Producer, ResponseCode, SendError, SendStatus};
use posthaste_broker::{Fault, On};

use crate::servers::{
    broker, message, ms, one_broker, one_warm_broker, producer, route, send, texts, two_brokers,
};
use crate::support::{DEADLINE, HANG, assert_all_ended, settled, soon, until};

/// How a send ends that a broker refuses to its deadline. When its answer is on its way just then, it
/// shows nothing, and another send is tried.
async fn refused_to_the_end(hasty: &Producer, body: impl ToString) -> SendError {
    loop {
        let error = hasty.send(message(body.to_string())).await.unwrap_err();
        if error.kind() != K::Timeout {
            return error;
        }
    }
}

/// The end of a send with this code; `None`: it is stored.
fn expected(code: i32) -> Option<(Outcome, K)> {
    use Outcome::{NotStored, Unknown};
    Some(match code {
        0 | 10 | 11 | 12 => return None,
        2 | 215 => (NotStored, K::Busy),
        3 | 15 => (NotStored, K::Unsupported),
        13 | 29 => (NotStored, K::Invalid),
        14 | 501 | 1500 => (NotStored, K::Unavailable),
        16 => (NotStored, K::Denied),
        17 => (NotStored, K::NoTopic),
        26 | 204 | 205 | 604 | 2017 | 2018 => (NotStored, K::Rejected(ResponseCode(code))),
        _ => (Unknown, K::Broker(ResponseCode(code))),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_code_means_what_the_table_says() {
    let broker = broker(4).await;
    let producer = producer(broker.name_server()).retries(0).start().await.unwrap();
    let hasty = producer.with_timeout(ms(700));
    let mut codes: Vec<i32> = ResponseCode::NAMED.iter().map(|code| code.0).collect();
    codes.extend([i32::MIN, -1, 65_535, 65_536, i32::MAX]);
    codes.extend((0..1000).map(|_| fastrand::i32(..)));
    codes.extend((0..300).map(|_| fastrand::i32(-10..3000)));
    // These hold up what comes after them.
    codes.sort_by_key(|code| matches!(code, 2 | 215));
    let mut stored = 0;
    for code in codes {
        let rule = broker.fault(match (code, expected(code)) {
            (0, _) => send().pass(),
            (code, None) => send().status(ResponseCode(code)),
            (code, Some(_)) => send().refuse(ResponseCode(code)).remark("because"),
        });
        let rule = rule.unwrap();
        let result = match code {
            2 | 215 => Err(soon(refused_to_the_end(&hasty, code)).await),
            _ => soon(producer.send(message(code))).await,
        };
        rule.remove();
        match (expected(code), result) {
            (None, Ok(receipt)) => {
                let status = match code {
                    10 => SendStatus::FlushDiskTimeout,
                    11 => SendStatus::SlaveNotAvailable,
                    12 => SendStatus::FlushSlaveTimeout,
                    _ => SendStatus::Stored,
                };
                assert_eq!(receipt.status(), status);
                stored += 1;
            }
            (Some(expected), Err(error)) => {
                assert_eq!((error.outcome(), error.kind()), expected, "code {code}");
                assert!(!error.help().is_empty());
                assert!(matches!(code, 2 | 215) || format!("{error}").contains("because"));
            }
            (expected, got) => panic!("code {code}: {got:?} instead of {expected:?}"),
        }
        assert_eq!(broker.stats().messages, stored, "code {code}");
    }
    assert_all_ended(&producer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn code_1_is_unknown_but_for_proven_remarks() {
    let (broker, producer) = one_broker().await;
    let hasty = producer.with_timeout(DEADLINE);
    for (remark, outcome) in [
        ("org.apache.rocketmq.acl.common.AclException: no", Outcome::NotStored),
        ("request queueId[99] is illegal", Outcome::NotStored),
        ("store putMessage return null", Outcome::Unknown),
        ("", Outcome::Unknown),
    ] {
        let rule = broker.fault(send().refuse(ResponseCode(1)).remark(remark)).unwrap();
        let error = soon(refused_to_the_end(&hasty, "x")).await;
        assert_eq!(error.outcome(), outcome, "{remark}");
        rule.remove();
    }
    assert_eq!(broker.stats().messages, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retries_are_counted_and_end() {
    let (broker, patient) = one_broker().await;
    let stopping = || send().refuse(ResponseCode::SERVICE_NOT_AVAILABLE).remark("stopping");
    let twice = broker.fault(stopping().first(2)).unwrap();
    soon(patient.send(message("third time"))).await.unwrap();
    let stats = settled(&patient);
    assert_eq!((stats.retries, stats.acked, stats.not_stored), (2, 1, 0));
    assert_eq!((twice.hits(), twice.matched()), (2, 3));
    twice.remove();

    broker.fault(stopping()).unwrap();
    let builder = producer(broker.name_server()).retries(1).async_retries(3);
    let producer = builder.start().await.unwrap();
    let error = soon(producer.send(message("x"))).await.unwrap_err();
    assert_eq!(error.attempts().len(), 2, "{error:?}");
    assert!(
        error.attempts().iter().all(|one| one.reason == "stopping" && one.kind == K::Unavailable)
    );
    let error = soon(producer.enqueue(message("x")).await.unwrap()).await.unwrap_err();
    assert_eq!(error.attempts().len(), 4, "{error:?}");
    assert_eq!(producer.stats().retries, 4);
    assert_eq!(texts(&broker).await, ["third time"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_goes_to_another_broker() {
    let (cluster, producer) = two_brokers().await;
    let [a, b] = cluster.brokers() else { panic!("two brokers") };
    let stops = a.fault(send().refuse(ResponseCode::SERVICE_NOT_AVAILABLE)).unwrap();
    for n in 1..=20 {
        let before = stops.hits();
        soon(producer.send(message("x"))).await.unwrap();
        assert!(stops.hits() - before <= 1);
        assert_eq!((a.stats().messages, b.stats().messages), (0, n));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn denied_is_tried_once_elsewhere_and_illegal_not_again() {
    let (cluster, producer) = two_brokers().await;
    for (code, attempts) in [(16, 2), (13, 1), (29, 1), (604, 1), (-5, 1)] {
        let refuse = |broker: &posthaste_broker::Broker| {
            broker.fault(send().refuse(ResponseCode(code))).unwrap()
        };
        let rules: Vec<_> = cluster.brokers().iter().map(refuse).collect();
        let error = soon(producer.send(message("x"))).await.unwrap_err();
        assert_eq!(error.attempts().len(), attempts, "{code}");
        rules.iter().for_each(posthaste_broker::FaultRule::remove);
    }
    let (only, producer) = one_broker().await;
    only.fault(send().refuse(ResponseCode::NO_PERMISSION)).unwrap();
    let error = soon(producer.send(message("x"))).await.unwrap_err();
    assert_eq!((error.attempts().len(), error.kind()), (1, K::Denied));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_broker_is_asked_in_the_older_form() {
    let unsupported = ResponseCode::REQUEST_CODE_NOT_SUPPORTED;
    let (broker, producer) = one_broker().await;
    let newer = broker.fault(Fault::on(On::Code(310)).refuse(unsupported)).unwrap();
    let older = broker.fault(Fault::on(On::Code(10)).pass()).unwrap();
    soon(producer.send(message("first"))).await.unwrap();
    soon(producer.send(message("second"))).await.unwrap();
    assert_eq!((newer.hits(), older.hits()), (1, 2));
    assert_eq!(texts(&broker).await, ["first", "second"]);
    assert_eq!(producer.stats().retries, 0);

    let (broker, producer) = one_broker().await;
    let all = broker.fault(send().refuse(unsupported)).unwrap();
    let error = soon(producer.send(message("x"))).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (K::Unsupported, Outcome::NotStored));
    assert_eq!((all.hits(), broker.stats().messages), (2, 0));
}

// ---- slow ones ----

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_answer_changes_nothing() {
    let (broker, producer) = one_warm_broker().await;
    broker.pause().await.unwrap();
    let hasty = producer.with_timeout(DEADLINE);
    let begun = Instant::now();
    let error = soon(hasty.send(message("late"))).await.unwrap_err();
    assert!(begun.elapsed() >= DEADLINE, "{:?}", begun.elapsed());
    assert_eq!((error.kind(), error.outcome()), (K::Timeout, Outcome::Unknown));
    broker.resume().await.unwrap();
    until("the late answer is there", || producer.stats().brokers[0].in_flight == 0).await;
    soon(producer.send(message("x"))).await.unwrap();
    let stats = settled(&producer);
    assert_eq!((stats.unknown, stats.acked), (1, 2));
    until("its place is free", || producer.stats().brokers[0].in_flight == 0).await;
    assert_eq!(texts(&broker).await, ["warm", "late", "x"]);
    assert_all_ended(&producer);
}

/// Requests pass, answers do not: unknown, and no more copies than attempts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_lost_leave_few_copies() {
    let (cluster, producer) = two_brokers().await;
    for _ in 0..2 {
        soon(producer.send(message("warm"))).await.unwrap();
    }
    for broker in cluster.brokers() {
        broker.fault(send().after_store().no_answer()).unwrap();
    }
    let stored = || cluster.brokers().iter().map(|one| one.stats().messages).sum::<u64>();
    let before = stored();
    let patient = producer.with_timeout(DEADLINE);
    let error = soon(patient.send(message("x"))).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (K::Timeout, Outcome::Unknown));
    let attempts = error.attempts().len();
    until("all copies are there", || stored() == before + attempts as u64).await;
    assert!((2..=3).contains(&attempts), "{attempts}");
    let mut copies = cluster.messages("t").await.unwrap();
    copies.retain(|one| one.text() == Some("x"));
    assert!(copies.iter().all(|one| one.unique_id == copies[0].unique_id), "{copies:?}");
}

/// The broker's round trip is measured anew now and then, and the window is nearly closed for it. A
/// request that is never answered must not keep it closed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_does_not_keep_others_back() {
    let broker = broker(1).await;
    let connections = Fault::on(On::Connect).port(broker.address().port());
    let connections = broker.fault(connections.pass()).unwrap();
    let producer = producer(broker.name_server()).start().await.unwrap();
    soon(producer.send(message("warm"))).await.unwrap();
    let lost = broker.fault(send().key("lost").no_answer()).unwrap();
    drop(producer.enqueue(message("lost").key("lost")).await.unwrap());
    lost.wait_for(1, HANG).await.unwrap();
    // What was measured is believed for three seconds; after that an answer is not as quick.
    tokio::time::sleep(ms(3_100)).await;
    broker.fault(send().after_store().delay(ms(100))).unwrap();
    soon(async {
        while producer.stats().brokers[0].window > 1 {
            producer.send(message("measured")).await.unwrap();
        }
    })
    .await;
    soon(producer.send(message("after"))).await.unwrap();
    // Not since the connection was given up for its silence.
    until("the lost one is left", || producer.stats().brokers[0].in_flight == 1).await;
    assert_eq!(connections.hits(), 1);
}

/// One broker of two is slow: the other takes over most of the work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_broker_gets_less() {
    let (cluster, producer) = two_brokers().await;
    let [a, b] = cluster.brokers() else { panic!("two brokers") };
    a.pause().await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..2000 {
        let producer = producer.clone();
        tasks.spawn(async move { producer.send(message(n)).await });
        if n % 20 == 0 {
            tokio::time::sleep(ms(2)).await;
        }
    }
    until("the other has most of them", || b.stats().messages > 1500).await;
    a.resume().await.unwrap();
    while let Some(sent) = soon(tasks.join_next()).await {
        sent.unwrap().unwrap();
    }
    assert_eq!(a.stats().messages + b.stats().messages, 2000);
}

// ---- codes that ask for a new route ----

/// Thousands that are refused at once look the route up once, not each on its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_refused_at_once_share_one_look_up() {
    for code in [17, 501, 14] {
        let (broker, producer) = one_warm_broker().await;
        let asked = broker.fault(route().pass()).unwrap();
        broker.fault(send().refuse(ResponseCode(code))).unwrap();
        broker.pause().await.unwrap();
        let mut deliveries = Vec::new();
        let begun = Instant::now();
        for n in 0..300 {
            deliveries.push(producer.enqueue(message(n)).await.unwrap());
        }
        broker.resume().await.unwrap();
        for delivery in deliveries {
            let error = soon(delivery).await.unwrap_err();
            assert_eq!(Some((error.outcome(), error.kind())), expected(code));
        }
        let most = 2 + begun.elapsed().as_millis() / Duration::from_millis(700).as_millis();
        let asked = asked.hits();
        assert!((1..=most as u64).contains(&asked), "{code}: {asked} look-ups, at most {most}");
        assert_all_ended(&producer);
    }
}
