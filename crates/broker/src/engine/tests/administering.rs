//! What administration tools ask.

use bytes::Bytes;
use posthaste_protocol::request::{
    BrokerConfigOf, BrokerConsumeStatsOf, BrokerStatsOf, BrokerSystemTopics, ClusterInfoOf,
    ConsumeDirectly, ConsumeQueueOf, ConsumeStatsOf, ConsumerConnectionOf, ConsumersOfTopic,
    CreateTopics, DeleteKvConfig, GiveWritePermission, Heartbeat, KvConfigOf, MembersOffsetsOf,
    NameServerConfigOf, NameServerSystemTopics, ProducerConnectionOf, ProducerGroup, ProducersOf,
    Progress, RouteOf, RunningInfoOf, RuntimeInfoOf, SubscriptionOf, TimeSpansOf, TopicConfig,
    TopicConfigOf, TopicConfigs, TopicConfigsOf, TopicStatsOf, TopicsOfCluster, TopicsOfConsumer,
    UpdateConsumerOffset, WipeWritePermission,
};
use posthaste_protocol::{Command, Fields, Language, RequestCode, ResponseCode, StoredMessage};

use super::harness::{Bench, START, heartbeat, message, pull, subscription, with_properties};
use crate::engine::SessionId;
use crate::request::{Answer, Request};

pub(super) fn offset(group: &str, queue_id: i32, offset: i64) -> UpdateConsumerOffset {
    UpdateConsumerOffset {
        group: group.into(),
        topic: "orders".into(),
        queue_id,
        offset,
        ..UpdateConsumerOffset::default()
    }
}

/// A group whose client `c1` is connected on session 1 and has consumed 2 of 3 messages of queue 0.
pub(super) fn with_a_consumer() -> Bench {
    let mut bench = Bench::new();
    for body in ["a", "b", "c"] {
        bench.call(0, &with_properties(&[("TAGS", "red")], message("orders", 0, body)));
        bench.pass(10);
    }
    let mut greeting = heartbeat("c1", "readers", subscription("orders", "red || blue", 5));
    greeting.consumers[0].consume_from_where = "CONSUME_FROM_FIRST_OFFSET".into();
    greeting.consumers[0].consume_type = "CONSUME_PASSIVELY".into();
    greeting.consumers[0].subscriptions[0].tags_set = vec!["red".into(), "blue".into()];
    bench.call(1, &greeting);
    bench.ask(1, &pull("orders", 0, 0));
    bench.call(1, &offset("readers", 0, 2));
    bench
}

pub(super) fn body(answer: &Command) -> String {
    assert_eq!(answer.response_code(), ResponseCode::SUCCESS, "{:?}", answer.remark);
    String::from_utf8_lossy(&answer.body).into_owned()
}

/// `clusterList`, and every `-c` of mqadmin, ended in a stack trace. The text is 5.5.0's.
#[test]
fn the_cluster_is_told_as_by_5_5_0() {
    let mut bench = Bench::new();
    let told = body(&bench.ask(0, &ClusterInfoOf));
    assert_eq!(
        told,
        r#"{"brokerAddrTable":{"dev":{"brokerAddrs":{"0":"127.0.0.1:10911"},"brokerName":"dev","cluster":"DefaultCluster","enableActingMaster":false}},"clusterAddrTable":{"DefaultCluster":["dev"]}}"#
    );
}

#[test]
fn a_topics_queues_and_their_reach_are_told() {
    let mut bench = with_a_consumer();
    let told = bench.call(0, &TopicStatsOf { topic: "orders".into() });
    let reach: Vec<_> =
        told.queues.0.iter().map(|(queue, reach)| (queue.queue_id, reach)).collect();
    assert_eq!(reach.len(), 4);
    let (queue, first) = reach[0];
    assert_eq!((queue, first.min_offset, first.max_offset), (0, 0, 3));
    assert_eq!(first.stored_at_ms, START + 20);
    assert_eq!((reach[1].1.max_offset, reach[1].1.stored_at_ms), (0, 0));
    assert_eq!(told.put_tps, 3.0 / 60.0);
    // Java reads nothing but keys that are objects.
    let text = body(&bench.ask(0, &TopicStatsOf { topic: "orders".into() }));
    let start = r#"{"offsetTable":{{"brokerName":"dev","queueId":0,"topic":"orders"}:{"lastUpdateTimestamp":"#;
    assert!(text.starts_with(start), "{text}");
    let none = bench.code(0, &TopicStatsOf { topic: "nobody".into() });
    assert_eq!(none, ResponseCode::TOPIC_NOT_EXIST);
}

/// `consumerProgress` showed every group as offline, with nothing to do.
#[test]
fn how_far_a_group_has_come_is_told() {
    let mut bench = with_a_consumer();
    let all = ConsumeStatsOf { group: "readers".into(), ..ConsumeStatsOf::default() };
    let told = bench.call(0, &all);
    assert_eq!(told.queues.0.len(), 4);
    let first = told.queues.0.values().next().expect("a queue");
    let expected =
        Progress { broker_offset: 3, consumer_offset: 2, stored_at_ms: START + 10, pull_offset: 3 };
    assert_eq!(*first, expected);
    assert_eq!(told.tps, 3.0 / 60.0);
    for (what, request, queues) in [
        ("its topic", ConsumeStatsOf { topic: Some("orders".into()), ..all.clone() }, 4),
        (
            "a topic that it does not subscribe to",
            ConsumeStatsOf { topic: Some("SELF_TEST_TOPIC".into()), ..all.clone() },
            0,
        ),
        (
            "whatever is listed",
            ConsumeStatsOf { topics: Some("SELF_TEST_TOPIC;orders".into()), ..all.clone() },
            5,
        ),
        ("a topic that is not there", ConsumeStatsOf { topics: Some("x".into()), ..all }, 0),
        ("nobody", ConsumeStatsOf { group: "nobody".into(), ..ConsumeStatsOf::default() }, 0),
    ] {
        assert_eq!(bench.call(0, &request).queues.0.len(), queues, "{what}");
    }
    let of_all = bench.call(0, &BrokerConsumeStatsOf { ordered: false });
    assert_eq!((of_all.total_diff, of_all.total_inflight_diff), (1, 1));
    assert_eq!(of_all.groups[0]["readers"][0].queues.0.len(), 4);
    let ordered = bench.call(0, &BrokerConsumeStatsOf { ordered: true });
    assert!(ordered.groups[0]["readers"].is_empty());
}

#[test]
fn who_is_connected_is_told() {
    let mut bench = with_a_consumer();
    let told = bench.call(0, &ConsumerConnectionOf { group: "readers".into() });
    assert_eq!(told.consume_from_where, "CONSUME_FROM_FIRST_OFFSET");
    assert_eq!(told.consume_type, "CONSUME_PASSIVELY");
    assert_eq!(told.message_model, "CLUSTERING");
    let wants = &told.subscriptions["orders"];
    assert_eq!((wants.sub_string.as_str(), wants.expression_type.as_str()), ("red || blue", "TAG"));
    assert_eq!(wants.code_set, [112_785, 3_027_034]);
    let client = &told.connections[0];
    assert_eq!(client.client_id, "c1");
    assert_eq!(client.address, "127.0.0.1:50001");
    assert_eq!((client.language.as_str(), client.version), ("RUST", 513));
    let nobody = ConsumerConnectionOf { group: "nobody".into() };
    assert_eq!(bench.code(0, &nobody), ResponseCode::CONSUMER_NOT_ONLINE);
    bench.engine.close(SessionId(1), &mut bench.effects);
    let gone = ConsumerConnectionOf { group: "readers".into() };
    assert_eq!(bench.code(0, &gone), ResponseCode::CONSUMER_NOT_ONLINE);
}

#[test]
fn producers_that_are_connected_are_told() {
    let mut bench = Bench::new();
    let writers = ProducerConnectionOf { group: "writers".into() };
    assert_eq!(bench.code(0, &writers), ResponseCode::SYSTEM_ERROR);
    let greeting = Heartbeat {
        client_id: "p1".into(),
        producers: vec![ProducerGroup { group_name: "writers".into() }],
        ..Heartbeat::default()
    };
    bench.call(2, &greeting);
    let told = bench.call(0, &writers);
    assert_eq!((told.connections.len(), told.connections[0].client_id.as_str()), (1, "p1"));
    let all = bench.call(0, &ProducersOf);
    let known = &all.groups["writers"][0];
    assert_eq!((known.client_id.as_str(), known.seen_at_ms), ("p1", START));
    assert_eq!(known.address, "/127.0.0.1:50002");
    bench.engine.close(SessionId(2), &mut bench.effects);
    assert!(bench.call(0, &ProducersOf).groups.is_empty());
}

fn running_info(client_id: &str) -> RunningInfoOf {
    RunningInfoOf { group: "readers".into(), client_id: client_id.into(), with_stacks: Some(false) }
}

/// The question to the client of session 1. It is the only one that has left.
fn question(bench: &mut Bench, code: RequestCode) -> Command {
    let left = bench.settle();
    let mut asked = left.into_iter().filter(|(_, command)| !command.is_answer());
    let (session, question) = asked.next().expect("a question");
    assert_eq!((session, question.request_code()), (1, code));
    question
}

#[test]
fn a_consumer_is_asked_what_it_is_doing() {
    let mut bench = with_a_consumer();
    bench.settle();
    let opaque = bench.put(0, &running_info("c1"));
    let asked = question(&mut bench, RequestCode::GET_CONSUMER_RUNNING_INFO);
    assert_eq!(asked.fields.get("consumerGroup"), Some("readers"));
    let answer = Answer {
        opaque: asked.opaque,
        code: ResponseCode::SUCCESS,
        remark: None,
        body: Bytes::from_static(b"{\"jstack\":1}"),
    };
    // What others are asked is not its business.
    bench.engine.answered(SessionId(2), answer.clone(), &mut bench.effects);
    assert!(bench.settle().is_empty());
    bench.engine.answered(SessionId(1), answer, &mut bench.effects);
    let left = bench.settle();
    assert_eq!((left[0].0, left[0].1.opaque), (0, opaque));
    assert_eq!(body(&left[0].1), "{\"jstack\":1}");
    let absent = bench.ask(0, &running_info("c2"));
    assert_eq!(absent.response_code(), ResponseCode::SYSTEM_ERROR);
    assert_eq!(absent.remark.as_deref(), Some("The Consumer <readers> <c2> not online"));
}

#[test]
fn a_consumer_that_does_not_answer_or_goes_is_not_waited_for() {
    let mut bench = with_a_consumer();
    bench.settle();
    bench.put(0, &running_info("c1"));
    question(&mut bench, RequestCode::GET_CONSUMER_RUNNING_INFO);
    let left = bench.pass(10_000);
    assert_eq!(left[0].1.response_code(), ResponseCode::CONSUME_MSG_TIMEOUT);
    bench.put(0, &running_info("c1"));
    question(&mut bench, RequestCode::GET_CONSUMER_RUNNING_INFO);
    bench.engine.close(SessionId(1), &mut bench.effects);
    let left = bench.settle();
    assert_eq!(left[0].1.response_code(), ResponseCode::CONSUME_MSG_TIMEOUT);
}

/// Each says what it has; who does not answer is left out.
#[test]
fn the_members_of_a_group_are_asked_for_their_offsets() {
    let mut bench = with_a_consumer();
    bench.call(2, &heartbeat("c2", "readers", subscription("orders", "*", 9)));
    let all = MembersOffsetsOf { topic: "orders".into(), group: "readers".into(), client_id: None };
    let opaque = bench.put(0, &all);
    let left = bench.settle();
    let asked = |session: u64| {
        let mut to = left.iter().filter(|(to, command)| *to == session && command.code == 221);
        to.next().expect("it is asked").1.opaque
    };
    let own = br#"{"messageQueueTable":{{"brokerName":"dev","queueId":0,"topic":"orders"}:2}}"#;
    let answer = |opaque| Answer {
        opaque,
        code: ResponseCode::SUCCESS,
        remark: None,
        body: Bytes::from_static(own),
    };
    bench.engine.answered(SessionId(1), answer(asked(1)), &mut bench.effects);
    assert!(bench.settle().is_empty(), "the other one is waited for");
    bench.engine.close(SessionId(2), &mut bench.effects);
    let mut left = bench.settle().into_iter();
    let told = left.find(|(to, command)| *to == 0 && command.opaque == opaque);
    let told = body(&told.expect("an answer").1);
    let expected = r#"{"consumerTable":{"c1":{{"brokerName":"dev","queueId":0,"topic":"orders"}:2}},"messageQueueTable":{}}"#;
    assert_eq!(told, expected);
    for absent in [
        MembersOffsetsOf { client_id: Some("c9".into()), ..all.clone() },
        MembersOffsetsOf { group: "nobody".into(), ..all },
    ] {
        assert_eq!(bench.code(0, &absent), ResponseCode::SYSTEM_ERROR);
    }
}

#[test]
fn a_consumer_gets_the_message_that_it_is_to_consume() {
    let mut bench = with_a_consumer();
    let stored = bench.call(0, &message("orders", 1, "again"));
    bench.settle();
    let request = ConsumeDirectly {
        group: "readers".into(),
        client_id: Some("c1".into()),
        message_id: Some(stored.offset_message_id),
        ..ConsumeDirectly::default()
    };
    bench.put(0, &request);
    let asked = question(&mut bench, RequestCode::CONSUME_MESSAGE_DIRECTLY);
    assert_eq!(asked.fields.get("brokerName"), Some("dev"));
    let messages = StoredMessage::decode_all(asked.body).expect("a message");
    assert_eq!(&messages[0].body[..], b"again");
    let unknown = ConsumeDirectly { message_id: Some("x".into()), ..request };
    assert_eq!(bench.code(0, &unknown), ResponseCode::SYSTEM_ERROR);
}

/// mqadmin showed a message that was asked for, and then a stack trace.
#[test]
fn who_consumes_a_topic_is_told() {
    let mut bench = with_a_consumer();
    let of = |topic: &str| ConsumersOfTopic { topic: topic.into() };
    assert_eq!(bench.call(0, &of("orders")).groups, ["readers"]);
    assert!(bench.call(0, &of("nobody")).groups.is_empty());
    bench.engine.close(SessionId(1), &mut bench.effects);
    assert_eq!(bench.call(0, &of("orders")).groups, ["readers"], "it has come somewhere");
    let topics = bench.call(0, &TopicsOfConsumer { group: "readers".into() });
    assert_eq!(topics.topics, ["orders"]);
    let mut bench = with_a_consumer();
    let wants = SubscriptionOf { group: "readers".into(), topic: "orders".into() };
    let told = bench.call(0, &wants);
    assert_eq!(told.subscription.expect("it subscribes").sub_string, "red || blue");
    let other = SubscriptionOf { topic: "SELF_TEST_TOPIC".into(), ..wants };
    assert_eq!(bench.call(0, &other).subscription, None);
}

#[test]
fn times_of_messages_and_how_late_a_group_is_are_told() {
    let mut bench = with_a_consumer();
    let of = TimeSpansOf { topic: "orders".into(), group: "readers".into() };
    let told = bench.call(0, &of);
    let first = &told.queues[0];
    assert_eq!((first.oldest_ms, first.newest_ms), (START, START + 20));
    assert_eq!((first.consumed_ms, first.delay_ms), (START + 10, 10));
    assert_eq!((told.queues[1].oldest_ms, told.queues[1].delay_ms), (-1, 0));
}

/// `statsAll` had a head and no lines.
#[test]
fn what_passes_is_told() {
    let mut bench = with_a_consumer();
    let of = |name: &str, key: &str| BrokerStatsOf { name: name.into(), key: key.into() };
    let put = bench.call(0, &of("TOPIC_PUT_NUMS", "orders"));
    assert_eq!((put.stats_minute.sum, put.stats_day.sum), (3, 3));
    let got = bench.call(0, &of("GROUP_GET_NUMS", "orders@readers"));
    assert_eq!((got.stats_minute.sum, got.stats_minute.each_time), (3, 3.0));
    assert_eq!(bench.call(0, &of("BROKER_GET_NUMS", "DefaultCluster")).stats_day.sum, 3);
    assert_eq!(bench.call(0, &of("BROKER_PUT_NUMS", "DefaultCluster")).stats_day.sum, 3);
    for unknown in [
        of("TOPIC_PUT_NUMS", "nobody"),
        of("GROUP_GET_NUMS", "orders@nobody"),
        of("BLUE", "orders"),
    ] {
        let answer = bench.ask(0, &unknown);
        assert_eq!(answer.response_code(), ResponseCode::SYSTEM_ERROR);
        let why = format!("The stats <{}> <{}> not exist", unknown.name, unknown.key);
        assert_eq!(answer.remark, Some(why));
    }
}

#[test]
fn what_a_queue_has_is_told() {
    let mut bench = with_a_consumer();
    let of = |index, count| ConsumeQueueOf {
        topic: "orders".into(),
        queue_id: 0,
        index,
        count,
        group: None,
    };
    let told = bench.call(0, &of(1, 1));
    assert_eq!((told.min_queue_index, told.max_queue_index), (0, 3));
    let entries = told.messages.expect("messages");
    assert_eq!((entries.len(), entries[0].tags_code), (1, 112_785));
    assert_eq!(bench.call(0, &of(0, 9)).messages.map(|all| all.len()), Some(3));
    let with_group = ConsumeQueueOf { group: Some("readers".into()), ..of(0, 1) };
    assert!(bench.call(0, &with_group).subscription.is_some());
    let offline = ConsumeQueueOf { group: Some("nobody".into()), ..of(0, 1) };
    let told = bench.call(0, &offline);
    assert_eq!(told.filter_data.as_deref(), Some("nobody@orders is not online!"));
    let behind = bench.ask(0, &of(3, 1));
    assert_eq!(behind.remark.as_deref(), Some("Index 3 of 0@orders is not exist!"));
    let no_queue = ConsumeQueueOf { queue_id: 9, ..of(0, 1) };
    assert_eq!(bench.code(0, &no_queue), ResponseCode::SYSTEM_ERROR);
}

/// What tools read of the figures; one that is missing ends them in an exception.
#[test]
fn a_brokers_figures_have_what_tools_read() {
    let mut bench = with_a_consumer();
    let figures = bench.call(0, &RuntimeInfoOf).table;
    for name in [
        "brokerVersionDesc",
        "putTps",
        "getTransferedTps",
        "getTransferredTps",
        "getTotalTps",
        "sendThreadPoolQueueSize",
        "pullThreadPoolQueueSize",
        "ackThreadPoolQueueSize",
        "sendThreadPoolQueueHeadWaitTimeMills",
        "pullThreadPoolQueueHeadWaitTimeMills",
        "ackThreadPoolQueueHeadWaitTimeMills",
        "pageCacheLockTimeMills",
        "earliestMessageTimeStamp",
        "commitLogDiskRatio",
        "brokerActive",
        "timerReadBehind",
        "timerOffsetBehind",
        "timerCongestNum",
        "timerEnqueueTps",
        "timerDequeueTps",
        "msgPutTotalYesterdayMorning",
        "msgPutTotalTodayMorning",
        "msgPutTotalTodayNow",
        "msgGetTotalYesterdayMorning",
        "msgGetTotalTodayMorning",
        "msgGetTotalTodayNow",
        "bootTimestamp",
        "runtime",
    ] {
        assert!(figures.contains_key(name), "{name}");
    }
    assert_eq!(figures["msgPutTotalTodayNow"], "3");
    assert_eq!(figures["msgGetTotalTodayNow"], "3");
    assert_eq!(figures["earliestMessageTimeStamp"], START.to_string());
    assert_eq!(figures["brokerVersionDesc"], "V5_5_0");
    assert_eq!(figures["putTps"].split(' ').count(), 3);
}

#[test]
fn the_configuration_of_topics_is_told() {
    let mut bench = Bench::new();
    let told = bench.call(0, &TopicConfigOf { topic: "orders".into(), logical: None });
    assert_eq!((told.read_queue_nums, told.write_queue_nums, told.perm), (4, 4, 6));
    let none = TopicConfigOf { topic: "nobody".into(), logical: None };
    assert_eq!(bench.code(0, &none), ResponseCode::TOPIC_NOT_EXIST);
    let all = bench.ask(0, &TopicConfigsOf);
    let total: i64 = all.fields.read("totalTopicNum").expect("a total");
    let told: TopicConfigs = all.read().expect("topics");
    assert_eq!(total as usize, told.topics.len());
    assert_eq!(told.topics["orders"].topic_name, "orders");
    let of_cluster = |cluster: &str| TopicsOfCluster { cluster: cluster.into() };
    assert_eq!(bench.call(0, &of_cluster("DefaultCluster")).topics.len(), told.topics.len());
    assert!(bench.call(0, &of_cluster("other")).topics.is_empty());
    assert_eq!(bench.call(0, &NameServerSystemTopics).topics, ["dev", "DefaultCluster"]);
    let system = bench.call(0, &BrokerSystemTopics).topics;
    assert!(system.iter().any(|name| name == "TBW102"));
    assert!(!system.iter().any(|name| name == "orders"));
}

#[test]
fn write_permission_is_wiped_and_given_back() {
    let mut bench = Bench::new();
    let perm = |bench: &mut Bench| {
        let route = RouteOf { topic: "orders".into(), standard_json: None };
        bench.call(0, &route).queues[0].perm
    };
    let wipe = |name: &str| WipeWritePermission { broker_name: name.into() };
    assert_eq!(bench.call(0, &wipe("other")).count, 0);
    assert_eq!(perm(&mut bench), 6);
    let topics = bench.engine.topics.len() as i32;
    assert_eq!(bench.call(0, &wipe("dev")).count, topics);
    assert_eq!(perm(&mut bench), 4);
    assert_eq!(bench.call(0, &GiveWritePermission { broker_name: "dev".into() }).count, topics);
    assert_eq!(perm(&mut bench), 6);
}

#[test]
fn settings_are_told_and_cannot_be_written() {
    let mut bench = Bench::new();
    let order = KvConfigOf { namespace: "ORDER_TOPIC_CONFIG".into(), key: "orders".into() };
    let none = bench.ask(0, &order);
    assert_eq!(none.response_code(), ResponseCode::QUERY_NOT_FOUND);
    let why = "No config item, Namespace: ORDER_TOPIC_CONFIG Key: orders";
    assert_eq!(none.remark.as_deref(), Some(why));
    let settings = body(&bench.ask(0, &BrokerConfigOf));
    assert!(settings.contains("brokerName=dev\n"), "{settings}");
    assert!(settings.lines().all(|line| line.split_once('=').is_some()), "{settings}");
    assert!(body(&bench.ask(0, &NameServerConfigOf)).contains("enableTopicList=true\n"));
    // Tools that delete a topic or a group ask for it.
    let forget = |namespace: &str| DeleteKvConfig { namespace: namespace.into(), key: "k".into() };
    bench.call(0, &forget("ORDER_TOPIC_CONFIG"));
    assert_eq!(bench.code(0, &forget("x")), ResponseCode::REQUEST_CODE_NOT_SUPPORTED);
    for code in [25, 100, 318, 3001] {
        let request = Command::request(RequestCode(code), 9, Fields::new(), Bytes::new());
        bench.engine.handle(bench.now, SessionId(0), Request::of(&request), &mut bench.effects);
        let left = bench.settle();
        assert_eq!(left[0].1.response_code(), ResponseCode::REQUEST_CODE_NOT_SUPPORTED, "{code}");
    }
}

/// It is kept as long as the group is.
#[test]
fn long_words_are_not_kept() {
    let mut bench = Bench::new();
    let mut greeting = heartbeat("c1", "readers", subscription("orders", "*", 1));
    greeting.consumers[0].consume_type = "x".repeat(1 << 20);
    bench.call(1, &greeting);
    let told = bench.call(0, &ConsumerConnectionOf { group: "readers".into() });
    assert_eq!((told.consume_type.as_str(), told.message_model.as_str()), ("", "CLUSTERING"));
}

/// The client's language and version come from the header of its heartbeat.
#[test]
fn a_client_is_told_as_it_says_it_is() {
    let mut bench = Bench::new();
    let greeting = heartbeat("c1", "readers", subscription("orders", "*", 1));
    let greeting = Command { language: Language::Go, version: 317, ..Command::of(&greeting, 3) };
    bench.engine.handle(bench.now, SessionId(1), Request::of(&greeting), &mut bench.effects);
    bench.settle();
    let told = bench.call(0, &ConsumerConnectionOf { group: "readers".into() });
    let client = &told.connections[0];
    assert_eq!((client.language.as_str(), client.version), ("GO", 317));
}

/// `updateTopicList` of mqadmin.
#[test]
fn many_topics_are_created_at_once_or_none() {
    let mut bench = Bench::new();
    let topic = |name: &str| TopicConfig { topic_name: name.into(), ..TopicConfig::default() };
    let typed = TopicConfig {
        attributes: [("+message.type".into(), "FIFO".into())].into(),
        order: true,
        read_queue_nums: 3,
        write_queue_nums: 3,
        ..topic("two")
    };
    bench.call(0, &CreateTopics { topics: vec![topic("one"), typed] });
    let of = |name: &str| TopicConfigOf { topic: name.into(), logical: None };
    assert_eq!(bench.call(0, &of("one")).write_queue_nums, 16);
    let two = bench.call(0, &of("two"));
    assert_eq!((two.read_queue_nums, two.order), (3, true));
    assert_eq!(two.attributes["message.type"], "FIFO");
    for bad in ["TBW102", "b ad", ""] {
        let topics = vec![topic("three"), topic(bad)];
        assert_eq!(bench.code(0, &CreateTopics { topics }), ResponseCode::INVALID_PARAMETER);
    }
    let many = (0..1_000).map(|n| topic(&format!("t{n}"))).collect();
    assert_eq!(bench.code(0, &CreateTopics { topics: many }), ResponseCode::TOPIC_NOT_EXIST);
    for none in ["three", "t0"] {
        assert_eq!(bench.code(0, &of(none)), ResponseCode::TOPIC_NOT_EXIST, "{none}");
    }
}
