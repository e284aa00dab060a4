//! The test kit: what tests and tools ask of a running broker.
//!
//! Each question goes to the engine's thread, as requests do, and is answered between two turns. No
//! question looks at more than 10,000 messages: a longer one is asked in pieces, and clients are
//! served in between. None needs a timer or a second thread of the runtime.

mod change;
mod clients;
mod cluster;
mod error;
mod message;
mod outage;
mod page;
mod put;
mod topics;
mod wait;
mod wire;

pub use change::{Decision, Undecided};
pub use clients::{ClientInfo, GroupInfo};
pub use cluster::{Cluster, ClusterBuilder};
pub use error::KitError;
pub use message::{StoredMessage, WaitsFor};
pub use page::{Page, PageOf, Position, PositionError};
pub use put::{NewMessage, PutMessage};
pub use topics::{QueueInfo, TopicInfo};
pub use wait::NotArrived;
pub use wire::WireConnection;

use self::message::Found;
use crate::broker::BrokerHandle;

/// How many messages one question asks for where all are wanted.
const ALL_AT_ONCE: usize = 1_000;

impl BrokerHandle {
    /// All messages of a topic that consumers can see, in the order in which they were stored;
    /// the messages of one queue always in its order. A topic that does not exist has none.
    ///
    /// A delayed message is there once it is delivered, a half message once it is committed. For
    /// large topics, ask for a [`page`](Self::page).
    ///
    /// # Errors
    /// [`KitError::Stopped`], and [`KitError::Unreadable`] of a damaged data folder.
    pub async fn messages(&self, topic: &str) -> Result<Vec<StoredMessage>, KitError> {
        let mut messages = Vec::new();
        let mut of = PageOf::topic(topic).count(ALL_AT_ONCE);
        loop {
            let page = self.page(of.clone()).await?;
            messages.extend(page.messages);
            if page.is_end {
                return Ok(messages);
            }
            of = of.from(page.next);
        }
    }

    /// Some messages of a topic, and where they end. Looks at no more than 10,000, so a page of a
    /// search may be empty before the end: see [`Page::is_end`].
    ///
    /// # Errors
    /// As [`messages`](Self::messages).
    pub async fn page(&self, of: PageOf) -> Result<Page, KitError> {
        let found = self.ask(move |engine, _, _| page::read(engine, &of)).await?;
        Ok(found?.into_page())
    }

    /// The message with this id: its offset id (the broker's), or its unique id (the producer's), of
    /// which the newest message that has it is found. `None` when there is no such message.
    ///
    /// Unique ids have no index: every topic is read until the message is found, first the topics of
    /// applications, then the topics where messages wait.
    ///
    /// # Errors
    /// As [`messages`](Self::messages).
    pub async fn message(&self, id: &str) -> Result<Option<StoredMessage>, KitError> {
        let found = self.message_at(id).await?;
        if found.is_some() {
            return Ok(found);
        }
        let mut topics = self.ask(|engine, _, _| topics::names(engine)).await?;
        topics.sort_by_key(|(_, is_system)| *is_system);
        for (topic, _) in topics {
            let mut of = PageOf::topic(topic).unique_id(id).newest_first().count(1);
            loop {
                let page = self.page(of.clone()).await?;
                if let Some(message) = page.messages.into_iter().next() {
                    return Ok(Some(message));
                }
                if page.is_end {
                    break;
                }
                of = of.from(page.next);
            }
        }
        Ok(None)
    }

    /// The message with this offset id, which says where it lies: nothing is searched.
    ///
    /// # Errors
    /// As [`messages`](Self::messages).
    pub async fn message_at(&self, offset_id: &str) -> Result<Option<StoredMessage>, KitError> {
        let wanted = offset_id.to_owned();
        let found = self.ask(move |engine, _, _| page::by_offset_id(engine, &wanted)).await?;
        Ok(found?.map(Found::into_message))
    }

    /// All topics by name, the system's among them: see [`TopicInfo::is_system`].
    ///
    /// # Errors
    /// [`KitError::Stopped`].
    pub async fn topics(&self) -> Result<Vec<TopicInfo>, KitError> {
        let mut topics = Vec::new();
        let mut from = Some(0);
        while let Some(first) = from {
            let (some, next) = self.ask(move |engine, _, _| topics::some(engine, first)).await?;
            topics.extend(some);
            from = next;
        }
        topics.sort_by(|a: &TopicInfo, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    /// Every open connection, the oldest first. A client has several: one to the name server, and one
    /// or more to the broker; only on the latter its heartbeats say who it is.
    ///
    /// # Errors
    /// [`KitError::Stopped`].
    pub async fn clients(&self) -> Result<Vec<ClientInfo>, KitError> {
        Ok(self.ask(|engine, _, _| clients::clients(engine)).await?)
    }

    /// The producer groups that have a member, and all consumer groups, by name.
    ///
    /// # Errors
    /// [`KitError::Stopped`].
    pub async fn groups(&self) -> Result<Vec<GroupInfo>, KitError> {
        Ok(self.ask(|engine, _, _| clients::groups(engine)).await?)
    }
}
