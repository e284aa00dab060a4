//! Offsets of a queue: by time (29), greatest (30), least (31), time of the oldest message (32).

use super::{fields, request};

fields! {
    /// Asks for the offset of the first message stored at or after a time.
    SearchOffset {
        /// Topic.
        topic: String = "topic",
        /// Queue.
        queue_id: i32 = "queueId",
        /// Time in ms since 1970.
        timestamp_ms: i64 = "timestamp",
        /// `LOWER` or `UPPER` (5.x).
        boundary: Option<String> = "boundaryType",
        /// The broker that is meant (5.x).
        broker_name: Option<String> = "bname",
    }
}
request!(SearchOffset => SEARCH_OFFSET_BY_TIMESTAMP, OffsetAnswer);

fields! {
    /// Asks for the offset that the next message of a queue will get.
    MaxOffset {
        /// Topic.
        topic: String = "topic",
        /// Queue.
        queue_id: i32 = "queueId",
        /// Whether only committed messages count (5.x).
        committed: Option<bool> = "committed",
        /// The broker that is meant (5.x).
        broker_name: Option<String> = "bname",
    }
}
request!(MaxOffset => GET_MAX_OFFSET, OffsetAnswer);

fields! {
    /// Asks for the offset of the oldest message that a queue still has.
    MinOffset {
        /// Topic.
        topic: String = "topic",
        /// Queue.
        queue_id: i32 = "queueId",
        /// The broker that is meant (5.x).
        broker_name: Option<String> = "bname",
    }
}
request!(MinOffset => GET_MIN_OFFSET, OffsetAnswer);

fields! {
    /// An offset.
    OffsetAnswer {
        /// The offset.
        offset: i64 = "offset",
    }
}

fields! {
    /// Asks when the oldest message of a queue was stored.
    EarliestStoreTime {
        /// Topic.
        topic: String = "topic",
        /// Queue.
        queue_id: i32 = "queueId",
        /// The broker that is meant (5.x).
        broker_name: Option<String> = "bname",
    }
}
request!(EarliestStoreTime => GET_EARLIEST_MSG_STORETIME, StoreTime);

fields! {
    /// A time.
    StoreTime {
        /// ms since 1970; −1 when there is no message.
        timestamp_ms: i64 = "timestamp",
    }
}
