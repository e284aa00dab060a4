//! JSON bodies: as the clients of several languages write them, and as real servers do.

#![allow(clippy::expect_used, clippy::panic, reason = "a test may panic")]

use bytes::Bytes;
use posthaste_protocol::request::{
    BrokerData, CheckClientConfig, ConsumerGroup, Heartbeat, LockQueues, ProducerGroup, QueueData,
    QueueName, Subscription, TopicRoute,
};
use posthaste_protocol::{DecodeError, Fields, Payload};

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
