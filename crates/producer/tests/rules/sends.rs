//! What becomes of a send that a rule hits.

use std::time::Duration;

use posthaste::{Outcome, ResponseCode, SendStatus};
use posthaste_broker::{Broker, Fault, On};

use crate::support::{DEADLINE, HANG};
use crate::way::{Stage, WAYS, Way, message};

fn first() -> Fault {
    Fault::on(On::Send).topic("orders").first(1)
}

/// Every way in, plain and encrypted.
fn all() -> impl Iterator<Item = (Way, bool)> {
    WAYS.into_iter().flat_map(|way| [(way, false), (way, true)])
}

#[tokio::test]
async fn busy_three_times_is_stored_once() {
    for (way, tls) in all() {
        let stage = Stage::set(way, tls, 0).await;
        let busy = Fault::on(On::Send).topic("orders").first(3);
        let busy = stage.fault(busy.refuse(ResponseCode::SYSTEM_BUSY).remark("not now"));
        stage.send().await.unwrap_or_else(|error| panic!("{way:?} {tls}: {error}"));
        assert_eq!(stage.stored(), stage.messages(), "{way:?} {tls}");
        assert_eq!((busy.hits(), busy.matched()), (3, 4), "{way:?} {tls}");
        assert_eq!(busy.hit_messages(), 3 * stage.messages(), "{way:?} {tls}");
        // Nothing is left of it: the next send is like any other.
        busy.remove();
        stage.send().await.unwrap();
        assert_eq!((busy.hits(), busy.matched()), (3, 4), "{way:?} {tls}");
        assert!(stage.broker.faults().is_empty());
    }
}

#[tokio::test]
async fn a_send_that_lost_its_answer_ends_as_unknown() {
    type Lost = (&'static str, fn(Fault) -> Fault, bool);
    let lost: [Lost; 8] = [
        ("close", Fault::close, false),
        ("stored, then close", |fault| fault.after_store().close(), true),
        ("reset", Fault::reset, false),
        ("stored, then reset", |fault| fault.after_store().reset(), true),
        ("cut at once", |fault| fault.cut_after(0), true),
        ("cut in the header", |fault| fault.cut_after(20), true),
        ("garbage", Fault::garbage, false),
        ("stored, then garbage", |fault| fault.after_store().garbage(), true),
    ];
    for (way, tls) in all() {
        for (name, action, is_stored) in lost {
            let stage = Stage::set(way, tls, 0).await;
            let rule = stage.fault(action(first()));
            let error = stage.send().await.expect_err(name);
            assert_eq!(error.outcome(), Outcome::Unknown, "{name} {way:?} {tls}: {error}");
            let stored = if is_stored { stage.messages() } else { 0 };
            assert_eq!(stage.stored(), stored, "{name} {way:?} {tls}");
            assert_eq!(rule.hits(), 1, "{name} {way:?} {tls}");
            stage.send().await.unwrap_or_else(|error| panic!("{name} {way:?} {tls}: {error}"));
            assert_eq!(stage.stored(), stored + stage.messages(), "{name} {way:?} {tls}");
        }
    }
}

#[tokio::test]
async fn a_send_without_an_answer_ends_as_unknown() {
    type Silent = (&'static str, fn(Fault) -> Fault, bool);
    let silent: [Silent; 3] = [
        ("neither stored nor answered", Fault::no_answer, false),
        ("stored, not answered", |fault| fault.after_store().no_answer(), true),
        ("to another number", Fault::answer_to_another_number, true),
    ];
    let cases = all().flat_map(|(way, tls)| silent.map(|case| (way, tls, case)));
    let cases = cases.map(|(way, tls, (name, action, is_stored))| {
        tokio::spawn(async move {
            let stage = Stage::set(way, tls, 0).await;
            let rule = stage.fault(action(first()));
            let error = loop {
                let error = stage.send_within(DEADLINE).await.expect_err(name);
                // On a busy machine its time may be over before it leaves.
                if error.outcome() != Outcome::NotStored {
                    break error;
                }
            };
            assert_eq!(error.outcome(), Outcome::Unknown, "{name} {way:?} {tls}: {error}");
            rule.wait_for(1, HANG).await.unwrap();
            let stored = if is_stored { stage.messages() } else { 0 };
            stage.until_stored(stored).await;
            // The connection still works.
            stage.send().await.unwrap();
            assert_eq!(stage.stored(), stored + stage.messages(), "{name} {way:?} {tls}");
        })
    });
    for case in cases.collect::<Vec<_>>() {
        case.await.unwrap();
    }
}

#[tokio::test]
async fn a_strange_answer_does_a_send_no_harm() {
    let weaker = ResponseCode::FLUSH_SLAVE_TIMEOUT;
    type Strange = (&'static str, fn(Fault) -> Fault, SendStatus);
    let strange: [Strange; 4] = [
        ("twice", Fault::answer_twice, SendStatus::Stored),
        ("slowly", |fault| fault.trickle(5_000), SendStatus::Stored),
        ("counted", Fault::pass, SendStatus::Stored),
        ("cut behind its end", |fault| fault.cut_after(1 << 20), SendStatus::Stored),
    ];
    for (way, tls) in all() {
        for (name, action, status) in strange {
            // A cut ends the connection behind the answer, perhaps under the next send.
            let retries = u32::from(name == "cut behind its end");
            let stage = Stage::set(way, tls, retries).await;
            let rule = stage.fault(action(first()));
            let statuses = stage.send().await;
            let statuses = statuses.unwrap_or_else(|error| panic!("{name} {way:?} {tls}: {error}"));
            assert_eq!(statuses, vec![status; stage.messages() as usize], "{name} {way:?} {tls}");
            assert_eq!((rule.hits(), stage.stored()), (1, stage.messages()), "{name} {way:?}");
            stage.send().await.unwrap_or_else(|error| panic!("{name} {way:?} {tls}: {error}"));
        }
        let stage = Stage::set(way, tls, 0).await;
        stage.fault(first().status(weaker));
        let statuses = stage.send().await.unwrap();
        assert_eq!(statuses, vec![SendStatus::FlushSlaveTimeout; stage.messages() as usize]);
        assert_eq!(stage.stored(), stage.messages());
    }
}

#[tokio::test]
async fn a_server_that_goes_away_has_stored_nothing_of_it() {
    for (way, tls) in all() {
        let stage = Stage::set(way, tls, 1).await;
        let rule = stage.fault(first().go_away());
        stage.send().await.unwrap_or_else(|error| panic!("{way:?} {tls}: {error}"));
        assert_eq!((rule.hits(), rule.matched()), (1, 2), "{way:?} {tls}");
        assert_eq!(stage.stored(), stage.messages(), "{way:?} {tls}");
    }
}

#[tokio::test]
async fn a_rule_is_for_what_it_names() {
    type Named = (&'static str, fn(Fault) -> Fault, fn(Way) -> bool);
    let rules: [Named; 9] = [
        ("topic", |fault| fault.topic("orders"), |_| true),
        ("another topic", |fault| fault.topic("payments"), |_| false),
        ("queue", |fault| fault.queue(0), |_| true),
        ("another queue", |fault| fault.queue(1), |_| false),
        ("group", |fault| fault.group("rules"), |_| true),
        ("another group", |fault| fault.group("others"), |_| false),
        ("key of one member", |fault| fault.key("k1"), |_| true),
        ("tag of one member", |fault| fault.tag("new"), |_| true),
        ("another key", |fault| fault.key("k"), |_| false),
    ];
    for (way, tls) in all() {
        let stage = Stage::set(way, tls, 0).await;
        let mut added = Vec::new();
        for (name, narrowed, fits) in rules {
            let rule = stage.fault(narrowed(Fault::on(On::Send)).pass());
            added.push((name, rule, fits(way)));
        }
        for (name, requests, fits) in [
            ("single", On::Send.single(), way != Way::Batch),
            ("batch", On::Send.batch(), way == Way::Batch),
            ("one-way", On::Send.one_way(), false),
        ] {
            added.push((name, stage.fault(Fault::on(requests).pass()), fits));
        }
        let port = stage.broker.address().port();
        added.push(("port", stage.fault(Fault::on(On::Send).port(port).pass()), true));
        let other = stage.broker.name_server().port();
        added.push(("other port", stage.fault(Fault::on(On::Send).port(other).pass()), false));
        stage.send().await.unwrap();
        for (name, rule, fits) in added {
            let messages = if fits { stage.messages() } else { 0 };
            assert_eq!(rule.matched(), u64::from(fits), "{name} {way:?} {tls}");
            assert_eq!(rule.hit_messages(), messages, "{name} {way:?} {tls}");
        }
    }
}

#[tokio::test]
async fn one_way_sends_take_what_works_without_an_answer() {
    type OneWay = (&'static str, fn(Fault) -> Fault, u64);
    let rules: [OneWay; 5] = [
        ("not stored", Fault::no_answer, 0),
        ("close", Fault::close, 0),
        ("reset", Fault::reset, 0),
        ("stored, then close", |fault| fault.after_store().close(), 1),
        ("later", |fault| fault.delay(Duration::from_millis(1)), 1),
    ];
    for tls in [false, true] {
        for (name, action, stored) in rules {
            let stage = Stage::set(Way::Templated, tls, 9).await;
            let rule = stage.fault(action(Fault::on(On::Send.one_way()).first(1)));
            stage.producer.send_oneway(message()).await.unwrap();
            rule.wait_for(1, HANG).await.unwrap();
            stage.until_stored(stored).await;
            // A send behind it that is answered; where the connection ends, it may be stored twice.
            stage.send().await.unwrap_or_else(|error| panic!("{name} {tls}: {error}"));
            assert!(stage.stored() > stored, "{name} {tls}");
            assert_eq!((rule.hits(), rule.hit_messages()), (1, 1), "{name} {tls}");
        }
        // A rule for all sends that needs an answer does not fit one without.
        let stage = Stage::set(Way::Templated, tls, 0).await;
        let busy = stage.fault(Fault::on(On::Send).refuse(ResponseCode::SYSTEM_BUSY));
        stage.producer.send_oneway(message()).await.unwrap();
        stage.until_stored(1).await;
        assert_eq!(busy.matched(), 0);
    }
}

#[tokio::test]
async fn the_first_rule_that_hits_acts_and_those_behind_it_see_the_rest() {
    let stage = Stage::set(Way::Templated, false, 0).await;
    let all = stage.fault(Fault::on(On::Send).pass());
    let weak = ResponseCode::FLUSH_DISK_TIMEOUT;
    let weak = stage.fault(Fault::on(On::Send).every(2).status(weak));
    let slave = ResponseCode::SLAVE_NOT_AVAILABLE;
    let slave = stage.fault(Fault::on(On::Send).after(1).status(slave));
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.extend(stage.send().await.unwrap());
    }
    use SendStatus::{FlushDiskTimeout, SlaveNotAvailable, Stored};
    let [one, two, three] = [Stored, FlushDiskTimeout, SlaveNotAvailable];
    assert_eq!(statuses, [one, two, three, two, three, two]);
    assert_eq!([all.hits(), weak.hits(), slave.hits()], [6, 3, 2]);
    assert_eq!([all.matched(), weak.matched(), slave.matched()], [6, 6, 3]);
    let ids: Vec<_> = stage.broker.faults().iter().map(|rule| rule.id()).collect();
    assert_eq!(ids, [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_comes_to_nothing_says_how_far_it_came() {
    let broker = Broker::builder().start().await.unwrap();
    let rule = broker.fault(Fault::on(On::Send).pass()).unwrap();
    let error = rule.wait_for(2, Duration::from_millis(5)).await.unwrap_err().to_string();
    assert_eq!(error, "the rule has hit 0 of 2 requests after 5 ms; 0 requests fitted it");
    // A wait that is dropped keeps nothing waiting: the runtime ends with this test.
    tokio::select! {
        biased;
        end = rule.wait_for(2, HANG * 100) => panic!("{end:?}"),
        () = tokio::task::yield_now() => {}
    }
}
