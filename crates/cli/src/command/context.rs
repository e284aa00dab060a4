//! `posthaste context`: clusters kept by name.

mod check;
mod edit;
mod show;

use serde::Serialize;

use crate::args::{Context, Flags, Format, Global};
use crate::confirm::confirm;
use crate::envelope::VERSION;
use crate::exit::{Exit, Failure};
use crate::output::Stdout;
use crate::settings::{self, Config, Settings, Source, Store, Values};
use crate::stderr::Stderr;

/// Runs the command.
pub(crate) async fn run(
    flags: &Flags,
    settings: &Settings,
    command: &Context,
) -> Result<Exit, Failure> {
    let global = &settings.global;
    let mut stdout = Stdout::new();
    match command {
        Context::List => list(global, &mut stdout, &load(global)?),
        Context::Add { name } => add(global, &mut stdout, flags, name)?,
        Context::Edit(args) => edit::run(global, &mut stdout, flags, args)?,
        Context::Use { name } => select(global, &mut stdout, flags, name)?,
        Context::Show { why, .. } => show::run(&mut stdout, settings, *why)?,
        Context::Check { .. } => check::run(&mut stdout, settings).await?,
        Context::Rm { name, yes } => remove(global, &mut stdout, flags, name, *yes)?,
    }
    stdout.finish()?;
    Ok(Exit::Done)
}

/// The user's own file.
fn load(global: &Global) -> Result<Config, Failure> {
    let config = Config::load(Config::place(&settings::environment))?;
    if let Some(warning) = config.warning() {
        Stderr::new(global).warning(&warning);
    }
    Ok(config)
}

fn list(global: &Global, stdout: &mut Stdout, config: &Config) {
    let width = config.contexts.keys().map(String::len).max().unwrap_or_default();
    for (name, values) in &config.contexts {
        let selected = config.current.as_ref() == Some(name);
        let servers = servers(values);
        match global.output {
            Format::Text => {
                let mark = if selected { "*" } else { " " };
                stdout.line(format_args!("{mark} {name:<width$}  {servers}"));
            }
            Format::Json => stdout.json(&Listed {
                _cmd: "context list",
                _v: VERSION,
                context: name,
                servers,
                selected,
            }),
        }
    }
    if config.contexts.is_empty() {
        Stderr::new(global)
            .note("no contexts yet; posthaste context add NAME -n HOST:PORT keeps one");
    }
}

/// Where the name servers of a context are.
fn servers(values: &Values) -> &str {
    let list = values.get("namesrv").or_else(|| values.get("address_server"));
    list.and_then(|list| list.first()).map(String::as_str).unwrap_or_default()
}

fn add(global: &Global, stdout: &mut Stdout, flags: &Flags, name: &str) -> Result<(), Failure> {
    refuse_choice(flags)?;
    settings::check_name(name).map_err(Failure::usage)?;
    let config = load(global)?;
    if config.contexts.contains_key(name) {
        return Err(Failure::new(Exit::Refused, "exists", format!("context {name} exists"))
            .help(format!("try:  posthaste context edit {name} …")));
    }
    let values = settings::to_keep(flags)?;
    if !values.contains_key("namesrv") && !values.contains_key("address_server") {
        return Err(Failure::usage("a context needs name servers")
            .help(format!("try:  posthaste context add {name} -n HOST:PORT")));
    }
    let mut store = Store::of(&config)?;
    store.set(name, &values)?;
    let is_first = config.contexts.is_empty();
    if is_first {
        store.select(name);
    }
    store.write(Some(name))?;
    tell(global, stdout, "context add", "added", name);
    if is_first {
        tell(global, stdout, "context add", "selected", name);
    }
    Ok(())
}

fn select(global: &Global, stdout: &mut Stdout, flags: &Flags, name: &str) -> Result<(), Failure> {
    refuse_all(flags)?;
    let config = load(global)?;
    let name = match name {
        "-" => config.previous.as_deref().ok_or_else(|| {
            Failure::usage("no context was selected before this one")
                .help("try:  posthaste context list")
        })?,
        name => name,
    };
    config.context(name)?;
    let mut store = Store::of(&config)?;
    store.select(name);
    store.write(None)?;
    tell(global, stdout, "context use", "selected", name);
    Ok(())
}

fn remove(
    global: &Global,
    stdout: &mut Stdout,
    flags: &Flags,
    name: &str,
    yes: bool,
) -> Result<(), Failure> {
    refuse_all(flags)?;
    let config = load(global)?;
    let values = config.context(name)?;
    if !yes {
        confirm(
            &format!("Remove context {name} (of the cluster at {})?", servers(values)),
            "removed",
            "remove",
        )?;
    }
    let mut store = Store::of(&config)?;
    store.remove(name);
    store.write(None)?;
    tell(global, stdout, "context rm", "removed", name);
    if config.current.as_deref() == Some(name) {
        Stderr::new(global).note("no context is selected now; posthaste context use NAME selects");
    }
    Ok(())
}

/// Refuses the flags that name a context, for a command that names its own.
fn refuse_choice(flags: &Flags) -> Result<(), Failure> {
    match (&flags.context, flags.no_context) {
        (None, false) => Ok(()),
        _ => Err(Failure::usage("-c/--context and --no-context have no meaning here")
            .help("Name the context behind the command's name.")),
    }
}

/// Refuses every flag that could be meant as a change of a context.
fn refuse_all(flags: &Flags) -> Result<(), Failure> {
    refuse_choice(flags)?;
    match settings::to_keep(flags)?.keys().next() {
        None => Ok(()),
        Some(name) => {
            let flag = Source::Flags.of(name);
            Err(Failure::usage(format!("{flag} has no meaning here"))
                .help("`posthaste context edit NAME` changes a context."))
        }
    }
}

/// What was done to a context, in a line.
fn tell(
    global: &Global,
    stdout: &mut Stdout,
    command: &'static str,
    done: &'static str,
    context: &str,
) {
    match global.output {
        Format::Text => stdout.line(format_args!("{done:<8}  {context}")),
        Format::Json => {
            stdout.json(&Told { _cmd: command, _v: VERSION, context, done });
        }
    }
}

#[derive(Serialize)]
struct Listed<'a> {
    _cmd: &'static str,
    _v: u32,
    context: &'a str,
    servers: &'a str,
    selected: bool,
}

#[derive(Serialize)]
struct Told<'a> {
    _cmd: &'static str,
    _v: u32,
    context: &'a str,
    done: &'static str,
}
