//! What a broker does with a request: the meaning of each fault, as plain data.

use std::time::Duration;

use fastrand::Rng;

use super::fault::Fault;

/// What is done with a request, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Conduct {
    pub(super) store: bool,
    pub(super) store_after: Duration,
    /// Counted from the storing.
    pub(super) answer_after: Duration,
    pub(super) write: Write,
    pub(super) close: Close,
    /// For how long nothing is read afterwards.
    pub(super) stall: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Write {
    Nothing,
    Answer {
        code: i32,
        remark: String,
    },
    /// Says that it is stored, in bytes that come one by one.
    Trickle,
    Twice,
    /// With a binary header.
    Binary,
    /// The answer's first bytes: this many thousandths of it.
    Cut(usize),
    /// First an answer to a number that no request has; then the answer.
    Stray,
    /// First a request with the same number; then the answer.
    Colliding,
    /// Success, without a place.
    Placeless,
    Bytes(Vec<u8>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Close {
    No,
    Fin,
    Reset,
}

/// Codes by which a broker refuses without having stored.
const REFUSALS: [i32; 13] = [3, 13, 14, 15, 16, 17, 26, 204, 205, 501, 604, 2017, 2018];
/// Remarks of code 1 that say that nothing was stored.
const PROOFS: [&str; 2] = ["AclException: no permission", "The specified topic is not allowed"];

impl Conduct {
    /// Stores and says so.
    pub(super) fn good() -> Self {
        Self {
            store: true,
            store_after: Duration::ZERO,
            answer_after: Duration::ZERO,
            write: Write::Answer { code: 0, remark: String::new() },
            close: Close::No,
            stall: Duration::ZERO,
        }
    }

    /// Stores nothing, and answers with a code.
    pub(super) fn refuse(code: i32, remark: &str) -> Self {
        let write = Write::Answer { code, remark: remark.to_owned() };
        Self { store: false, write, ..Self::good() }
    }

    /// What a fault means.
    pub(super) fn of(fault: Option<Fault>, dice: &mut Rng) -> Self {
        let good = Self::good();
        let nothing = Self { write: Write::Nothing, ..good.clone() };
        let delay = Duration::from_millis(dice.u64(20..900));
        let close = if dice.bool() { Close::Fin } else { Close::Reset };
        let Some(fault) = fault else { return good };
        match fault {
            Fault::CloseBeforeStore => Self { store: false, close: Close::Fin, ..nothing },
            Fault::CloseAfterStore => Self { close: Close::Fin, ..nothing },
            Fault::ResetBeforeStore => Self { store: false, close: Close::Reset, ..nothing },
            Fault::ResetAfterStore => Self { close: Close::Reset, ..nothing },
            Fault::CutAnswer => Self { write: Write::Cut(dice.usize(1..1000)), close, ..good },
            Fault::SilentBeforeStore => Self { store: false, ..nothing },
            Fault::SilentAfterStore => nothing,
            Fault::DelayBeforeStore => Self { store_after: delay, ..good },
            Fault::DelayAfterStore => Self { answer_after: delay, ..good },
            Fault::Trickle => Self { write: Write::Trickle, ..good },
            Fault::AnswerTwice => Self { write: Write::Twice, ..good },
            Fault::AnswerToAnother => Self { write: Write::Stray, ..good },
            Fault::Garbage => {
                let close = if dice.bool() { close } else { Close::No };
                Self { store: dice.bool(), write: Write::Bytes(garbage(dice)), close, ..good }
            }
            Fault::UnreadableHeader => Self { write: Write::Bytes(frame_of(b"{code:")), ..good },
            Fault::DeepAnswer => {
                let mut header = b"{\"extFields\":".to_vec();
                header.resize(header.len() + 1_000, b'[');
                Self { write: Write::Bytes(frame_of(&header)), ..good }
            }
            Fault::IncompleteAnswer => Self { write: Write::Placeless, ..good },
            Fault::BinaryAnswer => Self { write: Write::Binary, ..good },
            Fault::Busy => Self::refuse(2, "[TIMEOUT_CLEAN_QUEUE]broker busy"),
            Fault::FlowControl => Self::refuse(215, "flow control"),
            Fault::StoredWeakly => Self { store: true, ..Self::refuse(dice.i32(10..=12), "") },
            Fault::GoAway => Self::refuse(1500, "please go away"),
            Fault::Refusal => {
                Self::refuse(dice.choice(REFUSALS).unwrap_or(14), "refused by the campaign")
            }
            Fault::ProvenRefusal => Self::refuse(1, dice.choice(PROOFS).unwrap_or_default()),
            Fault::SystemError => {
                Self { store: dice.bool(), ..Self::refuse(1, "java.lang.NullPointerException") }
            }
            Fault::UnknownCode => {
                let code = if dice.bool() { dice.i32(3_000..) } else { dice.i32(..0) };
                Self { store: dice.bool(), ..Self::refuse(code, "what is this") }
            }
            Fault::CollidingPush => Self { write: Write::Colliding, ..good },
            Fault::StopsReading => Self { stall: delay, ..good },
            _ => good,
        }
    }
}

/// Bytes that are no frame.
fn garbage(dice: &mut Rng) -> Vec<u8> {
    match dice.u32(..4) {
        0 => b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".to_vec(),
        1 => vec![0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x46],
        2 => [0xFF; 12].to_vec(),
        _ => (0..dice.usize(8..200)).map(|_| dice.u8(..)).collect(),
    }
}

/// A frame with this header and no body; the header may be anything.
fn frame_of(header: &[u8]) -> Vec<u8> {
    let length = u32::try_from(header.len()).unwrap_or(u32::MAX);
    let mut out = length.saturating_add(4).to_be_bytes().to_vec();
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(header);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::fault::{Scope, dice};

    /// A broker of the campaign must not lie: what it refuses so that a producer may call the message
    /// not stored, it does not store; what it says to be stored is.
    #[test]
    fn a_broker_never_lies() {
        let refusing = [2, 215, 1500].into_iter().chain(REFUSALS);
        let refusing: Vec<i32> = refusing.collect();
        for fault in Fault::ALL.iter().filter(|fault| fault.scope() == Scope::Request) {
            for seed in 0..200 {
                let conduct = Conduct::of(Some(*fault), &mut dice(&[seed]));
                let stored = conduct.store;
                match &conduct.write {
                    Write::Answer { code: 0 | 10 | 11 | 12, .. } => assert!(stored, "{fault:?}"),
                    Write::Answer { code, .. } if refusing.contains(code) => assert!(!stored),
                    Write::Answer { code: 1, remark } if PROOFS.contains(&remark.as_str()) => {
                        assert!(!stored);
                    }
                    Write::Answer { .. } | Write::Nothing | Write::Bytes(_) => {}
                    _ => assert!(stored, "{fault:?}"),
                }
            }
        }
    }

    #[test]
    fn every_fault_of_an_answer_does_something() {
        let elsewhere = [Fault::StrayCheck, Fault::LateReply];
        for fault in Fault::ALL.iter().filter(|fault| fault.scope() == Scope::Request) {
            let conduct = Conduct::of(Some(*fault), &mut dice(&[3]));
            assert_eq!(conduct == Conduct::good(), elsewhere.contains(fault), "{fault:?}");
        }
        assert!(Conduct::of(None, &mut dice(&[3])) == Conduct::good());
    }
}
