//! `doctor`: each finding provoked, its remedy pasted, and the finding gone.

use std::net::SocketAddr;

use posthaste_broker::{Broker, Cluster, Fault, On};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::pki::{Authority, Certificate, self_signed};
use crate::shell::{Run, posthaste, run};

/// What a run of `doctor -o json` said.
#[derive(Debug)]
struct Seen {
    code: i32,
    checks: Vec<Value>,
}

impl Seen {
    fn of(run: &Run) -> Self {
        let json = run.json();
        let report = &json[0];
        assert_eq!(report["checked"], true, "{run:?}");
        let checks = report["checks"].as_array().unwrap().clone();
        let fails = checks.iter().any(|check| check["result"] == "fail");
        assert_eq!((report["healthy"] == true, run.code), (!fails, i32::from(fails)), "{run:?}");
        Self { code: run.code, checks }
    }

    fn ids(&self, result: &str) -> Vec<&str> {
        let of_result = self.checks.iter().filter(|check| check["result"] == result);
        of_result.map(|check| check["id"].as_str().unwrap_or("")).collect()
    }

    fn findings(&self) -> Vec<&str> {
        self.ids("fail")
    }

    /// The remedy of the only finding, which has this id and these words in its evidence.
    #[track_caller]
    fn only(&self, id: &str, evidence: &[&str]) -> String {
        assert_eq!(self.findings(), [id], "{self:?}");
        self.remedy(id, evidence)
    }

    #[track_caller]
    fn remedy(&self, id: &str, evidence: &[&str]) -> String {
        let found = self.checks.iter().find(|check| check["id"] == id);
        let found = found.unwrap_or_else(|| panic!("{id}: {self:?}"));
        let said = found["evidence"].as_str().unwrap();
        for words in evidence {
            assert!(said.contains(words), "{words}: {said}");
        }
        assert!(found["meaning"].is_string(), "{found}");
        found["remedy"].as_str().unwrap().to_owned()
    }

    /// What was skipped, and for which finding.
    fn skipped(&self) -> Vec<(&str, &str)> {
        let skipped = self.checks.iter().filter(|check| check["result"] == "skipped");
        let texts = |check| (text(check, "evidence"), text(check, "because"));
        skipped.map(texts).collect()
    }
}

fn text<'a>(check: &'a Value, name: &str) -> &'a str {
    check[name].as_str().unwrap()
}

/// Runs it with all the time it needs.
async fn examine(args: &[&str]) -> Seen {
    let args = [&["-o", "json", "--timeout", "1h", "doctor"], args].concat();
    Seen::of(&run(posthaste(&args), "").await)
}

async fn examine_at(server: SocketAddr, args: &[&str]) -> Seen {
    examine(&[&["-n", &server.to_string()], args].concat()).await
}

/// Runs a remedy as it was printed.
async fn paste(remedy: &str) -> Run {
    let words = shlex::split(remedy).unwrap();
    assert_eq!(words[0], "posthaste", "{remedy}");
    let words: Vec<&str> = words[1..].iter().map(String::as_str).collect();
    run(posthaste(&[&["-o", "json"], &words[..]].concat()), "").await
}

/// The same when it is a run of `doctor`.
async fn examine_by(remedy: &str) -> Seen {
    Seen::of(&paste(remedy).await)
}

#[track_caller]
fn healthy(seen: &Seen) {
    assert_eq!((seen.code, seen.findings()), (0, vec![]), "{seen:?}");
}

async fn orders() -> Broker {
    Broker::builder().topic("Orders", 4).auto_create_topics(false).start().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_broker_has_no_findings_and_is_not_changed() {
    for broker in [orders().await, Broker::builder().topic("Orders", 4).start().await.unwrap()] {
        for args in [&[][..], &["Orders"]] {
            let seen = examine_at(broker.name_server(), args).await;
            healthy(&seen);
            assert_eq!(seen.ids("note"), [""; 0]);
            assert_eq!(seen.skipped(), []);
        }
        assert_eq!(broker.stats().messages, 0);
        let seen = examine_at(broker.name_server(), &["Orders", "--send"]).await;
        healthy(&seen);
        assert_eq!(broker.stats().messages, 1);
        let said: Vec<&str> =
            seen.checks.iter().map(|check| check["evidence"].as_str().unwrap()).collect();
        for words in
            ["RocketMQ 5.5.0", "topic Orders: 4 write queues on dev", "test message", "clock"]
        {
            assert!(said.iter().any(|said| said.contains(words)), "{words}: {said:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn for_people_each_finding_is_three_lines() {
    let broker = orders().await;
    let server = broker.name_server().to_string();
    let args = ["-n", &server, "--timeout", "1h", "doctor", "Typo", "--send"];
    let run = run(posthaste(&args), "").await.expect_code(1);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert!(lines[0].starts_with(&format!("ok    name server {server} answers (")), "{run:?}");
    assert_eq!(
        lines[1..4],
        [
            format!("FAIL  topic Typo: {server} knows no such topic  [topic-missing]"),
            "      Brokers of this cluster create no topics for a send. Create it:".to_owned(),
            format!("      posthaste -n {server} --timeout 1h topic create Typo --queues 8"),
        ]
    );
    assert!(lines[4].starts_with("ok    dev advertises 127.0.0.1:"), "{run:?}");
    assert_eq!(lines[5], "skip  test message to Typo: skipped because of topic-missing");
    assert_eq!((lines.len(), run.stderr.as_str()), (6, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_missing_is_created_by_the_remedy() {
    let broker = orders().await;
    let seen = examine_at(broker.name_server(), &["Typo"]).await;
    let remedy = seen.only("topic-missing", &["Typo", &broker.name_server().to_string()]);
    paste(&remedy).await.expect_code(0);
    healthy(&examine_at(broker.name_server(), &["Typo"]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_a_send_would_create_is_noted_and_not_created() {
    let broker = Broker::builder().start().await.unwrap();
    let seen = examine_at(broker.name_server(), &["Fresh", "--send"]).await;
    assert_eq!((seen.code, seen.ids("note")), (0, vec!["topic-made-by-send"]), "{seen:?}");
    assert_eq!(seen.skipped(), [("test message to Fresh", "topic-made-by-send")]);
    assert!(broker.topics().await.unwrap().iter().all(|topic| topic.name != "Fresh"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_cannot_be_reached_is_found_elsewhere() {
    // Nothing listens there, as with the address of a container.
    let broker = Broker::builder().topic("Orders", 4).advertise("127.9.9.9").start().await.unwrap();
    let seen = examine_at(broker.name_server(), &["Orders", "--send"]).await;
    let advertised = format!("dev advertises 127.9.9.9:{}", broker.address().port());
    let remedy = seen.only("broker-unreachable", &[&advertised, "refused", "answers at 127.0.0.1"]);
    assert!(remedy.contains("--broker-map 127.9.9.9=127.0.0.1"), "{remedy}");
    assert_eq!(seen.skipped(), [("test message to Orders", "broker-unreachable")]);
    healthy(&examine_by(&remedy).await);
    assert_eq!(broker.stats().messages, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comment_in_an_address_is_told_from_a_name_that_is_not_known() {
    let broker = orders().await;
    let commented = format!("127.0.0.1 # my laptop:{}", broker.address().port());
    broker.fault(Fault::on(On::Route).another_address(commented)).unwrap();
    let seen = examine_at(broker.name_server(), &["Orders", "--send"]).await;
    let remedy = seen.only("broker-ip-comment", &["127.0.0.1 # my laptop"]);
    healthy(&examine_by(&remedy).await);
    assert_eq!(broker.stats().messages, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_routes_say_of_a_topic_is_told_apart() {
    let broker = orders().await;
    let server = broker.name_server().to_string();
    let on = || Fault::on(On::Route);
    for (fault, id, evidence, remedy) in [
        (
            on().topic("Orders").without_write_permission(),
            "topic-not-writable",
            "perm 4 on dev",
            format!("mqadmin updateTopicPerm -n '{server}' -c DefaultCluster -t Orders -p 6"),
        ),
        (
            on().without_write_permission(),
            "broker-read-only",
            "none of the topics of dev",
            format!("mqadmin addWritePerm -n '{server}' -b dev"),
        ),
        (on().without_master(), "no-master", "only slaves (127.0.0.1:", "brokerId=0".into()),
        (
            on().topic("Orders").empty(),
            "topic-without-queues",
            "leads to no queue",
            format!("posthaste -n {server} --timeout 1h topic create Orders --queues 8"),
        ),
        (on().empty(), "no-brokers", "knows no broker", format!("namesrvAddr={server}")),
        (on().unknown(), "no-brokers", "knows no broker", format!("namesrvAddr={server}")),
        (
            on().topic("Orders").unknown(),
            "topic-missing",
            "knows no such topic",
            format!("posthaste -n {server} --timeout 1h topic create Orders --queues 8"),
        ),
    ] {
        let rule = broker.fault(fault).unwrap();
        let seen = examine_at(broker.name_server(), &["Orders", "--send"]).await;
        assert_eq!(seen.only(id, &[evidence]), remedy);
        assert_eq!(seen.skipped(), [("test message to Orders", id)]);
        rule.remove();
        healthy(&examine_at(broker.name_server(), &["Orders"]).await);
    }
    assert_eq!(broker.stats().messages, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_may_not_be_sent_to_is_denied_by_the_test_message() {
    let broker = orders().await;
    let denied = Fault::on(On::Send).refuse(posthaste::ResponseCode::NO_PERMISSION);
    let rule = broker.fault(denied.remark("no PUB on Orders")).unwrap();
    healthy(&examine_at(broker.name_server(), &["Orders"]).await);
    let seen = examine_at(broker.name_server(), &["Orders", "--send"]).await;
    let remedy = seen.only("topic-denied", &["Orders", "no PUB on Orders"]);
    assert!(remedy.ends_with("--access-key KEY --secret-key-file FILE doctor Orders --send"));
    rule.remove();
    healthy(&examine_at(broker.name_server(), &["Orders", "--send"]).await);
}

/// A server that says this to whatever comes, and hangs up.
async fn says(words: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 4096];
                if matches!(socket.read(&mut request).await, Ok(1..)) {
                    // The other side may have gone.
                    let _ = socket.write_all(words).await;
                    let _ = socket.shutdown().await;
                    while matches!(socket.read(&mut request).await, Ok(1..)) {}
                }
            });
        }
    });
    address
}

const GRPC: &[u8] = &[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100];

#[tokio::test(flavor = "multi_thread")]
async fn other_servers_are_known_by_what_they_speak() {
    let broker = orders().await;
    for (words, id, evidence) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "port-speaks-http", "it speaks HTTP"),
        (GRPC, "port-speaks-grpc", "as gRPC servers do"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "port-speaks-ssh", "it speaks SSH"),
        (&[0x15, 3, 3, 0, 2, 2, 70, 0, 0], "port-speaks-tls", "it speaks TLS"),
        (b"nonsense", "no-remoting-answer", "asked in the remoting protocol"),
    ] {
        // In place of a name server.
        let other = says(words).await.to_string();
        let seen = examine(&["-n", &other, "Orders", "--send"]).await;
        seen.only(id, &[&other, evidence]);
        let skipped = ["topic Orders", "brokers", "test message to Orders"];
        assert_eq!(seen.skipped(), skipped.map(|what| (what, id)));
        // Beside one, which the remedy names alone.
        let both = format!("{other};{}", broker.name_server());
        let seen = examine(&["-n", &both, "Orders"]).await;
        let remedy = seen.only(id, &[&other]);
        if id != "port-speaks-tls" {
            healthy(&examine_by(&remedy).await);
        }
        // In place of a broker.
        let lie = Fault::on(On::Route).another_address(other.clone());
        let rule = broker.fault(lie).unwrap();
        let seen = examine_at(broker.name_server(), &["Orders"]).await;
        seen.only(id, &["dev advertises", &other, evidence]);
        rule.remove();
    }
}

/// A server that answers requests of this code with another code, and all others as unknown. The
/// embedded broker answers both roles at both of its ports.
async fn answers_only(request_code: i64, code: i64) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                // A greeting in another protocol is a frame that is too long.
                while let Ok(length @ ..65_536) = socket.read_u32().await {
                    let mut frame = vec![0; length as usize];
                    socket.read_exact(&mut frame).await.unwrap();
                    let header = u32::from_be_bytes(frame[..4].try_into().unwrap()) as usize;
                    let request: Value = serde_json::from_slice(&frame[4..4 + header]).unwrap();
                    let known = request["code"] == request_code;
                    let answer = serde_json::json!({
                        "code": if known { code } else { 3 }, "flag": 1, "language": "JAVA",
                        "opaque": request["opaque"], "version": 513,
                    });
                    let header = answer.to_string();
                    let length = header.len() as u32;
                    let mut answer = [(length + 4).to_be_bytes(), length.to_be_bytes()].concat();
                    answer.extend_from_slice(header.as_bytes());
                    if socket.write_all(&answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn ports_that_are_swapped_are_known_by_their_answers() {
    let other = answers_only(34, 0).await;
    let seen = examine_at(other, &["Orders"]).await;
    let remedy = seen.only("ports-swapped", &[&other.to_string(), "as a broker does"]);
    assert_eq!(remedy, "posthaste --timeout 1h -n 127.0.0.1:9876 doctor Orders");

    let broker = orders().await;
    let other = answers_only(105, 17).await;
    broker.fault(Fault::on(On::Route).another_address(other.to_string())).unwrap();
    let seen = examine_at(broker.name_server(), &["Orders"]).await;
    let remedy = seen.only("ports-swapped", &["dev advertises", "as a name server does"]);
    let map = format!("--broker-map 127.0.0.1:{}=127.0.0.1:10911", other.port());
    assert!(remedy.contains(&map), "{remedy}");
    healthy(&examine_by(&remedy.replace(":10911", &format!(":{}", broker.address().port()))).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn name_servers_that_are_down_or_disagree() {
    let broker = orders().await;
    let other = Broker::builder().broker_name("other").start().await.unwrap();
    let (server, gone) = (broker.name_server().to_string(), other.name_server().to_string());
    let both = format!("{server};{gone}");
    let seen = examine(&["-n", &both, "Orders"]).await;
    let remedy =
        seen.only("name-servers-disagree", &["topic Orders", &server, "that there is none"]);
    assert_eq!(remedy, format!("namesrvAddr={both}"));
    other.stop().await;
    let seen = examine(&["-n", &both, "Orders"]).await;
    let remedy = seen.only("name-server-unreachable", &[&gone, "refused"]);
    healthy(&examine_by(&remedy).await);
    let seen = examine(&["-n", "no.such.host.invalid:9876"]).await;
    let remedy = seen.only("name-server-unresolved", &["no.such.host.invalid"]);
    assert_eq!(remedy, "posthaste --timeout 1h -n HOST:9876 doctor");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_without_master_has_its_slave_named() {
    let cluster =
        Cluster::builder().brokers(1).slave_of(0).topic("Orders", 2).start().await.unwrap();
    healthy(&examine_at(cluster.name_server(), &["Orders"]).await);
    cluster.brokers()[0].down().await.unwrap();
    let seen = examine_at(cluster.name_server(), &["Orders"]).await;
    assert!(seen.findings().contains(&"no-master"), "{seen:?}");
    cluster.brokers()[0].up().await.unwrap();
    healthy(&examine_at(cluster.name_server(), &["Orders"]).await);
}

/// A broker that takes encrypted connections alone.
async fn encrypted(certificate: &Certificate) -> Broker {
    let tls = Broker::builder().topic("Orders", 4).tls(&*certificate.chain, &*certificate.key);
    tls.tls_only().start().await.unwrap()
}

fn write(folder: &TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn encryption_is_asked_for_and_its_authority_named() {
    let certificate = self_signed(&["127.0.0.1"]);
    let broker = encrypted(&certificate).await;
    let server = broker.name_server().to_string();
    let folder = TempDir::new().unwrap();
    let ca = write(&folder, "ca.pem", &certificate.chain);
    let seen = examine(&["-n", &server, "Orders"]).await;
    let remedy = seen.only("tls-wanted", &[&server, "answers over TLS"]);
    let seen = examine_by(&remedy).await;
    let remedy = seen.only("certificate-untrusted", &[&server, "certificate"]);
    healthy(&examine_by(&remedy.replace("FILE", &ca)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn encryption_is_left_out_where_it_is_not_spoken() {
    let broker = orders().await;
    let server = broker.name_server().to_string();
    let folder = TempDir::new().unwrap();
    let ca = write(&folder, "ca.pem", &self_signed(&["127.0.0.1"]).chain);
    for tls in [&["--tls"][..], &["--tls-ca", &ca]] {
        let seen = examine(&[&["-n", &server, "Orders"], tls].concat()).await;
        let remedy = seen.only("tls-not-spoken", &[&server, "answers plain connections"]);
        healthy(&examine_by(&remedy).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_certificate_is_told_apart() {
    let ours = Authority::new("ours");
    let folder = TempDir::new().unwrap();
    let ca = write(&folder, "ca.pem", &ours.pem);
    let elsewhere = encrypted(&ours.issue(&["mq.internal"])).await;
    let server = elsewhere.name_server().to_string();
    let seen = examine(&["-n", &server, "--tls-ca", &ca, "Orders"]).await;
    let remedy = seen.only("certificate-other-host", &[&server, "not valid for name"]);
    assert!(remedy.contains("--tls-server-name mq.internal"), "{remedy}");
    healthy(&examine_by(&remedy).await);

    let old = ours.issue_with(&["127.0.0.1"], |params| {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    });
    let old = encrypted(&old).await;
    let server = old.name_server().to_string();
    let seen = examine(&["-n", &server, "--tls-ca", &ca, "Orders"]).await;
    let remedy = seen.only("certificate-expired", &[&server, "expired"]);
    assert!(remedy.starts_with(&format!("openssl s_client -connect {server} ")), "{remedy}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_missing_unknown_or_wrong_are_told_apart() {
    let broker = Broker::builder().topic("Orders", 4).access_key("orders", "the-right-secret");
    let broker = broker.start().await.unwrap();
    let server = broker.name_server().to_string();
    let folder = TempDir::new().unwrap();
    let (right, wrong) =
        (write(&folder, "right", "the-right-secret"), write(&folder, "wrong", "another-secret"));
    for (key, id, evidence) in [
        (None, "access-key-wanted", "username cannot be null"),
        (Some(("orders", &wrong)), "signature-refused", "check signature failed"),
        (Some(("who", &right)), "access-key-unknown", "User:who is not found"),
    ] {
        let key = key.map(|(key, file)| ["--access-key", key, "--secret-key-file", file]);
        let key: Vec<&str> = key.into_iter().flatten().collect();
        let seen = examine(&[&["-n", &server, "Orders", "--send"], &key[..]].concat()).await;
        let remedy = seen.only(id, &[&server, evidence]);
        let remedy = remedy.replace("KEY", "orders").replace("FILE", &right);
        healthy(&examine_by(&remedy).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_not_trusted_is_not_asked() {
    let broker = orders().await;
    let server = broker.name_server().to_string();
    let seen = examine(&["-n", &server, "--trusted-brokers", "10.0.0.0/8", "Orders"]).await;
    let remedy = seen.only("broker-untrusted", &["127.0.0.1"]);
    healthy(&examine_by(&remedy).await);
}

#[tokio::test]
async fn what_keeps_it_from_checking_anything_is_no_finding() {
    for (args, says) in [
        (&["--tls-ca", "/nowhere"][..], "CA file /nowhere"),
        (&["--access-key", "k"], "needs a secret"),
        (&["a topic"], "is not a valid topic name"),
    ] {
        let args = [&["-o", "json", "doctor"], args].concat();
        let run = run(posthaste(&args), "").await.expect_code(2);
        assert_eq!(run.json()[0]["checked"], false, "{run:?}");
        assert!(run.stderr.contains(says), "{run:?}");
        assert!(run.stderr.contains("Nothing was checked"), "{run:?}");
    }
    run(posthaste(&["doctor", "--send"]), "").await.expect_code(2);
}
