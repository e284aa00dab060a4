//! The inspector of `posthaste dev`: what is asked over HTTP.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use posthaste_broker::Broker;
use posthaste_inspector::{Inspector, Password, ServeError};

use super::{addresses, chain};
use crate::access;
use crate::args::{self, Global};
use crate::exit::{Exit, Failure};

/// A free port, where other machines do not reach it.
const FREE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A running inspector.
pub(super) struct Running {
    inspector: Inspector,
    /// A password that was made up, and is to be printed.
    made_up: Option<Password>,
    /// Why it is not where it is by default.
    moved: Option<String>,
}

/// Starts it, unless the flags turn it off.
pub(super) async fn start(
    global: &Global,
    args: &args::Dev,
    broker: &Broker,
) -> Result<Option<Running>, Failure> {
    if args.http.off {
        return Ok(None);
    }
    let chosen = access::http_password(global, args.http.password_file.as_deref())?;
    let (password, made_up) = password(chosen, global, args).map_err(|error| explain(&error))?;
    let start = |address: Option<SocketAddr>| {
        let mut builder = Inspector::builder(broker);
        if let Some(address) = address {
            builder = builder.address(address);
        }
        if let Some(password) = &password {
            builder = builder.password(password.clone());
        }
        hosts(args).into_iter().fold(builder, |builder, host| builder.host(host)).start()
    };
    let asked = args.http.address;
    let (inspector, moved) = match start(asked).await {
        Err(ServeError::PortTaken(taken)) if asked.is_none() => {
            let why = format!(
                "port {} is taken: the inspector has a free port (--http chooses one, --no-http \
                 turns it off)",
                taken.port()
            );
            (start(Some(FREE)).await, Some(why))
        }
        started => (started, None),
    };
    let inspector = inspector.map_err(|error| explain(&error))?;
    Ok(Some(Running { inspector, made_up, moved }))
}

impl Running {
    /// Where a program on this machine finds it.
    pub(super) fn url(&self) -> String {
        self.inspector.url()
    }

    /// A password that is to be printed: it was made up.
    pub(super) fn made_up(&self) -> Option<&str> {
        self.made_up.as_ref().map(Password::text)
    }

    /// What to say of a place that was not asked for.
    pub(super) fn moved(&self) -> Option<&str> {
        self.moved.as_deref()
    }

    pub(super) async fn stop(self) {
        self.inspector.stop().await;
    }
}

/// The password that it asks for, if it needs one, and the same once more if it is made up.
fn password(
    chosen: Option<String>,
    global: &Global,
    args: &args::Dev,
) -> Result<(Option<Password>, Option<Password>), ServeError> {
    if let Some(text) = chosen {
        return Ok((Some(Password::new(text)?), None));
    }
    let is_near = args.http.address.is_none_or(|address| address.ip().is_loopback());
    // Requests to the broker have to be signed: what is asked over HTTP is no way round it.
    if is_near && global.access_key.is_none() {
        return Ok((None, None));
    }
    let password = Password::generate()?;
    Ok((Some(password.clone()), Some(password)))
}

/// The hosts by which it is called, beside its own address and the loopback names.
fn hosts(args: &args::Dev) -> Vec<String> {
    let mut hosts = args.http.hosts.clone();
    let Some(address) = args.http.address.filter(|address| !address.ip().is_loopback()) else {
        return hosts;
    };
    let ips = if address.ip().is_unspecified() { addresses() } else { Vec::new() };
    let ips = ips.iter().map(ToString::to_string).chain(args.advertise.clone());
    hosts.extend(ips.map(|host| match host.contains(':') {
        true => format!("[{host}]"),
        false => host,
    }));
    hosts
}

fn explain(error: &ServeError) -> Failure {
    let exit = match error {
        ServeError::ShortPassword { .. } | ServeError::Host(_) => Exit::Usage,
        _ => Exit::Failed,
    };
    let failure = Failure::new(exit, "start", format!("the inspector: {}", chain(error)));
    match error {
        ServeError::PortTaken(_) => failure
            .help("Perhaps another `posthaste dev` runs here.")
            .help("A free port is picked by:  posthaste dev --http 127.0.0.1:0")
            .help("Do without an inspector:   posthaste dev --no-http"),
        ServeError::Listen { address, .. } => {
            failure.help(format!("{} may not be an address of this machine.", address.ip()))
        }
        _ => failure,
    }
}
