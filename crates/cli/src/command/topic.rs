//! `posthaste topic`: list, create, update, describe, delete.

mod delete;
pub(in crate::command) mod system;

use posthaste::{Admin, AdminError, MessageQueue, TopicOnBroker, TopicUpdate};
use serde::Serialize;

use crate::args::{self, Format, Global};
use crate::cluster;
use crate::envelope::VERSION;
use crate::exit::{Exit, Failure, check_topic};
use crate::output::Stdout;
use crate::stderr::counted;

/// Runs the command.
pub(crate) async fn run(global: &Global, args: &args::Topic) -> Result<Exit, Failure> {
    let mut stdout = Stdout::new();
    match args {
        args::Topic::List { all } => list(global, &mut stdout, *all).await?,
        args::Topic::Create { topic, queues, if_not_exists } => {
            let queues = queues.unwrap_or(global.topic_queues);
            create(global, &mut stdout, topic, queues, *if_not_exists).await?
        }
        args::Topic::Update(args) => update(global, &mut stdout, args).await?,
        args::Topic::Describe { topic } => describe(global, &mut stdout, topic).await?,
        args::Topic::Delete { topic, yes } => {
            delete::delete(global, &mut stdout, topic, *yes).await?
        }
    }
    stdout.finish()?;
    Ok(Exit::Done)
}

async fn list(global: &Global, stdout: &mut Stdout, all: bool) -> Result<(), Failure> {
    let admin = cluster::admin(global).await?;
    let topics = if all { admin.topics().await } else { system::own_topics(&admin).await };
    let topics = topics.map_err(|error| cluster::failure(&error))?;
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
    if_not_exists: bool,
) -> Result<(), Failure> {
    check_topic(topic)?;
    system::refuse(topic, "Choose another name.")?;
    let admin = cluster::admin(global).await?;
    let before = match admin.describe_topic(topic).await {
        Ok(brokers) => brokers,
        Err(AdminError::NoTopic { .. }) => Vec::new(),
        Err(error) => return Err(cluster::failure(&error)),
    };
    let as_wanted = before.iter().all(|broker| is_as_wanted(broker, queues));
    if if_not_exists && !as_wanted {
        return Err(exists(&admin, topic, queues, &before).await);
    }
    match admin.create_topic(topic, queues).await {
        Ok(()) => {}
        Err(AdminError::Exists { .. }) if if_not_exists => {}
        Err(AdminError::Exists { brokers, .. }) => {
            return Err(exists(&admin, topic, queues, &brokers).await);
        }
        Err(error) => return Err(cluster::failure(&error)),
    }
    let after = admin.describe_topic(topic).await.map_err(|error| cluster::failure(&error))?;
    for broker in &after {
        let was_there = before.iter().any(|known| known.broker == broker.broker);
        let done = if was_there { "exists" } else { "created" };
        tell(global, stdout, "topic create", done, topic, broker);
    }
    Ok(())
}

fn is_as_wanted(broker: &TopicOnBroker, queues: u32) -> bool {
    (broker.read_queues, broker.write_queues) == (queues, queues)
        && broker.readable
        && broker.writable
}

/// Why a topic is not created that is there already, with what is there.
async fn exists(admin: &Admin, topic: &str, queues: u32, brokers: &[TopicOnBroker]) -> Failure {
    let error = AdminError::Exists { topic: topic.to_owned(), brokers: brokers.to_vec() };
    let failure = Failure { help: Vec::new(), ..cluster::failure(&error) };
    // Without the count everything else is still true.
    let failure = match describe_queues(admin, topic).await {
        Ok(queues) => failure.help(format!("It holds {}, and was not changed.", held(&queues))),
        Err(_) => failure.help("It was not changed."),
    };
    failure.help(format!("try:  posthaste topic update {topic} --queues {queues}"))
}

async fn update(
    global: &Global,
    stdout: &mut Stdout,
    args: &args::TopicUpdate,
) -> Result<(), Failure> {
    let topic = &args.topic;
    check_topic(topic)?;
    system::refuse(topic, "Choose another topic.")?;
    let admin = cluster::admin(global).await?;
    let mut update = TopicUpdate::new().abandon_messages(args.yes);
    if let Some(queues) = args.queues {
        update = update.queues(queues);
    }
    if let Some(queues) = args.read_queues {
        update = update.read_queues(queues);
    }
    if let Some(queues) = args.write_queues {
        update = update.write_queues(queues);
    }
    admin.update_topic(topic, &update).await.map_err(|error| not_updated(&error, args))?;
    let after = admin.describe_topic(topic).await.map_err(|error| cluster::failure(&error))?;
    for broker in &after {
        tell(global, stdout, "topic update", "updated", topic, broker);
    }
    Ok(())
}

fn not_updated(error: &AdminError, args: &args::TopicUpdate) -> Failure {
    let failure = cluster::failure(error);
    let (AdminError::OutOfReach { topic, messages }, Some(queues)) =
        (error, args.queues.or(args.read_queues))
    else {
        return failure;
    };
    let message = format!(
        "consumers would no longer reach {} of topic {topic}; nothing was changed",
        counted(*messages, "message")
    );
    Failure { message, help: Vec::new(), ..failure }
        .help(format!(
            "To lose none: posthaste topic update {topic} --write-queues {queues}, wait until the other \
             queues are consumed, then this command again with --yes."
        ))
        .help("To give them up: this command again with --yes.")
}

/// What was done to a topic on a broker, in a line.
fn tell(
    global: &Global,
    stdout: &mut Stdout,
    command: &'static str,
    done: &'static str,
    topic: &str,
    on: &TopicOnBroker,
) {
    let (read, write, broker) = (on.read_queues, on.write_queues, &on.broker);
    match global.output {
        Format::Text if read == write => {
            stdout.line(format_args!("{done:<7}  {topic}  queues={write} broker={broker}"));
        }
        Format::Text => stdout.line(format_args!(
            "{done:<7}  {topic}  read-queues={read} write-queues={write} broker={broker}"
        )),
        Format::Json => {
            let line = Told {
                _cmd: command,
                _v: VERSION,
                topic,
                broker,
                done,
                queues: write,
                read_queues: read,
            };
            stdout.json(&line);
        }
    }
}

async fn describe(global: &Global, stdout: &mut Stdout, topic: &str) -> Result<(), Failure> {
    check_topic(topic)?;
    let admin = cluster::admin(global).await?;
    let queues = describe_queues(&admin, topic).await.map_err(|error| cluster::failure(&error))?;
    match global.output {
        Format::Json => stdout.json(&Description { topic, queues }),
        Format::Text => describe_text(stdout, topic, &queues),
    }
    Ok(())
}

/// Every queue of a topic, and how much is in it.
async fn describe_queues(admin: &Admin, topic: &str) -> Result<Vec<Queue>, AdminError> {
    let mut known = admin.publish_queues(topic).await?;
    let brokers = admin.describe_topic(topic).await?;
    // Queues that may be read and not written have messages too. Logical queues of a static topic
    // have a broker name that no broker has: only they are described then.
    if known.iter().all(|queue| brokers.iter().any(|on| on.broker == queue.broker())) {
        known = brokers.iter().flat_map(|on| queues_on(topic, on)).collect();
    }
    let mut queues = Vec::with_capacity(known.len());
    for queue in &known {
        queues.push(Queue {
            broker: queue.broker().to_owned(),
            queue: queue.id(),
            min_offset: admin.min_offset(queue).await?,
            max_offset: admin.max_offset(queue).await?,
        });
    }
    Ok(queues)
}

fn queues_on(topic: &str, on: &TopicOnBroker) -> impl Iterator<Item = MessageQueue> {
    let count = i32::try_from(on.read_queues.max(on.write_queues)).unwrap_or(i32::MAX);
    (0..count).map(move |id| MessageQueue::new(topic, on.broker.as_str(), id))
}

/// `3 messages in 8 queues`
fn held(queues: &[Queue]) -> String {
    let messages = counted(queues.iter().map(Queue::messages).sum(), "message");
    format!("{messages} in {}", counted(queues.len() as u64, "queue"))
}

fn describe_text(stdout: &mut Stdout, topic: &str, queues: &[Queue]) {
    stdout.line(format_args!("{topic}: {}", held(queues)));
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
struct Told<'a> {
    _cmd: &'static str,
    _v: u32,
    topic: &'a str,
    broker: &'a str,
    done: &'static str,
    /// Queues that producers write.
    queues: u32,
    read_queues: u32,
}

#[derive(Serialize)]
struct Description<'a> {
    topic: &'a str,
    queues: Vec<Queue>,
}

#[derive(Serialize)]
struct Queue {
    broker: String,
    queue: i32,
    min_offset: i64,
    max_offset: i64,
}

impl Queue {
    fn messages(&self) -> u64 {
        u64::try_from(self.max_offset - self.min_offset).unwrap_or_default()
    }
}
