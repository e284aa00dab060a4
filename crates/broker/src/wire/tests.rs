//! What is kept of what, and for how long.

use std::net::Ipv4Addr;

use bytes::BytesMut;
use posthaste_protocol::command::{put_answer, put_request};
use posthaste_protocol::request::{Empty, Heartbeat, NotifyConsumerIdsChanged, SendMessage};
use posthaste_protocol::sign::Signer;
use posthaste_protocol::{Command, RequestCode, ResponseCode};

use super::*;

/// A log that can be told what time it is, and one connection.
struct Bench {
    log: Arc<WireLog>,
    tap: WireTap,
    begun: Instant,
}

impl Bench {
    fn new() -> Self {
        let log = Arc::new(WireLog::default());
        let tap = connect(&log, 7);
        let begun = Instant::now();
        Self { log, tap, begun }
    }

    /// One that is on.
    fn on() -> Self {
        let bench = Self::new();
        assert_eq!(bench.ask(0)[0].exchanges, []);
        bench
    }

    fn ask(&self, ms: u64) -> Vec<Recorded> {
        self.log.ask(self.begun + Duration::from_millis(ms))
    }

    /// Something is written at this millisecond.
    fn note(&self, from: WireSide, bytes: &[u8], ms: u64) {
        let tapped = self.tap.0.as_ref().expect("a log");
        let steady = self.begun + Duration::from_millis(ms);
        if self.log.is_on.load(Ordering::Relaxed) {
            self.log.note(&tapped.line, from, bytes, Moment { steady, time: SystemTime::now() });
        }
    }

    fn exchanges(&self, ms: u64) -> Vec<WireExchange> {
        self.ask(ms).remove(0).exchanges
    }
}

fn connect(log: &Arc<WireLog>, id: u64) -> WireTap {
    log.connect(LineInfo {
        id,
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, 50_000)),
        port: 10_911,
        is_encrypted: false,
        connected_at: SystemTime::now(),
    })
}

fn send(opaque: i32, is_oneway: bool, body: &[u8]) -> BytesMut {
    let message = SendMessage {
        topic: "orders".into(),
        body: body.to_vec().into(),
        properties: "KEYS\u{1}o-1".into(),
        ..SendMessage::default()
    };
    let mut out = BytesMut::new();
    put_request(&mut out, opaque, is_oneway, &message);
    out
}

fn refusal(opaque: i32) -> BytesMut {
    let mut out = BytesMut::new();
    put_answer(&mut out, opaque, ResponseCode::SYSTEM_BUSY, Some("busy"), &Empty);
    out
}

#[test]
fn a_request_and_its_answer_are_one_exchange() {
    let bench = Bench::on();
    let body = vec![b'x'; 5_000];
    let mut both = send(1, false, &body);
    both.extend_from_slice(&send(2, false, b"two"));
    bench.note(WireSide::Client, &both, 10);
    bench.note(WireSide::Broker, &refusal(2), 15);
    bench.note(WireSide::Broker, &refusal(1), 40);
    bench.note(WireSide::Client, &send(3, true, b"three"), 50);
    bench.note(WireSide::Client, &send(4, false, b"four"), 60);

    let exchanges = bench.exchanges(70);
    let told: Vec<_> = exchanges
        .iter()
        .map(|it| (it.number, it.opaque, it.is_oneway, it.took.map(|took| took.as_millis())))
        .collect();
    let expected =
        [(1, 1, false, Some(30)), (2, 2, false, Some(5)), (3, 3, true, None), (4, 4, false, None)];
    assert_eq!(told, expected);
    assert!(exchanges.iter().all(|it| it.asked_by == WireSide::Client));
    assert!(exchanges.iter().all(|it| it.topic() == Some("orders")));
    let (request, answer) = (&exchanges[0].request, &exchanges[0].answer);
    let (request, answer) = (request.as_ref().expect("one"), answer.as_ref().expect("one"));
    assert_eq!(request.code, Some(RequestCode::SEND_MESSAGE_V2.0));
    assert_eq!((request.body_length, request.body.len()), (5_000, 1_024));
    assert_eq!(request.length, 8 + request.header_length + request.body_length);
    assert_eq!(request.fields.get("properties"), Some("KEYS\u{1}o-1"));
    assert_eq!(answer.code, Some(ResponseCode::SYSTEM_BUSY.0));
    assert_eq!((answer.remark.as_deref(), answer.body_length), (Some("busy"), 0));
}

#[test]
fn what_has_no_counterpart_is_there_too() {
    let bench = Bench::on();
    let mut notify = BytesMut::new();
    put_request(&mut notify, 9, true, &NotifyConsumerIdsChanged { group: "readers".into() });
    bench.note(WireSide::Broker, &notify, 1);
    bench.note(WireSide::Broker, &refusal(9), 2);
    let whole = refusal(10);
    bench.note(WireSide::Broker, &whole[..whole.len() - 1], 3);
    let mut unreadable = BytesMut::from(&[0, 0, 0, 6, 0, 0, 0, 2][..]);
    unreadable.extend_from_slice(b"no");
    bench.note(WireSide::Client, &unreadable, 4);

    let exchanges = bench.exchanges(5);
    let told: Vec<_> = exchanges
        .iter()
        .map(|it| {
            let code = |frame: &Option<Arc<WireFrame>>| frame.as_ref().map(|frame| frame.code);
            (it.asked_by, it.opaque, code(&it.request), code(&it.answer))
        })
        .collect();
    let notified = Some(Some(RequestCode::NOTIFY_CONSUMER_IDS_CHANGED.0));
    let busy = Some(Some(ResponseCode::SYSTEM_BUSY.0));
    assert_eq!(
        told,
        [
            (WireSide::Broker, 9, notified, None),
            (WireSide::Client, 9, None, busy),
            (WireSide::Client, 0, None, Some(None)),
            (WireSide::Client, 0, Some(None), None),
        ]
    );
    let cut = exchanges[2].answer.as_ref().expect("a part");
    assert_eq!((cut.length, &cut.body[..]), (whole.len() - 1, &whole[..whole.len() - 1]));
}

#[test]
fn nothing_is_kept_while_nobody_asks() {
    let bench = Bench::new();
    bench.note(WireSide::Client, &send(1, false, b"early"), 0);
    assert_eq!(bench.exchanges(1), []);
    bench.note(WireSide::Client, &send(2, false, b"two"), 2);
    assert_eq!(bench.exchanges(60_000).len(), 1);
    bench.note(WireSide::Client, &send(3, false, b"three"), 120_000);
    assert_eq!(bench.exchanges(120_000).len(), 2);
    assert!(bench.log.bytes.load(Ordering::Relaxed) > 0);
    // A minute after the last question it is off, and has forgotten everything.
    bench.note(WireSide::Client, &send(4, false, b"four"), 180_001);
    assert!(!bench.log.is_on.load(Ordering::Relaxed));
    assert_eq!(bench.log.bytes.load(Ordering::Relaxed), 0);
    bench.note(WireSide::Client, &send(5, false, b"five"), 180_002);
    assert_eq!(bench.exchanges(180_003), []);
    // Also when nothing has come since.
    bench.note(WireSide::Client, &send(6, false, b"six"), 180_004);
    assert_eq!(bench.exchanges(300_000), []);
}

#[test]
fn the_last_exchanges_of_a_connection_are_kept() {
    let bench = Bench::on();
    for opaque in 0..250 {
        bench.note(WireSide::Client, &send(opaque, false, b"x"), 1);
        bench.note(WireSide::Broker, &refusal(opaque), 2);
    }
    let numbers: Vec<_> = bench.exchanges(3).iter().map(|it| it.number).collect();
    assert_eq!(numbers, (151..=250).collect::<Vec<_>>());
    // Requests that wait do not push the others out, nor are they pushed out.
    for opaque in 1_000..2_000 {
        bench.note(WireSide::Client, &send(opaque, false, b"x"), 4);
    }
    assert_eq!(bench.exchanges(5).len(), 1_100);
    bench.note(WireSide::Client, &send(2_000, false, b"x"), 6);
    bench.note(WireSide::Broker, &refusal(1_001), 7);
    bench.note(WireSide::Broker, &refusal(1_000), 7);
    let exchanges = bench.exchanges(8);
    let of = |opaque| {
        let of_it = exchanges.iter().filter(|it| it.opaque == opaque);
        of_it.map(|it| (it.request.is_some(), it.answer.is_some())).collect::<Vec<_>>()
    };
    assert_eq!(of(1_001), [(true, true)]);
    assert_eq!(of(1_000), [(true, false), (false, true)], "it counted as never answered");
}

#[test]
fn all_connections_together_stay_within_their_bound() {
    let bench = Bench::on();
    let mut others: Vec<_> = (100..140).map(|id| connect(&bench.log, id)).collect();
    let mut large = BytesMut::new();
    let properties = format!("p\u{1}{}", "v".repeat(30_000));
    let message = SendMessage { properties: properties.into(), ..SendMessage::default() };
    put_request(&mut large, 1, true, &message);
    let mut most = 0;
    for tap in std::iter::repeat_n(&others, 60).flatten() {
        tap.note(WireSide::Client, &large);
        most = most.max(bench.log.bytes.load(Ordering::Relaxed));
    }
    assert!((MOST_BYTES - 2 * large.len()..=MOST_BYTES).contains(&most), "{most}");
    let recorded = bench.ask(1);
    let sum = |all: &[Recorded]| {
        let exchanges = all.iter().flat_map(|recorded| &recorded.exchanges);
        exchanges.map(WireExchange::size).sum::<usize>()
    };
    assert_eq!(sum(&recorded), bench.log.bytes.load(Ordering::Relaxed));
    assert!(
        recorded.iter().skip(1).all(|one| one.exchanges.last().is_some_and(|it| it.number == 60))
    );
    // Connections that have ended go first.
    let open = others.split_off(20);
    drop(others);
    let counts = || {
        let all = bench.ask(2);
        let (ended, open): (Vec<_>, Vec<_>) = all.iter().partition(|one| one.end.is_some());
        (ended.len(), open.iter().map(|one| one.exchanges.len()).sum::<usize>())
    };
    let mut last = counts();
    assert_eq!(last.0, 20);
    for tap in open.iter().cycle() {
        tap.note(WireSide::Client, &large);
        let now = counts();
        assert_eq!(now.1, last.1 + 1, "an open connection has lost something");
        last = now;
        if last.0 < 20 {
            break;
        }
    }
    assert_eq!(sum(&bench.ask(3)), bench.log.bytes.load(Ordering::Relaxed));
    for tap in open {
        tap.note(WireSide::Client, &large);
    }
    for id in 200..300 {
        connect(&bench.log, id).note(WireSide::Client, b"x");
    }
    assert_eq!(counts().0, MOST_ENDED);
}

#[test]
fn a_connection_that_has_ended_says_why_and_takes_nothing_more() {
    let bench = Bench::on();
    let tap = connect(&bench.log, 8);
    tap.note(WireSide::Client, &send(1, false, b"x"));
    tap.end("because");
    tap.note(WireSide::Broker, &refusal(1));
    drop(tap);
    let recorded = bench.ask(1);
    assert_eq!(recorded.len(), 2);
    assert_eq!(recorded[1].end.as_ref().map(|end| end.why.as_str()), Some("because"));
    assert_eq!(recorded[1].exchanges.len(), 1);
    assert_eq!(recorded[1].exchanges[0].answer, None);
    drop(connect(&bench.log, 9));
    let end = bench.ask(2).remove(2).end.expect("it has ended");
    assert_eq!(end.why, "the broker has closed it");
}

#[test]
fn a_heartbeat_says_who_the_client_is() {
    let bench = Bench::on();
    let mut heartbeat = BytesMut::new();
    let who = Heartbeat { client_id: "me@here".into(), ..Heartbeat::default() };
    put_request(&mut heartbeat, 1, false, &who);
    bench.note(WireSide::Client, &heartbeat, 1);
    assert_eq!(bench.ask(2)[0].client_id.as_deref(), Some("me@here"));
}

#[test]
fn no_credential_is_kept() {
    let bench = Bench::on();
    let signer = Signer {
        access_key: "my access key",
        secret_key: "my secret",
        security_token: Some("my token"),
    };
    let mut out = BytesMut::new();
    let message = SendMessage { topic: "orders".into(), ..SendMessage::default() };
    Command::of(&message, 1).encode_with(Some(&signer), &mut out, |_| {});
    let fields = [("accessKey", "his access key"), ("secretKey", "his secret")].into_iter();
    Command::request(RequestCode(50), 2, fields.collect(), "{}".into()).encode(&mut out);
    let body = r#"{"username": "him", "password": "his password"}"#;
    Command::request(RequestCode(3001), 3, [].into_iter().collect(), body.into()).encode(&mut out);
    bench.note(WireSide::Client, &out, 1);
    let exchanges = bench.exchanges(2);
    assert_eq!(exchanges.len(), 3);
    let mut shown = format!("{exchanges:?}");
    for exchange in &exchanges {
        let request = exchange.request.as_ref().expect("a request");
        shown.push_str(&String::from_utf8_lossy(&request.body));
    }
    for secret in ["my", "his"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    let request = exchanges[0].request.as_ref().expect("a request");
    let hidden = ["AccessKey", "SecurityToken", "Signature"].map(|name| request.fields.get(name));
    assert_eq!(hidden, [Some("(not shown)"); 3]);
    assert_eq!(exchanges[2].request.as_ref().map(|it| it.body_length), Some(body.len()));
}
