//! `posthaste topic delete`: says in numbers what will be lost, asks, and deletes.

use posthaste::AdminError;
use serde::Serialize;

use super::{Queue, describe_queues, held, system};
use crate::args::{Format, Global};
use crate::cluster;
use crate::confirm::confirm;
use crate::envelope::VERSION;
use crate::exit::{Failure, check_topic};
use crate::output::Stdout;
use crate::stderr::counted;

pub(super) async fn delete(
    global: &Global,
    stdout: &mut Stdout,
    topic: &str,
    yes: bool,
) -> Result<(), Failure> {
    check_topic(topic)?;
    system::refuse(topic, "Choose another topic.")?;
    let admin = cluster::admin(global).await?;
    let queues = describe_queues(&admin, topic).await.map_err(|error| failure(&error))?;
    let brokers = by_broker(&queues);
    if !yes {
        let question = question(topic, &cluster::name(global), &queues, &brokers);
        confirm(&question, "deleted", "delete")?;
    }
    admin.delete_topic(topic).await.map_err(|error| failure(&error))?;
    for (broker, messages) in brokers {
        match global.output {
            Format::Text => {
                stdout.line(format_args!("deleted  {topic}  messages={messages} broker={broker}"))
            }
            Format::Json => stdout.json(&Deleted {
                _cmd: "topic delete",
                _v: VERSION,
                topic,
                broker,
                done: "deleted",
                messages,
            }),
        }
    }
    Ok(())
}

/// As every command has it; but a topic that is to be deleted need not be created.
fn failure(error: &AdminError) -> Failure {
    let failure = cluster::failure(error);
    match error {
        AdminError::NoTopic { .. } => {
            Failure { help: vec!["try:  posthaste topic list".to_owned()], ..failure }
        }
        _ => failure,
    }
}

/// How many messages each broker has.
fn by_broker(queues: &[Queue]) -> Vec<(&str, u64)> {
    let mut brokers: Vec<(&str, u64)> = Vec::new();
    for queue in queues {
        match brokers.iter_mut().find(|(broker, _)| *broker == queue.broker) {
            Some((_, messages)) => *messages += queue.messages(),
            None => brokers.push((&queue.broker, queue.messages())),
        }
    }
    brokers
}

/// `Delete topic T of the cluster at 127.0.0.1:9876, with 3 messages in 8 queues (3 on dev)?`
fn question(topic: &str, cluster: &str, queues: &[Queue], brokers: &[(&str, u64)]) -> String {
    let brokers: Vec<String> = brokers
        .iter()
        .map(|(broker, messages)| format!("{} on {broker}", counted(*messages, "message")))
        .collect();
    format!(
        "Delete topic {topic} of the cluster at {cluster}, with {} ({})?",
        held(queues),
        brokers.join(", ")
    )
}

#[derive(Serialize)]
struct Deleted<'a> {
    _cmd: &'static str,
    _v: u32,
    topic: &'a str,
    broker: &'a str,
    done: &'static str,
    messages: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_names_the_cluster_and_counts_by_broker() {
        let queue = |broker: &str, queue, min_offset, max_offset| Queue {
            broker: broker.to_owned(),
            queue,
            min_offset,
            max_offset,
        };
        let queues = [queue("a", 0, 2, 3), queue("a", 1, 0, 0), queue("b", 0, 0, 1_200)];
        let asked = question("T", "h:9876", &queues, &by_broker(&queues));
        let expected = "Delete topic T of the cluster at h:9876, with 1,201 messages in 3 queues (1 message on a, 1,200 messages on b)?";
        assert_eq!(asked, expected);
    }
}
