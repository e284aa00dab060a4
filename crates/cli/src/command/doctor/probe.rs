//! Asking servers, each alone. What it means is said elsewhere.

use std::sync::Arc;
use std::time::Duration;

use posthaste::{Admin, AdminError, NameServers, Producer, ResponseCode, Tls};
use posthaste_protocol::request::{
    DEFAULT_TOPIC, Heartbeat, ProducerGroup, RouteOf, SELF_TEST_TOPIC, TopicRoute,
};
use posthaste_protocol::{Command, json};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::observed::{Answer, Broker, NameServer, Port, Reach, Routes};
use super::port;
use crate::args::Global;
use crate::cluster;
use crate::exit::Failure;

/// The group that this program is a member of while it asks a broker.
const GROUP: &str = "posthaste-doctor";

/// Asks servers.
pub(super) struct Probe {
    /// As the settings say.
    admin: Admin,
    /// Without credentials, not encrypted, and over TLS with any certificate: to learn what a port
    /// speaks.
    plain: Admin,
    encrypted: Admin,
    /// Ports can be listened to, since no proxy is in between.
    is_direct: bool,
    timeout: Duration,
    topic: Option<String>,
}

/// Whose question is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    NameServer,
    Broker,
}

impl Probe {
    /// With the topic's name as servers know it.
    pub(super) async fn new(
        global: &Global,
        producer: &Producer,
        topic: Option<String>,
    ) -> Result<Self, Failure> {
        let stranger = |tls: Option<Tls>| {
            // Nothing is asked of these name servers.
            let nowhere = NameServers::from("127.0.0.1:9876");
            let builder = Producer::builder(GROUP, nowhere).connect_timeout(global.timeout / 4);
            match tls {
                Some(tls) => builder.tls(tls),
                None => builder,
            }
        };
        let any = Tls::new().dangerous_accept_any_certificate();
        let plain = cluster::start(stranger(None)).await?.admin();
        let encrypted = cluster::start(stranger(Some(any))).await?.admin();
        Ok(Self {
            admin: producer.admin(),
            plain,
            encrypted,
            is_direct: global.socks5.is_none(),
            timeout: global.timeout,
            topic,
        })
    }

    /// Asks every name server, side by side.
    pub(super) async fn name_servers(self: &Arc<Self>, addresses: &[String]) -> Vec<NameServer> {
        let ask = |address: &String| {
            let (probe, address) = (self.clone(), address.clone());
            async move { probe.name_server(address).await }
        };
        side_by_side(addresses.iter().map(ask)).await
    }

    async fn name_server(&self, address: String) -> NameServer {
        let deadline = Instant::now() + self.timeout;
        let of = |topic: &str| self.route(&address, topic.to_owned(), deadline);
        let mut routes = Routes::default();
        let reach = match self.reached(&address, deadline).await {
            Err(reach) => reach,
            Ok(()) => match &self.topic {
                Some(topic) => {
                    let (own, self_test, default) =
                        tokio::join!(of(topic), of(SELF_TEST_TOPIC), of(DEFAULT_TOPIC));
                    routes = Routes { topic: own.1, self_test: self_test.1, default: default.1 };
                    own.0
                }
                None => {
                    let (self_test, default) = tokio::join!(of(SELF_TEST_TOPIC), of(DEFAULT_TOPIC));
                    routes = Routes { topic: None, self_test: self_test.1, default: default.1 };
                    self_test.0
                }
            },
        };
        let port = match needs_a_look(&reach) {
            true => Some(self.look(&address, Role::NameServer).await),
            false => None,
        };
        NameServer { address, reach, port, routes }
    }

    async fn route(
        &self,
        address: &str,
        topic: String,
        deadline: Instant,
    ) -> (Reach, Option<TopicRoute>) {
        let request = RouteOf { topic, standard_json: Some(true) };
        let begun = Instant::now();
        let answer = self.with_rest(deadline).ask_name_server(address, &request).await;
        let route = answer.as_ref().ok().map(|answer| json::read::<TopicRoute>(&answer.body));
        match (reach(answer, begun), route) {
            (Reach::Answered(answer), Some(route)) if answer.code == ResponseCode::SUCCESS => {
                match route {
                    Ok(route) => (Reach::Answered(answer), Some(route)),
                    Err(error) => (Reach::Silent(format!("a route that is none: {error}")), None),
                }
            }
            (reach, _) => (reach, None),
        }
    }

    /// Asks every broker whether it takes this client, side by side. `asked` is where each is reached;
    /// `hosts` are other places where it may be.
    pub(super) async fn brokers(
        self: &Arc<Self>,
        brokers: Vec<(String, String, String)>,
        hosts: &[String],
    ) -> Vec<Broker> {
        let ask = |(name, advertised, asked): (String, String, String)| {
            let (probe, hosts) = (self.clone(), hosts.to_vec());
            async move {
                let reach = probe.broker(&asked, Instant::now() + probe.timeout).await;
                let port = match needs_a_look(&reach) {
                    true => Some(probe.look(&asked, Role::Broker).await),
                    false => None,
                };
                let elsewhere = match &reach {
                    Reach::Unresolved(_) | Reach::Unconnected(_) => {
                        probe.elsewhere(&asked, hosts).await
                    }
                    _ => None,
                };
                Broker { name, advertised, asked, reach, port, elsewhere }
            }
        };
        side_by_side(brokers.into_iter().map(ask)).await
    }

    async fn broker(&self, address: &str, deadline: Instant) -> Reach {
        let begun = Instant::now();
        let (admin, request) = (self.with_rest(deadline), heartbeat());
        let asked = admin.ask_broker(address, &request);
        match tokio::join!(self.reached(address, deadline), asked) {
            // Nothing is to be learned about a broker that must not be asked.
            (_, Err(AdminError::Untrusted { .. })) => Reach::Untrusted,
            (Err(reach), Err(_)) => reach,
            (_, answer) => reach(answer, begun),
        }
    }

    /// The first of these hosts at which a broker answers at the same port.
    async fn elsewhere(self: &Arc<Self>, asked: &str, hosts: Vec<String>) -> Option<String> {
        let (host, port) = asked.rsplit_once(':')?;
        let others = hosts.into_iter().filter(|other| other != host);
        let ask = |other: String| {
            let (probe, port) = (self.clone(), port.to_owned());
            async move {
                let deadline = Instant::now() + probe.timeout / 4;
                let reach = probe.broker(&cluster::join(&other, &port), deadline).await;
                let is_there = matches!(&reach, Reach::Answered(answer)
                    if answer.code == ResponseCode::SUCCESS || answer.is_denied());
                is_there.then_some(other)
            }
        };
        side_by_side(others.map(ask)).await.into_iter().flatten().next()
    }

    /// Whether there is a connection to be had.
    async fn reached(&self, address: &str, deadline: Instant) -> Result<(), Reach> {
        if !self.is_direct {
            return Ok(());
        }
        let resolved = timeout_at(deadline, tokio::net::lookup_host(address)).await;
        let none = || Reach::Unresolved("the name has no address".into());
        match resolved {
            Ok(Ok(mut found)) => drop(found.next().ok_or_else(none)?),
            Ok(Err(error)) => return Err(Reach::Unresolved(error.to_string())),
            Err(_) => return Err(Reach::Unresolved(self.too_late("the look-up of the name"))),
        }
        match timeout_at(deadline, TcpStream::connect(address)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(Reach::Unconnected(error.to_string())),
            Err(_) => Err(Reach::Unconnected(self.too_late("the connect"))),
        }
    }

    fn too_late(&self, what: &str) -> String {
        format!("no answer to {what} within {:?}", self.timeout)
    }

    fn with_rest(&self, deadline: Instant) -> Admin {
        self.admin.with_timeout(deadline.saturating_duration_since(Instant::now()))
    }

    /// Looks what a port speaks.
    async fn look(&self, address: &str, role: Role) -> Port {
        let deadline = Instant::now() + self.timeout / 4;
        let other = match role {
            Role::NameServer => Role::Broker,
            Role::Broker => Role::NameServer,
        };
        let listen = async {
            match self.is_direct {
                true => timeout_at(deadline, port::listen(address)).await.ok()?.ok()?,
                false => None,
            }
        };
        let (speaks, answers_plain, answers_tls, answers_other_role) = tokio::join!(
            listen,
            answers(&self.plain, address, role, deadline),
            answers(&self.encrypted, address, role, deadline),
            answers(&self.admin, address, other, deadline),
        );
        Port { speaks, answers_plain, answers_tls, answers_other_role }
    }
}

/// Whether there is an answer that only a server of this kind gives.
async fn answers(admin: &Admin, address: &str, role: Role, deadline: Instant) -> bool {
    let admin = admin.with_timeout(deadline.saturating_duration_since(Instant::now()));
    let answer = match role {
        Role::NameServer => {
            let request = RouteOf { topic: SELF_TEST_TOPIC.into(), standard_json: Some(true) };
            admin.ask_name_server(address, &request).await
        }
        Role::Broker => admin.ask_broker(address, &heartbeat()).await,
    };
    answer.is_ok_and(|one| one.response_code() != ResponseCode::REQUEST_CODE_NOT_SUPPORTED)
}

/// A question that every broker answers, and that needs no permission but to be there. The broker
/// forgets the client when the connection ends.
fn heartbeat() -> Heartbeat {
    Heartbeat {
        client_id: format!("{GROUP}@{}", std::process::id()),
        producers: vec![ProducerGroup { group_name: GROUP.into() }],
        ..Heartbeat::default()
    }
}

fn reach(answer: Result<Command, AdminError>, begun: Instant) -> Reach {
    match answer {
        Ok(answer) => Reach::Answered(Answer {
            code: answer.response_code(),
            version: answer.version,
            remark: answer.remark.unwrap_or_default(),
            ms: begun.elapsed().as_secs_f64() * 1_000.0,
        }),
        Err(AdminError::Tls(reason)) => Reach::NoTls(reason),
        Err(AdminError::Untrusted { .. }) => Reach::Untrusted,
        Err(error) => Reach::Silent(error.to_string()),
    }
}

/// Whether it is worth to find out what a port speaks.
fn needs_a_look(reach: &Reach) -> bool {
    match reach {
        Reach::NoTls(_) | Reach::Silent(_) => true,
        Reach::Answered(answer) => answer.code == ResponseCode::REQUEST_CODE_NOT_SUPPORTED,
        Reach::Unresolved(_) | Reach::Unconnected(_) | Reach::Untrusted => false,
    }
}

/// What these come to, in their order. They end with this one.
async fn side_by_side<T: Send + 'static>(
    all: impl Iterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let mut running = JoinSet::new();
    for (place, one) in all.enumerate() {
        running.spawn(async move { (place, one.await) });
    }
    let mut ended = running.join_all().await;
    ended.sort_unstable_by_key(|(place, _)| *place);
    ended.into_iter().map(|(_, one)| one).collect()
}
