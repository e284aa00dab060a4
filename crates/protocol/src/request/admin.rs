//! What administration tools ask: one enum over all of it, apart from what producers and consumers
//! cannot do without.

use super::{
    BrokerConfigOf, BrokerConsumeStatsOf, BrokerStatsOf, BrokerSystemTopics, CloneOffsets,
    ClusterInfoOf, ConsumeDirectly, ConsumeQueueOf, ConsumeStatsOf, ConsumerConnectionOf,
    ConsumersOfTopic, CreateTopics, DeleteGroup, DeleteKvConfig, DeleteTopic,
    DeleteTopicInNameServer, GiveWritePermission, GroupConfig, GroupConfigOf, GroupConfigsOf,
    KvConfigOf, MembersOffsetsOf, NameServerConfigOf, NameServerSystemTopics, ProducerConnectionOf,
    ProducersOf, Request, ResetOffset, RunningInfoOf, RuntimeInfoOf, SetGroups, SubscriptionOf,
    TimeSpansOf, TopicConfigOf, TopicConfigsOf, TopicStatsOf, TopicsOfCluster, TopicsOfConsumer,
    WipeWritePermission,
};
use crate::{Command, DecodeError};

macro_rules! admin {
    ($($(#[$doc:meta])* $variant:ident($type:ty),)*) => {
        /// A request of an administration tool.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Admin {
            $($(#[$doc])* $variant($type),)*
        }

        impl Admin {
            /// Reads a request; `None` when its code is none of these.
            ///
            /// # Errors
            /// When its fields or its body do not fit its code.
            pub fn read(command: &Command) -> Result<Option<Self>, DecodeError> {
                $(
                    if command.request_code() == <$type as Request>::CODE {
                        return Ok(Some(Self::$variant(command.read()?)));
                    }
                )*
                Ok(None)
            }

            /// The request as it is sent.
            pub fn command(&self, opaque: i32) -> Command {
                match self {
                    $(Self::$variant(request) => Command::of(request, opaque),)*
                }
            }
        }
    };
}

admin! {
    /// 18.
    CreateTopics(CreateTopics),
    /// 21.
    TopicConfigsOf(TopicConfigsOf),
    /// 26.
    BrokerConfigOf(BrokerConfigOf),
    /// 28.
    RuntimeInfoOf(RuntimeInfoOf),
    /// 101.
    KvConfigOf(KvConfigOf),
    /// 102.
    DeleteKvConfig(DeleteKvConfig),
    /// 106.
    ClusterInfoOf(ClusterInfoOf),
    /// 200.
    SetGroup(GroupConfig),
    /// 201.
    GroupConfigsOf(GroupConfigsOf),
    /// 202.
    TopicStatsOf(TopicStatsOf),
    /// 203.
    ConsumerConnectionOf(ConsumerConnectionOf),
    /// 204.
    ProducerConnectionOf(ProducerConnectionOf),
    /// 205.
    WipeWritePermission(WipeWritePermission),
    /// 207.
    DeleteGroup(DeleteGroup),
    /// 208.
    ConsumeStatsOf(ConsumeStatsOf),
    /// 215.
    DeleteTopic(DeleteTopic),
    /// 216.
    DeleteTopicInNameServer(DeleteTopicInNameServer),
    /// 222.
    ResetOffset(ResetOffset),
    /// 223.
    MembersOffsetsOf(MembersOffsetsOf),
    /// 224.
    TopicsOfCluster(TopicsOfCluster),
    /// 225.
    SetGroups(SetGroups),
    /// 300.
    ConsumersOfTopic(ConsumersOfTopic),
    /// 303.
    TimeSpansOf(TimeSpansOf),
    /// 304.
    NameServerSystemTopics(NameServerSystemTopics),
    /// 305.
    BrokerSystemTopics(BrokerSystemTopics),
    /// 307.
    RunningInfoOf(RunningInfoOf),
    /// 309.
    ConsumeDirectly(ConsumeDirectly),
    /// 314.
    CloneOffsets(CloneOffsets),
    /// 315.
    BrokerStatsOf(BrokerStatsOf),
    /// 317.
    BrokerConsumeStatsOf(BrokerConsumeStatsOf),
    /// 319.
    NameServerConfigOf(NameServerConfigOf),
    /// 321.
    ConsumeQueueOf(ConsumeQueueOf),
    /// 327.
    GiveWritePermission(GiveWritePermission),
    /// 328.
    ProducersOf(ProducersOf),
    /// 343.
    TopicsOfConsumer(TopicsOfConsumer),
    /// 345.
    SubscriptionOf(SubscriptionOf),
    /// 351.
    TopicConfigOf(TopicConfigOf),
    /// 352.
    GroupConfigOf(GroupConfigOf),
}
