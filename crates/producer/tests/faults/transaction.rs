//! Transactions: what the broker hears, what it asks, and what becomes of undecided ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use posthaste::{Message, Producer, ReadMessage, TransactionState};
use posthaste_protocol::request::{CheckTransaction, EndTransaction, decision};
use posthaste_protocol::{RequestCode, StoredMessage};

use crate::fake::{Broker, NameServer, Say, one_broker, producer, request_of, route, soon, until};

const END: RequestCode = RequestCode::END_TRANSACTION;

/// A broker, its name server, and a producer whose checker says this.
async fn checked(state: TransactionState) -> (Broker, NameServer, Producer) {
    checked_by(move |_| async move { state }).await
}

async fn checked_by<F, D>(checker: F) -> (Broker, NameServer, Producer)
where
    F: Fn(ReadMessage) -> D + Send + Sync + 'static,
    D: Future<Output = TransactionState> + Send + 'static,
{
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 4).await;
    let producer = producer(&[&server]).transaction_checker(checker).start().await.unwrap();
    (broker, server, producer)
}

/// What the broker heard of transactions.
fn ends(broker: &Broker) -> Vec<(EndTransaction, bool)> {
    let others = broker.others();
    let ends = others.iter().filter(|command| command.code == END.0);
    ends.map(|command| (command.read().unwrap(), command.is_oneway())).collect()
}

/// A question of the broker about this message.
fn check(id: &str, half_offset: i64) -> Vec<u8> {
    let stored = StoredMessage {
        topic: "t".into(),
        queue_id: 2,
        queue_offset: half_offset,
        physical_offset: 700 + half_offset,
        flag: 0,
        sys_flag: 0,
        born_at_ms: 1,
        born_host: ([127, 0, 0, 1], 1).into(),
        stored_at_ms: 2,
        store_host: ([127, 0, 0, 1], 2).into(),
        reconsume_times: 0,
        prepared_offset: 0,
        body: Bytes::from_static(b"half"),
        properties: format!("UNIQ_KEY\u{1}{id}\u{2}PGROUP\u{1}faults\u{2}KEYS\u{1}o-1\u{2}"),
    };
    let mut message = BytesMut::new();
    stored.encode(&mut message);
    let check = CheckTransaction {
        half_offset,
        half_physical_offset: 700 + half_offset,
        message_id: Some(id.into()),
        transaction_id: Some("of-the-proxy".into()),
        topic: Some("RMQ_SYS_TRANS_HALF_TOPIC".into()),
        broker_name: Some("a".into()),
        offset_message_id: None,
        message: message.freeze(),
    };
    request_of(9, true, &check)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_half_message_is_sent_as_such_and_its_end_is_confirmed() {
    let (broker, _server, producer) = checked(TransactionState::Unknown).await;
    for commits in [true, false] {
        let message =
            Message::new("t", "reserve").key("o-1").first_check_after(Duration::from_millis(1500));
        let transaction = soon(producer.begin(message)).await.unwrap();
        let receipt = transaction.receipt().clone();
        assert_eq!(transaction.message_id(), receipt.message_id());
        match commits {
            true => soon(transaction.commit()).await.unwrap(),
            false => soon(transaction.rollback()).await.unwrap(),
        }
        let half = broker.seen().pop().unwrap();
        assert_eq!((half.sys_flag, half.together), (4, 1));
        for (name, value) in
            [("TRAN_MSG", "true"), ("PGROUP", "faults"), ("CHECK_IMMUNITY_TIME_IN_SECONDS", "2")]
        {
            assert_eq!(half.property(name), Some(value), "{name}");
        }
        let (end, oneway) = ends(&broker).pop().unwrap();
        assert!(!oneway, "its answer confirms it");
        assert_eq!(end.decision, if commits { decision::COMMIT } else { decision::ROLLBACK });
        assert_eq!((end.group.as_str(), end.topic.as_deref()), ("faults", Some("t")));
        assert_eq!(end.half_offset, receipt.queue_offset());
        assert_eq!(end.message_id.as_deref(), Some(half.id.as_str()));
        assert_eq!(end.from_check, Some(false));
        assert_eq!(end.broker_name.as_deref(), Some("a"));
    }
    assert!(producer.close(Duration::from_secs(5)).await.is_clean());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_checker_answers_the_broker_that_asks() {
    let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = asked.clone();
    let (broker, _server, producer) = checked_by(move |half| {
        let keys: Vec<String> = half.keys().map(str::to_owned).collect();
        seen.lock().unwrap().push((
            half.message_id(),
            half.queue().clone(),
            keys,
            half.body().clone(),
        ));
        async { TransactionState::Commit }
    })
    .await;
    let transaction = soon(producer.begin(Message::new("t", "x"))).await.unwrap();
    let id = transaction.message_id().to_owned();
    drop(transaction);
    broker.push(check(&id, 5));
    until("it is answered", || !ends(&broker).is_empty()).await;
    let (end, oneway) = ends(&broker).pop().unwrap();
    assert!(oneway);
    let expected = EndTransaction {
        group: "faults".into(),
        topic: Some("RMQ_SYS_TRANS_HALF_TOPIC".into()),
        half_offset: 5,
        half_physical_offset: 705,
        decision: decision::COMMIT,
        from_check: Some(true),
        message_id: Some(id.clone()),
        transaction_id: Some("of-the-proxy".into()),
        broker_name: Some("a".into()),
    };
    assert_eq!(end, expected);
    let (message_id, queue, keys, body) = asked.lock().unwrap().pop().unwrap();
    assert_eq!((message_id, keys, &body[..]), (id, vec!["o-1".to_owned()], &b"half"[..]));
    assert_eq!((queue.topic(), queue.id()), ("t", 2));
    assert!(broker.answers().is_empty(), "a check is never answered as such");
    assert!(producer.close(Duration::from_secs(5)).await.is_clean(), "it is decided");
}

/// A proxy of 5.x confirms an end, and tells the broker nothing.
/// As one that was started again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_producer_that_has_sent_nothing_is_known_and_asked() {
    for (default_topic, topics) in
        [("TBW102", vec![]), ("SELF_TEST_TOPIC", vec![]), ("none", vec!["t"])]
    {
        let (broker, server) = (Broker::start("a").await, NameServer::start().await);
        server.say(default_topic, Say::Route(route(&[&broker], 1)));
        if !topics.is_empty() {
            server.say("t", Say::Route(route(&[&broker], 1)));
        }
        let commit = |_| async { TransactionState::Commit };
        let builder = producer(&[&server]).transaction_checker(commit).topics(topics);
        let producer = builder.start().await.unwrap();
        until("it is known", || broker.count_of(RequestCode::HEART_BEAT) > 0).await;
        broker.push(check("00112233", 5));
        until("its checker has said", || !ends(&broker).is_empty()).await;
        assert_eq!(ends(&broker)[0].0.decision, decision::COMMIT);
        // Its connection is kept, and comes back.
        broker.down();
        broker.up().await;
        drop(producer);
    }
}

/// No one has to know it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_producer_without_a_checker_connects_to_nobody_before_it_sends() {
    let (broker, server, producer) = one_broker().await;
    soon(producer.send(Message::new("t", "x"))).await.unwrap();
    assert_eq!((broker.connections(), server.asked("TBW102")), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_decided_here_is_answered_without_the_checker() {
    let (broker, _server, producer) = checked(TransactionState::Unknown).await;
    for (commits, told) in [(true, decision::COMMIT), (false, decision::ROLLBACK)] {
        let transaction = soon(producer.begin(Message::new("t", "x"))).await.unwrap();
        let id = transaction.message_id().to_owned();
        match commits {
            true => soon(transaction.commit()).await.unwrap(),
            false => soon(transaction.rollback()).await.unwrap(),
        }
        let before = ends(&broker).len();
        broker.push(check(&id, 5));
        until("the broker has its answer", || ends(&broker).len() > before).await;
        let (end, oneway) = ends(&broker).pop().unwrap();
        assert_eq!((end.decision, end.from_check, oneway), (told, Some(true), true));
        assert_eq!(end.transaction_id.as_deref(), Some("of-the-proxy"));
    }
    // Of one that is not decided here only the checker knows, which does not.
    let transaction = soon(producer.begin(Message::new("t", "x"))).await.unwrap();
    let before = ends(&broker).len();
    broker.push(check(transaction.message_id(), 6));
    until("the broker has its answer", || ends(&broker).len() > before).await;
    assert_eq!(ends(&broker).pop().unwrap().0.decision, decision::UNKNOWN);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checker_that_panics_ends_alone_and_leaves_it_undecided() {
    let (broker, _server, producer) = checked_by(|half| async move {
        assert!(half.message_id() != "BAD", "on purpose");
        TransactionState::Rollback
    })
    .await;
    soon(producer.send(Message::new("t", "x"))).await.unwrap();
    broker.push(check("BAD", 1));
    broker.push(check("GOOD", 2));
    until("both are answered", || ends(&broker).len() == 2).await;
    let mut decisions: Vec<_> =
        ends(&broker).into_iter().map(|(end, _)| (end.half_offset, end.decision)).collect();
    decisions.sort_unstable();
    assert_eq!(decisions, [(1, decision::UNKNOWN), (2, decision::ROLLBACK)]);
    soon(producer.send(Message::new("t", "the producer lives"))).await.unwrap();
}

/// Ten thousand questions at once: some run, some wait, the rest is dropped and counted, and sends
/// do not notice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_checks_is_bounded() {
    let running = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 4).await;
    let (now, peak) = (running.clone(), most.clone());
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let closed = gate.clone();
    let checker = move |_| {
        let (now, peak, closed) = (now.clone(), peak.clone(), closed.clone());
        async move {
            peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            closed.acquire().await.unwrap().forget();
            now.fetch_sub(1, Ordering::SeqCst);
            TransactionState::Commit
        }
    };
    let producer = producer(&[&server])
        .transaction_checker(checker)
        .max_transaction_checks(3, 50)
        .start()
        .await
        .unwrap();
    soon(producer.send(Message::new("t", "x"))).await.unwrap();
    let flood: Vec<u8> = (0..10_000).flat_map(|n| check("ID", n)).collect();
    broker.push(flood);
    until("the rest is dropped", || producer.stats().dropped_checks == 10_000 - 53).await;
    soon(producer.send(Message::new("t", "sends go on"))).await.unwrap();
    gate.add_permits(10_000);
    until("those with room are answered", || ends(&broker).len() == 53).await;
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

/// Bytes that are no message, and no checker to ask: the connection lives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checks_that_cannot_be_answered_are_passed_over() {
    let (broker, _server, plain) = one_broker().await;
    soon(plain.send(Message::new("t", "x"))).await.unwrap();
    broker.push(check("ID", 1));
    let garbled =
        CheckTransaction { message: Bytes::from_static(b"no record"), ..Default::default() };
    broker.push(request_of(3, false, &garbled));
    soon(plain.send(Message::new("t", "y"))).await.unwrap();
    assert_eq!(broker.connections(), 1);
    assert!(ends(&broker).is_empty());
    assert!(broker.answers().is_empty());
}
