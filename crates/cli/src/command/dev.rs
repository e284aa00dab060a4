//! `posthaste dev`: name server and broker in one process, to develop against.

mod healthy;
mod inspector;

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use posthaste_broker::{Broker, BrokerError, WhenFull};
use serde::Serialize;

use self::inspector::Running;
use crate::access;
use crate::args::{self, Format, Global};
use crate::cluster;
use crate::envelope::VERSION;
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::output::Stdout;
use crate::stderr::Stderr;

/// How often it is said that messages have been dropped.
const REPORT: Duration = Duration::from_secs(60);

/// Flags that say who may use the broker.
const OF_THE_BROKER: [&str; 2] = ["--access-key", "--secret-key-file"];

/// Runs the command.
pub(crate) async fn run(global: &Global, args: &args::Dev) -> Result<Exit, Failure> {
    cluster::refuse_flags(global, &OF_THE_BROKER, "dev", "starts its own cluster")?;
    if args.healthy {
        return healthy::run(global, args).await;
    }
    let keys = access::keys(global)?;
    if !args.listen.is_loopback() && !args.anyone_may_connect && keys.is_none() {
        return Err(Failure::usage(format!(
            "will not listen on {}: anyone who can reach that address could read and write \
             everything",
            args.listen
        ))
        .help("Require signed requests with --access-key KEY --secret-key-file FILE.")
        .help("In a network that you trust, use --anyone-may-connect."));
    }
    let started = std::time::Instant::now();
    let mut interrupt = Interrupt::listen(1)?;
    let broker = start(args, keys).await?;
    for fault in &args.faults {
        broker.fault(fault.clone()).map_err(|error| Failure::usage(error.to_string()))?;
    }
    let inspector = inspector::start(global, args, &broker).await?;
    let ready_ms = started.elapsed().as_millis();
    let mut stdout = Stdout::new();
    match global.output {
        Format::Text => banner(&mut stdout, global, args, &broker, inspector.as_ref()),
        Format::Json => stdout.json(&Ready {
            _cmd: "dev",
            _v: VERSION,
            name_server: broker.name_server().to_string(),
            broker: broker.address().to_string(),
            http: inspector.as_ref().map(Running::url),
            http_password: inspector.as_ref().and_then(Running::made_up),
            ready_ms,
        }),
    }
    if global.output == Format::Text {
        stdout.line(format_args!("ready in {ready_ms} ms. Ctrl-C stops it."));
    }
    let stderr = Stderr::new(global);
    if let Some(why) = inspector.as_ref().and_then(Running::moved) {
        stderr.note(why);
    }
    if let Err(failure) = stdout.finish() {
        // The broker runs nevertheless.
        stderr.failure(&failure);
    }
    tokio::select! {
        () = interrupt.next() => {
            stderr.note("stopping");
            if let Some(inspector) = inspector {
                inspector.stop().await;
            }
            broker.stop().await;
            Ok(Exit::Done)
        }
        failure = broker.failed() => Err(Failure::new(Exit::Failed, "broker", chain(&failure))
            .help("Messages acknowledged before are in the --data directory, if one was given.")
            .help("Please report this, with the lines above.")),
        never = report_dropped(|| broker.stats().dropped, |text| stderr.warning(text), args) => {
            match never {}
        }
    }
}

/// Says once a minute how many messages have been dropped since it was last said.
async fn report_dropped(
    dropped: impl Fn() -> u64,
    say: impl Fn(&str),
    args: &args::Dev,
) -> Infallible {
    let limit = match &args.data {
        Some(_) => format!("--data-limit of {}", size(args.data_limit)),
        None => format!("--memory of {}", size(args.memory)),
    };
    let mut told = 0;
    loop {
        tokio::time::sleep(REPORT).await;
        let now = dropped();
        if now > told {
            let many = now - told;
            let messages = if many == 1 { "message was" } else { "messages were" };
            say(&format!(
                "the oldest {many} {messages} dropped in a minute: the {limit} is reached"
            ));
        }
        told = now;
    }
}

/// Why a broker does not listen everywhere unless it knows what address to advertise.
fn no_address(listen: IpAddr, addresses: &[IpAddr]) -> Failure {
    let failure = Failure::usage(format!(
        "{listen} stands for every address of this machine, and a client cannot connect to it"
    ));
    match addresses {
        [] => failure.help("Say how clients reach this machine: --advertise HOST"),
        addresses => addresses.iter().fold(
            failure.help("Say how clients reach this machine, as with one of these:"),
            |failure, address| failure.help(format!("  --advertise {address}")),
        ),
    }
}

/// The addresses of this machine that others may reach it at.
fn addresses() -> Vec<IpAddr> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let others = interfaces.iter().filter(|interface| !interface.is_loopback());
    others.map(if_addrs::Interface::ip).collect()
}

async fn start(args: &args::Dev, keys: Option<(String, String)>) -> Result<Broker, Failure> {
    let mut builder = Broker::builder()
        .listen(args.listen)
        .name_server_port(args.namesrv_port)
        .broker_port(args.port)
        .memory_limit(args.memory)
        .connections_per_address(args.connections_per_address)
        .auto_create_topics(!args.no_auto_create);
    if args.anyone_may_connect {
        builder = builder.allow_anyone_to_connect();
    }
    if let Some((access_key, secret)) = keys {
        builder = builder.access_key(access_key, secret);
    }
    if let (Some(certificate), Some(key)) = (&args.tls_cert, &args.tls_key) {
        builder = builder.tls(read(certificate)?, read(key)?);
    }
    if let Some(host) = &args.advertise {
        builder = builder.advertise(host.as_str());
    }
    if let Some(directory) = &args.data {
        let when_full = match args.when_full {
            args::WhenFull::Drop => WhenFull::Drop,
            args::WhenFull::Refuse => WhenFull::Refuse,
        };
        builder = builder.data_dir(directory.clone()).data_limit(args.data_limit);
        builder = builder.when_full(when_full);
    }
    for (topic, queues) in &args.topics {
        builder = builder.topic(topic.as_str(), *queues);
    }
    builder.start().await.map_err(|error| explain(&error, args))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}

/// What failed, and what to do about it where the error itself does not say.
fn explain(error: &BrokerError, args: &args::Dev) -> Failure {
    let exit = match error {
        BrokerError::NoAddress(listen) => return no_address(*listen, &addresses()),
        BrokerError::Setting(_) | BrokerError::NotLoopback(_) => Exit::Usage,
        _ => Exit::Failed,
    };
    let failure = Failure::new(exit, "start", chain(error));
    match error {
        BrokerError::PortTaken(_) => failure
            .help("Perhaps another `posthaste dev` or a RocketMQ runs here.")
            .help("Free ports are picked by:  posthaste dev --namesrv-port 0 --port 0"),
        BrokerError::Listen { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            failure.help("Ports up to 1023 belong to the system; choose higher ones.")
        }
        BrokerError::Listen { .. } => {
            failure.help(format!("{} may not be an address of this machine.", args.listen))
        }
        _ => failure,
    }
}

/// An error and its causes on one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

fn banner(
    stdout: &mut Stdout,
    global: &Global,
    args: &args::Dev,
    broker: &Broker,
    inspector: Option<&Running>,
) {
    let address = broker.address();
    let advertised = args.advertise.clone().unwrap_or_else(|| address.ip().to_string());
    stdout.line(format_args!("name server   {}", broker.name_server()));
    stdout.line(format_args!(
        "broker        {address}   advertises {advertised} (change with --advertise)"
    ));
    if let Some(inspector) = inspector {
        stdout.line(format_args!("inspector     {} (--http, --no-http)", inspector.url()));
        if let Some(password) = inspector.made_up() {
            stdout.line(format_args!("password      {password} of the inspector, with any name"));
        }
    }
    match &args.data {
        Some(directory) => stdout.line(format_args!(
            "storage       {}, {} (--data-limit, --when-full)",
            directory.display(),
            match args.when_full {
                args::WhenFull::Drop => format!("newest {} kept", size(args.data_limit)),
                args::WhenFull::Refuse => {
                    format!("sends are refused beyond {}", size(args.data_limit))
                }
            }
        )),
        None => stdout.line(format_args!(
            "storage       memory, newest {} kept (use --data DIR to persist)",
            size(args.memory)
        )),
    }
    if args.no_auto_create {
        stdout.line(format_args!("topics        must be created before they are sent to"));
    } else {
        stdout.line(format_args!(
            "topics        created by the first send (--no-auto-create turns that off)"
        ));
    }
    for fault in &args.faults {
        stdout.line(format_args!("fault         {fault}"));
    }
    if let Some(access_key) = &global.access_key {
        stdout.line(format_args!("access        only signed by {access_key}"));
    }
    if args.tls_cert.is_some() {
        stdout.line(format_args!("encryption    TLS, and plain connections too"));
    }
}

/// A size in the largest unit that fits.
fn size(bytes: u64) -> String {
    match bytes {
        0..0x10_0000 => format!("{} KiB", bytes >> 10),
        0x10_0000..0x4000_0000 => format!("{} MiB", bytes >> 20),
        _ if bytes.is_multiple_of(1 << 30) => format!("{} GiB", bytes >> 30),
        _ => format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30)),
    }
}

#[derive(Serialize)]
struct Ready<'a> {
    _cmd: &'static str,
    _v: u32,
    name_server: String,
    broker: String,
    /// Where the inspector is, if there is one.
    http: Option<String>,
    /// Its password, if that was made up.
    #[serde(skip_serializing_if = "Option::is_none")]
    http_password: Option<&'a str>,
    ready_ms: u128,
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use clap::Parser;

    use super::*;
    use crate::args::{Args, Command};

    #[tokio::test(start_paused = true)]
    async fn a_line_a_minute_says_how_many_were_dropped() {
        for (flags, limit) in [
            (&["--memory", "64MiB"][..], "--memory of 64 MiB"),
            (&["--data", "d"], "--data-limit of 1 GiB"),
            (&["--data", "d", "--data-limit", "20MiB"], "--data-limit of 20 MiB"),
        ] {
            let args = Args::parse_from(["posthaste", "dev"].iter().chain(flags));
            let Command::Dev(args) = args.command else { panic!("dev") };
            let (dropped, said) = (Cell::new(0), RefCell::new(Vec::new()));
            let say = |text: &str| said.borrow_mut().push(text.to_owned());
            let report = report_dropped(|| dropped.get(), say, &args);
            tokio::pin!(report);
            for (now, lines) in [(0, 0), (1, 1), (1, 1), (5_001, 2), (5_001, 2)] {
                dropped.set(now);
                assert!(tokio::time::timeout(REPORT, &mut report).await.is_err());
                assert_eq!(said.borrow().len(), lines, "{now}: {said:?}");
            }
            let said = said.borrow();
            let text =
                format!("the oldest 1 message was dropped in a minute: the {limit} is reached");
            assert_eq!(said[0], text);
            assert!(said[1].contains("the oldest 5000 messages were dropped"), "{said:?}");
        }
    }
}
