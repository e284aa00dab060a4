//! Name servers that are replaced while a producer runs.

use std::time::{Duration, Instant};

use posthaste::{Message, NameServers, Producer, StartError};

use crate::fake::{BlackHole, Broker, HOUR, NameServer, Say, producer, refusing, soon, until};

fn message(body: &str) -> Message {
    Message::new("t", body.to_owned())
}

/// Whatever a look-up waits for, an answer, a connection or the end of a pause between two tries:
/// the new name server is asked at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_is_looked_up_at_the_new_ones_at_once() {
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 4).await;
    let silent = NameServer::start().await;
    silent.otherwise(Say::Nothing);
    let hole = BlackHole::open();
    let refusing = refusing().await;
    let mut waiting = Vec::new();
    for dead in [silent.address(), hole.address()].into_iter().chain(vec![refusing; 8]) {
        let builder = Producer::builder("replaced", dead).send_timeout(HOUR);
        let builder = builder.connect_timeout(HOUR).lookup_timeout(HOUR);
        let producer = builder.start().await.unwrap();
        let delivery = producer.enqueue(message("waits")).await.unwrap();
        waiting.push((producer, delivery));
        tokio::time::sleep(Duration::from_millis(600)).await;
    }
    // Where connects are refused, the pause between two tries has grown to seconds by now, and most
    // of the producers are in the midst of one.
    tokio::time::sleep(Duration::from_secs(6)).await;
    let mut quick = 0;
    for (producer, delivery) in waiting {
        let begun = Instant::now();
        producer.set_name_servers(server.address()).unwrap();
        soon(delivery).await.unwrap();
        quick += usize::from(begun.elapsed() < Duration::from_millis(500));
    }
    // On a busy machine some may take any time; at the end of their pauses hardly one would be so quick.
    assert!(quick > 5, "{quick} of ten");
    until("the old one is let go", || silent.open_connections() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn known_routes_are_looked_up_at_the_new_ones_and_the_old_ones_let_go() {
    let (a, b) = (Broker::start("a").await, Broker::start("b").await);
    let (old, new) = (NameServer::of(&[&a], 4).await, NameServer::of(&[&b], 4).await);
    let producer = producer(&[&old]).start().await.unwrap();
    soon(producer.send(message("old"))).await.unwrap();
    assert_eq!((old.open_connections(), new.connections()), (1, 0));
    producer.set_name_servers(new.address()).unwrap();
    until("the new one is asked", || new.asked("t") == 1).await;
    until("the old one is let go", || old.open_connections() == 0).await;
    let goes_on =
        async { while producer.send(message("new")).await.unwrap().queue().broker() != "b" {} };
    soon(goes_on).await;
    // One that stays keeps its connection.
    let both = format!("{};{}", new.address(), old.address());
    producer.set_name_servers(both).unwrap();
    soon(producer.send(Message::new("other", "x"))).await.unwrap();
    assert_eq!(new.connections(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonsense_leaves_the_name_servers_as_they_were() {
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 4).await;
    let producer = producer(&[&server]).start().await.unwrap();
    for nonsense in
        [NameServers::from("here"), "".into(), NameServers::address_server("https://there/list")]
    {
        let error = producer.set_name_servers(nonsense).unwrap_err();
        assert!(matches!(error, StartError::NameServers(_)), "{error:?}");
    }
    soon(producer.send(message("x"))).await.unwrap();
    soon(producer.close(Duration::from_secs(5))).await;
    // It is not asked any more.
    producer.set_name_servers("127.0.0.1:1").unwrap();
}

/// The caller's list takes the place of an address server, which is not asked any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_takes_the_place_of_an_address_server() {
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 4).await;
    let nowhere = NameServers::address_server("http://127.0.0.1:1/list");
    let builder = Producer::builder("replaced", nowhere).send_timeout(Duration::from_secs(15));
    let producer = builder.start().await.unwrap();
    let delivery = producer.enqueue(message("waits")).await.unwrap();
    producer.set_name_servers(server.address()).unwrap();
    soon(delivery).await.unwrap();
}

/// In a separate process, because a process has one environment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_environment_names_them() {
    const INSIDE: &str = "POSTHASTE_TEST_INSIDE";
    if std::env::var_os(INSIDE).is_some() {
        let producer = Producer::builder("environment", NameServers::from_env()).start().await;
        match producer {
            Ok(producer) => drop(soon(producer.send(message("x"))).await.unwrap()),
            Err(error) => panic!("{error}"),
        }
        return;
    }
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 4).await;
    let run = |list: Option<String>| {
        let mut inside = std::process::Command::new(std::env::current_exe().unwrap());
        inside.args(["--exact", "--nocapture", "replaced::the_environment_names_them"]);
        inside.env(INSIDE, "1").env_remove("NAMESRV_ADDR").envs(list.map(|l| ("NAMESRV_ADDR", l)));
        tokio::task::spawn_blocking(move || inside.output().unwrap())
    };
    let output = soon(run(Some(server.address()))).await.unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(broker.stored_count(), 1);
    for (list, words) in [(None, "NAMESRV_ADDR is not set"), (Some(" "), "NAMESRV_ADDR is not set")]
    {
        let output = soon(run(list.map(str::to_owned))).await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(words), "{said}");
    }
}
