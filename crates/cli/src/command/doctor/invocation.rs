//! Commands that can be pasted: they go to the same cluster as this one, with one thing changed.

use std::borrow::Cow;

use crate::args::{Args, Doctor, Flags};

/// What the user has typed, as far as it says which cluster is meant.
#[derive(Debug, Clone)]
pub(super) struct Invocation {
    /// Options of every command, with their values.
    given: Vec<(&'static str, Vec<String>)>,
    /// The command itself, as words.
    command: Vec<String>,
}

impl Invocation {
    pub(super) fn of(args: &Args, doctor: &Doctor) -> Self {
        let mut command = vec!["doctor".to_owned()];
        command.extend(doctor.topic.clone());
        command.extend(doctor.send.then(|| "--send".to_owned()));
        Self { given: of_cluster(&args.flags), command }
    }

    /// The same command with this option, in place of what it was.
    pub(super) fn with(&self, name: &'static str, value: &str) -> String {
        let mut changed = self.clone();
        changed.given.retain(|(given, _)| *given != name);
        changed.given.push((name, vec![value.to_owned()]));
        changed.text(&self.command)
    }

    /// The same command.
    pub(super) fn again(&self) -> String {
        self.text(&self.command)
    }

    /// The same command with a client certificate, which this program cannot know.
    pub(super) fn with_client_certificate(&self) -> String {
        let mut changed = self.clone();
        changed.given.push(("tls_client_cert", vec!["FILE".to_owned()]));
        changed.with("tls_client_key", "FILE")
    }

    /// The same command with one more value of an option that may be repeated.
    pub(super) fn with_another(&self, name: &'static str, value: &str) -> String {
        let mut changed = self.clone();
        // The first that fits counts.
        changed.given.insert(0, (name, vec![value.to_owned()]));
        changed.text(&self.command)
    }

    /// The same command without encryption, wherever that is asked for.
    pub(super) fn without_tls(&self) -> String {
        let mut changed = self.clone();
        changed
            .given
            .retain(|(name, _)| !name.starts_with("tls") && !name.starts_with("dangerous"));
        changed.with("tls", "false")
    }

    /// The same command with a key that this program cannot know.
    pub(super) fn with_key(&self) -> String {
        let mut changed = self.clone();
        changed.given.retain(|(name, _)| !matches!(*name, "access_key" | "secret_key_file"));
        changed.given.push(("access_key", vec!["KEY".to_owned()]));
        changed.with("secret_key_file", "FILE")
    }

    /// Another command for the same cluster.
    pub(super) fn command(&self, words: &[&str]) -> String {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        self.text(&words)
    }

    fn text(&self, command: &[String]) -> String {
        let mut words = vec!["posthaste".to_owned()];
        for (name, values) in &self.given {
            for value in values {
                match (*name, value.as_str()) {
                    ("namesrv", _) => words.extend(["-n".to_owned(), value.clone()]),
                    ("no_context", _) => words.push("--no-context".to_owned()),
                    ("tls" | "vip" | "dangerous_accept_any_certificate", "true") => {
                        words.push(flag(name));
                    }
                    ("tls" | "vip" | "dangerous_accept_any_certificate", _) => {
                        words.push(format!("{}={value}", flag(name)));
                    }
                    _ => words.extend([flag(name), value.clone()]),
                }
            }
        }
        words.extend_from_slice(command);
        words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
    }
}

/// A word as shells read it; bare if it can be.
fn quoted(word: &str) -> Cow<'_, str> {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || "-_./:,@%+=".contains(c);
    match !word.is_empty() && !word.starts_with('=') && word.chars().all(is_bare) {
        true => Cow::Borrowed(word),
        // Words of a command line have no NUL, which alone cannot be quoted.
        false => shlex::try_quote(word).unwrap_or_default(),
    }
}

fn flag(name: &str) -> String {
    format!("--{}", name.replace('_', "-"))
}

/// The options that say which cluster is meant, and how it is reached.
fn of_cluster(flags: &Flags) -> Vec<(&'static str, Vec<String>)> {
    let mut given = flags.given();
    given.retain(|(name, _)| !matches!(*name, "output" | "color"));
    if let Some(context) = &flags.context {
        given.insert(0, ("context", vec![context.clone()]));
    }
    if flags.no_context {
        given.insert(0, ("no_context", vec![String::new()]));
    }
    given
}

#[cfg(test)]
pub(super) mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::Command;

    /// What this command line says.
    pub(in crate::command::doctor) fn typed(line: &str) -> Invocation {
        let args = Args::parse_from(line.split(' '));
        let Command::Doctor(doctor) = &args.command else { panic!("{line}") };
        Invocation::of(&args, doctor)
    }

    #[test]
    fn one_thing_is_changed_and_the_rest_stays() {
        let typed = typed(
            "posthaste doctor Orders --send -n a:1;b:2 -o json --tls-ca my.pem --broker-map x=y -c p",
        );
        for (command, expected) in [
            (
                typed.with("namesrv", "c:3"),
                "posthaste --context p --tls-ca my.pem --broker-map x=y -n c:3 doctor Orders --send",
            ),
            (
                typed.with_another("broker_map", "1.2.3.4 # me=localhost"),
                "posthaste --broker-map '1.2.3.4 # me=localhost' --context p -n 'a:1;b:2' --tls-ca \
                 my.pem --broker-map x=y doctor Orders --send",
            ),
            (
                typed.without_tls(),
                "posthaste --context p -n 'a:1;b:2' --broker-map x=y --tls=false doctor Orders --send",
            ),
            (
                typed.with_key(),
                "posthaste --context p -n 'a:1;b:2' --tls-ca my.pem --broker-map x=y --access-key KEY \
                 --secret-key-file FILE doctor Orders --send",
            ),
            (
                typed.command(&["topic", "create", "Orders"]),
                "posthaste --context p -n 'a:1;b:2' --tls-ca my.pem --broker-map x=y topic create Orders",
            ),
        ] {
            assert_eq!(command, expected);
        }
    }
}
