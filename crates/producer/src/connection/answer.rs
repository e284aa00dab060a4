//! What a broker's answer to a send means: the table of codes.

use posthaste_protocol::ResponseCode;

use crate::{ErrorKind, Outcome};

/// How a refusal goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// Sending again will not help.
    Stop,
    /// Back to the head of its line, to the same broker, within the deadline.
    WaitHere,
    /// Another attempt, on another broker if there is one.
    TryAgain,
    /// At most one more attempt, if there is another broker.
    TryOnceElsewhere,
    /// One more attempt, with the route looked up again.
    TryOnceWithNewRoute,
    /// To another queue, by a route that is looked up again: the broker does not have this one. It
    /// uses up no retry, and a message that is for this queue alone ends.
    AnotherQueue,
}

/// What a refusal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) kind: ErrorKind,
    pub(crate) outcome: Outcome,
    pub(crate) remedy: Remedy,
    /// Whether the route is looked up again, since it may be out of date.
    pub(crate) refresh_route: bool,
}

/// Remarks of code 1 that prove that the message was not stored: part of the remark, what it means.
///
/// Each was seen from real 4.7.0 and 4.9.7 brokers, which refuse with code 1 and these words what
/// 5.x refuses with codes 16 and 29. Any other remark of code 1 may come from a failure after the
/// message was written.
const PROVEN_REFUSALS: &[(&str, ErrorKind, Remedy)] = &[
    ("AclException", ErrorKind::Denied, Remedy::TryOnceElsewhere),
    ("The specified topic ", ErrorKind::Invalid, Remedy::Stop),
];

/// How a remark begins that says that the topic has no such queue: with code 1 from 4.x brokers, with
/// 29 from 5.x. The route is out of date then, and nothing is wrong with the message.
const NO_SUCH_QUEUE: &str = "request queueId[";

/// Judges an answer to a send that is not a success (`failures.md` lists the same table).
pub(crate) fn judge(code: ResponseCode, remark: &str) -> Verdict {
    use ErrorKind as K;
    use Outcome::{NotStored, Unknown};
    use Remedy as R;

    let (kind, outcome, remedy, refresh_route) = match code {
        ResponseCode::SYSTEM_ERROR | ResponseCode::INVALID_PARAMETER
            if remark.contains(NO_SUCH_QUEUE) =>
        {
            (K::NoWritableQueue, NotStored, R::AnotherQueue, true)
        }
        ResponseCode::SYSTEM_BUSY | ResponseCode::FLOW_CONTROL => {
            (K::Busy, NotStored, R::WaitHere, false)
        }
        ResponseCode::SERVICE_NOT_AVAILABLE => (K::Unavailable, NotStored, R::TryAgain, true),
        ResponseCode::GO_AWAY => (K::Unavailable, NotStored, R::TryAgain, true),
        ResponseCode::NOT_LEADER_FOR_QUEUE => {
            (K::Unavailable, NotStored, R::TryOnceWithNewRoute, true)
        }
        ResponseCode::MESSAGE_ILLEGAL | ResponseCode::INVALID_PARAMETER => {
            (K::Invalid, NotStored, R::Stop, false)
        }
        ResponseCode::NO_PERMISSION => (K::Denied, NotStored, R::TryOnceElsewhere, true),
        ResponseCode::TOPIC_NOT_EXIST => (K::NoTopic, NotStored, R::TryOnceWithNewRoute, true),
        ResponseCode::REQUEST_CODE_NOT_SUPPORTED | ResponseCode::VERSION_NOT_SUPPORTED => {
            (K::Unsupported, NotStored, R::Stop, false)
        }
        ResponseCode::NO_BUYER_ID | ResponseCode::NOT_IN_CURRENT_UNIT => {
            (K::Rejected(code), NotStored, R::TryAgain, false)
        }
        ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST
        | ResponseCode::ILLEGAL_OPERATION
        | ResponseCode::LMQ_QUOTA_EXCEEDED
        | ResponseCode::LITE_SUBSCRIPTION_QUOTA_EXCEEDED => {
            (K::Rejected(code), NotStored, R::Stop, false)
        }
        ResponseCode::SYSTEM_ERROR => match proven_refusal(remark) {
            Some((kind, remedy)) => (kind, NotStored, remedy, false),
            None => (K::Broker(code), Unknown, R::TryAgain, false),
        },
        _ => (K::Broker(code), Unknown, R::Stop, false),
    };
    Verdict { kind, outcome, remedy, refresh_route }
}

/// Whether an answer says that this client may not do what it asked for: 4.x says code 1 and
/// `AclException` where 5.x says 16.
pub(crate) fn is_denied(code: ResponseCode, remark: &str) -> bool {
    judge(code, remark).kind == ErrorKind::Denied
}

fn proven_refusal(remark: &str) -> Option<(ErrorKind, Remedy)> {
    let row = PROVEN_REFUSALS.iter().find(|(text, ..)| remark.contains(text))?;
    Some((row.1, row.2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ErrorKind as K;
    use Outcome::{NotStored, Unknown};
    use Remedy as R;

    #[test]
    fn every_code_has_its_meaning() {
        let rejected = |code: i32| K::Rejected(ResponseCode(code));
        for (code, kind, outcome, remedy) in [
            (2, K::Busy, NotStored, R::WaitHere),
            (215, K::Busy, NotStored, R::WaitHere),
            (3, K::Unsupported, NotStored, R::Stop),
            (13, K::Invalid, NotStored, R::Stop),
            (14, K::Unavailable, NotStored, R::TryAgain),
            (15, K::Unsupported, NotStored, R::Stop),
            (16, K::Denied, NotStored, R::TryOnceElsewhere),
            (17, K::NoTopic, NotStored, R::TryOnceWithNewRoute),
            (26, rejected(26), NotStored, R::Stop),
            (29, K::Invalid, NotStored, R::Stop),
            (204, rejected(204), NotStored, R::TryAgain),
            (205, rejected(205), NotStored, R::TryAgain),
            (501, K::Unavailable, NotStored, R::TryOnceWithNewRoute),
            (604, rejected(604), NotStored, R::Stop),
            (1500, K::Unavailable, NotStored, R::TryAgain),
            (2017, rejected(2017), NotStored, R::Stop),
            (2018, rejected(2018), NotStored, R::Stop),
            (1, K::Broker(ResponseCode(1)), Unknown, R::TryAgain),
            (99, K::Broker(ResponseCode(99)), Unknown, R::Stop),
            (-7, K::Broker(ResponseCode(-7)), Unknown, R::Stop),
        ] {
            let verdict = judge(ResponseCode(code), "");
            let found = (verdict.kind, verdict.outcome, verdict.remedy);
            assert_eq!(found, (kind, outcome, remedy), "code {code}");
        }
    }

    #[test]
    fn routes_are_looked_up_again_after_these_codes_alone() {
        let refreshing: Vec<i32> = ResponseCode::NAMED
            .iter()
            .filter(|code| judge(**code, "").refresh_route)
            .map(|code| code.0)
            .collect();
        assert_eq!(refreshing, [14, 16, 17, 501, 1500]);
    }

    /// As brokers of 4.9.7 and of 5.5.0 say it.
    #[test]
    fn a_queue_that_the_broker_does_not_have_is_about_the_route() {
        let remark = "request queueId[6] is illegal, TopicConfig [topicName=t, writeQueueNums=2]";
        for code in [ResponseCode::SYSTEM_ERROR, ResponseCode::INVALID_PARAMETER] {
            let expected = Verdict {
                kind: K::NoWritableQueue,
                outcome: NotStored,
                remedy: R::AnotherQueue,
                refresh_route: true,
            };
            assert_eq!(judge(code, remark), expected, "code {code}");
        }
        assert_eq!(judge(ResponseCode::INVALID_PARAMETER, "delayLevel").remedy, R::Stop);
    }

    #[test]
    fn only_proven_remarks_make_code_1_a_refusal() {
        for (text, kind, remedy) in PROVEN_REFUSALS {
            let verdict = judge(ResponseCode::SYSTEM_ERROR, &format!("CODE: 1 {text} [x]"));
            let found = (verdict.kind, verdict.outcome, verdict.remedy);
            assert_eq!(found, (*kind, NotStored, *remedy));
        }
        let verdict = judge(ResponseCode::SYSTEM_ERROR, "java.lang.NullPointerException");
        assert_eq!(verdict.outcome, Unknown);
    }
}
