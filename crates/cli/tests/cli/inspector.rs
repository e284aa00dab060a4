//! The inspector of `dev`: where it answers, and whom.

use std::net::TcpListener;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::dev::{Dev, dev};
use crate::shell::{finish, next_line, posthaste, run, signal};

pub(crate) const ANYWHERE: [&str; 2] = ["--http", "127.0.0.1:0"];

pub(crate) fn address(dev: &Dev) -> String {
    dev.ready["http"].as_str().unwrap().strip_prefix("http://").unwrap().to_owned()
}

/// Asks as curl does: the status, and the answer.
async fn get(address: &str, path: &str, headers: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let host =
        if headers.contains("Host:") { String::new() } else { format!("Host: {address}\r\n") };
    let head = format!("GET {path} HTTP/1.1\r\n{host}Connection: close\r\n{headers}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap())
}

/// As `curl -u me:PASSWORD` writes it.
fn basic(password: &str) -> String {
    use base64::Engine;
    let coded = base64::engine::general_purpose::STANDARD.encode(format!("me:{password}"));
    format!("Authorization: Basic {coded}\r\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_is_asked_for_over_http_and_sent_again() {
    let dev = dev(&[&ANYWHERE[..], &["--topic", "Orders:1"]].concat()).await;
    dev.run(&["send", "Orders", "hello", "-k", "o-1", "--tag", "new"], "").await.expect_code(0);
    let path = "/api/v1/messages?topic=Orders&key=o-1&wait=60s";
    let (status, answer) = get(&address(&dev), path, "").await;
    assert_eq!((status, &answer["messages"][0]["body"]), (200, &"hello".into()), "{answer}");
    // What it says of a message, `details` too, is what `send --json` reads.
    let line = format!("{}\n", answer["messages"][0]);
    dev.run(&["send", "Again", "--json"], &line).await.expect_code(0);
    let (_, again) = get(&address(&dev), "/api/v1/messages?topic=Again&wait=60s", "").await;
    for field in ["body", "keys", "tag"] {
        assert_eq!(again["messages"][0][field], answer["messages"][0][field], "{again}");
    }
    assert_eq!(dev.ready.get("http_password"), None);
    dev.stop("INT").await;
}

/// Takes the usual port. Another run of this test has it for a moment, a broker of this machine's user
/// for good: then it is taken, too.
async fn usual_port() -> Option<TcpListener> {
    for _ in 0..600 {
        if let Ok(listener) = TcpListener::bind("127.0.0.1:9877") {
            return Some(listener);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_left_for_another_unless_it_was_asked_for() {
    let _taken = usual_port().await;
    let free = ["dev", "--port", "0", "--namesrv-port", "0"];
    let mut child = posthaste(&free).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
    let said = next_line(&mut stderr).await.unwrap();
    assert!(said.starts_with("port 9877 is taken: the inspector has a free port"), "{said}");
    let mut url = String::new();
    while !url.starts_with("inspector") {
        url = next_line(&mut stdout).await.unwrap();
    }
    let address = url.split_whitespace().nth(1).unwrap().strip_prefix("http://").unwrap();
    assert_eq!(get(address, "/readyz", "").await.0, 200);
    for (asked, port) in [(&["--http"][..], "9877"), (&["--http", address], address)] {
        let refused = run(posthaste(&[&free[..], asked].concat()), "").await.expect_code(1);
        let port = port.rsplit(':').next().unwrap();
        for said in [&format!("port {port} is taken"), "--http 127.0.0.1:0", "--no-http"] {
            assert!(refused.stderr.contains(said), "{said}: {}", refused.stderr);
        }
    }
    signal(&child, "INT").await;
    finish(child).await.expect_code(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_inspector_there_is_none() {
    let dev = dev(&[]).await;
    assert_eq!(dev.ready["http"], Value::Null);
    dev.stop("INT").await;
    for (flags, said) in [
        (&["--no-http", "--http", "127.0.0.1:0"][..], "cannot be used with"),
        (&["--no-http", "--http-host", "dev"], "cannot be used with"),
        (&["--http", "9877"], "invalid"),
        (&["--http", "127.0.0.1:0", "--http-host", "http://dev"], "is no host"),
        (&["--http", "192.0.2.1:0"], "192.0.2.1 may not be an address of this machine"),
    ] {
        let args = [&["dev", "--port", "0", "--namesrv-port", "0"][..], flags].concat();
        let refused = run(posthaste(&args), "").await;
        assert!(matches!(refused.code, 1 | 2), "{flags:?}: {refused:?}");
        assert!(refused.stderr.contains(said), "{flags:?}: {}", refused.stderr);
    }
}

/// Messages that only signed requests may read are not read without a password either.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_asks_for_signatures_has_an_inspector_that_asks_for_a_password() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "the-secret-of-orders\n").unwrap();
    let secret = secret.display().to_string();
    let guard = ["--access-key", "orders", "--secret-key-file", &secret];
    let made_up = dev(&[&ANYWHERE[..], &guard].concat()).await;
    let password = made_up.ready["http_password"].as_str().unwrap();
    assert!(password.len() >= 12);
    let topics = "/api/v1/topics";
    assert_eq!(get(&address(&made_up), topics, "").await.0, 401);
    assert_eq!(get(&address(&made_up), topics, &basic(password)).await.0, 200);
    assert_eq!(get(&address(&made_up), "/readyz", "").await.0, 200);
    made_up.stop("INT").await;

    // A chosen one is not printed. It counts on loopback without a key too.
    let chosen = folder.path().join("password");
    std::fs::write(&chosen, "correct horse\n").unwrap();
    let chosen = ["--http-password-file", &chosen.display().to_string()].map(str::to_owned);
    let chosen: Vec<&str> = chosen.iter().map(String::as_str).collect();
    for flags in [&[&ANYWHERE[..], &guard, &chosen].concat(), &[&ANYWHERE[..], &chosen].concat()] {
        let dev = dev(flags).await;
        assert_eq!(dev.ready.get("http_password"), None);
        assert_eq!(get(&address(&dev), topics, "").await.0, 401);
        assert_eq!(get(&address(&dev), topics, &basic("correct horse")).await.0, 200);
        dev.stop("INT").await;
    }
    for (password, said) in [("short", "at least 12 characters"), ("", "no password in it")] {
        std::fs::write(folder.path().join("password"), password).unwrap();
        let args =
            [&["dev", "--port", "0", "--namesrv-port", "0"][..], &ANYWHERE, &chosen].concat();
        let refused = run(posthaste(&args), "").await.expect_code(2);
        assert!(refused.stderr.contains(said), "{}", refused.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inspector_that_other_machines_reach_has_a_password_and_knows_its_hosts() {
    let hosts = ["--advertise", "127.0.0.1", "--http-host", "dev.example"];
    let dev = dev(&[&["--http", "0.0.0.0:0"], &hosts[..]].concat()).await;
    let password = basic(dev.ready["http_password"].as_str().unwrap());
    let address = address(&dev);
    let port = address.rsplit(':').next().unwrap();
    assert_eq!(get(&address, "/api/v1/topics", "").await.0, 401);
    for (host, status) in
        [("localhost", 200), ("127.0.0.1", 200), ("dev.example", 200), ("evil.example", 421)]
    {
        let headers = format!("Host: {host}:{port}\r\n{password}");
        assert_eq!(get(&address, "/api/v1/topics", &headers).await.0, status, "{host}");
    }
    dev.stop("INT").await;
}

/// A container without a shell asks so.
#[tokio::test(flavor = "multi_thread")]
async fn a_running_broker_is_asked_whether_it_is_ready() {
    let dev = dev(&ANYWHERE).await;
    let at = address(&dev);
    let ready = run(posthaste(&["dev", "--healthy", "--http", &at]), "").await.expect_code(0);
    assert_eq!(ready.stdout, "ready\n");
    let everywhere = at.replace("127.0.0.1", "0.0.0.0");
    let json = ["dev", "--healthy", "-o", "json", "--http", &everywhere];
    let ready = run(posthaste(&json), "").await.expect_code(0).json();
    assert_eq!(ready, [json!({"_cmd": "dev", "_v": 1, "status": "ready"})]);
    dev.stop("INT").await;
    let gone = run(posthaste(&["dev", "--healthy", "--http", &at]), "").await.expect_code(3);
    assert!(gone.stderr.contains("cannot connect to an inspector"), "{}", gone.stderr);
    run(posthaste(&["dev", "--healthy", "--no-http"]), "").await.expect_code(2);
}
