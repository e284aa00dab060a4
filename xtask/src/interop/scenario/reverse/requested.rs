//! Requests of an official producer, answered by an official consumer.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::interop::embedded::Embedded;
use crate::interop::envelope::Envelope;

const TOPIC: &str = "requested";
const REQUESTS: usize = 10;
/// The replier takes a while until it has its queues.
const LIMIT: Duration = Duration::from_secs(30);

pub(crate) fn requested(embedded: &Embedded) -> Result<String> {
    let agent = embedded.agent();
    agent.start_producer("requester", "requesters")?;
    agent.start_producer("replying", "repliers")?;
    agent.start_replier("replier", "replying", TOPIC)?;
    for number in 0..REQUESTS {
        let text = format!("{number}?");
        let request = Envelope::new(TOPIC, text.clone());
        let reply = agent
            .request("requester", &request, LIMIT)
            .with_context(|| format!("request {number}"))?;
        ensure!(reply.body == format!("re: {text}").into_bytes(), "{reply:?}");
        ensure!(reply.properties.contains_key("PUSH_REPLY_TIME"), "{reply:?}");
    }
    agent.stop("replier")?;
    agent.stop("replying")?;
    let nobody =
        agent.request("requester", &Envelope::new(TOPIC, "who is there?"), Duration::from_secs(1));
    ensure!(nobody.is_err(), "no consumer is there, and yet: {nobody:?}");
    agent.stop("requester")?;
    Ok(format!("{REQUESTS} replies"))
}
