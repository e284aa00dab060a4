//! `posthaste msg`: messages by their ids and by their keys.

use std::ops::Bound;
use std::time::SystemTime;

use jiff::Timestamp;
use posthaste::{Admin, AdminError, ReadMessage};

use crate::args::{self, Format, Global};
use crate::cluster;
use crate::envelope::Stored;
use crate::exit::{Exit, Failure, check_topic};
use crate::output::{Stdout, message_line, printable};
use crate::stderr::{Stderr, counted};

/// Brokers give no more messages of one key.
const MOST: usize = 64;

/// Runs the command.
pub(crate) async fn run(global: &Global, args: &args::Msg) -> Result<Exit, Failure> {
    match args {
        args::Msg::Get(args) => get(global, args).await,
        args::Msg::Find(args) => find(global, args).await,
    }
}

async fn get(global: &Global, args: &args::MsgGet) -> Result<Exit, Failure> {
    if let Some(topic) = &args.topic {
        check_topic(topic)?;
    }
    let admin = cluster::admin(global).await?;
    let found = match &args.topic {
        Some(topic) => by_either_id(&admin, topic, &args.id).await,
        None => admin.view_of_any_topic(&args.id).await.map(|found| found.into_iter().collect()),
    };
    let found = found.map_err(|error| match error {
        AdminError::Invalid(_) => {
            Failure::usage(format!("{:?} is not an offset_msg_id", args.id)).help(WITH_A_TOPIC)
        }
        error => cluster::failure(&error),
    })?;
    let Some(first) = found.first() else { return Err(not_there(args)) };
    let mut stdout = Stdout::new();
    match global.output {
        _ if args.body => stdout.bytes(first.body()),
        Format::Json => found.iter().for_each(|one| stdout.json(&Stored::of("msg get", one))),
        Format::Text => found.iter().for_each(|one| show(&mut stdout, one)),
    }
    stdout.finish()?;
    if found.len() > 1 {
        let copies = found.len();
        Stderr::new(global).note(&format!("the topic has {copies} copies of this message"));
    }
    Ok(Exit::Done)
}

const WITH_A_TOPIC: &str =
    "The id that a producer gave (msg_id) is found with its topic alone: add --topic TOPIC";

/// The copies of a message, by the producer's id or by the broker's.
async fn by_either_id(
    admin: &Admin,
    topic: &str,
    id: &str,
) -> Result<Vec<ReadMessage>, AdminError> {
    let copies = admin.query_by_unique_id(topic, id).await;
    if matches!(&copies, Ok(copies) if !copies.is_empty()) {
        return copies;
    }
    match admin.view(topic, id).await {
        Ok(Some(found)) => Ok(vec![found]),
        // It is none of a broker.
        Err(AdminError::Invalid(_)) => copies,
        Ok(None) => copies,
        Err(error) => copies.and(Err(error)),
    }
}

fn not_there(args: &args::MsgGet) -> Failure {
    let id = printable(args.id.as_bytes());
    let failure = |what| Failure::new(Exit::Failed, "not_found", what);
    match &args.topic {
        Some(topic) => failure(format!("topic {topic} has no message {id}"))
            .help("It may have expired; a new message is found a moment after it was stored."),
        None => failure(format!("no broker has a message with the offset_msg_id {id}"))
            .help(WITH_A_TOPIC),
    }
}

/// Everything that is known of a message.
fn show(stdout: &mut Stdout, message: &ReadMessage) {
    let queue = message.queue();
    stdout.line(format_args!(
        "{}  broker={} queue={} offset={}",
        queue.topic(),
        queue.broker(),
        queue.id(),
        message.queue_offset()
    ));
    let mut field = |name: &str, value: &str| {
        stdout.line(format_args!("  {name:<14} {}", printable(value.as_bytes())));
    };
    field("msg_id", &message.message_id());
    field("offset_msg_id", &message.offset_message_id());
    if let Some(tag) = message.tag() {
        field("tag", tag);
    }
    let keys: Vec<&str> = message.keys().collect();
    if !keys.is_empty() {
        field("keys", &keys.join(" "));
    }
    if let Some(key) = message.ordering_key() {
        field("ordered_by", key);
    }
    if let Some(priority) = message.priority() {
        field("priority", &priority.to_string());
    }
    if message.flag() != 0 {
        field("flag", &message.flag().to_string());
    }
    field("born", &format!("{}  at {}", date(message.born_at()), message.born_host()));
    field("stored", &date(message.stored_at()));
    for (name, value) in message.properties() {
        field("property", &format!("{name}={value}"));
    }
    let packed = if message.is_compressed() { ", compressed, as it is stored" } else { "" };
    field("body", &format!("{}{packed}", counted(message.body().len() as u64, "byte")));
    stdout.line(format_args!("{}", printable(message.body())));
}

/// In UTC.
fn date(time: SystemTime) -> String {
    match Timestamp::try_from(time) {
        Ok(time) => format!("{time:.3}"),
        Err(_) => "not a date".to_owned(),
    }
}

async fn find(global: &Global, args: &args::MsgFind) -> Result<Exit, Failure> {
    check_topic(&args.topic)?;
    if let (Some(since), Some(until)) = (args.since, args.until)
        && since > until
    {
        return Err(Failure::usage(format!(
            "--since is {} and --until is {}, which is earlier",
            date(since),
            date(until)
        )));
    }
    let admin = cluster::admin(global).await?;
    let stored = (from(args.since), from(args.until));
    let found = admin.query_by_key(&args.topic, &args.key, stored, usize::MAX).await;
    let mut found = found.map_err(|error| match error {
        AdminError::Invalid(why) => Failure::usage(why),
        error => cluster::failure(&error),
    })?;
    let is_cut_off = most_of_a_broker(&found) >= MOST;
    found.retain(|message| args.tag.is_none() || message.tag() == args.tag.as_deref());
    let stderr = Stderr::new(global);
    if is_cut_off {
        stderr.warning(&format!(
            "a broker gives no more than its newest {MOST} messages of a key; --until finds older ones"
        ));
    }
    if found.is_empty() {
        let what = format!("topic {} has no such message with the key {:?}", args.topic, args.key);
        return Err(Failure::new(Exit::Failed, "not_found", what)
            .help("It may have expired; a new message is found a moment after it was stored."));
    }
    let mut stdout = Stdout::new();
    for message in &found {
        match global.output {
            Format::Json => stdout.json(&Stored::of("msg find", message)),
            Format::Text => stdout.line(format_args!(
                "{}  {}  {}",
                date(message.stored_at()),
                message.message_id(),
                message_line(message)
            )),
        }
    }
    stdout.finish()?;
    Ok(Exit::Done)
}

fn from(time: Option<SystemTime>) -> Bound<SystemTime> {
    time.map_or(Bound::Unbounded, Bound::Included)
}

/// How many messages the broker with the most of them gave.
fn most_of_a_broker(found: &[ReadMessage]) -> usize {
    let of = |broker: &str| found.iter().filter(|one| one.queue().broker() == broker).count();
    found.iter().map(|message| of(message.queue().broker())).max().unwrap_or(0)
}
