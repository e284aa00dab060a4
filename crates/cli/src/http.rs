//! An inspector, asked over HTTP.

use std::io;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;

use crate::access;
use crate::args::{DEFAULT_HTTP, Global, InspectorAt};
use crate::exit::{Exit, Failure};
use crate::value;

/// Where the environment may say where an inspector is.
const ENVIRONMENT: &str = "POSTHASTE_HTTP";
/// Bytes of an answer, at most.
const LONGEST: usize = 16 * 1024 * 1024;
/// The kinds of errors that scripts may want to tell apart.
const KINDS: [&str; 4] = ["bad_fault", "no_such_fault", "too_many_faults", "password"];

/// An inspector somewhere.
pub(crate) struct Inspector {
    /// `host:port`
    host: String,
    authorization: Option<String>,
    timeout: Duration,
}

/// What it says.
pub(crate) struct Answer {
    host: String,
    status: StatusCode,
    body: Bytes,
}

/// An error, as it writes one.
#[derive(Deserialize)]
struct Refusal {
    error: Reason,
}

#[derive(Deserialize)]
struct Reason {
    kind: String,
    message: String,
    help: String,
}

impl Inspector {
    /// The one that is meant: by the flag, else by the environment, else on this machine.
    pub(crate) fn meant(global: &Global, at: &InspectorAt) -> Result<Self, Failure> {
        let variable = std::env::var(ENVIRONMENT).ok().filter(|text| !text.is_empty());
        let (text, source) = match (&at.address, variable) {
            (Some(text), _) => (text.clone(), "--http"),
            (None, Some(text)) => (text, ENVIRONMENT),
            (None, None) => (DEFAULT_HTTP.to_owned(), "the default"),
        };
        let host = value::inspector(&text)
            .map_err(|why| Failure::usage(format!("inspector from {source}: {why}")))?;
        let password = access::http_password(global, at.password_file.as_deref())?;
        // It looks at no name.
        let coded = |password| STANDARD.encode(format!("posthaste:{password}"));
        let authorization = password.map(|password| format!("Basic {}", coded(password)));
        Ok(Self { host, authorization, timeout: global.timeout })
    }

    /// Asks, and waits for the answer this much longer than for any other one.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
        longer: Duration,
    ) -> Result<Answer, Failure> {
        let limit = self.timeout.saturating_add(longer);
        match tokio::time::timeout(limit, self.exchange(method, path, body)).await {
            Ok(answered) => answered,
            Err(_) => {
                let message = format!("{} has not answered within {limit:?}", self.host);
                let failure = Failure::new(Exit::Unreachable, "timeout", message);
                Err(failure.help("Wait longer with --timeout, or look whether the program hangs."))
            }
        }
    }

    async fn exchange(&self, method: Method, path: &str, body: Vec<u8>) -> Result<Answer, Failure> {
        let stream = TcpStream::connect(&self.host).await.map_err(|error| self.no_way(&error))?;
        let no_http = |error: &dyn std::error::Error| self.no_http(&error.to_string());
        let connected = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = connected.map_err(|error| no_http(&error))?;
        // It ends with the sender.
        tokio::spawn(connection);
        let request = Request::builder().method(method).uri(path).header(HOST, &self.host);
        // The inspector asks for it where something changes.
        let mut request = request.header(CONTENT_TYPE, "application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request.body(Full::new(Bytes::from(body)));
        let request = request.map_err(|error| Failure::usage(error.to_string()))?;
        let response = sender.send_request(request).await.map_err(|error| no_http(&error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LONGEST).collect().await;
        let body = body.map_err(|error| no_http(&*error))?.to_bytes();
        Ok(Answer { host: self.host.clone(), status, body })
    }

    fn no_way(&self, error: &io::Error) -> Failure {
        let message = format!("cannot connect to an inspector at {}: {error}", self.host);
        Failure::new(Exit::Unreachable, "connect", message)
            .help("Start one:  posthaste dev")
            .help(format!("If it is elsewhere, say so: --http HOST:PORT, or {ENVIRONMENT}."))
    }

    fn no_http(&self, why: &str) -> Failure {
        no_inspector(&self.host, why)
    }
}

impl Answer {
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// What it is made of, whatever its status says.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body)
            .map_err(|error| no_inspector(&self.host, &error.to_string()))
    }

    /// What a good answer is made of; of another one, why it is none.
    pub(crate) fn good<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        match self.status.is_success() {
            true => self.read(),
            false => Err(self.failure()?),
        }
    }

    fn failure(&self) -> Result<Failure, Failure> {
        let Refusal { error } = self.read()?;
        let exit = match self.status {
            StatusCode::BAD_REQUEST => Exit::Usage,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Exit::Refused,
            StatusCode::MISDIRECTED_REQUEST => Exit::Unreachable,
            _ => Exit::Failed,
        };
        let kind = KINDS.into_iter().find(|kind| *kind == error.kind).unwrap_or("http");
        let failure = Failure::new(exit, kind, error.message);
        Ok(match self.status {
            StatusCode::UNAUTHORIZED => failure.help(
                "Put it in a file, for --http-password-file, or into POSTHASTE_HTTP_PASSWORD.",
            ),
            _ => failure.help(error.help),
        })
    }
}

fn no_inspector(host: &str, why: &str) -> Failure {
    let message = format!("what answers at {host} is no inspector: {why}");
    Failure::new(Exit::Unreachable, "protocol", message)
        .help("`posthaste dev` says where its inspector is.")
}
