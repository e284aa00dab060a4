//! Settings of a reader, and how it starts.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use posthaste_protocol::request::TopicRoute;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::puller::{NO_END, Range};
use super::queues::{self, Home, Homes};
use super::supervisor::{Plan, Supervisor};
use super::{PulledBatch, Reader};
use crate::admin::max_offset_of;
use crate::client::Client;
use crate::{Admin, AdminError, MessageQueue};

/// Batches that are pulled and wait to be taken, beside the batch that each queue holds.
const BATCHES: usize = 4;

/// How often a topic that does not exist yet is looked for.
const TOPIC_PAUSE: Duration = Duration::from_millis(500);

/// Where a reader starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ReadFrom {
    /// With the oldest message that each queue still has.
    #[default]
    Start,
    /// With the next message that is stored.
    End,
}

/// Settings of a [`Reader`]. [`open`](Self::open) makes it.
#[derive(Debug, Clone)]
#[must_use = "nothing is read until it is opened"]
pub struct ReaderBuilder {
    admin: Admin,
    topic: String,
    from: ReadFrom,
    until_now: bool,
    tags: HashSet<String>,
    patience: Duration,
    waits_for_topic: bool,
}

impl Admin {
    /// Settings of a reader of `topic`, which sees the messages stored there.
    pub fn reader(&self, topic: impl Into<String>) -> ReaderBuilder {
        ReaderBuilder::new(self.clone(), topic.into())
    }
}

impl ReaderBuilder {
    pub(crate) fn new(admin: Admin, topic: String) -> Self {
        Self {
            admin,
            topic,
            from: ReadFrom::Start,
            until_now: false,
            tags: HashSet::new(),
            patience: Duration::from_secs(30),
            waits_for_topic: false,
        }
    }

    /// Where to start. Default: [`ReadFrom::Start`].
    pub fn from(mut self, from: ReadFrom) -> Self {
        self.from = from;
        self
    }

    /// Ends where the queues end when the reader is opened: [`next`](Reader::next) gives `None`
    /// then. By default the reader goes on with new messages.
    pub fn until_now(mut self) -> Self {
        self.until_now = true;
        self
    }

    /// Reads only messages with this tag; given several times, messages with any of these tags.
    /// Default: all messages. The broker filters, so other messages do not travel.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.insert(tag.into());
        self
    }

    /// How long a queue may fail to be read before [`next`](Reader::next) says so; it says so again
    /// each time after as long. Default: 30 s. If it is too short, a broker's restart causes an
    /// error.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Makes [`open`](Self::open) wait for a topic that does not exist yet, without a limit; put a
    /// time-out around it, or drop its future. By default `open` fails with
    /// [`AdminError::NoTopic`].
    ///
    /// If the reader waited for the topic, it reads all its messages, wherever it was to start.
    /// While it waits, servers that are unreachable for less than the [`patience`](Self::patience)
    /// cause no error.
    pub fn wait_for_topic(mut self) -> Self {
        self.waits_for_topic = true;
        self
    }

    /// Opens the reader: looks up the queues and, unless it starts with the oldest messages and
    /// follows, their ends. Messages stored after this has returned are read in any case.
    ///
    /// # Errors
    /// [`AdminError::NoTopic`] when there is no such topic yet, unless it is
    /// [waited for](Self::wait_for_topic), [`AdminError::Denied`] when it may
    /// not be read, [`AdminError::Invalid`] for a tag that no message can have, and the errors that keep
    /// a server from answering within the admin's deadline.
    ///
    /// # Cancellation
    /// Dropping the future leaves nothing behind.
    pub async fn open(mut self) -> Result<Reader, AdminError> {
        check_tags(&self.tags)?;
        let client = self.admin.client()?.clone();
        let opened_at = SystemTime::now();
        let (document, deadline) = self.find_topic().await?;
        let queues = queues::readable(&self.topic, &document);
        if queues.is_empty() {
            return Err(AdminError::Denied {
                address: "the name server".into(),
                remark: format!("topic {} has no queue that may be read", self.topic),
            });
        }
        let homes = queues::homes(&client, &queues, &document, &Homes::default());
        let ranges = self.ranges(queues, &homes, deadline).await?;
        let tags = Arc::new(self.tags);
        let plan = Plan {
            topic: self.topic,
            from_end: (self.from == ReadFrom::End).then_some(opened_at),
            until_now: self.until_now,
            tags: tags.clone(),
            patience: self.patience,
        };
        let (sender, pulled) = mpsc::channel(BATCHES);
        Ok(Reader {
            admin: self.admin,
            pulled,
            batch: PulledBatch::none(),
            tags,
            ended: false,
            closed: false,
            _ends_the_tasks: start(&client, Supervisor::new(&client, plan, homes, sender), ranges),
        })
    }

    /// The topic's route, and the time until when all else has to be there; waits for the topic if it
    /// is to be waited for.
    async fn find_topic(&mut self) -> Result<(TopicRoute, Instant), AdminError> {
        let mut answered = None;
        loop {
            let deadline = self.admin.deadline();
            let error = match self.admin.route(&self.topic, deadline).await {
                Ok(document) => {
                    if answered.is_some() {
                        // All that it has has landed since.
                        self.from = ReadFrom::Start;
                    }
                    return Ok((document, deadline));
                }
                Err(error) => error,
            };
            match (&error, answered) {
                (AdminError::NoTopic { .. }, _) if self.waits_for_topic => {
                    answered = Some(Instant::now());
                }
                (_, Some(at)) if error.is_passing() && at.elapsed() < self.patience => {}
                _ => return Err(error),
            }
            tokio::time::sleep(TOPIC_PAUSE).await;
        }
    }

    /// What is to be read of each queue.
    async fn ranges(
        &self,
        queues: Vec<MessageQueue>,
        homes: &Homes,
        deadline: Instant,
    ) -> Result<Vec<(MessageQueue, Range)>, AdminError> {
        if self.from == ReadFrom::Start && !self.until_now {
            // The broker says where the oldest message is when it is asked for one before.
            let all = Range { offset: 0, until: NO_END };
            return Ok(queues.into_iter().map(|queue| (queue, all)).collect());
        }
        let mut asked = JoinSet::new();
        for queue in queues {
            let home = homes.get(&queue).cloned();
            asked.spawn(async move {
                let end = end_of(&queue, home, deadline).await;
                end.map(|end| (queue, end))
            });
        }
        let mut ranges = Vec::new();
        while let Some(answer) = asked.join_next().await {
            let answer = answer.map_err(|error| AdminError::Unreachable(error.to_string()))?;
            let (queue, end) = answer?;
            let offset = if self.from == ReadFrom::End { end } else { 0 };
            let until = if self.until_now { end } else { NO_END };
            ranges.push((queue, Range { offset, until }));
        }
        Ok(ranges)
    }
}

async fn end_of(
    queue: &MessageQueue,
    home: Option<Home>,
    deadline: Instant,
) -> Result<i64, AdminError> {
    let Some(Home { queue: wire, connection }) = home else {
        let broker = queue.broker();
        return Err(AdminError::Unreachable(format!("the route has no address of {broker}")));
    };
    let answer = connection.call(&max_offset_of(wire), deadline).await;
    match answer {
        Ok(answer) => Ok(answer.offset),
        Err(error) => Err(AdminError::of_call(error, queue.topic())),
    }
}

/// Starts the tasks on the producer's runtime; they end when the guard is dropped.
fn start(
    client: &Arc<Client>,
    supervisor: Supervisor,
    ranges: Vec<(MessageQueue, Range)>,
) -> DropGuard {
    let dropped = CancellationToken::new();
    let task = supervisor.run(ranges);
    let ended = dropped.clone();
    client.ledger.spawn(async move {
        tokio::select! {
            () = task => {}
            () = ended.cancelled() => {}
        }
    });
    dropped.drop_guard()
}

fn check_tags(tags: &HashSet<String>) -> Result<(), AdminError> {
    for tag in tags {
        if tag.is_empty() || tag.trim() != tag || tag.contains("||") {
            return Err(AdminError::Invalid(format!(
                "the tag {tag:?} finds no message: it is empty, has spaces around it, or contains \
                 `||`"
            )));
        }
    }
    Ok(())
}
