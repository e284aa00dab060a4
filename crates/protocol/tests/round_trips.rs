//! What is written is read again as the same, for random values.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

#[path = "round_trips/requests.rs"]
mod requests;
#[path = "round_trips/source.rs"]
mod source;
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
    Command, Fields, HeaderEncoding, Language, Payload, ResponseCode, StoredMessage, json, sign,
};
use proptest::collection::vec;
use proptest::prelude::*;
use source::Source;
use support::{decode, encode};

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
        requests::sends(source);
        requests::pulls_and_offsets(source);
        requests::topics(source);
        requests::members(source);
        requests::messages(source);
        requests::transactions(source);
        requests::replies(source);
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
