use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::artefacts::Artefacts;
use super::consumer::{Consumer, Subscription};
use super::conversation::Conversation;
use super::envelope::{Envelope, Outcome, QueueOffsets, Received, Reply, RoutedBroker};
use super::jvm;

const LIMIT: Duration = Duration::from_secs(60);
const OPTIONS: [&str; 3] = ["-Xms64m", "-Xmx768m", "-XX:TieredStopAtLevel=1"];

/// How an official client is to send.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mode {
    Sync,
    Async,
    Oneway,
    Batch,
    /// To the queue that the official hash selector picks for the order key.
    Keyed,
}

/// What may be done with a topic's queues on a broker.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Permission {
    Read,
    ReadAndWrite,
}

/// What a call of RocketMQ's command line tool came to.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Printed {
    /// Whether it ended by itself, within its time.
    pub(crate) ended: bool,
    #[serde(rename = "printed")]
    pub(crate) text: String,
}

/// An official client in a separate process, under remote control.
pub(crate) struct Agent {
    name: String,
    conversation: Conversation,
}

impl Agent {
    /// Starts the Java client of a version, with further options of its process.
    pub(crate) fn java(
        artefacts: &Artefacts,
        name_server: &str,
        folder: &Path,
        options: &[String],
    ) -> Result<Self> {
        let name = format!("agent-java-{}", artefacts.version());
        let home = folder.join(&name);
        fs::create_dir_all(&home)?;
        let mut java = jvm::command(artefacts, &home, &OPTIONS)?;
        // Consumers that join or leave share the queues anew within a second instead of twenty.
        java.arg("-Drocketmq.client.rebalance.waitInterval=1000");
        java.args(options);
        java.args(["interop.Agent", name_server]);
        Self::converse(&name, &mut java, folder)
    }

    /// Starts the Go client.
    pub(crate) fn go(program: &Path, name_server: &str, folder: &Path) -> Result<Self> {
        Self::other("go", &[program.to_path_buf()], name_server, folder)
    }

    /// Starts the client that a command runs, with the address of the name server.
    pub(crate) fn other(
        client: &str,
        command: &[PathBuf],
        name_server: &str,
        folder: &Path,
    ) -> Result<Self> {
        let (program, arguments) = command.split_first().context("a command without a program")?;
        let mut command = Command::new(program);
        // The C++ client writes its log there.
        command.args(arguments).arg(name_server).env("HOME", folder);
        Self::converse(&format!("agent-{client}"), &mut command, folder)
    }

    fn converse(name: &str, command: &mut Command, folder: &Path) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        Ok(Self { name: name.to_owned(), conversation: Conversation::start(name, command, &log)? })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn start_producer(&self, name: &str, group: &str) -> Result<()> {
        self.tell("producer", json!({ "name": name, "group": group }))
    }

    /// As [`start_producer`](Self::start_producer), with the message trace switched on.
    pub(crate) fn start_traced_producer(&self, name: &str, group: &str) -> Result<()> {
        self.tell("producer", json!({ "name": name, "group": group, "traced": true }))
    }

    pub(crate) fn send(
        &self,
        producer: &str,
        mode: Mode,
        messages: &[Envelope],
    ) -> Result<Vec<Outcome>> {
        let mode = match mode {
            Mode::Sync => "sync",
            Mode::Async => "async",
            Mode::Oneway => "oneway",
            Mode::Batch => "batch",
            Mode::Keyed => "keyed",
        };
        self.ask("send", json!({ "producer": producer, "mode": mode, "messages": messages }))
    }

    pub(crate) fn start_consumer(&self, subscription: &Subscription) -> Result<Consumer> {
        let deliveries = self.conversation.open_inbox(&subscription.name);
        self.tell("consumer", serde_json::to_value(subscription)?)?;
        Ok(Consumer::new(&subscription.name, deliveries))
    }

    /// Shuts a producer or consumer down in order.
    pub(crate) fn stop(&self, name: &str) -> Result<()> {
        self.tell("stop", json!({ "name": name }))
    }

    /// The queue, out of this many, that the official hash selector picks for each key.
    pub(crate) fn choose(&self, queues: u32, keys: &[String]) -> Result<Vec<i32>> {
        self.ask("choose", json!({ "queues": queues, "keys": keys }))
    }

    /// Creates a topic on the brokers at these addresses, or changes it there.
    pub(crate) fn create_topic(
        &self,
        topic: &str,
        queues: u32,
        permission: Permission,
        brokers: &[String],
    ) -> Result<()> {
        let permissions = match permission {
            Permission::Read => 4,
            Permission::ReadAndWrite => 6,
        };
        self.tell(
            "create-topic",
            json!({ "topic": topic, "queues": queues, "permissions": permissions, "brokers": brokers }),
        )
    }

    pub(crate) fn offsets(&self, topic: &str) -> Result<Vec<QueueOffsets>> {
        self.ask("offsets", json!({ "topic": topic }))
    }

    pub(crate) fn route(&self, topic: &str) -> Result<Vec<RoutedBroker>> {
        self.ask("route", json!({ "topic": topic }))
    }

    /// The attributes of a topic, as the broker at an address has them; 5.x alone has some.
    pub(crate) fn topic_attributes(
        &self,
        topic: &str,
        broker: &str,
    ) -> Result<BTreeMap<String, String>> {
        self.ask("topic-attributes", json!({ "topic": topic, "broker": broker }))
    }

    /// The client ids of a producer group's members, as the brokers of a topic know them.
    pub(crate) fn members(&self, group: &str, topic: &str) -> Result<Vec<String>> {
        self.ask("members", json!({ "group": group, "topic": topic }))
    }

    /// Everything that a topic holds, queue by queue.
    pub(crate) fn stored(&self, topic: &str) -> Result<Vec<Received>> {
        self.ask("stored", json!({ "topic": topic }))
    }

    /// Records of the message trace, each as the official decoder reads it: its fields by name.
    pub(crate) fn decode_traces(&self, text: &str) -> Result<Vec<BTreeMap<String, String>>> {
        self.ask("traces", json!({ "text": text }))
    }

    /// Starts a transaction producer. The messages say what it decides: property `local`, and
    /// `checks` for the questions of the broker, one after another.
    pub(crate) fn start_transactor(&self, name: &str, group: &str) -> Result<()> {
        self.tell("transactor", json!({ "name": name, "group": group }))
    }

    /// Sends half messages and what their sender decides.
    pub(crate) fn transact(&self, producer: &str, messages: &[Envelope]) -> Result<Vec<Outcome>> {
        self.ask("transact", json!({ "producer": producer, "messages": messages }))
    }

    /// Starts a consumer that answers each message of a topic, by way of a producer: `re: ` and
    /// the body.
    pub(crate) fn start_replier(&self, name: &str, producer: &str, topic: &str) -> Result<()> {
        self.tell("replier", json!({ "name": name, "producer": producer, "topic": topic }))
    }

    /// Sends a request, and waits for the reply.
    pub(crate) fn request(
        &self,
        producer: &str,
        message: &Envelope,
        timeout: Duration,
    ) -> Result<Reply> {
        let millis = u64::try_from(timeout.as_millis())?;
        self.ask(
            "request",
            json!({ "producer": producer, "message": message, "timeoutMillis": millis }),
        )
    }

    /// The messages of a topic that have a key.
    pub(crate) fn by_key(&self, producer: &str, topic: &str, key: &str) -> Result<Vec<Received>> {
        self.ask("by-key", json!({ "producer": producer, "topic": topic, "key": key, "most": 32 }))
    }

    /// The message with an id, the broker's or the client's.
    pub(crate) fn by_id(&self, producer: &str, topic: &str, id: &str) -> Result<Received> {
        self.ask("by-id", json!({ "producer": producer, "topic": topic, "messageId": id }))
    }

    /// Takes a timer message back; gives back its id.
    pub(crate) fn recall(&self, producer: &str, topic: &str, handle: &str) -> Result<String> {
        self.ask("recall", json!({ "producer": producer, "topic": topic, "handle": handle }))
    }

    /// The id by which brokers know the client of a consumer.
    pub(crate) fn client_id(&self, consumer: &str) -> Result<String> {
        self.ask("client-id", json!({ "name": consumer }))
    }

    /// Runs RocketMQ's command line tool inside of the agent.
    pub(crate) fn mqadmin(&self, arguments: &[String], limit: Duration) -> Result<Printed> {
        let millis = u64::try_from(limit.as_millis())?;
        self.ask("mqadmin", json!({ "arguments": arguments, "limitMillis": millis }))
    }

    fn ask<T: DeserializeOwned>(&self, verb: &str, command: Value) -> Result<T> {
        let answer = self.conversation.call(verb, command, LIMIT)?;
        serde_json::from_value(answer).with_context(|| format!("the answer to {verb}"))
    }

    fn tell(&self, verb: &str, command: Value) -> Result<()> {
        self.conversation.call(verb, command, LIMIT).map(drop)
    }
}
