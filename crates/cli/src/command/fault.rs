//! `posthaste fault`: rules by which a broker misbehaves, while it runs.

use std::borrow::Cow;
use std::time::Duration;

use hyper::{Method, StatusCode};
use posthaste_broker::Fault;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::args::{self, FaultVerb, Format, Global};
use crate::cluster;
use crate::envelope::VERSION;
use crate::exit::{Exit, Failure};
use crate::http::Inspector;
use crate::output::Stdout;
use crate::stderr::{Stderr, counted};
use crate::value;

const PATH: &str = "/api/v1/faults";
/// How long a single request waits; an inspector allows 60 s.
const LONGEST: Duration = Duration::from_secs(50);

/// A rule, as an inspector writes it.
#[derive(Deserialize, Serialize)]
struct Rule {
    id: u64,
    rule: String,
    fault: Box<RawValue>,
    hits: u64,
    hit_messages: u64,
    matched: u64,
}

#[derive(Deserialize)]
struct Rules {
    faults: Vec<Rule>,
}

/// A rule that has hit too little.
#[derive(Deserialize)]
struct Missed {
    fault: Rule,
}

#[derive(Serialize)]
struct Line<'a> {
    _cmd: &'a str,
    _v: u32,
    #[serde(flatten)]
    rule: &'a Rule,
}

/// Runs the command.
pub(crate) async fn run(global: &Global, args: &args::Fault) -> Result<Exit, Failure> {
    const KEYS: [&str; 2] = ["--access-key", "--secret-key-file"];
    cluster::refuse_flags(global, &KEYS, "fault", "asks an inspector over HTTP")?;
    if global.cluster_flags.iter().any(|flag| KEYS.contains(flag)) {
        return Err(Failure::usage("fault signs nothing: --access-key has no meaning there")
            .help("An inspector takes a password:  --http-password-file FILE"));
    }
    let rules = FaultsOf { inspector: Inspector::meant(global, &args.inspector)? };
    let mut page = Page { global, stdout: Stdout::new() };
    match &args.verb {
        FaultVerb::Add { words } => page.rule("added", "fault add", &rules.add(words).await?),
        FaultVerb::List => {
            let all = rules.ask::<Rules>(Method::GET, PATH).await?.faults;
            all.iter().for_each(|rule| page.rule("", "fault list", rule));
            if all.is_empty() {
                Stderr::new(global).note("there are no fault rules");
            }
        }
        FaultVerb::Wait { id, hits, within } => {
            page.rule("hit", "fault wait", &rules.wait(*id, *hits, *within).await?);
        }
        FaultVerb::Rm { all: true, .. } => {
            let removed = rules.ask::<Rules>(Method::DELETE, PATH).await?.faults;
            removed.iter().for_each(|rule| page.rule("removed", "fault rm", rule));
        }
        FaultVerb::Rm { ids, .. } => {
            // One that is not there keeps no other one alive.
            let mut result = Ok(());
            for id in ids {
                match rules.ask(Method::DELETE, &format!("{PATH}/{id}")).await {
                    Ok(rule) => page.rule("removed", "fault rm", &rule),
                    Err(failure) => result = result.and(Err(failure)),
                }
            }
            page.stdout.flush();
            result?;
        }
    }
    page.stdout.finish()?;
    Ok(Exit::Done)
}

/// The rules of the broker that an inspector looks into.
struct FaultsOf {
    inspector: Inspector,
}

impl FaultsOf {
    async fn ask<T: for<'de> Deserialize<'de>>(
        &self,
        method: Method,
        path: &str,
    ) -> Result<T, Failure> {
        self.inspector.ask(method, path, Vec::new(), Duration::ZERO).await?.good()
    }

    async fn add(&self, words: &[String]) -> Result<Rule, Failure> {
        let words: Vec<_> = match words {
            [rule] => vec![Cow::Borrowed(rule.as_str())],
            words => words.iter().map(|word| quoted(word)).collect(),
        };
        let fault: Fault = value::fault(&words.join(" ")).map_err(Failure::usage)?;
        let body = serde_json::to_vec(&fault).map_err(|error| Failure::usage(error.to_string()))?;
        self.inspector.ask(Method::POST, PATH, body, Duration::ZERO).await?.good()
    }

    /// Waits until a rule has hit this many requests.
    async fn wait(&self, id: u64, hits: u64, within: Duration) -> Result<Rule, Failure> {
        let end = Instant::now() + within;
        loop {
            let left = end.saturating_duration_since(Instant::now()).min(LONGEST);
            let path = format!("{PATH}/{id}?hits={hits}&wait={}ms", left.as_millis());
            let answer = self.inspector.ask(Method::GET, &path, Vec::new(), left).await?;
            if answer.status() != StatusCode::GATEWAY_TIMEOUT {
                return answer.good();
            }
            if Instant::now() >= end {
                return Err(missed(&answer.read::<Missed>()?.fault, hits, within));
            }
        }
    }
}

/// A word with its value in quotes, if that has spaces: the shell has taken off those that were there.
fn quoted(word: &str) -> Cow<'_, str> {
    let is_pair = |piece: &str| piece.contains('=');
    match word.split_once('=') {
        // What has quotes, or several pairs, is a part of a rule as it stands.
        Some((name, value)) if !word.contains('"') && !word.split_whitespace().all(is_pair) => {
            Cow::Owned(format!("{name}=\"{}\"", value.replace('\\', "\\\\")))
        }
        _ => Cow::Borrowed(word),
    }
}

fn missed(rule: &Rule, wanted: u64, within: Duration) -> Failure {
    let Rule { id, hits, matched, .. } = rule;
    let message = format!(
        "rule {id} has hit {hits} of {} after {} s; {matched} fitted it",
        counted(wanted, "request"),
        within.as_secs_f64()
    );
    Failure::new(Exit::Failed, "not_hit", message).help(format!("The rule:  {}", rule.rule))
}

/// Rules on stdout.
struct Page<'a> {
    global: &'a Global,
    stdout: Stdout,
}

impl Page<'_> {
    /// A rule, and what was done to it.
    fn rule(&mut self, done: &str, command: &str, rule: &Rule) {
        let Rule { id, rule: words, hits, matched, .. } = rule;
        match self.global.output {
            Format::Json => self.stdout.json(&Line { _cmd: command, _v: VERSION, rule }),
            Format::Text => {
                let done = if done.is_empty() { String::new() } else { format!("{done:<7}  ") };
                self.stdout
                    .line(format_args!("{done}{id}  hits={hits} matched={matched}  {words}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_with_spaces_is_one_value() {
        for (word, expected) in [
            ("on=send", "on=send"),
            ("remark=not now", "remark=\"not now\""),
            ("remark=C:\\not now", "remark=\"C:\\\\not now\""),
            ("remark=\"not now\"", "remark=\"not now\""),
            ("on=send do=pass", "on=send do=pass"),
            ("not now", "not now"),
        ] {
            assert_eq!(quoted(word), expected);
        }
    }
}
