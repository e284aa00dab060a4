//! Transactions: a half message that consumers see once it is committed.

mod error;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use posthaste_protocol::id::OffsetId;
use posthaste_protocol::request::EndTransaction;

pub use error::TransactionError;

use crate::client::Client;
use crate::config::interceptor::TransactionEnd;
use crate::connection::answer;
use crate::connection::target::Target;
use crate::connection::{CallError, Connection};
use crate::ledger::Phase;
use crate::message::Part;
use crate::{
    ErrorKind, Message, Outcome, Producer, Receipt, SendError, SendStatus, TransactionState,
};

/// Pause before a broker that could not be reached is tried again.
const PAUSE: Duration = Duration::from_millis(100);

/// A transaction that has begun: its half message is stored, and no consumer sees it.
///
/// Made by [`Producer::begin`]. [`commit`](Self::commit) or [`rollback`](Self::rollback) ends it.
/// If it is dropped undecided, also by a panic, it stays open: after a while (6 s,
/// [`Message::first_check_after`]) the broker asks a member of the producer group what became of
/// it, every 30 s (4.x: 60 s) and at most 15 times, and that member's
/// [`transaction_checker`](crate::ProducerBuilder::transaction_checker) decides. So a transaction
/// outlives the process that began it.
#[must_use = "dropped undecided, it is left to the transaction checker"]
pub struct Transaction {
    producer: Producer,
    half: Half,
    timeout: Duration,
}

/// A half message that is stored.
struct Half {
    topic: Arc<str>,
    receipt: Receipt,
    tag: Option<String>,
    /// As they travel.
    keys: Option<String>,
}

impl Half {
    fn new(message: &Message, receipt: Receipt) -> Self {
        let keys = message.key_texts();
        Self {
            topic: message.topic_arc().clone(),
            receipt,
            tag: message.tag_text().map(str::to_owned),
            keys: (!keys.is_empty()).then(|| keys.join(" ")),
        }
    }
}

impl Transaction {
    /// The unique id of the message; the checker and consumers see the same.
    pub fn message_id(&self) -> &str {
        self.half.receipt.message_id()
    }

    /// Where the half message is stored: its queue is the message's, its offset is among the half
    /// messages.
    pub fn receipt(&self) -> &Receipt {
        &self.half.receipt
    }

    /// Delivers the message to consumers; returns when the broker has confirmed the decision.
    ///
    /// If the broker cannot be reached, the decision is sent again until the deadline
    /// ([`send_timeout`](crate::ProducerBuilder::send_timeout), or that of the handle that began
    /// the transaction). Java does not wait for a confirmation, nor ask for one.
    ///
    /// # Errors
    /// [`TransactionError`]: the broker does not know the decision, or may not know it. It asks the
    /// checker then, which should give the same answer.
    ///
    /// # Cancellation
    /// Dropping the future may leave the transaction undecided, or decided.
    pub async fn commit(self) -> Result<(), TransactionError> {
        self.end(TransactionState::Commit).await
    }

    /// Drops the message; returns when the broker has confirmed the decision.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    ///
    /// # Cancellation
    /// As [`commit`](Self::commit).
    pub async fn rollback(self) -> Result<(), TransactionError> {
        self.end(TransactionState::Rollback).await
    }

    async fn end(self, state: TransactionState) -> Result<(), TransactionError> {
        let Self { producer, half, timeout } = &self;
        let client = producer.client();
        client.end_transaction(half, state, Instant::now() + *timeout).await.map_err(
            |EndFailure { kind, outcome, reason }| {
                TransactionError::not_ended(state, kind, outcome, reason, half.receipt.clone())
            },
        )
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").field("receipt", self.receipt()).finish_non_exhaustive()
    }
}

impl Producer {
    /// Begins a transaction: stores a half message, which consumers do not see yet.
    ///
    /// A half message that is stored less firmly than the broker is configured to ([`SendStatus`])
    /// is rolled back at once, as in Java: its transaction must not begin.
    ///
    /// # Errors
    /// As [`send`](Self::send); [`ErrorKind::Invalid`] also when there is no
    /// [`transaction_checker`](crate::ProducerBuilder::transaction_checker), or the message is delayed:
    /// real brokers never deliver a delayed half message after its commit; and
    /// [`ErrorKind::Unavailable`] when it was rolled back; its outcome is unknown when the broker may
    /// not know that. Nothing has to be ended then.
    ///
    /// # Cancellation
    /// Dropping the future may leave a half message that the checker is asked about.
    pub async fn begin(&self, message: Message) -> Result<Transaction, SendError> {
        if self.client().ledger.config().checker.is_none() {
            return Err(self.client().ledger.reject(
                ErrorKind::Invalid,
                "a transaction needs a transaction_checker: the broker asks it about undecided \
                 transactions",
                message.into(),
            ));
        }
        let kept = message.clone();
        let receipt = self.send(message.part_of(Part::Transaction)).await?;
        let half = Half::new(&kept, receipt);
        if half.receipt.status() != SendStatus::Stored {
            return Err(self.roll_back_weak(kept, &half).await);
        }
        self.client().ledger.transactions.begin(&half.receipt);
        Ok(Transaction { producer: self.clone(), half, timeout: self.timeout() })
    }

    async fn roll_back_weak(&self, message: Message, half: &Half) -> SendError {
        let (client, state) = (self.client(), TransactionState::Rollback);
        let told = client.end_transaction(half, state, Instant::now() + self.timeout()).await;
        let status = half.receipt.status();
        let mut reason = format!("the half message was {status} and rolled back");
        let mut outcome = Outcome::NotStored;
        if let Err(EndFailure { reason: why, .. }) = told {
            // Should the broker ask what became of it, it hears that it was rolled back.
            client.ledger.transactions.decide(half.receipt.message_id(), state);
            reason = format!("{reason}, which the broker may not know: {why}");
            outcome = Outcome::Unknown;
        }
        SendError::new(ErrorKind::Unavailable, outcome, reason, Vec::new(), message.into())
    }

    /// Begins a transaction, runs `local`, and ends it as `local` says (Java:
    /// `sendMessageInTransaction`); returns the decision. With
    /// [`Unknown`](TransactionState::Unknown) the broker asks the checker later, and so it does
    /// when `local` panics.
    ///
    /// # Errors
    /// [`TransactionError`]: the transaction has not begun, and `local` has not run
    /// ([`TransactionError::into_send_error`] gives the message back); or it could not be ended as
    /// `local` said.
    ///
    /// # Cancellation
    /// Dropping the future drops that of `local`, and leaves the transaction to the checker.
    pub async fn send_in_transaction<F, D>(
        &self,
        message: Message,
        local: F,
    ) -> Result<TransactionState, TransactionError>
    where
        F: FnOnce(&Transaction) -> D,
        D: Future<Output = TransactionState>,
    {
        let transaction = self.begin(message).await.map_err(TransactionError::not_begun)?;
        let state = local(&transaction).await;
        if state != TransactionState::Unknown {
            transaction.end(state).await?;
        }
        Ok(state)
    }
}

/// Why a broker could not be told of the decision.
pub(crate) struct EndFailure {
    kind: ErrorKind,
    outcome: Outcome,
    reason: String,
}

impl EndFailure {
    fn untold(kind: ErrorKind, reason: impl Into<String>) -> Self {
        Self { kind, outcome: Outcome::NotStored, reason: reason.into() }
    }
}

impl From<CallError> for EndFailure {
    fn from(error: CallError) -> Self {
        let (kind, outcome) = match &error {
            CallError::Connect { .. } => (ErrorKind::Connect, Outcome::NotStored),
            CallError::Tls { .. } => (ErrorKind::Tls, Outcome::NotStored),
            CallError::Untrusted { .. } => (ErrorKind::Untrusted, Outcome::NotStored),
            CallError::Lost { .. } => (ErrorKind::ConnectionLost, Outcome::Unknown),
            CallError::Timeout { .. } => (ErrorKind::Timeout, Outcome::Unknown),
            CallError::Refused { code, remark, .. } if answer::is_denied(*code, remark) => {
                (ErrorKind::Denied, Outcome::NotStored)
            }
            CallError::Refused { code, remark, .. } => match answer::judge(*code, remark).outcome {
                Outcome::NotStored => (ErrorKind::Rejected(*code), Outcome::NotStored),
                // The broker may have failed after it had noted the end.
                Outcome::Unknown => (ErrorKind::Broker(*code), Outcome::Unknown),
            },
            CallError::Garbled { .. } => (ErrorKind::Protocol, Outcome::Unknown),
        };
        Self { kind, outcome, reason: error.to_string() }
    }
}

impl Client {
    /// Tells the broker that has a half message what becomes of it.
    async fn end_transaction(
        self: &Arc<Self>,
        half: &Half,
        state: TransactionState,
        deadline: Instant,
    ) -> Result<(), EndFailure> {
        let Half { topic, receipt, .. } = half;
        let mut request = self.end_of(topic, receipt, state)?;
        let mut is_shown = false;
        loop {
            if self.ledger.phase() == Phase::Abandoned || self.ledger.stopped.is_cancelled() {
                return Err(EndFailure::untold(ErrorKind::Closed, "the producer is closed"));
            }
            if !std::mem::replace(&mut is_shown, true) {
                self.show_end(half, state);
            }
            let (name, broker) = self.broker_of(topic, receipt)?;
            request.broker_name = Some(name);
            match broker.call(&request, deadline).await {
                Ok(_) => break,
                Err(CallError::Connect { .. }) if Instant::now() + PAUSE < deadline => {
                    self.watch.doubt(topic);
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.ledger.transactions.decide(receipt.message_id(), state);
        Ok(())
    }

    /// Shows observers how a transaction ends.
    fn show_end(self: &Arc<Self>, half: &Half, state: TransactionState) {
        let Some(observers) = self.ledger.observers() else { return };
        let Half { topic, receipt, tag, keys } = half;
        let broker = self.broker_of(topic, receipt).ok();
        observers.transaction_ends(&TransactionEnd {
            topic,
            message_id: receipt.message_id(),
            transaction_id: receipt.transaction_id(),
            state,
            from_check: false,
            address: broker.as_ref().map_or("", |(_, broker)| broker.address()),
            tag: tag.as_deref(),
            keys: keys.as_deref(),
            region: receipt.region(),
        });
    }

    fn end_of(
        &self,
        topic: &str,
        receipt: &Receipt,
        state: TransactionState,
    ) -> Result<EndTransaction, EndFailure> {
        let half = half_place(receipt)?;
        Ok(EndTransaction {
            group: self.ledger.config().group.to_string(),
            topic: Some(self.ledger.config().on_wire(topic).into_owned()),
            half_offset: receipt.queue_offset(),
            half_physical_offset: half.offset,
            decision: state.decision(),
            from_check: Some(false),
            message_id: Some(receipt.message_id().to_owned()),
            transaction_id: receipt.transaction_id().map(str::to_owned),
            broker_name: None,
        })
    }

    /// The broker that has a half message, and its name: by that, since it may have come back at
    /// another address, or where it was.
    fn broker_of(
        self: &Arc<Self>,
        topic: &str,
        receipt: &Receipt,
    ) -> Result<(String, Arc<Connection>), EndFailure> {
        let route = self.routes.get(topic);
        match route.and_then(|route| route.target_of(receipt.queue())) {
            Some(Target { broker, .. }) => Ok((broker.name.to_string(), broker.connection.clone())),
            None => {
                let connection = self.connection(&half_place(receipt)?.host.to_string());
                Ok((receipt.queue().broker().to_owned(), connection))
            }
        }
    }
}

/// Where a half message lies.
fn half_place(receipt: &Receipt) -> Result<OffsetId, EndFailure> {
    let id = receipt.offset_message_id();
    let bad = |_| {
        EndFailure::untold(
            ErrorKind::Protocol,
            format!(
                "`{id}` is not an offset message \
                                                                id"
            ),
        )
    };
    id.parse().map_err(bad)
}
