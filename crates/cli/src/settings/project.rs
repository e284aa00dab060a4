//! The project file, which says what a directory goes by. Others may have written it, so it may
//! say little.

use std::io;
use std::path::{Path, PathBuf};

use super::config::check_alternatives;
use super::key::{KEYS, Key};
use super::source::Values;
use super::table::{File, nearest};
use crate::exit::Failure;
use crate::permissions;
use crate::value;

/// Its name.
const NAME: &str = ".posthaste.toml";

/// What a project file says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Project {
    pub(crate) path: PathBuf,
    pub(crate) context: Option<String>,
    pub(crate) values: Values,
}

impl Project {
    /// The nearest project file in this directory and above it, up to the home folder and to the
    /// border of the file system. Files of other users are passed over.
    pub(crate) fn find(directory: &Path, home: Option<&Path>) -> Result<Option<Self>, Failure> {
        let device = permissions::device(directory);
        for folder in directory.ancestors() {
            if permissions::device(folder) != device {
                break;
            }
            let path = folder.join(NAME);
            if permissions::is_ours(&path) {
                let text =
                    match std::fs::read_to_string(&path) {
                        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                        read => Some(read.map_err(|error| {
                            Failure::usage(format!("{}: {error}", path.display()))
                        })?),
                    };
                if let Some(text) = text {
                    return Self::parse(path, &text).map(Some);
                }
            }
            if home == Some(folder) {
                break;
            }
        }
        Ok(None)
    }

    pub(crate) fn parse(path: PathBuf, text: &str) -> Result<Self, Failure> {
        let file = File { path: &path, text };
        let document = file.parse()?;
        let mut table = document.as_table().clone();
        let at = table.key("context").and_then(toml_edit::Key::span);
        let wrong = |why: &str| file.wrong(at.clone(), why);
        let context = match table.remove("context") {
            None => None,
            Some(item) => Some(
                item.as_str()
                    .map(str::to_owned)
                    .ok_or_else(|| wrong("`context` must be the name of a context, as a text"))?,
            ),
        };
        let may_have: Vec<&'static Key> = KEYS.iter().filter(|key| key.in_projects).collect();
        let unknown = |name: &str| KEYS.iter().all(|key| key.name != name);
        if let Some((name, _)) = table.iter().find(|(name, _)| unknown(name)) {
            let at = table.key(name).and_then(toml_edit::Key::span);
            let known = ["context"].into_iter().chain(may_have.iter().map(|key| key.name));
            return Err(file.wrong(at, &nearest(name, known)));
        }
        let at = table.key("namesrv").and_then(toml_edit::Key::span);
        let values = file.values(&table, &may_have)?;
        check_alternatives(&values).map_err(|why| file.wrong(None, &why))?;
        if let Some(list) = values.get("namesrv").and_then(|list| list.first()) {
            if context.is_some() {
                return Err(file.wrong(at, "`context` and `namesrv` exclude each other; keep one"));
            }
            let servers = value::name_servers(list).map_err(|why| file.wrong(at.clone(), &why))?;
            if !servers.split(';').all(is_on_loopback) {
                return Err(file
                    .wrong(at, "a project file may name servers on this machine only")
                    .help("Keep the cluster as a context, and name that:  context = \"NAME\""));
            }
        }
        Ok(Self { path, context, values })
    }
}

/// Whether `host:port` is on this machine for certain.
fn is_on_loopback(server: &str) -> bool {
    let host = server.rsplit_once(':').map_or(server, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
