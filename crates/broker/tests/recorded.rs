//! Requests that official clients made of official servers get answers of the same kind here: the
//! same code, and fields of the same names.
//!
//! The recordings are those of the protocol crate; see `recorded/README.md` there.

#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

mod support;

use std::collections::{BTreeSet, HashMap};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use posthaste_broker::Broker;
use posthaste_protocol::properties::{self, name};
use posthaste_protocol::request::pull_flag;
use posthaste_protocol::{Command, Fields, Frame, Properties, RequestCode, ResponseCode, frame};
use serde::Deserialize;
use support::{Client, encoded};

#[derive(Deserialize)]
struct Line {
    n: u32,
    connection: u32,
    code: i32,
    from: String,
    to: String,
    kind: String,
    frame_base64: String,
}

impl Line {
    fn command(&self) -> Command {
        let mut bytes = BytesMut::from(&base64(&self.frame_base64)[..]);
        let frame = Frame::take(&mut bytes, frame::MAX_FRAME).expect("frame").expect("whole");
        Command::decode(frame).expect("command")
    }
}

fn base64(text: &str) -> Vec<u8> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => u32::from(byte - b'A'),
        b'a'..=b'z' => u32::from(byte - b'a') + 26,
        b'0'..=b'9' => u32::from(byte - b'0') + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut bytes = Vec::new();
    for four in text.trim_end_matches('=').as_bytes().chunks(4) {
        let bits = four.iter().fold(0, |bits, byte| bits << 6 | digit(*byte));
        let bits = bits << (6 * (4 - four.len()));
        bytes.extend_from_slice(&bits.to_be_bytes()[1..four.len()]);
    }
    bytes
}

/// Field names that this broker adds on purpose: they are in answers of 5.x alone.
fn is_optional(name: &str) -> bool {
    ["IS_SUPPORT_HEART_BEAT_V2", "IS_SUB_CHANGE", "transactionId", "topicSysFlag", "groupSysFlag"]
        .contains(&name)
}

fn names(command: &Command) -> BTreeSet<&str> {
    command.fields.iter().map(|(name, _)| name).filter(|name| !is_optional(name)).collect()
}

fn with_field(command: &Command, name: &str, value: &str) -> Command {
    let mut fields = Fields::new();
    for (n, v) in command.fields.iter() {
        fields.push(n, if n == name { value } else { v });
    }
    Command { fields, ..command.clone() }
}

/// What servers gave out in the recording, and what stands for it here.
#[derive(Default)]
struct Given {
    /// Physical offsets.
    places: HashMap<i64, i64>,
    recall_handles: HashMap<String, String>,
}

impl Given {
    fn learn(&mut self, recorded: &Command, ours: &Command) {
        let both = |name| recorded.fields.get(name).zip(ours.fields.get(name));
        if let Some((recorded, ours)) = both("recallHandle") {
            self.recall_handles.insert(recorded.to_owned(), ours.to_owned());
        }
        let Some((recorded, ours)) = both("msgId") else { return };
        let offset = |id: &str| i64::from_str_radix(id.get(id.len() - 16..)?, 16).ok();
        for (recorded, ours) in recorded.split(',').zip(ours.split(',')) {
            if recorded.len() == 32 && ours.len() == 32 {
                self.places.extend(offset(recorded).zip(offset(ours)));
            }
        }
    }

    fn place(&self, request: &Command, field: &'static str) -> Command {
        let recorded: i64 = request.fields.read(field).expect("a place");
        let ours = self.places.get(&recorded).unwrap_or(&recorded);
        with_field(request, field, &ours.to_string())
    }

    /// The request, made fit for this broker.
    fn adapt(&self, request: &Command) -> Command {
        match request.request_code() {
            RequestCode::VIEW_MESSAGE_BY_ID | RequestCode::CONSUMER_SEND_MSG_BACK => {
                self.place(request, "offset")
            }
            RequestCode::END_TRANSACTION => self.place(request, "commitLogOffset"),
            RequestCode::RECALL_MESSAGE => {
                let recorded = request.fields.get("recallHandle").expect("a handle");
                with_field(request, "recallHandle", &self.recall_handles[recorded])
            }
            // It is another time.
            RequestCode::QUERY_MESSAGE => {
                let from_the_start = with_field(request, "beginTimestamp", "0");
                with_field(&from_the_start, "endTimestamp", &i64::MAX.to_string())
            }
            RequestCode::SEND_MESSAGE_V2 => {
                let properties = request.fields.get("i").unwrap_or_default();
                let Some(recorded) = properties::find(properties, name::TIMER_DELIVER_MS) else {
                    return request.clone();
                };
                let later = properties.replace(recorded, &(now_ms() + 60_000).to_string());
                with_field(request, "i", &later)
            }
            RequestCode::PULL_MESSAGE | RequestCode::LITE_PULL_MESSAGE => {
                // Waiting is another test's.
                let flag: i32 = request.fields.read("sysFlag").expect("sysFlag");
                with_field(request, "sysFlag", &(flag & !pull_flag::SUSPEND).to_string())
            }
            _ => request.clone(),
        }
    }
}

fn now_ms() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis()
}

/// Whether two codes say the same. What a pull finds is a matter of the moment, and the recorded
/// 5.5.0 had its topics from an earlier run.
fn same_kind(request: RequestCode, recorded: ResponseCode, ours: ResponseCode) -> bool {
    let alternatives: &[ResponseCode] = match request {
        RequestCode::PULL_MESSAGE | RequestCode::LITE_PULL_MESSAGE => &[
            ResponseCode::SUCCESS,
            ResponseCode::PULL_NOT_FOUND,
            ResponseCode::PULL_RETRY_IMMEDIATELY,
            ResponseCode::PULL_OFFSET_MOVED,
        ],
        RequestCode::GET_ROUTEINFO_BY_TOPIC => {
            &[ResponseCode::SUCCESS, ResponseCode::TOPIC_NOT_EXIST]
        }
        // Of an empty queue: 4.7.0 and this broker say 0, 5.5.0 has the client ask for the end.
        RequestCode::QUERY_CONSUMER_OFFSET => {
            &[ResponseCode::SUCCESS, ResponseCode::QUERY_NOT_FOUND]
        }
        // Of 5.5.0 not every heartbeat was recorded.
        RequestCode::GET_CONSUMER_LIST_BY_GROUP => {
            &[ResponseCode::SUCCESS, ResponseCode::SYSTEM_ERROR]
        }
        _ => &[],
    };
    recorded == ours || alternatives.contains(&recorded) && alternatives.contains(&ours)
}

/// Replays a recording; says which requests were answered as they were then.
async fn replay(version: &str) -> BTreeSet<RequestCode> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../protocol/tests/recorded");
    let text =
        std::fs::read_to_string(format!("{folder}/java-{version}.jsonl")).expect("recording");
    let lines: Vec<Line> =
        text.lines().map(|line| serde_json::from_str(line).expect("a line")).collect();
    let mut answers = HashMap::new();
    for line in lines.iter().filter(|line| line.kind == "answer" && line.to == "client") {
        let command = line.command();
        answers.insert((line.connection, command.opaque), command);
    }
    let broker = Broker::builder().broker_name("broker-a").start().await.expect("start");
    let (mut clients, mut given, mut compared) = (HashMap::new(), Given::default(), 0);
    let mut seen = BTreeSet::new();
    for line in lines.iter().filter(|line| line.from == "client" && line.kind != "answer") {
        let request = line.command();
        if let std::collections::hash_map::Entry::Vacant(e) = clients.entry(line.connection) {
            e.insert(Client::connect(broker.address()).await);
        }
        let client = clients.get_mut(&line.connection).expect("connected");
        client.put_raw(&encoded(&given.adapt(&request))).await;
        let Some(recorded) = answers.get(&(line.connection, request.opaque)) else { continue };
        take_push(&lines, line, recorded, &mut clients).await;
        let client = clients.get_mut(&line.connection).expect("connected");
        let ours = client.answer_to(request.opaque).await;
        given.learn(recorded, &ours);
        let (code, what) = (ours.response_code(), request.request_code());
        seen.insert(what);
        let recorded_code = recorded.response_code();
        assert!(
            same_kind(what, recorded_code, code),
            "{version}: {what} was answered {recorded_code}, here {code}: {request:?} {:?}",
            ours.remark
        );
        if code != recorded_code {
            continue;
        }
        assert_eq!(names(recorded), names(&ours), "{version}: {request:?}");
        assert_eq!(recorded.body.is_empty(), ours.body.is_empty(), "{version}: {request:?}");
        compared += 1;
    }
    assert!(compared > 50, "{compared}");
    check_transactions(&mut clients.into_values().next().expect("a client")).await;
    broker.stop().await;
    seen
}

/// A reply that arrived in the recording arrives here too, and is taken.
async fn take_push(
    lines: &[Line],
    request: &Line,
    recorded: &Command,
    clients: &mut HashMap<u32, Client>,
) {
    let is_reply = request.code == RequestCode::SEND_REPLY_MESSAGE_V2.0;
    if !is_reply || recorded.response_code() != ResponseCode::SUCCESS {
        return;
    }
    let code = RequestCode::PUSH_REPLY_MESSAGE_TO_CLIENT.0;
    let push = lines.iter().find(|line| line.n > request.n && line.code == code);
    let push = push.expect("the push was recorded");
    let requester = clients.get_mut(&push.connection).expect("connected");
    let ours = loop {
        let command = requester.next().await.expect("the reply");
        if command.code == code && !command.is_answer() {
            break command;
        }
    };
    let recorded = push.command();
    // But for what one broker adds to every message and another does not.
    let properties = |command: &Command| {
        let text = command.fields.get("properties").expect("properties").to_owned();
        let mut properties = Properties::decode(&text);
        for name in [name::CLUSTER, name::MSG_REGION, name::TRACE_ON] {
            properties.remove(name);
        }
        properties.iter().map(|(name, _)| name.to_owned()).collect::<BTreeSet<_>>()
    };
    assert_eq!(names(&recorded), names(&ours));
    assert_eq!(properties(&recorded), properties(&ours));
    assert_eq!((recorded.flag, recorded.body), (ours.flag, ours.body));
    let taken = Command::request(RequestCode(0), ours.opaque, Fields::new(), Bytes::new());
    requester.put_raw(&encoded(&Command { flag: 1, ..taken })).await;
}

/// Of the three half messages one was committed before the broker asked.
async fn check_transactions(client: &mut Client) {
    let mut come = Vec::new();
    for queue in 0..4 {
        for message in client.read("WireTopic", queue, 0).await {
            let body = String::from_utf8_lossy(&message.body).into_owned();
            if body.starts_with("tx-") {
                assert_eq!(message.property(name::TRAN_MSG), Some("true"));
                assert_eq!(message.sys_flag & 0xC, 8);
                come.push(body);
            }
        }
    }
    assert_eq!(come, ["tx-commit"]);
}

#[tokio::test]
async fn java_4_7_0() {
    let seen = replay("4.7.0").await;
    assert!(seen.contains(&RequestCode::QUERY_MESSAGE));
}

#[tokio::test]
async fn java_4_9_7() {
    let seen = replay("4.9.7").await;
    assert!(seen.contains(&RequestCode::SEND_REPLY_MESSAGE_V2));
}

#[tokio::test]
async fn java_5_5_0() {
    let seen = replay("5.5.0").await;
    assert!(seen.contains(&RequestCode::SEND_REPLY_MESSAGE_V2));
    assert!(seen.contains(&RequestCode::RECALL_MESSAGE));
}
