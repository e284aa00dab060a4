//! An HTTP server that lists the name servers.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use posthaste::{ErrorKind, Message, NameServers, Outcome, Producer, ProducerBuilder};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::fake::{Broker, NameServer, lock, soon, until};

fn message(body: &str) -> Message {
    Message::new("t", body.to_owned())
}

/// Gives every client the same answer, until the test changes it.
#[derive(Clone)]
struct Http {
    address: String,
    said: Arc<Mutex<String>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Http {
    async fn start(said: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap().to_string(),
            said: Arc::new(Mutex::new(said)),
            asked: Arc::default(),
        };
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n")
                    && stream.read_buf(&mut request).await.unwrap() > 0
                {}
                lock(&serving.asked).push(String::from_utf8(request).unwrap());
                let said = lock(&serving.said).clone();
                stream.write_all(said.as_bytes()).await.unwrap();
            }
        });
        server
    }

    fn says(&self, said: String) {
        *lock(&self.said) = said;
    }

    fn asked(&self) -> usize {
        lock(&self.asked).len()
    }

    fn producer(&self, path: &str) -> ProducerBuilder {
        let servers = NameServers::address_server(format!("http://{}{path}", self.address));
        let servers = servers.refresh_interval(Duration::from_secs(1));
        Producer::builder("discovery", servers).send_timeout(Duration::from_secs(15))
    }
}

fn ok(list: &str) -> String {
    format!("HTTP/1.0 200 OK\r\nServer: test\r\n\r\n{list}\r\n")
}

const FAILS: &str = "HTTP/1.0 503 Service Unavailable\r\n\r\n127.0.0.1:1\r\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sends_wait_for_the_first_list() {
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 4).await;
    let http = Http::start(FAILS.into()).await;
    let producer = http.producer("/nsaddr").start().await.unwrap();
    let delivery = producer.enqueue(message("early")).await.unwrap();
    until("it was asked more than once", || http.asked() > 2).await;
    http.says(ok(&server.address()));
    soon(delivery).await.unwrap();
    let request = lock(&http.asked)[0].clone();
    assert!(request.starts_with("GET /nsaddr HTTP/1.0\r\n"), "{request}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_list_a_send_says_why() {
    let http = Http::start(FAILS.into()).await;
    let builder = http.producer("/nsaddr").send_timeout(Duration::from_millis(700));
    let producer = builder.start().await.unwrap();
    let error = soon(producer.send(message("x"))).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::NoRoute, Outcome::NotStored));
    let text = error.to_string();
    assert!(text.contains("address server") && text.contains("status 503"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_is_refreshed_and_stays_when_the_server_fails() {
    let broker = Broker::start("a").await;
    let (first, second) =
        (NameServer::of(&[&broker], 4).await, NameServer::of(&[&broker], 4).await);
    let http = Http::start(ok(&first.address())).await;
    let producer = http.producer("/nsaddr").start().await.unwrap();
    soon(producer.send(message("first"))).await.unwrap();
    assert_eq!((first.asked("t"), second.asked("t")), (1, 0));

    for nonsense in [FAILS.to_owned(), ok(""), ok("nonsense"), "hello".to_owned()] {
        http.says(nonsense);
        let asked = http.asked();
        until("it was asked again, twice", || http.asked() > asked + 1).await;
        soon(producer.send(Message::new("another", "x"))).await.unwrap();
    }
    assert_eq!((first.asked("another"), second.asked("another")), (1, 0));

    // The same ones in another order are no change, and what is known is not asked for again.
    http.says(ok(&format!("{};{}", second.address(), first.address())));
    until("the second is asked for what is known", || second.asked("t") + first.asked("t") > 1)
        .await;
    http.says(ok(&format!("{};{}", first.address(), second.address())));
    let asked = (http.asked(), second.asked("t") + first.asked("t"));
    until("it was asked again, twice", || http.asked() > asked.0 + 1).await;
    assert_eq!(second.asked("t") + first.asked("t"), asked.1);

    http.says(ok(&second.address()));
    until("the first is let go", || first.open_connections() == 0).await;
    soon(producer.send(Message::new("third", "x"))).await.unwrap();
    assert_eq!((first.asked("third"), second.asked("third")), (0, 1));
    soon(producer.close(Duration::from_secs(5))).await;
    let asked = http.asked();
    tokio::time::sleep(Duration::from_millis(1300)).await;
    assert_eq!(http.asked(), asked, "nobody asks for a closed producer");
}
