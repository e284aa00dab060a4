//! Which place a value comes from.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Parser;

use super::*;
use crate::args::{Args, Servers};

/// The places that a value may have, all of them filled.
const ENVIRONMENT: &[(&str, &str)] =
    &[("POSTHASTE_NAMESRV", "env:1"), ("POSTHASTE_CONTEXT", "ofenv"), ("NAMESRV_ADDR", "theirs:1")];

const CONFIG: &str = r#"
current = "selected"
[context.named]
namesrv = "named:1"
[context.ofenv]
namesrv = "ofenv:1"
[context.ofproject]
namesrv = "ofproject:1"
[context.selected]
namesrv = "selected:1"
"#;

fn flags(words: &[&str]) -> Flags {
    let args = ["posthaste", "topic", "list"].iter().chain(words).copied();
    Args::try_parse_from(args).unwrap().flags
}

fn config(text: &str) -> Config {
    Config::parse(PathBuf::from("/c/config.toml"), text.to_owned()).unwrap()
}

fn project(text: &str) -> Project {
    Project::parse(PathBuf::from("/p/.posthaste.toml"), text).unwrap()
}

/// The settings of these places.
fn settle(
    words: &[&str],
    environment: &[(&str, &str)],
    config: &Config,
    project: Option<Project>,
) -> Result<Settings, Failure> {
    let environment: BTreeMap<&str, &str> = environment.iter().copied().collect();
    let env = |name: &str| environment.get(name).map(|text| (*text).to_owned());
    let flags = flags(words);
    let layers = layers(&flags, &env, flags.context.as_deref(), config, project)?;
    Settings::new(&flags, layers, None)
}

fn servers(settings: &Settings) -> String {
    match &settings.global.servers {
        Servers::List(list) | Servers::AddressServer(list) => list.clone(),
    }
}

/// The places are taken away one after another, the strongest first.
#[test]
fn a_value_comes_from_the_strongest_place_that_has_it() {
    let config_with = config(CONFIG);
    let config_without = config(&CONFIG.replace("current = \"selected\"\n", ""));
    let none = config("");
    type Row<'a> =
        (&'a [&'a str], &'a [(&'a str, &'a str)], &'a Config, Option<&'a str>, &'a str, &'a str);
    let environment = ENVIRONMENT;
    let without_ours = &ENVIRONMENT[1..];
    let theirs = &ENVIRONMENT[2..];
    let in_project = Some("context = \"ofproject\"");
    let rows: [Row<'_>; 10] = [
        (
            &["-n", "flag:1", "-c", "named"],
            environment,
            &config_with,
            in_project,
            "flag:1",
            "-n/--namesrv",
        ),
        (&["-c", "named"], environment, &config_with, in_project, "named:1", "context named (-c)"),
        (&[], environment, &config_with, in_project, "env:1", "POSTHASTE_NAMESRV"),
        (
            &[],
            without_ours,
            &config_with,
            in_project,
            "ofenv:1",
            "context ofenv (POSTHASTE_CONTEXT)",
        ),
        (
            &[],
            theirs,
            &config_with,
            in_project,
            "ofproject:1",
            "context ofproject (/p/.posthaste.toml)",
        ),
        (
            &[],
            theirs,
            &config_with,
            Some("namesrv = \"localhost:1\""),
            "localhost:1",
            "/p/.posthaste.toml",
        ),
        (&[], theirs, &config_with, None, "selected:1", "context selected (selected)"),
        (
            &[],
            theirs,
            &config_with,
            Some("output = \"json\""),
            "selected:1",
            "context selected (selected)",
        ),
        (&[], theirs, &config_without, None, "theirs:1", "NAMESRV_ADDR"),
        (&[], &[], &none, None, "127.0.0.1:9876", "the default"),
    ];
    for (words, environment, config, text, expected, from) in rows {
        let settings = settle(words, environment, config, text.map(project)).unwrap();
        let found = find(&settings.layers, &["namesrv"]);
        let source = found.map_or(Source::Default, |(_, _, source)| source.clone());
        assert_eq!((servers(&settings).as_str(), source.of("namesrv").as_str()), (expected, from));
    }
}

/// Every value has a flag of its own, or none; a variable, or none; and its place in a context.
#[test]
fn every_value_is_read_from_everywhere() {
    let context = config(
        r#"
        [context.c]
        namesrv = "c:1"
        access_key = "k"
        secret_command = ["pass", "show me"]
        tls_ca = "ca.pem"
        tls_client_cert = "/cert.pem"
        tls_client_key = "/key.pem"
        tls_server_name = "mq"
        tls_min = "1.3"
        dangerous_accept_any_certificate = true
        namespace = "n"
        namespace_v2 = "n2"
        socks5 = "proxy:1080"
        socks5_user = "u"
        socks5_password = "p"
        broker_map = ["a=b", "c:1=d:2"]
        broker_host = "h"
        trusted_brokers = ["10.0.0.0/8"]
        vip = true
        unit = "east"
        instance_name = "me"
        timeout = "5s"
        output = "json"
        "#,
    );
    let of_context = settle(&["-c", "c"], &[], &context, None).unwrap().global;
    let (text, key) = (format!("{of_context:?}"), "K");
    for expected in [
        "c:1",
        "\"k\"",
        "pass",
        "show me",
        "/c/ca.pem",
        "/cert.pem",
        "/key.pem",
        "\"mq\"",
        "V1_3",
        "accept_any: true",
        "\"n\"",
        "\"n2\"",
        "proxy:1080",
        "\"u\"",
        "(\"c:1\", \"d:2\")",
        "\"h\"",
        "10.0.0.0/8",
        "vip: true",
        "east",
        "\"me\"",
        "5s",
        "Json",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    for Key { name, kind, flag, .. } in KEYS {
        let value = match (*name, kind) {
            ("output", _) => "json",
            ("color", _) => "never",
            ("tls_min", _) => "1.3",
            ("timeout", _) => "5s",
            ("broker_map", _) => "a=b",
            (_, Kind::Switch) => "true",
            (_, Kind::Number) => "7",
            _ => key,
        };
        let flag = flag.map(|flag| flag.rsplit('/').next().unwrap());
        if let Some(flag) = flag {
            let word = format!("{flag}={value}");
            let given = flags(&[&word]).given();
            assert_eq!(given, [(*name, vec![value.to_owned()])], "{word}");
        }
        let Some(variable) = super::key(name).unwrap().variable() else { continue };
        let env = |asked: &str| (asked == variable).then(|| value.to_owned());
        let layer = environment_layer(&env).unwrap();
        assert_eq!(
            layer.values.get(name).map(Vec::as_slice),
            Some(&[value.to_owned()][..]),
            "{name}"
        );
    }
}

#[test]
fn a_context_on_the_command_line_says_what_it_is_taken_instead_of() {
    let settings = settle(&["-c", "named"], ENVIRONMENT, &config(CONFIG), None).unwrap();
    let notes = [
        "namesrv is taken from context named (-c), not from POSTHASTE_NAMESRV",
        "namesrv is taken from context named (-c), not from NAMESRV_ADDR",
    ];
    assert_eq!(settings.notes, notes);
    let flagged = ["-c", "named", "-n", "flag:1"];
    assert!(settle(&flagged, ENVIRONMENT, &config(CONFIG), None).unwrap().notes.is_empty());
    assert!(settle(&[], ENVIRONMENT, &config(CONFIG), None).unwrap().notes.is_empty());
}

/// Keys and name servers, each from some place.
#[test]
fn keys_go_to_name_servers_of_their_own_place() {
    let with_keys = config(
        "current = \"c\"\n[context.c]\nnamesrv = \"c:1\"\naccess_key = \"k\"\nsecret_key_file = \"/s\"\n\
         tls_client_cert = \"/c\"\ntls_client_key = \"/k\"\n",
    );
    let plain = config("current = \"c\"\n[context.c]\nnamesrv = \"c:1\"\n");
    let file = ["--secret-key-file", "/s", "--access-key", "k"];
    type Row<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a Config, Option<&'a str>);
    let access = ("POSTHASTE_ACCESS_KEY", "k");
    let secret = ("POSTHASTE_SECRET_KEY", "s");
    let rows: [Row<'_>; 14] = [
        (&[], &[], &with_keys, None),
        (&["-c", "c"], &[], &with_keys, None),
        (&file, &[], &plain, None),
        (&[&["-n", "x:1"][..], &file].concat(), &[], &plain, None),
        (
            &[],
            &[access, secret, ("NAMESRV_ADDR", "x:1"), ("POSTHASTE_NAMESRV", "y:1")],
            &plain,
            None,
        ),
        (&["--access-key", "k", "-n", "x:1"], &[secret], &plain, None),
        // Without an access key, nothing is signed.
        (&[], &[secret], &plain, None),
        (
            &["-n", "x:1"],
            &[],
            &with_keys,
            Some(
                "access_key is from context c (selected), but the name servers are from -n/--namesrv",
            ),
        ),
        (&[], &[("POSTHASTE_NAMESRV", "x:1")], &with_keys, Some("are from POSTHASTE_NAMESRV")),
        (
            &[],
            &[("POSTHASTE_ADDRESS_SERVER", "x:1")],
            &with_keys,
            Some("are from POSTHASTE_ADDRESS_SERVER"),
        ),
        (
            &[],
            &[secret],
            &with_keys,
            Some(
                "secret_key is from POSTHASTE_SECRET_KEY, but the name servers are from context c (selected)",
            ),
        ),
        (&[], &[access, secret], &plain, Some("access_key is from POSTHASTE_ACCESS_KEY")),
        (
            &["-n", "x:1", "--access-key", "k"],
            &[],
            &with_keys,
            Some("secret_key_file is from context c"),
        ),
        (
            &[&["-n", "x:1"][..], &file].concat(),
            &[],
            &with_keys,
            Some("tls_client_key is from context c"),
        ),
    ];
    for (words, environment, config, expected) in rows {
        let settings = settle(words, environment, config, None).unwrap();
        let checked = settings.check_credentials();
        match expected {
            None => assert!(checked.is_ok(), "{words:?} {environment:?}: {checked:?}"),
            Some(says) => {
                let failure = checked.expect_err(&format!("{words:?} {environment:?}"));
                assert!(failure.message.contains(says), "{words:?}: {}", failure.message);
            }
        }
    }
}

#[test]
fn tls_can_be_turned_off_by_a_stronger_place_and_no_other() {
    let ca = config("current = \"c\"\n[context.c]\nnamesrv = \"c:1\"\ntls_ca = \"/ca\"\n");
    let tls = |words: &[&str]| {
        settle(words, &[], &ca, None).map(|settings| settings.global.tls.is_some())
    };
    assert!(tls(&[]).unwrap());
    assert!(!tls(&["--tls=false"]).unwrap());
    let clash = tls(&["--tls=false", "--tls-ca", "/x"]).unwrap_err();
    assert!(clash.message.contains("tls is off, and tls_ca is set"), "{clash:?}");
    let off = config("current = \"c\"\n[context.c]\nnamesrv = \"c:1\"\ntls = false\n");
    let flagged = settle(&["--tls-ca", "/x"], &[], &off, None).unwrap_err();
    assert!(flagged.message.contains("tls is off, and tls_ca is set"), "{flagged:?}");
}

#[test]
fn what_excludes_each_other_is_said() {
    let none = config("");
    for (words, environment, says) in [
        (
            &["-n", "a:1", "--address-server", "b"][..],
            &[][..],
            "--address-server and -n/--namesrv say the same thing",
        ),
        (
            &[],
            &[("POSTHASTE_SECRET_KEY", "a"), ("POSTHASTE_SECRET_KEY_FILE", "b")][..],
            "POSTHASTE_SECRET_KEY",
        ),
        (&["--tls-client-key", "a"], &[], "tls_client_key needs tls_client_cert"),
        (&["--tls-client-cert", "a"], &[], "tls_client_cert needs tls_client_key"),
        (&["--socks5-user", "a"], &[], "socks5_user needs a password"),
        (
            &["--socks5-user", "a"],
            &[("POSTHASTE_SOCKS5_PASSWORD", "p")],
            "socks5_user needs socks5",
        ),
        (&[], &[("POSTHASTE_TIMEOUT", "soon")], "timeout from POSTHASTE_TIMEOUT: "),
        (
            &[],
            &[("POSTHASTE_OUTPUT", "xml")],
            "output from POSTHASTE_OUTPUT: `xml` is none of text, json",
        ),
        (&[], &[("POSTHASTE_TLS", "on")], "tls from POSTHASTE_TLS: `on` is neither true nor false"),
        (&["-c", "x"], &[], "there is no context x (context x (-c))"),
        (
            &[],
            &[("POSTHASTE_CONTEXT", "x")],
            "there is no context x (context x (POSTHASTE_CONTEXT))",
        ),
    ] {
        let failure = settle(words, environment, &none, None).unwrap_err();
        assert!(failure.message.contains(says), "{says}: {}", failure.message);
        assert_eq!(failure.exit as i32, 2, "{says}");
    }
}

#[test]
fn a_file_that_is_wrong_says_where_and_what_is_meant() {
    for (text, says) in [
        ("curent = \"a\"", "line 1: unknown key `curent`; did you mean `current`?"),
        (
            "[context.a]\nnamesrvs = \"a:1\"",
            "line 2: unknown key `namesrvs`; did you mean `namesrv`?",
        ),
        (
            "[context.a]\ntls = true",
            "line 1: context a: it has neither `namesrv` nor `address_server`",
        ),
        ("[context.a]\nnamesrv = \"a:1\"\naddress_server = \"b\"", "say the same thing"),
        ("[context.a]\nnamesrv = 1", "line 2: `namesrv` must be a text"),
        ("[context.a]\ntls = \"yes\"", "line 2: `tls` must be true or false"),
        ("[context.a]\nsecret_command = \"pass x\"", "as a list of texts; no shell reads it"),
        ("[context.\"a b\"]\nnamesrv = \"a:1\"", "no name of a context"),
        ("\n[context", "line 2: "),
        ("context = 1", "line 1: write a context as a table"),
    ] {
        let failure = Config::parse("/c".into(), text.to_owned()).unwrap_err();
        assert!(failure.message.contains(says), "{text}: {}", failure.message);
    }
}

/// Others may have written a project file.
#[test]
fn a_project_file_may_say_little() {
    for (text, says) in [
        ("tls_ca = \"x\"", "line 1: `tls_ca` may not stand in a project file"),
        ("output = \"json\"\nsecret_command = [\"x\"]", "line 2: `secret_command` may not"),
        ("dangerous_accept_any_certificate = true", "may not stand in a project file"),
        ("socks5 = \"x:1\"", "may not stand"),
        ("broker_map = [\"a=b\"]", "may not stand"),
        ("outptu = \"json\"", "unknown key `outptu`; did you mean `output`?"),
        ("contxt = \"a\"", "did you mean `context`?"),
        ("namesrv = \"mq.example.org:9876\"", "name servers on this machine only"),
        ("namesrv = \"127.0.0.1:1;10.0.0.1:1\"", "name servers on this machine only"),
        ("namesrv = \"localhost.example.org:1\"", "name servers on this machine only"),
        ("namesrv = \"localhost\"\ncontext = \"a\"", "line 1: `context` and `namesrv` exclude"),
        ("context = 1", "must be the name of a context"),
    ] {
        let failure = Project::parse("/p".into(), text).unwrap_err();
        assert!(failure.message.contains(says), "{text}: {}", failure.message);
    }
    let file = project("context = \"c\"\noutput = \"json\"\ntopic_queues = 4");
    assert_eq!(file.context.as_deref(), Some("c"));
    for local in ["127.0.0.1:1", "localhost", "[::1]:9876;127.0.0.9"] {
        assert!(Project::parse("/p".into(), &format!("namesrv = \"{local}\"")).is_ok(), "{local}");
    }
}
