//! The flags of `posthaste recall`.

use clap::builder::NonEmptyStringValueParser;

/// `posthaste recall`
#[derive(Debug, clap::Args)]
#[command(after_help = "\
  posthaste send orders later --delay 1h -o json      (\"recall_handle\")
  posthaste recall HANDLE
The broker says yes once it has noted the request, even for a message that it
does not have. A message that is due within a second may be delivered
nevertheless. Brokers of 4.x take nothing back, and brokers of 5.x only where
recallMessageEnable=true is set.

Exit codes:
  0    the broker takes the message back
  1    failed
  2    usage: this is no handle
  3    unreachable: no name server, no topic, no broker
  4    no answer in time: it is unknown whether the message is taken back
  5    refused: too late, permission, or the broker takes nothing back")]
pub(crate) struct Recall {
    /// Handle of a message with a delivery time, as `send` prints it
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) handle: String,
}
