//! Taking a message back before it is delivered.

use std::time::Instant;

use posthaste_protocol::request::{Recall, RecallAnswer, RecallHandle};

use crate::connection::CallError;
use crate::message::validate;
use crate::observers::trace::Recalled;
use crate::{AdminError, Producer};

/// Topics whose messages belong to a consumer group: they cannot be recalled.
const OF_GROUPS: [&str; 2] = ["%RETRY%", "%DLQ%"];

impl Producer {
    /// Takes back a message with a delivery time, by the handle in its receipt
    /// ([`Receipt::recall_handle`](crate::Receipt::recall_handle)). Gives the message's id. (5.x;
    /// Java: `recallMessage`.)
    ///
    /// The broker says yes once it has noted the request, even for a message that it does not have.
    /// It delivers due messages in steps of a second: a message due within the next second may be
    /// delivered nevertheless. Brokers refuse every recall by default (`recallMessageEnable`); 4.x
    /// brokers do not know the request, and some of them do not answer.
    ///
    /// It has the deadline of a send, and is requested once: another attempt would find the message
    /// gone.
    ///
    /// # Errors
    /// [`AdminError::Invalid`] if it is not a handle, [`AdminError::Denied`] if the broker recalls
    /// nothing, [`AdminError::Refused`] with code 604 when it is too late, with code 3 when the
    /// broker does not know the request; and the errors that keep the broker from answering. After
    /// [`AdminError::Timeout`] and [`AdminError::Unreachable`] the message may be taken back
    /// nevertheless.
    ///
    /// # Cancellation
    /// Dropping the future drops the answer; the message may be taken back nevertheless.
    pub async fn recall(&self, handle: &str) -> Result<String, AdminError> {
        let known: RecallHandle = handle.parse().map_err(|_| {
            AdminError::Invalid(
                "this is not the handle of a message that can be recalled".to_owned(),
            )
        })?;
        validate::topic(&known.topic).map_err(AdminError::Invalid)?;
        if OF_GROUPS.iter().any(|prefix| known.topic.starts_with(prefix)) {
            return Err(AdminError::Invalid(format!(
                "messages of topic {} cannot be recalled",
                known.topic
            )));
        }
        let deadline = Instant::now() + self.timeout();
        let admin = self.admin();
        // The handle has the topic as brokers know it.
        let topic = self.client().ledger.config().off_wire(&known.topic);
        let document = admin.route(&topic, deadline).await?;
        let broker = document.brokers.iter().find(|one| one.broker_name == known.broker);
        let address = broker.and_then(|broker| broker.master()).ok_or_else(|| {
            AdminError::Unreachable(format!("the route has no master of broker {}", known.broker))
        })?;
        let request = Recall {
            group: Some(self.client().ledger.config().group.to_string()),
            topic: known.topic.clone(),
            handle: handle.to_owned(),
            broker_name: Some(known.broker),
        };
        let answer = self.client().connection(address).call(&request, deadline).await;
        self.show_recall(&topic, &known.unique_id, &answer);
        let answer = answer.map_err(|error| AdminError::of_call(error, &topic))?;
        Ok(answer.message_id)
    }

    /// Shows a broker's answer to the observers; without an answer it is unknown what happened.
    fn show_recall(&self, topic: &str, id: &str, answer: &Result<RecallAnswer, CallError>) {
        let Some(observers) = self.client().ledger.observers() else { return };
        let (region, success) = match answer {
            Ok(answer) => (answer.region.as_deref(), true),
            Err(CallError::Refused { .. }) => (None, false),
            Err(_) => return,
        };
        observers.recalled(Recalled { topic: &topic.into(), message_id: id, region, success });
    }
}
