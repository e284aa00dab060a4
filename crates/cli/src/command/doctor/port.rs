//! What a port speaks that does not answer as a RocketMQ server.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::observed::Speaks;

/// How HTTP/2 begins, with no settings. It makes gRPC servers answer in HTTP/2, HTTP servers in
/// HTTP/1, and TLS servers with an alert. To a RocketMQ server it is a frame that is too long.
const GREETING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// The head of a frame of HTTP/2; of all protocols the most that has to be seen.
const HEAD: usize = 9;

/// Greets, and looks at the first bytes of the answer.
pub(super) async fn listen(address: &str) -> io::Result<Option<Speaks>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(GREETING).await?;
    let mut answer = Vec::new();
    while answer.len() < HEAD && stream.read_buf(&mut answer).await? > 0 {}
    Ok(protocol(&answer))
}

/// What an answer to the greeting is written in.
fn protocol(answer: &[u8]) -> Option<Speaks> {
    match answer {
        [b'H', b'T', b'T', b'P', ..] => Some(Speaks::Http),
        // An HTML page without a status line, as HTTP/0.9 servers send it.
        [b'<', ..] => Some(Speaks::Http),
        [b'S', b'S', b'H', b'-', ..] => Some(Speaks::Ssh),
        // An alert or a handshake, of any version.
        [0x15 | 0x16, 3, ..] => Some(Speaks::Tls),
        // A frame of settings, or the goodbye, without flags and for the whole connection. In a frame
        // of RocketMQ a length follows there, and it is not 0.
        [0, 0, _, 4 | 7, 0, 0, 0, 0, 0, ..] => Some(Speaks::Http2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_are_known_by_their_first_bytes() {
        for (answer, expected) in [
            (&b"HTTP/1.1 400 Bad Request\r\n"[..], Some(Speaks::Http)),
            (b"<html>", Some(Speaks::Http)),
            (b"SSH-2.0-OpenSSH", Some(Speaks::Ssh)),
            (&[0x15, 3, 3, 0, 2, 2, 70], Some(Speaks::Tls)),
            (&[0, 0, 18, 4, 0, 0, 0, 0, 0], Some(Speaks::Http2)),
            (&[0, 0, 8, 7, 0, 0, 0, 0, 0], Some(Speaks::Http2)),
            // A frame of RocketMQ: its length, and that of its header.
            (&[0, 0, 1, 4, 0, 0, 0, 220, b'{'], None),
            (b"", None),
            (b"hello", None),
        ] {
            assert_eq!(protocol(answer), expected, "{answer:?}");
        }
    }
}
