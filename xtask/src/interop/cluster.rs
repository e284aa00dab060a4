use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use posthaste::{Credentials, Producer};
use tokio::runtime::{Handle, Runtime};

use super::agent::{Agent, Permission};
use super::artefacts::Artefacts;
use super::broker::Broker;
use super::envelope::RoutedBroker;
use super::guard::Guard;
use super::mqadmin;
use super::name_server::NameServer;
use super::proxy::Proxies;
use super::version::Version;
use super::{home, jvm, tool};

const ROUTE_LIMIT: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(50);
/// What a broker may take to enter stored messages into their queues.
const ENTERED_WITHIN: Duration = Duration::from_secs(60);
/// What the first sends to a broker may take that has just started, on a machine that is busy.
const COLD: Duration = Duration::from_secs(60);

/// A real name server, real masters, and the official Java client, all of one version.
pub(crate) struct Cluster {
    agent: Agent,
    brokers: Vec<Broker>,
    name_server: NameServer,
    proxies: Proxies,
    guard: Option<Arc<Guard>>,
    artefacts: Arc<Artefacts>,
    folder: PathBuf,
    go_program: PathBuf,
    runtime: Runtime,
}

impl Cluster {
    /// Starts a name server and one master, `broker-a`; with access control and TLS if `guarded`.
    pub(crate) fn start(
        artefacts: Artefacts,
        go_program: PathBuf,
        folder: &Path,
        guarded: bool,
    ) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let artefacts = Arc::new(artefacts);
        let guard = guarded.then(|| Guard::new(artefacts.version(), folder)).transpose()?;
        let guard = guard.map(Arc::new);
        let name_server = NameServer::start(&artefacts, folder, guard.as_deref())?;
        let address = name_server.address();
        let mut broker = Broker::new("broker-a", address.clone(), Arc::clone(&artefacts), folder)?;
        broker.guard(guard.clone());
        let options = guard.as_ref().map_or_else(Vec::new, |_| Guard::client_options());
        let (started, agent) = thread::scope(|scope| {
            let broker = scope.spawn(|| broker.start());
            (broker.join(), Agent::java(&artefacts, &address, folder, &options))
        });
        started.map_err(|_| anyhow!("starting broker-a panicked"))??;
        let brokers = vec![broker];
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        Ok(Self {
            agent: agent?,
            brokers,
            name_server,
            proxies: Proxies::default(),
            guard,
            artefacts,
            folder: folder.to_path_buf(),
            go_program,
            runtime,
        })
    }

    pub(crate) fn version(&self) -> Version {
        self.artefacts.version()
    }

    /// The official Java client.
    pub(crate) fn agent(&self) -> &Agent {
        &self.agent
    }

    /// Starts a producer of ours, with its defaults, in a group of that name.
    pub(crate) fn producer(&self, group: &str) -> Result<Producer> {
        Ok(self.block_on(Producer::builder(group, self.entrance()).start())?)
    }

    /// Who our producers ask for the brokers: the name server, or proxies that take its place.
    pub(crate) fn entrance(&self) -> String {
        self.proxies.entrance().unwrap_or_else(|| self.name_server())
    }

    /// The proxies; none of them runs before it is wanted.
    pub(crate) fn proxies(&mut self) -> &mut Proxies {
        &mut self.proxies
    }

    /// Does something with our producers behind this many proxies, with topics for this kind of
    /// messages: proxies check that, brokers do not.
    pub(crate) fn behind_proxies<T>(
        &mut self,
        count: usize,
        messages: &'static str,
        act: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let (name_server, folder) = (self.name_server(), self.folder.clone());
        self.proxies.enter(count, messages, &name_server, &folder)?;
        let done = act(self);
        self.proxies.leave();
        done
    }

    /// Runs a command of the administration tool.
    pub(crate) fn administer(&self, arguments: &[&str]) -> Result<()> {
        let home = self.folder.join("tools");
        home::furnish(&home)?;
        let mut java = jvm::command(&self.artefacts, &home, &["-Xmx256m"])?;
        java.arg(format!("-Drocketmq.namesrv.addr={}", self.name_server()));
        java.arg("org.apache.rocketmq.tools.command.MQAdminStartup").args(arguments);
        // Its exit code is 0 even when the command fails.
        let said = tool::run(&mut java)?;
        match said.find("SubCommandException") {
            Some(at) => bail!("{arguments:?}: {}", said.get(at..).unwrap_or_default()),
            None => Ok(()),
        }
    }

    /// As [`producer`](Self::producer), with sends that wait for a broker that is still cold.
    pub(crate) fn patient_producer(&self, group: &str) -> Result<Producer> {
        Ok(self.producer(group)?.with_timeout(COLD))
    }

    /// Starts a producer of ours that signs with these credentials.
    pub(crate) fn guarded_producer(
        &self,
        group: &str,
        credentials: Option<Credentials>,
    ) -> Result<Producer> {
        let mut builder = Producer::builder(group, self.name_server());
        if let Some(credentials) = credentials {
            builder = builder.credentials(credentials);
        }
        Ok(self.block_on(builder.start())?.with_timeout(COLD))
    }

    /// What the servers demand.
    pub(crate) fn guard(&self) -> Result<&Guard> {
        self.guard.as_deref().context("the cluster is not guarded")
    }

    /// Where our producers run.
    pub(crate) fn runtime(&self) -> Handle {
        self.runtime.handle().clone()
    }

    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Starts the official Go client.
    pub(crate) fn go_agent(&self) -> Result<Agent> {
        Agent::go(&self.go_program, &self.name_server(), &self.folder)
    }

    /// Runs RocketMQ's own tool; gives what it printed.
    pub(crate) fn mqadmin(&self, arguments: &[&str]) -> Result<String> {
        mqadmin::run(&self.artefacts, &self.folder, &self.name_server(), arguments)
    }

    pub(crate) fn name_server(&self) -> String {
        self.name_server.address()
    }

    pub(crate) fn broker(&mut self, index: usize) -> Result<&mut Broker> {
        self.brokers.get_mut(index).with_context(|| format!("there is no broker {index}"))
    }

    /// Makes it `count` masters, all of them running: a failed scenario may have left some dead.
    pub(crate) fn ensure_masters(&mut self, count: usize) -> Result<()> {
        while self.brokers.len() < count {
            let name = if self.brokers.is_empty() { "broker-a" } else { "broker-b" };
            let (name_server, artefacts) = (self.name_server(), Arc::clone(&self.artefacts));
            let mut broker = Broker::new(name, name_server, artefacts, &self.folder)?;
            broker.guard(self.guard.clone());
            self.brokers.push(broker);
        }
        for broker in &mut self.brokers {
            if !broker.is_running() {
                broker.start()?;
            }
        }
        Ok(())
    }

    /// Creates a topic with this many queues on every master, and waits until the route shows it.
    pub(crate) fn create_topic(&self, topic: &str, queues: u32) -> Result<()> {
        let addresses: Vec<String> = self.brokers.iter().map(Broker::address).collect();
        self.agent.create_topic(topic, queues, Permission::ReadAndWrite, &addresses)?;
        if let Some(kind) = self.proxies.messages() {
            let (queues, kind) = (queues.to_string(), format!("+message.type={kind}"));
            let of = ["updateTopic", "-c", "DefaultCluster", "-t", topic, "-r", &queues];
            self.administer(&[&of[..], &["-w", &queues, "-a", &kind]].concat())?;
        }
        self.await_route(topic, &addresses)
    }

    /// Waits until a topic's route shows exactly these brokers.
    pub(crate) fn await_route(&self, topic: &str, addresses: &[String]) -> Result<()> {
        let mut wanted = addresses.to_vec();
        wanted.sort();
        self.await_shown(topic, |route| {
            let mut shown: Vec<String> = route.iter().map(|b| b.address.clone()).collect();
            shown.sort();
            shown == wanted
        })
    }

    /// Waits until a topic's route shows this many queues that may be written.
    pub(crate) fn await_write_queues(&self, topic: &str, queues: i32) -> Result<()> {
        self.await_shown(topic, |route| route.iter().map(|b| b.queues).sum::<i32>() == queues)
    }

    fn await_shown(&self, topic: &str, wanted: impl Fn(&[RoutedBroker]) -> bool) -> Result<()> {
        let deadline = Instant::now() + ROUTE_LIMIT;
        loop {
            let seen = self.agent.route(topic);
            if seen.as_ref().is_ok_and(|route| wanted(route)) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("the route of {topic} never became what it should; last seen: {seen:?}");
            }
            thread::sleep(POLL);
        }
    }

    /// How many messages the topic's queues have taken in all, once the expected messages show, or
    /// the time is over: brokers answer a send before they have entered it into its queue, and under
    /// load long before.
    pub(crate) fn count(&self, topic: &str, expected: usize) -> Result<usize> {
        let deadline = Instant::now() + ENTERED_WITHIN;
        while self.entered(topic)? < expected && Instant::now() < deadline {
            thread::sleep(POLL);
        }
        // Messages too many would follow at once.
        thread::sleep(Duration::from_millis(500));
        self.entered(topic)
    }

    fn entered(&self, topic: &str) -> Result<usize> {
        let sum: i64 = self.agent.offsets(topic)?.iter().map(|queue| queue.max).sum();
        Ok(usize::try_from(sum)?)
    }
}
