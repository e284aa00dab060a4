//! Several brokers behind one name server, in one process.

use std::net::SocketAddr;

use crate::broker::Broker;
use crate::builder::BrokerBuilder;
use crate::engine::registry::{Member, Registry};
use crate::error::BrokerError;
use crate::kit::error::KitError;
use crate::kit::message::StoredMessage;

/// How many brokers a cluster may have, slaves among them; each has a thread.
const MOST: usize = 64;

/// Several brokers and the name server that knows them. Dropping it stops all of them, without
/// waiting.
///
/// Each broker has its own ports, and a route shows it only while it is
/// [up](crate::BrokerHandle::up). Brokers share nothing: a topic that a send creates is on the broker
/// that got the send, and a slave copies nothing.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use posthaste_broker::{Broker, Cluster};
///
/// let settings = Broker::builder().topic("orders", 4);
/// let cluster = Cluster::builder().brokers(2).slave_of(0).settings(settings).start().await?;
/// println!("name server at {}", cluster.name_server());
/// cluster.brokers()[0].down().await?; // its slave is the only one left under its name
/// cluster.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Cluster {
    name_server: Broker,
    brokers: Vec<Broker>,
    slaves: Vec<Broker>,
}

/// Settings of a cluster that is about to start.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it is started"]
pub struct ClusterBuilder {
    brokers: usize,
    slaves: Vec<usize>,
    settings: BrokerBuilder,
}

impl Cluster {
    /// Settings for a new cluster.
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder { brokers: 2, slaves: Vec::new(), settings: BrokerBuilder::default() }
    }

    /// Where the name server listens.
    pub fn name_server(&self) -> SocketAddr {
        self.name_server.name_server()
    }

    /// The broker that runs the name server, to be paused or taken down. Messages are not sent to it.
    pub fn name_server_broker(&self) -> &Broker {
        &self.name_server
    }

    /// The masters, in the order of their numbers.
    pub fn brokers(&self) -> &[Broker] {
        &self.brokers
    }

    /// The slaves, in the order in which they were given to the builder.
    pub fn slaves(&self) -> &[Broker] {
        &self.slaves
    }

    /// All messages of a topic, of one broker after another, each as
    /// [`messages`](crate::BrokerHandle::messages) gives them.
    ///
    /// # Errors
    /// As there.
    pub async fn messages(&self, topic: &str) -> Result<Vec<StoredMessage>, KitError> {
        let mut messages = Vec::new();
        for broker in &self.brokers {
            messages.extend(broker.messages(topic).await?);
        }
        Ok(messages)
    }

    /// Stops all brokers, and the name server last, each as [`Broker::stop`] does.
    pub async fn stop(self) {
        for broker in self.brokers.into_iter().chain(self.slaves) {
            broker.stop().await;
        }
        self.name_server.stop().await;
    }
}

impl ClusterBuilder {
    /// How many masters there are: 1 to 64; default 2. They are called `dev-0`, `dev-1` and so on, or
    /// as [`broker_name`](BrokerBuilder::broker_name) of the settings says in place of `dev`.
    pub fn brokers(mut self, count: usize) -> Self {
        self.brokers = count;
        self
    }

    /// Adds a slave of a master, which is counted from 0. It copies nothing and refuses sends with
    /// 14; routes show it under its master's name, also when that is down.
    pub fn slave_of(mut self, broker: usize) -> Self {
        self.slaves.push(broker);
        self
    }

    /// Settings of every broker; default: those of [`Broker::builder`]. The port of the name server
    /// is that of the cluster's name server, the broker's port has to be 0. With a data folder, each
    /// broker has a folder in it.
    pub fn settings(mut self, settings: BrokerBuilder) -> Self {
        self.settings = settings;
        self
    }

    /// Creates a topic on every master, as [`BrokerBuilder::topic`] does.
    pub fn topic(mut self, name: impl Into<String>, queues: u32) -> Self {
        self.settings = self.settings.topic(name, queues);
        self
    }

    /// Starts name server and brokers. Once this returns, routes show all of them.
    ///
    /// # Errors
    /// As [`BrokerBuilder::start`]; and when the numbers make no sense.
    pub async fn start(self) -> Result<Cluster, BrokerError> {
        let Self { brokers: count, slaves, settings } = self;
        check(count, &slaves, &settings)?;
        let registry = Registry::default();
        let base = settings.broker_name.clone();
        let of = |name: String, id: Option<i64>, folder: String| {
            let mut settings = settings.clone().broker_name(name);
            settings.data_dir = settings.data_dir.map(|data| data.join(folder));
            settings.member = Some(Member { registry: registry.clone(), id });
            settings
        };
        let name_server = of(format!("{base}-names"), None, "names".to_owned());
        let mut brokers = Vec::new();
        for number in 0..count {
            let name = format!("{base}-{number}");
            let settings = of(name.clone(), Some(0), name).name_server_port(0);
            brokers.push(settings.start().await?);
        }
        let (mut started, mut ids) = (Vec::new(), vec![0; count]);
        for master in slaves {
            let id = ids.get_mut(master).map_or(0, |id| {
                *id += 1;
                *id
            });
            let name = format!("{base}-{master}");
            let settings = of(name.clone(), Some(id), format!("{name}-slave-{id}"));
            started.push(settings.name_server_port(0).start().await?);
        }
        Ok(Cluster { name_server: name_server.start().await?, brokers, slaves: started })
    }
}

fn check(count: usize, slaves: &[usize], settings: &BrokerBuilder) -> Result<(), BrokerError> {
    let wrong = |text: String| Err(BrokerError::Setting(text));
    if !(1..=MOST).contains(&count) || count + slaves.len() > MOST {
        let all = count + slaves.len();
        return wrong(format!("a cluster has a master, and at most {MOST} brokers, not {all}"));
    }
    if let Some(master) = slaves.iter().find(|master| **master >= count) {
        return wrong(format!(
            "there is no broker {master} that could have a slave; the last one is {}",
            count - 1
        ));
    }
    if settings.broker_port != 0 {
        return wrong("the brokers of a cluster cannot share a port; leave it at 0".to_owned());
    }
    Ok(())
}
