//! Messages with a delivery time, taken back.

use posthaste_broker::Broker;

use crate::shell::{Run, broker, posthaste, posthaste_at, run, send};

async fn recall(broker: &Broker, args: &[&str]) -> Run {
    let args: Vec<&str> = ["recall"].iter().chain(args).copied().collect();
    run(posthaste_at(broker.name_server(), &args), "").await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_send_prints_takes_a_message_back() {
    let broker = broker().await;
    let args = ["T", "later", "--delay", "1h", "-o", "json"];
    let receipt = send(&broker, &args, "").await.expect_code(0).json().remove(0);
    let handle = receipt["recall_handle"].as_str().unwrap();
    let back = recall(&broker, &[handle]).await.expect_code(0);
    assert_eq!(back.stdout, format!("recalled  {}\n", receipt["msg_id"].as_str().unwrap()));

    let text = send(&broker, &["T", "later", "--delay", "1h"], "").await.expect_code(0).stdout;
    let (_, handle) = text.trim_end().split_once("  recall=").unwrap();
    let back = recall(&broker, &[handle, "-o", "json"]).await.expect_code(0).json();
    assert_eq!(back[0]["_cmd"], "recall");
    assert!(text.contains(back[0]["msg_id"].as_str().unwrap()), "{text}");
    // A message for now has no such thing.
    let now = send(&broker, &["T", "now"], "").await.expect_code(0).stdout;
    assert!(!now.contains("recall"), "{now}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_taken_back_is_said() {
    let broker = broker().await;
    let args = ["T", "later", "--delay", "1h", "-o", "json"];
    let receipt = send(&broker, &args, "").await.expect_code(0).json().remove(0);
    let handle = receipt["recall_handle"].as_str().unwrap();
    for handle in ["", "x", receipt["msg_id"].as_str().unwrap()] {
        recall(&broker, &[handle]).await.expect_code(2);
    }
    let other = crate::shell::broker().await;
    let unknown = recall(&other, &[handle]).await.expect_code(3);
    assert!(unknown.stderr.contains("no such topic: T"), "{}", unknown.stderr);
    let args = ["-n", "127.0.0.1:1", "--timeout", "300ms", "recall", handle];
    run(posthaste(&args), "").await.expect_code(3);
}
