//! Clusters that want signatures, and encrypted connections.

use std::net::SocketAddr;
use std::path::Path;

use posthaste_broker::Broker;
use rcgen::{CertificateParams, KeyPair};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::shell::{Run, finish, next_line, posthaste, posthaste_at, run, signal};

const SECRET: &str = "the-secret-of-orders";

/// A folder with a secret, and a certificate for this machine with its key.
fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("secret"), format!("{SECRET}\n")).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    std::fs::write(folder.path().join("cert.pem"), certificate.pem()).unwrap();
    std::fs::write(folder.path().join("key.pem"), key.serialize_pem()).unwrap();
    folder
}

fn path(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_signs_and_encrypts_and_says_no_secret() {
    let folder = folder();
    let (secret, certificate) = (path(&folder, "secret"), path(&folder, "cert.pem"));
    let key = path(&folder, "key.pem");
    let ports = ["dev", "--port", "0", "--namesrv-port", "0", "-o", "json", "--topic", "t:2"];
    let ports = [&ports[..], &["--no-http"]].concat();
    let guard = ["--access-key", "orders", "--secret-key-file", &secret];
    let tls = ["--tls-cert", &certificate, "--tls-key", &key];
    let args: Vec<&str> = [&ports[..], &guard[..], &tls[..]].concat();
    let mut dev = posthaste(&args).spawn().unwrap();
    let mut stdout = BufReader::new(dev.stdout.take().unwrap()).lines();
    let ready: Value = serde_json::from_str(&next_line(&mut stdout).await.unwrap()).unwrap();
    let server: SocketAddr = ready["name_server"].as_str().unwrap().parse().unwrap();

    let said_nothing = |run: Run| {
        assert!(!format!("{run:?}").contains(SECRET), "{run:?}");
        run
    };
    let flags = [&guard[..], &["--tls-ca", &certificate, "-vvv"]].concat();
    for command in [
        &["send", "t", "one"][..],
        &["topic", "create", "more"],
        &["topic", "list"],
        &["topic", "describe", "t"],
        &["tail", "t", "-C", "1"],
        &["bench", "latency", "--topic", "t", "--count", "5"],
    ] {
        let args = [command, &flags[..]].concat();
        said_nothing(run(posthaste_at(server, &args), "").await.expect_code(0));
    }
    // From the environment, and in plain.
    let mut command = posthaste_at(server, &["send", "t", "two", "--access-key", "orders"]);
    command.env("POSTHASTE_SECRET_KEY", SECRET);
    run(command, "").await.expect_code(0);

    // No key, a wrong one, no authority of ours: refused, with what to do.
    let unsigned = run(posthaste_at(server, &["send", "t", "x"]), "").await.expect_code(5);
    assert!(unsigned.stderr.contains("--access-key"), "{}", unsigned.stderr);
    let mut command = posthaste_at(server, &["topic", "list", "--access-key", "orders", "-vvv"]);
    command.env("POSTHASTE_SECRET_KEY", "another-secret");
    let wrong = run(command, "").await.expect_code(5);
    assert!(wrong.stderr.contains("check signature failed"), "{}", wrong.stderr);
    assert!(!wrong.stderr.contains("another-secret"), "{}", wrong.stderr);
    let other = crate::secured::folder();
    let stranger = path(&other, "cert.pem");
    let args = [&["send", "t", "x", "--tls-ca", &stranger][..], &guard[..]].concat();
    let untrusted = run(posthaste_at(server, &args), "").await.expect_code(3);
    assert!(untrusted.stderr.contains("--tls-ca"), "{}", untrusted.stderr);

    signal(&dev, "INT").await;
    finish(dev).await.expect_code(0);
}

#[tokio::test]
async fn what_cannot_be_is_told_before_anything_is_sent() {
    let nowhere = "127.0.0.1:1".parse().unwrap();
    assert!(!Path::new("/nowhere").exists());
    for (flags, says) in [
        (&["--access-key", "orders"][..], "--access-key needs a secret"),
        (&["--secret-key-file", "/nowhere"], "--secret-key-file needs --access-key"),
        (&["--access-key", "orders", "--secret-key-file", "/nowhere"], "/nowhere"),
        (&["--tls-ca", "/nowhere"], "CA file /nowhere"),
    ] {
        let args = [&["send", "t", "x"][..], flags].concat();
        let run = run(posthaste_at(nowhere, &args), "").await.expect_code(2);
        assert!(run.stderr.contains(says), "{}", run.stderr);
    }
    let listen = ["dev", "--listen", "0.0.0.0", "--port", "0", "--namesrv-port", "0"];
    let run = run(posthaste(&listen), "").await.expect_code(2);
    assert!(run.stderr.contains("--access-key"), "{}", run.stderr);
}

/// The name server says where brokers are. Those who can change it get no access key.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_not_trusted_is_not_even_connected_to() {
    let broker = Broker::builder().access_key("orders", SECRET).topic("t", 1).start().await;
    let broker = broker.unwrap();
    let folder = folder();
    let secret = path(&folder, "secret");
    let guard = ["--access-key", "orders", "--secret-key-file", &secret];
    let at = |command: &[&str], trusted: &[&str]| {
        posthaste_at(broker.name_server(), &[command, &guard[..], trusted].concat())
    };
    let strangers = ["--trusted-brokers", "10.0.0.0/8,localhost"];
    for command in [
        &["send", "t", "x"][..],
        &["topic", "describe", "t"],
        &["topic", "create", "u"],
        &["tail", "t", "-C", "1"],
    ] {
        let run = run(at(command, &strangers), "").await.expect_code(3);
        for words in ["127.0.0.1", "not trusted", "--trusted-brokers"] {
            assert!(run.stderr.contains(words), "{command:?} {words}: {}", run.stderr);
        }
    }
    assert_eq!(broker.stats().messages, 0);
    let trusted = ["--trusted-brokers", "10.0.0.0/8", "--trusted-brokers", "127.0.0.1"];
    run(at(&["send", "t", "x"], &trusted), "").await.expect_code(0);
    let wrong = run(at(&["send", "t", "x"], &["--trusted-brokers", "broker:10911"]), "").await;
    let wrong = wrong.expect_code(2);
    assert!(wrong.stderr.contains("`broker:10911` has a port"), "{}", wrong.stderr);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_others_can_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let secret = path(&folder, "secret");
    for (mode, is_warned) in [(0o644, true), (0o640, true), (0o604, true), (0o600, false)] {
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(mode)).unwrap();
        let args = ["-n", "127.0.0.1:1", "--access-key", "orders", "--secret-key-file", &secret];
        let args: Vec<&str> = args.into_iter().chain(["topic", "list"]).collect();
        let run = run(posthaste(&args), "").await.expect_code(3);
        let warning = format!("others can read the secret in {secret} (mode {mode:03o})");
        assert_eq!(run.stderr.contains(&warning), is_warned, "{}", run.stderr);
    }
}
