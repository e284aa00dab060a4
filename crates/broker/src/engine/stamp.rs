//! What the broker writes into the properties of a message that it stores.

use std::net::SocketAddr;

use posthaste_protocol::StoredMessage;
use posthaste_protocol::id::UniqueId;
use posthaste_protocol::properties::{self, NAME_END, VALUE_END, name};

use super::{Identity, Millis, refusal::Refusal, wishes::Wishes};

/// The region in every answer to a send.
pub(crate) const REGION: &str = "DefaultRegion";

/// Stamps properties.
#[derive(Debug)]
pub(crate) struct Stamper {
    /// What every message gets.
    added: String,
    host: SocketAddr,
    process: u16,
    instance: u32,
    counter: u16,
}

/// Properties as they are stored, and what they ask of the broker.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stamped {
    /// The text.
    pub(crate) text: String,
    /// The message's unique id.
    pub(crate) unique_id: String,
    /// What they ask of the broker.
    pub(crate) wishes: Wishes,
}

impl Stamper {
    pub(crate) fn new(identity: &Identity, random: &mut fastrand::Rng) -> Self {
        let mut added = String::new();
        // Consumers find the topic for replies by the cluster's name.
        properties::push(&mut added, name::CLUSTER, &identity.cluster);
        properties::push(&mut added, name::MSG_REGION, REGION);
        properties::push(&mut added, name::TRACE_ON, "true");
        Self {
            added,
            host: identity.store_host,
            process: random.u16(..),
            instance: random.u32(..),
            counter: 0,
        }
    }

    /// Stamps the properties of one message. Pairs without a name or a value disappear; of a name
    /// that occurs twice the last one counts, as for every reader.
    pub(crate) fn stamp(&mut self, now: Millis, text: &str) -> Stamped {
        let mut stamped = Stamped {
            text: String::with_capacity(text.len() + self.added.len() + 48),
            unique_id: String::new(),
            wishes: Wishes::default(),
        };
        for pair in text.split(VALUE_END) {
            let Some((key, value)) = pair.split_once(NAME_END) else { continue };
            if value.is_empty() {
                continue;
            }
            match key {
                name::CLUSTER | name::MSG_REGION | name::TRACE_ON | "POP_CK" => continue,
                name::UNIQ_KEY => stamped.unique_id = value.to_owned(),
                _ => stamped.wishes.read(key, value),
            }
            properties::push(&mut stamped.text, key, value);
        }
        if stamped.unique_id.is_empty() {
            stamped.unique_id = self.unique_id(now);
            properties::push(&mut stamped.text, name::UNIQ_KEY, &stamped.unique_id);
        }
        stamped.text.push_str(&self.added);
        stamped
    }

    /// An id for a message whose client gave it none.
    fn unique_id(&mut self, now: Millis) -> String {
        self.counter = self.counter.wrapping_add(1);
        let id = UniqueId {
            ip: self.host.ip(),
            process: self.process,
            instance: self.instance,
            time_ms: since_month_began(now),
            counter: self.counter,
        };
        id.to_string()
    }
}

/// Whether there is room for a message's properties, including the broker's, and for
/// `spare` bytes more.
pub(crate) fn check_properties(message: &StoredMessage, spare: usize) -> Result<(), Refusal> {
    let (length, most) = (message.properties.len() + spare, properties::MAX_LENGTH);
    match length <= most {
        true => Ok(()),
        false => Err(Refusal::illegal(format!(
            "the properties have {length} bytes with what the broker adds; {most} is the most that is stored"
        ))),
    }
}

/// Milliseconds since the month of `now` began (UTC).
fn since_month_began(now: Millis) -> u32 {
    const DAY: i64 = 86_400_000;
    // The day of the month, from days since 1970, in a calendar whose years begin in March.
    let days = now.div_euclid(DAY) + 719_468;
    let day_of_era = days.rem_euclid(146_097);
    let year = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5;
    (day * DAY + now.rem_euclid(DAY)) as u32
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn stamper() -> Stamper {
        let identity = Identity {
            cluster: "DefaultCluster".into(),
            broker: "dev".into(),
            address: "127.0.0.1:10911".into(),
            store_host: SocketAddr::from((Ipv4Addr::LOCALHOST, 10911)),
            auto_create_queues: None,
        };
        Stamper::new(&identity, &mut fastrand::Rng::with_seed(7))
    }

    #[test]
    fn stamping_adds_what_5_x_adds_and_keeps_the_rest() {
        let stamped =
            stamper().stamp(0, "TAGS\u{1}a\u{2}UNIQ_KEY\u{1}id\u{2}x\u{1}\u{2}KEYS\u{1}k");
        assert_eq!(
            stamped.text,
            "TAGS\u{1}a\u{2}UNIQ_KEY\u{1}id\u{2}KEYS\u{1}k\u{2}CLUSTER\u{1}DefaultCluster\u{2}\
             MSG_REGION\u{1}DefaultRegion\u{2}TRACE_ON\u{1}true\u{2}"
        );
        assert_eq!(stamped.unique_id, "id");
    }

    #[test]
    fn a_message_without_an_id_gets_one() {
        let mut stamper = stamper();
        let (first, second) = (stamper.stamp(0, "").unique_id, stamper.stamp(0, "").unique_id);
        assert_ne!(first, second);
        assert!(first.parse::<UniqueId>().is_ok());
        assert!(stamper.stamp(0, "").text.starts_with("UNIQ_KEY\u{1}"));
    }

    #[test]
    fn wishes_are_read_on_the_way() {
        let text = "DELAY\u{1}3\u{2}TRAN_MSG\u{1}true\u{2}TIMER_DELAY_MS\u{1}9\u{2}";
        assert_eq!(stamper().stamp(0, text).wishes, Wishes::of(text));
    }

    #[test]
    fn months_begin_on_the_first() {
        for (now, expected) in [
            (0, 0),
            (951_782_400_000, 28 * 86_400_000), // 29 February 2000
            (951_868_800_000, 0),               // 1 March 2000
            (1_795_392_000_123, 22 * 86_400_000 + 123), // 23 November 2026
            (1_798_761_599_999, 31 * 86_400_000 - 1), // the end of 2026
        ] {
            assert_eq!(since_month_began(now), expected, "{now}");
        }
    }
}
