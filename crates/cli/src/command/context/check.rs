//! `posthaste context check`: whether the cluster of a context can be reached.

use std::time::Instant;

use serde::Serialize;

use crate::args::Format;
use crate::cluster;
use crate::envelope::VERSION;
use crate::exit::Failure;
use crate::output::Stdout;
use crate::settings::Settings;

/// Every broker has it.
const ON_EVERY_BROKER: &str = "SELF_TEST_TOPIC";

pub(super) async fn run(stdout: &mut Stdout, settings: &Settings) -> Result<(), Failure> {
    let global = &settings.global;
    let started = Instant::now();
    let admin = cluster::admin(global).await?;
    let topics = admin.topics().await.map_err(|error| cluster::failure(&error))?.len();
    // The brokers are asked, too: they have other addresses than the name servers, and check keys.
    let found = admin.describe_topic(ON_EVERY_BROKER).await;
    let found = found.map_err(|error| cluster::failure(&error))?;
    let brokers: Vec<&str> = found.iter().map(|on| on.broker.as_str()).collect();
    let ms = started.elapsed().as_secs_f64() * 1_000.0;
    let cluster = cluster::name(global);
    match global.output {
        Format::Text => stdout.line(format_args!(
            "ok  {cluster} answers in {ms:.1} ms: brokers {}, {topics} topics",
            brokers.join(", ")
        )),
        Format::Json => stdout.json(&Checked {
            _cmd: "context check",
            _v: VERSION,
            context: settings.context().and_then(|layer| layer.source.context()),
            cluster,
            brokers,
            topics,
            ms,
        }),
    }
    Ok(())
}

#[derive(Serialize)]
struct Checked<'a> {
    _cmd: &'static str,
    _v: u32,
    context: Option<&'a str>,
    cluster: String,
    brokers: Vec<&'a str>,
    topics: usize,
    ms: f64,
}
