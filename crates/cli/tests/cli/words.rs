//! What is said on stderr: situation by situation, in the user's words.

use std::net::SocketAddr;

use posthaste_broker::Broker;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::shell::{Run, broker, posthaste_at, run, send};

/// Words of the library, of Rust and of parsers, which say nothing to a user.
const FOREIGN: &[&str] = &["Tls::", "address map", "TopicConfig", "{ ", "invalid type", "()", "``"];

/// A server of another kind.
async fn speaks(bytes: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                while let Ok(1..) = socket.read(&mut buffer).await {
                    let _ = socket.write_all(bytes).await;
                }
            });
        }
    });
    address
}

async fn closed_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// Some of them try to their deadlines: on a busy machine it passes before they have seen what is wrong, and
/// they get more.
async fn with_enough_time<'a>(
    name_server: SocketAddr,
    args: &[&'a str],
    words: &[&str],
) -> (Vec<&'a str>, Run) {
    let mut times = ["400ms", "4s", "40s"].into_iter();
    loop {
        let time = times.next().unwrap();
        let args = [args, &["--timeout", time]].concat();
        let run = run(posthaste_at(name_server, &args), "").await;
        if words.iter().all(|word| run.stderr.contains(word)) || times.len() == 0 {
            return (args, run);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_situation_has_its_words() {
    let broker = Broker::builder().topic("T", 4).start().await.unwrap();
    let (here, nobody) = (broker.name_server(), closed_port().await);
    let http = speaks(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let tls = speaks(b"\x15\x03\x01\x00\x02\x02\x46").await;
    let gone = format!("{}={nobody}", broker.address());
    let not_tls = "leave out --tls";
    let rows: [(SocketAddr, &[&str], &[&str]); 12] = [
        (
            here,
            &["send", "T", "x", "--queue", "nope:0"],
            &["Topic T has no queue nope:0", "topic describe T"],
        ),
        (
            here,
            &["send", "T", "x", "--queue", "dev:9"],
            &["queueId[9] is illegal, topic T has 4 queues"],
        ),
        (here, &["send", "T", "x", "--tag", "a||b"], &["the tag contains"]),
        (
            here,
            &["send", "T", "x", "--broker-map", &gone],
            &["Broker dev does not listen at", "is it running?"],
        ),
        (
            here,
            &["topic", "describe", "T", "--broker-map", &gone],
            &["does not listen at", "is it running?"],
        ),
        (here, &["send", "T", "x", "--tls"], &[not_tls]),
        (here, &["topic", "list", "--tls"], &[not_tls]),
        (
            nobody,
            &["send", "T", "x"],
            &["Check the name server's address, and that it runs.", "posthaste dev"],
        ),
        (
            nobody,
            &["topic", "list"],
            &["Check the name server's address, and that it runs.", "posthaste dev"],
        ),
        (http, &["send", "T", "x"], &["speaks HTTP", "Another kind of server has that port"]),
        (http, &["topic", "list"], &["speaks HTTP", "Another kind of server has that port"]),
        (tls, &["topic", "list"], &["speaks TLS", "posthaste --tls"]),
    ];
    for (name_server, args, words) in rows {
        let (args, run) = with_enough_time(name_server, args, words).await;
        assert_ne!(run.code, 0);
        assert!(run.stderr.starts_with("error: "), "{args:?}: {}", run.stderr);
        for word in words {
            assert!(run.stderr.contains(word), "{args:?}: {word}: {}", run.stderr);
        }
        for word in FOREIGN {
            assert!(!run.stderr.contains(word), "{args:?}: {word}: {}", run.stderr);
        }
        // One error, what became of the message, what to type: and nothing after a single message.
        assert!(!run.stderr.contains("stopped after"), "{}", run.stderr);
        let error = run.stderr.lines().next().unwrap();
        for part in ["illegal", "refused", "in time"] {
            assert!(error.matches(part).count() <= 1, "{part} twice: {error}");
        }
    }
}

/// It was silent for three seconds.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_name_server_is_spoken_of_while_the_command_still_tries() {
    let nobody = closed_port().await;
    let expected = format!("no name server yet ({nobody}: Connection refused");
    for (time, flags, said) in
        [("5s", &[][..], true), ("5s", &["-q"], false), ("200ms", &[], false)]
    {
        let args = [&["send", "T", "x", "--timeout", time][..], flags].concat();
        let run = run(posthaste_at(nobody, &args), "").await.expect_code(3);
        let line = run.stderr.lines().next().unwrap();
        assert_eq!(line.starts_with(&expected), said, "{}", run.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_is_no_plural() {
    let broker = broker().await;
    let run = send(&broker, &["T"], "a\n\nb\n").await.expect_code(0);
    assert!(run.stderr.starts_with("1 empty line passed over\n"), "{}", run.stderr);
    let described = ["topic", "describe", "T"];
    let described = self::run(posthaste_at(broker.name_server(), &described), "").await;
    assert!(described.stdout.starts_with("T: 2 messages in 4 queues\n"), "{}", described.stdout);
}
