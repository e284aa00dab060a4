//! The message trace: where each stored message went, to be sent to a topic of the cluster in the
//! background (Java: `AsyncTraceDispatcher`).
//!
//! A separate producer sends it, so that it takes no room and no time from the traced messages.
//! Between them is a short queue, and what does not fit in there is dropped.

mod record;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) use self::record::{Parcel, Recalled, Record};
use crate::Receipt;
use crate::accepted::Accepted;
use crate::config::Config;
use crate::config::discovery::Discovery;
use crate::config::interceptor::TransactionEnd;
use crate::message::content::WireMessage;

/// Records that may wait to be sent.
pub(crate) const QUEUE: usize = 2048;
/// Called with the number of records that have been lost.
pub(crate) type Lost = Arc<dyn Fn(usize) + Send + Sync>;

pub(crate) struct Trace {
    /// Has the producer that sends it ask other name servers.
    discover: Box<dyn Fn(Discovery) + Send + Sync>,
    topic: Arc<str>,
    group: Arc<str>,
    lost: Lost,
    records: mpsc::Sender<Record>,
    /// Tells the task to send what is left by this time, and to end.
    close: Mutex<Option<oneshot::Sender<Instant>>>,
    /// Cancelled when it has ended.
    ended: CancellationToken,
}

/// Where the records come out.
pub(crate) struct Outlet {
    pub(crate) queue: mpsc::Receiver<Record>,
    /// By when all remaining records are to be sent.
    pub(crate) closing: oneshot::Receiver<Instant>,
    /// Dropped at the end of the task that sends the records; closing waits for that.
    pub(crate) ended: DropGuard,
}

impl Trace {
    /// A trace, and where its records come out for the producer that sends them: it is asked for by
    /// `discover` to use other name servers.
    pub(crate) fn new(
        config: &Config,
        lost: Lost,
        discover: Box<dyn Fn(Discovery) + Send + Sync>,
    ) -> (Self, Outlet) {
        let (records, queue) = mpsc::channel(QUEUE);
        let (close, closing) = oneshot::channel();
        let ended = CancellationToken::new();
        let outlet = Outlet { queue, closing, ended: ended.clone().drop_guard() };
        let trace = Self {
            discover,
            topic: config.trace_topic.clone(),
            group: config.own_group.clone(),
            lost,
            records,
            close: Mutex::new(Some(close)),
            ended,
        };
        (trace, outlet)
    }

    /// These name servers are asked from now on.
    pub(crate) fn discover(&self, discovery: Discovery) {
        (self.discover)(discovery);
    }

    /// A message was stored at the broker of this address.
    pub(crate) fn stored(
        &self,
        accepted: &Accepted,
        entry: WireMessage<'_>,
        receipt: &Receipt,
        address: &str,
    ) {
        self.put(entry.message.topic(), || {
            Record::of_stored(&self.group, accepted, entry, receipt, address)
        });
    }

    /// A transaction is about to end.
    pub(crate) fn transaction_ends(&self, end: &TransactionEnd<'_>) {
        self.put(end.topic, || Record::of_transaction_end(&self.group, end));
    }

    /// A broker has answered to a recall.
    pub(crate) fn recalled(&self, recalled: Recalled<'_>) {
        self.put(recalled.topic, || Record::of_recall(&self.group, recalled));
    }

    fn put(&self, topic: &str, record: impl FnOnce() -> Record) {
        if topic.starts_with(&*self.topic) {
            return;
        }
        match self.records.try_reserve() {
            Ok(place) => place.send(record()),
            Err(_) => (self.lost)(1),
        }
    }

    /// Sends what is left, until `deadline`.
    pub(crate) async fn close(&self, deadline: Instant) {
        let close = self.close.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(close) = close {
            // It fails when the runtime has ended the task.
            let _ = close.send(deadline);
        }
        self.ended.cancelled().await;
    }
}
