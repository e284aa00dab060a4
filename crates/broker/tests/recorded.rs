//! Requests that official clients made of official servers get answers of the same kind here: the
//! same code, and fields of the same names.
//!
//! The recordings are those of the protocol crate; see `recorded/README.md` there.

#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

mod support;

use std::collections::{BTreeSet, HashMap};

use bytes::BytesMut;
use posthaste_broker::Broker;
use posthaste_protocol::request::pull_flag;
use posthaste_protocol::{Command, Fields, Frame, RequestCode, ResponseCode, frame};
use serde::Deserialize;
use support::{Client, encoded};

#[derive(Deserialize)]
struct Line {
    connection: u32,
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

/// What this broker does not do; it says so instead.
fn expected_refusal(request: &Command) -> Option<ResponseCode> {
    let properties = request.fields.get("i").unwrap_or_default();
    let is_half = properties.contains("TRAN_MSG\u{1}true");
    let is_timer = properties.contains("TIMER_D");
    match request.request_code() {
        RequestCode::QUERY_MESSAGE
        | RequestCode::END_TRANSACTION
        | RequestCode::SEND_REPLY_MESSAGE
        | RequestCode::SEND_REPLY_MESSAGE_V2
        | RequestCode::RECALL_MESSAGE => Some(ResponseCode::REQUEST_CODE_NOT_SUPPORTED),
        RequestCode::SEND_MESSAGE_V2 if is_half || is_timer => Some(ResponseCode::NO_PERMISSION),
        _ => None,
    }
}

/// Field names that this broker leaves out, or adds, on purpose.
fn is_optional(name: &str) -> bool {
    // Heartbeats without subscriptions are left out: clients then send them whole. The others are
    // in answers of 5.x alone.
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

/// Physical offsets of the recording, and what stands for them here.
#[derive(Default)]
struct Places(HashMap<i64, i64>);

impl Places {
    fn learn(&mut self, recorded: &Command, ours: &Command) {
        let ids = |command: &Command| command.fields.get("msgId").map(str::to_owned);
        let (Some(recorded), Some(ours)) = (ids(recorded), ids(ours)) else { return };
        let offset = |id: &str| i64::from_str_radix(&id[id.len() - 16..], 16).expect("an id");
        for (recorded, ours) in recorded.split(',').zip(ours.split(',')) {
            self.0.insert(offset(recorded), offset(ours));
        }
    }

    /// The request, made fit for this broker.
    fn adapt(&self, request: &Command) -> Command {
        match request.request_code() {
            RequestCode::VIEW_MESSAGE_BY_ID | RequestCode::CONSUMER_SEND_MSG_BACK => {
                let recorded: i64 = request.fields.read("offset").expect("offset");
                let ours = self.0.get(&recorded).unwrap_or(&recorded);
                with_field(request, "offset", &ours.to_string())
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

async fn replay(version: &str) {
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
    let (mut clients, mut places, mut compared) = (HashMap::new(), Places::default(), 0);
    for line in lines.iter().filter(|line| line.from == "client" && line.kind != "answer") {
        let request = line.command();
        if let std::collections::hash_map::Entry::Vacant(e) = clients.entry(line.connection) {
            e.insert(Client::connect(broker.address()).await);
        }
        let client = clients.get_mut(&line.connection).expect("connected");
        client.put_raw(&encoded(&places.adapt(&request))).await;
        let Some(recorded) = answers.get(&(line.connection, request.opaque)) else { continue };
        let ours = client.answer_to(request.opaque).await;
        places.learn(recorded, &ours);
        let (code, what) = (ours.response_code(), request.request_code());
        if let Some(refusal) = expected_refusal(&request) {
            assert_eq!(code, refusal, "{version}: {request:?}");
            continue;
        }
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
    drop(clients);
    broker.stop().await;
}

#[tokio::test]
async fn java_4_7_0() {
    replay("4.7.0").await;
}

#[tokio::test]
async fn java_4_9_7() {
    replay("4.9.7").await;
}

#[tokio::test]
async fn java_5_5_0() {
    replay("5.5.0").await;
}
