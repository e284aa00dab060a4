//! What was seen, and what is said of it.

use posthaste::ResponseCode;

use super::check::Check;
use super::invocation::tests::typed;
use super::observed::{Answer, Broker, NameServer, Port, Reach, Routes, Speaks};
use super::server::{Setting, of_broker, of_name_server};

fn setting(line: &str, signs: bool) -> Setting {
    Setting { typed: typed(line), signs }
}

fn answer(code: ResponseCode, remark: &str, version: i32) -> Reach {
    Reach::Answered(Answer { code, remark: remark.into(), version, ms: 0.4 })
}

fn name_server(address: &str, reach: Reach, port: Option<Port>) -> NameServer {
    NameServer { address: address.into(), reach, port, routes: Routes::default() }
}

fn broker(reach: Reach, port: Option<Port>, elsewhere: Option<&str>) -> Broker {
    let address = "172.17.0.3:10911".to_owned();
    Broker {
        name: "broker-a".into(),
        advertised: address.clone(),
        asked: address,
        reach,
        port,
        elsewhere: elsewhere.map(str::to_owned),
    }
}

fn speaks(what: Speaks) -> Option<Port> {
    Some(Port { speaks: Some(what), ..Port::default() })
}

/// Id and remedy.
fn found(check: &Check) -> (&str, &str) {
    (check.finding().unwrap_or(""), check.remedy.as_deref().unwrap_or(""))
}

#[test]
fn a_name_server_alone() {
    let silent = || Reach::Silent("the connection broke".into());
    let tls = |why: &str| Reach::NoTls(format!("ns:9877: the TLS handshake failed: {why}"));
    let plain = Some(Port { answers_plain: true, ..Port::default() });
    let encrypted = Some(Port { answers_tls: true, ..Port::default() });
    let swapped = Some(Port { answers_other_role: true, ..Port::default() });
    let usual = "posthaste -n ns:9876 doctor T";
    let denied = |remark: &str| answer(ResponseCode::SYSTEM_ERROR, remark, 407);
    let key = "posthaste -n ns:9877 --access-key KEY --secret-key-file FILE doctor T";
    for (reach, port, expected) in [
        (answer(ResponseCode::TOPIC_NOT_EXIST, "", 513), None, ("", "")),
        (
            Reach::Unresolved("no such name".into()),
            None,
            ("name-server-unresolved", "posthaste -n HOST:9876 doctor T"),
        ),
        (
            Reach::Unconnected("refused".into()),
            None,
            ("name-server-unreachable", "posthaste -n HOST:9876 doctor T"),
        ),
        (silent(), speaks(Speaks::Http), ("port-speaks-http", usual)),
        (silent(), speaks(Speaks::Http2), ("port-speaks-grpc", usual)),
        (silent(), speaks(Speaks::Ssh), ("port-speaks-ssh", usual)),
        (silent(), None, ("no-remoting-answer", usual)),
        (silent(), swapped, ("ports-swapped", usual)),
        (
            answer(ResponseCode::REQUEST_CODE_NOT_SUPPORTED, "", 513),
            swapped,
            ("ports-swapped", usual),
        ),
        (silent(), encrypted, ("tls-wanted", "posthaste -n ns:9877 --tls doctor T")),
        (tls("eof"), plain, ("tls-not-spoken", "posthaste -n ns:9877 --tls=false doctor T")),
        (
            tls("invalid peer certificate: UnknownIssuer"),
            plain,
            ("certificate-untrusted", "posthaste -n ns:9877 --tls-ca FILE doctor T"),
        ),
        (denied("AclException: no accessKey"), None, ("access-key-wanted", key)),
        (
            answer(ResponseCode::SYSTEM_ERROR, "disk", 513),
            None,
            ("server-error", "posthaste -n ns:9877 doctor T"),
        ),
    ] {
        let seen = name_server("ns:9877", reach, port);
        let setting = setting("posthaste -n ns:9877 doctor T", false);
        let check = of_name_server(&seen, std::slice::from_ref(&seen), &setting);
        assert!(check.evidence.contains("name server ns:9877"), "{check:?}");
        assert_eq!(found(&check), expected, "{seen:?}");
    }
}

#[test]
fn a_name_server_beside_one_that_answers() {
    let well = name_server("b:9876", answer(ResponseCode::SUCCESS, "", 353), None);
    let down = name_server("a:9876", Reach::Unconnected("refused".into()), None);
    let all = [down.clone(), well.clone()];
    let setting = setting("posthaste -n a:9876;b:9876 doctor", false);
    let check = of_name_server(&down, &all, &setting);
    assert_eq!(found(&check), ("name-server-unreachable", "posthaste -n b:9876 doctor"));
    let check = of_name_server(&well, &all, &setting);
    assert_eq!(check.evidence, "name server b:9876 answers (0.4 ms), RocketMQ 4.7.0");
}

#[test]
fn a_broker() {
    let refused = || Reach::Unconnected("refused".into());
    for (reach, elsewhere, id, remedy) in [
        (
            refused(),
            Some("localhost"),
            "broker-unreachable",
            "posthaste --broker-map 172.17.0.3=localhost doctor Orders",
        ),
        (
            refused(),
            None,
            "broker-unreachable",
            "posthaste --broker-map 172.17.0.3=HOST-THAT-CAN-BE-REACHED doctor Orders",
        ),
        (
            Reach::Untrusted,
            None,
            "broker-untrusted",
            "posthaste --trusted-brokers 172.17.0.3 doctor Orders",
        ),
        (
            answer(ResponseCode::NO_PERMISSION, "check signature failed.", 513),
            None,
            "signature-refused",
            "posthaste --access-key KEY --secret-key-file FILE doctor Orders",
        ),
    ] {
        let setting = setting("posthaste doctor Orders", true);
        let [check] = &of_broker(&broker(reach, None, elsewhere), &setting)[..] else {
            panic!("{id}");
        };
        assert!(check.evidence.starts_with("broker-a advertises 172.17.0.3:10911"), "{check:?}");
        assert_eq!(found(check), (id, remedy));
    }
}

#[test]
fn an_old_broker_is_noted_and_is_no_finding() {
    for (version, notes) in [(353, 1), (407, 1), (413, 0), (513, 0)] {
        let seen = broker(answer(ResponseCode::SUCCESS, "", version), None, None);
        let checks = of_broker(&seen, &setting("posthaste doctor", false));
        assert!(checks.iter().all(|check| check.finding().is_none()));
        let old = checks.iter().filter(|check| check.id == Some("broker-old"));
        assert_eq!(old.count(), notes, "{version}");
    }
}
