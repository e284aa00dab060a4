//! The flags of `posthaste doctor`.

/// `posthaste doctor`
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes:
  0    healthy; there may be notes
  1    something is wrong: each FAIL line says what, and what to do about it
  2    nothing was checked: wrong options, or a file that cannot be read

Nothing is changed: no topic is created, and nothing is sent without --send.
The run takes at most three times --timeout.

Examples:
  posthaste -n mq.example.org:9876 doctor
  posthaste doctor Orders --send")]
pub(crate) struct Doctor {
    /// Topic that you want to send to
    pub(crate) topic: Option<String>,

    /// Send a test message to the topic, with the tag posthaste-doctor; also compares the broker's
    /// clock with this machine's
    #[arg(long, requires = "topic")]
    pub(crate) send: bool,
}
