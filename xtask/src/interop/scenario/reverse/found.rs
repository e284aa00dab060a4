//! Messages that an official producer finds again by key and by both of their ids.

use anyhow::{Context, Result, ensure};

use crate::interop::agent::Mode;
use crate::interop::embedded::Embedded;
use crate::interop::envelope::Envelope;

const TOPIC: &str = "found";
const MESSAGES: usize = 12;

pub(crate) fn found(embedded: &Embedded) -> Result<String> {
    let agent = embedded.agent();
    agent.start_producer("finder", "finders")?;
    let messages: Vec<Envelope> = (0..MESSAGES)
        .map(|number| {
            let mut message = Envelope::new(TOPIC, number.to_string());
            message.keys = Some(format!("key-{number} parity-{}", number % 2));
            message
        })
        .collect();
    let outcomes = agent.send("finder", Mode::Sync, &messages)?;
    for (message, outcome) in messages.iter().zip(&outcomes) {
        ensure!(outcome.is_ok(), "{outcome:?}");
        let unique = outcome.msg_id.as_deref().context("no id")?;
        for id in [unique, outcome.offset_msg_id.as_deref().context("no id of the broker")?] {
            let viewed = agent.by_id("finder", TOPIC, id)?;
            ensure!(viewed.body == message.body && viewed.msg_id == unique, "{id}: {viewed:?}");
        }
    }
    let one = agent.by_key("finder", TOPIC, "key-7")?;
    ensure!(matches!(&one[..], [only] if only.text() == "7"), "{one:?}");
    let odd = agent.by_key("finder", TOPIC, "parity-1")?;
    let mut texts: Vec<usize> = odd.iter().flat_map(|m| m.text().parse()).collect();
    texts.sort_unstable();
    ensure!(texts == [1, 3, 5, 7, 9, 11], "{texts:?}");
    let none = agent.by_key("finder", TOPIC, "key");
    ensure!(none.is_err(), "{none:?}");
    agent.stop("finder")?;
    Ok(format!("{MESSAGES} messages"))
}
