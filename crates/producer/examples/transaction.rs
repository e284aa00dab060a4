//! A message that consumers get only if something else was done too, such as a row in a database.

mod support;

use std::collections::HashSet;
use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use posthaste::{Message, Producer, ReadMessage, TransactionState};

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let cluster = support::cluster().await?;
    // Stands for a table of the orders that were reserved.
    let orders: Arc<Mutex<HashSet<String>>> = Arc::default();

    // Asked when a transaction is left undecided, perhaps by a process that has died since: any
    // member of the group has to know by the message what was done.
    let known = orders.clone();
    let checker = move |half: ReadMessage| {
        let key = half.keys().next().unwrap_or_default().to_owned();
        let reserved = known.lock().is_ok_and(|orders| orders.contains(&key));
        async move {
            println!("the broker asks about {key}: reserved? {reserved}");
            if reserved { TransactionState::Commit } else { TransactionState::Rollback }
        }
    };
    let producer = Producer::builder("transaction", cluster.name_servers.as_str())
        .transaction_checker(checker)
        .start()
        .await?;
    let reserve = |key: &str| orders.lock().is_ok_and(|mut orders| orders.insert(key.to_owned()));
    let message = |key: &str| {
        // How soon the broker asks; by default after 6 s.
        Message::new("transaction-topic", key.to_owned())
            .key(key)
            .first_check_after(Duration::from_secs(1))
    };

    // Begin, do the work, commit; or roll back.
    let transaction = producer.begin(message("o-1")).await?;
    reserve("o-1");
    transaction.commit().await?;
    producer.begin(message("o-2")).await?.rollback().await?;

    // The same in one call.
    let work = |_: &_| async {
        if reserve("o-3") { TransactionState::Commit } else { TransactionState::Rollback }
    };
    producer.send_in_transaction(message("o-3"), work).await?;

    // Left undecided after the work was done: the broker asks the checker.
    let transaction = producer.begin(message("o-4")).await?;
    reserve("o-4");
    drop(transaction);

    let mut arrived = HashSet::new();
    let mut reader = producer.admin().reader("transaction-topic").open().await?;
    while arrived.len() < 3 {
        let Some(message) = reader.next().await? else { break };
        arrived.insert(String::from_utf8_lossy(message.body()).into_owned());
    }
    println!("consumers get {arrived:?}");
    producer.close(Duration::from_secs(3)).await;
    let expected = ["o-1", "o-3", "o-4"].map(String::from).into();
    if arrived == expected { Ok(()) } else { Err("others arrived than were committed".into()) }
}
