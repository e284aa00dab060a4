//! Writing the user's own file: whole or not at all, and for its user alone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use toml_edit::{Array, DocumentMut, Item, Table, Value};

use super::config::Config;
use super::key::{Kind, key};
use super::source::Values;
use crate::exit::{Exit, Failure};

/// The file with a change in it that is not written yet.
pub(crate) struct Store {
    path: PathBuf,
    document: DocumentMut,
}

impl Store {
    /// Begins with what the file says now.
    pub(crate) fn of(config: &Config) -> Result<Self, Failure> {
        let path = config.path.clone().ok_or_else(|| {
            Failure::usage("there is no home folder to keep contexts in")
                .help("Set HOME or XDG_CONFIG_HOME.")
        })?;
        let document = config.text.parse().map_err(|error: toml_edit::TomlError| {
            Failure::usage(format!("{}: {}", path.display(), error.message()))
        })?;
        Ok(Self { path, document })
    }

    /// Sets values of a context, and makes the context if there is none.
    pub(crate) fn set(&mut self, context: &str, values: &Values) -> Result<(), Failure> {
        let table = self.context(context)?;
        for (name, texts) in values {
            table.insert(name, Item::Value(written(name, texts)?));
        }
        Ok(())
    }

    /// Takes a value out of a context. Says whether it was there.
    pub(crate) fn unset(&mut self, context: &str, name: &str) -> Result<bool, Failure> {
        Ok(self.context(context)?.remove(name).is_some())
    }

    /// Removes a context, and forgets that it was selected.
    pub(crate) fn remove(&mut self, context: &str) {
        if let Some(all) = self.document.get_mut("context").and_then(Item::as_table_like_mut) {
            all.remove(context);
        }
        for name in ["current", "previous"] {
            if self.document.get(name).and_then(Item::as_str) == Some(context) {
                self.document.remove(name);
            }
        }
    }

    /// Selects a context; the one before is kept as that.
    pub(crate) fn select(&mut self, context: &str) {
        let before = self.document.get("current").and_then(Item::as_str).map(str::to_owned);
        if before.as_deref() == Some(context) {
            return;
        }
        if let Some(before) = before {
            self.document.insert("previous", toml_edit::value(before));
        }
        self.document.insert("current", toml_edit::value(context));
    }

    /// Writes the file, if what it would say is valid, and so what it says of this context.
    pub(crate) fn write(self, changed: Option<&str>) -> Result<(), Failure> {
        let text = self.document.to_string();
        let config = Config::parse(self.path.clone(), text.clone())?;
        if let Some(name) = changed {
            config.check(name)?;
        }
        replace(&self.path, &text)
    }

    fn context(&mut self, name: &str) -> Result<&mut dyn toml_edit::TableLike, Failure> {
        let all = self.document.entry("context").or_insert_with(|| {
            let mut table = Table::new();
            table.set_implicit(true);
            Item::Table(table)
        });
        let wrong = || Failure::usage(format!("{}: write contexts as tables", self.path.display()));
        let all = all.as_table_like_mut().ok_or_else(wrong)?;
        let table = all.entry(name).or_insert(Item::Table(Table::new()));
        table.as_table_like_mut().ok_or_else(wrong)
    }
}

/// A value as the file has it.
fn written(name: &str, texts: &[String]) -> Result<Value, Failure> {
    let first = texts.first().cloned().unwrap_or_default();
    Ok(match key(name).map(|key| key.kind) {
        Some(Kind::List | Kind::Command) => Value::Array(texts.iter().collect::<Array>()),
        Some(Kind::Switch) => (first == "true").into(),
        Some(Kind::Number) => first.parse::<i64>().unwrap_or_default().into(),
        Some(Kind::File) => {
            // The file is read from other directories, too.
            let path = std::path::absolute(&first)
                .map_err(|error| Failure::usage(format!("{first}: {error}")))?;
            path.to_string_lossy().into_owned().into()
        }
        _ => first.into(),
    })
}

/// Puts a text in the place of a file: a reader, or a machine that stops, sees the old text or the
/// new one.
pub(crate) fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: io::Error| {
        Failure::new(Exit::Failed, "config", format!("cannot write {}: {error}", path.display()))
            .help("The file is as it was.")
    };
    // What a link leads to is replaced, and the link stays.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(failed)?;
    let new = path.with_extension(format!("toml.new-{}", std::process::id()));
    let written = write_new(&new, text).and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        // The error above is the one to tell.
        let _ = fs::remove_file(&new);
    }
    written.map_err(failed)?;
    sync_folder(folder).map_err(failed)
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    // One that a run with this number has left.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = for_its_user(OpenOptions::new().write(true).create_new(true)).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Lets no one else read or write the file.
#[cfg(unix)]
fn for_its_user(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600)
}

#[cfg(not(unix))]
fn for_its_user(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
