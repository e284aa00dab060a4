//! No secret is ever said: not in logs of any level, not in `Debug`, not in errors.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "pki/mod.rs"]
mod pki;

use std::fmt::Write as _;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use posthaste::{Credentials, Message, NameServers, Producer, ProducerBuilder, Socks5, Tls};
use posthaste_broker::Broker;
use tracing_subscriber::fmt::MakeWriter;

use pki::Authority;

/// Longer than anything takes, however busy the machine is: it only ends a hang.
const HANG: Duration = Duration::from_secs(60);

/// Whatever has this in it must not be said.
const HUSH: &str = "hush-hush";

/// Everything that is said.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<u8>>>);

impl io::Write for Said {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Said {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Sends in several ways, asks, closes; says everything that can be shown of it.
async fn tell_all(builder: ProducerBuilder, said: &mut String) {
    let builder = builder.send_timeout(Duration::from_millis(1_500));
    writeln!(said, "{builder:?}").unwrap();
    let producer = match builder.start().await {
        Ok(producer) => producer,
        Err(error) => return writeln!(said, "{error} {error:?}").unwrap(),
    };
    let sent = producer.send(Message::new("t", "x")).await;
    if let Err(error) = &sent {
        writeln!(said, "{error} {} {:?}", error.help(), error.attempts()).unwrap();
    }
    writeln!(said, "{sent:?}").unwrap();
    let ordered = producer.send(Message::new("t", "x").order_by("k")).await;
    let batch = producer.send_batch([Message::new("t", "a"), Message::new("t", "b")]).await;
    let oneway = producer.send_oneway(Message::new("t", "x")).await;
    let topics = producer.admin().topics().await;
    writeln!(said, "{ordered:?} {batch:?} {oneway:?} {topics:?}").unwrap();
    writeln!(said, "{producer:?} {:?} {:?}", producer.stats(), producer.admin()).unwrap();
    writeln!(said, "{:?}", producer.close(Duration::from_secs(3)).await).unwrap();
}

#[test]
fn nothing_that_can_be_seen_has_a_secret_in_it() {
    let logged = Said::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(logged.clone())
        .with_ansi(false)
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let secret = format!("{HUSH} secret");
    let token = format!("{HUSH} token");
    let authority = Authority::new("ours");
    let (server, client) = (authority.issue(&["127.0.0.1"]), authority.issue(&["me"]));
    let mut said = String::new();
    runtime.block_on(async {
        let builder = Broker::builder()
            .access_key("me", secret.clone())
            .tls(server.chain.clone(), server.key.clone())
            .topic("t", 4);
        writeln!(said, "{builder:?}").unwrap();
        let broker = builder.start().await.unwrap();
        writeln!(said, "{broker:?}").unwrap();
        let to =
            || Producer::builder("secrets", broker.name_server().to_string()).send_timeout(HANG);
        let right = || Credentials::new("me", secret.clone()).security_token(token.clone());
        let wrong = Credentials::new("me", format!("{HUSH} wrong")).security_token(token.clone());
        let proxy = || Socks5::new("127.0.0.1:1").login("user", format!("{HUSH} password"));
        let tls = || {
            let tls = Tls::new().ca_pem(authority.pem.clone());
            tls.client_certificate(client.chain.clone(), client.key.clone())
        };
        writeln!(said, "{:?} {:?} {:?} {wrong:?}", right(), proxy(), tls()).unwrap();
        tell_all(to().credentials(right()), &mut said).await;
        tell_all(to().credentials(right()).tls(tls()), &mut said).await;
        tell_all(to().credentials(wrong), &mut said).await;
        tell_all(to().credentials(Credentials::new("you", secret.clone())), &mut said).await;
        tell_all(to().credentials(right()).socks5(proxy()), &mut said).await;
        tell_all(to().credentials(right()).tls(Tls::new().ca_pem("x")), &mut said).await;
        let bad_key = client.key.replace("BEGIN", &format!("BEGIN {HUSH}"));
        let bad = tls().client_certificate(client.chain.clone(), bad_key);
        tell_all(to().credentials(right()).tls(bad), &mut said).await;
        let with_user = NameServers::address_server(format!("http://me:{HUSH}@127.0.0.1:1/list"));
        tell_all(Producer::builder("secrets", with_user), &mut said).await;
        broker.stop().await;
    });
    drop(runtime);

    let logged = String::from_utf8(logged.0.lock().unwrap().clone()).unwrap();
    // They were listened to: what was done is in there.
    assert!(logged.contains("connected") && logged.contains("not authenticated"), "{logged}");
    assert!(said.contains("check signature failed."), "{said}");
    for key in [&client.key, &server.key] {
        let line = key.lines().nth(1).unwrap();
        assert!(!said.contains(line) && !logged.contains(line), "a private key");
    }
    for text in [&said, &logged] {
        let place = text.find(HUSH);
        assert!(place.is_none(), "{}", &text[place.unwrap().saturating_sub(200)..]);
        // A signature is no secret, and still nothing for a log.
        assert!(!text.contains("\"Signature\"") && !text.contains("Signature="), "a signature");
    }
}
