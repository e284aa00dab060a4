//! What an official producer sends, a producer of ours finds again: by the broker's id, by its
//! producer's, and by key.

use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use posthaste::{Admin, ReadMessage};

use crate::interop::agent::Mode;
use crate::interop::cluster::Cluster;
use crate::interop::envelope::{Envelope, Outcome};

const TOPIC: &str = "found";
const MESSAGES: usize = 9;
/// Official producers compress a body of this many bytes.
const LONG: usize = 8 * 1024;
/// Brokers enter messages into their index a while after they have stored them.
const ENTERED_WITHIN: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);

pub(crate) fn run(cluster: &mut Cluster) -> Result<String> {
    cluster.create_topic(TOPIC, 4)?;
    let agent = cluster.agent();
    agent.start_producer(TOPIC, "found-producers")?;
    let began = SystemTime::now();
    let sent: Vec<Envelope> = (0..MESSAGES).map(message).collect();
    let outcomes = agent.send(TOPIC, Mode::Sync, &sent)?;
    agent.stop(TOPIC)?;
    let producer = cluster.producer("finders")?;
    let admin = producer.admin();
    cluster.block_on(async {
        for (message, outcome) in sent.iter().zip(&outcomes) {
            check_ids(&admin, message, outcome).await?;
        }
        check_keys(&admin, &sent, began).await?;
        check_nothing(&admin, outcomes.first().context("no outcome")?).await
    })?;
    Ok(format!("{MESSAGES} messages"))
}

fn message(number: usize) -> Envelope {
    let mut body = format!("{number} ");
    if number.is_multiple_of(3) {
        body = body.repeat(LONG / body.len());
    }
    let mut message = Envelope::new(TOPIC, body);
    message.keys = Some(format!(
        "all found-{number} {}",
        if number.is_multiple_of(2) { "even" } else { "odd" }
    ));
    message.tags = Some("tag".to_owned());
    message.properties.insert("colour".to_owned(), "grün".to_owned());
    message
}

async fn check_ids(admin: &Admin, sent: &Envelope, outcome: &Outcome) -> Result<()> {
    ensure!(outcome.is_ok(), "{outcome:?}");
    let unique = outcome.msg_id.as_deref().context("no id")?;
    let offset_id = outcome.offset_msg_id.as_deref().context("no id of the broker")?;
    let viewed = admin.view(TOPIC, offset_id).await?;
    let viewed = viewed.with_context(|| format!("{offset_id} cannot be viewed"))?;
    let found = until(|| admin.query_by_unique_id(TOPIC, unique), 1).await?;
    for message in found.iter().chain([&viewed]) {
        let is_same = *message.body() == sent.body
            && message.message_id() == unique
            && message.offset_message_id() == offset_id
            && Some(message.queue().id()) == outcome.queue
            && Some(message.queue().broker()) == outcome.broker.as_deref()
            && Some(message.queue_offset()) == outcome.offset
            && message.tag() == Some("tag")
            && message.property("colour") == Some("grün");
        ensure!(is_same, "{outcome:?} was found as {message:?}");
        ensure!(!message.is_compressed(), "{message:?}");
    }
    let is_long = sent.body.len() > LONG / 2;
    ensure!((viewed.stored_body() != viewed.body()) == is_long, "the long ones are compressed");
    Ok(())
}

async fn check_keys(admin: &Admin, sent: &[Envelope], began: SystemTime) -> Result<()> {
    let bodies = |wanted: fn(usize) -> bool| -> Vec<&[u8]> {
        let all = sent.iter().enumerate().filter(|(number, _)| wanted(*number));
        all.map(|(_, message)| &message.body[..]).collect()
    };
    // Store times have a second's grace: brokers keep no more of them in their index.
    let from = began - Duration::from_secs(2);
    let cases: [(&str, Vec<&[u8]>); 3] = [
        ("all", bodies(|_| true)),
        ("odd", bodies(|number| number % 2 == 1)),
        ("found-7", bodies(|number| number == 7)),
    ];
    for (key, expected) in cases {
        let found = until(|| admin.query_by_key(TOPIC, key, from.., 64), expected.len()).await?;
        let found: Vec<&[u8]> = found.iter().map(|message| &message.body()[..]).collect();
        ensure!(found == expected, "{key}: {} found", found.len());
    }
    let newest = admin.query_by_key(TOPIC, "all", .., 2).await?;
    ensure!(newest.len() == 2, "{} for the two newest", newest.len());
    let before = admin.query_by_key(TOPIC, "all", ..from, 64).await?;
    ensure!(before.is_empty(), "{} found that are older than all", before.len());
    Ok(())
}

/// A missing message is no error; each version words it in another way.
async fn check_nothing(admin: &Admin, outcome: &Outcome) -> Result<()> {
    ensure!(admin.query_by_key(TOPIC, "nobody", .., 9).await?.is_empty());
    ensure!(admin.query_by_unique_id(TOPIC, "0123456789ABCDEF0123456789ABCDEF").await?.is_empty());
    let id = outcome.offset_msg_id.as_deref().context("no id of the broker")?;
    let far_behind = format!("{}{:016X}", &id.get(..16).context("a short id")?, 1u64 << 40);
    ensure!(admin.view(TOPIC, &far_behind).await?.is_none(), "{far_behind}");
    Ok(())
}

/// Asks until this many are found, or too few for too long.
pub(super) async fn until<F>(ask: impl Fn() -> F, count: usize) -> Result<Vec<ReadMessage>>
where
    F: Future<Output = std::result::Result<Vec<ReadMessage>, posthaste::AdminError>>,
{
    let deadline = Instant::now() + ENTERED_WITHIN;
    loop {
        let found = ask().await?;
        if found.len() >= count {
            return Ok(found);
        }
        if Instant::now() > deadline {
            bail!("{} of {count} found within {ENTERED_WITHIN:?}", found.len());
        }
        tokio::time::sleep(POLL).await;
    }
}
