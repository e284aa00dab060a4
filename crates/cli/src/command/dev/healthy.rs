//! Whether a `posthaste dev` that runs is ready: for the health check of a container, where no shell is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hyper::Method;
use serde::{Deserialize, Serialize};

use crate::args::{self, Format, Global, InspectorAt};
use crate::envelope::VERSION;
use crate::exit::{Exit, Failure};
use crate::http::Inspector;
use crate::output::Stdout;

/// What an inspector says when its broker answers.
#[derive(Deserialize)]
struct Ready {
    status: String,
}

#[derive(Serialize)]
struct Line<'a> {
    _cmd: &'static str,
    _v: u32,
    status: &'a str,
}

/// Asks the inspector, and starts nothing.
pub(super) async fn run(global: &Global, args: &args::Dev) -> Result<Exit, Failure> {
    let address = args.http.address.map(|address| from_here(address).to_string());
    // Whether it is ready is told without a password.
    let at = InspectorAt { address, password_file: None };
    let inspector = Inspector::meant(global, &at)?;
    let answer = inspector.ask(Method::GET, "/readyz", Vec::new(), Duration::ZERO).await?;
    let Ready { status } = answer.good()?;
    let mut stdout = Stdout::new();
    match global.output {
        Format::Text => stdout.line(format_args!("{status}")),
        Format::Json => stdout.json(&Line { _cmd: "dev", _v: VERSION, status: &status }),
    }
    stdout.finish()?;
    Ok(Exit::Done)
}

/// A broker that listens everywhere is asked on this machine.
fn from_here(address: SocketAddr) -> SocketAddr {
    let host = match address.ip() {
        IpAddr::V4(host) if host.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(host) if host.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        host => host,
    };
    SocketAddr::new(host, address.port())
}
