use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::artefacts::Artefacts;
use super::guard::Guard;
use super::tethered::Tethered;
use super::{home, jvm, ports};

const START_LIMIT: Duration = Duration::from_secs(90);
const OPTIONS: [&str; 3] = ["-Xms64m", "-Xmx256m", "-XX:TieredStopAtLevel=1"];

/// A real name server.
pub(crate) struct NameServer {
    port: u16,
    _process: Tethered,
}

impl NameServer {
    pub(crate) fn start(
        artefacts: &Artefacts,
        folder: &Path,
        guard: Option<&Guard>,
    ) -> Result<Self> {
        let home = folder.join("namesrv");
        home::furnish(&home)?;
        let port = ports::free_port()?;
        let settings = home.join("namesrv.conf");
        fs::write(&settings, settings_text(port, &home)).context("writing namesrv.conf")?;
        let mut java = jvm::command(artefacts, &home, &OPTIONS)?;
        java.args(guard.into_iter().flat_map(Guard::options));
        java.args(["interop.Tether", "org.apache.rocketmq.namesrv.NamesrvStartup", "-c"])
            .arg(&settings);
        let mut process = Tethered::start("name server", &mut java, &folder.join("namesrv.log"))?;
        process.await_log("boot success", 0, START_LIMIT)?;
        Ok(Self { port, _process: process })
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

fn settings_text(port: u16, home: &Path) -> String {
    format!(
        "listenPort={port}\nkvConfigPath={home}/kvConfig.json\nconfigStorePath={home}/namesrv.properties\n",
        home = home.display(),
    )
}
