//! `posthaste completions`: what a shell offers while a command is typed, the cluster's topics among it.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use clap::{Arg, Command, CommandFactory as _, FromArgMatches as _, ValueEnum as _};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::{CompleteEnv, Elvish, EnvCompleter, Fish, Powershell, Shells, Zsh};

use super::topic::system;
use crate::args::{Args, Flags, Global, Secret, Shell};
use crate::cluster;
use crate::exit::{Exit, Failure};
use crate::output::Stdout;
use crate::settings::{self, Config, Settings};

/// The script of a shell sets this variable when it asks.
const VARIABLE: &str = "POSTHASTE_COMPLETE";

/// A list of topics has this long to come: its user is typing.
const PATIENCE: Duration = Duration::from_secs(1);

/// The id of each argument that names a topic.
const TOPIC: &str = "topic";
/// The id of each argument that names a context.
const CONTEXT: &str = "context";

const SHELLS: Shells<'static> = Shells(&[&Bash, &Elvish, &Fish, &Powershell, &Zsh]);

/// Answers a shell's question and ends the program, if it was started for that.
pub(crate) fn answer() {
    CompleteEnv::with_factory(definition).var(VARIABLE).shells(SHELLS).complete();
}

/// Prints the script that makes `shell` ask this program.
pub(crate) fn run(shell: Shell) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    write_script(shell, &mut script)
        .map_err(|error| Failure::new(Exit::Failed, "system", error.to_string()))?;
    let mut stdout = Stdout::new();
    stdout.line(format_args!("{}", String::from_utf8_lossy(&script).trim_end()));
    stdout.finish()?;
    Ok(Exit::Done)
}

fn write_script(shell: Shell, to: &mut dyn Write) -> io::Result<()> {
    let shell = shell.to_possible_value().ok_or(io::ErrorKind::Unsupported)?;
    let completer = SHELLS.completer(shell.get_name()).ok_or(io::ErrorKind::Unsupported)?;
    completer.write_registration(VARIABLE, "posthaste", "posthaste", "posthaste", to)
}

/// The commands as they are, with the cluster's topics and the contexts where one is named.
fn definition() -> Command {
    with_names(Args::command())
}

fn with_names(command: Command) -> Command {
    let complete = |argument: Arg| match argument.get_id().as_str() {
        TOPIC => argument.add(ArgValueCompleter::new(topics)),
        CONTEXT => argument.add(ArgValueCompleter::new(contexts)),
        _ => argument,
    };
    command.mut_args(complete).mut_subcommands(with_names)
}

/// The cluster's topics that begin so. None if the cluster cannot be asked: there is no place for an error here.
fn topics(begun: &OsStr) -> Vec<CompletionCandidate> {
    let Some(begun) = begun.to_str() else { return Vec::new() };
    let mut topics = known_topics().unwrap_or_default();
    topics.retain(|topic| topic.starts_with(begun));
    topics.into_iter().map(CompletionCandidate::new).collect()
}

fn known_topics() -> Option<Vec<String>> {
    let global = global(&flags(asked(std::env::args_os()))?)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let topics = runtime.block_on(async {
        let ask = async {
            let admin = cluster::admin(&global).await.ok()?;
            system::own_topics(&admin).await.ok()
        };
        tokio::time::timeout(PATIENCE, ask).await.ok()?
    });
    runtime.shutdown_background();
    topics
}

/// What the line goes by. None where a program would have to be asked for a secret: it may ask its
/// user for a password.
fn global(flags: &Flags) -> Option<Global> {
    let settings = Settings::of_everything(flags, None).ok()?;
    settings.check_credentials().ok()?;
    let global = settings.global;
    if matches!(global.secret, Some(Secret::Command(_))) {
        return None;
    }
    // Whatever is said would be said in the middle of the line that is being typed.
    Some(Global { timeout: PATIENCE, quiet: true, ..global })
}

/// The flags that say which cluster is meant, among words of which the last may be incomplete.
fn flags(words: Vec<OsString>) -> Option<Flags> {
    let matches = Args::command().ignore_errors(true).try_get_matches_from(words).ok()?;
    Flags::from_arg_matches(&matches).ok()
}

/// The contexts whose names begin so.
fn contexts(begun: &OsStr) -> Vec<CompletionCandidate> {
    let Some(begun) = begun.to_str() else { return Vec::new() };
    let config = Config::load(Config::place(&settings::environment)).unwrap_or_default();
    let names = config.contexts.into_keys().filter(|name| name.starts_with(begun));
    names.map(CompletionCandidate::new).collect()
}

/// The words of the line that the shell asks about: they follow `--`, and begin with the
/// program. Bash gives the line as one word.
fn asked(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let words: Vec<OsString> = arguments.skip_while(|word| word != "--").skip(1).collect();
    match words.as_slice() {
        [line] => split(&line.to_string_lossy()),
        _ => words,
    }
}

/// A line up to the cursor as words; the last is the one that is being typed, and may be empty.
fn split(line: &str) -> Vec<OsString> {
    // A quote may be open still.
    let closed = ["", "\"", "'"].iter().find_map(|end| shlex::split(&format!("{line}{end}")));
    let mut words: Vec<OsString> =
        closed.unwrap_or_default().into_iter().map(OsString::from).collect();
    if line.ends_with(char::is_whitespace) {
        words.push(OsString::new());
    }
    words
}

/// Bash cuts its words at `:` and `=`, also in `-n host:9876`. So it gives the line, and we cut it.
struct Bash;

/// Bash begins a new word behind each of these.
const BREAKS: [char; 2] = [':', '='];

impl EnvCompleter for Bash {
    fn name(&self) -> &'static str {
        "bash"
    }

    fn is(&self, name: &str) -> bool {
        name == "bash"
    }

    fn write_registration(
        &self,
        variable: &str,
        name: &str,
        program: &str,
        completer: &str,
        to: &mut dyn Write,
    ) -> io::Result<()> {
        writeln!(
            to,
            r#"_{name}() {{
    local IFS=$'\n'
    COMPREPLY=($({variable}=bash {completer} -- "${{COMP_LINE:0:COMP_POINT}}"))
    [[ "${{COMPREPLY-}}" == *[=:/] ]] && compopt -o nospace
}}
complete -o bashdefault -F _{name} {program}"#
        )
    }

    fn write_complete(
        &self,
        command: &mut Command,
        words: Vec<OsString>,
        folder: Option<&Path>,
        to: &mut dyn Write,
    ) -> io::Result<()> {
        let line = words.first().map(|line| line.to_string_lossy()).unwrap_or_default();
        let words = split(&line);
        let begun =
            words.last().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
        let whole = begun.rfind(BREAKS).map_or(0, |at| at + 1);
        let index = words.len().saturating_sub(1);
        for candidate in clap_complete::engine::complete(command, words, index, folder)? {
            let value = candidate.get_value().to_string_lossy();
            writeln!(to, "{}", value.get(whole..).unwrap_or_default())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_into_words_and_the_one_being_typed() {
        for (line, words) in [
            ("posthaste ", &["posthaste", ""][..]),
            ("posthaste se", &["posthaste", "se"]),
            ("posthaste -n host:9876 send Or", &["posthaste", "-n", "host:9876", "send", "Or"]),
            ("posthaste send 'a b", &["posthaste", "send", "a b"]),
            ("posthaste send \"a b", &["posthaste", "send", "a b"]),
        ] {
            assert_eq!(split(line), words, "{line}");
        }
    }

    #[test]
    fn the_flags_of_an_incomplete_line_say_which_cluster_is_meant() {
        let words = ["posthaste", "-n", "host:1", "send", "--tls", "--no-such-flag", "Or"];
        let flags = flags(words.map(OsString::from).to_vec()).expect("flags");
        assert_eq!((flags.namesrv.as_deref(), flags.tls), (Some("host:1"), Some(true)));
    }

    #[test]
    fn every_topic_that_a_command_takes_can_be_completed() {
        let mut commands = vec![definition()];
        let mut completed = Vec::new();
        while let Some(command) = commands.pop() {
            for argument in command.get_arguments().filter(|argument| argument.get_id() == TOPIC) {
                assert!(argument.get::<ArgValueCompleter>().is_some(), "{}", command.get_name());
                completed.push(command.get_name().to_owned());
            }
            commands.extend(command.get_subcommands().cloned());
        }
        completed.sort();
        assert_eq!(
            completed,
            [
                "create", "delete", "describe", "doctor", "find", "get", "latency", "send", "send",
                "tail", "update"
            ]
        );
    }
}
