//! How the program ends: the table of exit codes, and what is said when a command fails.

use std::process::ExitCode;

use posthaste::{ErrorKind, Message, Outcome, SendError};

use crate::advice;

/// The exit codes. Scripts rely on them: a code keeps its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything that was asked for was done.
    Done = 0,
    /// The command failed, and certainly nothing was stored.
    Failed = 1,
    /// Usage, configuration, or an input that cannot be read or is not valid.
    Usage = 2,
    /// No name server, no route, or no broker.
    Unreachable = 3,
    /// At least one message unknown, or something stored and something not: messages, bad lines,
    /// receipts that could not be written.
    Partial = 4,
    /// Refused: permission, signature, topic rules.
    Refused = 5,
    /// Interrupted by a signal.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl Exit {
    /// The code for a run that failed for this reason, with nothing stored.
    pub(crate) fn of(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Invalid => Self::Usage,
            ErrorKind::NoRoute
            | ErrorKind::NoTopic
            | ErrorKind::NoWritableQueue
            | ErrorKind::Connect
            | ErrorKind::Tls
            | ErrorKind::Untrusted => Self::Unreachable,
            ErrorKind::Denied | ErrorKind::Rejected(_) => Self::Refused,
            _ => Self::Failed,
        }
    }
}

/// Why a command failed, for people and for scripts.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// One word, for the JSON line.
    pub(crate) kind: &'static str,
    /// One line.
    pub(crate) message: String,
    /// What to do about it, a line each.
    pub(crate) help: Vec<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, kind: &'static str, message: impl Into<String>) -> Self {
        Self { exit, kind, message: message.into(), help: Vec::new() }
    }

    /// A message failed, and the command with it.
    pub(crate) fn of_send(error: &SendError) -> Self {
        let exit = match error.outcome() {
            Outcome::NotStored => Exit::of(error.kind()),
            Outcome::Unknown => Exit::Partial,
        };
        let kind = error.kind().as_str();
        Self { help: advice::of_send(error), ..Self::new(exit, kind, reason(error)) }
    }

    /// Something in the command line or its environment.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "usage", message)
    }

    #[must_use]
    pub(crate) fn help(mut self, line: impl Into<String>) -> Self {
        self.help.push(line.into());
        self
    }
}

/// Why a message failed, in one line.
pub(crate) fn reason(error: &SendError) -> String {
    let whole = format!("{error:#}");
    // What became of it stands in the advice.
    let prefix = format!("{}: ", error.outcome());
    whole.strip_prefix(&prefix).unwrap_or(&whole).to_owned()
}

/// Whether sending the same message again may end better, with nothing else changed.
pub(crate) fn retryable(kind: ErrorKind) -> bool {
    !matches!(
        kind,
        ErrorKind::Invalid
            | ErrorKind::NoTopic
            | ErrorKind::Tls
            | ErrorKind::Untrusted
            | ErrorKind::Denied
            | ErrorKind::Unsupported
            | ErrorKind::Rejected(_)
    )
}

/// The rule for topics, checked before a command asks anyone.
pub(crate) fn check_topic(topic: &str) -> Result<(), Failure> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '%' | '|');
    if (1..=127).contains(&topic.len()) && topic.chars().all(allowed) {
        return Ok(());
    }
    Err(Failure::new(Exit::Refused, "invalid", format!("{topic:?} is not a valid topic name"))
        .help("A topic has 1 to 127 characters of A-Z a-z 0-9 _ - % |"))
}

/// The rule for topics that are sent to: some belong to the broker.
pub(crate) fn check_topic_to_send(topic: &str) -> Result<(), Failure> {
    check_topic(topic)?;
    Message::check_topic(topic)
        .map_err(|why| Failure::new(Exit::Refused, "invalid", why).help("Choose another topic."))
}
