//! `posthaste context show`: the values of a context, or all that count and where they come from.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::args::Format;
use crate::envelope::VERSION;
use crate::exit::Failure;
use crate::output::{Stdout, printable};
use crate::settings::{Key, Kind, Settings, Source, key};
use crate::stderr::Stderr;

/// Is shown in place of a secret.
const HIDDEN: &str = "(not shown)";

pub(super) fn run(stdout: &mut Stdout, settings: &Settings, why: bool) -> Result<(), Failure> {
    match why {
        true => show_why(stdout, settings),
        false => show(stdout, settings)?,
    }
    Ok(())
}

fn show(stdout: &mut Stdout, settings: &Settings) -> Result<(), Failure> {
    let Some(layer) = settings.context() else {
        return Err(Failure::usage("no context is used here")
            .help("try:  posthaste context list        or:  posthaste context show --why"));
    };
    let context = layer.source.context().unwrap_or_default();
    let values = layer.values.iter().filter_map(|(name, values)| Some((key(name)?, values)));
    match settings.global.output {
        Format::Text => {
            stdout.line(format_args!("{}", layer.source));
            for (key, values) in values {
                stdout.line(format_args!("  {} = {}", key.name, text(key, values)));
            }
        }
        Format::Json => {
            let values = values.map(|(key, values)| (key.name, text(key, values))).collect();
            stdout.json(&Shown { _cmd: "context show", _v: VERSION, context, values });
        }
    }
    Ok(())
}

fn show_why(stdout: &mut Stdout, settings: &Settings) {
    let global = &settings.global;
    let mut lines: Vec<(&'static str, String, String)> = settings
        .values()
        .into_iter()
        .map(|(key, values, source)| (key.name, text(key, values), source.of(key.name)))
        .collect();
    let has = |name: &str| lines.iter().any(|(known, _, _)| *known == name);
    let mut defaults = vec![
        ("timeout", "3s".to_owned()),
        ("output", "text".to_owned()),
        ("color", "auto".to_owned()),
        ("topic_queues", "8".to_owned()),
    ];
    if !has("address_server") {
        defaults.insert(0, ("namesrv", crate::cluster::name(global)));
    }
    defaults.retain(|(name, _)| !has(name));
    lines
        .extend(defaults.into_iter().map(|(name, text)| (name, text, Source::Default.to_string())));
    match global.output {
        Format::Text => {
            let names = lines.iter().map(|(name, ..)| name.len()).max().unwrap_or_default();
            let texts = lines.iter().map(|(_, text, _)| text.len()).max().unwrap_or_default();
            for (name, text, from) in lines {
                stdout.line(format_args!("{name:<names$}  {text:<texts$}  {from}"));
            }
        }
        Format::Json => {
            let values =
                lines.into_iter().map(|(name, value, from)| (name, Reason { value, from }));
            let context = settings.context().and_then(|layer| layer.source.context());
            stdout.json(&Why {
                _cmd: "context show",
                _v: VERSION,
                context,
                values: values.collect(),
            });
        }
    }
    if let Err(failure) = settings.check_credentials() {
        Stderr::new(global).warning(&failure.message);
    }
}

/// A value as people read it.
fn text(key: &Key, values: &[String]) -> String {
    match key.kind {
        _ if key.is_secret => HIDDEN.to_owned(),
        Kind::Command => printable(values.join(" ").as_bytes()),
        _ => printable(values.join(", ").as_bytes()),
    }
}

#[derive(Serialize)]
struct Shown<'a> {
    _cmd: &'static str,
    _v: u32,
    context: &'a str,
    values: BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
struct Why<'a> {
    _cmd: &'static str,
    _v: u32,
    context: Option<&'a str>,
    values: BTreeMap<&'static str, Reason>,
}

#[derive(Serialize)]
struct Reason {
    value: String,
    from: String,
}
