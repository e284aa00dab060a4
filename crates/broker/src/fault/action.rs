//! What a rule does to a request, or to its answer.

use std::time::Duration;

use posthaste_protocol::ResponseCode;

use super::lie::Lie;

/// What a rule does.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// Answers with this code.
    Refuse(ResponseCode),
    /// Answers that the message is stored, if less firmly than wanted.
    Status(ResponseCode),
    /// Answers nothing.
    NoAnswer,
    /// Does it later, or answers later.
    Delay(Duration),
    /// Closes the connection.
    Close,
    /// Resets the connection.
    Reset,
    /// Closes the connection this much later; until then it is deaf.
    SlowClose(Duration),
    /// Resets the connection once this many bytes of the request have come.
    CutRequestAfter(usize),
    /// Reads nothing more from the connection.
    StopReading,
    /// Reads the connection at this many bytes a second.
    ReadAt(u32),
    /// Writes to the connection at this many bytes a second.
    WriteAt(u32),
    /// Closes the connection after this many bytes of the answer.
    CutAfter(usize),
    /// Writes the answer at this many bytes a second.
    Trickle(u32),
    /// Writes the answer twice.
    AnswerTwice,
    /// Gives the answer a number that no request has.
    AnswerToAnotherNumber,
    /// Writes bytes that are no answer.
    Garbage,
    /// Sends the client away.
    GoAway,
    /// Answers with a route that is not true.
    Lie(Lie),
    /// Only counts.
    Pass,
}

impl Action {
    /// The name of the builder's method.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Refuse(_) => "refuse",
            Self::Status(_) => "status",
            Self::NoAnswer => "no_answer",
            Self::Delay(_) => "delay",
            Self::Close => "close",
            Self::Reset => "reset",
            Self::SlowClose(_) => "slow_close",
            Self::CutRequestAfter(_) => "cut_request_after",
            Self::StopReading => "stop_reading",
            Self::ReadAt(_) => "read_at",
            Self::WriteAt(_) => "write_at",
            Self::CutAfter(_) => "cut_after",
            Self::Trickle(_) => "trickle",
            Self::AnswerTwice => "answer_twice",
            Self::AnswerToAnotherNumber => "answer_to_another_number",
            Self::Garbage => "garbage",
            Self::GoAway => "go_away",
            Self::Lie(lie) => lie.name(),
            Self::Pass => "pass",
        }
    }

    /// Whether it is done to the true answer, which there must be first.
    pub(crate) fn needs_true_answer(&self) -> bool {
        matches!(
            self,
            Self::Status(_)
                | Self::CutAfter(_)
                | Self::Trickle(_)
                | Self::AnswerTwice
                | Self::AnswerToAnotherNumber
        )
    }

    /// Whether it is done to a connection as a whole, from the request on, which is carried out.
    pub(crate) fn is_of_line(&self) -> bool {
        matches!(self, Self::StopReading | Self::ReadAt(_) | Self::WriteAt(_))
    }

    /// Whether both do the same, if not by the same measure.
    pub(crate) fn is_same_kind(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    /// Whether it works on a request that gets no answer.
    pub(crate) fn works_one_way(&self, after_store: bool) -> bool {
        match self {
            Self::Close | Self::Reset | Self::SlowClose(_) | Self::Pass => true,
            Self::CutRequestAfter(_) | Self::StopReading | Self::ReadAt(_) | Self::WriteAt(_) => {
                true
            }
            Self::NoAnswer | Self::Delay(_) => !after_store,
            _ => false,
        }
    }
}
