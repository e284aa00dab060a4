//! Requests of every kind, filled with random values.

use posthaste_protocol::request::*;
use posthaste_protocol::{Incoming, Request};

use crate::source::Source;
use crate::targets::again;

fn check<R: Request>(request: R, incoming: fn(R) -> Incoming) {
    let read = again(&request);
    assert_eq!(read, incoming(request));
}

/// Sends, in their three forms.
pub(crate) fn sends(source: &mut Source<'_>) {
    check(source.send(), Incoming::Send);
    check(SendMessageV1(source.send()), |send| Incoming::Send(send.0));
    let batch = SendMessage { batch: true, ..source.send() };
    check(SendBatch(batch), |send| Incoming::Send(send.0));
}

/// Pulls, and the offsets of queues and groups.
pub(crate) fn pulls_and_offsets(source: &mut Source<'_>) {
    check(source.pull(), Incoming::Pull);
    check(LitePull(source.pull()), |pull| Incoming::Pull(pull.0));
    check(
        QueryConsumerOffset {
            group: source.text(),
            topic: source.text(),
            queue_id: source.int(),
            zero_if_missing: source.maybe(Source::flag),
            broker_name: source.maybe_text(),
        },
        Incoming::QueryConsumerOffset,
    );
    check(
        UpdateConsumerOffset {
            group: source.text(),
            topic: source.text(),
            queue_id: source.int(),
            offset: source.long(),
            broker_name: source.maybe_text(),
        },
        Incoming::UpdateConsumerOffset,
    );
    check(
        SearchOffset {
            topic: source.text(),
            queue_id: source.int(),
            timestamp_ms: source.long(),
            boundary: source.maybe_text(),
            broker_name: source.maybe_text(),
        },
        Incoming::SearchOffset,
    );
    check(
        MaxOffset {
            topic: source.text(),
            queue_id: source.int(),
            committed: source.maybe(Source::flag),
            broker_name: source.maybe_text(),
        },
        Incoming::MaxOffset,
    );
    check(
        MinOffset {
            topic: source.text(),
            queue_id: source.int(),
            broker_name: source.maybe_text(),
        },
        Incoming::MinOffset,
    );
}

/// Topics and their routes.
pub(crate) fn topics(source: &mut Source<'_>) {
    check(
        CreateTopic {
            topic: source.text(),
            default_topic: source.text(),
            read_queues: source.int(),
            write_queues: source.int(),
            perm: source.int(),
            filter_type: source.maybe_text(),
            sys_flag: source.maybe(Source::int),
            order: source.maybe(Source::flag),
            attributes: source.maybe_text(),
        },
        Incoming::CreateTopic,
    );
    check(
        RouteOf { topic: source.text(), standard_json: source.maybe(Source::flag) },
        Incoming::RouteOf,
    );
    check(TopicListOf, Incoming::TopicListOf);
}

/// What clients say of themselves and their groups.
pub(crate) fn members(source: &mut Source<'_>) {
    check(
        Heartbeat {
            client_id: source.text(),
            consumers: source.list(Source::consumer_group),
            fingerprint: source.int(),
            producers: source.list(|source| ProducerGroup { group_name: source.text() }),
            without_subscriptions: source.flag(),
        },
        Incoming::Heartbeat,
    );
    check(
        UnregisterClient {
            client_id: source.text(),
            producer_group: source.maybe_text(),
            consumer_group: source.maybe_text(),
        },
        Incoming::UnregisterClient,
    );
    check(ConsumerListOf { group: source.text() }, Incoming::ConsumerListOf);
    check(NotifyConsumerIdsChanged { group: source.text() }, Incoming::NotifyConsumerIdsChanged);
    check(
        LockQueues {
            client_id: source.text(),
            group: source.text(),
            queues: source.list(Source::queue),
            only_this_broker: source.flag(),
        },
        Incoming::LockQueues,
    );
    check(
        UnlockQueues(LockQueues {
            client_id: source.text(),
            group: source.text(),
            queues: source.list(Source::queue),
            only_this_broker: source.flag(),
        }),
        Incoming::UnlockQueues,
    );
    check(
        CheckClientConfig {
            client_id: source.text(),
            group: source.text(),
            subscription: source.subscription(),
        },
        Incoming::CheckClientConfig,
    );
}

/// Single messages: looked for, given back, taken back.
pub(crate) fn messages(source: &mut Source<'_>) {
    check(
        EarliestStoreTime {
            topic: source.text(),
            queue_id: source.int(),
            broker_name: source.maybe_text(),
        },
        Incoming::EarliestStoreTime,
    );
    check(ViewMessage { offset: source.long(), topic: source.maybe_text() }, Incoming::ViewMessage);
    check(
        SendBack {
            offset: source.long(),
            group: source.text(),
            delay_level: source.int(),
            origin_message_id: source.maybe_text(),
            origin_topic: source.maybe_text(),
            unit_mode: source.maybe(Source::flag),
            max_reconsume_times: source.maybe(Source::int),
            broker_name: source.maybe_text(),
        },
        Incoming::SendBack,
    );
    check(
        QueryMessages {
            topic: source.text(),
            key: source.text(),
            max_count: source.int(),
            begin_ms: source.long(),
            end_ms: source.long(),
            index_type: source.maybe(|source| match source.byte() % 3 {
                0 => IndexType::Key,
                1 => IndexType::UniqueId,
                _ => IndexType::Tag,
            }),
            by_unique_id: source.maybe(Source::flag),
        },
        Incoming::QueryMessages,
    );
    check(
        Recall {
            group: source.maybe_text(),
            topic: source.text(),
            handle: source.text(),
            broker_name: source.maybe_text(),
        },
        Incoming::Recall,
    );
}

/// The end of a transaction, and the question about it.
pub(crate) fn transactions(source: &mut Source<'_>) {
    check(
        EndTransaction {
            group: source.text(),
            topic: source.maybe_text(),
            half_offset: source.long(),
            half_physical_offset: source.long(),
            decision: source.int(),
            from_check: source.maybe(Source::flag),
            message_id: source.maybe_text(),
            transaction_id: source.maybe_text(),
            broker_name: source.maybe_text(),
        },
        Incoming::EndTransaction,
    );
    check(
        CheckTransaction {
            half_offset: source.long(),
            half_physical_offset: source.long(),
            message_id: source.maybe_text(),
            transaction_id: source.maybe_text(),
            offset_message_id: source.maybe_text(),
            topic: source.maybe_text(),
            broker_name: source.maybe_text(),
            message: source.body(),
        },
        Incoming::CheckTransaction,
    );
}

/// Replies, on both halves of their way.
pub(crate) fn replies(source: &mut Source<'_>) {
    check(SendReply(source.send()), Incoming::SendReply);
    check(SendReplyV1(source.send()), |reply| Incoming::SendReply(SendReply(reply.0)));
    check(
        PushReply {
            group: source.text(),
            topic: source.text(),
            default_topic: source.text(),
            default_topic_queues: source.int(),
            queue_id: source.int(),
            sys_flag: source.int(),
            born_at_ms: source.long(),
            flag: source.int(),
            properties: source.maybe_text(),
            reconsume_times: source.maybe(Source::int),
            unit_mode: source.maybe(Source::flag),
            born_host: source.text(),
            store_host: source.text(),
            stored_at_ms: source.long(),
            body: source.body(),
        },
        Incoming::PushReply,
    );
}
