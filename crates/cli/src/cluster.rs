//! Which cluster, and how to reach it.

use posthaste::{Admin, AdminError, NameServers, Producer, ProducerBuilder};

use crate::access;
use crate::advice;
use crate::args::{Global, Servers};
use crate::exit::{Exit, Failure};
use crate::patience;

/// The producer group of this program.
const GROUP: &str = "posthaste-cli";

/// The name of the cluster, for questions about it.
pub(crate) fn name(global: &Global) -> String {
    let servers = match &global.servers {
        Servers::List(list) => list.clone(),
        Servers::AddressServer(url) => format!("address server {url}"),
    };
    match &global.context {
        Some(context) => format!("{servers} (context {context})"),
        None => servers,
    }
}

/// Refuses the flags that say which cluster is meant and how it is reached, for a command that goes
/// to no cluster but its own: passed over in silence, they would be believed to work.
pub(crate) fn refuse_flags(
    global: &Global,
    but: &[&str],
    command: &str,
    why: &str,
) -> Result<(), Failure> {
    match global.cluster_flags.iter().find(|flag| !but.contains(flag)) {
        Some(flag) => Err(Failure::usage(format!("{command} {why}: {flag} has no meaning there"))
            .help("Leave it out.")),
        None => Ok(()),
    }
}

/// The rewriting of advertised addresses that `--broker-map` and `--broker-host` ask for.
fn address_map(global: &Global) -> impl Fn(&str) -> Option<String> + Send + Sync + 'static {
    let (pairs, host) = (global.broker_map.clone(), global.broker_host.clone());
    move |advertised| rewrite(advertised, &pairs, host.as_deref())
}

/// Where a broker is reached that advertises this address (`ProducerBuilder::vip_channel` and
/// `address_map` do the same).
pub(crate) fn reached_at(global: &Global, advertised: &str) -> String {
    let vip = advertised.rsplit_once(':').filter(|_| global.vip).and_then(|(host, port)| {
        let port = port.parse::<u16>().ok()?.checked_sub(2).filter(|port| *port != 0)?;
        Some(format!("{host}:{port}"))
    });
    let advertised = vip.as_deref().unwrap_or(advertised);
    let rewritten = rewrite(advertised, &global.broker_map, global.broker_host.as_deref());
    rewritten.unwrap_or_else(|| advertised.to_owned())
}

/// A producer for the cluster, as the flags of every command have it.
pub(crate) fn producer(global: &Global) -> Result<ProducerBuilder, Failure> {
    let servers = match &global.servers {
        Servers::List(list) => {
            // Behind a proxy, nothing is seen by connecting from here.
            if !global.quiet && global.socks5.is_none() {
                patience::speak_up(list.clone(), global.timeout);
            }
            NameServers::from(list)
        }
        Servers::AddressServer(url) => NameServers::address_server(url),
    };
    let mut builder = Producer::builder(GROUP, servers)
        .send_timeout(global.timeout)
        .vip_channel(global.vip)
        .address_map(address_map(global));
    if !global.trusted_brokers.is_empty() {
        builder = builder.trusted_brokers(&global.trusted_brokers);
    }
    if let Some(credentials) = access::credentials(global)? {
        builder = builder.credentials(credentials);
    }
    if let Some(tls) = access::tls(global)? {
        builder = builder.tls(tls);
    }
    if let Some(proxy) = access::socks5(global)? {
        builder = builder.socks5(proxy);
    }
    Ok(identified(builder, global))
}

/// Who this client is, and in which namespace.
fn identified(mut builder: ProducerBuilder, global: &Global) -> ProducerBuilder {
    if let Some(namespace) = &global.namespace {
        builder = builder.namespace(namespace);
    }
    if let Some(namespace) = &global.namespace_v2 {
        builder = builder.namespace_v2(namespace);
    }
    if let Some(unit) = &global.unit {
        builder = builder.unit_name(unit);
    }
    if let Some(name) = &global.instance_name {
        builder = builder.instance_name(name);
    }
    builder
}

/// Starts it.
pub(crate) async fn start(builder: ProducerBuilder) -> Result<Producer, Failure> {
    builder.start().await.map_err(|error| Failure::usage(error.to_string()))
}

/// An admin for calls about topics and offsets.
pub(crate) async fn admin(global: &Global) -> Result<Admin, Failure> {
    let producer = start(producer(global)?).await?;
    Ok(producer.admin().with_timeout(global.timeout))
}

/// What a question to the cluster failed of, as the table of [`Exit`] has it.
pub(crate) fn failure(error: &AdminError) -> Failure {
    let (exit, kind) = match error {
        AdminError::Unreachable(_) => (Exit::Unreachable, "unreachable"),
        AdminError::Tls(_) => (Exit::Unreachable, "tls"),
        AdminError::Untrusted { .. } => (Exit::Unreachable, "untrusted"),
        AdminError::NoTopic { .. } => (Exit::Unreachable, "no_topic"),
        AdminError::Protocol { .. } => (Exit::Unreachable, "protocol"),
        AdminError::Exists { .. } => (Exit::Refused, "exists"),
        AdminError::OutOfReach { .. } => (Exit::Refused, "out_of_reach"),
        AdminError::Denied { .. } => (Exit::Refused, "denied"),
        AdminError::Refused { .. } => (Exit::Refused, "rejected"),
        AdminError::Invalid(_) => (Exit::Refused, "invalid"),
        AdminError::Timeout(_) => (Exit::Failed, "timeout"),
        _ => (Exit::Failed, "other"),
    };
    let failure = Failure::new(exit, kind, error.to_string());
    Failure { help: advice::of_call(error), ..failure }
}

fn rewrite(
    advertised: &str,
    pairs: &[(String, String)],
    everywhere: Option<&str>,
) -> Option<String> {
    let (host, port) = split(advertised);
    let pair = pairs.iter().find(|(from, _)| match split(from) {
        (from, None) => from == host,
        (from, from_port) => from == host && from_port == port,
    });
    let to = pair.map(|(_, to)| to.as_str()).or(everywhere)?;
    match split(to) {
        (_, Some(_)) => Some(to.to_owned()),
        (to, None) => Some(join(to, port?)),
    }
}

/// Host without brackets, and port.
pub(crate) fn split(address: &str) -> (&str, Option<&str>) {
    if let Some(inside) = address.strip_prefix('[')
        && let Some((host, rest)) = inside.split_once(']')
    {
        return (host, rest.strip_prefix(':'));
    }
    match address.split_once(':') {
        // More than one colon and no brackets: an IPv6 address and nothing else.
        Some((_, rest)) if rest.contains(':') => (address, None),
        Some((host, port)) => (host, Some(port)),
        None => (address, None),
    }
}

/// `host:port`, with the brackets that an IPv6 address needs.
pub(crate) fn join(host: &str, port: &str) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_rewritten_by_pair_then_by_host() {
        let pairs = |list: &[(&str, &str)]| -> Vec<(String, String)> {
            list.iter().map(|(from, to)| ((*from).into(), (*to).into())).collect()
        };
        type Case<'a> = (&'a [(&'a str, &'a str)], Option<&'a str>, &'a str, Option<&'a str>);
        let cases: &[Case<'_>] = &[
            (&[], None, "172.17.0.3:10911", None),
            (&[("172.17.0.3", "localhost")], None, "172.17.0.3:10911", Some("localhost:10911")),
            (&[("172.17.0.3", "localhost")], None, "172.17.0.4:10911", None),
            (
                &[("172.17.0.3:10911", "localhost:20911")],
                None,
                "172.17.0.3:10911",
                Some("localhost:20911"),
            ),
            (&[("172.17.0.3:10912", "localhost")], None, "172.17.0.3:10911", None),
            (&[("a", "b:1")], Some("c"), "a:10911", Some("b:1")),
            (&[("a", "b:1")], Some("c"), "d:10911", Some("c:10911")),
            (&[("fd00::3", "::1")], None, "[fd00::3]:10911", Some("[::1]:10911")),
            (&[("[fd00::3]:10911", "localhost")], None, "[fd00::3]:10911", Some("localhost:10911")),
        ];
        for (list, host, advertised, expected) in cases {
            assert_eq!(
                rewrite(advertised, &pairs(list), *host).as_deref(),
                *expected,
                "{list:?} {advertised}"
            );
        }
    }
}
