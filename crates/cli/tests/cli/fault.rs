//! Rules of a broker that runs, at the shell.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::dev::{Dev, dev};
use crate::inspector::{ANYWHERE, address};
use crate::shell::{Run, posthaste, run};

const BUSY: &str = "on=send topic=Orders first=2 do=refuse code=SYSTEM_BUSY";

async fn orders() -> Dev {
    dev(&[&ANYWHERE[..], &["--topic", "Orders:1"]].concat()).await
}

/// `fault` with these arguments, told by the environment where to ask.
async fn fault(dev: &Dev, args: &[&str]) -> Run {
    let mut command = posthaste(&[&["fault"][..], args].concat());
    command.env("POSTHASTE_HTTP", address(dev));
    run(command, "").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_is_added_met_and_removed() {
    let dev = orders().await;
    let none = fault(&dev, &["list"]).await.expect_code(0);
    assert_eq!((none.stdout.as_str(), none.stderr.as_str()), ("", "there are no fault rules\n"));
    // In one argument, and a word each.
    let added = fault(&dev, &["add", BUSY]).await.expect_code(0);
    assert_eq!(added.stdout, format!("added    1  hits=0 matched=0  {BUSY}\n"));
    let words = ["add", "on=route", "topic=Nowhere", "do=unknown", "-o", "json"];
    let added = fault(&dev, &words).await.expect_code(0).json();
    let second = json!({
        "_cmd": "fault add", "_v": 1, "id": 2, "rule": "on=route topic=Nowhere do=unknown",
        "fault": {"on": "route", "topic": "Nowhere", "do": "unknown"},
        "hits": 0, "hit_messages": 0, "matched": 0,
    });
    assert_eq!(added, [second]);
    dev.run(&["send", "Orders", "hi"], "").await.expect_code(0);
    let met = fault(&dev, &["wait", "1", "--hits", "2", "--within", "1h"]).await.expect_code(0);
    assert_eq!(met.stdout, format!("hit      1  hits=2 matched=3  {BUSY}\n"));
    let listed = fault(&dev, &["list", "-o", "json"]).await.expect_code(0).json();
    let hits: Vec<&Value> = listed.iter().map(|rule| &rule["hits"]).collect();
    assert_eq!((hits, &listed[0]["_cmd"]), (vec![&json!(2), &json!(0)], &json!("fault list")));
    let listed = fault(&dev, &["list"]).await.expect_code(0);
    let lines = format!(
        "1  hits=2 matched=3  {BUSY}\n2  hits=0 matched=0  on=route topic=Nowhere do=unknown\n"
    );
    assert_eq!(listed.stdout, lines);
    // A rule that is not there keeps no other one alive.
    let removed = fault(&dev, &["rm", "7", "1"]).await.expect_code(1);
    assert_eq!(removed.stdout, format!("removed  1  hits=2 matched=3  {BUSY}\n"));
    assert!(removed.stderr.contains("there is no fault rule \"7\""), "{}", removed.stderr);
    let removed = fault(&dev, &["rm", "--all", "-o", "json"]).await.expect_code(0).json();
    assert_eq!((removed.len(), &removed[0]["id"]), (1, &json!(2)));
    assert_eq!(fault(&dev, &["list"]).await.stdout, "");
    dev.stop("INT").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hits_that_do_not_come_are_a_failure_that_says_how_many_did() {
    let dev = orders().await;
    fault(&dev, &["add", "on=send every=2 do=pass"]).await.expect_code(0);
    for body in ["1", "2", "3"] {
        dev.run(&["send", "Orders", body], "").await.expect_code(0);
    }
    let args = ["wait", "1", "--hits", "2", "--within", "1ms", "-o", "json"];
    let missed = fault(&dev, &args).await.expect_code(1);
    let said = "rule 1 has hit 1 of 2 requests after 0.001 s; 3 fitted it";
    let error = json!({"kind": "not_hit", "message": said});
    assert_eq!(missed.json(), [json!({"_cmd": "fault wait", "_v": 1, "error": error})]);
    assert!(missed.stderr.contains("on=send every=2 do=pass"), "{}", missed.stderr);
    let gone = fault(&dev, &["wait", "9", "-o", "json"]).await.expect_code(1);
    assert_eq!(gone.json()[0]["error"]["kind"], "no_such_fault");
    assert!(gone.stderr.contains("there are 1"), "{}", gone.stderr);
    dev.stop("INT").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_told_before_anyone_is_asked() {
    for (args, said) in [
        (&["add", "on=send topc=Orders do=pass"][..], "perhaps topic; there is: on, kind"),
        (&["add", "on=heartbeat", "topic=Orders", "do=pass"], "a heartbeat has no topic"),
        (&["add"], "RULE"),
        (&["wait", "1", "--hits", "0"], "0 is not in"),
        (&["rm"], "ID"),
        (&["rm", "1", "--all"], "cannot be used with"),
        (&["list", "--http", "https://dev"], "inspector from --http: `https://dev` is no host"),
        (&["list", "-n", "host"], "fault asks an inspector over HTTP: -n/--namesrv has no"),
        (&["list", "--access-key", "k"], "--http-password-file"),
        (&["list", "--http-password-file", "/nowhere"], "/nowhere"),
    ] {
        let wrong = run(posthaste(&[&["fault"][..], args].concat()), "").await.expect_code(2);
        assert!(wrong.stderr.contains(said), "{args:?}: {}", wrong.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_answers_and_is_no_inspector_is_unreachable() {
    let list = |at: String| async move {
        run(posthaste(&["fault", "list", "--http", &at]), "").await.expect_code(3).stderr
    };
    let nothing = list("127.0.0.1:1".to_owned()).await;
    assert!(nothing.contains("cannot connect to an inspector at 127.0.0.1:1"), "{nothing}");
    assert!(nothing.contains("posthaste dev"), "{nothing}");
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
        "SSH-2.0-OpenSSH\r\n",
        "",
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = format!("http://{}/", listener.local_addr().unwrap());
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_u8().await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            // Until the client goes.
            let _ = stream.read_to_end(&mut Vec::new()).await;
        };
        let (_, said) = tokio::join!(server, list(at));
        assert!(said.contains("is no inspector"), "{answer:?}: {said}");
    }
    let name_server = orders().await;
    let at = name_server.ready["name_server"].as_str().unwrap().to_owned();
    list(at).await;
    name_server.stop("INT").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inspector_with_a_password_gets_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password").display().to_string();
    std::fs::write(&file, "correct horse\n").unwrap();
    let password = ["--http-password-file", &file];
    let dev = dev(&[&ANYWHERE[..], &password].concat()).await;
    let without = fault(&dev, &["list", "-o", "json"]).await.expect_code(5);
    assert_eq!(without.json()[0]["error"]["kind"], "password");
    assert!(without.stderr.contains("POSTHASTE_HTTP_PASSWORD"), "{}", without.stderr);
    fault(&dev, &["add", BUSY, password[0], password[1]]).await.expect_code(0);
    for (given, code) in [("correct horse", 0), ("wrong horse", 5)] {
        let mut command = posthaste(&["fault", "list", "--http", &address(&dev)]);
        command.env("POSTHASTE_HTTP_PASSWORD", given);
        run(command, "").await.expect_code(code);
    }
    dev.stop("INT").await;
}
