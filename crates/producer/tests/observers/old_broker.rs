//! What an old broker passes over without a word is said in the log.

use std::time::Duration;

use posthaste::Message;

use crate::fake::{one_broker, soon, until};
use crate::warnings::Warnings;

/// All of it on one thread, whose log this is.
#[tokio::test]
async fn a_wish_that_an_old_broker_passes_over_is_said_once() {
    let (warnings, _guard) = Warnings::listen();
    let plain = || Message::new("t", "x");
    let timer = || plain().deliver_after(Duration::from_secs(1));
    for (version, expected) in [
        (407, vec!["delivery time", "priority", "lite topic"]),
        (480, vec!["priority", "lite topic"]),
        // 5.4.x.
        (493, vec!["lite topic"]),
        (513, vec![]),
    ] {
        let (broker, _server, producer) = one_broker().await;
        broker.version(version);
        soon(producer.send(plain())).await.unwrap();
        until("the version is known", || {
            producer.stats().brokers.iter().any(|broker| broker.version == Some(version))
        })
        .await;
        warnings.forget();
        for message in [timer(), timer(), plain().priority(1), plain().lite_topic("l"), timer()] {
            soon(producer.send(message)).await.unwrap();
        }
        for message in [plain().delay_level(1), plain(), plain().light_queue("q")] {
            soon(producer.send(message)).await.unwrap();
        }
        let lines = warnings.lines();
        assert_eq!(lines.len(), expected.len(), "{version}: {lines:#?}");
        for (line, wish) in lines.iter().zip(expected) {
            assert!(line.contains(wish) && line.contains(&broker.address()), "{line}");
        }
    }
}
