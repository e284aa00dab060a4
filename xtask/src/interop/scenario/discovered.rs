//! A producer that an address server tells of its name servers, that goes through a SOCKS5 proxy, and
//! says which unit it is of.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use posthaste::{Message, NameServers, Producer, Socks5};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::interop::cluster::Cluster;

const TOPIC: &str = "discovered";
const MESSAGES: usize = 20;
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn run(cluster: &mut Cluster) -> Result<String> {
    cluster.create_topic(TOPIC, 4)?;
    let real = cluster.name_server();
    let through = cluster.block_on(send_all(&real, cluster))?;
    let stored = cluster.count(TOPIC, MESSAGES)?;
    ensure!(stored == MESSAGES, "{stored} of {MESSAGES} are there");
    Ok(format!("{MESSAGES} messages through {through} connections of a proxy"))
}

/// Gives how many connections the proxy has made.
async fn send_all(real: &str, cluster: &Cluster) -> Result<usize> {
    let (silent, addresses, socks) = (listen().await?, listen().await?, listen().await?);
    // The first accepts and says nothing, the second is not there.
    let list = format!("{};127.0.0.1:1;{real}", silent.local_addr()?);
    let address_server = format!("http://{}/rocketmq/nsaddr", addresses.local_addr()?);
    let proxy = Socks5::new(socks.local_addr()?.to_string());
    let (asked, through) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicUsize>::default());
    let servers = [
        tokio::spawn(give_list(addresses, list, Arc::clone(&asked))),
        tokio::spawn(pass_on(socks, Arc::clone(&through))),
    ];
    let producer = Producer::builder(TOPIC, NameServers::address_server(address_server))
        .socks5(proxy)
        .unit_name("north")
        .unit_mode(true)
        .heartbeat_v2(true)
        .instance_name("the-only-one")
        .client_ip([10, 1, 2, 3].into())
        .send_timeout(2 * LIMIT)
        .lookup_timeout(LIMIT)
        .start()
        .await?;
    let began = Instant::now();
    producer.send(Message::new(TOPIC, "first")).await?;
    let first = began.elapsed();
    for number in 2..MESSAGES {
        producer.send(Message::new(TOPIC, number.to_string())).await?;
    }
    // A name server that does not answer costs a second, once, and not the time of a look-up.
    ensure!(first < LIMIT / 2, "the first send took {first:?}");
    let asked = asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let by_unit = "GET /rocketmq/nsaddr-north?nofix=1 ";
    ensure!(asked.iter().all(|line| line.starts_with(by_unit)) && !asked.is_empty(), "{asked:?}");
    let members = tokio::task::block_in_place(|| cluster.agent().members(TOPIC, TOPIC))?;
    ensure!(members == ["10.1.2.3@the-only-one@north"], "{members:?}");
    producer.set_name_servers(real)?;
    producer.send(Message::new(TOPIC, "after the name servers were replaced")).await?;
    ensure!(producer.close(LIMIT).await.is_clean(), "not all were stored");
    servers.iter().for_each(tokio::task::JoinHandle::abort);
    Ok(through.load(Ordering::Relaxed))
}

async fn listen() -> Result<TcpListener> {
    Ok(TcpListener::bind("127.0.0.1:0").await?)
}

/// Answers every request with the list, and notes its first line.
async fn give_list(
    listener: TcpListener,
    list: String,
    asked: Arc<Mutex<Vec<String>>>,
) -> Result<()> {
    loop {
        let (mut stream, _) = listener.accept().await?;
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            ensure!(stream.read_buf(&mut request).await? > 0, "half a request");
        }
        let line = String::from_utf8_lossy(&request).lines().next().map(str::to_owned);
        asked.lock().unwrap_or_else(PoisonError::into_inner).extend(line);
        let length = list.len() + 1;
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all(format!("{head}{list}\n").as_bytes()).await?;
    }
}

/// A SOCKS5 proxy without authentication; counts its connections.
async fn pass_on(listener: TcpListener, through: Arc<AtomicUsize>) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        let through = Arc::clone(&through);
        tokio::spawn(async move {
            let passed = pass_on_one(stream, &through).await;
            drop(passed.inspect_err(|error| eprintln!("SOCKS5: {error:#}")));
        });
    }
}

async fn pass_on_one(mut client: TcpStream, through: &AtomicUsize) -> Result<()> {
    let mut greeting = [0; 2];
    client.read_exact(&mut greeting).await?;
    let mut methods = vec![0; usize::from(greeting[1])];
    client.read_exact(&mut methods).await?;
    client.write_all(&[5, 0]).await?;
    // Version, command, reserved, kind of address: here always IPv4.
    let mut request = [0; 10];
    client.read_exact(&mut request).await?;
    let [5, 1, 0, 1, a, b, c, d, high, low] = request else { bail!("not served: {request:?}") };
    let address = (std::net::Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low]));
    let Ok(mut server) = TcpStream::connect(address).await else {
        return client.write_all(&[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]).await.context("refusing");
    };
    through.fetch_add(1, Ordering::Relaxed);
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    // It ends as either side does, which may be in the middle.
    drop(tokio::io::copy_bidirectional(&mut client, &mut server).await);
    Ok(())
}
