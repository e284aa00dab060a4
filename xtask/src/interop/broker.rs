use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::artefacts::Artefacts;
use super::guard::Guard;
use super::tethered::{self, Tethered};
use super::{home, jvm, ports};

const START_LIMIT: Duration = Duration::from_secs(120);
const STOP_LIMIT: Duration = Duration::from_secs(60);
const OPTIONS: [&str; 3] = ["-Xms256m", "-Xmx1g", "-XX:MaxDirectMemorySize=1g"];

/// A real master broker. Its store outlives its process, so it can be killed and started again.
pub(crate) struct Broker {
    name: String,
    name_server: String,
    artefacts: Arc<Artefacts>,
    folder: PathBuf,
    port: u16,
    guard: Option<Arc<Guard>>,
    /// Settings that not every broker has.
    further: Vec<&'static str>,
    /// Whether it creates topics that are sent to, and has the default topic.
    creates_topics: bool,
    process: Option<Tethered>,
}

impl Broker {
    pub(crate) fn new(
        name: &str,
        name_server: String,
        artefacts: Arc<Artefacts>,
        folder: &Path,
    ) -> Result<Self> {
        home::furnish(&folder.join(name))?;
        Ok(Self {
            name: name.to_owned(),
            name_server,
            artefacts,
            folder: folder.to_path_buf(),
            port: ports::free_port()?,
            guard: None,
            further: Vec::new(),
            creates_topics: true,
            process: None,
        })
    }

    /// What the broker will demand of clients.
    pub(crate) fn guard(&mut self, guard: Option<Arc<Guard>>) {
        self.guard = guard;
    }

    /// Adds settings, such as `enablePropertyFilter=true`.
    pub(crate) fn set(&mut self, settings: &[&'static str]) {
        self.further.extend_from_slice(settings);
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// Starts the broker and waits until it serves.
    pub(crate) fn start(&mut self) -> Result<()> {
        if self.process.is_some() {
            bail!("{} runs already", self.name);
        }
        let log = self.folder.join(format!("{}.log", self.name));
        let said_before = tethered::log_length(&log);
        let settings = self.write_settings()?;
        let mut java = jvm::command(&self.artefacts, &self.home(), &OPTIONS)?;
        java.args(self.guard.iter().flat_map(|guard| guard.options()));
        java.args(["interop.Tether", "org.apache.rocketmq.broker.BrokerStartup", "-c"])
            .arg(settings);
        let mut process = Tethered::start(&self.name, &mut java, &log)?;
        process.await_log("boot success", said_before, START_LIMIT)?;
        self.process = Some(process);
        Ok(())
    }

    /// Starts the broker under an address that it never had before.
    pub(crate) fn start_elsewhere(&mut self) -> Result<()> {
        self.port = ports::free_port()?;
        self.start()
    }

    /// Starts the broker once more, so that it creates topics that are sent to, or does not. It has no
    /// topics any more, since it would keep the default topic too.
    pub(crate) fn restart_without_topics(&mut self, creates_topics: bool) -> Result<()> {
        self.stop()?;
        self.creates_topics = creates_topics;
        for name in ["topics.json", "topics.json.bak"] {
            let path = self.home().join("store/config").join(name);
            if path.exists() {
                fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
            }
        }
        self.start()
    }

    /// Ends the broker's process in order. 5.x sends away what comes meanwhile.
    pub(crate) fn stop(&mut self) -> Result<()> {
        match self.process.take() {
            Some(process) => process.stop(STOP_LIMIT),
            None => bail!("{} does not run", self.name),
        }
    }

    /// Ends the broker's process at once, as a crash would. What it had stored stays.
    pub(crate) fn kill(&mut self) -> Result<()> {
        match self.process.take() {
            Some(process) => process.kill(),
            None => bail!("{} does not run", self.name),
        }
    }

    fn home(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    fn write_settings(&self) -> Result<PathBuf> {
        let path = self.home().join("broker.conf");
        let mut text = self.settings_text();
        for line in &self.further {
            text.push('\n');
            text.push_str(line);
        }
        if let Some(guard) = &self.guard {
            for line in guard.broker_settings(&self.home())? {
                text.push('\n');
                text.push_str(&line);
            }
        }
        fs::write(&path, text).context("writing broker.conf")?;
        Ok(path)
    }

    fn settings_text(&self) -> String {
        let store = self.home().join("store");
        let store = store.display();
        [
            "brokerClusterName=DefaultCluster".to_owned(),
            format!("brokerName={}", self.name),
            "brokerId=0".to_owned(),
            "brokerIP1=127.0.0.1".to_owned(),
            "brokerIP2=127.0.0.1".to_owned(),
            format!("listenPort={}", self.port),
            format!("haListenPort={}", self.port + 1),
            format!("namesrvAddr={}", self.name_server),
            format!("storePathRootDir={store}"),
            format!("storePathCommitLog={store}/commitlog"),
            format!("timerStorePath={store}/timer"),
            format!("autoCreateTopicEnable={}", self.creates_topics),
            // 5.x: topics may be for every kind of message.
            "enableMixedMessageType=true".to_owned(),
            // 5.x: a broker that stops says so to clients that send, for this long.
            "enableShutdownGracefully=true".to_owned(),
            "shutdownWaitTimeSeconds=3".to_owned(),
            "traceTopicEnable=true".to_owned(),
            // Soon, for a test that waits for it.
            "transactionTimeOut=3000".to_owned(),
            "transactionCheckInterval=4000".to_owned(),
            // 5.x: decisions are kept before their message is old enough to be asked about; one that
            // is asked about again and answered again would be stored twice.
            "transactionOpBatchInterval=500".to_owned(),
            // 5.x alone knows it, and forbids it by default.
            "recallMessageEnable=true".to_owned(),
            // Light queues, where the version knows them.
            "enableLmq=true".to_owned(),
            "enableMultiDispatch=true".to_owned(),
            // Small files: the defaults reserve gigabytes for a handful of messages.
            "mappedFileSizeCommitLog=67108864".to_owned(),
            "mappedFileSizeConsumeQueue=600000".to_owned(),
        ]
        .join("\n")
    }
}
