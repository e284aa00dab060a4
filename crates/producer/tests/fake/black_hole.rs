//! Addresses where no server answers.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpSocket;

/// An address that takes no connection and refuses none: its backlog is full.
pub struct BlackHole {
    address: SocketAddr,
    _listener: socket2::Socket,
    _fillers: Vec<socket2::Socket>,
}

impl BlackHole {
    pub fn open() -> Self {
        use socket2::{Domain, Socket, Type};
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let fillers = (0..4).map(|_| {
            let filler = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            filler.set_nonblocking(true).unwrap();
            drop(filler.connect(&address));
            filler
        });
        let fillers = fillers.collect();
        std::thread::sleep(Duration::from_millis(20));
        Self { address: address.as_socket().unwrap(), _listener: listener, _fillers: fillers }
    }

    pub fn address(&self) -> String {
        self.address.to_string()
    }
}

/// An address that refuses connections. No other socket gets it as long as the tests run.
pub async fn refusing() -> String {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = socket.local_addr().unwrap().to_string();
    std::mem::forget(socket);
    address
}
