//! What a message's properties ask of the broker: to come later, or to be part of a transaction.

use posthaste_protocol::properties::{NAME_END, VALUE_END, name};

use super::{Millis, refusal::Refusal};

/// How far away the time of delivery may be: three days, as in 5.x.
const MAX_DELAY_MS: Millis = 259_200_000;

/// The wishes of one message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wishes {
    /// Delay level; 0 or less: none.
    pub(crate) delay_level: i32,
    /// Whether it is a transaction's half message.
    pub(crate) is_half: bool,
    /// When it is to be delivered.
    timer: Option<(Timer, String)>,
    /// Whether it takes another message back, as brokers of 5.x tell themselves.
    cancels: bool,
}

/// How a time of delivery is given; of several the first counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    AfterSeconds,
    AfterMs,
    At,
}

/// When a message is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Course {
    /// At once.
    AtOnce,
    /// After the time of a delay level.
    Level(i32),
    /// At this time.
    At(Millis),
}

impl Wishes {
    /// The wishes in a text of the wire; of a name that occurs twice the last one counts.
    pub(crate) fn of(text: &str) -> Self {
        let mut wishes = Self::default();
        for (name, value) in text.split(VALUE_END).filter_map(|pair| pair.split_once(NAME_END)) {
            if !value.is_empty() {
                wishes.read(name, value);
            }
        }
        wishes
    }

    /// Takes one property into account.
    pub(crate) fn read(&mut self, name: &str, value: &str) {
        match name {
            name::DELAY => self.delay_level = value.parse().unwrap_or(0),
            name::TRAN_MSG => self.is_half = value.eq_ignore_ascii_case("true"),
            name::TIMER_DELAY_SEC => self.wait(Timer::AfterSeconds, value),
            name::TIMER_DELAY_MS => self.wait(Timer::AfterMs, value),
            name::TIMER_DELIVER_MS => self.wait(Timer::At, value),
            "TIMER_DEL_UNIQKEY" => self.cancels = true,
            _ => {}
        }
    }

    fn wait(&mut self, timer: Timer, value: &str) {
        if self.timer.as_ref().is_none_or(|(known, _)| timer <= *known) {
            self.timer = Some((timer, value.to_owned()));
        }
    }

    /// Whether the message asks to come later than it is sent, or asked so once.
    pub(crate) fn is_delayed(&self) -> bool {
        self.delay_level > 0 || self.timer.is_some()
    }

    /// When the message is delivered that is stored `now`. A delay level goes before a time.
    pub(crate) fn course(&self, now: Millis) -> Result<Course, Refusal> {
        if self.delay_level > 0 {
            return Ok(Course::Level(self.delay_level));
        }
        let Some((timer, value)) = &self.timer else { return Ok(Course::AtOnce) };
        if self.cancels {
            return Err(Refusal::illegal(
                "timer message illegal: a message is taken back with its recall handle",
            ));
        }
        let Ok(number) = value.parse::<Millis>() else {
            return Err(Refusal::illegal(format!(
                "timer message illegal: {:?} is not a number",
                value.chars().take(64).collect::<String>()
            )));
        };
        let due = match timer {
            Timer::AfterSeconds => now.saturating_add(number.saturating_mul(1_000)),
            Timer::AfterMs => now.saturating_add(number),
            Timer::At => number,
        };
        if due.saturating_sub(now) > MAX_DELAY_MS {
            return Err(Refusal::illegal(format!(
                "timer message illegal, the delay time should not be bigger than the max delay {MAX_DELAY_MS}ms"
            )));
        }
        Ok(if due > now { Course::At(due) } else { Course::AtOnce })
    }
}

#[cfg(test)]
mod tests {
    use posthaste_protocol::ResponseCode;
    use posthaste_protocol::properties::push;

    use super::*;

    const NOW: Millis = 1_700_000_000_000;

    fn course(pairs: &[(&str, &str)]) -> Result<Course, ResponseCode> {
        let mut text = String::new();
        for (name, value) in pairs {
            push(&mut text, name, value);
        }
        Wishes::of(&text).course(NOW).map_err(|refusal| refusal.code)
    }

    #[test]
    fn the_course_of_a_message() {
        let at = |ms: Millis| Ok(Course::At(NOW + ms));
        let illegal = Err(ResponseCode::MESSAGE_ILLEGAL);
        let in_four_seconds = (NOW + 4_000).to_string();
        let (last, too_far) = ((NOW + 259_200_000).to_string(), (NOW + 259_200_001).to_string());
        let now = NOW.to_string();
        type Case<'a> = (&'a [(&'a str, &'a str)], Result<Course, ResponseCode>);
        let cases: &[Case<'_>] = &[
            (&[], Ok(Course::AtOnce)),
            (&[("DELAY", "3")], Ok(Course::Level(3))),
            (&[("DELAY", "0")], Ok(Course::AtOnce)),
            (&[("DELAY", "-1")], Ok(Course::AtOnce)),
            (&[("DELAY", "soon")], Ok(Course::AtOnce)),
            (&[("TIMER_DELAY_SEC", "2")], at(2_000)),
            (&[("TIMER_DELAY_MS", "2")], at(2)),
            (&[("TIMER_DELIVER_MS", &in_four_seconds)], at(4_000)),
            (&[("TIMER_DELAY_MS", "2"), ("TIMER_DELAY_SEC", "2")], at(2_000)),
            (&[("TIMER_DELIVER_MS", &in_four_seconds), ("TIMER_DELAY_MS", "7")], at(7)),
            (&[("TIMER_DELAY_MS", "7"), ("TIMER_DELIVER_MS", &in_four_seconds)], at(7)),
            (&[("TIMER_DELAY_MS", "7"), ("TIMER_DELAY_MS", "8")], at(8)),
            (&[("TIMER_DELAY_MS", "7"), ("DELAY", "2")], Ok(Course::Level(2))),
            (&[("TIMER_DELAY_MS", "7"), ("DELAY", "0")], at(7)),
            (&[("TIMER_DELIVER_MS", &now)], Ok(Course::AtOnce)),
            (&[("TIMER_DELIVER_MS", "9")], Ok(Course::AtOnce)),
            (&[("TIMER_DELAY_MS", "-9")], Ok(Course::AtOnce)),
            (&[("TIMER_DELAY_SEC", "259200")], at(259_200_000)),
            (&[("TIMER_DELIVER_MS", &last)], at(259_200_000)),
            (&[("TIMER_DELIVER_MS", &too_far)], illegal),
            (&[("TIMER_DELAY_SEC", "259201")], illegal),
            (&[("TIMER_DELAY_SEC", "9223372036854775807")], illegal),
            (&[("TIMER_DELAY_SEC", "-9223372036854775808")], Ok(Course::AtOnce)),
            (&[("TIMER_DELAY_MS", "soon")], illegal),
            (&[("TIMER_DELAY_MS", "1.5")], illegal),
            (&[("TIMER_DELAY_MS", "7"), ("TIMER_DEL_UNIQKEY", "id")], illegal),
            (&[("TIMER_DEL_UNIQKEY", "id")], Ok(Course::AtOnce)),
        ];
        for (properties, expected) in cases {
            assert_eq!(course(properties), *expected, "{properties:?}");
        }
    }

    #[test]
    fn the_last_of_a_name_counts() {
        let wishes = Wishes::of(
            "DELAY\u{1}3\u{2}TRAN_MSG\u{1}false\u{2}TRAN_MSG\u{1}TRUE\u{2}DELAY\u{1}\u{2}",
        );
        assert_eq!(wishes.delay_level, 3);
        assert!(wishes.is_half);
    }
}
