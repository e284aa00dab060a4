//! `posthaste topic`: list, create, describe.

mod system;

use std::collections::BTreeMap;

use posthaste::MessageQueue;
use serde::Serialize;

use crate::args::{self, Format, Global};
use crate::cluster;
use crate::envelope::VERSION;
use crate::exit::{Exit, Failure, check_topic};
use crate::output::Stdout;
use crate::talk::thousands;

/// Runs the command.
pub(crate) async fn run(global: &Global, args: &args::Topic) -> Result<Exit, Failure> {
    let mut stdout = Stdout::new();
    match args {
        args::Topic::List { all } => list(global, &mut stdout, *all).await?,
        args::Topic::Create { topic, queues } => {
            create(global, &mut stdout, topic, *queues).await?
        }
        args::Topic::Describe { topic } => describe(global, &mut stdout, topic).await?,
    }
    stdout.flush();
    Ok(Exit::Done)
}

async fn list(global: &Global, stdout: &mut Stdout, all: bool) -> Result<(), Failure> {
    let admin = cluster::admin(global).await?;
    let mut topics = admin.topics().await.map_err(|error| cluster::failure(&error))?;
    if !all {
        // Without its route nothing is known of the brokers' names, and nothing else is lost.
        let queues = admin.publish_queues(system::ON_EVERY_BROKER).await.unwrap_or_default();
        let brokers: Vec<&str> = queues.iter().map(MessageQueue::broker).collect();
        topics = system::without_system(&topics, &brokers);
    }
    match global.output {
        Format::Text => topics.iter().for_each(|topic| stdout.line(format_args!("{topic}"))),
        Format::Json => stdout.json(&List { _cmd: "topic list", _v: VERSION, topics }),
    }
    Ok(())
}

async fn create(
    global: &Global,
    stdout: &mut Stdout,
    topic: &str,
    queues: u32,
) -> Result<(), Failure> {
    check_topic(topic)?;
    let admin = cluster::admin(global).await?;
    admin.create_topic(topic, queues).await.map_err(|error| cluster::failure(&error))?;
    let known = admin.publish_queues(topic).await.map_err(|error| cluster::failure(&error))?;
    let mut brokers = BTreeMap::<&str, u32>::new();
    for queue in &known {
        *brokers.entry(queue.broker()).or_default() += 1;
    }
    for (broker, queues) in brokers {
        match global.output {
            Format::Text => {
                stdout.line(format_args!("created  {topic}  queues={queues} broker={broker}"))
            }
            Format::Json => {
                stdout.json(&Created { _cmd: "topic create", _v: VERSION, topic, broker, queues });
            }
        }
    }
    Ok(())
}

async fn describe(global: &Global, stdout: &mut Stdout, topic: &str) -> Result<(), Failure> {
    check_topic(topic)?;
    let admin = cluster::admin(global).await?;
    let known = admin.publish_queues(topic).await.map_err(|error| cluster::failure(&error))?;
    let mut queues = Vec::with_capacity(known.len());
    for queue in &known {
        queues.push(Queue {
            broker: queue.broker(),
            queue: queue.id(),
            min_offset: admin.min_offset(queue).await.map_err(|error| cluster::failure(&error))?,
            max_offset: admin.max_offset(queue).await.map_err(|error| cluster::failure(&error))?,
        });
    }
    match global.output {
        Format::Json => stdout.json(&Description { topic, queues }),
        Format::Text => describe_text(stdout, topic, &queues),
    }
    Ok(())
}

fn describe_text(stdout: &mut Stdout, topic: &str, queues: &[Queue<'_>]) {
    let kept: i64 = queues.iter().map(|queue| queue.max_offset - queue.min_offset).sum();
    stdout.line(format_args!(
        "{topic}: {} messages in {} queues",
        thousands(kept.max(0) as u64),
        queues.len()
    ));
    let width =
        queues.iter().map(|queue| queue.broker.len()).max().unwrap_or(0).max("broker".len());
    stdout.line(format_args!(
        "{:<width$}  {:>5}  {:>12}  {:>12}",
        "broker", "queue", "min offset", "max offset"
    ));
    for Queue { broker, queue, min_offset, max_offset } in queues {
        stdout
            .line(format_args!("{broker:<width$}  {queue:>5}  {min_offset:>12}  {max_offset:>12}"));
    }
}

#[derive(Serialize)]
struct List {
    _cmd: &'static str,
    _v: u32,
    topics: Vec<String>,
}

#[derive(Serialize)]
struct Created<'a> {
    _cmd: &'static str,
    _v: u32,
    topic: &'a str,
    broker: &'a str,
    queues: u32,
}

#[derive(Serialize)]
struct Description<'a> {
    topic: &'a str,
    queues: Vec<Queue<'a>>,
}

#[derive(Serialize)]
struct Queue<'a> {
    broker: &'a str,
    queue: i32,
    min_offset: i64,
    max_offset: i64,
}
