//! What is written is read again as the same, for values that nobody thought of.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod support;
#[path = "targets/mod.rs"]
mod targets;

use std::fmt::Debug;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::{Bytes, BytesMut};
use posthaste_protocol::batch::{self, BatchEntry};
use posthaste_protocol::command::{put_answer, put_request, put_request_with};
use posthaste_protocol::id::{IdText, OffsetId, UniqueId};
use posthaste_protocol::properties::{self, Properties};
use posthaste_protocol::request::*;
use posthaste_protocol::sign::Signer;
use posthaste_protocol::{
    Command, Fields, HeaderEncoding, Incoming, Language, Payload, Request, ResponseCode,
    StoredMessage, json, sign,
};
use proptest::collection::vec;
use proptest::prelude::*;
use support::{decode, encode};
use targets::again;

/// Text with everything that an encoding may stumble over.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[\\x00-\\x7f]{0,12}",
        vec(any::<char>(), 0..8).prop_map(String::from_iter),
        "[a-z%_\\-]{1,20}",
        Just("\"\\/\u{1}\u{2}\u{7f}\u{2028}é🚀".to_owned()),
        Just("x".repeat(300)),
    ]
}

fn bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..64).prop_map(Bytes::from)
}

fn host() -> impl Strategy<Value = SocketAddr> {
    let ip = prop_oneof![
        any::<u32>().prop_map(|ip| IpAddr::V4(Ipv4Addr::from(ip))),
        any::<u128>().prop_map(|ip| IpAddr::V6(Ipv6Addr::from(ip))),
    ];
    (ip, any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port))
}

/// The properties' text of the wire, of any length that fits.
fn properties_text() -> impl Strategy<Value = String> {
    prop_oneof![text(), Just("p".repeat(properties::MAX_LENGTH))]
}

prop_compose! {
    fn command()(
        // What two bytes can hold; more is a matter of `limits.rs`.
        code in any::<i16>(),
        version in any::<i16>(),
        language in 0..14u8,
        (opaque, flag) in any::<(i32, i32)>(),
        remark in proptest::option::of(text().prop_filter("empty is none", |t| !t.is_empty())),
        fields in vec((text(), text()), 0..6),
        body in bytes(),
        json in any::<bool>(),
    ) -> Command {
        Command {
            code: code.into(),
            language: Language::from_code(language),
            version: version.into(),
            opaque,
            flag,
            remark,
            fields: fields.iter().map(|(name, value)| (&**name, &**value)).collect(),
            body,
            encoding: if json { HeaderEncoding::Json } else { HeaderEncoding::Binary },
        }
    }
}

/// Values made of random bytes: what a struct of any shape is filled with.
struct Source<'a>(&'a [u8]);

impl Source<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn long(&mut self) -> i64 {
        match self.byte() % 8 {
            0 => i64::MIN,
            1 => i64::MAX,
            2 => -1,
            3 => 0,
            more => (0..more).fold(0, |value, _| value << 8 | i64::from(self.byte())),
        }
    }

    fn int(&mut self) -> i32 {
        match self.byte() % 4 {
            0 => i32::MIN,
            1 => i32::MAX,
            _ => self.long() as i32,
        }
    }

    fn flag(&mut self) -> bool {
        self.byte() % 2 == 1
    }

    fn text(&mut self) -> String {
        const PIECES: [&str; 10] =
            ["", "topic", "\"", "\\", "\u{0}", "\u{1}", "é🚀", "%RETRY%", "{0:1}", " null "];
        let count = self.byte() % 4;
        (0..count).map(|_| PIECES[usize::from(self.byte()) % PIECES.len()]).collect()
    }

    fn maybe<T>(&mut self, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.flag().then(|| value(self))
    }

    /// Absent or not empty: an empty field reads as an absent one.
    fn maybe_text(&mut self) -> Option<String> {
        self.maybe(Self::text).filter(|text| !text.is_empty())
    }

    fn list<T>(&mut self, mut value: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.byte() % 4).map(|_| value(self)).collect()
    }

    fn body(&mut self) -> Bytes {
        self.list(Self::byte).into()
    }

    fn send(&mut self) -> SendMessage<'static> {
        SendMessage {
            group: self.text().into(),
            topic: self.text().into(),
            default_topic: self.text().into(),
            default_topic_queues: self.int(),
            queue_id: self.int(),
            sys_flag: self.int(),
            born_at_ms: self.long(),
            flag: self.int(),
            properties: self.text().into(),
            reconsume_times: self.int(),
            unit_mode: self.flag(),
            max_reconsume_times: self.maybe(Self::int),
            batch: self.flag(),
            broker_name: self.maybe_text().map(Into::into),
            body: self.body(),
        }
    }

    fn send_answer(&mut self) -> SendAnswer {
        SendAnswer {
            offset_message_id: self.text(),
            queue_id: self.int(),
            queue_offset: self.long(),
            transaction_id: self.maybe_text(),
            batch_unique_id: self.maybe_text(),
            recall_handle: self.maybe_text(),
            region: self.maybe_text().map(Into::into),
            trace_on: self.maybe(Self::flag),
        }
    }

    fn pull(&mut self) -> Pull {
        Pull {
            group: self.text(),
            topic: self.text(),
            queue_id: self.int(),
            queue_offset: self.long(),
            max_messages: self.int(),
            sys_flag: self.int(),
            commit_offset: self.long(),
            suspend_ms: self.long(),
            subscription: self.maybe_text(),
            sub_version: self.long(),
            expression_type: self.maybe_text(),
            max_bytes: self.maybe(Self::int),
            broker_name: self.maybe_text(),
        }
    }

    fn subscription(&mut self) -> Subscription {
        Subscription {
            expression_type: self.text(),
            sub_string: self.text(),
            sub_version: self.long(),
            tags_set: self.list(Self::text),
            topic: self.text(),
        }
    }

    fn queue(&mut self) -> QueueName {
        QueueName { broker_name: self.text(), queue_id: self.int(), topic: self.text() }
    }

    fn consumer_group(&mut self) -> ConsumerGroup {
        ConsumerGroup {
            consume_from_where: self.text(),
            consume_type: self.text(),
            group_name: self.text(),
            message_model: self.text(),
            subscriptions: self.list(Self::subscription),
            unit_mode: self.flag(),
        }
    }

    fn route(&mut self) -> TopicRoute {
        TopicRoute {
            order_topic_conf: self.maybe(Self::text),
            brokers: self.list(|source| BrokerData {
                broker_addrs: source
                    .list(|source| (source.long(), source.text()))
                    .into_iter()
                    .collect(),
                broker_name: source.text(),
                cluster: source.text(),
                enable_acting_master: source.maybe(Self::flag),
                zone_name: source.maybe(Self::text),
            }),
            filter_server_table: self
                .list(|source| (source.text(), source.list(Self::text)))
                .into_iter()
                .collect(),
            queues: self.list(|source| QueueData {
                broker_name: source.text(),
                perm: source.int(),
                read_queue_nums: source.int(),
                write_queue_nums: source.int(),
                topic_sys_flag: source.maybe(Self::int),
                topic_syn_flag: source.maybe(Self::int),
            }),
            queue_mappings: self.maybe(|source| {
                let mapping = |source: &mut Self| QueueMapping {
                    broker_name: source.text(),
                    current_ids: source
                        .list(|source| (source.long(), source.long()))
                        .into_iter()
                        .collect(),
                    epoch: source.long(),
                    scope: source.maybe(Self::text),
                    total_queues: source.int(),
                };
                source.list(|source| (source.text(), mapping(source))).into_iter().collect()
            }),
        }
    }
}

fn check<R: Request>(request: R, incoming: fn(R) -> Incoming) {
    let read = again(&request);
    assert_eq!(read, incoming(request));
}

fn check_answer<P: Payload + PartialEq + Debug>(answer: &P) {
    let mut out = BytesMut::new();
    put_answer(&mut out, 7, ResponseCode::SUCCESS, None, answer);
    let command = decode(&out);
    assert!(command.is_answer());
    assert_eq!(command.read::<P>().as_ref(), Ok(answer));
}

proptest! {
    #[test]
    fn commands(command in command()) {
        prop_assert_eq!(decode(&encode(&command)), command.clone());
        targets::command_round_trips(&command);
        targets::incoming_round_trips(&command);
    }

    /// One header field of each kind of JSON scalar, as clients that do not quote write them.
    #[test]
    fn scalars_without_quotes(number in any::<i64>(), large in any::<u64>(), flag in any::<bool>(), float in -1e9..1e9f64) {
        let header = format!(
            r#"{{"opaque":1,"extFields":{{"n":{number},"u":{large},"b":{flag},"f":{float:?},"z":null}}}}"#
        );
        let mut frame = (4 + header.len() as u32).to_be_bytes().to_vec();
        frame.extend((header.len() as u32).to_be_bytes());
        frame.extend(header.as_bytes());
        let fields = decode(&frame).fields;
        prop_assert_eq!(fields.read::<i64>("n"), Ok(number));
        prop_assert_eq!(fields.get("u").unwrap(), large.to_string());
        prop_assert_eq!(fields.read::<bool>("b"), Ok(flag));
        // The parser may miss the last bit.
        let read: f64 = fields.get("f").unwrap().parse().unwrap();
        prop_assert!((read - float).abs() <= float.abs() * 1e-12);
        prop_assert_eq!(fields.read::<Option<i32>>("z"), Ok(None));
        prop_assert_eq!(fields.len(), 5);
    }

    /// The last of two fields counts, whatever the others are.
    #[test]
    fn fields(pairs in vec((text(), text()), 0..8)) {
        let fields: Fields = pairs.iter().map(|(name, value)| (&**name, &**value)).collect();
        let read: Vec<_> = fields.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
        prop_assert_eq!(&read, &pairs);
        for (name, _) in &pairs {
            let last = pairs.iter().rfind(|(n, _)| n == name).map(|(_, value)| &**value);
            prop_assert_eq!(fields.get(name), last);
        }
    }

    #[test]
    fn property_lists(pairs in vec((text(), text()), 0..8)) {
        // What cannot be written is refused before it gets here.
        let plain = |text: &str| !text.is_empty() && !text.contains(['\u{1}', '\u{2}']);
        let pairs: Vec<_> = pairs.into_iter().filter(|(n, v)| plain(n) && plain(v)).collect();
        let properties: Properties = pairs.clone().into_iter().collect();
        let wire = properties.to_wire();
        prop_assert_eq!(Properties::decode(&wire), properties.clone());
        prop_assert_eq!(Properties::decode(wire.strip_suffix('\u{2}').unwrap_or_default()), properties.clone());
        for (name, _) in &pairs {
            prop_assert_eq!(properties.get(name), properties::find(&wire, name));
        }
        prop_assert_eq!(properties.len(), wire.matches('\u{2}').count());
    }

    #[test]
    fn property_texts(text in text()) {
        targets::properties(text.as_bytes());
    }

    #[test]
    fn batches(entries in vec((any::<i32>(), bytes(), properties_text()), 0..4)) {
        let entries: Vec<_> = entries
            .into_iter()
            .map(|(flag, body, properties)| BatchEntry { flag, body, properties })
            .collect();
        let mut out = BytesMut::new();
        entries.iter().for_each(|entry| entry.encode(&mut out));
        let body = out.freeze();
        targets::batch_body(&body);
        let mut sizes = 0;
        for entry in &entries {
            let size = body.slice(sizes..sizes + 4);
            sizes += u32::from_be_bytes(size[..].try_into().unwrap()) as usize;
            prop_assert!(entry.properties.len() <= properties::MAX_LENGTH);
        }
        let lengths = entries.iter().map(|e| batch::entry_length(e.body.len(), e.properties.len()));
        prop_assert_eq!(lengths.sum::<usize>(), body.len());
        prop_assert_eq!(sizes, body.len());
        prop_assert_eq!(batch::decode(body), Ok(entries));
    }

    /// A body that is written into the frame is the body that was handed over as a whole.
    #[test]
    fn bodies_in_place(seed in vec(any::<u8>(), 0..100), opaque in any::<i32>(), oneway in any::<bool>()) {
        let send = Source(&seed).send();
        let (mut whole, mut in_place) = (BytesMut::new(), BytesMut::from(&b"before"[..]));
        put_request(&mut whole, opaque, oneway, &send);
        let headless = SendMessage { body: Bytes::new(), ..send.clone() };
        put_request_with(&mut in_place, opaque, oneway, &headless, |out| {
            send.body.chunks(2).for_each(|piece| out.extend_from_slice(piece));
        });
        prop_assert_eq!(&in_place[6..], &whole[..]);
    }

    /// A template's frame is the one that would be written without it.
    #[test]
    fn sends_by_a_template(
        seed in vec(any::<u8>(), 0..100),
        others in vec(any::<u8>(), 0..100),
        counter in any::<u16>(),
        opaque in any::<i32>(),
        oneway in any::<bool>(),
    ) {
        let (mut model, send) = (Source(&seed).send(), Source(&others).send());
        let id = |counter| {
            let ip = [127, 0, 0, 1].into();
            UniqueId { ip, process: 1, instance: 2, time_ms: 3, counter }.text()
        };
        let (first, second) = (id(counter), id(!counter));
        let shared = |id: &IdText| format!("WAIT\u{1}true\u{2}UNIQ_KEY\u{1}{id}\u{2}{}", model.topic);
        let (of_first, of_second) = (shared(&first), shared(&second));
        model.properties = of_first.into();
        let template = SendTemplate::of(&model, &first);
        let own = OwnFields {
            queue_id: send.queue_id,
            born_at_ms: send.born_at_ms,
            properties: &send.properties,
            id: &second,
        };
        let send = SendMessage {
            queue_id: send.queue_id,
            born_at_ms: send.born_at_ms,
            properties: format!("{}{of_second}", send.properties).into(),
            body: send.body,
            ..model
        };
        let (mut whole, mut by_template) = (BytesMut::new(), BytesMut::from(&b"before"[..]));
        put_request(&mut whole, opaque, oneway, &send);
        template.put(&mut by_template, opaque, oneway, &own, |out| {
            out.extend_from_slice(&send.body);
        });
        prop_assert_eq!(&by_template[6..], &whole[..]);
    }

    /// A template writes every answer as the general writer does, or does not fit it.
    #[test]
    fn answers_by_a_template(
        seed in vec(any::<u8>(), 0..200),
        others in vec(any::<u8>(), 0..200),
        opaque in any::<i32>(),
    ) {
        let [any, model] = [&seed, &others].map(|bytes| Source(bytes).send_answer());
        let plain = |answer: &SendAnswer| SendAnswer {
            transaction_id: answer.transaction_id.clone().or(Some(String::new())),
            batch_unique_id: None,
            recall_handle: None,
            region: any.region.clone(),
            trace_on: any.trace_on,
            ..answer.clone()
        };
        let template = AnswerTemplate::of(plain(&model)).unwrap();
        assert!(template.fits(&plain(&any)));
        for answer in [plain(&any), any, model] {
            if !template.fits(&answer) {
                continue;
            }
            let (mut whole, mut by_template) = (BytesMut::new(), BytesMut::from(&b"before"[..]));
            put_answer(&mut whole, opaque, ResponseCode::SUCCESS, None, &answer);
            template.put(&mut by_template, opaque, &answer);
            prop_assert_eq!(&by_template[6..], &whole[..]);
        }
    }

    /// What is signed is the frame as it is written; any other secret or body shows.
    #[test]
    fn signed_requests(seed in vec(any::<u8>(), 0..100), secret in text(), with_token in any::<bool>()) {
        let command = Command::of(&Source(&seed).send(), 7);
        let token = with_token.then_some("token");
        let signer = Signer { access_key: "me", secret_key: &secret, security_token: token };
        let mut out = BytesMut::from(&b"before"[..]);
        let put_body = |out: &mut BytesMut| out.extend_from_slice(&command.body);
        command.clone().encode_with(Some(&signer), &mut out, put_body);
        let read = decode(&out.split_off(6));
        let signed = |secret: &str, body: &[u8]| {
            let signature = read.fields.get(sign::SIGNATURE).unwrap();
            sign::is_signed(&read.fields, read.version, body, secret, signature)
        };
        prop_assert!(signed(&secret, &read.body));
        let other = secret.clone() + "x";
        prop_assert!(!signed(&other, &read.body));
        prop_assert!(!signed(&secret, &[&read.body[..], b"x"].concat()));
        prop_assert_eq!(read.fields.get(sign::ACCESS_KEY), Some("me"));
        prop_assert_eq!(read.fields.get(sign::SECURITY_TOKEN), token);
        let mut unsigned = read.fields.iter().filter(|(name, _)| {
            ![sign::ACCESS_KEY, sign::SECURITY_TOKEN, sign::SIGNATURE].contains(name)
        });
        prop_assert!(unsigned.by_ref().eq(command.fields.iter()));
        prop_assert_eq!(read.body, command.body);
    }

    #[test]
    fn stored_messages(
        (topic, properties) in (prop_oneof![text(), "[a-z]{120,300}"], properties_text()),
        (queue_id, flag, sys_flag, reconsume_times) in any::<(i32, i32, i32, i32)>(),
        (queue_offset, physical_offset, born_at_ms, stored_at_ms, prepared_offset) in any::<(i64, i64, i64, i64, i64)>(),
        (born_host, store_host) in (host(), host()),
        body in bytes(),
    ) {
        let hosts = i32::from(born_host.is_ipv6()) << 4 | i32::from(store_host.is_ipv6()) << 5;
        let message = StoredMessage {
            topic, queue_id, queue_offset, physical_offset, flag, born_at_ms, born_host, stored_at_ms,
            store_host, reconsume_times, prepared_offset, body, properties,
            sys_flag: sys_flag & !0x30 | hosts,
        };
        let mut out = BytesMut::new();
        message.encode(&mut out);
        prop_assert_eq!(out.len(), message.record_length());
        // The bits of the hosts follow from the hosts.
        let mut same = BytesMut::new();
        StoredMessage { sys_flag, ..message.clone() }.encode(&mut same);
        prop_assert_eq!(&same, &out);
        out.extend_from_slice(&same);
        targets::stored_record(&out);
        prop_assert_eq!(StoredMessage::decode_all(out.freeze()), Ok(vec![message.clone(), message]));
    }

    #[test]
    fn unique_ids(host in host(), process: u16, instance: u32, time_ms: u32, counter: u16) {
        let id = UniqueId { ip: host.ip(), process, instance, time_ms, counter };
        prop_assert_eq!(id.to_string().parse(), Ok(id));
        prop_assert_eq!(id.to_string().len(), if host.is_ipv4() { 32 } else { 56 });
    }

    #[test]
    fn offset_ids(host in host(), offset: i64) {
        let id = OffsetId { host, offset };
        prop_assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn recall_handles(topic in "[a-z%]{1,9}", broker in "[a-z-]{1,9}", deliver_at_ms: i64, unique_id in "[0-9A-F]{32}") {
        let handle = RecallHandle { topic, broker, deliver_at_ms, unique_id };
        prop_assert_eq!(handle.to_string().parse(), Ok(handle));
    }

    #[test]
    fn ids_of_any_text(text in text()) {
        let _ = text.parse::<OffsetId>();
        let _ = text.parse::<UniqueId>();
        let _ = text.parse::<RecallHandle>();
    }

    #[test]
    fn requests(seed in vec(any::<u8>(), 0..200)) {
        let source = &mut Source(&seed);
        check(source.send(), Incoming::Send);
        check(SendMessageV1(source.send()), |send| Incoming::Send(send.0));
        let batch = SendMessage { batch: true, ..source.send() };
        check(SendBatch(batch), |send| Incoming::Send(send.0));
        check(source.pull(), Incoming::Pull);
        check(LitePull(source.pull()), |pull| Incoming::Pull(pull.0));
        check(
            QueryConsumerOffset {
                group: source.text(),
                topic: source.text(),
                queue_id: source.int(),
                zero_if_missing: source.maybe(Source::flag),
                broker_name: source.maybe_text(),
            },
            Incoming::QueryConsumerOffset,
        );
        check(
            UpdateConsumerOffset {
                group: source.text(),
                topic: source.text(),
                queue_id: source.int(),
                offset: source.long(),
                broker_name: source.maybe_text(),
            },
            Incoming::UpdateConsumerOffset,
        );
        check(
            CreateTopic {
                topic: source.text(),
                default_topic: source.text(),
                read_queues: source.int(),
                write_queues: source.int(),
                perm: source.int(),
                filter_type: source.maybe_text(),
                sys_flag: source.maybe(Source::int),
                order: source.maybe(Source::flag),
                attributes: source.maybe_text(),
            },
            Incoming::CreateTopic,
        );
        check(
            SearchOffset {
                topic: source.text(),
                queue_id: source.int(),
                timestamp_ms: source.long(),
                boundary: source.maybe_text(),
                broker_name: source.maybe_text(),
            },
            Incoming::SearchOffset,
        );
        check(
            MaxOffset {
                topic: source.text(),
                queue_id: source.int(),
                committed: source.maybe(Source::flag),
                broker_name: source.maybe_text(),
            },
            Incoming::MaxOffset,
        );
        check(
            MinOffset { topic: source.text(), queue_id: source.int(), broker_name: source.maybe_text() },
            Incoming::MinOffset,
        );
        check(
            EarliestStoreTime {
                topic: source.text(),
                queue_id: source.int(),
                broker_name: source.maybe_text(),
            },
            Incoming::EarliestStoreTime,
        );
        check(
            ViewMessage { offset: source.long(), topic: source.maybe_text() },
            Incoming::ViewMessage,
        );
        check(
            Heartbeat {
                client_id: source.text(),
                consumers: source.list(Source::consumer_group),
                fingerprint: source.int(),
                producers: source.list(|source| ProducerGroup { group_name: source.text() }),
                without_subscriptions: source.flag(),
            },
            Incoming::Heartbeat,
        );
        check(
            UnregisterClient {
                client_id: source.text(),
                producer_group: source.maybe_text(),
                consumer_group: source.maybe_text(),
            },
            Incoming::UnregisterClient,
        );
        check(
            SendBack {
                offset: source.long(),
                group: source.text(),
                delay_level: source.int(),
                origin_message_id: source.maybe_text(),
                origin_topic: source.maybe_text(),
                unit_mode: source.maybe(Source::flag),
                max_reconsume_times: source.maybe(Source::int),
                broker_name: source.maybe_text(),
            },
            Incoming::SendBack,
        );
        check(ConsumerListOf { group: source.text() }, Incoming::ConsumerListOf);
        check(
            NotifyConsumerIdsChanged { group: source.text() },
            Incoming::NotifyConsumerIdsChanged,
        );
        check(
            LockQueues {
                client_id: source.text(),
                group: source.text(),
                queues: source.list(Source::queue),
                only_this_broker: source.flag(),
            },
            Incoming::LockQueues,
        );
        check(
            UnlockQueues(LockQueues {
                client_id: source.text(),
                group: source.text(),
                queues: source.list(Source::queue),
                only_this_broker: source.flag(),
            }),
            Incoming::UnlockQueues,
        );
        check(
            CheckClientConfig {
                client_id: source.text(),
                group: source.text(),
                subscription: source.subscription(),
            },
            Incoming::CheckClientConfig,
        );
        check(
            RouteOf { topic: source.text(), standard_json: source.maybe(Source::flag) },
            Incoming::RouteOf,
        );
        check(TopicListOf, Incoming::TopicListOf);
        check(
            QueryMessages {
                topic: source.text(),
                key: source.text(),
                max_count: source.int(),
                begin_ms: source.long(),
                end_ms: source.long(),
                index_type: source.maybe(|source| match source.byte() % 3 {
                    0 => IndexType::Key,
                    1 => IndexType::UniqueId,
                    _ => IndexType::Tag,
                }),
                by_unique_id: source.maybe(Source::flag),
            },
            Incoming::QueryMessages,
        );
        check(
            EndTransaction {
                group: source.text(),
                topic: source.maybe_text(),
                half_offset: source.long(),
                half_physical_offset: source.long(),
                decision: source.int(),
                from_check: source.maybe(Source::flag),
                message_id: source.maybe_text(),
                transaction_id: source.maybe_text(),
                broker_name: source.maybe_text(),
            },
            Incoming::EndTransaction,
        );
        check(
            CheckTransaction {
                half_offset: source.long(),
                half_physical_offset: source.long(),
                message_id: source.maybe_text(),
                transaction_id: source.maybe_text(),
                offset_message_id: source.maybe_text(),
                topic: source.maybe_text(),
                broker_name: source.maybe_text(),
                message: source.body(),
            },
            Incoming::CheckTransaction,
        );
        check(SendReply(source.send()), Incoming::SendReply);
        check(SendReplyV1(source.send()), |reply| Incoming::SendReply(SendReply(reply.0)));
        check(
            PushReply {
                group: source.text(),
                topic: source.text(),
                default_topic: source.text(),
                default_topic_queues: source.int(),
                queue_id: source.int(),
                sys_flag: source.int(),
                born_at_ms: source.long(),
                flag: source.int(),
                properties: source.maybe_text(),
                reconsume_times: source.maybe(Source::int),
                unit_mode: source.maybe(Source::flag),
                born_host: source.text(),
                store_host: source.text(),
                stored_at_ms: source.long(),
                body: source.body(),
            },
            Incoming::PushReply,
        );
        check(
            Recall {
                group: source.maybe_text(),
                topic: source.text(),
                handle: source.text(),
                broker_name: source.maybe_text(),
            },
            Incoming::Recall,
        );
    }

    #[test]
    fn answers(seed in vec(any::<u8>(), 0..100)) {
        let source = &mut Source(&seed);
        check_answer(&Empty);
        check_answer(&source.route());
        check_answer(&source.send_answer());
        check_answer(&PullAnswer {
            suggested_broker: source.long(),
            next_offset: source.long(),
            min_offset: source.long(),
            max_offset: source.long(),
            offset_delta: source.maybe(Source::long),
            messages: source.body(),
        });
        check_answer(&OffsetAnswer { offset: source.long() });
        check_answer(&StoreTime { timestamp_ms: source.long() });
        check_answer(&HeartbeatAnswer {
            supports_v2: source.maybe(Source::flag),
            subscriptions_changed: source.maybe(Source::flag),
        });
        check_answer(&QueryAnswer {
            index_updated_at_ms: source.maybe(Source::long),
            index_physical_offset: source.maybe(Source::long),
            messages: source.body(),
        });
        check_answer(&RecallAnswer { message_id: source.text(), region: source.maybe_text() });
        check_answer(&RawBody(source.body()));
        check_answer(&ConsumerList { client_ids: source.list(Source::text) });
        check_answer(&LockedQueues { queues: source.list(Source::queue) });
        check_answer(&TopicList {
            broker_addr: source.maybe(Source::text),
            topics: source.list(Source::text),
        });
    }

    /// What fastjson makes of a route reads as what it was: bare ids, and keys that are objects.
    #[test]
    fn routes_of_fastjson(seed in vec(any::<u8>(), 0..100)) {
        let route = Source(&seed).route();
        let standard = route.body();
        let text = std::str::from_utf8(&standard).unwrap();
        // Only the ids of brokers are integers in quotes, unless a text looks like one.
        let bare = without_quotes_of_integer_keys(text);
        prop_assert_eq!(json::read::<TopicRoute>(bare.as_bytes()), Ok(route));
    }

    #[test]
    fn standard_json(value in json_value()) {
        for text in [serde_json::to_vec(&value).unwrap(), serde_json::to_vec_pretty(&value).unwrap()] {
            targets::standard_json_keeps_its_meaning(&text);
            prop_assert!(json::normalize(&text).is_ok());
        }
    }

    #[test]
    fn object_keys(key in vec((text(), any::<i32>()), 0..3), value in any::<i32>()) {
        let key: std::collections::BTreeMap<_, _> = key.into_iter().collect();
        let key = serde_json::to_string(&key).unwrap();
        let text = format!("{{\"offsetTable\": {{{key}:{value},{value}:{key}}} }}");
        let read: serde_json::Value = serde_json::from_slice(&json::normalize(text.as_bytes()).unwrap()).unwrap();
        prop_assert_eq!(&read["offsetTable"][&key], &serde_json::json!(value));
        let number = value.to_string();
        let expected: serde_json::Value = serde_json::from_str(&key).unwrap();
        prop_assert_eq!(&read["offsetTable"][&number], &expected);
    }
}

/// Takes the quotes off keys that are integers, outside of other texts.
fn without_quotes_of_integer_keys(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(start) = rest.find('"') {
        out.push_str(&rest[..start]);
        let mut end = start + 1;
        while !rest[end..].starts_with('"') {
            end += if rest[end..].starts_with('\\') { 2 } else { 1 };
            while !rest.is_char_boundary(end) {
                end += 1;
            }
        }
        let inner = &rest[start + 1..end];
        let key = rest[end + 1..].starts_with(':') && inner.parse::<i64>().is_ok();
        out.push_str(if key { inner } else { &rest[start..=end] });
        rest = &rest[end + 1..];
    }
    out + rest
}

fn json_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        text().prop_map(Into::into),
    ];
    leaf.prop_recursive(6, 40, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Into::into),
            vec((text(), inner), 0..5)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}
