//! Every example runs and ends well.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::duplicate_mod, reason = "each example is a program that declares what it shares")]

use std::collections::BTreeSet;

/// Runs each of these examples in a separate test.
macro_rules! examples {
    ($($name:ident = $path:literal)*) => {
        $(#[path = $path] mod $name;)*
        $(#[test] fn $name() { $name::main().unwrap(); })*
        const TESTED: &[&str] = &[$(stringify!($name)),*];
    };
}
examples! {
    hello = "../examples/hello.rs"
    pipelined = "../examples/pipelined.rs"
    callback = "../examples/callback.rs"
    oneway = "../examples/oneway.rs"
    ordered = "../examples/ordered.rs"
    batch = "../examples/batch.rs"
    delayed = "../examples/delayed.rs"
    transaction = "../examples/transaction.rs"
    request_reply = "../examples/request_reply.rs"
    blocking = "../examples/blocking.rs"
    errors_and_retry = "../examples/errors_and_retry.rs"
    shutdown = "../examples/shutdown.rs"
    metrics = "../examples/metrics.rs"
    docker_address_map = "../examples/docker_address_map.rs"
    acl_tls = "../examples/acl_tls.rs"
    testing_with_the_embedded_broker = "../examples/testing_with_the_embedded_broker.rs"
}

#[test]
fn no_example_is_left_out() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
    let there: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| Some(entry.unwrap().file_name().to_str()?.strip_suffix(".rs")?.into()))
        .collect();
    let tested = TESTED.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(there, tested);
}
