//! Apache's own integration tests, on one broker in another process.

mod known;
mod runner;

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};
use clap::ValueEnum;
use posthaste_broker::Broker;

use self::known::Known;
use self::runner::{Ended, Runner};
use super::Selection;
use super::server::Server;
use super::tally::Tally;
use crate::interop::artefacts::Artefacts;
use crate::interop::guard::Authority;
use crate::interop::version::Version;
use crate::interop::workshop::{self, Workshop};

/// Where the tests that do not pass are listed.
const LIST: &str = "apache-tests.md";
/// Tests wait most of their time.
const PROCESSES: usize = 3;
/// Classes that are done soon, and have a test of most kinds.
const QUICK: [&str; 9] = [
    "client.consumer.tag.TagMessageWith1ConsumerIT",
    "client.producer.async.AsyncSendWithMessageQueueIT",
    "client.producer.batch.BatchSendIT",
    "client.producer.exception.msg.MessageExceptionIT",
    "client.producer.oneway.OneWaySendIT",
    "client.producer.order.OrderMsgIT",
    "client.producer.querymsg.QueryMsgByKeyIT",
    "client.producer.transaction.TransactionalMsgIT",
    "smoke.NormalMessageSendAndRecvIT",
];

/// What the tests are run against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Subject {
    Embedded,
    /// A real 5.5.0 broker. Only tests that cannot pass anywhere may fail.
    Real,
}

/// Runs the classes that are selected.
pub(crate) fn run(selection: &Selection, workshop: &Workshop) -> Result<Tally> {
    let tests = Artefacts::of_tests(Version::V5_5_0, workshop)?;
    let path = workshop::sources().join(LIST);
    let list = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let mut known = known::read(&list)?;
    if selection.server == Subject::Real {
        known.retain(|_, known| known.fails_everywhere);
    }
    let folder = workshop.run().join("apache");
    fs::create_dir_all(&folder)?;
    let server = match selection.server {
        Subject::Embedded => embedded()?,
        Subject::Real => {
            let servers = Arc::new(Artefacts::of(Version::V5_5_0, workshop)?);
            Server::real(&servers, &folder, &["enablePropertyFilter=true"])?
        }
    };
    let arena = Arena { tests, server, folder: &folder };
    let mut classes = arena.start("lister")?.classes()?;
    classes.retain(|class| selection.takes(class) && (is_quick(class) || !selection.quick));
    let mut ended = arena.run_all(&runner::some(classes)?)?;
    arena.try_again(&mut ended, &known)?;
    let mut tally = Tally::new("Apache's tests", "tests");
    for (test, failure) in &ended {
        note(&mut tally, test, failure.as_deref(), known.get(test).copied());
    }
    Ok(tally)
}

/// A broker that does what the brokers do that the tests start by themselves.
fn embedded() -> Result<Server> {
    const MEMORY: u64 = 512 << 20;
    let certificate = Authority::new()?.issue("127.0.0.1")?;
    let settings = Broker::builder().memory_limit(MEMORY).sql_filters();
    Server::embedded(settings.tls(certificate.chain, certificate.key))
}

fn is_quick(class: &str) -> bool {
    QUICK.contains(&class)
}

/// How each test ended: why it failed, if it did.
type Outcomes = BTreeMap<String, Option<String>>;

/// Where tests run.
struct Arena<'a> {
    tests: Artefacts,
    server: Server,
    folder: &'a Path,
}

impl Arena<'_> {
    fn start(&self, name: &str) -> Result<Runner> {
        Runner::start(name, &self.tests, &self.server, self.folder)
    }

    /// Runs classes in several processes.
    fn run_all(&self, classes: &[String]) -> Result<Outcomes> {
        let open = Mutex::new(classes.iter().map(String::as_str).collect::<VecDeque<_>>());
        let outcomes = Mutex::new(Outcomes::new());
        thread::scope(|scope| {
            let workers: Vec<_> = (0..PROCESSES.min(classes.len()))
                .map(|number| {
                    let (open, outcomes) = (&open, &outcomes);
                    scope.spawn(move || self.work(&format!("tests-{number}"), open, outcomes))
                })
                .collect();
            workers.into_iter().try_for_each(|worker| {
                worker.join().unwrap_or_else(|_| Err(anyhow::anyhow!("panicked, see above")))
            })
        })?;
        Ok(outcomes.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes classes for as long as there are some.
    fn work(
        &self,
        name: &str,
        open: &Mutex<VecDeque<&str>>,
        outcomes: &Mutex<Outcomes>,
    ) -> Result<()> {
        let next = || open.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let mut runner = self.start(name)?;
        while let Some(class) = next() {
            let ended = match runner.run(class) {
                Ok(ended) => ended,
                Err(ended) => {
                    runner = self.start(name)?;
                    ended
                }
            };
            let failed = ended.iter().filter(|ended| ended.failure.is_some()).count();
            println!("        {class}: {} tests, {failed} failed", ended.len());
            let mut outcomes = outcomes.lock().unwrap_or_else(PoisonError::into_inner);
            for Ended { test, failure } in ended {
                if let Some(why) = &failure {
                    println!("        {test}: {why}");
                }
                outcomes.insert(test, failure);
            }
        }
        Ok(())
    }

    /// Runs the classes of unlisted failures once more, one by one: many tests give what they wait for
    /// no more time than an idle machine needs.
    fn try_again(&self, outcomes: &mut Outcomes, known: &BTreeMap<String, Known>) -> Result<()> {
        let failed = |(test, failure): &(&String, &Option<String>)| {
            failure.is_some() && !known.contains_key(*test)
        };
        let mut classes: Vec<String> = outcomes
            .iter()
            .filter(failed)
            .map(|(test, _)| test.split('#').next().unwrap_or(test).to_owned())
            .collect();
        classes.dedup();
        for class in classes {
            println!("        {class}, once more");
            let ended = self.start("tests-again")?.run(&class).unwrap_or_else(|ended| ended);
            for Ended { test, failure } in ended {
                let first = outcomes.entry(test).or_default();
                if failure.is_none() {
                    *first = None;
                }
            }
        }
        Ok(())
    }
}

fn note(tally: &mut Tally, test: &str, failure: Option<&str>, known: Option<Known>) {
    let cause = known.map(|known| known.cause.as_str());
    match (failure, cause) {
        (None, None) => tally.good(test),
        (Some(_), Some(cause)) => tally.listed(test, cause),
        (Some(failure), None) => tally.bad(test, failure),
        (None, Some(cause)) => {
            tally.bad(test, &format!("passes, and is listed as failing ({cause})"));
        }
    }
}
