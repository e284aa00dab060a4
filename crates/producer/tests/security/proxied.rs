//! Through a SOCKS5 proxy.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use posthaste::{ErrorKind, Message, NameServers, Outcome, Producer, Socks5, StartError, Tls};
use posthaste_broker::Broker;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::fake::{HANG, refusing, soon};
use crate::pki::Authority;

/// What a proxy does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// Serves everybody.
    Open,
    /// Wants user `me` and password `pass`.
    Guarded,
    /// Answers with this code.
    Refuses(u8),
    /// Says something else.
    NoSocks,
    /// Says nothing.
    Silent,
    /// Closes in the middle of its answer.
    Breaks,
}

/// A proxy that resolves every name to this machine, and remembers what it was asked for.
struct Proxy {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let list = asked.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, manner, list.clone()));
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    manner: Manner,
    asked: Arc<Mutex<Vec<String>>>,
) -> Option<()> {
    match manner {
        Manner::NoSocks => stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.ok()?,
        Manner::Silent => std::future::pending().await,
        _ => {}
    }
    let mut greeting = [0; 3];
    stream.read_exact(&mut greeting).await.ok()?;
    assert_eq!(greeting[..2], [5, 1]);
    match (manner, greeting[2]) {
        (Manner::Guarded, 2) => {
            stream.write_all(&[5, 2]).await.ok()?;
            let mut login = [0; 9];
            stream.read_exact(&mut login[..4]).await.ok()?;
            let right = login[..4] == *b"\x01\x02me";
            let mut password = vec![0; usize::from(stream.read_u8().await.ok()?)];
            stream.read_exact(&mut password).await.ok()?;
            let right = right && password == b"pass";
            stream.write_all(&[1, u8::from(!right)]).await.ok()?;
            if !right {
                return None;
            }
        }
        (Manner::Guarded, _) => return stream.write_all(&[5, 0xFF]).await.ok(),
        (_, 0) => stream.write_all(&[5, 0]).await.ok()?,
        (_, _) => return stream.write_all(&[5, 0xFF]).await.ok(),
    }
    let mut request = [0; 4];
    stream.read_exact(&mut request).await.ok()?;
    assert_eq!(request[..3], [5, 1, 0]);
    let host = match request[3] {
        1 => {
            let mut ip = [0; 4];
            stream.read_exact(&mut ip).await.ok()?;
            std::net::Ipv4Addr::from(ip).to_string()
        }
        3 => {
            let mut name = vec![0; usize::from(stream.read_u8().await.ok()?)];
            stream.read_exact(&mut name).await.ok()?;
            String::from_utf8(name).unwrap()
        }
        other => panic!("address of kind {other}"),
    };
    let port = stream.read_u16().await.ok()?;
    asked.lock().unwrap().push(format!("{host}:{port}"));
    match manner {
        Manner::Refuses(code) => return stream.write_all(&[5, code, 0, 1]).await.ok(),
        Manner::Breaks => return stream.write_all(&[5, 0]).await.ok(),
        _ => {}
    }
    let mut backend = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    // Bound to a name, in one write with nothing behind it.
    stream.write_all(b"\x05\0\0\x03\x05proxy\x12\x34").await.ok()?;
    tokio::io::copy_bidirectional(&mut stream, &mut backend).await.ok().map(drop)
}

/// A broker that only the proxy can reach by its name.
async fn broker() -> Broker {
    Broker::builder().advertise("broker.invalid").topic("t", 4).start().await.unwrap()
}

fn name_server(broker: &Broker) -> String {
    format!("names.invalid:{}", broker.name_server().port())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn name_servers_and_brokers_are_reached_by_names_that_the_proxy_resolves() {
    for (manner, login) in [(Manner::Open, false), (Manner::Guarded, true)] {
        let (broker, proxy) = (broker().await, Proxy::start(manner).await);
        let mut socks = Socks5::new(&*proxy.address);
        if login {
            socks = socks.login("me", "pass");
        }
        let builder =
            Producer::builder("security", name_server(&broker)).send_timeout(HANG).socks5(socks);
        let producer = builder.start().await.unwrap();
        soon(producer.send(Message::new("t", "x"))).await.unwrap();
        let expected =
            [name_server(&broker), format!("broker.invalid:{}", broker.address().port())];
        assert_eq!(proxy.asked(), expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_spoken_with_the_servers_behind_it() {
    let authority = Authority::new("ca");
    let certificate = authority.issue(&["names.invalid", "broker.invalid"]);
    let broker = Broker::builder()
        .advertise("broker.invalid")
        .topic("t", 4)
        .tls(certificate.chain, certificate.key)
        .tls_only()
        .start()
        .await
        .unwrap();
    let proxy = Proxy::start(Manner::Open).await;
    let builder = Producer::builder("security", name_server(&broker))
        .send_timeout(HANG)
        .socks5(Socks5::new(&*proxy.address))
        .tls(Tls::new().ca_pem(authority.pem));
    let producer = builder.start().await.unwrap();
    soon(producer.send(Message::new("t", "x"))).await.unwrap();
    assert_eq!(proxy.asked().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_is_chosen_goes_through_it() {
    let broker = Broker::builder().topic("t", 4).start().await.unwrap();
    let proxy = Proxy::start(Manner::Open).await;
    let through = broker.address().to_string();
    let chosen = through.clone();
    let socks = Socks5::new(&*proxy.address).only_for(move |address| address == chosen);
    let names = broker.name_server().to_string();
    let producer = Producer::builder("security", names.clone())
        .send_timeout(HANG)
        .socks5(socks)
        .start()
        .await
        .unwrap();
    soon(producer.send(Message::new("t", "x"))).await.unwrap();
    assert_eq!(proxy.asked(), [through]);

    // One that panics is no choice: all goes through.
    let socks = Socks5::new(&*proxy.address).only_for(|_| panic!("on purpose"));
    let producer = Producer::builder("security", names)
        .send_timeout(HANG)
        .socks5(socks)
        .start()
        .await
        .unwrap();
    soon(producer.send(Message::new("t", "x"))).await.unwrap();
    assert_eq!(proxy.asked().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_server_is_asked_through_it_too() {
    let (broker, proxy) = (broker().await, Proxy::start(Manner::Open).await);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let list = format!("lists.invalid:{}", listener.local_addr().unwrap().port());
    let answer = format!("HTTP/1.0 200 OK\r\n\r\n{}\r\n", name_server(&broker));
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
        stream.write_all(answer.as_bytes()).await.unwrap();
    });
    let servers = NameServers::address_server(format!("http://{list}/nsaddr"));
    let builder = Producer::builder("security", servers)
        .send_timeout(HANG)
        .socks5(Socks5::new(&*proxy.address));
    let producer = builder.start().await.unwrap();
    soon(producer.send(Message::new("t", "x"))).await.unwrap();
    assert_eq!(proxy.asked().first(), Some(&list));
}

/// Whatever goes wrong: the error says that it was the proxy, and which.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_name_the_proxy() {
    let broker = broker().await;
    for (manner, login, expected) in [
        (Manner::Guarded, None, "it requires a login"),
        (Manner::Guarded, Some("wrong"), "wrong user or password"),
        (Manner::Open, Some("pass"), "it does not accept a user name and password"),
        (Manner::Refuses(2), None, "its rules do not allow the connection"),
        (Manner::Refuses(5), None, "the host refuses the connection"),
        (Manner::Refuses(99), None, "without a known reason"),
        (Manner::NoSocks, None, "does not speak SOCKS5"),
        (Manner::Breaks, None, "early eof"),
    ] {
        let proxy = Proxy::start(manner).await;
        let mut socks = Socks5::new(&*proxy.address);
        if let Some(password) = login {
            socks = socks.login("me", password);
        }
        let builder = Producer::builder("security", name_server(&broker)).socks5(socks);
        let producer = builder.send_timeout(Duration::from_secs(1)).start().await.unwrap();
        let error = soon(producer.send(Message::new("t", "x"))).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::NoRoute, Outcome::NotStored));
        let text = format!("{error:#}");
        assert!(text.contains(expected) && text.contains(&proxy.address), "{expected}: {text}");
    }
    assert_eq!(broker.stats().messages, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_is_not_there_or_says_nothing_ends_no_send_late() {
    let broker = broker().await;
    let silent = Proxy::start(Manner::Silent).await.address;
    for address in [refusing().await, silent] {
        let builder = Producer::builder("security", name_server(&broker))
            .send_timeout(HANG)
            .socks5(Socks5::new(address))
            .connect_timeout(Duration::from_millis(200));
        let producer = builder.send_timeout(Duration::from_millis(600)).start().await.unwrap();
        let error = soon(producer.send(Message::new("t", "x"))).await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::NoRoute, Outcome::NotStored));
    }
}

#[tokio::test]
async fn wrong_settings_are_told_at_the_start() {
    let builder = Producer::builder("security", "127.0.0.1:1").socks5(Socks5::new("no port"));
    let error = builder.start().await.unwrap_err();
    assert!(matches!(error, StartError::Setting(_)), "{error}");
}
