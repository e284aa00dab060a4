//! Rules that make no sense.

use std::fmt::Display;
use std::time::Duration;

use posthaste_protocol::ResponseCode;

use super::Fault;
use super::action::Action;
use super::error::FaultError;
use super::lie::Lie;
use super::on::{On, SendKind};
use super::place::Condition;

impl Fault {
    /// Says what is wrong with the rule, as [`fault`](crate::BrokerHandle::fault) of a broker does.
    ///
    /// # Errors
    /// [`FaultError::Senseless`] when it makes no sense.
    pub fn check(&self) -> Result<(), FaultError> {
        self.reason().map_or(Ok(()), |reason| Err(FaultError::Senseless(reason)))
    }

    fn reason(&self) -> Option<String> {
        let action = match self.actions.as_slice() {
            [action] => action,
            [] => return Some("the rule does nothing; say what, if only pass".into()),
            [first, second, ..] => {
                let (first, second) = (first.name(), second.name());
                return Some(format!(
                    "a rule does one thing, and this one is to {first} and to {second}; \
                     make two rules of it"
                ));
            }
        };
        self.wrong_requests()
            .or_else(|| self.wrong_place())
            .or_else(|| self.wrong_cut(action))
            .or_else(|| self.wrong_jitter(action))
            .or_else(|| self.wrong_number(action))
            .or_else(|| wrong_value(action))
            .or_else(|| self.wrong_action(action))
            .or_else(|| self.wrong_point(action))
    }

    fn wrong_requests(&self) -> Option<String> {
        let on = self.requests.on;
        (self.requests.kind.is_some() && on != On::Send)
            .then(|| format!("only sends are single, in a batch or one-way, and not {}", on.noun()))
    }

    fn wrong_place(&self) -> Option<String> {
        if let Some(condition) = self.place.empty() {
            return Some(format!("the {condition} is empty; leave it out to mean any"));
        }
        let on = self.requests.on;
        let there_is = Condition::of(on);
        let wrong = self.place.conditions().find(|condition| !there_is.contains(condition))?;
        Some(format!("{} has no {wrong}; there is: {}", on.noun(), list(there_is)))
    }

    /// A request that arrives is shown to rules before it is known whose it is.
    fn wrong_cut(&self, action: &Action) -> Option<String> {
        (matches!(action, Action::CutRequestAfter(_)) && self.place.client.is_some())
            .then(|| "cut_request_after cannot tell clients; use another condition".into())
    }

    fn wrong_number(&self, action: &Action) -> Option<String> {
        let which = &self.which;
        let probability = which.probability.map_or(1.0, |(probability, _)| probability);
        if which.first == Some(0) {
            Some("first(0) never hits; 1 is the least".into())
        } else if which.every == Some(0) {
            Some("every(0) never hits; 1 is every request".into())
        } else if !(probability > 0.0 && probability <= 1.0) {
            Some(format!("{probability} is no probability; it is more than 0, and at most 1"))
        } else if which.time == Some(Duration::ZERO) {
            Some("a rule for no time never hits".into())
        } else if self.jitter.is_some() && !matches!(action, Action::Delay(_)) {
            Some(format!("only a delay has a jitter, and this rule is to {}", action.name()))
        } else if self.remark.is_some() && !matches!(action, Action::Refuse(_)) {
            Some(format!("only a refusal has a remark, and this rule is to {}", action.name()))
        } else {
            None
        }
    }

    fn wrong_jitter(&self, action: &Action) -> Option<String> {
        match (self.jitter, action) {
            (Some(Duration::ZERO), _) => Some("a jitter of no time does nothing".into()),
            (Some(jitter), Action::Delay(time)) if jitter > *time => Some(format!(
                "a jitter of {jitter:?} is more than the delay of {time:?}; it is at most that"
            )),
            _ => None,
        }
    }

    /// What cannot be done to these requests.
    fn wrong_action(&self, action: &Action) -> Option<String> {
        let (on, kind) = (self.requests.on, self.requests.kind);
        let wrong = match action {
            _ if kind == Some(SendKind::OneWay) && !action.works_one_way(self.after_store) => {
                "no_answer and delay (both before the store), close, reset, slow_close, \
                 cut_request_after, stop_reading, read_at, write_at, pass"
            }
            Action::Pass | Action::Close | Action::Reset => return None,
            Action::NoAnswer | Action::Delay(_) | Action::Garbage => return None,
            Action::SlowClose(_) | Action::CutRequestAfter(_) => return None,
            Action::StopReading | Action::ReadAt(_) | Action::WriteAt(_) => return None,
            _ if on == On::Connect => {
                "no_answer, delay, close, reset, slow_close, cut_request_after, stop_reading, \
                 read_at, write_at, garbage, pass"
            }
            Action::Lie(_) if on != On::Route => {
                return Some(format!(
                    "{} is about routes, and {} has none; use On::Route",
                    action.name(),
                    on.noun()
                ));
            }
            Action::Status(_) if on != On::Send => {
                return Some(format!("only a send has a status, and not {}", on.noun()));
            }
            _ => return None,
        };
        let noun = if on == On::Connect { on.noun() } else { "a one-way send".into() };
        Some(format!("{noun} takes no {}; there is: {wrong}", action.name()))
    }

    fn wrong_point(&self, action: &Action) -> Option<String> {
        if !self.after_store {
            return None;
        }
        match (self.requests.on, action) {
            (on @ (On::Route | On::Pull | On::Query | On::Connect), _) => {
                Some(format!("{} stores nothing; leave after_store out", on.noun()))
            }
            (_, Action::CutRequestAfter(_)) => {
                Some("a request that is cut off is not stored; leave after_store out".into())
            }
            (_, Action::GoAway) => Some(
                "go_away means that nothing was stored; leave after_store out, or use close".into(),
            ),
            _ => None,
        }
    }
}

/// A value that makes an action senseless.
fn wrong_value(action: &Action) -> Option<String> {
    match action {
        Action::Refuse(ResponseCode::SUCCESS) => {
            Some("0 is no refusal; use pass, or no_answer".into())
        }
        Action::Refuse(code) if code.means_stored() => {
            Some(format!("{code} says that the message is stored; use status"))
        }
        Action::Status(code) if !code.means_stored() || *code == ResponseCode::SUCCESS => {
            Some(format!(
                "{code} is no status of a stored message; there is: FLUSH_DISK_TIMEOUT (10), \
                 SLAVE_NOT_AVAILABLE (11), FLUSH_SLAVE_TIMEOUT (12)"
            ))
        }
        Action::Trickle(0) => Some("trickle(0) never ends; use no_answer".into()),
        Action::ReadAt(0) => Some("read_at(0) never ends; use stop_reading".into()),
        Action::WriteAt(0) => Some("write_at(0) never ends; use no_answer".into()),
        Action::CutRequestAfter(0) => {
            Some("cut_request_after(0) is a reset before the request; use reset".into())
        }
        Action::SlowClose(Duration::ZERO) => Some("slow_close by no time; use close".into()),
        Action::Delay(Duration::ZERO) | Action::Lie(Lie::StaleBy(Duration::ZERO)) => {
            Some(format!("{} by no time does nothing", action.name()))
        }
        Action::Lie(Lie::AnotherAddress(address)) => {
            let is_one = address
                .rsplit_once(':')
                .is_some_and(|(host, port)| is_host(host) && port.parse::<u16>().is_ok());
            (!is_one).then(|| format!("{address:?} is no address; it has the form host:port"))
        }
        _ => None,
    }
}

/// A URL is taken for a mistake. What follows a host, as a comment in `brokerIP1` does, is a lie that
/// real name servers tell.
fn is_host(host: &str) -> bool {
    !host.is_empty() && !host.contains(['/', '@'])
}

fn list<T: Display>(all: &[T]) -> String {
    all.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Requests;

    const BUSY: ResponseCode = ResponseCode::SYSTEM_BUSY;

    fn on(requests: impl Into<Requests>) -> Fault {
        Fault::on(requests)
    }

    #[test]
    fn senseless_rules_say_what_there_is() {
        let second = Duration::from_secs(1);
        for (fault, part) in [
            (on(On::Send), "the rule does nothing"),
            (on(On::Send).close().refuse(BUSY), "to close and to refuse; make two rules"),
            (on(On::Route.batch()).pass(), "only sends are single"),
            (on(On::Send).topic("").pass(), "the topic is empty"),
            (on(On::Heartbeat).topic("orders").pass(), "no topic; there is: group, client, port"),
            (on(On::Connect).group("g").pass(), "no group; there is: port"),
            (on(On::Code(7)).key("k").pass(), "code 7 has no key; there is: client, port"),
            (on(On::Send).first(0).pass(), "first(0)"),
            (on(On::Send).every(0).pass(), "every(0)"),
            (on(On::Send).with_probability(0.0, 1).pass(), "0 is no probability"),
            (on(On::Send).with_probability(f64::NAN, 1).pass(), "NaN is no probability"),
            (on(On::Send).for_time(Duration::ZERO).pass(), "for no time"),
            (on(On::Send).remark("no").close(), "only a refusal has a remark"),
            (on(On::Send).refuse(ResponseCode::SUCCESS), "0 is no refusal"),
            (on(On::Send).refuse(ResponseCode::FLUSH_DISK_TIMEOUT), "use status"),
            (on(On::Send).status(BUSY), "there is: FLUSH_DISK_TIMEOUT (10)"),
            (on(On::Pull).status(ResponseCode::FLUSH_DISK_TIMEOUT), "only a send has a status"),
            (on(On::Send).trickle(0), "trickle(0)"),
            (on(On::Send).delay(Duration::ZERO), "delay by no time"),
            (on(On::Send).delay(second).jitter(Duration::ZERO), "a jitter of no time"),
            (on(On::Send).delay(second).jitter(second * 2), "more than the delay of 1s"),
            (on(On::Send).close().jitter(second), "only a delay has a jitter"),
            (on(On::Send).slow_close(Duration::ZERO), "use close"),
            (on(On::Send).read_at(0), "use stop_reading"),
            (on(On::Send).write_at(0), "write_at(0)"),
            (on(On::Send).cut_request_after(0), "use reset"),
            (on(On::Send).client("c").cut_request_after(9), "cannot tell clients"),
            (on(On::Send).after_store().cut_request_after(9), "is not stored"),
            (on(On::Route).another_address("here"), "host:port"),
            (on(On::Route).another_address("http://here:1"), "host:port"),
            (on(On::Send).without_master(), "without_master is about routes"),
            (on(On::Connect).refuse(BUSY), "takes no refuse; there is: no_answer, delay"),
            (on(On::Send.one_way()).refuse(BUSY), "a one-way send takes no refuse"),
            (on(On::Send.one_way()).delay(second).after_store(), "takes no delay"),
            (on(On::Send.one_way()).garbage(), "takes no garbage"),
            (on(On::Route).after_store().close(), "stores nothing"),
            (on(On::Send).after_store().go_away(), "nothing was stored"),
        ] {
            let error = fault.check().expect_err(part).to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn sensible_rules_are_taken() {
        let second = Duration::from_secs(1);
        for fault in [
            on(On::Send).topic("orders").queue(1).group("g").client("c").key("k").tag("t").pass(),
            on(On::Send.one_way()).no_answer(),
            on(On::Send.one_way()).after_store().reset(),
            on(On::Send.batch()).after_store().refuse(BUSY).remark("no"),
            on(On::Send.single()).status(ResponseCode::SLAVE_NOT_AVAILABLE),
            on(On::Route).stale_by(second),
            on(On::Route).another_address("[::1]:9876"),
            on(On::Code(310)).topic("orders").cut_after(0),
            on(On::Connect).port(9876).delay(second),
            on(On::Heartbeat).after_store().no_answer(),
            on(On::Send).delay(second).jitter(second),
            on(On::Send.one_way()).slow_close(second),
            on(On::Send.one_way()).cut_request_after(1),
            on(On::Connect).cut_request_after(1),
            on(On::Connect).slow_close(second),
            on(On::Connect).stop_reading(),
            on(On::Heartbeat).client("c").read_at(1),
            on(On::Send.one_way()).write_at(1),
        ] {
            fault.check().expect("a sensible rule");
        }
    }
}
