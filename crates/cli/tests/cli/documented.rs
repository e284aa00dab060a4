//! The test in Python that the inspector's page about testing shows, run as it stands there.

use std::path::Path;

use tokio::process::Command;

use crate::dev::{Dev, dev};
use crate::inspector::{ANYWHERE, address};
use crate::shell::{Run, run};

const PAGE: &str = include_str!("../../../inspector/docs/testing.md");

/// What the page's test tests: it sends as a program in Python would.
const ORDERS: &str = r#"
import json, os, subprocess

def place(number):
    topic, body = os.environ["TOPIC"], json.dumps({"order": number})
    send = [os.environ["POSTHASTE"], "--timeout", "1h", "send", topic, body]
    subprocess.run([*send, "-k", number, "--tag", "placed"], check=True, stdout=subprocess.DEVNULL)
"#;

/// What pytest does: runs every function whose name begins with `test_`.
const RUNNER: &str = "
import test_orders
tests = [test for name, test in vars(test_orders).items() if name.startswith('test_')]
for test in tests:
    test()
print(len(tests), 'passed')
";

/// Runs it in a folder, with orders that go to this topic.
async fn python(dev: &Dev, folder: &Path, topic: &str) -> Run {
    let mut command = Command::new("python3");
    command
        .args(["-c", RUNNER])
        .current_dir(folder)
        .env("POSTHASTE", env!("CARGO_BIN_EXE_posthaste"))
        .env("NAMESRV_ADDR", dev.ready["name_server"].as_str().unwrap())
        .env("POSTHASTE_HTTP", address(dev))
        .env("TOPIC", topic)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .kill_on_drop(true);
    run(command, "").await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_test_in_python_passes_and_fails_when_it_has_to() {
    if Command::new("python3").arg("--version").output().await.is_err() {
        eprintln!("skipped: there is no python3");
        return;
    }
    let (_, code) = PAGE.split_once("```python\n").unwrap();
    let (code, _) = code.split_once("```").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("orders.py", ORDERS);
    // A busy machine has all the time that it needs.
    write("test_orders.py", &code.replace("5s", "60s"));
    let dev = dev(&[&ANYWHERE[..], &["--topic", "orders:1"]].concat()).await;
    let passed = python(&dev, folder.path(), "orders").await.expect_code(0);
    assert_eq!(passed.stdout, "2 passed\n");
    // Its rule is removed.
    let mut rules = crate::shell::posthaste(&["fault", "list"]);
    rules.env("POSTHASTE_HTTP", address(&dev));
    assert_eq!(run(rules, "").await.expect_code(0).stdout, "");
    write("test_orders.py", &code.replace("5s", "1ms"));
    let failed = python(&dev, folder.path(), "payments").await.expect_code(1);
    let said = "0 of 1 messages with the key";
    assert!(failed.stderr.contains(said), "{}", failed.stderr);
    dev.stop("INT").await;
}
