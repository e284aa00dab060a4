//! The client of rocketmq-client-rust under remote control.
//!
//! One JSON command per line on standard input, one JSON object per line on standard output: an answer with
//! the id of its command, or a message with the name of the consumer that received it.

#![recursion_limit = "512"]

use std::collections::HashMap;
use std::error::Error;
use std::io::{BufRead, Write};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rocketmq_client_rust::{
    ClientConfig, ClientResult, ClientRuntime, ClientRuntimeConfig, ConsumeConcurrentlyContext,
    ConsumeConcurrentlyStatus, DefaultMQProducer, DefaultMQPushConsumer, MQPushConsumer,
    MessageListenerConcurrently,
};
use rocketmq_model::common::consumer::consume_from_where::ConsumeFromWhere;
use rocketmq_model::common::message::message_ext::MessageExt;
use rocketmq_model::common::message::message_single::Message;
use rocketmq_observability::{TelemetryBootstrapConfig, install_global};
use rocketmq_runtime::{RuntimeConfig, RuntimeOwner};
use serde::Deserialize;
use serde_json::{Value, json};

const SEND_LIMIT_MS: u64 = 10_000;

type Answer = Result<Value, Box<dyn Error>>;

#[derive(Deserialize)]
struct Command {
    id: u64,
    #[serde(rename = "do")]
    verb: String,
    name: Option<String>,
    group: Option<String>,
    topic: Option<String>,
    tags: Option<String>,
    producer: Option<String>,
    messages: Option<Vec<Envelope>>,
}

#[derive(Deserialize)]
struct Envelope {
    topic: String,
    body: String,
    tags: Option<String>,
    keys: Option<String>,
}

struct Agent {
    name_server: String,
    runtime: Arc<ClientRuntime>,
    producers: HashMap<String, DefaultMQProducer>,
    consumers: HashMap<String, DefaultMQPushConsumer>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let name_server = std::env::args().nth(1).ok_or("no name server")?;
    let owner =
        RuntimeOwner::plan(RuntimeConfig::default()).map_err(|e| format!("{e:?}"))?.build()?;
    let telemetry = install_global(&TelemetryBootstrapConfig::default())?;
    let runtime = ClientRuntime::try_new(
        owner.root_context().component("client"),
        ClientRuntimeConfig::default(),
        telemetry.handle(),
    )?;
    let (producers, consumers) = (HashMap::new(), HashMap::new());
    let mut agent = Agent { name_server, runtime, producers, consumers };
    for line in std::io::stdin().lock().lines() {
        let command: Command = serde_json::from_str(&line?)?;
        let answer = match agent.perform(&command).await {
            Ok(value) => json!({ "id": command.id, "ok": value }),
            Err(error) => json!({ "id": command.id, "error": error.to_string() }),
        };
        say(&answer);
    }
    // What clients would still say is not read.
    std::process::exit(0)
}

impl Agent {
    async fn perform(&mut self, command: &Command) -> Answer {
        match command.verb.as_str() {
            "producer" => self.start_producer(command).await,
            "send" => self.send(command).await,
            "consumer" => self.start_consumer(command).await,
            "stop" => self.stop(command).await,
            verb => Err(format!("unknown command {verb}").into()),
        }
    }

    async fn start_producer(&mut self, command: &Command) -> Answer {
        let (name, group) = (text(&command.name)?, text(&command.group)?);
        let mut producer = DefaultMQProducer::builder(self.runtime.clone())
            .producer_group(group)
            .name_server_addr(self.name_server.clone())
            .build();
        producer.start().await?;
        self.producers.insert(name, producer);
        Ok(true.into())
    }

    async fn send(&mut self, command: &Command) -> Answer {
        let name = text(&command.producer)?;
        let producer = self.producers.get(&name).ok_or("no such producer")?;
        let mut outcomes = Vec::new();
        for envelope in command.messages.iter().flatten() {
            let body = STANDARD.decode(&envelope.body)?;
            let mut message = Message::builder().topic(envelope.topic.as_str()).body_slice(&body);
            if let Some(tags) = &envelope.tags {
                message = message.tags(tags.as_str());
            }
            if let Some(keys) = &envelope.keys {
                message = message.key(keys.as_str());
            }
            let sent = producer.send_with_timeout(message.build_unchecked(), SEND_LIMIT_MS).await;
            outcomes.push(match sent {
                Ok(Some(result)) => json!({
                    "status": "SEND_OK",
                    "msgId": result.msg_id.map(|id| id.to_string()),
                    "offset": result.queue_offset,
                }),
                Ok(None) => json!({ "error": "no result" }),
                Err(error) => json!({ "error": error.to_string() }),
            });
        }
        Ok(outcomes.into())
    }

    async fn start_consumer(&mut self, command: &Command) -> Answer {
        let (name, group) = (text(&command.name)?, text(&command.group)?);
        let mut config = ClientConfig::new();
        config.set_instance_name(name.as_str().into());
        let mut consumer = DefaultMQPushConsumer::builder(self.runtime.clone())
            .client_config(config)
            .consumer_group(group)
            .name_server_addr(self.name_server.clone())
            .consume_from_where(ConsumeFromWhere::ConsumeFromFirstOffset)
            .build();
        consumer.subscribe(text(&command.topic)?, text(&command.tags)?).await?;
        consumer.register_message_listener_concurrently(Listener { consumer: name.clone() });
        consumer.start().await?;
        self.consumers.insert(name, consumer);
        Ok(true.into())
    }

    async fn stop(&mut self, command: &Command) -> Answer {
        let name = text(&command.name)?;
        if let Some(mut producer) = self.producers.remove(&name) {
            producer.shutdown().await;
        } else if let Some(mut consumer) = self.consumers.remove(&name) {
            consumer.shutdown().await;
        }
        Ok(true.into())
    }
}

struct Listener {
    consumer: String,
}

impl MessageListenerConcurrently for Listener {
    fn consume_message(
        &self,
        messages: &[&MessageExt],
        _context: &ConsumeConcurrentlyContext,
    ) -> ClientResult<ConsumeConcurrentlyStatus> {
        for message in messages {
            say(&json!({
                "consumer": self.consumer,
                "refused": false,
                "message": {
                    "topic": message.topic().to_string(),
                    "queue": message.queue_id(),
                    "offset": message.queue_offset(),
                    "msgId": message.msg_id().to_string(),
                    "tags": message.get_tags().map(|tags| tags.to_string()),
                    "keys": null,
                    "flag": message.flag(),
                    "reconsumeTimes": message.reconsume_times(),
                    "properties": {},
                    "body": STANDARD.encode(message.body().unwrap_or_default()),
                },
            }));
        }
        Ok(ConsumeConcurrentlyStatus::ConsumeSuccess)
    }
}

fn text(field: &Option<String>) -> Result<String, Box<dyn Error>> {
    Ok(field.clone().ok_or("the command lacks a field")?)
}

fn say(line: &Value) {
    let mut out = std::io::stdout().lock();
    // Without a reader the line is dropped.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
