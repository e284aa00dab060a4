//! What shells are told, and the manual.

use crate::shell::{posthaste, run};

/// Asks as the script of `shell` does.
async fn complete(shell: &str, index: usize, words: &[&str]) -> Vec<String> {
    let mut asks = posthaste(&["--"]);
    asks.args(words).env("POSTHASTE_COMPLETE", shell);
    asks.env("_CLAP_COMPLETE_INDEX", index.to_string()).env("_CLAP_IFS", "\n");
    let answer = run(asks, "").await.expect_code(0);
    assert_eq!(answer.stderr, "");
    answer.stdout.lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_of_the_named_cluster_are_offered() {
    let broker = posthaste_broker::Broker::builder()
        .topic("orders", 1)
        .topic("others", 1)
        .topic("rest", 1)
        .start()
        .await
        .unwrap();
    let server = broker.name_server();
    for command in ["send", "tail", "topic describe", "topic delete", "bench send --topic"] {
        let line = format!("posthaste -n {server} {command} o");
        assert_eq!(complete("bash", 0, &[&line]).await, ["orders", "others"], "{command}");
    }
    let server = server.to_string();
    let words = ["posthaste", "-n", &server, "send", "r"];
    assert_eq!(complete("zsh", 4, &words).await, ["rest"]);
    assert_eq!(complete("fish", 4, &words).await, ["rest"]);
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_cannot_be_asked_has_no_topics_and_no_error() {
    assert_eq!(complete("bash", 0, &["posthaste -n 127.0.0.1:1 send o"]).await, [""; 0]);
}

/// Bash cuts words at `:` and `=`, and takes the last piece for the word.
#[tokio::test(flavor = "multi_thread")]
async fn bash_gets_the_piece_that_it_asks_for() {
    assert_eq!(complete("bash", 0, &["posthaste --color=al"]).await, ["always"]);
    assert_eq!(complete("bash", 0, &["posthaste to"]).await, ["topic"]);
    let commands = complete("bash", 0, &["posthaste "]).await;
    assert!(commands.contains(&"send".to_owned()), "{commands:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_shell_has_a_script() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = run(posthaste(&["completions", shell]), "").await.expect_code(0).stdout;
        assert!(script.contains("POSTHASTE_COMPLETE"), "{shell}: {script}");
    }
    let unknown = run(posthaste(&["completions", "csh"]), "").await.expect_code(2);
    assert!(unknown.stderr.contains("fish"), "{}", unknown.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_manual_has_a_page_for_each_command() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("new").join("man1");
    let written = run(posthaste(&["man", pages.to_str().unwrap()]), "").await.expect_code(0);
    assert!(written.stdout.contains("posthaste.1"), "{}", written.stdout);
    for command in ["", "-dev", "-send", "-tail", "-topic-create", "-bench-send", "-completions"] {
        let page = std::fs::read_to_string(pages.join(format!("posthaste{command}.1"))).unwrap();
        assert!(page.contains("\\-\\-namesrv"), "{command}: {page}");
    }
    std::fs::write(folder.path().join("file"), "").unwrap();
    let file = folder.path().join("file");
    let refused = run(posthaste(&["man", file.to_str().unwrap()]), "").await.expect_code(1);
    assert!(refused.stderr.contains(file.to_str().unwrap()), "{}", refused.stderr);
}
