//! Each send ends exactly once, and tells the truth.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use posthaste::{Delivery, Message, Outcome};

use crate::fake::{
    Action, Broker, NameServer, Seen, assert_all_ended, first_copies, producer, soon,
};

/// Something of everything; mostly it goes well.
fn any_action(random: &mut fastrand::Rng) -> Action {
    let late = Duration::from_millis(random.u64(1..600));
    match random.u32(0..1000) {
        0..8 => Action::refuse(14, "stopping"),
        8..16 => Action::refuse(2, "busy"),
        16..22 => Action::refuse(1, "?"),
        22..28 => Action::store_and_say(1, "?"),
        28..34 => Action::refuse(13, "illegal"),
        34..40 => Action::refuse(17, "no topic"),
        40..46 => Action::refuse(1500, "go away"),
        46..50 => Action::refuse(-77, ""),
        50..54 => Action::store_and_say(70_000, ""),
        54..58 => Action::ignore(),
        58..62 => Action::store_silently(),
        62..64 => Action::close(),
        64..66 => Action::reset(),
        66..68 => Action::store_and_close(),
        68..70 => Action::store_and_reset(),
        70..72 => Action::half_an_answer(),
        72..74 => Action::bytes(*b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        74..84 => Action::ok_twice(),
        84..100 => Action::ok().after(late),
        100..108 => Action::store_and_say(11, ""),
        108..112 => Action::ok_byte_by_byte(),
        _ => Action::ok(),
    }
}

struct Run {
    acked: HashSet<usize>,
    not_stored: HashSet<usize>,
    stored: Vec<Seen>,
}

/// `count` sends over two brokers that do anything; each third is ordered by one of 20 keys.
async fn run(seed: u64, count: usize, timeout: Duration) -> Run {
    println!("seed {seed}");
    let (a, b) = (Broker::start("a").await, Broker::start("b").await);
    for (n, broker) in [&a, &b].into_iter().enumerate() {
        let mut random = fastrand::Rng::with_seed(seed + n as u64);
        broker.script(move |_| any_action(&mut random));
    }
    let server = NameServer::of(&[&a, &b], 4).await;
    let producer = producer(&[&server])
        .send_timeout(timeout)
        .max_pending(1000, 1 << 20)
        .start()
        .await
        .unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..count {
        let mut message = Message::new("t", format!("{n}"));
        if n % 3 == 0 {
            message = message.order_by(format!("key-{}", (n / 3) % 20));
        }
        let delivery: Result<Delivery, _> = producer.enqueue(message).await;
        tasks.spawn(async move {
            let result = match delivery {
                Ok(delivery) => delivery.await,
                Err(error) => Err(error),
            };
            (n, result)
        });
    }
    let mut run = Run { acked: HashSet::new(), not_stored: HashSet::new(), stored: Vec::new() };
    let mut unknown = 0;
    while let Some(ended) = soon(tasks.join_next()).await {
        let (n, result) = ended.unwrap();
        match result {
            Ok(_) => assert!(run.acked.insert(n)),
            Err(error) if error.outcome() == Outcome::NotStored => {
                assert_eq!(error.message().body(), &format!("{n}"));
                let unknown = error.attempts().iter().any(|a| a.outcome == Outcome::Unknown);
                assert!(!unknown, "{error:?}");
                assert!(run.not_stored.insert(n));
            }
            Err(error) => {
                assert_eq!(error.message().body(), &format!("{n}"));
                unknown += 1;
            }
        }
    }
    assert_eq!(run.acked.len() + run.not_stored.len() + unknown, count);
    assert_all_ended(&producer);
    let stats = producer.stats();
    assert_eq!(stats.acked, run.acked.len() as u64);
    assert_eq!(stats.unknown, unknown as u64);
    println!("{stats:?}");
    // What is still in the sockets may be stored late; an outcome must hold for ever.
    soon(producer.close(Duration::from_secs(2))).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(a.broken().0 + b.broken().0, 0, "a frame was not whole");
    run.stored = a.stored();
    run.stored.extend(b.stored());
    run
}

fn number(seen: &Seen) -> usize {
    seen.text().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outcomes_are_true_whatever_brokers_do() {
    let seed = fastrand::u64(..1 << 32);
    for round in 0..2 {
        let run = run(seed + 10 * round, 6_000, Duration::from_millis(1200)).await;
        let stored: HashSet<usize> = run.stored.iter().map(number).collect();
        let lost: Vec<_> = run.acked.difference(&stored).collect();
        assert!(lost.is_empty(), "acked, but not stored: {lost:?}");
        let found: Vec<_> = run.not_stored.intersection(&stored).collect();
        assert!(found.is_empty(), "not stored, but there: {found:?}");

        let mut ids: HashMap<usize, HashSet<&str>> = HashMap::new();
        for seen in &run.stored {
            ids.entry(number(seen)).or_default().insert(&seen.id);
        }
        assert!(ids.values().all(|ids| ids.len() == 1), "copies have one id");

        // Keys do not move between queues, so each key's copies lie in one list in order.
        let mut last: HashMap<String, usize> = HashMap::new();
        for seen in first_copies(&run.stored) {
            let Some(key) = &seen.key else { continue };
            let n = number(&seen);
            if let Some(before) = last.insert(key.clone(), n) {
                assert!(before < n, "{key}: {n} was stored after {before}");
            }
        }
    }
}
