//! Messages that have to be there: the answer comes once they are, or says what is there instead.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::Response;
use posthaste_broker::{BrokerHandle, PageOf, StoredMessage};
use serde::Serialize;
use tokio::time::{Instant, sleep, sleep_until};

use crate::api::envelope::Envelope;
use crate::api::messages::{BYTES, Listed, bounded, bytes};
use crate::api::query::{Needed, Wanted};
use crate::reply::Problem;
use crate::room::Taken;
use crate::shared::{Shared, broken, stopping};

/// How often it is looked whether anything has been stored, which costs the broker nothing.
const LOOK: Duration = Duration::from_millis(20);
/// How often the broker is asked although it has counted nothing.
const ASK: Duration = Duration::from_millis(250);
/// How long the messages that are there already are searched, at least.
const SEARCH: Duration = Duration::from_secs(5);
/// Of the messages that are there instead: how many are shown, and bytes of their bodies.
const RECENT: usize = 10;
const RECENT_BYTES: usize = 256 * 1024;

/// What has been found so far.
#[derive(Default)]
struct Found {
    messages: Vec<StoredMessage>,
    next: String,
    is_end: bool,
    looked_at: usize,
    /// For as long as the messages are held.
    room: Vec<Taken>,
}

/// The answer when too few have come.
#[derive(Serialize)]
struct TooFew<'a> {
    error: Problem,
    #[serde(flatten)]
    found: Listed<'a>,
    /// The newest messages of the topic, whatever they are.
    recent: Vec<Envelope<'a>>,
    /// The topics that there are, if the wanted one is not among them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    topics: Vec<String>,
}

/// Waits until the messages that are needed are stored.
pub(super) async fn arrival(
    shared: &Shared,
    wanted: &Wanted,
    needed: Needed,
) -> Result<Response, Problem> {
    let _place = shared.room.wait()?;
    let found = find(shared, wanted, needed).await?;
    let broker = shared.broker.name();
    let messages = Listed {
        messages: Envelope::all(&found.messages, broker),
        next: found.next,
        end: found.is_end,
        looked_at: found.looked_at,
    };
    if found.messages.len() >= needed.count {
        return shared.json(StatusCode::OK, &messages).await;
    }
    let topics = topics(&shared.broker).await?;
    let is_there = topics.contains(&wanted.topic);
    let recent = recent(&shared.broker, &wanted.topic).await?;
    let too_few = TooFew {
        error: too_few(wanted, needed, &messages, is_there),
        recent: Envelope::all(&recent, broker),
        topics: if is_there { Vec::new() } else { topics },
        found: messages,
    };
    shared.json(too_few.error.status(), &too_few).await
}

/// Looks until enough is found, or time is up. Gives back what is found.
async fn find(shared: &Shared, wanted: &Wanted, needed: Needed) -> Result<Found, Problem> {
    let begun = Instant::now();
    let (end, end_of_search) = (begun + needed.wait, begun + needed.wait.max(SEARCH));
    let (mut found, mut of) = (Found::default(), wanted.page.clone());
    let mut stops = Box::pin(shared.stops());
    loop {
        let stored = shared.broker.stats().messages;
        let turn = shared.room.make().await?;
        let page = bounded(&shared.broker, of.clone().count(wanted.limit - found.messages.len()));
        let page = page.await?;
        drop(turn);
        if !page.messages.is_empty() {
            found.room.push(shared.room.bytes(bytes(&page.messages)).await?);
        }
        found.next = page.next.to_string();
        found.messages.extend(page.messages);
        found.is_end = page.is_end;
        found.looked_at += page.looked_at;
        of = of.from(page.next);
        if found.messages.len() >= needed.count {
            return Ok(found);
        }
        if bytes(&found.messages) > BYTES {
            return Err(too_large(needed));
        }
        let now = Instant::now();
        if now >= if found.is_end { end } else { end_of_search } {
            return Ok(found);
        }
        if found.is_end {
            tokio::select! {
                () = stored_more(&shared.broker, stored) => {}
                () = sleep_until(end) => {}
                () = &mut stops => return Err(stopping()),
            }
        }
    }
}

/// Waits until the broker has stored more messages than these, or for a while.
async fn stored_more(broker: &BrokerHandle, stored: u64) {
    let looks = ASK.as_millis() / LOOK.as_millis();
    for _ in 0..looks {
        if broker.stats().messages != stored {
            return;
        }
        sleep(LOOK).await;
    }
}

fn too_few(wanted: &Wanted, needed: Needed, found: &Listed<'_>, is_there: bool) -> Problem {
    let Needed { count, wait } = needed;
    let Wanted { topic, filters, .. } = wanted;
    let here = found.messages.len();
    let mut message = format!("{here} of {count} messages{filters} are stored in topic {topic:?}");
    if !wait.is_zero() {
        message.push_str(&format!(" after {} s", wait.as_secs_f64()));
    }
    let help = if !found.end {
        message.push_str(&format!("; {} were looked at, and there are more", found.looked_at));
        "go on with from=NEXT, or use a topic with fewer messages"
    } else if is_there {
        "`recent` has the newest messages of the topic, whatever they are: compare key and tag"
    } else {
        message.push_str(", which does not exist");
        "`topics` has those that there are: compare the name"
    };
    Problem::new(StatusCode::GATEWAY_TIMEOUT, "not_stored", message, help)
}

fn too_large(needed: Needed) -> Problem {
    let mib = BYTES >> 20;
    let message = format!("{} messages of this size are more than {mib} MiB", needed.count);
    Problem::bad(message, "ask for a smaller `count`, or for a key")
}

/// The names of the topics of applications.
async fn topics(broker: &BrokerHandle) -> Result<Vec<String>, Problem> {
    let topics = broker.topics().await.map_err(|error| broken(&error))?;
    let own = topics.into_iter().filter(|topic| !topic.is_system);
    Ok(own.map(|topic| topic.name).collect())
}

/// The newest messages of a topic, as far as they are short.
async fn recent(broker: &BrokerHandle, topic: &str) -> Result<Vec<StoredMessage>, Problem> {
    let page = PageOf::topic(topic).newest_first().count(RECENT);
    let mut messages = broker.page(page).await.map_err(|error| broken(&error))?.messages;
    let mut room = RECENT_BYTES;
    messages.retain(|message| match room.checked_sub(message.body.len()) {
        Some(left) => {
            room = left;
            true
        }
        None => false,
    });
    Ok(messages)
}
