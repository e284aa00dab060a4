//! Byte vectors made with the Java classes of 4.7.0.

mod support;

use bytes::{Bytes, BytesMut};
use posthaste_protocol::batch::{self, BatchEntry};
use posthaste_protocol::command::put_request;
use posthaste_protocol::id::{OffsetId, UniqueId};
use posthaste_protocol::properties::{self, Properties};
use posthaste_protocol::request::{
    CreateTopic, Heartbeat, ProducerGroup, QueryConsumerOffset, RouteOf, SendAnswer, SendMessage,
    SendMessageV1, TopicList, UnregisterClient,
};
use posthaste_protocol::stored::body_crc;
use posthaste_protocol::{
    Command, Fields, HeaderEncoding, Incoming, Language, Payload, ResponseCode, StoredMessage, java,
};
use support::{decode, encode, hex};

fn request_of_a_route(encoding: HeaderEncoding) -> Command {
    Command {
        code: 105,
        language: Language::Java,
        version: 353,
        opaque: 7,
        flag: 0,
        remark: None,
        fields: Fields::from_iter([("topic", "TopicTest")]),
        body: Bytes::new(),
        encoding,
    }
}

#[test]
fn binary_request() {
    let bytes = hex(
        "0000002d 01000029 0069 00 0161 00000007 00000000 00000000 00000014 0005 746f706963 00000009 546f70696354657374",
    );
    let command = request_of_a_route(HeaderEncoding::Binary);
    assert_eq!(encode(&command), bytes);
    let read = decode(&bytes);
    assert_eq!(read, command);
    assert_eq!(read.read::<RouteOf>().unwrap().topic, "TopicTest");
}

#[test]
fn binary_answer() {
    let bytes =
        hex("0000001e 01000017 0011 00 0161 00000007 00000001 00000002 6e6f 00000000 010203");
    let command = Command {
        code: 17,
        flag: 1,
        remark: Some("no".into()),
        fields: Fields::new(),
        body: Bytes::from_static(&[1, 2, 3]),
        ..request_of_a_route(HeaderEncoding::Binary)
    };
    assert_eq!(encode(&command), bytes);
    let read = decode(&bytes);
    assert_eq!(read, command);
    assert!(read.is_answer());
    assert_eq!(read.response_code(), ResponseCode::TOPIC_NOT_EXIST);
}

#[test]
fn json_request() {
    let header = r#"{"code":105,"extFields":{"topic":"TopicTest"},"flag":0,"language":"JAVA","opaque":7,"serializeTypeCurrentRPC":"JSON","version":353}"#;
    let mut bytes = (4 + header.len() as u32).to_be_bytes().to_vec();
    bytes.extend((header.len() as u32).to_be_bytes());
    bytes.extend(header.as_bytes());
    let command = request_of_a_route(HeaderEncoding::Json);
    assert_eq!(encode(&command), bytes);
    assert_eq!(decode(&bytes), command);
}

/// What the Go client sends is less: no `serializeTypeCurrentRPC`, an empty remark.
#[test]
fn json_request_of_go() {
    let header = br#"{"code":105,"language":"GO","version":317,"opaque":7,"flag":0,"remark":"","extFields":{"topic":"TopicTest"}}"#;
    let mut bytes = (4 + header.len() as u32).to_be_bytes().to_vec();
    bytes.extend((header.len() as u32).to_be_bytes());
    bytes.extend(header);
    let go = Command {
        language: Language::Go,
        version: 317,
        ..request_of_a_route(HeaderEncoding::Json)
    };
    assert_eq!(decode(&bytes), go);
}

/// 4.9.7 and 5.5.0 take numbers, booleans and null among the fields; so does this.
#[test]
fn json_fields_without_quotes() {
    let fields: Fields = serde_json::from_str(
        r#"{"a":1,"b":-2,"c":true,"d":null,"e":"x","f":18446744073709551615}"#,
    )
    .unwrap();
    let read: Vec<_> = fields.iter().collect();
    let expected = [
        ("a", "1"),
        ("b", "-2"),
        ("c", "true"),
        ("d", ""),
        ("e", "x"),
        ("f", "18446744073709551615"),
    ];
    assert_eq!(read, expected);
}

#[test]
fn languages() {
    let names = [
        "JAVA", "CPP", "DOTNET", "PYTHON", "DELPHI", "ERLANG", "RUBY", "OTHER", "HTTP", "GO",
        "PHP", "OMS", "RUST", "NODE_JS",
    ];
    for (code, name) in names.into_iter().enumerate() {
        let language = Language::from_code(code as u8);
        assert_eq!((language.code(), language.name()), (code as u8, name));
        assert_eq!(Language::from_name(name), language);
    }
    assert_eq!(Language::from_code(14), Language::Other);
    assert_eq!(Language::from_name("COBOL"), Language::Other);
}

#[test]
fn fields_of_a_send() {
    let send = SendMessage {
        group: "g".into(),
        topic: "t".into(),
        default_topic: "TBW102".into(),
        default_topic_queues: 4,
        queue_id: 3,
        born_at_ms: 1_700_000_000_000,
        properties: "WAIT\u{1}true\u{2}".into(),
        body: Bytes::from_static(b"body"),
        ..SendMessage::default()
    };
    let mut out = BytesMut::new();
    put_request(&mut out, 1, false, &send);
    let command = decode(&out);
    let names: Vec<_> = command.fields.iter().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(names.join(","), "a,b,c,d,e,f,g,h,i,j,k,m");
    assert_eq!(command.code, 310);
    assert_eq!(Incoming::read(&command), Ok(Incoming::Send(send)));
}

/// The same with full names, and everything that is left out when it says nothing.
#[test]
fn fields_of_a_send_in_its_first_form() {
    let send = SendMessage {
        group: "g".into(),
        topic: "%RETRY%t".into(),
        default_topic: "TBW102".into(),
        default_topic_queues: 4,
        queue_id: 3,
        sys_flag: 1,
        born_at_ms: 1_700_000_000_000,
        flag: 2,
        properties: "WAIT\u{1}true\u{2}".into(),
        reconsume_times: 5,
        unit_mode: true,
        max_reconsume_times: Some(16),
        batch: false,
        broker_name: Some("broker-a".into()),
        body: Bytes::from_static(b"body"),
    };
    let values = [
        "g",
        "%RETRY%t",
        "TBW102",
        "4",
        "3",
        "1",
        "1700000000000",
        "2",
        "WAIT\u{1}true\u{2}",
        "5",
        "true",
        "16",
        "false",
        "broker-a",
    ];
    let short = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n"];
    let long = [
        "producerGroup",
        "topic",
        "defaultTopic",
        "defaultTopicQueueNums",
        "queueId",
        "sysFlag",
        "bornTimestamp",
        "flag",
        "properties",
        "reconsumeTimes",
        "unitMode",
        "maxReconsumeTimes",
        "batch",
        "bname",
    ];
    let mut out = BytesMut::new();
    put_request(&mut out, 1, true, &SendMessageV1(send.clone()));
    let first = decode(&out);
    assert_eq!((first.code, first.flag), (10, 2));
    assert_eq!(first.fields, long.into_iter().zip(values).collect());
    out.clear();
    put_request(&mut out, 1, false, &send);
    let second = decode(&out);
    assert_eq!((second.code, second.flag), (310, 0));
    assert_eq!(second.fields, short.into_iter().zip(values).collect());
    assert_eq!(Incoming::read(&first), Ok(Incoming::Send(send.clone())));
    assert_eq!(Incoming::read(&second), Ok(Incoming::Send(send)));
}

/// The fields of requests and answers that no recording has, as the sheets name them.
#[test]
fn fields_that_were_not_recorded() {
    let answer = SendAnswer {
        offset_message_id: "1".into(),
        queue_id: 2,
        queue_offset: 3,
        transaction_id: Some("4".into()),
        batch_unique_id: Some("5".into()),
        recall_handle: Some("6".into()),
        region: Some("7".into()),
        trace_on: Some(true),
    };
    assert_eq!(
        written_fields(&answer),
        "msgId=1,queueId=2,queueOffset=3,transactionId=4,batchUniqId=5,recallHandle=6,MSG_REGION=7,TRACE_ON=true"
    );
    let create = CreateTopic {
        topic: "t".into(),
        default_topic: "TBW102".into(),
        read_queues: 1,
        write_queues: 2,
        perm: 6,
        filter_type: Some("SINGLE_TAG".into()),
        sys_flag: Some(0),
        order: Some(false),
        attributes: Some("+message.type=FIFO".into()),
    };
    assert_eq!(
        written_fields(&create),
        "topic=t,defaultTopic=TBW102,readQueueNums=1,writeQueueNums=2,perm=6,topicFilterType=SINGLE_TAG,topicSysFlag=0,order=false,attributes=+message.type=FIFO"
    );
    let route = RouteOf { topic: "t".into(), standard_json: Some(true) };
    assert_eq!(written_fields(&route), "topic=t,acceptStandardJsonOnly=true");
    let query = QueryConsumerOffset {
        group: "g".into(),
        topic: "t".into(),
        queue_id: 1,
        zero_if_missing: Some(false),
        broker_name: Some("b".into()),
    };
    assert_eq!(
        written_fields(&query),
        "consumerGroup=g,topic=t,queueId=1,setZeroIfNotFound=false,bname=b"
    );
    let leave = UnregisterClient {
        client_id: "c".into(),
        producer_group: Some("p".into()),
        consumer_group: None,
    };
    assert_eq!(written_fields(&leave), "clientID=c,producerGroup=p");
    let list = TopicList { broker_addr: None, topics: vec!["t".into()] };
    assert_eq!(&*list.body(), br#"{"topicList":["t"]}"#);
}

fn written_fields(payload: &impl Payload) -> String {
    let mut fields = Fields::new();
    payload.write(&mut fields);
    let pairs: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join(",")
}

#[test]
fn property_text() {
    let mut properties = Properties::new();
    properties.set("WAIT", "true");
    let text = "57 41 49 54 01 74 72 75 65 02";
    assert_eq!(properties.to_wire().as_bytes(), hex(text));
    assert_eq!(Properties::decode("WAIT\u{1}true\u{2}"), properties);
    // 4.9.7 leaves out the last 0x02.
    assert_eq!(Properties::decode("WAIT\u{1}true"), properties);
    assert_eq!(properties::find("A\u{1}1\u{2}WAIT\u{1}true", "WAIT"), Some("true"));
    assert_eq!(Properties::decode(""), Properties::new());
}

#[test]
fn batch_of_two() {
    let bytes = hex("00000022 00000000 00000000 00000000 00000002 6162 000a 57414954017472756502
         00000021 00000000 00000000 00000009 00000001 63 000a 57414954017472756502");
    let entry = |flag, body| BatchEntry {
        flag,
        body: Bytes::from_static(body),
        properties: "WAIT\u{1}true\u{2}".into(),
    };
    let entries = vec![entry(0, b"ab"), entry(9, b"c")];
    let mut out = BytesMut::new();
    entries.iter().for_each(|entry| entry.encode(&mut out));
    assert_eq!(out, bytes);
    assert_eq!(batch::decode(bytes.into()), Ok(entries));
}

#[test]
fn unique_id() {
    let text = "FD0000000000000000000000000000022CF730946E096C7CB0090000";
    let id: UniqueId = text.parse().unwrap();
    assert_eq!(id.ip, "fd00::2".parse::<std::net::IpAddr>().unwrap());
    assert_eq!(id.process, 0x2CF7);
    assert_eq!(id.instance, 0x3094_6E09);
    assert_eq!(id.time_ms, 0x6C7C_B009);
    assert_eq!(id.counter, 0);
    assert_eq!(id.to_string(), text);
}

#[test]
fn offset_ids() {
    for (host, text) in [
        ("192.168.1.10:10911", "C0A8010A00002A9F00000000075BCD15"),
        ("[2001:db8::1]:10911", "20010DB800000000000000000000000100002A9F00000000075BCD15"),
    ] {
        let id = OffsetId { host: host.parse().unwrap(), offset: 123_456_789 };
        assert_eq!(id.to_string(), text);
        assert_eq!(text.parse(), Ok(id));
        assert_eq!(text.to_lowercase().parse(), Ok(id));
    }
}

#[test]
fn what_is_no_id() {
    for text in ["", "C0A8010A00002A9F00000000075BCD1", "é", "G0A8010A00002A9F00000000075BCD15"] {
        assert!(text.parse::<OffsetId>().is_err(), "{text}");
        assert!(text.parse::<UniqueId>().is_err(), "{text}");
    }
    // A port above 65,535.
    assert!("C0A8010A00012A9F00000000075BCD15".parse::<OffsetId>().is_err());
}

#[test]
fn body_checksums() {
    assert_eq!(body_crc(b"hello"), 907_060_870);
    assert_eq!(body_crc(b"123456789"), 1_274_296_614);
}

#[test]
fn stored_message() {
    let bytes = hex(
        "00000073 daa320a7 3610a686 00000003 00000001 000000000000002a 00000000000003e8 00000000 0000018bcfe56800 0a000001 000015b3 0000018bcfe56801 0a000002 00002a9f 00000000 0000000000000000 00000005 68656c6c6f 09 546f70696354657374 000a 54414753015461674102",
    );
    let message = StoredMessage {
        topic: "TopicTest".into(),
        queue_id: 3,
        queue_offset: 42,
        physical_offset: 1000,
        flag: 1,
        sys_flag: 0,
        born_at_ms: 0x18b_cfe5_6800,
        born_host: "10.0.0.1:5555".parse().unwrap(),
        stored_at_ms: 0x18b_cfe5_6801,
        store_host: "10.0.0.2:10911".parse().unwrap(),
        reconsume_times: 0,
        prepared_offset: 0,
        body: Bytes::from_static(b"hello"),
        properties: "TAGS\u{1}TagA\u{2}".into(),
    };
    let mut out = BytesMut::new();
    message.encode(&mut out);
    assert_eq!(out, bytes);
    assert_eq!(message.record_length(), bytes.len());
    let read = StoredMessage::decode(&mut bytes.into()).unwrap();
    assert_eq!(read, message);
    assert_eq!(read.property("TAGS"), Some("TagA"));
    assert_eq!(read.properties().get("TAGS"), Some("TagA"));
}

#[test]
fn java_hash() {
    assert_eq!(java::hash("orderId-100"), 1_327_397_677);
    assert_eq!(java::hash(""), 0);
    // Two UTF-16 units.
    assert_eq!(java::hash("\u{1f680}"), 0xD83D * 31 + 0xDE80);
    assert_eq!(java::hash("polygenelubricants"), i32::MIN);
}

#[test]
fn queue_of_a_key() {
    // 1,327,397,677 mod 8.
    assert_eq!(java::queue_of("orderId-100", 8), 5);
    // A negative hash: the remainder first, then its absolute value.
    assert_eq!(java::queue_of("polygenelubricants", 7), 2);
    assert_eq!(java::queue_of("polygenelubricants", 8), 0);
    assert_eq!(java::queue_of("orderId-100", 0), 0);
}

/// The body that 5.x documents for a pure producer.
#[test]
fn heartbeat_of_a_producer() {
    let heartbeat = Heartbeat {
        client_id: "10.0.0.1@42".into(),
        producers: vec![ProducerGroup { group_name: "g".into() }],
        ..Heartbeat::default()
    };
    let mut out = BytesMut::new();
    put_request(&mut out, 1, false, &heartbeat);
    let command = decode(&out);
    assert_eq!(
        command.body,
        r#"{"clientID":"10.0.0.1@42","consumerDataSet":[],"heartbeatFingerprint":0,"producerDataSet":[{"groupName":"g"}],"withoutSub":false}"#
    );
    assert_eq!(Incoming::read(&command), Ok(Incoming::Heartbeat(heartbeat)));
}
