//! Reaching one of the addresses of a name.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// How long one address of a name is tried alone before the next is tried too (RFC 8305).
const STAGGER: Duration = Duration::from_millis(250);

/// Connects to `host:port`. The name is looked up anew each time.
pub(crate) async fn connect(address: &str) -> io::Result<TcpStream> {
    first_to_answer(resolve(address).await?).await
}

async fn resolve(address: &str) -> io::Result<Vec<SocketAddr>> {
    #[cfg(test)]
    if let Some(known) = tests::host(address) {
        return Ok(known);
    }
    Ok(tokio::net::lookup_host(address).await?.collect())
}

/// A name may have addresses of servers that are gone: one that does not answer must not keep the
/// others from being tried.
async fn first_to_answer(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    if let [only] = *addresses {
        return TcpStream::connect(only).await;
    }
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut connecting = JoinSet::new();
    let mut left = addresses.into_iter();
    loop {
        match left.next() {
            Some(address) => drop(connecting.spawn(TcpStream::connect(address))),
            None if connecting.is_empty() => return Err(failed),
            None => {}
        }
        let others_wait = left.len() > 0;
        tokio::select! {
            Some(connected) = connecting.join_next() => match connected {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => failed = error,
                Err(error) => failed = io::Error::other(error),
            },
            () = tokio::time::sleep(STAGGER), if others_wait => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Mutex;
    use std::time::Instant;

    use posthaste_broker::Broker;
    use socket2::{Domain, Socket, Type};
    use tokio::net::TcpListener;

    use super::*;
    use crate::{Message, Producer};

    /// Names that no name service knows, and their addresses.
    static HOSTS: Mutex<Option<HashMap<String, Vec<SocketAddr>>>> = Mutex::new(None);

    pub(super) fn host(name: &str) -> Option<Vec<SocketAddr>> {
        HOSTS.lock().unwrap().as_ref()?.get(name).cloned()
    }

    fn name(host: &str, addresses: &[SocketAddr]) {
        let mut hosts = HOSTS.lock().unwrap();
        hosts.get_or_insert_default().insert(host.to_owned(), addresses.to_vec());
    }

    #[tokio::test]
    async fn names_are_looked_up_again_at_every_connect() {
        let mut producer = None;
        for _ in 0..3 {
            // Each time name server and broker are elsewhere, under the same names.
            let broker = Broker::builder().start().await.unwrap();
            name("names.test:9876", &[broker.name_server()]);
            name("broker.test:10911", &[broker.address()]);
            let producer = match &producer {
                Some(producer) => producer,
                None => {
                    let builder = Producer::builder("names", "names.test:9876")
                        .address_map(|_| Some("broker.test:10911".into()))
                        .send_timeout(Duration::from_secs(20));
                    producer.insert(builder.start().await.unwrap())
                }
            };
            producer.send(Message::new("known", "x")).await.unwrap();
            // A topic that is looked up for the first time, at the name server of now.
            let fresh = format!("t{}", broker.address().port());
            producer.send(Message::new(fresh.as_str(), "x")).await.unwrap();
            assert!(producer.admin().topics().await.unwrap().contains(&fresh));
            broker.stop().await;
        }
    }

    /// An address that takes no connection and refuses none: its backlog is full.
    fn black_hole() -> (SocketAddr, Vec<Socket>) {
        let socket = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let listener = socket();
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut sockets = vec![listener];
        sockets.extend((0..4).map(|_| {
            let filler = socket();
            filler.set_nonblocking(true).unwrap();
            drop(filler.connect(&address));
            filler
        }));
        (address.as_socket().unwrap(), sockets)
    }

    #[tokio::test]
    async fn dead_addresses_of_a_name_do_not_hide_the_one_that_lives() {
        let (hole, _sockets) = black_hole();
        let refusing = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let alive = listener.local_addr().unwrap();
        name("several.test:1", &[hole, refusing, alive]);
        let begun = Instant::now();
        let stream = connect("several.test:1").await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), alive);
        // Not by the system's own time-out of minutes.
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());

        name("dead.test:1", &[refusing, refusing]);
        let error = connect("dead.test:1").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        name("nowhere.test:1", &[]);
        let error = connect("nowhere.test:1").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
