//! `posthaste doctor`: why a cluster cannot be reached or sent to, and what to do about it.
//!
//! Servers are asked (`probe`), what was seen is plain data (`observed`), and what it means is
//! decided from that alone (`server`, `topic`).

mod check;
mod invocation;
mod observed;
mod port;
mod probe;
mod release;
mod report;
mod server;
mod test_send;
#[cfg(test)]
mod tests;
mod topic;

use std::sync::Arc;

use posthaste::Producer;
use tokio::time::Instant;

use self::check::Check;
use self::invocation::Invocation;
use self::observed::NameServer;
use self::probe::Probe;
use self::server::Setting;
use crate::args::{Args, Doctor, Global, Servers};
use crate::cluster;
use crate::exit::{self, Exit, Failure};
use crate::output::Stdout;

pub(super) async fn run(args: &Args, global: &Global, doctor: &Doctor) -> Result<Exit, Failure> {
    let begun = Instant::now();
    let checks = examine(args, global, doctor, begun)
        .await
        .map_err(|failure| Failure { exit: Exit::Usage, ..failure.help("Nothing was checked.") })?;
    let mut stdout = Stdout::new();
    let ms = begun.elapsed().as_secs_f64() * 1_000.0;
    report::write(&mut stdout, global.output, doctor.topic.as_deref(), &checks, ms);
    let is_healthy = checks.iter().all(|check| check.finding().is_none());
    stdout.finish()?;
    Ok(if is_healthy { Exit::Done } else { Exit::Failed })
}

/// Makes every check. Errors are those that keep it from making any.
async fn examine(
    args: &Args,
    global: &Global,
    doctor: &Doctor,
    begun: Instant,
) -> Result<Vec<Check>, Failure> {
    let topic = doctor.topic.as_deref();
    match topic {
        Some(topic) if doctor.send => exit::check_topic_to_send(topic)?,
        Some(topic) => exit::check_topic(topic)?,
        None => {}
    }
    let Servers::List(list) = &global.servers else {
        return Err(Failure::usage("doctor asks name servers themselves, not an address server")
            .help("Name them with -n HOST:PORT."));
    };
    let servers: Vec<String> = list.split(';').map(str::to_owned).collect();
    // What it would say on its own is among the findings.
    let silent = Global { quiet: true, ..global.clone() };
    let producer = cluster::producer(&silent)?.connect_timeout(global.timeout);
    let producer = cluster::start(producer).await?;
    let on_wire = topic.map(|topic| match &global.namespace {
        Some(namespace) => format!("{namespace}%{topic}"),
        None => topic.to_owned(),
    });
    let probe = Arc::new(Probe::new(global, &producer, on_wire).await?);
    let setting =
        Setting { typed: Invocation::of(args, doctor), signs: global.access_key.is_some() };
    let seen = probe.name_servers(&servers).await;
    let mut checks = of_name_servers(&seen, topic, &setting);
    of_brokers(&mut checks, &seen, &probe, (global, doctor, &setting)).await;
    if doctor.send {
        let rest = (begun + 3 * global.timeout).saturating_duration_since(Instant::now());
        send(&mut checks, &producer, &setting, (doctor, rest.min(global.timeout))).await;
    }
    Ok(checks)
}

fn of_name_servers(seen: &[NameServer], topic: Option<&str>, setting: &Setting) -> Vec<Check> {
    let each = seen.iter().map(|server| server::of_name_server(server, seen, setting));
    each.chain(topic::agreement(seen, topic)).collect()
}

/// What the routes say, and what their brokers say.
async fn of_brokers(
    checks: &mut Vec<Check>,
    seen: &[NameServer],
    probe: &Arc<Probe>,
    (global, doctor, setting): (&Global, &Doctor, &Setting),
) {
    let Some(routes) = topic::routes(seen) else {
        let because = first_finding(checks);
        let topic = doctor.topic.iter().map(|topic| format!("topic {topic}"));
        checks.extend(topic.map(|topic| Check::skipped(topic, because)));
        checks.push(Check::skipped("brokers", because));
        return;
    };
    let answered: Vec<&NameServer> = seen.iter().filter(|server| server.has_answered()).collect();
    let addresses: Vec<&str> = answered.iter().map(|server| server.address.as_str()).collect();
    let of_topic = topic::checks(routes, doctor.topic.as_deref(), &addresses.join(";"), setting);
    checks.extend(of_topic);
    let mut hosts: Vec<String> =
        addresses.iter().map(|address| cluster::split(address).0.to_owned()).collect();
    hosts.push("localhost".to_owned());
    hosts.dedup();
    let masters = topic::masters(routes).into_iter().map(|(name, advertised)| {
        let asked = cluster::reached_at(global, &advertised);
        (name, advertised, asked)
    });
    let brokers = probe.brokers(masters.collect(), &hosts).await;
    checks.extend(brokers.iter().flat_map(|broker| server::of_broker(broker, setting)));
}

async fn send(
    checks: &mut Vec<Check>,
    producer: &Producer,
    setting: &Setting,
    (doctor, time): (&Doctor, std::time::Duration),
) {
    let Some(topic) = &doctor.topic else { return };
    let in_the_way = |check: &&Check| {
        check.result != check::Outcome::Ok && !check.id.is_some_and(is_no_obstacle)
    };
    match checks.iter().find(in_the_way).and_then(|check| check.id.or(check.because)) {
        Some(because) => {
            checks.push(Check::skipped(format!("test message to {topic}"), because));
        }
        None => checks.extend(test_send::run(producer, topic, setting, time).await),
    }
}

/// Whether a message may be sent although this was found.
fn is_no_obstacle(id: &str) -> bool {
    matches!(
        id,
        "broker-old"
            | "name-servers-disagree"
            | "name-server-unreachable"
            | "name-server-unresolved"
    )
}

/// The finding that comes first.
fn first_finding(checks: &[Check]) -> &'static str {
    checks.iter().find_map(Check::finding).unwrap_or("name-server-unreachable")
}
