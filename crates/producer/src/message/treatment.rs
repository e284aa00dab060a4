//! What a message asks of its broker beside being stored in a queue.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use posthaste_protocol::properties::name;

/// Names of light queues begin so.
const LIGHT_QUEUE: &str = "%LMQ%";

/// Versions, as brokers declare them (`MQVersion` ordinals).
const V5_0_0: i32 = 413;
const V5_4_0: i32 = 493;
const V5_5_0: i32 = 513;

/// Brokers of this version pass over no wish of a message, nor do later ones.
pub(crate) const KNOWS_ALL_WISHES: i32 = V5_5_0;

/// Of most messages there is none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Treatment {
    pub(super) delay: Option<Delay>,
    pub(super) priority: Option<i32>,
    pub(super) lite_topic: Option<String>,
    pub(super) light_queues: Vec<String>,
    /// When a broker asks for a half message for the first time.
    pub(super) first_check: Option<Duration>,
    pub(super) part: Part,
}

/// When a delayed message is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delay {
    /// After one of the brokers' own delays: see [`Message::delay_level`](crate::Message::delay_level).
    Level(u8),
    /// This long after the broker has stored it.
    After(Duration),
    /// At this point in time, by the broker's clock.
    At(SystemTime),
}

impl Delay {
    /// When a message with it is due that is sent now, in ms since 1970; levels are the broker's.
    pub(super) fn due_at_ms(self, now: SystemTime) -> Option<i64> {
        let due = match self {
            Self::Level(_) => return None,
            Self::After(time) => now.checked_add(time)?,
            Self::At(time) => time,
        };
        i64::try_from(since_1970_ms(due)).ok()
    }
}

/// What a message is part of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Part {
    #[default]
    None,
    /// A half message: part of a transaction.
    Transaction,
    /// A message that waits for a reply.
    Request(Correlation),
    /// The reply to one.
    Reply(Correlation),
}

/// What a request and its reply have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Correlation {
    pub(crate) id: Arc<str>,
    /// Client id of the requester.
    pub(crate) reply_to: Arc<str>,
    /// How long the requester waits.
    pub(crate) ttl_ms: u64,
}

impl Treatment {
    /// Its properties as they travel.
    pub(super) fn properties(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        let Self { delay, priority, lite_topic, light_queues, first_check, part } = self;
        let number = |number: i128| Cow::Owned(number.to_string());
        let delay = delay.map(|delay| match delay {
            Delay::Level(level) => (name::DELAY, number(level.into())),
            Delay::After(time) => (name::TIMER_DELAY_MS, number(time.as_millis() as i128)),
            Delay::At(time) => (name::TIMER_DELIVER_MS, number(since_1970_ms(time).into())),
        });
        let priority = priority.map(|priority| (name::PRIORITY, number(priority.into())));
        let lite_topic = lite_topic.as_deref().map(|name| (name::LITE_TOPIC, Cow::Borrowed(name)));
        let light_queues = (!light_queues.is_empty())
            .then(|| (name::INNER_MULTI_DISPATCH, Cow::Owned(light_queues.join(","))));
        // Brokers count in seconds.
        let first_check = first_check.map(|time| {
            (name::CHECK_IMMUNITY_TIME, number(time.as_millis().div_ceil(1000) as i128))
        });
        [delay, priority, lite_topic, light_queues, first_check]
            .into_iter()
            .flatten()
            .chain(part.properties())
    }

    /// What a broker of this version (`MQVersion` ordinal) passes over without a word: what it is
    /// called, and the version that knows it.
    pub(super) fn passed_over_by(
        &self,
        version: i32,
    ) -> impl Iterator<Item = (&'static str, i32)> + use<> {
        let timer = matches!(self.delay, Some(Delay::After(_) | Delay::At(_)));
        let wishes = [
            (timer, "delivery time", V5_0_0),
            (self.priority.is_some(), "priority", V5_4_0),
            (self.lite_topic.is_some(), "lite topic", V5_5_0),
        ];
        let unknown =
            wishes.into_iter().filter(move |(wished, _, since)| *wished && version < *since);
        unknown.map(|(_, name, since)| (name, since))
    }

    /// Says what is wrong with it, if anything is.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.delay == Some(Delay::Level(0)) {
            return Err("the delay level is 0; the first level is 1".into());
        }
        if let Some(Delay::At(time)) = self.delay
            && time < UNIX_EPOCH
        {
            return Err("the delivery time is before 1970".into());
        }
        if let Some(priority) = self.priority
            && priority < 0
        {
            return Err(format!("the priority is {priority}; the lowest is 0"));
        }
        if self.lite_topic.as_deref().is_some_and(|name| name.trim().is_empty()) {
            return Err("the lite topic is empty".into());
        }
        for queue in &self.light_queues {
            let name = queue.strip_prefix(LIGHT_QUEUE).unwrap_or(queue);
            if name.is_empty() || name.contains([',', '/', '\\']) {
                return Err(format!("the light queue `{name}` is empty or has one of , / \\"));
            }
        }
        if self.part == Part::Transaction && self.delay.is_some() {
            // Real brokers store such a half message, and never deliver it once it is committed.
            return Err(
                "a message of a transaction cannot have a delay level or a delivery time; send a \
                 separate delayed message once the transaction is committed"
                    .into(),
            );
        }
        Ok(())
    }

    /// Adds a light queue, by its name with or without the prefix of such names.
    pub(super) fn add_light_queue(&mut self, name: String) {
        self.light_queues.push(match name.starts_with(LIGHT_QUEUE) {
            true => name,
            false => format!("{LIGHT_QUEUE}{name}"),
        });
    }
}

impl Part {
    fn properties(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        let half = (*self == Self::Transaction).then_some((name::TRAN_MSG, "true"));
        let reply = matches!(self, Self::Reply(_)).then_some((name::MSG_TYPE, "reply"));
        let correlation = match self {
            Self::Request(correlation) | Self::Reply(correlation) => Some(correlation),
            Self::None | Self::Transaction => None,
        };
        let fixed = half.into_iter().chain(reply).map(|(n, value)| (n, Cow::Borrowed(value)));
        fixed.chain(correlation.into_iter().flat_map(|correlation| {
            [
                (name::CORRELATION_ID, Cow::Borrowed(&*correlation.id)),
                (name::REPLY_TO_CLIENT, Cow::Borrowed(&*correlation.reply_to)),
                (name::TTL, Cow::Owned(correlation.ttl_ms.to_string())),
            ]
        }))
    }
}

fn since_1970_ms(time: SystemTime) -> u64 {
    let since_1970 = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 4.9.7 is 407, 5.0.0 413, 5.3.2 437, 5.4.0 493, 5.5.0 513.
    #[test]
    fn a_wish_is_passed_over_by_versions_that_are_older_than_it() {
        let all = Treatment {
            delay: Some(Delay::After(Duration::from_secs(1))),
            priority: Some(1),
            lite_topic: Some("l".into()),
            ..Treatment::default()
        };
        let levels = Treatment { delay: Some(Delay::Level(3)), ..Treatment::default() };
        for (version, expected) in [
            (407, &["delivery time", "priority", "lite topic"][..]),
            (413, &["priority", "lite topic"]),
            (492, &["priority", "lite topic"]),
            (493, &["lite topic"]),
            (512, &["lite topic"]),
            (513, &[]),
        ] {
            let passed_over: Vec<_> = all.passed_over_by(version).map(|(name, _)| name).collect();
            assert_eq!(passed_over, expected, "{version}");
            assert_eq!(levels.passed_over_by(version).count(), 0, "every version knows levels");
        }
        assert_eq!(all.passed_over_by(KNOWS_ALL_WISHES).count(), 0);
    }
}
