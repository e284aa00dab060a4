//! The broker to develop against.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;

use crate::shell::{finish, json_lines, next_line, posthaste, posthaste_at, run, signal};

/// A running `posthaste dev` on free ports, and where it is.
pub(crate) struct Dev {
    child: Child,
    name_server: SocketAddr,
    /// What it has said.
    pub(crate) ready: Value,
}

/// Without an inspector, unless the flags have one.
pub(crate) async fn dev(flags: &[&str]) -> Dev {
    let free_ports = ["dev", "--port", "0", "--namesrv-port", "0", "-o", "json"];
    let no_http = if flags.contains(&"--http") { &[][..] } else { &["--no-http"] };
    let args: Vec<&str> = free_ports.iter().chain(no_http).chain(flags).copied().collect();
    let mut child = posthaste(&args).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = next_line(&mut stdout).await.expect("it starts");
    let ready: Value = serde_json::from_str(&line).unwrap();
    let name_server = ready["name_server"].as_str().unwrap().parse().unwrap();
    Dev { child, name_server, ready }
}

impl Dev {
    pub(crate) async fn run(&self, args: &[&str], stdin: &str) -> crate::shell::Run {
        run(posthaste_at(self.name_server, args), stdin).await
    }

    pub(crate) async fn stop(self, name: &str) {
        signal(&self.child, name).await;
        finish(self.child).await.expect_code(0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_where_it_is_and_stops_when_asked() {
    for name in ["INT", "TERM"] {
        let args = ["dev", "--port", "0", "--namesrv-port", "0", "--http", "127.0.0.1:0"];
        let mut child = posthaste(&args).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut banner = Vec::new();
        loop {
            let line = next_line(&mut stdout).await.expect("it says when it is ready");
            let ready = line.starts_with("ready in ");
            banner.push(line);
            if ready {
                break;
            }
        }
        assert!(banner[0].starts_with("name server   127.0.0.1:"), "{banner:?}");
        assert!(banner[1].starts_with("broker        127.0.0.1:"), "{banner:?}");
        assert!(banner[2].starts_with("inspector     http://127.0.0.1:"), "{banner:?}");
        assert_eq!(
            banner[3],
            "storage       memory, newest 64 MiB kept (use --data DIR to persist)"
        );
        signal(&child, name).await;
        finish(child).await.expect_code(0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_banner_says_what_happens_at_the_data_limit() {
    for (flags, said) in [
        (&[][..], "newest 1 GiB kept (--data-limit, --when-full)"),
        (&["--data-limit", "20MiB"], "newest 20 MiB kept (--data-limit, --when-full)"),
        (&["--when-full", "refuse"], "sends are refused beyond 1 GiB (--data-limit, --when-full)"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("new").join("data");
        let args = ["dev", "--no-http", "--port", "0", "--namesrv-port", "0", "--data"];
        let args: Vec<&str> =
            args.iter().chain(&[data.to_str().unwrap()]).chain(flags).copied().collect();
        let mut child = posthaste(&args).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut storage = String::new();
        while !storage.starts_with("storage") {
            storage = next_line(&mut stdout).await.expect("it says where it keeps messages");
        }
        assert_eq!(storage, format!("storage       {}, {said}", data.display()));
        signal(&child, "INT").await;
        finish(child).await.expect_code(0);
    }
    let small = run(posthaste(&["dev", "--data", "x", "--data-limit", "1MiB"]), "").await;
    let small = small.expect_code(2);
    assert!(small.stderr.contains("at least 16 MiB"), "{}", small.stderr);
}

/// What takes more than the limit goes through, the folder stays as it is, and the newest are there.
#[tokio::test(flavor = "multi_thread")]
async fn a_data_folder_that_is_full_goes_on_with_the_newest_messages() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let dev = dev(&["--data", data, "--data-limit", "16MiB", "--topic", "T:1"]).await;
    let lines: String = (0..500).map(|n| format!("{n:060000}\n")).collect();
    dev.run(&["send", "T", "-q", "-z", "none"], &lines).await.expect_code(0);
    let files = std::fs::read_dir(folder.path()).unwrap();
    let bytes: u64 = files.map(|file| file.unwrap().metadata().unwrap().len()).sum();
    assert!(bytes < 14 * 16 * 1024 * 1024 / 10, "{bytes}");
    let described =
        dev.run(&["topic", "describe", "T", "-o", "json"], "").await.expect_code(0).json();
    let queue = &described[0]["queues"][0];
    // More than 500 where the machine was so busy that an answer was given up, and its message sent again.
    // How many are kept depends on how many one commit has: a file ends with a commit.
    let (min, max) = (queue["min_offset"].as_u64().unwrap(), queue["max_offset"].as_u64().unwrap());
    assert!(max >= 500 && (80..280).contains(&(max - min)), "{queue}");
    let newest = ["tail", "T", "--until", "now", "-o", "json"];
    let newest = dev.run(&newest, "").await.expect_code(0).json();
    assert!(newest.iter().any(|line| line["body"] == format!("{:060000}", 499)));
    dev.stop("INT").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_folder_whose_file_is_empty_is_damaged_and_no_new_one() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("broker.redb"), "").unwrap();
    let data = folder.path().to_str().unwrap();
    let args = ["dev", "--port", "0", "--namesrv-port", "0", "--data", data];
    let refused = run(posthaste(&args), "").await.expect_code(1);
    for said in [data, "damaged (broker.redb: it is empty)", "restore the file from a copy"] {
        assert!(refused.stderr.contains(said), "{}", refused.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_explained() {
    let dev = dev(&[]).await;
    let port = dev.name_server.port().to_string();
    let second =
        run(posthaste(&["dev", "--port", "0", "--namesrv-port", &port]), "").await.expect_code(1);
    assert!(second.stderr.contains(&format!("port {port} is taken")), "{}", second.stderr);
    assert!(second.stderr.contains("--namesrv-port 0 --port 0"), "{}", second.stderr);
    dev.stop("INT").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_does_not_listen_to_everybody_by_accident() {
    let open =
        run(posthaste(&["dev", "--listen", "0.0.0.0", "--port", "0", "--namesrv-port", "0"]), "")
            .await
            .expect_code(2);
    assert!(open.stderr.contains("--anyone-may-connect"), "{}", open.stderr);
    dev(&["--listen", "0.0.0.0", "--anyone-may-connect", "--advertise", "127.0.0.1"])
        .await
        .stop("TERM")
        .await;
}

/// It advertised 0.0.0.0 then, which no other machine can connect to.
#[tokio::test(flavor = "multi_thread")]
async fn it_does_not_listen_everywhere_without_saying_where_clients_find_it() {
    for listen in ["0.0.0.0", "::"] {
        let args = ["dev", "--listen", listen, "--anyone-may-connect", "--port", "0"];
        let args = [&args[..], &["--namesrv-port", "0"]].concat();
        let run = run(posthaste(&args), "").await.expect_code(2);
        let expected =
            "stands for every address of this machine, and a client cannot connect to it";
        assert!(run.stderr.contains(expected), "{}", run.stderr);
        assert!(run.stderr.contains("--advertise "), "{}", run.stderr);
    }
    for host in ["", "0.0.0.0", "host:10911", "http://host"] {
        let args = ["dev", "--port", "0", "--namesrv-port", "0", "--advertise", host];
        let run = run(posthaste(&args), "").await.expect_code(2);
        assert!(run.stderr.contains("advertise"), "{host}: {}", run.stderr);
    }
}

/// They were passed over in silence.
#[tokio::test(flavor = "multi_thread")]
async fn flags_of_another_cluster_have_no_meaning_where_the_cluster_is_its_own() {
    for flag in [
        &["-n", "host"][..],
        &["--broker-host", "host"],
        &["--broker-map", "a=b"],
        &["--tls"],
        &["--tls-ca", "file"],
    ] {
        for command in ["dev", "demo"] {
            let args = [&[command][..], flag].concat();
            let run = run(posthaste(&args), "").await.expect_code(2);
            assert!(run.stderr.contains("has no meaning there"), "{args:?}: {}", run.stderr);
        }
    }
    run(posthaste(&["demo", "--access-key", "k"]), "").await.expect_code(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_seeded_and_others_may_be_refused() {
    let dev = dev(&["--topic", "Orders:3", "--seed-topic", "Payments:5", "--no-auto-create"]).await;
    for (topic, queues) in [("Orders", 3), ("Payments", 5)] {
        let described =
            dev.run(&["topic", "describe", topic, "-o", "json"], "").await.expect_code(0).json();
        assert_eq!(described[0]["queues"].as_array().unwrap().len(), queues);
    }
    dev.run(&["send", "Orders", "hi"], "").await.expect_code(0);
    dev.run(&["send", "Typo", "hi"], "").await.expect_code(3);
    dev.stop("INT").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_misbehaves_as_rules_say() {
    let busy = "on=send topic=Orders first=2 do=refuse code=SYSTEM_BUSY";
    let denied = r#"on=send topic=Payments do=refuse code=NO_PERMISSION remark="not today""#;
    let topics = ["--topic", "Orders:1", "--topic", "Payments:1"];
    let flags = ["--fault", busy, "--fault", denied];
    let dev = dev(&topics.into_iter().chain(flags).collect::<Vec<_>>()).await;
    dev.run(&["send", "Orders", "hi"], "").await.expect_code(0);
    let refused = dev.run(&["send", "Payments", "hi"], "").await.expect_code(5);
    assert!(refused.stderr.contains("not today"), "{}", refused.stderr);
    dev.stop("INT").await;
    for (rule, hint) in [
        ("on=send topc=Orders do=pass", "perhaps topic; there is: on, kind"),
        ("on=heartbeat topic=Orders do=pass", "a heartbeat has no topic"),
    ] {
        let wrong = run(posthaste(&["dev", "--fault", rule]), "").await.expect_code(2);
        assert!(wrong.stderr.contains(hint), "{}", wrong.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_bounded_and_the_oldest_go_first() {
    let dev = dev(&["--memory", "1MiB", "--topic", "T:1"]).await;
    let lines: String = (0..4_000).map(|n| format!("{n:01000}\n")).collect();
    dev.run(&["send", "T", "-q"], &lines).await.expect_code(0);
    let described =
        dev.run(&["topic", "describe", "T", "-o", "json"], "").await.expect_code(0).json();
    let queue = &described[0]["queues"][0];
    assert_eq!(queue["max_offset"], 4_000);
    let min = queue["min_offset"].as_u64().unwrap();
    assert!(min > 2_000, "{queue}");
    let tail = dev.run(&["tail", "T", "--until", "now", "-o", "json"], "").await.expect_code(0);
    let offsets: Vec<u64> =
        json_lines(&tail.stdout).iter().map(|line| line["offset"].as_u64().unwrap()).collect();
    assert_eq!(offsets, (min..4_000).collect::<Vec<_>>());
    dev.stop("INT").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn data_outlives_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let data = ["--data", folder.path().to_str().unwrap()];
    let first = dev(&data).await;
    first.run(&["send", "T", "-q"], "1\n2\n3\n").await.expect_code(0);
    let mut child = first.child;
    // No chance to tidy up: acknowledged messages must be there nevertheless.
    child.kill().await.unwrap();
    let second = dev(&data).await;
    let tail = second.run(&["tail", "T", "--until", "now", "-o", "json"], "").await.expect_code(0);
    let mut bodies: Vec<String> =
        tail.json().iter().map(|line| line["body"].as_str().unwrap().to_owned()).collect();
    bodies.sort_unstable();
    assert_eq!(bodies, ["1", "2", "3"]);
    let third =
        run(posthaste(&["dev", "--port", "0", "--namesrv-port", "0", data[0], data[1]]), "")
            .await
            .expect_code(1);
    assert!(third.stderr.contains("in use"), "{}", third.stderr);
    second.stop("INT").await;
}
