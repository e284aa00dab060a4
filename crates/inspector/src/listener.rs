//! Accepting connections: a fixed number, and none that is quiet for ever.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::serve;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

/// Connections at a time.
pub(crate) const CONNECTIONS: usize = 256;
/// How long no byte may come or leave. A request may wait for a minute.
const QUIET: Duration = Duration::from_secs(90);
/// How long accepting pauses when the system has no descriptor to give.
const PAUSE: Duration = Duration::from_millis(50);
/// What a connection too many is told.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    content-type: application/json\r\ncontent-length: 118\r\nconnection: close\r\n\r\n\
    {\"error\":{\"kind\":\"too_many_connections\",\"message\":\"256 connections are open\",\
    \"help\":\"close some, or use them again\"}}\n";

/// Where connections come in.
pub(crate) struct Listener {
    listener: TcpListener,
    places: Arc<Semaphore>,
}

impl Listener {
    pub(crate) fn new(listener: TcpListener) -> Self {
        Self { listener, places: Arc::new(Semaphore::new(CONNECTIONS)) }
    }
}

impl serve::Listener for Listener {
    type Io = Connection<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let Ok((stream, address)) = self.listener.accept().await else {
                sleep(PAUSE).await;
                continue;
            };
            match Arc::clone(&self.places).try_acquire_owned() {
                Ok(place) => {
                    let _ = stream.set_nodelay(true);
                    return (Connection::new(stream, place), address);
                }
                // A fresh connection has room for this.
                Err(_) => drop(stream.try_write(FULL)),
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that has a place, and ends when it is quiet for too long: its client may have stopped
/// reading, or sends a request byte by byte.
pub(crate) struct Connection<S> {
    stream: S,
    quiet: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl<S> Connection<S> {
    fn new(stream: S, place: OwnedSemaphorePermit) -> Self {
        Self { stream, quiet: Box::pin(sleep(QUIET)), _place: place }
    }

    /// What came of a read or a write, unless the connection has been quiet for too long.
    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.quiet.as_mut().reset(Instant::now() + QUIET);
            return result;
        }
        ready!(self.quiet.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.watch(cx, read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    #[test]
    fn a_connection_too_many_gets_a_whole_answer() {
        let text = std::str::from_utf8(FULL).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("head and body");
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{}", body.len());
        let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
        let said = format!("{CONNECTIONS} connections are open");
        assert_eq!(body["error"]["message"], said);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_on_which_nothing_comes_or_leaves_ends_and_gives_its_place_back() {
        let places = Arc::new(Semaphore::new(1));
        let place = || Arc::clone(&places).try_acquire_owned().expect("a place");
        let (stream, mut client) = duplex(4);
        let mut connection = Connection::new(stream, place());
        // What comes now and then keeps it.
        for _ in 0..3 {
            sleep(QUIET - Duration::from_secs(1)).await;
            client.write_all(b"x").await.expect("write");
            assert_eq!(connection.read_u8().await.expect("read"), b'x');
        }
        let error = connection.read_u8().await.expect_err("quiet");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(connection);
        // A client that does not read.
        let (stream, _client) = duplex(4);
        let mut connection = Connection::new(stream, place());
        let error = connection.write_all(b"longer than there is room").await.expect_err("full");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
