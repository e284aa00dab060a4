//! Requests that are rare: routes, heartbeats and the like. They are read in full.

use bytes::BytesMut;
use posthaste_protocol::request::{BrokerData, Empty, Incoming, QueueData, TopicRoute, permission};
use posthaste_protocol::{Command, Frame, ResponseCode, command};

use crate::scan;

/// What the name server tells: every topic has so many queues on each of these brokers.
pub(crate) struct Routes {
    route: TopicRoute,
}

impl Routes {
    pub(crate) fn new(addresses: &[String], queues: i32) -> Self {
        let name = |number: usize| format!("null-{number}");
        let brokers = addresses.iter().enumerate().map(|(number, address)| BrokerData {
            broker_addrs: [(0, address.clone())].into(),
            broker_name: name(number),
            cluster: "DefaultCluster".to_owned(),
            // Not every client reads a route without it.
            enable_acting_master: Some(false),
            zone_name: None,
        });
        let queues = (0..addresses.len()).map(|number| QueueData {
            broker_name: name(number),
            perm: permission::READ | permission::WRITE,
            read_queue_nums: queues,
            write_queue_nums: queues,
            topic_sys_flag: Some(0),
            topic_syn_flag: None,
        });
        let (brokers, queues) = (brokers.collect(), queues.collect());
        Self { route: TopicRoute { brokers, queues, ..TopicRoute::default() } }
    }

    /// Appends the answer to a request that is no send. What is not known is answered as done:
    /// clients ask for this and that at their start.
    pub(crate) fn answer(&self, out: &mut Vec<u8>, frame: scan::Frame<'_>) {
        let mut bytes = BytesMut::from(frame.whole);
        let Ok(Some(frame)) = Frame::take(&mut bytes, usize::MAX) else { return };
        let Ok(request) = Command::decode(frame) else { return };
        if request.is_oneway() || request.is_answer() {
            return;
        }
        let (done, mut answer) = (ResponseCode::SUCCESS, BytesMut::new());
        match Incoming::read(&request) {
            Ok(Incoming::RouteOf(_)) => {
                command::put_answer(&mut answer, request.opaque, done, None, &self.route);
            }
            _ => command::put_answer(&mut answer, request.opaque, done, None, &Empty),
        }
        out.extend_from_slice(&answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use posthaste_protocol::request::RouteOf;

    #[test]
    fn a_topic_is_on_all_brokers() {
        let routes = Routes::new(&["127.0.0.1:1".into(), "127.0.0.1:2".into()], 8);
        let (mut request, mut out) = (BytesMut::new(), Vec::new());
        let asked = RouteOf { topic: "any".into(), standard_json: None };
        command::put_request(&mut request, 9, false, &asked);
        routes.answer(&mut out, scan::next(&request).unwrap().unwrap());
        let frame = Frame::take(&mut BytesMut::from(&out[..]), usize::MAX).unwrap().unwrap();
        let answer = Command::decode(frame).unwrap();
        let route: TopicRoute = answer.read().unwrap();
        assert_eq!((answer.opaque, route.queues.len()), (9, 2));
        assert_eq!(route.brokers[1].master(), Some("127.0.0.1:2"));
    }
}
