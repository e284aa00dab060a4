//! A broker asks what became of a half message, and the application's checker says it.

use std::sync::Arc;

use posthaste_protocol::properties::name;
use posthaste_protocol::request::{CheckTransaction, EndTransaction};
use posthaste_protocol::{Command, DecodeError, StoredMessage};

use super::Client;
use crate::config::interceptor::TransactionEnd;
use crate::connection::WayBack;
use crate::{MessageQueue, ReadMessage, TransactionState};

impl Client {
    /// A broker asks. It gets no answer in the protocol's sense: the producer's answer is a
    /// separate request, on the connection that the question came by, even if that is a reader's.
    pub(crate) fn take_check(self: &Arc<Self>, way_back: WayBack, request: &Command) {
        let address = &way_back.address;
        let half = match self.read_check(request) {
            Ok(half) => half,
            Err(error) => {
                tracing::warn!(%address, %error, "a transaction check cannot be read");
                return;
            }
        };
        let message_id = half.1.message_id();
        if let Some(state) = self.ledger.transactions.decision(&message_id) {
            // What was decided has not come as far as the broker yet. It never does by itself through
            // the remoting port of a 5.x proxy, which confirms it and keeps it to itself.
            self.answer_check(&way_back, half.0, &message_id, state);
            return;
        }
        let Some(checker) = self.ledger.config().checker.clone() else {
            tracing::debug!(%address, "a transaction check, and no checker");
            return;
        };
        let Ok(room) = self.ledger.checks.room.clone().try_acquire_owned() else {
            self.ledger.counts().dropped_checks.add(1);
            tracing::warn!(%address, "too many transaction checks at once; the broker will ask again");
            return;
        };
        let client = self.clone();
        self.ledger.spawn(async move {
            let running = client.ledger.checks.running.clone().acquire_owned().await;
            let (check, message) = half;
            let shown = client.ledger.observers().map(|_| message.clone());
            // A separate task: one that panics ends alone.
            let state = tokio::spawn(async move { checker(message).await }).await;
            let state = state.unwrap_or_else(|error| {
                tracing::error!(message_id, %error, "the transaction checker panicked");
                TransactionState::Unknown
            });
            drop((running, room));
            if let Some(message) = shown {
                client.show_check(&way_back.address, &check, &message, state);
            }
            client.answer_check(&way_back, check, &message_id, state);
        });
    }

    /// Shows observers how a transaction ends.
    fn show_check(
        &self,
        address: &str,
        check: &CheckTransaction,
        message: &ReadMessage,
        state: TransactionState,
    ) {
        let Some(observers) = self.ledger.observers() else { return };
        observers.transaction_ends(&TransactionEnd {
            topic: message.queue().topic(),
            message_id: &message.message_id(),
            transaction_id: check.transaction_id.as_deref(),
            state,
            from_check: true,
            address,
            tag: message.tag(),
            keys: message.property(name::KEYS),
            region: message.property(name::MSG_REGION),
        });
    }

    fn answer_check(
        &self,
        way_back: &WayBack,
        check: CheckTransaction,
        message_id: &str,
        state: TransactionState,
    ) {
        let answer = EndTransaction {
            group: self.ledger.config().group.to_string(),
            topic: check.topic,
            half_offset: check.half_offset,
            half_physical_offset: check.half_physical_offset,
            decision: state.decision(),
            from_check: Some(true),
            message_id: Some(message_id.to_owned()),
            transaction_id: check.transaction_id,
            broker_name: check.broker_name,
        };
        let address = &way_back.address;
        // It is no longer undecided before any caller can see the answer.
        let decided = || {
            if state != TransactionState::Unknown {
                self.ledger.transactions.checked(message_id);
            }
        };
        match way_back.tell(&answer, decided) {
            true => tracing::debug!(%address, message_id, %state, "transaction checked"),
            false => tracing::debug!(%address, "the connection of a transaction check is gone"),
        }
    }

    fn read_check(
        &self,
        request: &Command,
    ) -> Result<(CheckTransaction, ReadMessage), DecodeError> {
        let check: CheckTransaction = request.read()?;
        let stored = StoredMessage::decode(&mut check.message.clone())?;
        let broker = check.broker_name.clone().unwrap_or_default();
        let topic = self.ledger.config().off_wire(&stored.topic);
        let queue = MessageQueue::new(&*topic, broker, stored.queue_id);
        Ok((check, ReadMessage::new(queue, stored)))
    }
}
