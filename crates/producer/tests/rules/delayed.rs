//! Answers that are held back.

use std::time::Duration;

use posthaste::Message;
use posthaste_broker::{Fault, On};

use crate::support::HANG;
use crate::way::{Stage, WAYS, Way};

/// Longer than any test.
const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn a_delay_holds_one_send_and_none_behind_it() {
    for (way, tls) in WAYS.into_iter().flat_map(|way| [(way, false), (way, true)]) {
        for after_store in [false, true] {
            let stage = Stage::set(way, tls, 0).await;
            let mut slow = Fault::on(On::Send).topic("orders").first(1).delay(HOUR);
            if after_store {
                slow = slow.after_store();
            }
            let slow = stage.fault(slow);
            let held = stage.send();
            tokio::pin!(held);
            let hit = slow.wait_for(1, HANG);
            tokio::select! {
                end = &mut held => panic!("it was not held: {end:?}"),
                hit = hit => hit.unwrap(),
            }
            let stored = if after_store { stage.messages() } else { 0 };
            stage.until_stored(stored).await;
            // On the same connection, for the producer has one; and the engine answers.
            let others = async {
                for n in 0..5 {
                    stage.producer.send(Message::new("orders", format!("{n}"))).await.unwrap();
                }
            };
            tokio::select! {
                end = &mut held => panic!("it was not held: {end:?}"),
                () = others => {}
            }
            assert_eq!(stage.stored(), stored + 5, "{way:?} {tls}");
        }
    }
}

#[tokio::test]
async fn what_was_delayed_goes_on() {
    for after_store in [false, true] {
        for way in WAYS {
            let stage = Stage::set(way, false, 0).await;
            let slow = Fault::on(On::Send).delay(Duration::from_millis(20));
            stage.fault(if after_store { slow.after_store() } else { slow });
            stage.send().await.unwrap();
            assert_eq!(stage.stored(), stage.messages());
        }
    }
}

/// A client that is gone by then has sent it nevertheless.
#[tokio::test]
async fn a_delayed_send_is_stored_although_its_client_is_gone() {
    let stage = Stage::set(Way::Templated, false, 0).await;
    let slow = stage.fault(Fault::on(On::Send).delay(Duration::from_secs(1)));
    stage.producer.send_oneway(Message::new("orders", "late")).await.unwrap();
    slow.wait_for(1, HANG).await.unwrap();
    stage.producer.close(HANG).await;
    stage.until_stored(1).await;
}

#[tokio::test]
async fn a_broker_stops_while_rules_hold_something_back() {
    let stage = Stage::set(Way::Templated, false, 0).await;
    let slow = stage.fault(Fault::on(On::Send).delay(HOUR));
    let sent = stage.producer.enqueue(Message::new("orders", "never")).await.unwrap();
    slow.wait_for(1, HANG).await.unwrap();
    stage.broker.stop().await;
    let error = sent.await.unwrap_err();
    assert_eq!(error.outcome(), posthaste::Outcome::Unknown, "{error}");
}
