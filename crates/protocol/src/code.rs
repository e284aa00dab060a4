//! Request and response codes by name (Java: `RequestCode`, `ResponseCode`,
//! `RemotingSysResponseCode`).

use std::fmt;

macro_rules! codes {
    ($(#[$meta:meta])* $type:ident { $($(#[$doc:meta])* $name:ident = $value:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type(pub i32);

        impl $type {
            $($(#[$doc])* pub const $name: Self = Self($value);)*

            /// Every code that has a name here.
            pub const NAMED: &'static [Self] = &[$(Self::$name,)*];

            /// The protocol's name of this code; `None` when it has none here.
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.name() {
                    Some(name) => write!(f, "{} {name}", self.0),
                    None => write!(f, "{}", self.0),
                }
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

codes! {
    /// What a request asks for.
    RequestCode {
        /// Send one message, header with full field names.
        SEND_MESSAGE = 10,
        /// Read messages of one queue from an offset on.
        PULL_MESSAGE = 11,
        /// Find messages by key.
        QUERY_MESSAGE = 12,
        /// A consumer group's stored offset of one queue.
        QUERY_CONSUMER_OFFSET = 14,
        /// Store a consumer group's offset of one queue.
        UPDATE_CONSUMER_OFFSET = 15,
        /// Create a topic or change its configuration.
        UPDATE_AND_CREATE_TOPIC = 17,
        /// Create many topics or change their configuration.
        UPDATE_AND_CREATE_TOPIC_LIST = 18,
        /// The configuration of every topic of a broker.
        GET_ALL_TOPIC_CONFIG = 21,
        /// A broker's settings.
        GET_BROKER_CONFIG = 26,
        /// A broker's figures.
        GET_BROKER_RUNTIME_INFO = 28,
        /// The offset of the first message stored at or after a time.
        SEARCH_OFFSET_BY_TIMESTAMP = 29,
        /// The offset that a queue's next message will get.
        GET_MAX_OFFSET = 30,
        /// The offset of the oldest message that a queue still has.
        GET_MIN_OFFSET = 31,
        /// When the oldest message of a queue was stored.
        GET_EARLIEST_MSG_STORETIME = 32,
        /// One message by its place in the commit log.
        VIEW_MESSAGE_BY_ID = 33,
        /// A client tells a broker its groups.
        HEART_BEAT = 34,
        /// A client leaves its groups.
        UNREGISTER_CLIENT = 35,
        /// A consumer gives a message back for later redelivery.
        CONSUMER_SEND_MSG_BACK = 36,
        /// Commit or roll back a half message.
        END_TRANSACTION = 37,
        /// The client ids of a consumer group.
        GET_CONSUMER_LIST_BY_GROUP = 38,
        /// Broker to producer: what became of this half message?
        CHECK_TRANSACTION_STATE = 39,
        /// Broker to consumer: the group's members have changed.
        NOTIFY_CONSUMER_IDS_CHANGED = 40,
        /// Lock queues for ordered consumption.
        LOCK_BATCH_MQ = 41,
        /// Release locked queues.
        UNLOCK_BATCH_MQ = 42,
        /// Check a consumer's filter expression.
        CHECK_CLIENT_CONFIG = 46,
        /// A setting that was put at a name server.
        GET_KV_CONFIG = 101,
        /// Delete a setting at a name server.
        DELETE_KV_CONFIG = 102,
        /// The route of a topic (4.x: `GET_ROUTEINTO_BY_TOPIC`).
        GET_ROUTEINFO_BY_TOPIC = 105,
        /// The brokers of every cluster.
        GET_BROKER_CLUSTER_INFO = 106,
        /// Create a consumer group or change its configuration.
        UPDATE_AND_CREATE_SUBSCRIPTIONGROUP = 200,
        /// The configuration of every consumer group.
        GET_ALL_SUBSCRIPTIONGROUP_CONFIG = 201,
        /// How far each queue of a topic reaches.
        GET_TOPIC_STATS_INFO = 202,
        /// Who of a consumer group is connected.
        GET_CONSUMER_CONNECTION_LIST = 203,
        /// Who of a producer group is connected.
        GET_PRODUCER_CONNECTION_LIST = 204,
        /// Tell clients that nothing of a broker may be written.
        WIPE_WRITE_PERM_OF_BROKER = 205,
        /// Every topic that the name server knows.
        GET_ALL_TOPIC_LIST_FROM_NAMESERVER = 206,
        /// Delete a consumer group.
        DELETE_SUBSCRIPTIONGROUP = 207,
        /// How far a consumer group has come.
        GET_CONSUME_STATS = 208,
        /// Delete a topic at a broker.
        DELETE_TOPIC_IN_BROKER = 215,
        /// Forget a topic's route.
        DELETE_TOPIC_IN_NAMESRV = 216,
        /// Broker to consumer: set the group's offsets.
        RESET_CONSUMER_CLIENT_OFFSET = 220,
        /// Broker to consumer: which offsets do you have?
        GET_CONSUMER_STATUS_FROM_CLIENT = 221,
        /// Set a consumer group's offsets.
        INVOKE_BROKER_TO_RESET_OFFSET = 222,
        /// Which offsets the members of a consumer group have.
        INVOKE_BROKER_TO_GET_CONSUMER_STATUS = 223,
        /// The topics of a cluster.
        GET_TOPICS_BY_CLUSTER = 224,
        /// Create many consumer groups or change their configuration.
        UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST = 225,
        /// The consumer groups of a topic.
        QUERY_TOPIC_CONSUME_BY_WHO = 300,
        /// From when to when a topic's messages are, and how far behind a group is.
        QUERY_CONSUME_TIME_SPAN = 303,
        /// The topics of a name server's own.
        GET_SYSTEM_TOPIC_LIST_FROM_NS = 304,
        /// The topics that a broker needs itself.
        GET_SYSTEM_TOPIC_LIST_FROM_BROKER = 305,
        /// Broker to consumer: what are you doing?
        GET_CONSUMER_RUNNING_INFO = 307,
        /// Broker to consumer: consume this message now.
        CONSUME_MESSAGE_DIRECTLY = 309,
        /// Send one message, header with one-letter field names.
        SEND_MESSAGE_V2 = 310,
        /// Give a group the offsets of another one.
        CLONE_GROUP_OFFSET = 314,
        /// How much of something passes in a time.
        VIEW_BROKER_STATS_DATA = 315,
        /// How far all groups of a broker have come.
        GET_BROKER_CONSUME_STATS = 317,
        /// A name server's settings.
        GET_NAMESRV_CONFIG = 319,
        /// Send many messages of one queue in one body.
        SEND_BATCH_MESSAGE = 320,
        /// What a queue has.
        QUERY_CONSUME_QUEUE = 321,
        /// Send a reply message.
        SEND_REPLY_MESSAGE = 324,
        /// Send a reply message, header with one-letter field names.
        SEND_REPLY_MESSAGE_V2 = 325,
        /// Broker to producer: a reply to one of your requests.
        PUSH_REPLY_MESSAGE_TO_CLIENT = 326,
        /// Take the wiping of write permission back.
        ADD_WRITE_PERM_OF_BROKER = 327,
        /// All producers that are connected.
        GET_ALL_PRODUCER_INFO = 328,
        /// The topics that a group has offsets of.
        QUERY_TOPICS_BY_CONSUMER = 343,
        /// What a group subscribes to of a topic.
        QUERY_SUBSCRIPTION_BY_CONSUMER = 345,
        /// The configuration of a topic.
        GET_TOPIC_CONFIG = 351,
        /// The configuration of a consumer group.
        GET_SUBSCRIPTIONGROUP_CONFIG = 352,
        /// As `PULL_MESSAGE`, from a lite pull consumer.
        LITE_PULL_MESSAGE = 361,
        /// Take back a timer message.
        RECALL_MESSAGE = 370,
    }
}

codes! {
    /// How a request ended.
    ResponseCode {
        /// A proxy could not ask a broker in time (5.x).
        RPC_TIME_OUT = -1006,
        /// A proxy could not send to a broker (5.x).
        RPC_SEND_TO_CHANNEL_FAILED = -1004,
        /// A proxy does not know a broker's address (5.x).
        RPC_ADDR_IS_NULL = -1002,
        /// A proxy could not ask a broker (5.x).
        RPC_UNKNOWN = -1000,
        /// Done.
        SUCCESS = 0,
        /// General failure.
        SYSTEM_ERROR = 1,
        /// Refused by flow control; a send was not stored.
        SYSTEM_BUSY = 2,
        /// The server does not know the request's code.
        REQUEST_CODE_NOT_SUPPORTED = 3,
        /// A transaction failed.
        TRANSACTION_FAILED = 4,
        /// Stored in memory; the flush to disk was not confirmed in time.
        FLUSH_DISK_TIMEOUT = 10,
        /// Stored on the master; there is no slave.
        SLAVE_NOT_AVAILABLE = 11,
        /// Stored on the master; the slave did not confirm in time.
        FLUSH_SLAVE_TIMEOUT = 12,
        /// The message breaks a rule of the broker.
        MESSAGE_ILLEGAL = 13,
        /// The store is shutting down, full, or a slave's.
        SERVICE_NOT_AVAILABLE = 14,
        /// A proxy misses the broker name.
        VERSION_NOT_SUPPORTED = 15,
        /// Not allowed.
        NO_PERMISSION = 16,
        /// No such topic, or no route to it.
        TOPIC_NOT_EXIST = 17,
        /// The topic is there already.
        TOPIC_EXIST_ALREADY = 18,
        /// Pull: nothing there yet.
        PULL_NOT_FOUND = 19,
        /// Pull: what there was did not match; go on at the given offset.
        PULL_RETRY_IMMEDIATELY = 20,
        /// Pull: the offset is outside of the queue; go on at the given one.
        PULL_OFFSET_MOVED = 21,
        /// A query found nothing.
        QUERY_NOT_FOUND = 22,
        /// The filter expression cannot be parsed.
        SUBSCRIPTION_PARSE_FAILED = 23,
        /// The group has no subscription here.
        SUBSCRIPTION_NOT_EXIST = 24,
        /// The broker's subscription of the group is older than the client's.
        SUBSCRIPTION_NOT_LATEST = 25,
        /// No such consumer group.
        SUBSCRIPTION_GROUP_NOT_EXIST = 26,
        /// No filter data for the group.
        FILTER_DATA_NOT_EXIST = 27,
        /// The filter data of the group is too old.
        FILTER_DATA_NOT_LATEST = 28,
        /// An argument is not valid (5.x).
        INVALID_PARAMETER = 29,
        /// Commit the half message.
        TRANSACTION_SHOULD_COMMIT = 200,
        /// Roll the half message back.
        TRANSACTION_SHOULD_ROLLBACK = 201,
        /// The transaction's state is not known.
        TRANSACTION_STATE_UNKNOW = 202,
        /// Another group's transaction.
        TRANSACTION_STATE_GROUP_WRONG = 203,
        /// Legacy routing by buyer id.
        NO_BUYER_ID = 204,
        /// The message belongs to another unit.
        NOT_IN_CURRENT_UNIT = 205,
        /// No consumer of the group is connected.
        CONSUMER_NOT_ONLINE = 206,
        /// A consumer did not answer in time.
        CONSUME_MSG_TIMEOUT = 207,
        /// No such message.
        NO_MESSAGE = 208,
        /// Refused by flow control (5.x).
        FLOW_CONTROL = 215,
        /// This broker does not host the logical queue (5.x).
        NOT_LEADER_FOR_QUEUE = 501,
        /// Too late, or a bad handle (5.x).
        ILLEGAL_OPERATION = 604,
        /// The server is about to stop; use another connection (5.x).
        GO_AWAY = 1500,
        /// The quota of light message queues is used up (5.5).
        LMQ_QUOTA_EXCEEDED = 2017,
        /// The quota of lite subscriptions is used up (5.5).
        LITE_SUBSCRIPTION_QUOTA_EXCEEDED = 2018,
    }
}

impl ResponseCode {
    /// Whether a send that is answered in this way was stored, if perhaps less firmly than wanted.
    pub fn means_stored(self) -> bool {
        let weaker =
            [Self::FLUSH_DISK_TIMEOUT, Self::SLAVE_NOT_AVAILABLE, Self::FLUSH_SLAVE_TIMEOUT];
        self == Self::SUCCESS || weaker.contains(&self)
    }
}
