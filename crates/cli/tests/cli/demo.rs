//! The first thing that a newcomer runs.

use crate::shell::{posthaste, run};

#[tokio::test(flavor = "multi_thread")]
async fn it_shows_every_way_to_send_and_that_all_of_it_landed() {
    let run = run(posthaste(&["demo"]), "").await.expect_code(0);
    for heading in [
        "1. A broker",
        "2. Synchronous",
        "3. Asynchronous",
        "4. One-way",
        "5. Ordered",
        "6. What was stored",
        "7. Close",
    ] {
        assert!(run.stdout.contains(&format!("\n{heading}")), "{heading}\n{}", run.stdout);
    }
    for (what, count) in
        [("synchronous", "1"), ("asynchronous", "10,000"), ("one-way", "100"), ("ordered", "9")]
    {
        let line = run
            .stdout
            .lines()
            .find(|line| line.trim_start().starts_with(what))
            .unwrap_or_else(|| panic!("{what}"));
        assert_eq!(line.split_whitespace().collect::<Vec<_>>(), [what, count, "of", count, "sent"]);
    }
    assert!(run.stdout.contains("order-1: created, then paid, then shipped"), "{}", run.stdout);
    assert_eq!(run.stderr, "");
}
