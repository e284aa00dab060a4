//! Transactions of an official producer: what it commits comes, at once or after the broker has
//! asked; what it rolls back never does.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::interop::agent::Agent;
use crate::interop::consumer::Subscription;
use crate::interop::embedded::Embedded;
use crate::interop::envelope::Envelope;

const TOPIC: &str = "transacted";
const GROUP: &str = "transacted-producers";
/// A client tells brokers its groups every 30 s; a new one at once.
const LIMIT: Duration = Duration::from_secs(60);
/// Longer than it takes to be asked twice.
const SILENCE: Duration = Duration::from_secs(5);

/// What the sender decides, what the broker learns when it asks, and whether the message comes.
const CASES: [(&str, &str, bool); 6] = [
    ("commit", "rollback", true),
    ("rollback", "commit", false),
    ("unknown", "commit", true),
    ("unknown", "unknown,commit", true),
    ("unknown", "rollback", false),
    ("unknown", "unknown,rollback", false),
];

pub(crate) fn transacted(embedded: &Embedded) -> Result<String> {
    let agent = embedded.agent();
    let consumer = agent.start_consumer(&Subscription::new("transacted", TOPIC))?;
    agent.start_transactor("transactor", GROUP)?;
    let sent: Vec<Envelope> =
        CASES.iter().map(|(local, checks, _)| message(local, checks)).collect();
    for (outcome, (local, ..)) in agent.transact("transactor", &sent)?.iter().zip(CASES) {
        ensure!(outcome.is_ok(), "{outcome:?}");
        let state = outcome.local_state.as_deref().unwrap_or_default();
        ensure!(state.to_lowercase().starts_with(&local[..5]), "{local}: {outcome:?}");
    }
    let awaited = CASES.iter().filter(|(.., comes)| *comes).count();
    let mut come: Vec<String> = Vec::new();
    for delivery in consumer.take(awaited, LIMIT)? {
        let transaction = delivery.message.properties.get("__transactionId__");
        ensure!(transaction == Some(&delivery.message.msg_id), "{delivery:?}");
        come.push(delivery.message.text());
    }
    come.sort();
    let mut expected: Vec<String> =
        CASES.iter().filter(|(.., comes)| *comes).map(|(l, c, _)| text(l, c)).collect();
    expected.sort();
    ensure!(come == expected, "{come:?} came");
    another_decides(agent)?;
    let decided = consumer.take(1, LIMIT)?.remove(0).message.text();
    ensure!(decided == text("unknown", "commit"), "{decided}");
    let surplus = consumer.drain(SILENCE);
    ensure!(surplus.is_empty(), "what was rolled back, or came already: {surplus:?}");
    agent.stop("transacted")?;
    Ok(format!("{} messages, and one decided by another producer", CASES.len()))
}

/// A producer leaves what it has not decided to the next one of its group.
fn another_decides(agent: &Agent) -> Result<()> {
    let outcome = agent.transact("transactor", &[message("unknown", "commit")])?;
    ensure!(outcome.iter().all(|outcome| outcome.is_ok()), "{outcome:?}");
    agent.stop("transactor")?;
    agent.start_transactor("successor", GROUP)?;
    // It tells the broker its group with its first message.
    let first = agent.transact("successor", &[message("rollback", "rollback")])?;
    ensure!(first.iter().all(|outcome| outcome.is_ok()), "{first:?}");
    Ok(())
}

fn message(local: &str, checks: &str) -> Envelope {
    let mut message = Envelope::new(TOPIC, text(local, checks));
    message.properties.insert("local".to_owned(), local.to_owned());
    message.properties.insert("checks".to_owned(), checks.to_owned());
    message
}

fn text(local: &str, checks: &str) -> String {
    format!("{local}, then {checks}")
}
