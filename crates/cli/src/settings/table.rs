//! Values in a TOML table, checked as they are read.

use std::ops::Range;
use std::path::Path;

use toml_edit::{Item, TableLike, Value};

use super::key::{KEYS, Key, Kind};
use super::source::Values;
use crate::exit::Failure;

/// A file that is read, for what is said of it.
pub(super) struct File<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
}

impl File<'_> {
    /// What is wrong, and in which line.
    pub(super) fn wrong(&self, at: Option<Range<usize>>, why: &str) -> Failure {
        let path = self.path.display();
        let before = at.and_then(|at| self.text.get(..at.start));
        match before {
            Some(before) => {
                let line = before.matches('\n').count() + 1;
                Failure::usage(format!("{path}, line {line}: {why}"))
            }
            None => Failure::usage(format!("{path}: {why}")),
        }
    }

    /// The file as TOML.
    pub(super) fn parse(&self) -> Result<toml_edit::Document<&str>, Failure> {
        toml_edit::Document::parse(self.text)
            .map_err(|error| self.wrong(error.span(), error.message()))
    }

    /// The values of a table, of which each must be one of these; `others` takes what is no value.
    pub(super) fn values(
        &self,
        table: &dyn TableLike,
        may_have: &[&'static Key],
    ) -> Result<Values, Failure> {
        let mut values = Values::new();
        for (name, item) in table.iter() {
            let at = table.key(name).and_then(toml_edit::Key::span).or_else(|| item.span());
            let Some(key) = may_have.iter().find(|key| key.name == name) else {
                return Err(self.wrong(at, &unknown(name, may_have)));
            };
            let texts = texts(key, item, self.path)
                .map_err(|wanted| self.wrong(at, &format!("`{name}` must be {wanted}")))?;
            values.insert(key.name, texts);
        }
        Ok(values)
    }
}

/// What is said of a name that may not stand there.
fn unknown(name: &str, may_have: &[&'static Key]) -> String {
    if KEYS.iter().any(|key| key.name == name) {
        return format!(
            "`{name}` may not stand in a project file, because others may have written it; put it \
             into a context"
        );
    }
    nearest(name, may_have.iter().map(|key| key.name))
}

/// What is said of an unknown name, with the known one that is most like it.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    /// Less alike is something else.
    const ALIKE: f64 = 0.8;
    let likeness = |known: &&str| strsim::jaro_winkler(name, known);
    let best = known.clone().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    match best.filter(|known| likeness(known) >= ALIKE) {
        Some(known) => format!("unknown key `{name}`; did you mean `{known}`?"),
        None => {
            format!("unknown key `{name}`; known are {}", known.collect::<Vec<_>>().join(", "))
        }
    }
}

/// A value as texts, or what it must be.
fn texts(key: &Key, item: &Item, path: &Path) -> Result<Vec<String>, &'static str> {
    let one = |text: String| vec![text];
    match (key.kind, item.as_value()) {
        (Kind::Text, Some(Value::String(text))) if !text.value().is_empty() => {
            Ok(one(text.value().clone()))
        }
        (Kind::File, Some(Value::String(text))) if !text.value().is_empty() => {
            // What is relative is beside the file that says it.
            let beside = path.parent().unwrap_or(Path::new("")).join(text.value());
            Ok(one(beside.to_string_lossy().into_owned()))
        }
        (Kind::Switch, Some(Value::Boolean(on))) => Ok(one(on.value().to_string())),
        (Kind::Number, Some(Value::Integer(number))) => Ok(one(number.value().to_string())),
        (Kind::List, Some(Value::String(text))) if !text.value().is_empty() => {
            Ok(one(text.value().clone()))
        }
        (Kind::List | Kind::Command, Some(Value::Array(array))) if !array.is_empty() => {
            let texts: Option<Vec<String>> =
                array.iter().map(|item| item.as_str().map(str::to_owned)).collect();
            texts.ok_or("a list of texts")
        }
        (Kind::Text | Kind::File, _) => Err("a text between quotes, and not empty"),
        (Kind::Switch, _) => Err("true or false"),
        (Kind::Number, _) => Err("a number"),
        (Kind::List, _) => Err("a list of texts, and not empty"),
        (Kind::Command, _) => {
            Err("a program and its arguments as a list of texts; no shell reads it")
        }
    }
}
