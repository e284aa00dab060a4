//! Interceptors: code of the application that sees every attempt to send, and may step in (Java:
//! `SendMessageHook`, `CheckForbiddenHook`, `EndTransactionHook`).

use posthaste_protocol::Properties;
use posthaste_protocol::id::IdText;

use crate::message::validate;
use crate::message::wire_size::property_bytes;
use crate::{Attempt, Message, Receipt, TransactionState};

/// Sees each attempt to send a message and how it ended, and each end of a transaction; may veto an
/// attempt, or add properties.
///
/// [`ProducerBuilder::interceptor`](crate::ProducerBuilder::interceptor) takes any number of them;
/// they are called in the order in which they were given. The default of each method does nothing.
/// For a batch, the methods are called for each message.
///
/// # Where they run
/// Where the message is: the first attempt mostly in the task that sends it, everything else in the
/// task of a connection, between its reads and writes. An interceptor that blocks, or computes for
/// long, holds up every message of that connection. Slow work belongs on another thread.
///
/// # Panics
/// A panic does not spread: it is logged, and the message goes on as if the interceptor had done
/// nothing.
///
/// ```
/// use posthaste::{Interceptor, SendAttempt};
///
/// struct Tenant(String);
///
/// impl Interceptor for Tenant {
///     fn before_attempt(&self, attempt: &mut SendAttempt<'_>) -> Result<(), String> {
///         if attempt.topic().starts_with("internal-") {
///             return Err(format!("tenant {} may not send there", self.0));
///         }
///         attempt.set_property("tenant", &self.0)
///     }
/// }
/// ```
pub trait Interceptor: Send + Sync + 'static {
    /// Queue and broker are chosen; nothing has been written. A message that a busy broker refuses
    /// leaves again within the same attempt.
    ///
    /// # Errors
    /// An error is a veto, with its reason: no further interceptor is asked, and the send ends at
    /// once with [`ErrorKind::Vetoed`](crate::ErrorKind::Vetoed); as not stored, unless an earlier
    /// attempt may have stored it. A veto to one message of a batch ends the batch.
    fn before_attempt(&self, attempt: &mut SendAttempt<'_>) -> Result<(), String> {
        let _ = attempt;
        Ok(())
    }

    /// A broker stored the message. Its caller does not know yet.
    ///
    /// An answer may come late, after [`attempt_failed`](Self::attempt_failed) has reported that
    /// there was none.
    fn stored(&self, message: &Message, receipt: &Receipt) {
        let _ = (message, receipt);
    }

    /// A one-way message was written to the connection. It stays unknown whether it was stored.
    fn written(&self, message: &Message, message_id: &str) {
        let _ = (message, message_id);
    }

    /// An attempt has failed. Another may follow; the caller of the send hears how it ends.
    /// Attempts that [`close`](crate::Producer::close) cuts off are not shown.
    fn attempt_failed(&self, message: &Message, message_id: &str, attempt: &Attempt) {
        let _ = (message, message_id, attempt);
    }

    /// A transaction has been decided, and the broker does not know yet.
    fn transaction_ends(&self, end: &TransactionEnd<'_>) {
        let _ = end;
    }
}

/// One message that is about to be sent to a broker, as an [`Interceptor`] sees it.
#[derive(Debug)]
pub struct SendAttempt<'a> {
    pub(crate) message: &'a Message,
    pub(crate) id: IdText,
    /// Name and address of the broker.
    pub(crate) broker: &'a str,
    pub(crate) address: &'a str,
    pub(crate) number: u32,
    /// What travels with the message beside its own properties.
    pub(crate) added: &'a mut Properties,
}

impl SendAttempt<'_> {
    /// The message, as its caller made it.
    pub fn message(&self) -> &Message {
        self.message
    }

    /// The message's topic.
    pub fn topic(&self) -> &str {
        self.message.topic()
    }

    /// The message's unique id, the same in all its attempts.
    pub fn message_id(&self) -> &str {
        self.id.as_str()
    }

    /// Name of the broker.
    pub fn broker(&self) -> &str {
        self.broker
    }

    /// Address of the broker, as it is connected to.
    pub fn address(&self) -> &str {
        self.address
    }

    /// Which attempt of this message it is, from 1.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// A property that an interceptor has added, in this attempt or in one before.
    pub fn added_property(&self, name: &str) -> Option<&str> {
        self.added.get(name)
    }

    /// Adds a property to the message as it travels, in this attempt and in later ones. It replaces
    /// a property of that name, the message's own or an added one. The message that its caller gets
    /// back in an error does not have it.
    ///
    /// What is added counts in the size of batches, not in the bound on pending bytes.
    ///
    /// # Errors
    /// When the name has a meaning in the protocol, name or value is empty or has the bytes 1 or 2,
    /// or all properties together would be longer than brokers take. Nothing is changed then.
    /// Passed on with `?`, the error is a veto.
    pub fn set_property(
        &mut self,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Result<(), String> {
        let (name, value) = (name.into(), value.into());
        validate::property(&name, &value)?;
        let before = self.added.clone();
        self.added.set(name, value);
        let length = property_bytes(self.message, Some(self.added));
        let fits = validate::properties_length(length);
        if fits.is_err() {
            *self.added = before;
        }
        fits
    }
}

/// A transaction that ends, as an [`Interceptor`] sees it.
#[derive(Debug, Clone, Copy)]
pub struct TransactionEnd<'a> {
    pub(crate) topic: &'a str,
    pub(crate) message_id: &'a str,
    pub(crate) transaction_id: Option<&'a str>,
    pub(crate) state: TransactionState,
    pub(crate) from_check: bool,
    /// Address of the broker that has the half message.
    pub(crate) address: &'a str,
    pub(crate) tag: Option<&'a str>,
    /// Keys, separated by spaces, as they travel.
    pub(crate) keys: Option<&'a str>,
    pub(crate) region: Option<&'a str>,
}

impl TransactionEnd<'_> {
    /// Topic of the message.
    pub fn topic(&self) -> &str {
        self.topic
    }

    /// The message's unique id.
    pub fn message_id(&self) -> &str {
        self.message_id
    }

    /// The transaction's id, where the broker gives one (5.x).
    pub fn transaction_id(&self) -> Option<&str> {
        self.transaction_id
    }

    /// What was decided.
    pub fn state(&self) -> TransactionState {
        self.state
    }

    /// Whether the broker had asked: the checker has decided, not the code that began the
    /// transaction.
    pub fn is_from_check(&self) -> bool {
        self.from_check
    }

    /// Address of the broker that learns of it.
    pub fn address(&self) -> &str {
        self.address
    }
}
