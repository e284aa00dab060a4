//! `posthaste tail`: the messages of a topic, and new ones as they are stored.

use std::io::IsTerminal;
use std::pin::pin;
use std::time::Duration;

use posthaste::{Admin, AdminError, ReadFrom, ReadMessage, Reader};

use crate::args::{self, Format, From, Global};
use crate::cluster;
use crate::envelope::Stored;
use crate::exit::{Exit, Failure, check_topic};
use crate::interrupt::Interrupt;
use crate::output::{Stdout, message_line};
use crate::stderr::Stderr;

/// How long a topic that does not exist is left alone before it is looked up again.
const LOOK_AGAIN: Duration = Duration::from_millis(300);

/// Runs the command.
pub(crate) async fn run(global: &Global, args: &args::Tail) -> Result<Exit, Failure> {
    check_topic(&args.topic)?;
    let mut interrupt = Interrupt::listen(1)?;
    let mut tail = Tail {
        args,
        format: global.output,
        stdout: Stdout::new(),
        stderr: Stderr::new(global),
        shown: 0,
        unreadable: 0,
        trouble: String::new(),
    };
    let ended = tokio::select! {
        biased;
        () = interrupt.next() => Ok(Exit::Interrupted),
        ended = tail.run(global) => ended,
    };
    tail.stdout.finish()?;
    ended
}

/// What is shown of a topic.
struct Tail<'a> {
    args: &'a args::Tail,
    format: Format,
    stdout: Stdout,
    stderr: Stderr,
    shown: u64,
    /// Messages that were there and could not be decoded.
    unreadable: u64,
    /// What was last complained about.
    trouble: String,
}

impl Tail<'_> {
    async fn run(&mut self, global: &Global) -> Result<Exit, Failure> {
        let admin = cluster::admin(global).await?;
        let mut reader = self.open(&admin, global).await?;
        let follows = self.args.until.is_none();
        if follows && (global.verbose > 0 || std::io::stderr().is_terminal()) {
            self.stderr.note(&format!("following {}; Ctrl-C ends", self.args.topic));
        }
        while self.stdout.is_open() && self.args.count.is_none_or(|count| self.shown < count) {
            match self.next(&mut reader).await {
                Ok(Some(message)) => self.show(&message),
                Ok(None) => break,
                Err(AdminError::Protocol { address, reason }) => {
                    self.unreadable += 1;
                    self.stderr
                        .error(&format!("a message from {address} cannot be read: {reason}"));
                }
                Err(
                    error @ (AdminError::Unreachable(_)
                    | AdminError::Timeout(_)
                    | AdminError::NoTopic { .. }),
                ) if follows => {
                    self.complain(&error);
                }
                Err(error) => return Err(cluster::failure(&error)),
            }
        }
        Ok(if self.unreadable > 0 { Exit::Failed } else { Exit::Done })
    }

    /// Opens the topic; while following, waits for one that does not exist yet.
    async fn open(&mut self, admin: &Admin, global: &Global) -> Result<Reader, Failure> {
        let mut from = match self.args.from {
            From::Start => ReadFrom::Start,
            From::End => ReadFrom::End,
        };
        loop {
            match self.try_to_open(admin, from, global).await {
                Ok(reader) => return Ok(reader),
                Err(error @ AdminError::NoTopic { .. }) if self.args.until.is_none() => {
                    // All messages that it will have are new.
                    from = ReadFrom::Start;
                    self.say_that_it_waits(&error);
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
                // The topic was checked before: it is the tag.
                Err(AdminError::Invalid(why)) => return Err(Failure::usage(why)),
                Err(error) => return Err(cluster::failure(&error)),
            }
        }
    }

    async fn try_to_open(
        &self,
        admin: &Admin,
        from: ReadFrom,
        global: &Global,
    ) -> Result<Reader, AdminError> {
        let mut reader = admin.reader(self.args.topic.as_str()).from(from).patience(global.timeout);
        if let Some(tag) = &self.args.tag {
            reader = reader.tag(tag.as_str());
        }
        if self.args.until.is_some() {
            reader = reader.until_now();
        }
        reader.open().await
    }

    /// The next message. Writes out what waits when that takes a while.
    async fn next(&mut self, reader: &mut Reader) -> Result<Option<ReadMessage>, AdminError> {
        let mut next = pin!(reader.next());
        loop {
            let flush_at = self.stdout.flush_soon();
            tokio::select! {
                biased;
                message = &mut next => return message,
                () = sleep_until(flush_at), if flush_at.is_some() => {}
            }
        }
    }

    /// Says that the topic is missing, once.
    fn say_that_it_waits(&mut self, error: &AdminError) {
        let trouble = error.to_string();
        if trouble != self.trouble {
            self.stderr
                .note(&format!("topic {} does not exist yet; waiting for it", self.args.topic));
            self.trouble = trouble;
        }
    }

    /// Says what is wrong, once for as long as it stays the same: the reader goes on trying.
    fn complain(&mut self, error: &AdminError) {
        let trouble = error.to_string();
        if trouble != self.trouble {
            self.stderr.warning(&format!("{trouble}; still trying"));
            self.trouble = trouble;
        }
    }

    fn show(&mut self, message: &ReadMessage) {
        self.trouble.clear();
        if self.args.key.as_deref().is_some_and(|wanted| message.keys().all(|key| key != wanted)) {
            return;
        }
        self.shown += 1;
        match self.format {
            Format::Text => self.stdout.line(format_args!("{}", message_line(message))),
            Format::Json => self.stdout.json(&Stored::of("tail", message)),
        }
    }
}

async fn sleep_until(instant: Option<tokio::time::Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
