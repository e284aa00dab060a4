//! Replies: handed to the client that waits for one.

use posthaste_protocol::properties::{self, name};
use posthaste_protocol::request::{PushReply, SendAnswer, SendMessage};
use posthaste_protocol::{ResponseCode, StoredMessage};

use super::online::{hand_on, told_together};
use super::send::{check_body, check_length};
use crate::engine::effects::{Caller, Effects};
use crate::engine::replies::{Pushed, Waiting};
use crate::engine::stamp::check_properties;
use crate::engine::{Engine, Millis, SessionId, refusal::Refusal};
use crate::location::QueueKey;
use crate::request::Answer;
use crate::store::Commit;

impl Engine {
    /// 324, 325: pushes a reply to the client that asked, and stores it too. It is answered once
    /// that client has it, or cannot be found.
    pub(crate) fn send_reply(
        &mut self,
        now: Millis,
        caller: Caller,
        reply: &SendMessage<'_>,
        out: &mut Effects,
    ) {
        let queue = match self.check_reply(reply, &mut out.commit) {
            Ok(queue) => queue,
            Err(refusal) => {
                return out.answer::<SendAnswer>(caller, Err(refusal));
            }
        };
        let stored = self.reply_record(now, caller.session, reply);
        let pushed_as = stored.properties.clone();
        let (answer, is_stored) = self.store_reply(queue, reply, stored, &mut out.commit);
        let Some(client_id) = properties::find(&reply.properties, name::REPLY_TO_CLIENT) else {
            let why = format!("reply message properties[{}] is null", name::REPLY_TO_CLIENT);
            return out.answer_with(caller, ResponseCode::SYSTEM_ERROR, Some(&why), &answer);
        };
        let Some(to) = self.producers.client(client_id) else {
            let why = format!("push reply message fail, channel of <{client_id}> not found.");
            return out.answer_with(caller, ResponseCode::SYSTEM_ERROR, Some(&why), &answer);
        };
        let push = self.push_of(now, caller.session, reply, pushed_as);
        let client_id = client_id.to_owned();
        let opaque = self
            .replies
            .insert(now, Pushed { caller, to, client_id, waiting: Waiting::Reply(answer) });
        match is_stored {
            true => out.ask_after_commit(to, opaque, &push),
            false => out.ask(to, opaque, &push),
        }
    }

    /// The checks of a send, but for the room in the store and whether there is a body: a reply
    /// need not be stored.
    fn check_reply(
        &mut self,
        reply: &SendMessage<'_>,
        commit: &mut Commit,
    ) -> Result<QueueKey, Refusal> {
        if self.replies.is_full() {
            return Err(Refusal::busy("too many replies are on their way"));
        }
        self.check_topic(reply)?;
        self.check_working()?;
        let queue = self.queue_or_new(reply, commit)?;
        check_length(reply)?;
        Ok(queue)
    }

    fn reply_record(
        &mut self,
        now: Millis,
        session: SessionId,
        reply: &SendMessage<'_>,
    ) -> StoredMessage {
        let text = self.stamper.stamp(now, &reply.properties).text;
        self.message_of(now, session, reply, text)
    }

    /// Stores a reply where that can be; says where, and whether.
    fn store_reply(
        &mut self,
        queue: QueueKey,
        reply: &SendMessage<'_>,
        mut stored: StoredMessage,
        commit: &mut Commit,
    ) -> (SendAnswer, bool) {
        let result = self
            .check_store()
            .and_then(|()| check_body(reply))
            .and_then(|()| check_properties(&stored, 0))
            .and_then(|()| self.append(queue, &mut stored, commit));
        let mut answer = self.answer(queue.queue, &stored, "0".to_owned(), String::new());
        match &result {
            Ok(()) => answer.offset_message_id = self.offset_id(&stored).as_str().to_owned(),
            Err(refusal) => tracing::warn!(why = refusal.remark, "a reply is not stored"),
        }
        (answer, result.is_ok())
    }

    fn push_of(
        &self,
        now: Millis,
        session: SessionId,
        reply: &SendMessage<'_>,
        mut properties: String,
    ) -> PushReply {
        properties::push(&mut properties, name::PUSH_REPLY_TIME, &now.to_string());
        let born_host = self.peers.address(session).unwrap_or(self.identity.store_host);
        PushReply {
            group: reply.group.clone().into_owned(),
            topic: reply.topic.clone().into_owned(),
            default_topic: reply.default_topic.clone().into_owned(),
            default_topic_queues: reply.default_topic_queues,
            queue_id: reply.queue_id,
            sys_flag: reply.sys_flag,
            born_at_ms: reply.born_at_ms,
            flag: reply.flag,
            properties: Some(properties),
            reconsume_times: Some(reply.reconsume_times),
            unit_mode: Some(reply.unit_mode),
            born_host: born_host.to_string(),
            store_host: self.identity.store_host.to_string(),
            stored_at_ms: now,
            body: reply.body.clone(),
        }
    }

    /// Tells who waits for it what a client has answered; `None`: nothing, or too late. A reply is
    /// stored in any case.
    pub(crate) fn end_pushed(&self, pushed: Pushed, answer: Option<Answer>, effects: &mut Effects) {
        let Pushed { caller, client_id, waiting, .. } = pushed;
        match waiting {
            Waiting::Question { group } => hand_on(caller, (&group, &client_id), answer, effects),
            Waiting::Offsets(all) => told_together(caller, client_id, all, answer, effects),
            Waiting::Reply(stored) => {
                if answer.is_some_and(|answer| answer.code == ResponseCode::SUCCESS) {
                    return effects.answer(caller, Ok(stored));
                }
                let why = format!("push reply message to {client_id}fail.");
                effects.answer_with(caller, ResponseCode::SYSTEM_ERROR, Some(&why), &stored);
            }
        }
    }

    /// Gives up on clients that do not answer.
    pub(crate) fn end_expired_replies(&mut self, now: Millis, effects: &mut Effects) {
        for pushed in self.replies.expired(now) {
            self.end_pushed(pushed, None, effects);
        }
    }

    /// A session is gone: it answers no more.
    pub(crate) fn forget_replies(&mut self, session: SessionId, effects: &mut Effects) {
        for pushed in self.replies.forget(session) {
            self.end_pushed(pushed, None, effects);
        }
    }
}
