//! The user's own file: contexts, and which of them is selected.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use toml_edit::TableLike;

use super::effective;
use super::key::{ALTERNATIVES, KEYS, Key};
use super::source::Values;
use super::table::{File, nearest};
use crate::exit::Failure;
use crate::permissions;

/// What config.toml says.
#[derive(Debug, Default)]
pub(crate) struct Config {
    /// Where it is, if there is a home for it.
    pub(crate) path: Option<PathBuf>,
    /// The text, empty where there is no file.
    pub(crate) text: String,
    pub(crate) current: Option<String>,
    pub(crate) previous: Option<String>,
    pub(crate) contexts: BTreeMap<String, Values>,
}

impl Config {
    /// The file's place: `$XDG_CONFIG_HOME/posthaste/config.toml`, else below `~/.config`.
    pub(crate) fn place(env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
        let of = |name| env(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let folder = of("XDG_CONFIG_HOME").or_else(|| {
            if cfg!(windows) { of("APPDATA") } else { Some(of("HOME")?.join(".config")) }
        });
        Some(folder?.join("posthaste").join("config.toml"))
    }

    /// Reads the file; where there is none, there are no contexts.
    pub(crate) fn load(path: Option<PathBuf>) -> Result<Self, Failure> {
        let Some(path) = path else { return Ok(Self::default()) };
        let text = read(&path)?;
        Self::parse(path, text)
    }

    /// Reads a text that is in this file, or shall be.
    pub(crate) fn parse(path: PathBuf, text: String) -> Result<Self, Failure> {
        let file = File { path: &path, text: &text };
        let document = file.parse()?;
        let mut config = Self::default();
        for (name, item) in document.as_table().iter() {
            let at = document.as_table().key(name).and_then(toml_edit::Key::span);
            let text = || {
                let wrong = || file.wrong(at.clone(), &format!("`{name}` must be a text"));
                item.as_str().map(str::to_owned).ok_or_else(wrong)
            };
            match name {
                "current" => config.current = Some(text()?),
                "previous" => config.previous = Some(text()?),
                "context" => {
                    let wrong =
                        || file.wrong(at.clone(), "write a context as a table: [context.NAME]");
                    config.contexts = contexts(&file, item.as_table_like().ok_or_else(wrong)?)?;
                }
                _ => {
                    let known = ["current", "previous", "context"].into_iter();
                    return Err(file.wrong(at, &nearest(name, known)));
                }
            }
        }
        Ok(Self { path: Some(path), text, ..config })
    }

    /// A context, by name.
    pub(crate) fn context(&self, name: &str) -> Result<&Values, Failure> {
        self.contexts.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.contexts.keys().map(String::as_str).collect();
            let failure = Failure::usage(format!("there is no context {name}"));
            match known.is_empty() {
                true => failure.help(format!("try:  posthaste context add {name} -n HOST:PORT")),
                false => failure.help(format!("There are: {}", known.join(", "))),
            }
        })
    }

    /// Says what is wrong with the values of a context.
    pub(crate) fn check(&self, name: &str) -> Result<(), Failure> {
        effective::check_context(self.context(name)?).map_err(|failure| Failure {
            message: format!("context {name}: {}", failure.message),
            ..failure
        })
    }

    /// What to say of a file with secrets that others can read.
    pub(crate) fn warning(&self) -> Option<String> {
        let path = self.path.as_ref()?;
        let secrets = KEYS.iter().filter(|key| key.is_secret);
        let has_secrets = self
            .contexts
            .values()
            .any(|values| secrets.clone().any(|key| values.contains_key(key.name)));
        let mode = permissions::others_can_read(path).filter(|_| has_secrets)?;
        let path = path.display();
        Some(format!("others can read the secrets in {path} (mode {mode:03o}): chmod 600 {path}"))
    }
}

/// The text of config.toml, which only its user may write.
fn read(path: &Path) -> Result<String, Failure> {
    if let Some(mode) = permissions::others_can_write(path) {
        let path = path.display();
        return Err(Failure::usage(format!(
            "others can write {path} (mode {mode:03o}), and so choose where messages and keys go"
        ))
        .help("Look at what it says, then:")
        .help(format!("chmod 600 {path}")));
    }
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        read => read.map_err(|error| Failure::usage(format!("{}: {error}", path.display()))),
    }
}

fn contexts(file: &File<'_>, table: &dyn TableLike) -> Result<BTreeMap<String, Values>, Failure> {
    let all: Vec<&'static Key> = KEYS.iter().collect();
    let mut contexts = BTreeMap::new();
    for (name, item) in table.iter() {
        let at = table.key(name).and_then(toml_edit::Key::span);
        let wrong = |why: &str| file.wrong(at.clone(), &format!("context {name}: {why}"));
        check_name(name).map_err(|why| wrong(&why))?;
        let table = item.as_table_like();
        let table = table.ok_or_else(|| wrong("write it as a table: [context.NAME]"))?;
        let values = file.values(table, &all)?;
        check_alternatives(&values).map_err(|why| wrong(&why))?;
        if !values.contains_key("namesrv") && !values.contains_key("address_server") {
            return Err(wrong("it has neither `namesrv` nor `address_server`"));
        }
        contexts.insert(name.to_owned(), values);
    }
    Ok(contexts)
}

/// Says what is wrong with the name of a context.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    match !name.starts_with('-') && (1..=64).contains(&name.len()) && name.chars().all(is_plain) {
        true => Ok(()),
        false => Err(format!(
            "`{name}` is no name of a context: it has 1 to 64 characters of A-Z a-z 0-9 _ . - and \
             does not begin with -"
        )),
    }
}

/// Says which values exclude each other.
pub(super) fn check_alternatives(values: &Values) -> Result<(), String> {
    for group in ALTERNATIVES {
        let mut given = group.iter().filter(|name| values.contains_key(**name));
        if let (Some(one), Some(other)) = (given.next(), given.next()) {
            return Err(format!("`{one}` and `{other}` say the same thing; keep one"));
        }
    }
    Ok(())
}
