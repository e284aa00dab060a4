//! Every flag, defined once: parser, help and environment come from here.

mod bench;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{ArgAction, Parser, Subcommand, ValueEnum};

pub(crate) use self::bench::{Bench, Comparison, Condition, Count, Figure, Load};
use crate::value;

/// The table of exit codes, as [`Exit`](crate::exit::Exit) has it.
macro_rules! exit_codes {
    () => {
        "
Exit codes:
  0    done: every message read was stored (or there was nothing to send)
  1    the command failed; certainly nothing was stored
  2    usage, configuration, or an input that cannot be read or is not valid; nothing was stored
  3    unreachable: no name server, no route, no broker; nothing was stored
  4    partial: at least one message unknown, or something stored and something not, be it a message,
       a bad line or a receipt that could not be written
  5    refused: permission, signature, rules for topics; nothing was stored
  130  interrupted"
    };
}

/// Send messages to Apache RocketMQ, read back what landed, and develop against a broker that
/// needs nothing installed.
#[derive(Debug, Parser)]
#[command(name = "posthaste", version, max_term_width = 100, arg_required_else_help = true)]
#[command(after_help = concat!(
    "\
Try it:  posthaste demo
         posthaste dev                        (in another terminal)
         echo hello | posthaste send Orders
         posthaste tail Orders
",
    exit_codes!()
))]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Global {
    /// Name servers, several separated by `;`
    ///
    /// Without it the environment's POSTHASTE_NAMESRV counts, then NAMESRV_ADDR, then
    /// 127.0.0.1:9876. A variable that is empty counts as not set.
    #[arg(short = 'n', long, global = true, value_name = "HOST:PORT")]
    pub(crate) namesrv: Option<String>,

    /// How results are written to stdout
    #[arg(short, long, global = true, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Format,

    /// No receipts, no summary, no progress; errors stay
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,

    /// Say more on stderr: each failed message and what the library warns of; -vv also what it does,
    /// -vvv everything
    ///
    /// The environment's POSTHASTE_LOG says it in more detail, in the words of tracing's EnvFilter:
    /// POSTHASTE_LOG=posthaste=debug. It counts before -v.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Deadline of each send and of each question to the cluster
    #[arg(long, global = true, value_name = "DURATION", default_value = "3s", value_parser = value::duration)]
    pub(crate) timeout: Duration,

    /// Colours on stderr
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: When,

    /// Reach the broker that is advertised as FROM at TO instead (host or host:port; repeatable)
    #[arg(long, global = true, value_name = "FROM=TO", value_parser = value::broker_map)]
    pub(crate) broker_map: Vec<(String, String)>,

    /// Reach every broker at this host, whatever it advertises
    #[arg(long, global = true, value_name = "HOST", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) broker_host: Option<String>,

    /// Connect to these brokers only: hosts (by name or address) and networks (10.1.0.0/16),
    /// separated by commas (repeatable)
    ///
    /// Without it, every broker that the name server names is connected to, and shown the access
    /// key. A broker is known by the address that is connected to, after --broker-map.
    #[arg(long, global = true, value_name = "HOST|NETWORK", value_delimiter = ',')]
    pub(crate) trusted_brokers: Vec<String>,

    /// Sign every request with this key, for clusters with access control
    ///
    /// The secret comes from --secret-key-file, else from the environment's POSTHASTE_SECRET_KEY;
    /// never from the command line, which others can read.
    #[arg(long, global = true, value_name = "KEY", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) access_key: Option<String>,

    /// File with the secret of --access-key
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) secret_key_file: Option<PathBuf>,

    /// Encrypt connections, and trust whom the operating system trusts
    #[arg(long, global = true)]
    pub(crate) tls: bool,

    /// Encrypt connections, and trust the certificate authorities in this PEM file
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) tls_ca: Option<PathBuf>,
}

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

/// When something is done that suits terminals only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// On a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a name server and a broker in one process, to develop against
    Dev(Dev),
    /// Send messages: from the command line, from stdin line by line, or from files
    Send(Box<Send>),
    /// Show what landed in a topic, and what lands from now on
    Tail(Tail),
    /// List, create, change and describe topics
    #[command(subcommand)]
    Topic(Topic),
    /// Measure how fast a cluster takes messages, and how long each takes
    #[command(subcommand)]
    Bench(Bench),
    /// Show in half a minute what a producer does, with nothing installed
    Demo,
}

impl Command {
    /// The command's name, as JSON lines spell it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Dev(_) => "dev",
            Self::Send(_) => "send",
            Self::Tail(_) => "tail",
            Self::Topic(Topic::List { .. }) => "topic list",
            Self::Topic(Topic::Create { .. }) => "topic create",
            Self::Topic(Topic::Update(_)) => "topic update",
            Self::Topic(Topic::Describe { .. }) => "topic describe",
            Self::Bench(bench) => bench.name(),
            Self::Demo => "demo",
        }
    }
}

/// `posthaste dev`
#[derive(Debug, clap::Args)]
#[command(after_help = "\
With --access-key and its secret every request must be signed by it.")]
pub(crate) struct Dev {
    /// Keep messages in this directory; without it the newest are kept in memory
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// Space that the files of --data may take, at least 16MiB
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = value::size, requires = "data")]
    pub(crate) data_limit: u64,

    /// At the --data-limit: drop the oldest messages of all topics, or refuse new ones
    #[arg(long, value_enum, value_name = "WHAT", default_value_t, requires = "data")]
    pub(crate) when_full: WhenFull,

    /// Address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(crate) listen: IpAddr,

    /// Let anyone who reaches the address connect: needed to listen off loopback without an
    /// --access-key
    #[arg(long)]
    pub(crate) anyone_may_connect: bool,

    /// Take encrypted connections too, with the certificate in this PEM file
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,

    /// PEM file with the key of --tls-cert
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,

    /// Host that clients are told to reach the broker at
    #[arg(long, value_name = "HOST", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) advertise: Option<String>,

    /// Port of the broker; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 10911)]
    pub(crate) port: u16,

    /// Port of the name server; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 9876)]
    pub(crate) namesrv_port: u16,

    /// Connections that one address may have, other than this machine's own: give more where many
    /// clients come from one address, as behind NAT
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub(crate) connections_per_address: usize,

    /// Create this topic at the start (repeatable)
    #[arg(long = "topic", visible_alias = "seed-topic", value_name = "NAME:QUEUES", value_parser = value::seed_topic)]
    pub(crate) topics: Vec<(String, u32)>,

    /// Memory for messages; the oldest are dropped when it is full
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = value::size, conflicts_with = "data")]
    pub(crate) memory: u64,

    /// Refuse sends to topics that do not exist, instead of creating them
    #[arg(long)]
    pub(crate) no_auto_create: bool,
}

/// What becomes of a new message at the data limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum WhenFull {
    /// It is stored; the oldest messages are dropped
    #[default]
    Drop,
    /// It is refused
    Refuse,
}

/// `posthaste send`
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(exit_codes!(), "

Receipts go to stdout in the order of the input, everything else to stderr. When their reader
leaves, sending goes on. Only messages with --ordered-by are stored in the order of the input.

The first Ctrl-C ends the reading and waits for what is on its way, up to --timeout; the second
ends that at once, with each message in the counts and in --failed-to; a third ends the program."))]
pub(crate) struct Send {
    /// Topic to send to
    pub(crate) topic: String,

    /// Bodies, one message each; without any, messages come from stdin
    #[arg(value_name = "BODY")]
    pub(crate) bodies: Vec<String>,

    /// Key of each message (repeatable)
    #[arg(short, long = "key", value_name = "KEY", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) keys: Vec<String>,

    /// Each record is a key, this text, and a body
    #[arg(short = 'K', long, value_name = "TEXT", value_parser = clap::builder::ValueParser::new(value::delimiter), conflicts_with_all = ["json", "files"])]
    pub(crate) key_delim: Option<Delimiter>,

    /// What separates messages on stdin and in -l files: \n \t \0 \x1e, or a longer text
    #[arg(short = 'D', long, value_name = "TEXT", default_value = r"\n", value_parser = clap::builder::ValueParser::new(value::delimiter))]
    pub(crate) delim: Delimiter,

    /// Tag of each message
    #[arg(long, value_name = "TAG", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) tag: Option<String>,

    /// Property of each message (repeatable)
    #[arg(short = 'H', long = "header", value_name = "NAME=VALUE", value_parser = value::property)]
    pub(crate) properties: Vec<(String, String)>,

    /// Each record is a JSON object, as `tail -o json` and --failed-to write them
    ///
    /// It has "body", or "body_b64" for bytes that are no text, and may have "keys" (a list), "tag",
    /// "flag", "properties" (an object of texts), "priority", one of "ordered_by" and "to_queue"
    /// (BROKER:ID), and one of "delay_ms", "deliver_at" (milliseconds since 1970) and
    /// "delay_level". "topic", "broker", "queue", "offset" and what else says where a message was is
    /// passed over: it goes to TOPIC. Any other field is an error. --queue and --ordered-by count
    /// before the object's own place, its other fields before the other flags.
    #[arg(long, conflicts_with = "files")]
    pub(crate) json: bool,

    /// Send this file as one message (repeatable); `-` is stdin
    #[arg(short = 'F', long = "file", value_name = "PATH", conflicts_with_all = ["bodies", "lines"])]
    pub(crate) files: Vec<PathBuf>,

    /// Send the lines of this file
    #[arg(short = 'l', long = "lines", value_name = "PATH", conflicts_with = "bodies")]
    pub(crate) lines: Option<PathBuf>,

    /// Keep the order of messages that agree in this: `key`, or the name of a property, or of a
    /// field when bodies are JSON objects
    #[arg(long, value_name = "key|FIELD", conflicts_with_all = ["queue", "oneway"], value_parser = NonEmptyStringValueParser::new())]
    pub(crate) ordered_by: Option<String>,

    /// Send to this queue only
    #[arg(long, value_name = "BROKER:ID", value_parser = value::queue)]
    pub(crate) queue: Option<(String, i32)>,

    /// Have consumers get each message so long after it is stored (brokers of 5.x; older ones deliver
    /// at once)
    #[arg(long, value_name = "DURATION", value_parser = value::duration, conflicts_with = "delay_level")]
    pub(crate) delay: Option<Duration>,

    /// As --delay, by one of the levels that every broker has: 1 to 18 are 1s 5s 10s 30s 1m 2m 3m 4m
    /// 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h, unless it is set up otherwise
    #[arg(long, value_name = "LEVEL", value_parser = clap::value_parser!(u8).range(1..=18))]
    pub(crate) delay_level: Option<u8>,

    /// How bodies of 4 KiB and more are compressed; consumers older than 5.0 read none but zlib
    #[arg(short = 'z', long, value_name = "HOW", default_value = "zlib")]
    pub(crate) compression: Compression,

    /// With bodies on the command line: how often they are sent. Otherwise: stop after N messages
    #[arg(short = 'C', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,

    /// Send at this rate at most: 500/s, 30/m
    #[arg(long, value_name = "RATE", value_parser = value::rate)]
    pub(crate) rate: Option<f64>,

    /// Messages that may wait for their answer at a time; fewer while answers are slow
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) in_flight: u32,

    /// Further attempts for each message, within its deadline
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub(crate) retries: u32,

    /// What a message that fails, or a bad input line, means for those after it
    #[arg(long, value_name = "WHAT", default_value = "stop")]
    pub(crate) on_error: OnError,

    /// Write what was not delivered to this file, as JSON lines for `send --json`; records that are no
    /// messages as they came
    #[arg(long, value_name = "FILE")]
    pub(crate) failed_to: Option<PathBuf>,

    /// Do not wait for answers: fast, and nobody says whether a message was stored
    #[arg(long)]
    pub(crate) oneway: bool,

    /// Copy the body of each stored message to stdout, in place of its receipt
    #[arg(long)]
    pub(crate) tee: bool,

    /// Read and check the input, show what would be sent, and send nothing
    #[arg(long, conflicts_with_all = ["oneway", "failed_to", "tee"])]
    pub(crate) dry_run: bool,

    /// Progress on stderr
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(crate) progress: When,

    /// Exit 4 when a message was stored with less than the broker's full guarantee
    #[arg(long)]
    pub(crate) strict: bool,
}

/// Bytes that separate. An alias, because clap takes a bare `Vec` for a repeatable flag.
pub(crate) type Delimiter = std::vec::Vec<u8>;

/// How bodies are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Compression {
    None,
    Zlib,
    Lz4,
    Zstd,
}

/// What a failure means for the messages after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnError {
    /// Read no further; what is on its way ends as it ends
    Stop,
    /// Go on with the next message
    Continue,
}

/// `posthaste tail`
#[derive(Debug, clap::Args)]
pub(crate) struct Tail {
    /// Topic to read
    pub(crate) topic: String,

    /// Where to start
    #[arg(long, value_name = "WHERE", default_value = "start")]
    pub(crate) from: From,

    /// Where to stop; without it, new messages are shown as they land
    #[arg(long, value_name = "WHERE")]
    pub(crate) until: Option<Until>,

    /// Stop after N messages
    #[arg(short = 'C', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,

    /// Only messages with this tag
    #[arg(long, value_name = "TAG", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) tag: Option<String>,

    /// Only messages with this key
    #[arg(short, long, value_name = "KEY", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) key: Option<String>,
}

/// Where reading starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum From {
    /// With the oldest message that is still there
    Start,
    /// With the next message that lands
    End,
}

/// Where reading stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Until {
    /// With the newest message there is when the command starts
    Now,
}

/// `posthaste topic`
#[derive(Debug, Subcommand)]
pub(crate) enum Topic {
    /// List the topics of the cluster
    List {
        /// The topics of the system too
        #[arg(short, long)]
        all: bool,
    },
    /// Create a topic on every broker that does not have it
    ///
    /// Where the topic is, it is not changed: `topic update` does that.
    Create {
        /// Name of the topic
        topic: String,
        /// Queues on each broker
        #[arg(long, value_name = "N", default_value_t = 8, value_parser = queues())]
        queues: u32,
        /// Exit 0 when the topic is there with as many queues, to read and to write
        #[arg(long)]
        if_not_exists: bool,
    },
    /// Change how many queues a topic has on each broker
    ///
    /// Fewer queues put the messages in the others out of consumers' reach. Such a change is refused
    /// unless --yes says that it is meant. To take queues away without loss, let fewer be written
    /// (--write-queues), and once the others are consumed, give the new number as --queues.
    #[command(group(clap::ArgGroup::new("change").required(true).multiple(true).args(["queues", "read_queues", "write_queues"])))]
    Update(TopicUpdate),
    /// Show a topic's queues and how much is in them
    Describe {
        /// Name of the topic
        topic: String,
    },
}

/// `posthaste topic update`
#[derive(Debug, clap::Args)]
pub(crate) struct TopicUpdate {
    /// Name of the topic
    pub(crate) topic: String,
    /// Queues on each broker, to read and to write
    #[arg(long, value_name = "N", value_parser = queues(), conflicts_with_all = ["read_queues", "write_queues"])]
    pub(crate) queues: Option<u32>,
    /// Queues on each broker that consumers read
    #[arg(long, value_name = "N", value_parser = queues())]
    pub(crate) read_queues: Option<u32>,
    /// Queues on each broker that producers write
    #[arg(long, value_name = "N", value_parser = queues())]
    pub(crate) write_queues: Option<u32>,
    /// Change it also when messages get out of consumers' reach by it
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// How many queues a topic may have on a broker.
fn queues() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=1_024)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definitions_agree_with_each_other() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_flag_says_what_it_does() {
        let mut commands = vec![Args::command()];
        while let Some(command) = commands.pop() {
            for flag in command.get_arguments() {
                assert!(flag.get_help().is_some(), "{} {}", command.get_name(), flag.get_id());
            }
            commands.extend(command.get_subcommands().cloned());
        }
    }
}
