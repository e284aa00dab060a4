//! Reading what landed in a topic.

use std::time::Duration;

use super::Admin;
use crate::{AdminError, ReadFrom, ReadMessage};

/// As the asynchronous [`ReaderBuilder`](crate::ReaderBuilder). [`open`](Self::open) makes the
/// reader.
#[derive(Clone, Debug)]
#[must_use = "nothing is read until it is opened"]
pub struct ReaderBuilder {
    builder: crate::ReaderBuilder,
    admin: Admin,
}

impl ReaderBuilder {
    pub(super) fn new(builder: crate::ReaderBuilder, admin: Admin) -> Self {
        Self { builder, admin }
    }

    /// Where to start. Default: [`ReadFrom::Start`].
    pub fn from(self, from: ReadFrom) -> Self {
        Self { builder: self.builder.from(from), ..self }
    }

    /// Ends where the queues end when the reader is opened.
    pub fn until_now(self) -> Self {
        Self { builder: self.builder.until_now(), ..self }
    }

    /// Reads only messages with this tag; given several times, with any of these.
    pub fn tag(self, tag: impl Into<String>) -> Self {
        Self { builder: self.builder.tag(tag), ..self }
    }

    /// How long a queue may fail to be read before [`next`](Reader::next) says so. Default: 30 s.
    pub fn patience(self, patience: Duration) -> Self {
        Self { builder: self.builder.patience(patience), ..self }
    }

    /// Has [`open`](Self::open) wait for a topic that does not exist yet: see
    /// [`wait_for_topic`](crate::ReaderBuilder::wait_for_topic) of the asynchronous builder.
    pub fn wait_for_topic(self) -> Self {
        Self { builder: self.builder.wait_for_topic(), ..self }
    }

    /// Opens the reader.
    ///
    /// # Errors
    /// See [`open`](crate::ReaderBuilder::open) of the asynchronous builder.
    pub fn open(self) -> Result<Reader, AdminError> {
        let reader = self.admin.wait(self.builder.open())?;
        Ok(Reader { reader, admin: self.admin })
    }
}

/// As the asynchronous [`Reader`](crate::Reader), with a [`next`](Self::next) that waits.
#[derive(Debug)]
pub struct Reader {
    reader: crate::Reader,
    admin: Admin,
}

impl Reader {
    /// The next message, as soon as there is one; `None` once
    /// [`until_now`](ReaderBuilder::until_now) is reached.
    ///
    /// # Errors
    /// See [`next`](crate::Reader::next) of the asynchronous reader. An error does not end the
    /// reader: call `next` again, and it goes on where it was.
    // No iterator: after an error and after a message it goes on, which `for` would not tell.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<ReadMessage>, AdminError> {
        self.admin.wait(self.reader.next())
    }

    /// The admin that the reader came from.
    pub fn admin(&self) -> &Admin {
        &self.admin
    }
}
