//! Transactions and requests against the embedded broker.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::time::Duration;

use posthaste::{Message, Producer, ProducerBuilder, ReadFrom, Reader, TransactionState, blocking};
use posthaste_broker::Broker;

/// More than any of these takes: beyond it something hangs.
const HANG: Duration = Duration::from_secs(60);

/// A broker that soon asks about undecided transactions.
async fn broker() -> Broker {
    let soon = Duration::from_millis(200);
    let settings = Broker::builder().topic("t", 2).transaction_check_interval(soon);
    settings.transaction_timeout(soon).start().await.unwrap()
}

fn member(broker: &Broker) -> ProducerBuilder {
    Producer::builder("group", broker.name_server().to_string()).send_timeout(HANG)
}

async fn reader(producer: &Producer) -> Reader {
    producer.admin().reader("t").from(ReadFrom::Start).open().await.unwrap()
}

async fn next(reader: &mut Reader) -> String {
    let message = tokio::time::timeout(HANG, reader.next()).await.unwrap().unwrap().unwrap();
    String::from_utf8(message.body().to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consumers_get_what_is_committed_and_nothing_else() {
    let broker = broker().await;
    let unknown = |_| async { TransactionState::Unknown };
    let producer = member(&broker).transaction_checker(unknown).start().await.unwrap();
    let begin = |body: &'static str| producer.begin(Message::new("t", body));
    begin("rolled back").await.unwrap().rollback().await.unwrap();
    drop(begin("undecided").await.unwrap());
    let late = begin("committed late").await.unwrap();
    let mut reader = reader(&producer).await;
    begin("committed").await.unwrap().commit().await.unwrap();
    assert_eq!(next(&mut reader).await, "committed");
    late.commit().await.unwrap();
    assert_eq!(next(&mut reader).await, "committed late");
    let report = producer.close(HANG).await;
    assert_eq!(report.undecided.len(), 1);
}

/// The process that began it is gone: another member of the group knows what became of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_member_of_the_group_answers() {
    let broker = broker().await;
    let never = |_| std::future::pending();
    let first = member(&broker).transaction_checker(never).start().await.unwrap();
    for body in ["to be committed", "to be rolled back"] {
        let message = Message::new("t", body).first_check_after(Duration::from_secs(1));
        drop(first.begin(message).await.unwrap());
    }
    assert_eq!(first.close(Duration::ZERO).await.undecided.len(), 2);

    let (asked, mut answers) = tokio::sync::mpsc::unbounded_channel();
    let checker = move |half: posthaste::ReadMessage| {
        let commits = half.body() == "to be committed";
        asked.send(half.queue().topic().to_owned()).unwrap();
        async move { if commits { TransactionState::Commit } else { TransactionState::Rollback } }
    };
    let second = member(&broker).transaction_checker(checker).start().await.unwrap();
    let mut reader = reader(&second).await;
    second.send(Message::new("t", "here I am")).await.unwrap();
    let arrived = BTreeSet::from([next(&mut reader).await, next(&mut reader).await]);
    let expected = ["here I am", "to be committed"].map(String::from).into();
    assert_eq!(arrived, expected);
    for _ in 0..2 {
        assert_eq!(tokio::time::timeout(HANG, answers.recv()).await.unwrap().unwrap(), "t");
    }
}

/// The same without `.await`; a checker that waits holds up nothing but itself.
#[test]
fn blocking_transactions_and_requests() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let broker = runtime.block_on(broker());
    let checker = |_| {
        std::thread::sleep(Duration::from_millis(300));
        TransactionState::Commit
    };
    let producer = blocking::Producer::builder("group", broker.name_server().to_string())
        .send_timeout(HANG)
        .transaction_checker(checker)
        .start()
        .unwrap();
    let begin = |body: &'static str| producer.begin(Message::new("t", body)).unwrap();
    let dropped = begin("dropped");
    let id = dropped.message_id().to_owned();
    assert_eq!(dropped.receipt().message_id(), id);
    drop(dropped);
    begin("rolled back").rollback().unwrap();
    begin("committed").commit().unwrap();
    let unknown = producer.send_in_transaction(Message::new("t", "unknown"), |half| {
        assert!(!half.message_id().is_empty());
        TransactionState::Unknown
    });
    assert_eq!(unknown.unwrap(), TransactionState::Unknown);
    let mut reader = producer.admin().reader("t").open().unwrap();
    let mut arrived = BTreeSet::new();
    while arrived.len() < 3 {
        let message = reader.next().unwrap().unwrap();
        arrived.insert(String::from_utf8(message.body().to_vec()).unwrap());
    }
    assert_eq!(arrived, ["dropped", "committed", "unknown"].map(String::from).into());

    producer.admin().create_topic("questions", 1).unwrap();
    let replier = producer.clone();
    let thread = std::thread::spawn(move || {
        let mut reader = replier.admin().reader("questions").open().unwrap();
        let request = reader.next().unwrap().unwrap();
        replier.send(request.reply("42").unwrap()).unwrap();
    });
    let reply = producer.request(Message::new("questions", "?")).unwrap();
    assert_eq!(reply.body(), "42");
    thread.join().unwrap();
    producer.flush();
    assert!(producer.close(HANG).is_clean());
}
