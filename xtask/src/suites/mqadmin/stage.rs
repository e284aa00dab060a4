//! A server with a few messages, a producer and a push consumer, and the command line tool to ask it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use posthaste_broker::Broker;

use crate::interop::agent::{Agent, Mode, Permission};
use crate::interop::artefacts::Artefacts;
use crate::interop::consumer::Subscription;
use crate::interop::envelope::Envelope;
use crate::suites::server::{BROKER, Server};

const TOPIC: &str = "AdmTopic";
const PRODUCER: &str = "admPG";
const TRACES: &str = "RMQ_SYS_TRACE_TOPIC";
/// Its messages leave a trace.
const TRACED: &str = "admTraced";
const CONSUMER: &str = "admCG";
const MESSAGES: usize = 10;
/// The message that calls ask for.
const ASKED_FOR: usize = 3;
const RECEIVED_WITHIN: Duration = Duration::from_secs(60);

/// A list of topics, and one of groups, for the calls that take one.
const FILES: [(&str, &str); 2] = [
    (
        "topics.json",
        r#"[{"topicName":"AdmList1","readQueueNums":3,"writeQueueNums":3,"perm":6},
            {"topicName":"AdmList2","readQueueNums":2,"writeQueueNums":2,"perm":6}]"#,
    ),
    (
        "groups.json",
        r#"[{"groupName":"admList1","consumeEnable":true},
            {"groupName":"admList2","consumeEnable":true,"retryMaxTimes":3}]"#,
    ),
];

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Embedded,
    Real,
}

impl Place {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Real => "real",
        }
    }
}

/// A server, and who is connected to it.
pub(crate) struct Stage {
    tool: Agent,
    _clients: Agent,
    names: BTreeMap<&'static str, String>,
    _server: Server,
}

impl Stage {
    /// Starts the server, connects the clients, and has the consumer receive what the producer sends.
    pub(crate) fn set(place: Place, artefacts: &Arc<Artefacts>, folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        for (name, text) in FILES {
            fs::write(folder.join(name), text).with_context(|| format!("writing {name}"))?;
        }
        let server = match place {
            // The real one has it from the start as well.
            Place::Embedded => Server::embedded(Broker::builder().topic(TRACES, 1))?,
            Place::Real => Server::real(artefacts, folder, &[])?,
        };
        let name_server = server.name_server();
        let clients = Agent::java(artefacts, &name_server, &folder.join("clients"), &[])?;
        let tool = Agent::java(artefacts, &name_server, &folder.join("tool"), &[])?;
        let mut names = BTreeMap::from([
            ("address", server.address()),
            ("name-server", name_server),
            ("broker", BROKER.to_owned()),
            ("folder", folder.display().to_string()),
        ]);
        names.extend(populate(&clients, &server.address())?);
        Ok(Self { tool, _clients: clients, names, _server: server })
    }

    /// What the names in the table's calls stand for.
    pub(crate) fn names(&self) -> &BTreeMap<&'static str, String> {
        &self.names
    }

    /// Runs a call; gives what it printed.
    pub(crate) fn call(&self, arguments: &[String], limit: Duration) -> Result<String> {
        let printed = self.tool.mqadmin(arguments, limit)?;
        Ok(printed.text + if printed.ended { "" } else { "\n(it does not end)" })
    }
}

/// Sends and receives; gives the names of what there is then.
fn populate(clients: &Agent, broker: &str) -> Result<Vec<(&'static str, String)>> {
    create_topic(clients, broker)?;
    let subscription = Subscription::new(CONSUMER, TOPIC).of_group(CONSUMER);
    let consumer = clients.start_consumer(&subscription)?;
    clients.start_producer(PRODUCER, PRODUCER)?;
    let messages: Vec<Envelope> = (0..MESSAGES).map(numbered).collect();
    let outcomes = clients.send(PRODUCER, Mode::Keyed, &messages)?;
    ensure!(outcomes.iter().all(|outcome| outcome.is_ok()), "{outcomes:?}");
    clients.start_traced_producer(TRACED, TRACED)?;
    let traced = clients.send(TRACED, Mode::Keyed, &[numbered(MESSAGES)])?;
    consumer.take(MESSAGES + 1, RECEIVED_WITHIN)?;
    // So that its records are sent.
    clients.stop(TRACED)?;
    let traced = traced.into_iter().next().and_then(|outcome| outcome.msg_id);
    let of = outcomes.into_iter().nth(ASKED_FOR).context("no message to ask for")?;
    Ok(vec![
        ("queue", of.queue.context("no queue")?.to_string()),
        ("offset", of.offset.context("no offset")?.to_string()),
        ("unique-id", of.msg_id.context("no unique id")?),
        ("offset-id", of.offset_msg_id.context("no offset id")?),
        ("traced-id", traced.context("no traced message")?),
        ("client", clients.client_id(CONSUMER)?),
    ])
}

/// A real broker that has just started may take longer than the client waits.
fn create_topic(clients: &Agent, broker: &str) -> Result<()> {
    const TRIES: usize = 5;
    let create = || clients.create_topic(TOPIC, 4, Permission::ReadAndWrite, &[broker.to_owned()]);
    (1..TRIES).find(|_| create().is_ok()).map_or_else(create, |_| Ok(()))
}

fn numbered(number: usize) -> Envelope {
    let mut message = Envelope::new(TOPIC, format!("body {number}"));
    message.tags = Some("TagA".to_owned());
    message.keys = Some(format!("k-{number}"));
    // The same queue on every server.
    message.order_key = Some(number.to_string());
    message
}
