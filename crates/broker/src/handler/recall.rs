//! Taking a timer message back before it is delivered.

use posthaste_protocol::request::{Recall, RecallAnswer, RecallHandle};

use crate::engine::stamp::REGION;
use crate::engine::{Engine, Millis, refusal::Refusal};
use crate::store::Commit;

impl Engine {
    /// 370: removes a timer message. Real brokers only note that it is not to be delivered, and
    /// say yes also to a message that is not there; here that is an error.
    pub(crate) fn recall(
        &mut self,
        now: Millis,
        request: &Recall,
        commit: &mut Commit,
    ) -> Result<RecallAnswer, Refusal> {
        let topic = &request.topic;
        if self.topics.get(topic).is_none() {
            let mut refusal = Refusal::no_topic(topic);
            refusal.remark = format!("recall failed, the topic[{topic}] not exist");
            return Err(refusal);
        }
        let handle: RecallHandle =
            request.handle.parse().map_err(|_| Refusal::too_late("recall handle is invalid"))?;
        if handle.topic != *topic {
            return Err(Refusal::too_late("recall failed, topic not match"));
        }
        if handle.broker != self.identity.broker {
            return Err(Refusal::too_late("recall failed, broker service not available"));
        }
        self.check_working()?;
        // A handle says one more than the time that is noted at the message.
        let out = handle.deliver_at_ms.saturating_sub(1);
        if !self.take_back(topic, out, &handle.unique_id, commit)? {
            let why = match handle.deliver_at_ms <= now {
                true => "recall failed, timestamp invalid",
                false => "recall failed, no such message waits to be delivered",
            };
            return Err(Refusal::too_late(why));
        }
        Ok(RecallAnswer { message_id: handle.unique_id, region: Some(REGION.to_owned()) })
    }
}
