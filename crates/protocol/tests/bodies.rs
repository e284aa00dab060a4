//! JSON bodies: as the clients of several languages write them, and as real servers do.

#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

use bytes::Bytes;
use posthaste_protocol::request::{
    Admin, BrokerConsumeStats, BrokerData, BrokerStats, CheckClientConfig, ClusterInfo,
    ConsumeQueue, ConsumeStats, ConsumerConnection, ConsumerGroup, CreateTopics, GroupConfig,
    GroupConfigs, GroupList, Heartbeat, KvTable, LockQueues, MembersOffsets, ProducerConnection,
    ProducerGroup, ProducerTable, QueueData, QueueName, ResetOffsets, SetGroups, Subscription,
    SubscriptionAnswer, TimeSpans, TopicConfig, TopicConfigs, TopicList, TopicRoute, TopicStats,
};
use posthaste_protocol::{Command, DecodeError, Fields, Payload, RequestCode, json};

fn read<P: Payload>(body: &str) -> Result<P, DecodeError> {
    P::read(&Fields::new(), &Bytes::copy_from_slice(body.as_bytes()))
}

/// `rocketmq-client-cpp` and the Python client on top of it write so. They were refused.
#[test]
fn a_heartbeat_of_the_cpp_client_is_what_java_means() {
    let cpp = r#"{"clientID":"10.0.0.1@DEFAULT","consumerDataSet":[{"consumeFromWhere":0,
        "consumeType":1,"groupName":"readers","messageModel":1,"subscriptionDataSet":[
        {"codeSet":["2598919"],"expressionType":null,"subString":"TagA",
        "subVersion":"1700000000000","tagsSet":["TagA"],"topic":"orders"}],"unitMode":"false"}],
        "producerDataSet":[{"groupName":"writers"}]}"#;
    let java = r#"{"clientID":"10.0.0.1@DEFAULT","consumerDataSet":[{
        "consumeFromWhere":"CONSUME_FROM_LAST_OFFSET","consumeType":"CONSUME_PASSIVELY",
        "groupName":"readers","messageModel":"CLUSTERING","subscriptionDataSet":[
        {"classFilterMode":false,"codeSet":[2598919],"expressionType":"","subString":"TagA",
        "subVersion":1700000000000,"tagsSet":["TagA"],"topic":"orders"}],"unitMode":false}],
        "heartbeatFingerprint":0,"producerDataSet":[{"groupName":"writers"}],"withoutSub":false}"#;
    let expected = Heartbeat {
        client_id: "10.0.0.1@DEFAULT".into(),
        consumers: vec![ConsumerGroup {
            consume_from_where: "CONSUME_FROM_LAST_OFFSET".into(),
            consume_type: "CONSUME_PASSIVELY".into(),
            group_name: "readers".into(),
            message_model: "CLUSTERING".into(),
            subscriptions: vec![Subscription {
                expression_type: String::new(),
                sub_string: "TagA".into(),
                sub_version: 1_700_000_000_000,
                tags_set: vec!["TagA".into()],
                topic: "orders".into(),
            }],
            unit_mode: false,
        }],
        producers: vec![ProducerGroup { group_name: "writers".into() }],
        ..Heartbeat::default()
    };
    assert_eq!(read(cpp), Ok(expected.clone()));
    assert_eq!(read(java), Ok(expected));
}

#[test]
fn numbers_and_their_texts_are_one_thing_in_every_body() {
    let locks = r#"{"clientId":7,"consumerGroup":"g","mqSet":[
        {"brokerName":"dev","queueId":"3","topic":"t"}],"onlyThisBroker":"true"}"#;
    let expected = LockQueues {
        client_id: "7".into(),
        group: "g".into(),
        queues: vec![QueueName { broker_name: "dev".into(), queue_id: 3, topic: "t".into() }],
        only_this_broker: true,
    };
    assert_eq!(read(locks), Ok(expected));
    let check = r#"{"clientId":"c","group":null,"namespace":null,"subscriptionData":
        {"subString":"*","subVersion":"12","tagsSet":null,"topic":"t","expressionType":"TAG"}}"#;
    let expected = CheckClientConfig {
        client_id: "c".into(),
        group: String::new(),
        subscription: Subscription {
            expression_type: "TAG".into(),
            sub_string: "*".into(),
            sub_version: 12,
            tags_set: vec![],
            topic: "t".into(),
        },
    };
    assert_eq!(read(check), Ok(expected));
    let route = r#"{"brokerDatas":[{"brokerAddrs":{0:"a:1","1":"b:2"},"brokerName":"b",
        "enableActingMaster":"false"}],"filterServerTable":null,
        "queueDatas":[{"brokerName":"b","perm":"6","readQueueNums":4.0,"writeQueueNums":null}]}"#;
    let expected = TopicRoute {
        brokers: vec![BrokerData {
            broker_addrs: [(0, "a:1".into()), (1, "b:2".into())].into(),
            broker_name: "b".into(),
            enable_acting_master: Some(false),
            ..BrokerData::default()
        }],
        queues: vec![QueueData {
            broker_name: "b".into(),
            perm: 6,
            read_queue_nums: 4,
            ..QueueData::default()
        }],
        ..TopicRoute::default()
    };
    assert_eq!(read(route), Ok(expected));
}

#[test]
fn what_is_no_number_no_list_and_no_object_is_refused() {
    for body in [
        r#"{"mqSet":[{"queueId":"three"}]}"#,
        r#"{"mqSet":[{"queueId":1.5}]}"#,
        r#"{"mqSet":[{"queueId":99999999999}]}"#,
        r#"{"mqSet":[{"queueId":"99999999999"}]}"#,
        r#"{"mqSet":[{"queueId":[]}]}"#,
        r#"{"mqSet":[["dev",1,"t"]]}"#,
        r#"{"mqSet":"none"}"#,
        r#"{"onlyThisBroker":"perhaps"}"#,
        r#"{"clientId":{}}"#,
        r#"{"clientId":"c"} more"#,
    ] {
        let read = read::<LockQueues>(body);
        assert!(matches!(read, Err(DecodeError::Body(_))), "{body}: {read:?}");
    }
}

/// Reads a body and writes it again; both are compared as standard JSON.
fn again<P: Payload>(body: &str) -> (serde_json::Value, serde_json::Value) {
    let value = |text: &[u8]| {
        let standard = json::normalize(text).expect("JSON of fastjson");
        serde_json::from_slice(&standard).expect("standard JSON")
    };
    let read = read::<P>(body).unwrap_or_else(|error| panic!("{error}: {body}"));
    (value(body.as_bytes()), value(&read.body()))
}

/// Bodies of a real 5.5.0, with names and numbers of one run.
#[test]
fn what_5_5_0_answers_is_read_and_written_alike() {
    macro_rules! check {
        ($($type:ty: $body:literal,)*) => {$(
            let (theirs, ours) = again::<$type>($body);
            assert_eq!(ours, theirs, stringify!($type));
        )*};
    }
    check! {
        ClusterInfo: r#"{"brokerAddrTable":{"broker-a":{"brokerAddrs":{0:"127.0.0.1:29111"},"brokerName":"broker-a","cluster":"DefaultCluster","enableActingMaster":false}},"clusterAddrTable":{"DefaultCluster":["broker-a"]}}"#,
        TopicStats: r#"{"offsetTable":{{"brokerName":"broker-a","queueId":2,"topic":"AdmTopic"}:{"lastUpdateTimestamp":1796080609896,"maxOffset":5,"minOffset":0},{"brokerName":"broker-a","queueId":3,"topic":"AdmTopic"}:{"lastUpdateTimestamp":1796080609902,"maxOffset":5,"minOffset":0}},"topicPutTps":1.0}"#,
        ConsumeStats: r#"{"consumeTps":2.0,"offsetTable":{{"brokerName":"broker-a","queueId":2,"topic":"AdmTopic"}:{"brokerOffset":5,"consumerOffset":5,"lastTimestamp":1796080609896,"pullOffset":5}}}"#,
        BrokerConsumeStats: r#"{"brokerAddr":"127.0.0.1:29111","consumeStatsList":[{"SELF_TEST_C_GROUP":[]},{"admCG":[{"consumeTps":0.6666666666666666,"offsetTable":{{"brokerName":"broker-a","queueId":2,"topic":"AdmTopic"}:{"brokerOffset":5,"consumerOffset":5,"lastTimestamp":1796080609896,"pullOffset":0}}}]}],"totalDiff":0,"totalInflightDiff":-20}"#,
        ConsumerConnection: r#"{"connectionSet":[{"clientAddr":"127.0.0.1:52414","clientId":"192.0.2.2@24970#358288627972","language":"JAVA","version":513}],"consumeFromWhere":"CONSUME_FROM_FIRST_OFFSET","consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING","subscriptionTable":{"AdmTopic":{"classFilterMode":false,"codeSet":[2598919,2598920],"expressionType":"TAG","subString":"TagA || TagB","subVersion":1796080611016,"tagsSet":["TagA","TagB"],"topic":"AdmTopic"}}}"#,
        ProducerConnection: r#"{"connectionSet":[{"clientAddr":"127.0.0.1:52404","clientId":"192.0.2.2@24970#356675611301","language":"JAVA","version":513}]}"#,
        ProducerTable: r#"{"data":{"admPG":[{"clientId":"192.0.2.2@24970#356675611301","language":"JAVA","lastUpdateTimestamp":1796080639744,"remoteIP":"/127.0.0.1:52404","version":513}]}}"#,
        BrokerStats: r#"{"statsDay":{"avgpt":0.0,"sum":0,"tps":0.0},"statsHour":{"avgpt":0.0,"sum":0,"tps":0.0},"statsMinute":{"avgpt":1.0,"sum":20,"tps":0.5}}"#,
        ConsumeQueue: r#"{"filterData":"null","maxQueueIndex":5,"minQueueIndex":0,"queueData":[{"eval":false,"physicOffset":524,"physicSize":262,"tagsCode":2598919}],"subscriptionData":{"classFilterMode":false,"codeSet":[2598919,2598920],"expressionType":"TAG","subString":"TagA || TagB","subVersion":1796080611016,"tagsSet":["TagA","TagB"],"topic":"AdmTopic"}}"#,
        GroupList: r#"{"groupList":["admCG"]}"#,
        TopicList: r#"{"brokerAddr":"127.0.0.1:29111","topicList":["AdmTopic"]}"#,
        KvTable: r#"{"table":{"msgPutTotalTodayNow":"20","brokerActive":"true","putTps":"0.0  "}}"#,
        MembersOffsets: r#"{"consumerTable":{"192.0.2.2@24970#358288627972":{{"brokerName":"broker-a","queueId":2,"topic":"AdmTopic"}:5,{"brokerName":"broker-a","queueId":3,"topic":"AdmTopic"}:5}},"messageQueueTable":{}}"#,
        ResetOffsets: r#"{"offsetTable":{{"brokerName":"broker-a","queueId":2,"topic":"AdmTopic"}:0,{"brokerName":"broker-a","queueId":3,"topic":"AdmTopic"}:7}}"#,
        SubscriptionAnswer: r#"{"group":"admCG","subscriptionData":{"classFilterMode":false,"codeSet":[2598919,2598920],"expressionType":"TAG","subString":"TagA || TagB","subVersion":1796080611016,"tagsSet":["TagA","TagB"],"topic":"AdmTopic"},"topic":"AdmTopic"}"#,
        TopicConfig: r#"{"attributes":{},"order":false,"perm":6,"readQueueNums":4,"topicFilterType":"SINGLE_TAG","topicName":"AdmTopic","topicSysFlag":0,"writeQueueNums":4}"#,
        TopicConfigs: r#"{"dataVersion":{"counter":2,"stateVersion":0,"timestamp":1796080610116},"mappingDataVersion":{"counter":0,"stateVersion":0,"timestamp":1796080600370},"topicConfigTable":{"SELF_TEST_TOPIC":{"attributes":{},"order":false,"perm":6,"readQueueNums":1,"topicFilterType":"SINGLE_TAG","topicName":"SELF_TEST_TOPIC","topicSysFlag":0,"writeQueueNums":1}}}"#,
        GroupConfig: r#"{"attributes":{},"brokerId":0,"consumeBroadcastEnable":true,"consumeEnable":true,"consumeFromMinEnable":true,"consumeMessageOrderly":false,"consumeTimeoutMinute":15,"groupName":"admCG","groupRetryPolicy":{"type":"CUSTOMIZED"},"groupSysFlag":0,"notifyConsumerIdsChangedEnable":true,"retryMaxTimes":16,"retryQueueNums":1,"whichBrokerWhenConsumeSlowly":1}"#,
        GroupConfigs: r#"{"dataVersion":{"counter":1,"stateVersion":0,"timestamp":1796080610084},"forbiddenTable":{},"subscriptionGroupTable":{"TOOLS_CONSUMER":{"attributes":{},"brokerId":0,"consumeBroadcastEnable":true,"consumeEnable":true,"consumeFromMinEnable":true,"consumeMessageOrderly":false,"consumeTimeoutMinute":15,"groupName":"TOOLS_CONSUMER","groupRetryPolicy":{"type":"CUSTOMIZED"},"groupSysFlag":0,"notifyConsumerIdsChangedEnable":true,"retryMaxTimes":16,"retryQueueNums":1,"whichBrokerWhenConsumeSlowly":1}}}"#,
    }
    // It also says each time as a text, which no reader needs.
    let spans: TimeSpans = read(r#"{"consumeTimeSpanSet":[{"consumeTimeStamp":3,"consumeTimeStampStr":"2026-11-30#23:16:49:907","delayTime":4,"maxTimeStamp":2,"messageQueue":{"brokerName":"broker-a","queueId":0,"topic":"AdmTopic"},"minTimeStamp":1}]}"#).expect("times");
    let first = &spans.queues[0];
    assert_eq!((first.oldest_ms, first.newest_ms, first.consumed_ms, first.delay_ms), (1, 2, 3, 4));
}

/// No serializer writes keys that are objects, and Java reads no others.
#[test]
fn the_keys_of_a_queue_table_are_objects() {
    let queue = QueueName { broker_name: "b\"".into(), queue_id: 1, topic: "t".into() };
    let written = ResetOffsets { offsets: [(queue, 5)].into_iter().collect() };
    let text = r#"{"offsetTable":{{"brokerName":"b\"","queueId":1,"topic":"t"}:5}}"#;
    assert_eq!(&*written.body(), text.as_bytes());
    assert_eq!(read(text), Ok(written));
}

/// What Java assumes where a tool says nothing.
#[test]
fn what_is_left_out_of_a_topic_or_a_group_is_as_in_java() {
    let topics: CreateTopics =
        read(r#"{"topicConfigList":[{"topicName":"t","topicFilterType":1}]}"#).expect("topics");
    let topic = &topics.topics[0];
    assert_eq!((topic.read_queue_nums, topic.write_queue_nums, topic.perm), (16, 16, 6));
    assert_eq!(topic.topic_filter_type, "MULTI_TAG");
    let groups: SetGroups = read(r#"{"groupConfigList":[{"groupName":"g"}]}"#).expect("groups");
    let group = &groups.groups[0];
    assert_eq!((group.retry_max_times, group.retry_queue_nums), (16, 1));
    assert!(group.consume_enable);
}

/// The codes of tools, each with the fields that it may have.
const REQUESTS_OF_TOOLS: &[(i32, &[(&str, &str)])] = &[
    (18, &[]),
    (21, &[]),
    (26, &[]),
    (28, &[]),
    (101, &[("namespace", "n"), ("key", "k")]),
    (102, &[("namespace", "n"), ("key", "k")]),
    (106, &[]),
    (200, &[]),
    (201, &[]),
    (202, &[("topic", "t")]),
    (203, &[("consumerGroup", "g")]),
    (204, &[("producerGroup", "g")]),
    (205, &[("brokerName", "b")]),
    (207, &[("groupName", "g"), ("cleanOffset", "true")]),
    (208, &[("consumerGroup", "g"), ("topic", "t"), ("topicList", "a;b")]),
    (215, &[("topic", "t")]),
    (216, &[("topic", "t"), ("clusterName", "c")]),
    (
        222,
        &[
            ("topic", "t"),
            ("group", "g"),
            ("queueId", "-1"),
            ("offset", "7"),
            ("timestamp", "9"),
            ("isForce", "true"),
        ],
    ),
    (223, &[("topic", "t"), ("group", "g"), ("clientAddr", "c")]),
    (224, &[("cluster", "c")]),
    (225, &[]),
    (300, &[("topic", "t")]),
    (303, &[("topic", "t"), ("group", "g")]),
    (304, &[]),
    (305, &[]),
    (307, &[("consumerGroup", "g"), ("clientId", "c"), ("jstackEnable", "true")]),
    (309, &[("consumerGroup", "g"), ("clientId", "c"), ("msgId", "m"), ("topic", "t")]),
    (314, &[("srcGroup", "a"), ("destGroup", "b"), ("topic", "t"), ("offline", "true")]),
    (315, &[("statsName", "n"), ("statsKey", "k")]),
    (317, &[("isOrder", "false")]),
    (319, &[]),
    (
        321,
        &[("topic", "t"), ("queueId", "1"), ("index", "2"), ("count", "3"), ("consumerGroup", "g")],
    ),
    (327, &[("brokerName", "b")]),
    (328, &[]),
    (343, &[("group", "g")]),
    (345, &[("group", "g"), ("topic", "t")]),
    (351, &[("topic", "t"), ("lo", "true")]),
    (352, &[("group", "g")]),
];

/// Every code of a tool's request has a type, and the type writes its fields as Java names them.
#[test]
fn requests_of_tools_are_written_as_they_were_read() {
    for (code, fields) in REQUESTS_OF_TOOLS {
        let fields: Fields = fields.iter().copied().collect();
        let body = match code {
            18 | 200 | 225 => Bytes::from_static(b"{}"),
            _ => Bytes::new(),
        };
        let sent = Command::request(RequestCode(*code), 7, fields, body);
        let request = Admin::read(&sent).expect("it fits its code");
        let written = request.unwrap_or_else(|| panic!("{code} has no type")).command(7);
        assert_eq!((written.code, &written.fields), (sent.code, &sent.fields));
        assert!(sent.request_code().name().is_some(), "{code} has no name");
    }
}
