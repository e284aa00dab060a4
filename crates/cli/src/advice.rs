//! What to do about an error, in the words of the command line: one thing, and what to type for it.

use posthaste::{AdminError, ErrorKind, Outcome, ResponseCode, SendError};

/// What advice depends on.
#[derive(Debug, Clone, Copy)]
struct Trouble<'a> {
    kind: ErrorKind,
    topic: &'a str,
    /// The whole error, in the library's words.
    text: &'a str,
    /// Name and address of the last broker that was tried.
    broker: Option<(&'a str, &'a str)>,
    /// The queue that the message had to go to.
    queue: Option<&'a str>,
}

/// What became of a message that failed, and what to do, a line each.
pub(crate) fn of_send(error: &SendError) -> Vec<String> {
    let outcome = match error.outcome() {
        Outcome::NotStored => "not stored.",
        Outcome::Unknown => {
            "unknown: it may have been stored, and sending it again may store it twice."
        }
    };
    let message = error.message();
    let queue = message.given_queue().map(|queue| format!("{}:{}", queue.broker(), queue.id()));
    let last = error.attempts().last();
    let mut lines = for_message(Trouble {
        kind: error.kind(),
        topic: message.topic(),
        text: &format!("{error:#}"),
        broker: last.map(|attempt| (&*attempt.broker, &*attempt.address)),
        queue: queue.as_deref(),
    });
    if let Some(first) = lines.first_mut() {
        *first = format!("{outcome} {first}");
    }
    lines
}

fn for_message(trouble: Trouble<'_>) -> Vec<String> {
    let Trouble { kind, topic, text, broker, queue } = trouble;
    let line = |text: &str| vec![text.to_owned()];
    match kind {
        ErrorKind::Invalid => line("Correct the message; sent again unchanged, it fails again."),
        ErrorKind::NoRoute => name_server(text),
        ErrorKind::NoTopic => no_topic(topic),
        ErrorKind::NoWritableQueue => no_queue(topic, queue),
        ErrorKind::Connect => match broker {
            Some((name, address)) => connect(&format!("Broker {name}"), address, text),
            None => connect("The broker", "", text),
        },
        ErrorKind::Tls => encryption(text),
        ErrorKind::Untrusted => untrusted(),
        ErrorKind::ConnectionLost | ErrorKind::Timeout => line(
            "The broker stopped answering. Look at its log and its load; a longer --timeout gives \
             it more time.",
        ),
        ErrorKind::Busy => line(
            "The broker is overloaded. Send slower (--rate), or give each message more \
             time (--timeout).",
        ),
        ErrorKind::Unavailable => {
            line("The broker is stopping, full, or not a master. Look at its disk and its log.")
        }
        ErrorKind::Denied => denied(topic),
        ErrorKind::Unsupported => {
            line("The broker is too old for this request, or is not a RocketMQ broker.")
        }
        ErrorKind::Protocol => line("Check that the address is that of a RocketMQ broker."),
        ErrorKind::EarlierFailed => line(
            "To keep the order, send it again after the earlier message, whose error is above.",
        ),
        ErrorKind::Closed => line("The run ended before it was sent."),
        _ => line("The broker's remark says why; its log may say more."),
    }
}

/// What to do about a question to the cluster that failed, a line each.
pub(crate) fn of_call(error: &AdminError) -> Vec<String> {
    let line = |text: &str| vec![text.to_owned()];
    match error {
        AdminError::Unreachable(text) if text.starts_with("no name server") => name_server(text),
        AdminError::Unreachable(text) if text.starts_with("no broker") => line(
            "Check that a broker is running and knows this name server (namesrvAddr in its \
             broker.conf).",
        ),
        AdminError::Unreachable(text) => {
            let address = text.split(": ").next().unwrap_or_default();
            connect("The broker", address, text)
        }
        AdminError::Tls(text) => encryption(text),
        AdminError::Untrusted { .. } => untrusted(),
        AdminError::NoTopic { topic } => {
            vec!["The cluster does not have this topic.".to_owned(), create_or_list(topic)]
        }
        AdminError::Exists { topic, .. } => {
            vec![format!("try:  posthaste topic update {topic} --queues N")]
        }
        AdminError::OutOfReach { .. } => line("To give those messages up, add --yes."),
        AdminError::Denied { .. } => {
            vec!["Check what this access key may do.".to_owned(), SIGN.to_owned()]
        }
        AdminError::Refused { code: ResponseCode::REQUEST_CODE_NOT_SUPPORTED, .. } => line(
            "This server is too old for the request, or a proxy. Use the brokers' own name server \
             (-n).",
        ),
        AdminError::Refused { .. } => line("The server's remark says why; its log may say more."),
        AdminError::Timeout(_) => line("A longer --timeout gives it more time."),
        AdminError::Protocol { .. } => line("Check that the address is that of a RocketMQ server."),
        _ => line("Correct the command; the same command fails again."),
    }
}

const SIGN: &str = "try:  posthaste --access-key KEY --secret-key-file FILE …";

fn no_topic(topic: &str) -> Vec<String> {
    vec![
        "The cluster does not have this topic, and does not create topics for a send.".to_owned(),
        create_or_list(topic),
    ]
}

fn create_or_list(topic: &str) -> String {
    format!("try:  posthaste topic create {topic} --queues 8        or:  posthaste topic list")
}

fn no_queue(topic: &str, queue: Option<&str>) -> Vec<String> {
    let what = match queue {
        Some(queue) => format!("Topic {topic} has no queue {queue} that can be written now."),
        None => format!(
            "Topic {topic} exists, but none of its queues can be written now: its brokers are down, \
             or it is read-only."
        ),
    };
    vec![what, format!("try:  posthaste topic describe {topic}        for the queues that it has")]
}

fn denied(topic: &str) -> Vec<String> {
    vec![format!("Check what this access key may do with topic {topic}."), SIGN.to_owned()]
}

fn untrusted() -> Vec<String> {
    vec![
        "If that broker belongs to the cluster, add it to --trusted-brokers. If not, find out who \
         registered it with the name server."
            .to_owned(),
        "try:  posthaste --trusted-brokers THAT-HOST …        with the other hosts that you trust"
            .to_owned(),
    ]
}

/// No name server has answered.
fn name_server(text: &str) -> Vec<String> {
    let (what, try_it) = if text.contains("SOCKS5 proxy") {
        (
            "Check the proxy, and what it lets through.",
            "try:  posthaste --socks5 HOST:PORT --socks5-user USER --socks5-password-file FILE …",
        )
    } else if text.contains("speaks HTTP") || text.contains("speaks SSH") {
        (
            "Another kind of server has that port; name servers mostly have port 9876.",
            "try:  posthaste -n HOST:9876 …",
        )
    } else if text.contains("speaks TLS") {
        ("The server takes encrypted connections only.", "try:  posthaste --tls …")
    } else if text.contains("may not answer") {
        (
            "Something listens there, but does not answer as a name server. Check the address.",
            "try:  posthaste -n HOST:9876 …",
        )
    } else {
        (
            "Check the name server's address, and that it runs.",
            "try:  posthaste dev        (a broker here), or  posthaste -n HOST:PORT …",
        )
    };
    vec![what.to_owned(), try_it.to_owned()]
}

/// No connection to a broker.
fn connect(broker: &str, address: &str, text: &str) -> Vec<String> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    // A host that refuses is there: what is missing on it is the broker.
    if text.contains("refused") || host.is_empty() {
        return vec![format!("{broker} does not listen at {address}: is it running?")];
    }
    vec![
        format!(
            "{broker} advertises the address {address}, which cannot be reached from here. That \
             may be an address inside a container or another network."
        ),
        format!("try:  posthaste --broker-map {host}=HOST-THAT-CAN-BE-REACHED …"),
    ]
}

/// No encrypted connection.
fn encryption(text: &str) -> Vec<String> {
    if text.contains("does that port speak TLS") {
        return vec![
            "If that port takes plain connections, leave out --tls and --tls-ca.".to_owned(),
        ];
    }
    // What the other side says, in rustls's words.
    let (what, try_it) = if text.contains("alert: CertificateRequired") {
        (
            "The server asks for a client certificate.",
            "try:  posthaste --tls-client-cert FILE --tls-client-key FILE …",
        )
    } else if text.contains("not valid for name") {
        (
            "The server's certificate is for another name than the host that you connect to.",
            "try:  posthaste --tls-server-name NAME …        with the name in the certificate",
        )
    } else if text.contains("alert: ProtocolVersion") {
        (
            "The server speaks no version of TLS that --tls-min allows.",
            "try:  posthaste --tls-min 1.2 …",
        )
    } else {
        return certificate();
    };
    vec![what.to_owned(), try_it.to_owned()]
}

/// A server's certificate is not trusted, for one of several reasons.
fn certificate() -> Vec<String> {
    vec![
        "Check the server's certificate: who signed it, until when it is valid, and whether it \
         names the host that you connect to."
            .to_owned(),
        "try:  posthaste --tls-ca FILE …        with the authority that signed it".to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(kind: ErrorKind, text: &str) -> Trouble<'_> {
        Trouble { kind, topic: "T", text, broker: Some(("b", "10.0.0.7:10911")), queue: None }
    }

    /// What is said, by situation. No word of it is the library's: no setting, no type.
    fn check(cases: &[(Trouble<'_>, &[&str])]) {
        for (trouble, expected) in cases {
            assert_eq!(for_message(*trouble), *expected, "{trouble:?}");
        }
    }

    #[test]
    fn a_message_without_a_way_to_a_queue_has_its_words() {
        check(&[
            (
                trouble(ErrorKind::NoRoute, "127.0.0.1:9876: Connection refused"),
                &[
                    "Check the name server's address, and that it runs.",
                    "try:  posthaste dev        (a broker here), or  posthaste -n HOST:PORT …",
                ],
            ),
            (
                trouble(ErrorKind::NoRoute, "h:80: bad frame: the other side speaks HTTP, not"),
                &[
                    "Another kind of server has that port; name servers mostly have port 9876.",
                    "try:  posthaste -n HOST:9876 …",
                ],
            ),
            (
                trouble(ErrorKind::NoRoute, "h:80: bad frame: the other side speaks TLS, and"),
                &["The server takes encrypted connections only.", "try:  posthaste --tls …"],
            ),
            (
                trouble(ErrorKind::NoTopic, ""),
                &[
                    "The cluster does not have this topic, and does not create topics for a send.",
                    "try:  posthaste topic create T --queues 8        or:  posthaste topic list",
                ],
            ),
            (
                Trouble { queue: Some("nope:0"), ..trouble(ErrorKind::NoWritableQueue, "") },
                &[
                    "Topic T has no queue nope:0 that can be written now.",
                    "try:  posthaste topic describe T        for the queues that it has",
                ],
            ),
            (
                trouble(ErrorKind::NoWritableQueue, ""),
                &[
                    "Topic T exists, but none of its queues can be written now: its brokers are down, or it is read-only.",
                    "try:  posthaste topic describe T        for the queues that it has",
                ],
            ),
        ]);
    }

    #[test]
    fn a_message_that_reaches_no_broker_has_its_words() {
        let refused = trouble(ErrorKind::Connect, "Connection refused (os error 111)");
        check(&[
            // A broker that is being restarted: no address of it is wrong.
            (refused, &["Broker b does not listen at 10.0.0.7:10911: is it running?"]),
            (
                trouble(ErrorKind::Connect, "no route to host"),
                &[
                    "Broker b advertises the address 10.0.0.7:10911, which cannot be reached from \
                     here. That may be an address inside a container or another network.",
                    "try:  posthaste --broker-map 10.0.0.7=HOST-THAT-CAN-BE-REACHED …",
                ],
            ),
            (
                trouble(ErrorKind::Tls, "handshake eof); does that port speak TLS?"),
                &["If that port takes plain connections, leave out --tls and --tls-ca."],
            ),
            (
                trouble(ErrorKind::Tls, "received fatal alert: CertificateRequired"),
                &[
                    "The server asks for a client certificate.",
                    "try:  posthaste --tls-client-cert FILE --tls-client-key FILE …",
                ],
            ),
            (
                trouble(ErrorKind::Tls, "certificate not valid for name \"10.0.0.7\""),
                &[
                    "The server's certificate is for another name than the host that you connect to.",
                    "try:  posthaste --tls-server-name NAME …        with the name in the certificate",
                ],
            ),
            (
                trouble(ErrorKind::Tls, "received fatal alert: ProtocolVersion"),
                &[
                    "The server speaks no version of TLS that --tls-min allows.",
                    "try:  posthaste --tls-min 1.2 …",
                ],
            ),
            (
                trouble(ErrorKind::Tls, "invalid peer certificate: UnknownIssuer"),
                &[
                    "Check the server's certificate: who signed it, until when it is valid, and \
                     whether it names the host that you connect to.",
                    "try:  posthaste --tls-ca FILE …        with the authority that signed it",
                ],
            ),
        ]);
    }

    #[test]
    fn every_other_trouble_of_a_message_has_its_words() {
        check(&[
            (
                trouble(ErrorKind::Invalid, ""),
                &["Correct the message; sent again unchanged, it fails again."],
            ),
            (
                trouble(ErrorKind::Timeout, ""),
                &["The broker stopped answering. Look at its log and its load; a longer \
                     --timeout gives it more time."],
            ),
            (
                trouble(ErrorKind::Denied, ""),
                &[
                    "Check what this access key may do with topic T.",
                    "try:  posthaste --access-key KEY --secret-key-file FILE …",
                ],
            ),
            (
                trouble(ErrorKind::EarlierFailed, ""),
                &["To keep the order, send it again after the earlier message, whose error is \
                     above."],
            ),
            (trouble(ErrorKind::Closed, ""), &["The run ended before it was sent."]),
        ]);
    }

    #[test]
    fn every_trouble_of_a_question_has_its_words() {
        let unreachable = |text: &str| AdminError::Unreachable(text.to_owned());
        for (error, expected) in [
            (
                unreachable("no name server answered: h:1: Connection refused"),
                "Check the name server's address, and that it runs.",
            ),
            (
                unreachable(
                    "no name server answered: h:1: no answer in time; a server that does not know a request may not answer it",
                ),
                "Something listens there, but does not answer as a name server. Check the address.",
            ),
            (
                unreachable("no broker is known: the name server has no route to"),
                "Check that a broker is running and knows this name server (namesrvAddr in its \
                 broker.conf).",
            ),
            (
                unreachable("127.0.0.1:10911: Connection refused (os error 111)"),
                "The broker does not listen at 127.0.0.1:10911: is it running?",
            ),
            (
                AdminError::Timeout("127.0.0.1:10911: no answer in time".into()),
                "A longer --timeout gives it more time.",
            ),
            // A question creates nothing, so it does not matter what a send would do.
            (AdminError::NoTopic { topic: "T".into() }, "The cluster does not have this topic."),
            (
                AdminError::Invalid("topic TBW102 belongs to the broker".into()),
                "Correct the command; the same command fails again.",
            ),
        ] {
            let lines = of_call(&error);
            assert_eq!(lines.first().map(String::as_str), Some(expected), "{error:?}");
        }
    }
}
