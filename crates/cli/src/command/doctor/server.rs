//! What keeps a single server from answering, said from what was seen of it.

use posthaste_protocol::ResponseCode;

use super::check::Check;
use super::invocation::Invocation;
use super::observed::{Answer, Broker, NameServer, Port, Reach, Speaks};
use super::release::Release;
use crate::cluster;

/// What findings depend on beside the servers.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    pub(super) typed: Invocation,
    /// Requests are signed.
    pub(super) signs: bool,
}

/// A server, and its usual port.
struct Server<'a> {
    /// As evidence names it.
    who: String,
    address: &'a str,
    port: Option<Port>,
    /// The command that goes to another port of the same host.
    elsewhere: String,
}

/// What a name server's answer means.
pub(super) fn of_name_server(seen: &NameServer, all: &[NameServer], setting: &Setting) -> Check {
    let (address, typed) = (seen.address.as_str(), &setting.typed);
    let who = format!("name server {address}");
    let others: Vec<&str> =
        all.iter().filter(|one| one.has_answered()).map(|one| one.address.as_str()).collect();
    let without_it = match others.is_empty() {
        true => typed.with("namesrv", "HOST:9876"),
        false => typed.with("namesrv", &others.join(";")),
    };
    let elsewhere = match cluster::split(address) {
        _ if !others.is_empty() => without_it.clone(),
        (host, Some(port)) if port != "9876" => typed.with("namesrv", &cluster::join(host, "9876")),
        _ => without_it.clone(),
    };
    match &seen.reach {
        Reach::Unresolved(why) => Check::fail(
            "name-server-unresolved",
            format!("{who}: its name was looked up here: {why}"),
            "Check the spelling, and that this machine's DNS knows the name. Or name another:",
            without_it,
        ),
        Reach::Unconnected(why) => Check::fail(
            "name-server-unreachable",
            format!("{who}: connecting from here: {why}"),
            "Check that it runs, and that nothing in between blocks the port. Or name another:",
            without_it,
        ),
        Reach::Answered(answer) if seen.has_answered() => Check::ok(format!(
            "{who} answers ({:.1} ms){}",
            answer.ms,
            Release::of(answer.version).map(|it| format!(", RocketMQ {it}")).unwrap_or_default()
        )),
        reach => of_reach(reach, &Server { who, address, port: seen.port, elsewhere }, setting),
    }
}

/// What a broker's answer means.
pub(super) fn of_broker(seen: &Broker, setting: &Setting) -> Vec<Check> {
    let Broker { name, advertised, asked, .. } = seen;
    let typed = &setting.typed;
    let who = match advertised == asked {
        true => format!("{name} advertises {advertised}"),
        false => format!("{name} advertises {advertised}, reached as {asked}"),
    };
    let (host, port) = cluster::split(asked);
    if let Reach::Answered(answer) = &seen.reach
        && answer.code == ResponseCode::SUCCESS
    {
        return answered(seen, &who, answer);
    }
    let at = |to: &str| typed.with_another("broker_map", &format!("{host}={to}"));
    let bare = host.split(|c: char| c == '#' || c.is_whitespace()).next().unwrap_or_default();
    let unreached = match &seen.reach {
        Reach::Unresolved(why) if bare != host => {
            return vec![Check::fail(
                "broker-ip-comment",
                format!("{who}: {why}"),
                "brokerIP1 in its broker.conf has a comment behind the address, which counts as a \
                 part of it. Put the comment on a line of its own, and restart the broker. Until \
                 then:",
                at(bare),
            )];
        }
        Reach::Unresolved(why) => Some(("broker-unresolved", why)),
        Reach::Unconnected(why) => Some(("broker-unreachable", why)),
        _ => None,
    };
    let check = match unreached {
        Some((id, why)) => match &seen.elsewhere {
            Some(there) => Check::fail(
                id,
                format!("{who}: from here: {why}. A broker answers at {there}, at the same port"),
                "The advertised address is one inside a container or another network. Set \
                 brokerIP1 in its broker.conf to an address that its clients reach, or:",
                at(there),
            ),
            None => Check::fail(
                id,
                format!("{who}: from here: {why}"),
                "The broker is down, or it advertises an address that cannot be reached from here. \
                 Set brokerIP1 in its broker.conf to an address that its clients reach, or:",
                at("HOST-THAT-CAN-BE-REACHED"),
            ),
        },
        None => {
            let from = cluster::join(host, port.unwrap_or_default());
            let map = format!("{from}={}", cluster::join(host, "10911"));
            let elsewhere = typed.with_another("broker_map", &map);
            let server = Server { who, address: asked, port: seen.port, elsewhere };
            of_reach(&seen.reach, &server, setting)
        }
    };
    vec![check]
}

fn answered(seen: &Broker, who: &str, answer: &Answer) -> Vec<Check> {
    let release = Release::of(answer.version);
    let words = release.map(|release| format!(", RocketMQ {release}")).unwrap_or_default();
    let mut checks = vec![Check::ok(format!("{who}: it answers ({:.1} ms){words}", answer.ms))];
    if let Some(release) = release.filter(|release| *release < Release::WITH_TIMERS) {
        checks.push(Check::note(
            "broker-old",
            format!(
                "{} is RocketMQ {release}: it delivers messages with --delay at once (5.0 is the first \
                 that does not); --delay-level works",
                seen.name
            ),
        ));
    }
    checks
}

/// What it means that a server, whichever it is, does not give the answer that it should.
fn of_reach(reach: &Reach, server: &Server<'_>, setting: &Setting) -> Check {
    let (who, port) = (&server.who, server.port.unwrap_or_default());
    match reach {
        Reach::Answered(answer) if answer.is_denied() => of_denial(who, answer, setting),
        Reach::Answered(_) if port.answers_other_role => swapped(server),
        Reach::Answered(answer) => Check::fail(
            "server-error",
            format!("{who}: it answers code {}: {}", answer.code, answer.remark),
            "Its log says more. To ask it again:",
            setting.typed.again(),
        ),
        Reach::NoTls(why) => of_tls(why, server, setting),
        Reach::Untrusted => Check::fail(
            "broker-untrusted",
            format!("{who}: it is not among --trusted-brokers, and was not asked"),
            "If this broker belongs to the cluster, trust it too:",
            setting.typed.with_another("trusted_brokers", cluster::split(server.address).0),
        ),
        Reach::Silent(_) if port.answers_other_role => swapped(server),
        Reach::Silent(_) if port.answers_tls && !port.answers_plain => Check::fail(
            "tls-wanted",
            format!("{who}: it closes plain connections, and answers over TLS"),
            "Encrypt connections:",
            setting.typed.with("tls", "true"),
        ),
        Reach::Silent(why) | Reach::Unresolved(why) | Reach::Unconnected(why) => {
            of_silence(why, server, setting)
        }
    }
}

fn swapped(server: &Server<'_>) -> Check {
    let Server { who, elsewhere, .. } = server;
    let (answers, meaning) = match who.starts_with("name server") {
        true => (
            "it answers as a broker does",
            "That is a broker's port (mostly 10911). Name the name server's:",
        ),
        false => (
            "it answers as a name server does",
            "That is a name server's port (mostly 9876). Give the broker its own listenPort in \
             broker.conf (mostly 10911), or:",
        ),
    };
    Check::fail("ports-swapped", format!("{who}: {answers}"), meaning, elsewhere)
}

/// Connected, and no answer in the remoting protocol.
fn of_silence(why: &str, server: &Server<'_>, setting: &Setting) -> Check {
    let Server { who, elsewhere, .. } = server;
    let (id, speaks, meaning) = match server.port.unwrap_or_default().speaks {
        Some(Speaks::Http) => {
            ("port-speaks-http", "HTTP", "That is another server's port. Name RocketMQ's:")
        }
        Some(Speaks::Http2) => (
            "port-speaks-grpc",
            "HTTP/2, as gRPC servers do",
            "That is the port of a proxy for gRPC clients; this program speaks remoting:",
        ),
        Some(Speaks::Ssh) => {
            ("port-speaks-ssh", "SSH", "That is another server's port. Name RocketMQ's:")
        }
        Some(Speaks::Tls) => {
            return Check::fail(
                "port-speaks-tls",
                format!("{who}: it speaks TLS, and does not answer inside as RocketMQ does"),
                "It is an HTTPS server, or it wants a certificate of its clients. With TLS it says \
                 more:",
                setting.typed.with("tls", "true"),
            );
        }
        None => {
            return Check::fail(
                "no-remoting-answer",
                format!("{who}: connected, asked in the remoting protocol: {why}"),
                "Something listens there, and is no RocketMQ server or one that hangs. Check the \
                 address:",
                elsewhere,
            );
        }
    };
    Check::fail(id, format!("{who}: it speaks {speaks}"), meaning, elsewhere)
}

/// Connected, and not encrypted.
fn of_tls(why: &str, server: &Server<'_>, setting: &Setting) -> Check {
    let who = &server.who;
    let typed = &setting.typed;
    let evidence = format!("{who}: {why}");
    // In the words of rustls and webpki.
    let has = |words: &[&str]| words.iter().any(|word| why.contains(word));
    if has(&["not valid for name", "NotValidForName"]) {
        let meaning = "Its certificate is for another host. Connect to the host that it names, or:";
        let remedy = typed.with("tls_server_name", &name_in(why).unwrap_or("NAME".into()));
        return Check::fail("certificate-other-host", evidence, meaning, remedy);
    }
    if has(&["expired", "Expired"]) {
        let meaning = "Its certificate has to be renewed. Look at it with:";
        return Check::fail("certificate-expired", evidence, meaning, openssl(server.address));
    }
    if has(&["not valid yet", "NotValidYet"]) {
        let meaning = "Check this machine's clock, and the certificate:";
        return Check::fail("certificate-early", evidence, meaning, openssl(server.address));
    }
    if has(&["alert: CertificateRequired", "alert received: CertificateRequired"]) {
        let meaning = "It wants a certificate of its clients:";
        let remedy = typed.with_client_certificate();
        return Check::fail("client-certificate-wanted", evidence, meaning, remedy);
    }
    if has(&["UnknownIssuer", "CaUsedAsEndEntity", "invalid peer certificate"]) {
        let meaning = "None of the trusted authorities has signed its certificate. Trust the one \
                       that did:";
        return Check::fail(
            "certificate-untrusted",
            evidence,
            meaning,
            typed.with("tls_ca", "FILE"),
        );
    }
    if server.port.unwrap_or_default().answers_plain {
        return Check::fail(
            "tls-not-spoken",
            format!("{evidence}. It answers plain connections"),
            "Leave encryption out:",
            typed.without_tls(),
        );
    }
    of_silence(why, server, setting)
}

/// A name that a certificate is valid for, as the error lists them.
fn name_in(why: &str) -> Option<String> {
    let names = why.split("only valid for ").nth(1)?;
    let first = names.split([' ', ',']).next()?;
    // As in `DnsName("mq.internal")`.
    let name = first.split_once('(').map_or(first, |(_, inside)| inside);
    let name = name.trim_matches(['"', '(', ')']);
    (!name.is_empty()).then(|| name.to_owned())
}

fn openssl(address: &str) -> String {
    format!("openssl s_client -connect {address} </dev/null | openssl x509 -noout -dates")
}

fn of_denial(who: &str, answer: &Answer, setting: &Setting) -> Check {
    let evidence = format!("{who}: it refuses: {}", answer.remark.trim());
    let remark = answer.remark.to_lowercase();
    let (id, meaning) = if !setting.signs {
        ("access-key-wanted", "It takes signed requests only. Give a key:")
    } else if remark.contains("signature") {
        ("signature-refused", "The secret is not the one of this key. Give the right one:")
    } else if ["not found", "no acl", "no accesskey", "cannot be null"]
        .iter()
        .any(|words| remark.contains(words))
    {
        ("access-key-unknown", "It does not know this key. Give one that it knows:")
    } else {
        ("access-denied", "It does not let this key in. Give one that it lets in:")
    };
    Check::fail(id, evidence, meaning, setting.typed.with_key())
}
