//! Waiting for messages, and what is said when they do not come.

use std::fmt;
use std::time::{Duration, Instant};

use crate::broker::BrokerHandle;
use crate::engine::watchers::Watcher;
use crate::engine::{Engine, Millis};
use crate::kit::error::KitError;
use crate::kit::message::StoredMessage;
use crate::kit::page::{self, FoundPage, PageOf};
use crate::kit::topics;
use crate::store::StoreError;
use tokio::sync::oneshot;

/// How many of the messages that did arrive are shown.
const SHOWN: usize = 20;
/// How much of a body is shown.
const SHOWN_OF_BODY: usize = 60;
/// How alike names are that one may be mistaken for (Jaro-Winkler, 0 to 1).
const ALIKE: f64 = 0.85;
/// How many of these topics are named.
const MOST_ALIKE: usize = 5;

/// The error of a wait in vain: fewer messages arrived than were awaited.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotArrived {
    /// The topic.
    pub topic: String,
    /// How many messages were awaited.
    pub wanted: usize,
    /// How long they were awaited.
    pub timeout: Duration,
    /// How many messages the topic has.
    pub arrived: u64,
    /// The newest of its messages, at most 20, the oldest first.
    pub newest: Vec<StoredMessage>,
    /// Whether the topic exists.
    pub exists: bool,
    /// Topics that look alike first, then the other topics of applications that have messages; at most
    /// five, each with the number of its messages.
    pub others: Vec<(String, u64)>,
    /// How many messages wait for their time, of all topics.
    pub delayed: u64,
    /// How many half messages wait for a decision, of all topics.
    pub undecided: u64,
    /// The broker's fault rules that have hit requests, in words, and how many each has hit.
    pub faults: Vec<(String, u64)>,
    /// Whether the tokio clock stands still, so that it was not waited at all.
    pub is_clock_paused: bool,
}

impl BrokerHandle {
    /// Waits until a topic has at least `count` messages that consumers can see; gives back all of
    /// them, as [`messages`](Self::messages) does.
    ///
    /// A delayed message counts once it is delivered (see [`deliver_now`](Self::deliver_now)), a half
    /// message once it is committed; a dropped or [cleared](Self::clear) one no longer counts. The
    /// broker's thread keeps the time, in real time. With a paused tokio clock (`start_paused`) it
    /// does not wait: missing messages are an error at once, because time-outs of clients fire at once
    /// then.
    ///
    /// # Errors
    /// [`KitError::NotArrived`], which says what did arrive; else as [`messages`](Self::messages).
    pub async fn wait_for(
        &self,
        topic: &str,
        count: usize,
        timeout: Duration,
    ) -> Result<Vec<StoredMessage>, KitError> {
        let is_clock_paused = is_clock_paused();
        let waits = if is_clock_paused { Duration::ZERO } else { timeout };
        let (tell, told) = oneshot::channel();
        let watched = topic.to_owned();
        self.ask(move |engine, now, _| {
            let waits = Millis::try_from(waits.as_millis()).unwrap_or(Millis::MAX);
            engine.watch(Watcher {
                topic: watched,
                wanted: count as u64,
                deadline: now.saturating_add(waits),
                tell: Box::new(move || {
                    let _ = tell.send(());
                }),
            });
        })
        .await?;
        told.await.map_err(|_| self.stopped())?;
        let messages = self.messages(topic).await?;
        if messages.len() >= count {
            return Ok(messages);
        }
        let name = topic.to_owned();
        let found = self.ask(move |engine, _, _| Seen::of(engine, &name)).await?;
        let seen = found?;
        let mut newest = seen.newest.into_page().messages;
        newest.reverse();
        Err(KitError::NotArrived(Box::new(NotArrived {
            topic: topic.to_owned(),
            wanted: count,
            timeout,
            arrived: seen.arrived,
            newest,
            exists: seen.exists,
            others: seen.others,
            delayed: seen.delayed,
            undecided: seen.undecided,
            faults: self.faults_that_hit(),
            is_clock_paused,
        })))
    }

    fn faults_that_hit(&self) -> Vec<(String, u64)> {
        let rules = self.faults().into_iter().filter(|rule| rule.hits() > 0);
        rules.map(|rule| (rule.fault().to_string(), rule.hits())).collect()
    }
}

/// Whether tokio's clock stands still: real time passes, and its own does not.
fn is_clock_paused() -> bool {
    let (real, tokios) = (Instant::now(), tokio::time::Instant::now());
    while real.elapsed() < Duration::from_micros(50) {
        std::hint::spin_loop();
    }
    tokios.elapsed() == Duration::ZERO
}

/// What the engine knows of a topic in which too little has arrived.
struct Seen {
    newest: FoundPage,
    arrived: u64,
    exists: bool,
    others: Vec<(String, u64)>,
    delayed: u64,
    undecided: u64,
}

impl Seen {
    fn of(engine: &Engine, topic: &str) -> Result<Self, StoreError> {
        let of = PageOf::topic(topic).newest_first().count(SHOWN);
        Ok(Self {
            newest: page::read(engine, &of)?,
            arrived: engine.messages_in(topic),
            exists: engine.topics.get(topic).is_some(),
            others: others(engine, topic),
            delayed: engine.delayed(),
            undecided: engine.halves.len() as u64,
        })
    }
}

/// Topics that may have been meant: those with a name like it first.
fn others(engine: &Engine, topic: &str) -> Vec<(String, u64)> {
    let likeness = |name: &str| strsim::jaro_winkler(name, topic);
    let mut alike: Vec<_> = topics::names(engine)
        .into_iter()
        .filter(|(name, is_system)| name != topic && !is_system)
        .map(|(name, _)| (likeness(&name), engine.messages_in(&name), name))
        .filter(|(likeness, messages, _)| *likeness >= ALIKE || *messages > 0)
        .collect();
    alike.sort_by(|(a, ..), (b, ..)| b.total_cmp(a));
    alike.into_iter().take(MOST_ALIKE).map(|(_, messages, name)| (name, messages)).collect()
}

impl fmt::Display for NotArrived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, wanted, timeout, arrived, .. } = self;
        write!(f, "topic `{topic}` has {arrived} of the {wanted} messages awaited")?;
        match self.is_clock_paused {
            true => f.write_str(
                "; it was not waited for more, because the tokio clock is paused (start_paused): \
                 run the test in real time",
            )?,
            false => write!(f, " after {timeout:?}")?,
        }
        if !self.exists {
            f.write_str("; there is no such topic")?;
        }
        if !self.others.is_empty() {
            f.write_str("; other topics:")?;
            for (name, messages) in &self.others {
                write!(f, " `{name}` ({messages})")?;
            }
        }
        if self.delayed > 0 {
            write!(f, "; delayed messages that wait: {}", self.delayed)?;
        }
        if self.undecided > 0 {
            write!(f, "; half messages without a decision: {}", self.undecided)?;
        }
        if !self.faults.is_empty() {
            f.write_str("; fault rules that have hit requests:")?;
            for (rule, hits) in &self.faults {
                write!(f, " `{rule}` ({hits})")?;
            }
        }
        if !self.newest.is_empty() {
            f.write_str("; arrived:")?;
        }
        for message in &self.newest {
            let StoredMessage { queue, offset, .. } = message;
            write!(f, "\n  queue {queue}, offset {offset}")?;
            if let Some(tag) = &message.tag {
                write!(f, ", tag {tag}")?;
            }
            if !message.keys.is_empty() {
                write!(f, ", keys {}", message.keys.join(" "))?;
            }
            match message.text() {
                Some(text) => write!(f, ": {:?}", shortened(text))?,
                None => write!(f, ": {} bytes", message.body.len())?,
            }
        }
        Ok(())
    }
}

fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(SHOWN_OF_BODY).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
