//! Transactions: `END_TRANSACTION` (37), `CHECK_TRANSACTION_STATE` (39).

use super::{Empty, fields, request};

/// What [`EndTransaction::decision`] says (Java: `MessageSysFlag`).
pub mod decision {
    /// The producer does not know; nothing happens, and the broker asks again.
    pub const UNKNOWN: i32 = 0;
    /// The half message becomes an ordinary one.
    pub const COMMIT: i32 = 8;
    /// The half message is dropped.
    pub const ROLLBACK: i32 = 12;
}

fields! {
    /// A producer says what becomes of a half message. Goes one-way: there is no answer.
    EndTransaction {
        /// Producer group, as the half message names it.
        group: String = "producerGroup",
        /// Topic of the message (5.x). A proxy needs it.
        topic: Option<String> = "topic",
        /// Offset of the half message in its queue of half messages.
        half_offset: i64 = "tranStateTableOffset",
        /// Place of the half message in the commit log.
        half_physical_offset: i64 = "commitLogOffset",
        /// One of [`decision`].
        decision: i32 = "commitOrRollback",
        /// Whether the broker has asked.
        from_check: Option<bool> = "fromTransactionCheck",
        /// The unique id of the message.
        message_id: Option<String> = "msgId",
        /// The transaction's id, as the broker gave it (5.x).
        transaction_id: Option<String> = "transactionId",
        /// The broker that is meant (5.x).
        broker_name: Option<String> = "bname",
    }
}
request!(EndTransaction => END_TRANSACTION, Empty);

fields! {
    /// A broker asks what became of a half message. It is answered by an [`EndTransaction`].
    CheckTransaction {
        /// Offset of the half message in its queue of half messages.
        half_offset: i64 = "tranStateTableOffset",
        /// Place of the half message in the commit log.
        half_physical_offset: i64 = "commitLogOffset",
        /// The unique id of the message.
        message_id: Option<String> = "msgId",
        /// The transaction's id; the answer repeats it.
        transaction_id: Option<String> = "transactionId",
        /// Offset message id of the half message.
        offset_message_id: Option<String> = "offsetMsgId",
        /// Topic of half messages; from a proxy that of the message (5.x).
        topic: Option<String> = "topic",
        /// Name of the broker (5.x).
        broker_name: Option<String> = "bname",
    }
    body {
        /// The message, as a stored one.
        message
    }
}
request!(CheckTransaction => CHECK_TRANSACTION_STATE, Empty);
