//! How a message ends, and what is done then.

use std::task::Waker;

use crate::{Receipt, SendError};

/// How a message ended.
#[derive(Debug)]
pub(crate) enum End {
    Stored(Receipt),
    /// A batch that its caller made.
    BatchStored(Vec<Receipt>),
    /// One-way: written to the connection.
    Written,
    Failed(SendError),
}

impl End {
    /// What the caller of a single send gets. `None`: no single send ends so.
    pub(crate) fn receipt(self) -> Option<Result<Receipt, SendError>> {
        match self {
            Self::Stored(receipt) => Some(Ok(receipt)),
            Self::Failed(error) => Some(Err(error)),
            Self::BatchStored(_) | Self::Written => None,
        }
    }

    /// What the caller of a batch gets. `None`: no batch ends so.
    pub(crate) fn receipts(self) -> Option<Result<Vec<Receipt>, SendError>> {
        match self {
            Self::Stored(receipt) => Some(Ok(vec![receipt])),
            Self::BatchStored(receipts) => Some(Ok(receipts)),
            Self::Failed(error) => Some(Err(error)),
            Self::Written => None,
        }
    }

    /// What the caller of a one-way send gets.
    pub(crate) fn written(self) -> Option<Result<(), SendError>> {
        match self {
            Self::Written | Self::Stored(_) | Self::BatchStored(_) => Some(Ok(())),
            Self::Failed(error) => Some(Err(error)),
        }
    }
}

/// What runs when a message has ended.
pub(crate) type Callback = Box<dyn FnOnce(End) + Send>;

/// What remains to be done after the end of a message.
pub(crate) enum Wake {
    Nothing,
    Waker(Waker),
    Callback(Box<CallbackRun>),
}

/// A callback, and its argument.
pub(crate) type CallbackRun = (Callback, End);
