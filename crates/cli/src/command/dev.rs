//! `posthaste dev`: name server and broker in one process, to develop against.

use std::error::Error;
use std::io;
use std::path::Path;

use posthaste_broker::{Broker, BrokerError};
use serde::Serialize;

use crate::access;
use crate::args::{self, Format, Global};
use crate::envelope::VERSION;
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::output::Stdout;
use crate::talk::Talk;

/// Runs the command.
pub(crate) async fn run(global: &Global, args: &args::Dev) -> Result<Exit, Failure> {
    let keys = access::keys(global)?;
    if !args.listen.is_loopback() && !args.anyone_may_connect && keys.is_none() {
        return Err(Failure::usage(format!(
            "will not listen on {}: whoever reaches that address could read and write everything",
            args.listen
        ))
        .help("Demand signatures with --access-key KEY --secret-key-file FILE.")
        .help("In a network that you trust, --anyone-may-connect will do."));
    }
    let started = std::time::Instant::now();
    let mut interrupt = Interrupt::listen(1)?;
    let broker = start(args, keys).await?;
    let ready_ms = started.elapsed().as_millis();
    let mut stdout = Stdout::new();
    match global.output {
        Format::Text => banner(&mut stdout, global, args, &broker, ready_ms),
        Format::Json => stdout.json(&Ready {
            _cmd: "dev",
            _v: VERSION,
            name_server: broker.name_server().to_string(),
            broker: broker.address().to_string(),
            ready_ms,
        }),
    }
    let talk = Talk::new(global);
    if let Err(failure) = stdout.finish() {
        // The broker is there all the same.
        talk.failure(&failure);
    }
    interrupt.next().await;
    talk.note("stopping");
    broker.stop().await;
    Ok(Exit::Done)
}

async fn start(args: &args::Dev, keys: Option<(String, String)>) -> Result<Broker, Failure> {
    let mut builder = Broker::builder()
        .listen(args.listen)
        .name_server_port(args.namesrv_port)
        .broker_port(args.port)
        .memory_limit(args.memory)
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
        builder = builder.data_dir(directory.clone());
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
        BrokerError::Setting(_) | BrokerError::NotLoopback(_) => Exit::Usage,
        _ => Exit::Failed,
    };
    let failure = Failure::new(exit, "start", chain(error));
    match error {
        BrokerError::PortTaken(_) => failure
            .help("Perhaps another `posthaste dev` or a RocketMQ runs here.")
            .help("Free ports are taken by:  posthaste dev --namesrv-port 0 --port 0"),
        BrokerError::Listen { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            failure.help("Ports up to 1023 belong to the system; choose higher ones.")
        }
        BrokerError::Listen { .. } => {
            failure.help(format!("{} may be no address of this machine.", args.listen))
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

fn banner(stdout: &mut Stdout, global: &Global, args: &args::Dev, broker: &Broker, ready_ms: u128) {
    let address = broker.address();
    let advertised = args.advertise.clone().unwrap_or_else(|| address.ip().to_string());
    stdout.line(format_args!("name server   {}", broker.name_server()));
    stdout.line(format_args!(
        "broker        {address}   advertises {advertised} (change with --advertise)"
    ));
    match &args.data {
        Some(directory) => stdout.line(format_args!("storage       {}", directory.display())),
        None => stdout.line(format_args!(
            "storage       memory, newest {} kept (use --data DIR to persist)",
            size(args.memory)
        )),
    }
    if args.no_auto_create {
        stdout.line(format_args!("topics        only those that are created"));
    } else {
        stdout.line(format_args!(
            "topics        created by the first send (--no-auto-create turns that off)"
        ));
    }
    if let Some(access_key) = &global.access_key {
        stdout.line(format_args!("access        only signed by {access_key}"));
    }
    if args.tls_cert.is_some() {
        stdout.line(format_args!("encryption    TLS, and plain connections too"));
    }
    stdout.line(format_args!("ready in {ready_ms} ms. Ctrl-C stops it."));
}

/// A size in the largest unit that fits.
fn size(bytes: u64) -> String {
    match bytes {
        0..0x10_0000 => format!("{} KiB", bytes >> 10),
        0x10_0000..0x4000_0000 => format!("{} MiB", bytes >> 20),
        _ => format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30)),
    }
}

#[derive(Serialize)]
struct Ready {
    _cmd: &'static str,
    _v: u32,
    name_server: String,
    broker: String,
    ready_ms: u128,
}
