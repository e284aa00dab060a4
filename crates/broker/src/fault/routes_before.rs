//! Routes as they were a while ago, as far as clients have asked for them.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use posthaste_protocol::request::TopicRoute;

/// How many topics are remembered; those asked for beyond them are answered as they are.
const MOST_TOPICS: usize = 4_096;

/// What has been true of each topic, oldest first; `None`: it did not exist.
#[derive(Debug, Default)]
pub(crate) struct RoutesBefore(HashMap<String, VecDeque<(Instant, Option<TopicRoute>)>>);

impl RoutesBefore {
    /// What was true of a topic a while before `now`. `real` is true now.
    pub(crate) fn told(
        &mut self,
        topic: &str,
        real: Option<TopicRoute>,
        now: Instant,
        ago: Duration,
    ) -> Option<TopicRoute> {
        if self.0.len() >= MOST_TOPICS && !self.0.contains_key(topic) {
            return real;
        }
        let known = self.0.entry(topic.to_owned()).or_default();
        if known.back().is_none_or(|(_, last)| *last != real) {
            known.push_back((now, real));
        }
        while known.get(1).is_some_and(|(since, _)| *since + ago <= now) {
            known.pop_front();
        }
        known.front().and_then(|(_, route)| route.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_late() {
        let (begin, ago) = (Instant::now(), Duration::from_secs(10));
        let mut before = RoutesBefore::default();
        let route = TopicRoute::default();
        let changed = TopicRoute { order_topic_conf: Some("a:1".into()), ..route.clone() };
        for (second, real, told) in [
            (0, None, None),
            (1, Some(&route), None),
            (5, Some(&changed), None),
            (10, Some(&changed), None),
            (11, Some(&changed), Some(&route)),
            (15, Some(&changed), Some(&changed)),
            (16, None, Some(&changed)),
            (26, None, None),
        ] {
            let now = begin + Duration::from_secs(second);
            let answer = before.told("orders", real.cloned(), now, ago);
            assert_eq!(answer.as_ref(), told, "after {second} s");
        }
        let other = before.told("payments", Some(changed.clone()), begin, ago);
        assert_eq!(other, Some(changed), "a topic that nobody has asked for before");
    }
}
