//! Where a run took place.

use std::fs;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::workshop::Workshop;

/// What readers need to know to compare two runs.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_gib: u64,
    pub(crate) system: String,
    pub(crate) java: String,
    pub(crate) rust: String,
    pub(crate) commit: String,
}

impl Machine {
    pub(crate) fn look(workshop: &Workshop) -> Self {
        let field = |path: &str, name: &str| {
            let text = fs::read_to_string(path).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.map(|line| line.trim_start_matches([' ', '\t', ':']).to_owned())
                .unwrap_or_default()
        };
        let memory = field("/proc/meminfo", "MemTotal");
        let kib: u64 = memory.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0);
        let repository = workshop.repository();
        let folder = repository.to_string_lossy();
        Self {
            processor: field("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_gib: kib.div_ceil(1024 * 1024),
            system: format!("Linux {}", said("uname", &["-r"])),
            java: said("java", &["-version"]),
            rust: said("rustc", &["--version"]),
            commit: said("git", &["-C", &folder, "rev-parse", "--short", "HEAD"]),
        }
    }
}

/// The first line that a tool says; empty when it is not there.
fn said(program: &str, arguments: &[&str]) -> String {
    let Ok(output) = Command::new(program).args(arguments).output() else { return String::new() };
    let said = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&said).lines().next().unwrap_or_default().to_owned()
}
