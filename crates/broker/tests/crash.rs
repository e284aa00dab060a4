//! `kill -9` in the middle of sends: everything that was acknowledged is there afterwards.

#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use posthaste_broker::Broker;
use posthaste_protocol::request::SendAnswer;
use support::{Client, message};

/// Where the child keeps its data; set for the child alone.
const FOLDER: &str = "POSTHASTE_TEST_CRASH_FOLDER";
const QUEUES: i32 = 4;

/// Not a separate test: the broker that is killed.
#[tokio::test]
async fn broker_process() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let broker = Broker::builder().data_dir(folder).start().await.expect("start");
    println!("listening {}", broker.address());
    std::future::pending::<()>().await;
}

struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    fn start(folder: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("own path"))
            .args(["--exact", "broker_process", "--nocapture"])
            .env(FOLDER, folder)
            .stdout(Stdio::piped())
            .spawn()
            .expect("child");
        let lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
        let address = lines
            .map(|line| line.expect("line"))
            .find_map(|line| line.split_once("listening ").map(|(_, address)| address.to_owned()))
            .expect("the broker's address");
        Self { child, address: address.parse().expect("address") }
    }

    /// Sends the signal that no process can handle.
    fn kill(&mut self) {
        self.child.kill().expect("kill");
        self.child.wait().expect("wait");
    }
}

/// Sends until the connection breaks; what was acknowledged, by place.
async fn send_until_killed(mut process: Process, enough: usize) -> BTreeMap<(i32, i64), String> {
    let mut client = Client::connect(process.address).await;
    let (mut sent, mut acknowledged) = (BTreeMap::new(), BTreeMap::new());
    let mut next = 0;
    for _ in 0..64 {
        let body = format!("{}-{next}", process.address);
        sent.insert(client.put(&message("orders", next % QUEUES, &body), false).await, body);
        next += 1;
    }
    while let Some(answer) = client.next().await {
        let body = sent.remove(&answer.opaque).expect("a request's answer");
        let place: SendAnswer = answer.read().expect("send answer");
        acknowledged.insert((place.queue_id, place.queue_offset), body);
        if acknowledged.len() == enough {
            process.kill();
        }
        let body = format!("{}-{next}", process.address);
        let frame =
            support::frame_of(next + 1_000, false, &message("orders", next % QUEUES, &body));
        sent.insert(next + 1_000, body);
        next += 1;
        // It fails once the broker is gone; what it has answered before is still read.
        let _ = client.try_put_raw(&frame).await;
    }
    acknowledged
}

#[tokio::test]
async fn what_was_acknowledged_outlives_kill_9() {
    let folder = tempfile::tempdir().expect("folder");
    let mut acknowledged = BTreeMap::new();
    for enough in [1, 300, 777] {
        let process = Process::start(folder.path());
        let of_this_run = send_until_killed(process, enough).await;
        assert!(of_this_run.len() >= enough);
        for (place, body) in of_this_run {
            let earlier = acknowledged.insert(place, body);
            assert_eq!(earlier, None, "the place {place:?} was given away twice");
        }
    }
    let broker = Broker::builder().data_dir(folder.path()).start().await.expect("start");
    let mut client = Client::connect(broker.address()).await;
    let mut stored = BTreeMap::new();
    for queue in 0..QUEUES {
        for message in client.read("orders", queue, 0).await {
            let body = String::from_utf8(message.body.to_vec()).expect("text");
            stored.insert((queue, message.queue_offset), body);
        }
    }
    for (place, body) in &acknowledged {
        assert_eq!(stored.get(place), Some(body), "{place:?} is not what was acknowledged");
    }
    broker.stop().await;
}
