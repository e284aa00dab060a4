//! The cluster, which is this broker, and its figures; settings, as far as they are given out.

use std::collections::BTreeMap;

use posthaste_protocol::request::{
    BrokerConfig, BrokerData, ClusterInfo, DeleteKvConfig, Empty, GiveWritePermission, GivenTopics,
    KvConfig, KvConfigOf, KvTable, RawBody, TopicList, TopicsOfCluster, WipeWritePermission,
    WipedTopics,
};
use posthaste_protocol::{RequestCode, ResponseCode};

use crate::engine::topics::is_system;
use crate::engine::{Engine, Millis, refusal::Refusal};

/// The version that figures name: that of the protocol that is spoken here.
const VERSION: &str = "V5_5_0";

/// Figures of a real broker that have no counterpart here, and what tools find in them.
const IDLE: &[(&str, &str)] = &[
    ("EndTransactionQueueSize", "0"),
    ("EndTransactionThreadPoolQueueCapacity", "100000"),
    ("ackThreadPoolQueueCapacity", "100000"),
    ("ackThreadPoolQueueHeadWaitTimeMills", "0"),
    ("ackThreadPoolQueueSize", "0"),
    ("brokerActive", "true"),
    ("commitLogDiskRatio", "0.0"),
    ("commitLogMinOffset", "0"),
    ("consumeQueueDiskRatio", "0.0"),
    ("dispatchBehindBytes", "0"),
    ("dispatchMaxBuffer", "0"),
    ("litePullThreadPoolQueueCapacity", "100000"),
    ("litePullThreadPoolQueueHeadWaitTimeMills", "0"),
    ("litePullThreadPoolQueueSize", "0"),
    ("msgGetTotalTodayMorning", "0"),
    ("msgGetTotalYesterdayMorning", "0"),
    ("msgPutTotalTodayMorning", "0"),
    ("msgPutTotalYesterdayMorning", "0"),
    ("pageCacheLockTimeMills", "0"),
    ("pullThreadPoolQueueCapacity", "100000"),
    ("pullThreadPoolQueueHeadWaitTimeMills", "0"),
    ("pullThreadPoolQueueSize", "0"),
    ("putMessageFailedTimes", "0"),
    ("queryThreadPoolQueueCapacity", "20000"),
    ("queryThreadPoolQueueHeadWaitTimeMills", "0"),
    ("queryThreadPoolQueueSize", "0"),
    ("remainHowManyDataToFlush", "0 B"),
    ("remainTransientStoreBufferNumbs", "2147483647"),
    ("sendThreadPoolQueueCapacity", "10000"),
    ("sendThreadPoolQueueHeadWaitTimeMills", "0"),
    ("sendThreadPoolQueueSize", "0"),
    ("startAcceptSendRequestTimeStamp", "0"),
    ("timerCongestNum", "0"),
    ("timerDequeueTps", "0.0"),
    ("timerEnqueueTps", "0.0"),
    ("timerOffsetBehind", "0"),
    ("timerReadBehind", "0"),
];

impl Engine {
    /// 106: there is one cluster, mostly with one broker.
    pub(crate) fn cluster_info(&self) -> ClusterInfo {
        let (cluster, broker) = (&self.identity.cluster, &self.identity.broker);
        if let Some(member) = &self.member {
            return member.registry.cluster_info(cluster);
        }
        ClusterInfo {
            brokers: [(broker.clone(), self.broker_data())].into(),
            clusters: [(cluster.clone(), vec![broker.clone()])].into(),
        }
    }

    /// This broker, as name servers tell it.
    pub(super) fn broker_data(&self) -> BrokerData {
        BrokerData {
            broker_addrs: [(0, self.identity.address.clone())].into(),
            broker_name: self.identity.broker.clone(),
            cluster: self.identity.cluster.clone(),
            // 5.x says so always, and `rocketmq-client-rust` reads no route without it.
            enable_acting_master: Some(false),
            zone_name: None,
        }
    }

    /// 101: no settings can be put here.
    pub(crate) fn kv_config(request: &KvConfigOf) -> Result<KvConfig, Refusal> {
        let (namespace, key) = (&request.namespace, &request.key);
        Err(Refusal::new(
            ResponseCode::QUERY_NOT_FOUND,
            format!("No config item, Namespace: {namespace} Key: {key}"),
        ))
    }

    /// 102: tools that delete a topic or a group also delete what was said of its order, which is
    /// nothing here. Other settings are not to be written.
    pub(crate) fn delete_kv_config(request: &DeleteKvConfig) -> Result<Empty, Refusal> {
        match request.namespace == "ORDER_TOPIC_CONFIG" {
            true => Ok(Empty),
            false => Err(Refusal::unknown(RequestCode::DELETE_KV_CONFIG)),
        }
    }

    /// 205: clients hear that no topic may be written, until 327 or the broker's next start.
    pub(crate) fn wipe_write_permission(
        &mut self,
        request: &WipeWritePermission,
    ) -> Result<WipedTopics, Refusal> {
        Ok(WipedTopics { count: self.wipe(&request.broker_name, true) })
    }

    /// 327: clients get the topics' own permissions again.
    pub(crate) fn give_write_permission(
        &mut self,
        request: &GiveWritePermission,
    ) -> Result<GivenTopics, Refusal> {
        Ok(GivenTopics { count: self.wipe(&request.broker_name, false) })
    }

    /// Says how many topics are concerned: none of another broker's.
    fn wipe(&mut self, broker: &str, is_wiped: bool) -> i32 {
        if broker != self.identity.broker {
            return 0;
        }
        self.write_wiped = is_wiped;
        self.topics.len() as i32
    }

    /// 26: what tools look for, and nothing that is secret. It cannot be changed from outside.
    pub(crate) fn broker_config(&self) -> BrokerConfig {
        let identity = &self.identity;
        let port = identity.store_host.port();
        let queues = identity.auto_create_queues;
        let lines = [
            "autoCreateSubscriptionGroup=true".to_owned(),
            format!("autoCreateTopicEnable={}", queues.is_some()),
            format!("brokerClusterName={}", identity.cluster),
            "brokerId=0".to_owned(),
            format!("brokerName={}", identity.broker),
            "brokerPermission=6".to_owned(),
            "brokerRole=ASYNC_MASTER".to_owned(),
            format!("defaultTopicQueueNums={}", queues.unwrap_or(8)),
            format!("enablePropertyFilter={}", self.sql_filters),
            "fileReservedTime=72".to_owned(),
            "filterServerNums=0".to_owned(),
            "flushDiskType=SYNC_FLUSH".to_owned(),
            format!("listenPort={port}"),
            "maxMessageSize=4194304".to_owned(),
            "messageDelayLevel=1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h"
                .to_owned(),
            "msgTraceTopicName=RMQ_SYS_TRACE_TOPIC".to_owned(),
            "slaveReadEnable=false".to_owned(),
            "traceOn=true".to_owned(),
            "traceTopicEnable=false".to_owned(),
            "useTLS=false".to_owned(),
        ];
        let version = r#"{"counter":0,"stateVersion":0,"timestamp":0}"#.to_owned();
        BrokerConfig { version, settings: (lines.join("\n") + "\n").into() }
    }

    /// 319: as [`broker_config`](Self::broker_config), of the name server.
    pub(crate) fn name_server_config(&self) -> RawBody {
        RawBody::text(
            "clusterTest=false\nenableAllTopicList=true\nenableTopicList=true\n\
             orderMessageEnable=false\nproductEnvName=center\nsupportActingMaster=false\n",
        )
    }

    /// 224: there is only one cluster, and all topics are in it.
    pub(crate) fn topics_of_cluster(
        &self,
        request: &TopicsOfCluster,
    ) -> Result<TopicList, Refusal> {
        match request.cluster == self.identity.cluster {
            true => self.topic_list(),
            false => Ok(TopicList::default()),
        }
    }

    /// 304: the topics that are called as the cluster and its broker.
    pub(crate) fn cluster_topics(&self) -> TopicList {
        let names = [&self.identity.broker, &self.identity.cluster];
        TopicList {
            broker_addr: Some(self.identity.address.clone()),
            topics: names.into_iter().cloned().collect(),
        }
    }

    /// 305: the topics that the broker needs itself.
    pub(crate) fn system_topics(&self) -> TopicList {
        let names = self.topics.iter().map(|topic| &topic.config.name);
        let topics = names.filter(|name| is_system(name, &self.identity)).cloned().collect();
        TopicList { broker_addr: None, topics }
    }

    /// 28: all figures are texts.
    pub(crate) fn runtime_info(&mut self, now: Millis) -> KvTable {
        let begun = self.begun.unwrap_or(now);
        let put = self.put_meter.stats(now);
        let got = self.got_meter.stats(now);
        let tps = |minute: f64, hour: f64| format!("{minute} {minute} {hour}");
        let put_tps = tps(put.stats_minute.tps, put.stats_hour.tps);
        let got_tps = tps(got.stats_minute.tps, got.stats_hour.tps);
        let total = self.stored();
        let size = self.put_bytes;
        let average = if total == 0 { 0.0 } else { size as f64 / total as f64 };
        let oldest = self.oldest_stored_at().unwrap_or(-1);
        let figures = [
            ("bootTimestamp", begun.to_string()),
            ("brokerVersionDesc", VERSION.to_owned()),
            ("commitLogDirCapacity", "Total : 0 B, Free : 0 B.".to_owned()),
            ("commitLogMaxOffset", size.to_string()),
            ("earliestMessageTimeStamp", oldest.to_string()),
            ("getFoundTps", got_tps.clone()),
            ("getMissTps", tps(0.0, 0.0)),
            ("getTotalTps", got_tps.clone()),
            // 4.x spells it with one r.
            ("getTransferedTps", got_tps.clone()),
            ("getTransferredTps", got_tps),
            ("msgGetTotalTodayNow", self.got.to_string()),
            ("msgPutTotalTodayNow", total.to_string()),
            ("putMessageAverageSize", average.to_string()),
            ("putMessageSizeTotal", size.to_string()),
            ("putMessageTimesTotal", total.to_string()),
            ("putTps", put_tps),
            ("runtime", running_for(now - begun)),
        ];
        let idle = IDLE.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let known = figures.into_iter().map(|(name, value)| (name.to_owned(), value));
        KvTable { table: idle.chain(known).collect::<BTreeMap<_, _>>() }
    }

    /// When the oldest message was stored that can still be read, of all topics.
    fn oldest_stored_at(&self) -> Option<Millis> {
        let queues = self
            .topics
            .iter()
            .flat_map(|topic| (0..topic.known_queues()).map(|queue| topic.key(queue)));
        queues
            .filter(|key| self.topics.ends(*key).committed > 0)
            .filter_map(|key| self.record(key, self.first_offset(key)).ok().flatten())
            .map(|record| record.stored_at_ms())
            .min()
    }
}

/// A time in words, as real brokers have it.
fn running_for(ms: Millis) -> String {
    let seconds = ms / 1_000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    let (hours, minutes, seconds) = (hours % 24, minutes % 60, seconds % 60);
    format!("[ {days} days, {hours} hours, {minutes} minutes, {seconds} seconds ]")
}
