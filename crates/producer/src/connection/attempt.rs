//! One attempt: the request for a queue, of one message or of a batch, and what a refusal says.

use std::borrow::Cow;
use std::sync::OnceLock;

use bytes::Bytes;
use posthaste_protocol::answer::Stored;
use posthaste_protocol::id::IdText;
use posthaste_protocol::properties::{self, name};
use posthaste_protocol::request::{
    OwnFields, SendBatch, SendMessage, SendMessageV1, SendReply, SendReplyV1, SendTemplate,
};
use posthaste_protocol::{Command, Properties};

use crate::accepted::Accepted;
use crate::config::Config;
use crate::config::credentials::Credentials;
use crate::connection::answer::{self, Remedy, Verdict};
use crate::connection::outbox::OpenAttempt;
use crate::connection::outgoing::Outgoing;
use crate::message::content::{Content, WireMessage};
use crate::message::timestamp::Present;
use crate::message::wire_size::replaces;
use crate::message::{BARE_PROPERTIES, Message, Part};
use crate::{ErrorKind, Outcome};

/// How a request leaves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form {
    pub(crate) opaque: i32,
    pub(crate) oneway: bool,
    /// With full field names, for a broker that does not know the others.
    pub(crate) v1: bool,
}

/// Writes requests into a connection's buffer.
pub(crate) struct Writer<'a> {
    pub(crate) out: &'a mut Outgoing,
    /// Memory for the properties' text, used again and again.
    pub(crate) scratch: &'a mut String,
    pub(crate) config: &'a Config,
    /// The topic's name on the wire.
    pub(crate) topic: &'a str,
    pub(crate) broker: &'a str,
    /// Cluster of the broker.
    pub(crate) cluster: &'a str,
    pub(crate) queue: i32,
    /// What plain sends to the broker share.
    pub(crate) template: Option<&'a OnceLock<SendTemplate>>,
    pub(crate) form: Form,
    pub(crate) present: Present,
}

impl Writer<'_> {
    /// Appends the request that stores one message; gives the credentials that signed it. `None` when
    /// the message has ended meanwhile.
    pub(crate) fn put_message(&mut self, accepted: &Accepted) -> Option<Option<Credentials>> {
        accepted.write_unless_ended(|content| {
            let message = &content.first;
            if let Some(template) = self.template.filter(|_| self.is_plain(content)) {
                self.put_by(template, accepted, content);
                return None;
            }
            put_properties(self.scratch, message, content.added_to(0), &accepted.id, self.config);
            if *message.part() != Part::None {
                self.put_part(message.part());
            }
            let mut request = self.request(accepted, Cow::Borrowed(self.scratch));
            request.flag = message.flag_value();
            request.sys_flag = content.sys_flag();
            let (out, Form { opaque, oneway, v1 }) = (&mut *self.out, self.form);
            let (seal, body) = (&self.config.seal, content.wire_body());
            macro_rules! put {
                ($request:expr) => {
                    out.put_frame(!seal.adds_nothing(), |out, bodies| {
                        seal.put_with(out, opaque, oneway, &$request, |out| bodies.put(out, body))
                    })
                };
            }
            match (matches!(message.part(), Part::Reply(_)), v1) {
                (false, false) => put!(request),
                (false, true) => put!(SendMessageV1(request)),
                (true, false) => put!(SendReply(request)),
                (true, true) => put!(SendReplyV1(request)),
            }
        })
    }

    /// Whether a message's request differs from others to its queue in no more than a template allows: it
    /// is what most are, with no more than labels.
    fn is_plain(&self, content: &Content) -> bool {
        let message = &content.first;
        !self.form.v1
            && *message.part() == Part::None
            && (message.flag_value(), content.sys_flag()) == (0, 0)
            && message.waits_until_stored()
            && content.added_to(0).is_none()
            && self.config.seal.adds_nothing()
    }

    fn put_by(
        &mut self,
        template: &OnceLock<SendTemplate>,
        accepted: &Accepted,
        content: &Content,
    ) {
        let template = template.get_or_init(|| {
            // What a message without own properties has.
            let bare = Message::new("", Bytes::new());
            put_properties(self.scratch, &bare, None, &accepted.id, self.config);
            SendTemplate::of(&self.request(accepted, Cow::Borrowed(self.scratch)), &accepted.id)
        });
        self.scratch.clear();
        content.first.each_own_property(|name, value| properties::push(self.scratch, name, value));
        let own = OwnFields {
            queue_id: self.queue,
            born_at_ms: accepted.born_at_ms(&self.present),
            properties: self.scratch,
            id: &accepted.id,
        };
        let Form { opaque, oneway, .. } = self.form;
        self.out.put_frame(false, |out, bodies| {
            template.put(out, opaque, oneway, &own, |out| bodies.put(out, content.wire_body()));
        });
    }

    /// Appends the request that stores these messages as a batch, without the ones that have ended
    /// meanwhile: a late answer to an earlier attempt may come at any time.
    ///
    /// Brokers give members nothing of the outer properties; a proxy reads from them that the
    /// messages are ordered.
    pub(crate) fn put_batch(&mut self, messages: &mut Vec<OpenAttempt>) -> Option<Credentials> {
        let outer =
            |content: &Content| (outer_properties(content, self.config), content.sys_flag());
        let Some((outer, sys_flag)) =
            messages.iter().find_map(|one| one.accepted.with_content(outer))
        else {
            messages.clear();
            return None;
        };
        let first = messages.first()?.accepted.clone();
        let mut request = self.request(&first, Cow::Owned(outer));
        request.sys_flag = sys_flag;
        let request = SendBatch(request);
        let Form { opaque, oneway, .. } = self.form;
        let (scratch, config) = (&mut *self.scratch, self.config);
        self.out.put_frame(!config.seal.adds_nothing(), |out, bodies| {
            config.seal.put_with(out, opaque, oneway, &request, |out| {
                messages.retain(|OpenAttempt { accepted, .. }| {
                    let put = accepted.write_unless_ended(|content| {
                        for (id, entry) in accepted.ids().zip(content.entries()) {
                            let WireMessage { message, body, added } = entry;
                            put_properties(scratch, message, added, &id, config);
                            bodies.put_entry(out, message.flag_value(), body, scratch);
                        }
                    });
                    put.is_some()
                });
            })
        })
    }

    /// Adds the properties that follow from what the message is part of, and from where it goes.
    fn put_part(&mut self, part: &Part) {
        match part {
            Part::Transaction => {
                // The group whose members are asked what became of it.
                properties::push(self.scratch, name::PGROUP, &self.config.group);
            }
            // Repliers find the topic for replies by it. 5.x brokers write it themselves, 4.7 does
            // not.
            Part::Request(_) => properties::push(self.scratch, name::CLUSTER, self.cluster),
            Part::Reply(_) | Part::None => {}
        }
    }

    fn request<'a>(&self, accepted: &'a Accepted, properties: Cow<'a, str>) -> SendMessage<'a>
    where
        Self: 'a,
    {
        let config = self.config;
        SendMessage {
            group: Cow::Borrowed(&config.group),
            topic: Cow::Borrowed(self.topic),
            default_topic: Cow::Borrowed(&config.default_topic),
            default_topic_queues: i32::try_from(config.default_topic_queues).unwrap_or(i32::MAX),
            queue_id: self.queue,
            sys_flag: 0,
            born_at_ms: accepted.born_at_ms(&self.present),
            flag: 0,
            properties,
            reconsume_times: 0,
            unit_mode: config.identity.unit_mode,
            max_reconsume_times: None,
            batch: false,
            broker_name: Some(Cow::Borrowed(self.broker)),
            body: Bytes::new(),
        }
    }
}

/// A message's properties as they travel, with what was added, its unique id and its namespace.
fn put_properties(
    out: &mut String,
    message: &Message,
    added: Option<&Properties>,
    id: &IdText,
    config: &Config,
) {
    out.clear();
    match added {
        None if message.is_bare() => out.push_str(BARE_PROPERTIES),
        _ => put_own_properties(out, message, added),
    }
    properties::push(out, name::UNIQ_KEY, id.as_str());
    put_namespace(out, config);
}

fn put_own_properties(out: &mut String, message: &Message, added: Option<&Properties>) {
    message.each_wire_property(|name, value| {
        if !replaces(added, name) {
            properties::push(out, name, value);
        }
    });
    if let Some(added) = added {
        added.encode(out);
    }
}

fn put_namespace(out: &mut String, config: &Config) {
    if let Some(namespace) = &config.namespace {
        properties::push(out, name::INSTANCE_ID, namespace.as_str());
    }
}

/// What a batch says of itself, given its first message.
fn outer_properties(Content { first, .. }: &Content, config: &Config) -> String {
    let mut outer = String::new();
    let wait = if first.waits_until_stored() { "true" } else { "false" };
    properties::push(&mut outer, name::WAIT, wait);
    if let Some(key) = first.ordering_key() {
        properties::push(&mut outer, name::SHARDING_KEY, key);
    }
    put_namespace(&mut outer, config);
    outer
}

/// A refusal, and what it means.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) verdict: Verdict,
    pub(crate) reason: String,
}

/// What an answer to a send says when it does not say that anything was stored.
pub(crate) fn refusal(answer: &Command) -> Refusal {
    let code = answer.response_code();
    let reason = answer.remark.clone().unwrap_or_default();
    if !code.means_stored() {
        return Refusal { verdict: answer::judge(code, &reason), reason };
    }
    // It says that it stored the message, but not where.
    let verdict = Verdict {
        kind: ErrorKind::Protocol,
        outcome: Outcome::Unknown,
        remedy: Remedy::Stop,
        refresh_route: false,
    };
    let error = Stored::of(answer).err().map(|error| error.to_string());
    Refusal { verdict, reason: error.unwrap_or(reason) }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::accepted::Sharing;
    use crate::accepted::tests::terms;
    use crate::{Producer, ProducerBuilder};

    async fn assert_a_template_changes_nothing(builder: ProducerBuilder) {
        let producer = builder.start().await.unwrap();
        let template = OnceLock::new();
        let message = || Message::new("t", "body");
        let added = || vec![[("added", "value")].into_iter().collect()];
        let messages = [
            message(),
            message().tag("tag").key("a \"key\"").key("\\"),
            message().property("one", "\u{e9}").order_by("x"),
            message().wait_stored(false),
            message().flag(7),
            message().delay_level(3),
            message(),
        ];
        let messages = messages.map(|message| (message, Vec::new()));
        for (message, added) in messages.into_iter().chain([(message(), added())]) {
            let terms = terms(Instant::now(), Sharing::Alone);
            let accepted = Accepted::new(message.into(), terms);
            accepted.add(added);
            let present = Present::at(Instant::now());
            let [without, with] = [None, Some(&template)].map(|template| {
                let mut out = Outgoing::default();
                let mut writer = Writer {
                    out: &mut out,
                    scratch: &mut String::new(),
                    config: producer.client().ledger.config(),
                    topic: "t",
                    broker: "b",
                    cluster: "c",
                    queue: 3,
                    template,
                    form: Form { opaque: 7, oneway: false, v1: false },
                    present,
                };
                assert!(writer.put_message(&accepted).is_some());
                out.text().split()
            });
            assert_eq!(with, without);
        }
        assert!(template.get().is_some());
    }

    #[test]
    fn a_bare_message_has_what_every_message_has() {
        let mut properties = String::new();
        put_own_properties(&mut properties, &Message::new("t", "body"), None);
        assert_eq!(properties, BARE_PROPERTIES);
    }

    #[tokio::test]
    async fn a_template_changes_nothing() {
        let builder = || Producer::builder("g", "127.0.0.1:1");
        assert_a_template_changes_nothing(builder()).await;
        assert_a_template_changes_nothing(builder().namespace("space")).await;
    }
}
