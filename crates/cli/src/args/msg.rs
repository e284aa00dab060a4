//! The flags of `posthaste msg`.

use std::time::SystemTime;

use clap::Subcommand;
use clap::builder::NonEmptyStringValueParser;

use crate::value;

/// `posthaste msg`
#[derive(Debug, Subcommand)]
pub(crate) enum Msg {
    /// Show a message with everything that is known of it
    Get(MsgGet),
    /// Find the messages that have a key
    Find(MsgFind),
}

/// `posthaste msg get`
#[derive(Debug, clap::Args)]
#[command(after_help = "\
By the id that `send` prints, and the body alone, into file f:
  posthaste msg get 7F00000100002A9F00000000000000A1 --topic orders
  posthaste msg get 7F00000100002A9F00000000000000A1 --topic orders --body > f
A message that was stored again after an attempt with an unknown end is shown
once for each copy.

Exit codes:
  0    found
  1    failed: there is no such message (any more), or no answer in time
  2    usage: this is no id
  3    unreachable: no name server, no topic, no broker
  5    refused: permission, signature")]
pub(crate) struct MsgGet {
    /// Id of the message: msg_id (with --topic), or offset_msg_id
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) id: String,

    /// Topic of the message; only offset_msg_id can be found without it
    #[arg(long, value_name = "TOPIC")]
    pub(crate) topic: Option<String>,

    /// Write the body alone, byte for byte
    #[arg(long)]
    pub(crate) body: bool,
}

/// `posthaste msg find`
#[derive(Debug, clap::Args)]
#[command(after_help = "\
  posthaste msg find orders --key order-42 --since 1h30m
  posthaste msg find orders --key order-42 --since 2026-11-30T14:00 --until 2d
A broker gives the newest 64 messages that have the key at most, and finds a
message a moment after it was stored.

Exit codes:
  0    found
  1    failed: there is no such message (any more), or no answer in time
  2    usage
  3    unreachable: no name server, no topic, no broker
  5    refused: permission, signature")]
pub(crate) struct MsgFind {
    /// Topic to search
    pub(crate) topic: String,

    /// Key that the messages have
    #[arg(short, long, value_name = "KEY", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) key: String,

    /// Only messages stored since then: 1h30m (ago), 2d, or a date with or without time and zone
    #[arg(long, value_name = "TIME", value_parser = value::time)]
    pub(crate) since: Option<SystemTime>,

    /// Only messages stored until then, written like --since
    #[arg(long, value_name = "TIME", value_parser = value::time)]
    pub(crate) until: Option<SystemTime>,

    /// Only messages with this tag
    #[arg(long, value_name = "TAG", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) tag: Option<String>,
}
