//! The test message of `--send`, and what its end and its time mean.

use std::time::{Duration, Instant, SystemTime};

use posthaste::{ErrorKind, Message, Producer, SendError};

use super::check::Check;
use super::server::Setting;
use crate::exit;

/// How far a broker's clock may be from ours.
const MOST_SKEW: Duration = Duration::from_secs(5);

/// Sends a message and looks when the broker has stored it.
pub(super) async fn run(
    producer: &Producer,
    topic: &str,
    setting: &Setting,
    time: Duration,
) -> Vec<Check> {
    let message = Message::new(topic, "a test of posthaste doctor").tag("posthaste-doctor");
    let (begun, before) = (Instant::now(), SystemTime::now());
    let receipt = match tokio::time::timeout(time, producer.send(message)).await {
        Ok(Ok(receipt)) => receipt,
        Ok(Err(error)) => return vec![failed(topic, &error, setting)],
        Err(_) => {
            let evidence = format!("test message to {topic}: no answer within {time:?}");
            return vec![unsent(evidence, setting)];
        }
    };
    let after = SystemTime::now();
    let mut checks = vec![Check::ok(format!(
        "test message stored: {} offset={} {}",
        receipt.queue(),
        receipt.queue_offset(),
        receipt.status().as_str()
    ))];
    let admin = producer.admin().with_timeout(time.saturating_sub(begun.elapsed()));
    if let Ok(Some(read)) = admin.view(topic, receipt.offset_message_id()).await {
        checks.push(clock(receipt.queue().broker(), before, read.stored_at(), after));
    }
    checks
}

/// What it means when a message that was sent in between was stored at this time.
fn clock(broker: &str, before: SystemTime, stored: SystemTime, after: SystemTime) -> Check {
    let behind = before.duration_since(stored).unwrap_or_default();
    let ahead = stored.duration_since(after).unwrap_or_default();
    let skew = behind.max(ahead);
    if skew <= MOST_SKEW {
        return Check::ok(format!("clock of {broker} agrees with this machine's"));
    }
    let which = if behind > ahead { "behind" } else { "ahead of" };
    Check::fail(
        "clock-skew",
        format!(
            "{broker} stored the test message at a time {:.1} s {which} this machine's",
            skew.as_secs_f64()
        ),
        "Delays and searches by time will be off by that. On the machine whose clock is wrong:",
        "timedatectl set-ntp true",
    )
}

fn failed(topic: &str, error: &SendError, setting: &Setting) -> Check {
    let evidence = format!("test message to {topic}: {}", exit::reason(error));
    match error.kind() {
        ErrorKind::Denied => Check::fail(
            "topic-denied",
            evidence,
            "This client may not send to this topic. Grant it that (ACL), or use a key that may:",
            setting.typed.with_key(),
        ),
        _ => unsent(evidence, setting),
    }
}

fn unsent(evidence: String, setting: &Setting) -> Check {
    Check::fail(
        "test-send-failed",
        evidence,
        "Everything before the send is well; the broker's log may say more. To try it once more:",
        setting.typed.again(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_may_differ_a_little() {
        let at = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        for (stored, expected) in [
            (100, None),
            (95, None),
            (107, None),
            (94, Some("6.0 s behind")),
            (108, Some("6.0 s ahead of")),
        ] {
            let check = clock("b", at(100), at(stored), at(102));
            let said = check.finding().map(|id| {
                assert_eq!(id, "clock-skew");
                assert_eq!(check.remedy.as_deref(), Some("timedatectl set-ntp true"));
                check.evidence.as_str()
            });
            assert_eq!(said.is_some(), expected.is_some(), "{stored}: {check:?}");
            assert!(expected.is_none_or(|words| said.unwrap().contains(words)), "{check:?}");
        }
    }
}
