//! A client that says exactly what a test wants it to say.

use std::net::SocketAddr;

use posthaste_inspector::Inspector;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::HANG;

/// A request.
pub(crate) struct Call {
    address: SocketAddr,
    line: String,
    headers: Vec<String>,
    body: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The head, in lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

/// A request of this method for this path, with the right `Host`.
pub(crate) fn call(inspector: &Inspector, method: &str, path: &str) -> Call {
    let address = inspector.address();
    bare(inspector, &format!("{method} {path} HTTP/1.1")).header(&format!("Host: {address}"))
}

/// A request with this first line, and no headers but one that ends the connection.
pub(crate) fn bare(inspector: &Inspector, line: &str) -> Call {
    let headers = vec!["Connection: close".to_owned()];
    Call { address: inspector.address(), line: line.to_owned(), headers, body: Vec::new() }
}

pub(crate) async fn get(inspector: &Inspector, path: &str) -> Answer {
    call(inspector, "GET", path).send().await
}

impl Call {
    pub(crate) fn header(mut self, header: &str) -> Self {
        self.headers.push(header.to_owned());
        self
    }

    /// Bytes that follow the head, whatever the headers say of them.
    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends it, and leaves the answer unread.
    pub(crate) async fn begin(self) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let head = format!("{}\r\n{}\r\n\r\n", self.line, self.headers.join("\r\n"));
        // A server that has refused it does not read to the end.
        let _ = stream.write_all(&[head.as_bytes(), &self.body].concat()).await;
        stream
    }

    pub(crate) async fn send(self) -> Answer {
        read(self.begin().await).await
    }
}

/// The answer that comes on a connection.
pub(crate) async fn read(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 65_536];
    loop {
        match timeout(HANG, stream.read(&mut buffer)).await.expect("an answer in time") {
            Ok(0) | Err(_) => break,
            Ok(length) => bytes.extend_from_slice(&buffer[..length]),
        }
    }
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {text:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}

impl Answer {
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The kind of the error; every error has a message and help.
    #[track_caller]
    pub(crate) fn kind(&self) -> String {
        let error = self.json()["error"].clone();
        for field in ["message", "help"] {
            assert!(error[field].as_str().is_some_and(|text| !text.is_empty()), "{self:?}");
        }
        error["kind"].as_str().unwrap().to_owned()
    }
}
