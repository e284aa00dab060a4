//! Apache RocketMQ 5.5.0, with its defaults.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process::Process;
use crate::workshop::Workshop;

const VERSION: &str = "5.5.0";
const START_LIMIT: Duration = Duration::from_secs(120);
/// Its own scripts give it 8 GiB of heap; on a machine with two cores one is plenty.
const BROKER_MEMORY: [&str; 3] = ["-Xms1g", "-Xmx1g", "-XX:MaxDirectMemorySize=1g"];

/// The name server and the broker's folder; both go when this does.
pub(crate) struct RealCluster {
    name_server_port: u16,
    folder: PathBuf,
    _name_server: Process,
}

impl RealCluster {
    /// Starts both with an empty store.
    pub(crate) fn start(workshop: &Workshop) -> Result<(Self, Process)> {
        let folder = workshop.scratch("real");
        remove(&folder)?;
        fs::create_dir_all(&folder)?;
        let (name_server_port, broker_port) = (free_port()?, free_port()?);
        let name_server = start_name_server(workshop, &folder, name_server_port)?;
        let broker = start_broker(workshop, &folder, name_server_port, broker_port)?;
        Ok((Self { name_server_port, folder, _name_server: name_server }, broker))
    }

    pub(crate) fn name_server(&self) -> String {
        format!("127.0.0.1:{}", self.name_server_port)
    }
}

impl Drop for RealCluster {
    fn drop(&mut self) {
        // The next start empties it too; this only gives the space back early.
        let _ = remove(&self.folder);
    }
}

fn start_name_server(workshop: &Workshop, folder: &Path, port: u16) -> Result<Process> {
    let settings = folder.join("namesrv.conf");
    let text = format!(
        "listenPort={port}\nkvConfigPath={folder}/kv.json\nconfigStorePath={folder}/namesrv.properties\n",
        folder = folder.display(),
    );
    fs::write(&settings, text)?;
    let memory = ["-Xms128m", "-Xmx256m"];
    let main = "org.apache.rocketmq.namesrv.NamesrvStartup";
    start(java(workshop, &memory, main).arg("-c").arg(settings), workshop)
}

fn start_broker(
    workshop: &Workshop,
    folder: &Path,
    name_server: u16,
    port: u16,
) -> Result<Process> {
    let settings = folder.join("broker.conf");
    let store = folder.join("store");
    let store = store.display();
    let text = [
        "brokerClusterName=DefaultCluster".to_owned(),
        "brokerName=broker-a".to_owned(),
        "brokerId=0".to_owned(),
        "brokerIP1=127.0.0.1".to_owned(),
        "brokerIP2=127.0.0.1".to_owned(),
        format!("listenPort={port}"),
        format!("haListenPort={}", port + 1),
        format!("namesrvAddr=127.0.0.1:{name_server}"),
        format!("storePathRootDir={store}"),
        format!("storePathCommitLog={store}/commitlog"),
        format!("timerStorePath={store}/timer"),
    ];
    fs::write(&settings, text.join("\n"))?;
    let main = "org.apache.rocketmq.broker.BrokerStartup";
    start(java(workshop, &BROKER_MEMORY, main).arg("-c").arg(settings), workshop)
}

/// A server that ends with this program, however that ends.
fn java(workshop: &Workshop, memory: &[&str], main: &str) -> Command {
    let mut java = workshop.java(VERSION, "real", memory, "bench.Tether");
    java.arg(main);
    java
}

fn start(java: &mut Command, workshop: &Workshop) -> Result<Process> {
    let process = Process::start(java, &workshop.log("real"))?;
    process
        .await_line(START_LIMIT, |line| line.contains("boot success").then_some(()))
        .context("Apache RocketMQ did not start")?;
    Ok(process)
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// A free port whose neighbours, which a broker also takes, are free as well; below the range that
/// systems give to outgoing connections.
fn free_port() -> Result<u16> {
    let is_free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    for _ in 0..200 {
        let port = fastrand::u16(20_000..29_990);
        if [port - 2, port, port + 1].into_iter().all(is_free) {
            return Ok(port);
        }
    }
    bail!("found no three free ports")
}
