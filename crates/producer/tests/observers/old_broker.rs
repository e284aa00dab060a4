//! What an old broker passes over without a word is said in the log.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use posthaste::Message;
use tracing_subscriber::fmt::MakeWriter;

use crate::fake::{lock, one_broker, soon, until};

/// What is logged.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<u8>>>);

impl Write for Said {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        lock(&self.0).write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Said {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// All of it on one thread, whose log this is.
#[tokio::test]
async fn a_wish_that_an_old_broker_passes_over_is_said_once() {
    let said = Said::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .with_writer(said.clone())
        .with_ansi(false)
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let plain = || Message::new("t", "x");
    let timer = || plain().deliver_after(Duration::from_secs(1));
    let text = || String::from_utf8(lock(&said.0).clone()).unwrap();
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
        lock(&said.0).clear();
        for message in [timer(), timer(), plain().priority(1), plain().lite_topic("l"), timer()] {
            soon(producer.send(message)).await.unwrap();
        }
        for message in [plain().delay_level(1), plain(), plain().light_queue("q")] {
            soon(producer.send(message)).await.unwrap();
        }
        let lines: Vec<String> = text().lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), expected.len(), "{version}: {lines:#?}");
        for (line, wish) in lines.iter().zip(expected) {
            assert!(line.contains(wish) && line.contains(&broker.address()), "{line}");
        }
    }
}
