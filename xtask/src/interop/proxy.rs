use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::artefacts::Artefacts;
use super::tethered::{self, Tethered};
use super::{home, jvm, ports};

const START_LIMIT: Duration = Duration::from_secs(120);
const STOP_LIMIT: Duration = Duration::from_secs(60);
const OPTIONS: [&str; 2] = ["-Xms128m", "-Xmx768m"];

/// Real proxies of 5.x in front of the brokers, to whom they are name server and broker alike.
#[derive(Default)]
pub(crate) struct Proxies {
    artefacts: Option<Arc<Artefacts>>,
    all: Vec<Proxy>,
    /// While producers go through them: what kind of messages topics are made for.
    entered: Option<&'static str>,
}

impl Proxies {
    /// What they need to run.
    pub(crate) fn provide(&mut self, artefacts: Option<Artefacts>) {
        self.artefacts = artefacts.map(Arc::new);
    }

    /// Starts proxies until this many run. They take the place of the name server.
    pub(crate) fn enter(
        &mut self,
        count: usize,
        messages: &'static str,
        name_server: &str,
        folder: &Path,
    ) -> Result<()> {
        let artefacts = self.artefacts.clone().context("no proxies were provided")?;
        while self.all.len() < count {
            let name = format!("proxy-{}", self.all.len());
            self.all.push(Proxy::new(&name, name_server, artefacts.clone(), folder)?);
        }
        self.all.truncate(count);
        for proxy in &mut self.all {
            proxy.ensure_running()?;
        }
        self.entered = Some(messages);
        Ok(())
    }

    pub(crate) fn leave(&mut self) {
        self.entered = None;
    }

    /// Their addresses, as a list of name servers; `None` while producers do not go through them.
    pub(crate) fn entrance(&self) -> Option<String> {
        let addresses: Vec<String> = self.all.iter().map(Proxy::address).collect();
        self.entered.map(|_| addresses.join(";"))
    }

    /// What kind of messages topics are made for while producers go through them.
    pub(crate) fn messages(&self) -> Option<&'static str> {
        self.entered
    }

    /// Ends one of them in order.
    pub(crate) fn stop(&mut self, index: usize) -> Result<()> {
        self.all.get_mut(index).with_context(|| format!("there is no proxy {index}"))?.stop()
    }

    /// Starts one again that was stopped, at the same address.
    pub(crate) fn start(&mut self, index: usize) -> Result<()> {
        let proxy =
            self.all.get_mut(index).with_context(|| format!("there is no proxy {index}"))?;
        proxy.ensure_running()
    }
}

struct Proxy {
    name: String,
    name_server: String,
    artefacts: Arc<Artefacts>,
    folder: PathBuf,
    port: u16,
    grpc_port: u16,
    process: Option<Tethered>,
}

impl Proxy {
    fn new(
        name: &str,
        name_server: &str,
        artefacts: Arc<Artefacts>,
        folder: &Path,
    ) -> Result<Self> {
        home::furnish(&folder.join(name))?;
        Ok(Self {
            name: name.to_owned(),
            name_server: name_server.to_owned(),
            artefacts,
            folder: folder.to_path_buf(),
            port: ports::free_port()?,
            grpc_port: ports::free_port()?,
            process: None,
        })
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn ensure_running(&mut self) -> Result<()> {
        if self.process.is_some() {
            return Ok(());
        }
        let log = self.folder.join(format!("{}.log", self.name));
        let said_before = tethered::log_length(&log);
        let home = self.folder.join(&self.name);
        let settings = home.join("proxy.json");
        fs::write(&settings, self.settings().to_string()).context("writing proxy.json")?;
        let mut java = jvm::command(&self.artefacts, &home, &OPTIONS)?;
        java.args(["interop.Tether", "org.apache.rocketmq.proxy.ProxyStartup", "-pc"])
            .arg(settings);
        let mut process = Tethered::start(&self.name, &mut java, &log)?;
        process.await_log("startup successfully", said_before, START_LIMIT)?;
        self.process = Some(process);
        Ok(())
    }

    fn stop(&mut self) -> Result<()> {
        match self.process.take() {
            Some(process) => process.stop(STOP_LIMIT),
            None => bail!("{} does not run", self.name),
        }
    }

    fn settings(&self) -> serde_json::Value {
        json!({
            "rocketMQClusterName": "DefaultCluster",
            "proxyName": self.name,
            "namesrvAddr": self.name_server,
            "proxyMode": "cluster",
            "grpcServerPort": self.grpc_port,
            "remotingListenPort": self.port,
            "localServeAddr": "127.0.0.1",
            "tlsTestModeEnable": true,
        })
    }
}
