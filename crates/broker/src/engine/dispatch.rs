//! Which part of the engine answers a request.

use posthaste_protocol::request::RouteOf;
use posthaste_protocol::{Incoming, RequestCode};

use super::effects::{Caller, Effects};
use super::refusal::Refusal;
use super::{Engine, Millis};

impl Engine {
    pub(super) fn dispatch(
        &mut self,
        now: Millis,
        caller: Caller,
        incoming: Incoming,
        out: &mut Effects,
    ) {
        match incoming {
            Incoming::Send(it) => self.store(now, caller, &it, out),
            Incoming::Pull(it) => self.pull(now, caller, it, out),
            Incoming::SendBack(it) => {
                let result = self.send_back(now, &it, &mut out.commit);
                out.answer_after_commit(caller, result);
            }
            Incoming::CreateTopic(it) => {
                let result = self.create_topic(&it, &mut out.commit);
                out.answer_after_commit(caller, result);
            }
            Incoming::Heartbeat(it) => {
                let result = self.heartbeat(caller.session, &it, out);
                out.answer(caller, result);
            }
            Incoming::UnregisterClient(it) => {
                let result = self.unregister(caller.session, &it, out);
                out.answer(caller, result);
            }
            Incoming::RouteOf(RouteOf { topic, .. }) => out.answer(caller, self.route_of(&topic)),
            Incoming::TopicListOf(_) => out.answer_if_room(caller, || self.topic_list()),
            Incoming::MaxOffset(it) => out.answer(caller, self.max_offset(&it)),
            Incoming::MinOffset(it) => out.answer(caller, self.min_offset(&it)),
            Incoming::SearchOffset(it) => out.answer(caller, self.search_offset(&it)),
            Incoming::EarliestStoreTime(it) => out.answer(caller, self.earliest_store_time(&it)),
            Incoming::ViewMessage(it) => out.answer_if_room(caller, || self.view_message(&it)),
            Incoming::QueryConsumerOffset(it) => {
                out.answer(caller, self.query_consumer_offset(&it))
            }
            Incoming::UpdateConsumerOffset(it) => {
                out.answer(caller, self.update_consumer_offset(caller.session, &it))
            }
            Incoming::ConsumerListOf(it) => out.answer_if_room(caller, || self.consumer_list(&it)),
            Incoming::LockQueues(it) => out.answer(caller, self.lock_queues(now, &it)),
            Incoming::UnlockQueues(it) => out.answer(caller, self.unlock_queues(&it)),
            Incoming::CheckClientConfig(it) => out.answer(caller, self.check_client_config(&it)),
            Incoming::QueryMessages(it) => self.query(caller, it, out),
            Incoming::EndTransaction(it) => self.end_transaction(now, caller, &it, out),
            Incoming::SendReply(it) => self.send_reply(now, caller, &it.0, out),
            Incoming::Recall(it) => {
                let result = self.recall(now, &it, &mut out.commit);
                out.answer_after_commit(caller, result);
            }
            // What a broker sends to clients; a broker that receives it does not know it.
            Incoming::NotifyConsumerIdsChanged(_) => {
                refuse(out, caller, RequestCode::NOTIFY_CONSUMER_IDS_CHANGED);
            }
            Incoming::CheckTransaction(_) => {
                refuse(out, caller, RequestCode::CHECK_TRANSACTION_STATE);
            }
            Incoming::PushReply(_) => {
                refuse(out, caller, RequestCode::PUSH_REPLY_MESSAGE_TO_CLIENT);
            }
            Incoming::Admin(it) => self.administer(now, caller, it, out),
            Incoming::Unknown(it) => refuse(out, caller, it),
        }
    }
}

/// Refuses a request that this broker does not know.
fn refuse(out: &mut Effects, caller: Caller, code: RequestCode) {
    out.refuse(caller, &Refusal::unknown(code));
}
