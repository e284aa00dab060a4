//! Every flag, defined once: parser, help and environment come from here.

mod bench;
mod context;
mod dev;
mod doctor;
mod fault;
mod flags;
mod global;
mod msg;
mod recall;

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Parser, Subcommand, ValueEnum};

pub(crate) use self::bench::{Bench, Comparison, Condition, Count, Figure, Load};
pub(crate) use self::context::{Context, ContextEdit};
pub(crate) use self::dev::{DEFAULT_HTTP, Dev, WhenFull};
pub(crate) use self::doctor::Doctor;
pub(crate) use self::fault::{Fault, FaultVerb, InspectorAt};
pub(crate) use self::flags::Flags;
pub(crate) use self::global::{Global, Secret, Servers, Socks, TlsMin, TlsSettings};
pub(crate) use self::msg::{Msg, MsgFind, MsgGet};
pub(crate) use self::recall::Recall;
use crate::value;

/// The table of exit codes, as [`Exit`](crate::exit::Exit) has it.
macro_rules! exit_codes {
    () => {
        "Exit codes:
  0    done: every message read was stored (or there was nothing to send)
  1    failed: the command failed, and certainly nothing was stored
  2    usage: wrong options, or an input that cannot be read or is not valid;
       nothing was stored
  3    unreachable: no name server, no route, no broker; nothing was stored
  4    partial: a message may have been stored (its end is unknown), or
       something was stored and something else failed: a message, an input
       line, or the writing of a receipt
  5    refused: permission, signature, rules for topics; nothing was stored
  130  interrupted"
    };
}

/// Send messages to Apache RocketMQ, read them back, and develop against a broker that needs
/// nothing installed.
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
    pub(crate) flags: Flags,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Text,
    /// One JSON object per line
    Json,
}

/// When to do something that suits terminals only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum When {
    /// On a terminal
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a name server and a broker in one process, for development
    Dev(Dev),
    /// Send messages: from the command line, from stdin line by line, or from files
    Send(Box<Send>),
    /// Show the messages of a topic, and new ones as they are stored
    Tail(Tail),
    /// Look at stored messages: one by its id, or those with a key
    #[command(subcommand)]
    Msg(Msg),
    /// Take back a message with a delivery time before it is delivered
    Recall(Recall),
    /// List, create, change, describe and delete topics
    #[command(subcommand)]
    Topic(Topic),
    /// Say why a cluster cannot be reached or sent to, and what to do about it
    Doctor(Doctor),
    /// Make a broker that runs misbehave on purpose, and stop that again
    Fault(Fault),
    /// Measure how many messages a cluster takes per second, and how long each send takes
    #[command(subcommand)]
    Bench(Bench),
    /// Keep clusters by name, with all that is needed to reach them
    #[command(subcommand)]
    Context(Context),
    /// Show in half a minute what a producer does, with nothing installed
    Demo,
    /// Print the script that makes a shell complete commands, flags and topics
    #[command(after_help = "\
bash:        source <(posthaste completions bash)     (in ~/.bashrc)
zsh:         source <(posthaste completions zsh)      (in ~/.zshrc)
fish:        posthaste completions fish | source       (in config.fish)
PowerShell:  posthaste completions powershell | Out-String | Invoke-Expression

Topics come from the cluster that -n, a context or the environment names. A
cluster that does not answer within a second has none, nor has one whose secret
a program would have to give.")]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write a manual page for each command into a folder
    #[command(after_help = "\
Read a page:     posthaste man /tmp/man && man -l /tmp/man/posthaste-send.1
Install pages:   posthaste man ~/.local/share/man/man1")]
    Man {
        /// The folder; it is made if it is not there
        folder: PathBuf,
    },
}

/// A shell that can complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    /// bash
    Bash,
    /// elvish
    Elvish,
    /// fish
    Fish,
    /// PowerShell
    Powershell,
    /// zsh
    Zsh,
}

impl Command {
    /// The command's name, as JSON lines spell it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Dev(_) => "dev",
            Self::Send(_) => "send",
            Self::Tail(_) => "tail",
            Self::Recall(_) => "recall",
            Self::Msg(Msg::Get(_)) => "msg get",
            Self::Msg(Msg::Find(_)) => "msg find",
            Self::Topic(Topic::List { .. }) => "topic list",
            Self::Topic(Topic::Create { .. }) => "topic create",
            Self::Topic(Topic::Update(_)) => "topic update",
            Self::Topic(Topic::Describe { .. }) => "topic describe",
            Self::Topic(Topic::Delete { .. }) => "topic delete",
            Self::Doctor(_) => "doctor",
            Self::Fault(fault) => match fault.verb {
                FaultVerb::Add { .. } => "fault add",
                FaultVerb::List => "fault list",
                FaultVerb::Wait { .. } => "fault wait",
                FaultVerb::Rm { .. } => "fault rm",
            },
            Self::Bench(bench) => bench.name(),
            Self::Context(context) => context.name(),
            Self::Demo => "demo",
            Self::Completions { .. } => "completions",
            Self::Man { .. } => "man",
        }
    }

    /// Whether the command goes to the cluster that contexts and the environment may name.
    pub(crate) fn goes_to_the_cluster(&self) -> bool {
        match self {
            Self::Send(_) | Self::Tail(_) | Self::Msg(_) | Self::Topic(_) => true,
            Self::Bench(_) | Self::Doctor(_) | Self::Recall(_) => true,
            Self::Context(context) => matches!(context, Context::Check { .. }),
            _ => false,
        }
    }
}

/// `posthaste send`
#[derive(Debug, clap::Args)]
#[command(after_help = concat!(exit_codes!(), "

Receipts go to stdout in the order of the input; everything else goes to stderr. If the reader of \
stdout exits (as in `| head`), sending goes on. Brokers keep the order of the input only among \
messages that share a value of --ordered-by.

The first Ctrl-C stops reading and waits for the messages in flight, up to --timeout. The second \
ends them at once; they still appear in the counts and in --failed-to. The third ends the program."
))]
pub(crate) struct Send {
    /// Topic to send to
    pub(crate) topic: String,

    /// Message bodies, one message each; without any, messages are read from stdin
    #[arg(value_name = "BODY")]
    pub(crate) bodies: Vec<String>,

    /// Key of each message (repeatable)
    #[arg(short, long = "key", value_name = "KEY", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) keys: Vec<String>,

    /// Split each record into key and body where this text first occurs
    #[arg(short = 'K', long, value_name = "TEXT", value_parser = clap::builder::ValueParser::new(value::delimiter), conflicts_with_all = ["json", "files"])]
    pub(crate) key_delim: Option<Delimiter>,

    /// Text that separates messages on stdin and in the -l file: plain, or with the escapes
    /// \n \r \t \0 \\ \xHH; for files from Windows \r\n
    #[arg(short = 'D', long, value_name = "TEXT", default_value = r"\n", value_parser = clap::builder::ValueParser::new(value::delimiter))]
    pub(crate) delim: Delimiter,

    /// Tag of each message
    #[arg(long, value_name = "TAG", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) tag: Option<String>,

    /// Property of each message (repeatable)
    #[arg(short = 'H', long = "header", value_name = "NAME=VALUE", value_parser = value::property)]
    pub(crate) properties: Vec<(String, String)>,

    /// Read each record as a JSON object, as `tail -o json` and --failed-to write them
    ///
    /// The object has "body", or "body_b64" for bytes that are not text. It may have "keys" (a
    /// list), "tag", "flag", "properties" (an object of texts), "priority", one of "ordered_by" and
    /// "to_queue" (BROKER:ID), and one of "delay_ms", "deliver_at" (milliseconds since 1970) and
    /// "delay_level". Fields that say where a message was ("topic", "broker", "queue", "offset" and
    /// the like) are ignored: the message goes to TOPIC. An unknown field is an error. The object's
    /// fields override the options, but --queue and --ordered-by override "ordered_by" and "to_queue".
    #[arg(long, conflicts_with = "files")]
    pub(crate) json: bool,

    /// Send this file as one message (repeatable); `-` is stdin
    ///
    /// If a file is missing, nothing is sent. With --on-error continue, the other files are.
    #[arg(short = 'F', long = "file", value_name = "PATH", conflicts_with_all = ["bodies", "lines"])]
    pub(crate) files: Vec<PathBuf>,

    /// Send the lines of this file, one message each
    #[arg(short = 'l', long = "lines", value_name = "PATH", conflicts_with = "bodies")]
    pub(crate) lines: Option<PathBuf>,

    /// Keep messages with the same value in order. `key` means the message's first key; another name
    /// means that property or, without it, that field of a JSON body
    #[arg(long, value_name = "key|FIELD", conflicts_with_all = ["queue", "oneway"], value_parser = NonEmptyStringValueParser::new())]
    pub(crate) ordered_by: Option<String>,

    /// Send to this queue only
    #[arg(long, value_name = "BROKER:ID", value_parser = value::queue)]
    pub(crate) queue: Option<(String, i32)>,

    /// Deliver each message this long after it is stored (brokers of 5.x; older ones deliver at
    /// once)
    #[arg(long, value_name = "DURATION", value_parser = value::duration, conflicts_with = "delay_level")]
    pub(crate) delay: Option<Duration>,

    /// Like --delay, for brokers of any version, by level: levels 1 to 18 mean 1s 5s 10s 30s 1m 2m 3m
    /// 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h, unless the broker is configured otherwise
    #[arg(long, value_name = "LEVEL", value_parser = clap::value_parser!(u8).range(1..=18))]
    pub(crate) delay_level: Option<u8>,

    /// How to compress bodies of 4 KiB and more; consumers older than 5.0 understand only zlib
    #[arg(short = 'z', long, value_name = "HOW", default_value = "zlib")]
    pub(crate) compression: Compression,

    /// With bodies on the command line: send them N times. Otherwise: stop after N messages
    #[arg(short = 'C', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,

    /// Send no faster than this: 500/s, 30/m
    #[arg(long, value_name = "RATE", value_parser = value::rate)]
    pub(crate) rate: Option<f64>,

    /// Messages that may be in flight (sent and not yet answered) at a time; fewer while answers
    /// are slow
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) in_flight: u32,

    /// Further attempts for a message that failed, within its --timeout
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub(crate) retries: u32,

    /// What to do after a failed message or an invalid input line
    #[arg(long, value_name = "WHAT", default_value = "stop")]
    pub(crate) on_error: OnError,

    /// Write undelivered messages to this file, as JSON lines for `send --json`, and invalid
    /// records unchanged
    #[arg(long, value_name = "FILE")]
    pub(crate) failed_to: Option<PathBuf>,

    /// Do not wait for answers: fast, but it stays unknown whether a message was stored
    #[arg(long)]
    pub(crate) oneway: bool,

    /// Copy the body of each stored message to stdout, in place of its receipt
    #[arg(long)]
    pub(crate) tee: bool,

    /// Read and check the input, show what would be sent, and send nothing
    #[arg(long, conflicts_with_all = ["oneway", "failed_to", "tee"])]
    pub(crate) dry_run: bool,

    /// Show progress on stderr
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(crate) progress: When,

    /// Exit 4 when a message was stored with less than the broker's full guarantee: not flushed to
    /// disk in time, or not copied to a slave
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

/// What to do after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnError {
    /// Read no further, and wait for the messages in flight
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

    /// Where to stop; without it, new messages are shown as they are stored
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
    /// With the oldest message that the broker still has
    Start,
    /// With the next message that is stored
    End,
}

/// Where reading stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Until {
    /// With the newest message at the time the command starts
    Now,
}

/// `posthaste topic`
#[derive(Debug, Subcommand)]
pub(crate) enum Topic {
    /// List the topics of the cluster
    List {
        /// Include the system's topics
        #[arg(short, long)]
        all: bool,
    },
    /// Create a topic on every broker that does not have it
    ///
    /// The topic is not changed on brokers that have it already: use `topic update` for that.
    Create {
        /// Name of the topic
        topic: String,
        /// Queues on each broker; without it, the topic_queues of the project file, else 8
        #[arg(long, value_name = "N", value_parser = queues())]
        queues: Option<u32>,
        /// Exit 0 when the topic exists already, with this many queues to read and to write
        #[arg(long)]
        if_not_exists: bool,
    },
    /// Change how many queues a topic has on each broker
    ///
    /// With fewer queues, consumers no longer reach the messages in the queues taken away. Such a
    /// change is refused unless --yes is given. To take queues away without loss, lower
    /// --write-queues first. When consumers have read the other queues, lower --queues, with --yes.
    #[command(group(clap::ArgGroup::new("change").required(true).multiple(true).args(["queues", "read_queues", "write_queues"])))]
    Update(TopicUpdate),
    /// Show a topic's queues, with the offsets of their messages
    Describe {
        /// Name of the topic
        topic: String,
    },
    /// Delete a topic, with all of its messages, on every broker
    ///
    /// On a terminal, the command says how many messages will be lost, and asks. Without a terminal
    /// it needs --yes. Brokers that create topics on their own create the topic again for the next
    /// message that is sent to it.
    Delete {
        /// Name of the topic
        topic: String,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
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
    /// Change the topic even if consumers then no longer reach some messages
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

    /// What does not fit is wrapped to the terminal, and so a line end of ours breaks a sentence: 80
    /// columns have to be enough, or a paragraph is a single line.
    #[test]
    fn what_follows_the_options_breaks_well() {
        let mut commands = vec![Args::command()];
        while let Some(command) = commands.pop() {
            let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            for paragraph in text.split("\n\n").filter(|paragraph| paragraph.contains('\n')) {
                for line in paragraph.lines() {
                    assert!(line.chars().count() <= 80, "{}: {line}", command.get_name());
                }
            }
            commands.extend(command.get_subcommands().cloned());
        }
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
