//! How a refused request goes on: back to its line, or as a failed attempt.

use posthaste_protocol::ResponseCode;

use super::answer::{Remedy, Verdict};
use super::refused_batch;
use crate::ErrorKind;

/// What is known of a request when it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Facts {
    /// How many messages it carries.
    pub(super) together: usize,
    /// Whether these may part: they share the request, and are no batch that a caller made.
    pub(super) shared: bool,
    /// Whether it has the older form already.
    pub(super) v1: bool,
    /// Whether a server that goes away has sent one of its messages away before.
    pub(super) sent_away_before: bool,
    /// Whether the producer has other credentials by now than the ones that signed it.
    pub(super) credentials_renewed: bool,
    /// Whether the application wants another attempt after this code.
    pub(super) retried_code: bool,
}

/// How it goes on. All but the last put it back at the head of its line: it was not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Course {
    /// The broker is busy: it gets less, and nothing for a moment.
    Pause,
    /// The broker does not know the newer form of a send.
    OlderForm,
    /// It may be the batch that the broker does not like, and not what is in it.
    SmallerBatches,
    /// The server goes away: there may be another one at its address, as Java assumes, too. If not,
    /// the next route has the others.
    NextServer,
    /// The attempt has failed.
    Failed {
        remedy: Remedy,
        /// Whether the messages go singly from now on.
        singly: bool,
    },
}

/// Decides, given the answer's code and what it means.
pub(super) fn course(code: ResponseCode, verdict: Verdict, facts: Facts) -> Course {
    match code {
        _ if verdict.remedy == Remedy::WaitHere => return Course::Pause,
        ResponseCode::REQUEST_CODE_NOT_SUPPORTED if !facts.v1 && facts.together == 1 => {
            return Course::OlderForm;
        }
        _ if facts.shared && refused_batch::may_refuse_batches(code) => {
            return Course::SmallerBatches;
        }
        ResponseCode::GO_AWAY if !facts.sent_away_before => return Course::NextServer,
        _ => {}
    }
    let remedy = match verdict.remedy {
        // A request that was signed with the old credentials may be taken with the new ones.
        _ if verdict.kind == ErrorKind::Denied && facts.credentials_renewed => Remedy::TryAgain,
        Remedy::Stop if facts.retried_code => Remedy::TryAgain,
        remedy => remedy,
    };
    // 5.x answers a batch that it finds too large in a way that tells nothing.
    let tells_nothing = code == ResponseCode::SYSTEM_ERROR && remedy != Remedy::AnotherQueue;
    Course::Failed { remedy, singly: facts.shared && tells_nothing }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::answer::judge;

    /// A single message, sent for the first time.
    const ONE: Facts = Facts {
        together: 1,
        shared: false,
        v1: false,
        sent_away_before: false,
        credentials_renewed: false,
        retried_code: false,
    };

    #[test]
    fn how_a_refused_request_goes_on() {
        let shared = Facts { together: 3, shared: true, ..ONE };
        let made = Facts { together: 3, ..ONE };
        let failed = |remedy| Course::Failed { remedy, singly: false };
        let no_queue = "request queueId[9] is illegal";
        for (code, remark, facts, expected) in [
            (ResponseCode::SYSTEM_BUSY, "", ONE, Course::Pause),
            (ResponseCode::FLOW_CONTROL, "", shared, Course::Pause),
            // The older form is tried once, and with a single message alone.
            (ResponseCode::REQUEST_CODE_NOT_SUPPORTED, "", ONE, Course::OlderForm),
            (
                ResponseCode::REQUEST_CODE_NOT_SUPPORTED,
                "",
                Facts { v1: true, ..ONE },
                failed(Remedy::Stop),
            ),
            (ResponseCode::REQUEST_CODE_NOT_SUPPORTED, "", shared, Course::SmallerBatches),
            // A batch that its caller made stays whole.
            (ResponseCode::REQUEST_CODE_NOT_SUPPORTED, "", made, failed(Remedy::Stop)),
            (ResponseCode::MESSAGE_ILLEGAL, "", shared, Course::SmallerBatches),
            (ResponseCode::MESSAGE_ILLEGAL, "", made, failed(Remedy::Stop)),
            (ResponseCode::MESSAGE_ILLEGAL, "", ONE, failed(Remedy::Stop)),
            (ResponseCode::GO_AWAY, "", shared, Course::NextServer),
            (
                ResponseCode::GO_AWAY,
                "",
                Facts { sent_away_before: true, ..ONE },
                failed(Remedy::TryAgain),
            ),
            (ResponseCode::NO_PERMISSION, "", ONE, failed(Remedy::TryOnceElsewhere)),
            (
                ResponseCode::NO_PERMISSION,
                "",
                Facts { credentials_renewed: true, ..ONE },
                failed(Remedy::TryAgain),
            ),
            // Codes of the application's add attempts, and take none away.
            (
                ResponseCode::ILLEGAL_OPERATION,
                "",
                Facts { retried_code: true, ..ONE },
                failed(Remedy::TryAgain),
            ),
            (
                ResponseCode::TOPIC_NOT_EXIST,
                "",
                Facts { retried_code: true, ..ONE },
                failed(Remedy::TryOnceWithNewRoute),
            ),
            (ResponseCode::SYSTEM_ERROR, "", ONE, failed(Remedy::TryAgain)),
            (
                ResponseCode::SYSTEM_ERROR,
                "",
                shared,
                Course::Failed { remedy: Remedy::TryAgain, singly: true },
            ),
            (ResponseCode::SYSTEM_ERROR, no_queue, shared, failed(Remedy::AnotherQueue)),
        ] {
            let found = course(code, judge(code, remark), facts);
            assert_eq!(found, expected, "{code} {remark} {facts:?}");
        }
    }
}
