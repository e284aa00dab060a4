//! `posthaste context edit`: by options, or in an editor.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{load, refuse_choice, tell};
use crate::args::{ContextEdit, Flags, Global};
use crate::exit::{Exit, Failure};
use crate::output::Stdout;
use crate::settings::{self, Config, Store, key};

pub(super) fn run(
    global: &Global,
    stdout: &mut Stdout,
    flags: &Flags,
    args: &ContextEdit,
) -> Result<(), Failure> {
    refuse_choice(flags)?;
    let values = settings::to_keep(flags)?;
    let Some(name) = args.name.as_deref().filter(|_| !values.is_empty() || !args.unset.is_empty())
    else {
        if let Some(name) = values.keys().next() {
            return Err(Failure::usage(format!("{name} of which context?"))
                .help("try:  posthaste context edit NAME …"));
        }
        if let Some(name) = &args.name {
            load(global)?.context(name)?;
        }
        return in_editor();
    };
    let config = load(global)?;
    config.context(name)?;
    let mut store = Store::of(&config)?;
    for unset in &args.unset {
        let known = key(unset).ok_or_else(|| Failure::usage(settings::unknown_key(unset)))?;
        if !store.unset(name, known.name)? {
            return Err(Failure::usage(format!("context {name} has no {unset}")));
        }
    }
    // A value takes the place of one that says the same thing.
    for value in values.keys() {
        for other in settings::group(value).into_iter().filter(|other| other != value) {
            store.unset(name, other)?;
        }
    }
    store.set(name, &values)?;
    store.write(Some(name))?;
    tell(global, stdout, "context edit", "changed", name);
    Ok(())
}

/// Opens a copy of the file, and takes it when it is valid.
fn in_editor() -> Result<(), Failure> {
    let no_home = || Failure::usage("there is no home folder to keep contexts in");
    let path = Config::place(&settings::environment).ok_or_else(no_home)?;
    let editor = ["VISUAL", "EDITOR"].into_iter().find_map(settings::environment);
    let editor = editor.unwrap_or_else(|| if cfg!(windows) { "notepad" } else { "vi" }.to_owned());
    let words = shlex::split(&editor).unwrap_or_default();
    let Some((program, options)) = words.split_first() else {
        return Err(Failure::usage(format!("VISUAL or EDITOR names no editor: {editor}")));
    };
    let copy = path.with_extension("edited.toml");
    // Also a file that is not valid can be opened, to be put right.
    let old = match fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        read => read.map_err(|error| broken(&path, &error))?,
    };
    settings::replace(&copy, &old)?;
    let status = Command::new(program).args(options).arg(&copy).status();
    let kept = format!("What you wrote is in {}.", copy.display());
    let failed = |why: String| {
        Failure::new(Exit::Failed, "editor", format!("{program}: {why}"))
            .help("Set VISUAL or EDITOR to an editor.")
    };
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => return Err(failed(status.to_string()).help(kept)),
        Err(error) => return Err(failed(error.to_string())),
    }
    let text = fs::read_to_string(&copy).map_err(|error| broken(&copy, &error))?;
    if text != old {
        check(&copy, &text)
            .map_err(|failure| failure.help(format!("Nothing was changed. {kept}")))?;
        settings::replace(&path, &text)?;
    }
    fs::remove_file(&copy).map_err(|error| broken(&copy, &error))
}

/// Says what is wrong with what was written.
fn check(path: &Path, text: &str) -> Result<(), Failure> {
    let config = Config::parse(path.to_owned(), text.to_owned())?;
    if let Some(name) = &config.current {
        config.context(name)?;
    }
    config.contexts.keys().try_for_each(|name| config.check(name))
}

fn broken(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Failed, "config", format!("{}: {error}", path.display()))
}
