//! What the routes that name servers tell mean for a topic.

use std::collections::BTreeMap;

use posthaste_protocol::request::{BrokerData, TopicRoute, permission};

use super::check::Check;
use super::observed::{NameServer, Routes};
use super::server::Setting;

/// The routes to go by: those of the first name server that knows the topic, else of the first that
/// has answered.
pub(super) fn routes(servers: &[NameServer]) -> Option<&Routes> {
    let answered = || servers.iter().filter(|server| server.has_answered());
    let with_topic = answered().find(|server| server.routes.topic.is_some());
    with_topic.or_else(|| answered().next()).map(|server| &server.routes)
}

/// The route whose brokers are asked.
fn of_brokers(routes: &Routes) -> Option<&TopicRoute> {
    let all = [&routes.topic, &routes.self_test, &routes.default];
    all.into_iter().flatten().find(|route| !route.brokers.is_empty())
}

/// Names and addresses of the masters.
pub(super) fn masters(routes: &Routes) -> Vec<(String, String)> {
    let brokers = of_brokers(routes).map(|route| route.brokers.as_slice()).unwrap_or_default();
    brokers
        .iter()
        .filter_map(|broker| Some((broker.broker_name.clone(), broker.master()?.to_owned())))
        .collect()
}

/// Name servers that tell different things.
pub(super) fn agreement(servers: &[NameServer], topic: Option<&str>) -> Option<Check> {
    let told: Vec<(&str, String)> = servers
        .iter()
        .filter(|server| server.has_answered())
        .map(|server| {
            let route = match topic {
                Some(_) => &server.routes.topic,
                None => &server.routes.self_test,
            };
            (server.address.as_str(), told(route.as_ref()))
        })
        .collect();
    let (_, first) = told.first()?;
    if told.iter().all(|(_, other)| other == first) {
        return None;
    }
    let what = topic.map(|topic| format!("topic {topic}")).unwrap_or("the brokers".into());
    let all: Vec<String> =
        told.iter().map(|(address, told)| format!("{address} says {told}")).collect();
    let addresses: Vec<&str> = told.iter().map(|(address, _)| *address).collect();
    Some(Check::fail(
        "name-servers-disagree",
        format!("asked for {what}: {}", all.join("; ")),
        "Each broker has to register with every name server. Put this into every broker.conf, and \
         restart the brokers:",
        format!("namesrvAddr={}", addresses.join(";")),
    ))
}

/// A route in a few words; the same route has the same words.
fn told(route: Option<&TopicRoute>) -> String {
    let Some(route) = route else { return "that there is none".into() };
    let mut brokers = BTreeMap::new();
    for BrokerData { broker_name, broker_addrs, .. } in &route.brokers {
        let queues = route.queues.iter().find(|queues| queues.broker_name == *broker_name);
        let addresses: Vec<&str> = broker_addrs.values().map(String::as_str).collect();
        let queues = queues.map(|queues| queues.write_queue_nums).unwrap_or_default();
        brokers.insert(broker_name, format!("{} ({queues} queues)", addresses.join(", ")));
    }
    let brokers = brokers.into_iter().map(|(name, at)| format!("{name} at {at}"));
    match brokers.collect::<Vec<_>>() {
        brokers if brokers.is_empty() => "that it has no brokers".into(),
        brokers => brokers.join(" and "),
    }
}

/// What the routes say of brokers and of the topic.
pub(super) fn checks(
    routes: &Routes,
    topic: Option<&str>,
    name_servers: &str,
    setting: &Setting,
) -> Vec<Check> {
    let Some(route) = of_brokers(routes) else {
        return vec![Check::fail(
            "no-brokers",
            format!("asked for a topic that every broker has, {name_servers} knows no broker"),
            "No broker has registered. Put this into broker.conf, and restart the broker:",
            format!("namesrvAddr={name_servers}"),
        )];
    };
    let mut checks = Vec::new();
    for broker in route.brokers.iter().filter(|broker| broker.master().is_none()) {
        let slaves: Vec<&str> = broker.broker_addrs.values().map(String::as_str).collect();
        checks.push(Check::fail(
            "no-master",
            format!(
                "{} has no master in the route, only slaves ({})",
                broker.broker_name,
                slaves.join(", ")
            ),
            "Slaves take no messages. Start the master: the broker of this name with, in its \
             broker.conf:",
            "brokerId=0",
        ));
    }
    if let Some(topic) = topic {
        checks.push(of_topic(routes, topic, name_servers, setting));
    }
    checks
}

fn of_topic(routes: &Routes, topic: &str, name_servers: &str, setting: &Setting) -> Check {
    let Some(route) = &routes.topic else { return missing(routes, topic, name_servers, setting) };
    let writable = |perm: i32| perm & permission::WRITE != 0;
    let open: Vec<String> = route
        .queues
        .iter()
        .filter(|queues| writable(queues.perm) && queues.write_queue_nums > 0)
        .map(|queues| format!("{} write queues on {}", queues.write_queue_nums, queues.broker_name))
        .collect();
    if !open.is_empty() {
        return Check::ok(format!("topic {topic}: {}", open.join(", ")));
    }
    let Some(closed) = route.queues.first() else {
        return Check::fail(
            "topic-without-queues",
            format!("topic {topic}: {name_servers} has a route for it that leads to no queue"),
            "The brokers that had it are gone. Start them, or create it on those that are there:",
            setting.typed.command(&["topic", "create", topic, "--queues", "8"]),
        );
    };
    let broker = closed.broker_name.as_str();
    let others = [&routes.self_test, &routes.default];
    let mut others = others.into_iter().flatten().flat_map(|route| &route.queues);
    if others.any(|queues| queues.broker_name == broker && !writable(queues.perm)) {
        return Check::fail(
            "broker-read-only",
            format!("topic {topic}: none of the topics of {broker} may be written"),
            "Write permission was taken from the broker. Give it back (mqadmin comes with RocketMQ):",
            format!("mqadmin addWritePerm -n '{name_servers}' -b {broker}"),
        );
    }
    Check::fail(
        "topic-not-writable",
        format!("topic {topic}: perm {} on {broker}: it may not be written", closed.perm),
        "Open the topic for writing (mqadmin comes with RocketMQ):",
        format!(
            "mqadmin updateTopicPerm -n '{name_servers}' -c {} -t {topic} -p 6",
            cluster(route, broker)
        ),
    )
}

fn cluster<'a>(route: &'a TopicRoute, broker: &str) -> &'a str {
    let found = route.brokers.iter().find(|one| one.broker_name == broker);
    found.map(|one| one.cluster.as_str()).filter(|name| !name.is_empty()).unwrap_or("CLUSTER")
}

fn missing(routes: &Routes, topic: &str, name_servers: &str, setting: &Setting) -> Check {
    let evidence = format!("topic {topic}: {name_servers} knows no such topic");
    if routes.default.as_ref().is_some_and(|route| !route.brokers.is_empty()) {
        return Check::note(
            "topic-made-by-send",
            format!("{evidence}; the first message sent to it creates it"),
        );
    }
    Check::fail(
        "topic-missing",
        evidence,
        "Brokers of this cluster create no topics for a send. Create it:",
        setting.typed.command(&["topic", "create", topic, "--queues", "8"]),
    )
}
