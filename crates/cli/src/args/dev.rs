//! The flags of `posthaste dev`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::ValueEnum;
use clap::builder::NonEmptyStringValueParser;
use posthaste_broker::Fault;

use crate::value;

/// Where the inspector answers, if nothing is said of it.
pub(crate) const DEFAULT_HTTP: &str = "127.0.0.1:9877";

/// `posthaste dev`
#[derive(Debug, clap::Args)]
#[command(after_help = "\
With --access-key and its secret, the broker takes only requests signed with them.

A rule of --fault says which requests it is for, and what is done to them.
Refuse the first three sends to a topic; store every tenth message and do not
answer; answer no route for ten seconds:
  --fault 'on=send topic=orders first=3 do=refuse code=SYSTEM_BUSY'
  --fault 'on=send every=10 point=after-store do=no-answer'
  --fault 'on=route for=10s do=unknown'
An unknown word is an error that lists the known ones.")]
pub(crate) struct Dev {
    /// Store messages in this directory; without it, memory holds the newest ones
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// Disk space that the files in --data may take, at least 16MiB
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = value::size, requires = "data")]
    pub(crate) data_limit: u64,

    /// What to do with a new message when --data-limit is reached
    #[arg(long, value_enum, value_name = "WHAT", default_value_t, requires = "data")]
    pub(crate) when_full: WhenFull,

    /// Address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(crate) listen: IpAddr,

    /// Let anyone who can reach the address connect; required to listen beyond loopback without an
    /// --access-key
    #[arg(long)]
    pub(crate) anyone_may_connect: bool,

    /// Accept encrypted connections too, with the certificate in this PEM file
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,

    /// PEM file with the private key of --tls-cert
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,

    /// Host name or address at which clients reach the broker
    #[arg(long, value_name = "HOST", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) advertise: Option<String>,

    /// Port of the broker; 0 picks a free one
    #[arg(long, value_name = "PORT", default_value_t = 10911)]
    pub(crate) port: u16,

    /// Port of the name server; 0 picks a free one
    #[arg(long, value_name = "PORT", default_value_t = 9876)]
    pub(crate) namesrv_port: u16,

    /// Connections that one remote address may have; raise it where many clients share an address,
    /// as behind NAT
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub(crate) connections_per_address: usize,

    /// Create this topic at startup (repeatable)
    #[arg(long = "topic", visible_alias = "seed-topic", value_name = "NAME:QUEUES", value_parser = value::seed_topic)]
    pub(crate) topics: Vec<(String, u32)>,

    /// Memory for messages; when it is full, the oldest are dropped
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = value::size, conflicts_with = "data")]
    pub(crate) memory: u64,

    /// Misbehave on purpose, as a rule says (repeatable); see below
    #[arg(long = "fault", value_name = "RULE", value_parser = value::fault)]
    pub(crate) faults: Vec<Fault>,

    /// Refuse sends to topics that do not exist, instead of creating the topics
    #[arg(long)]
    pub(crate) no_auto_create: bool,

    /// Start nothing; ask the inspector of a `dev` that runs whether its broker answers
    ///
    /// The inspector is asked at --http, else at the address in the environment variable POSTHASTE_HTTP,
    /// else at 127.0.0.1:9877. Exit code 0 says that the broker is ready.
    #[arg(long, conflicts_with = "off")]
    pub(crate) healthy: bool,

    #[command(flatten)]
    pub(crate) http: Http,
}

/// The inspector: what is asked over HTTP.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Inspector (HTTP)")]
pub(crate) struct Http {
    /// Address of the inspector, which answers over HTTP; port 0 picks a free one
    ///
    /// Without this option it is 127.0.0.1:9877, or a free port if that one is taken. Other machines
    /// reach it only at an address of this machine, and then it asks for a password.
    #[arg(long = "http", value_name = "ADDRESS:PORT", num_args = 0..=1, default_missing_value = DEFAULT_HTTP)]
    pub(crate) address: Option<SocketAddr>,

    /// Start no inspector
    #[arg(long = "no-http", conflicts_with_all = ["address", "hosts", "password_file"])]
    pub(crate) off: bool,

    /// A host by which clients call the inspector, beside localhost, its address and --advertise
    /// (repeatable); with a port where one is forwarded
    #[arg(long = "http-host", value_name = "HOST[:PORT]", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) hosts: Vec<String>,

    /// File with the password of the inspector, at least 12 characters
    ///
    /// Without this option, the environment variable POSTHASTE_HTTP_PASSWORD is used. Where neither is
    /// set, the inspector needs no password on loopback. With --access-key, and at other addresses, it
    /// makes a password up and prints it. Any user name goes with it:  curl -u me:PASSWORD ...
    #[arg(long = "http-password-file", value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
}

/// What happens to a new message at the data limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum WhenFull {
    /// Store it, and drop the oldest messages of all topics
    #[default]
    Drop,
    /// Refuse it
    Refuse,
}
