//! Rules as words: `on=send topic=orders first=3 do=refuse code=SYSTEM_BUSY`. The shell and JSON have the
//! same words.

mod duration;
mod json;
mod quote;
mod vocabulary;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use posthaste_protocol::ResponseCode;

use self::vocabulary::{ACTIONS, KINDS, POINTS, REQUESTS, WORDS, by_name, name_of};
use super::{Action, Fault, FaultError, Lie, On, Requests};

/// Where the point in time is that a rule names.
const BEFORE_STORE: bool = false;
const AFTER_STORE: bool = true;

/// A word and its value.
type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

impl FromStr for Fault {
    type Err = FaultError;

    /// Reads a rule in words, `name=value` each; a value with spaces goes in double quotes.
    ///
    /// # Errors
    /// [`FaultError::Senseless`] when a word or a value is not known; it says what there is, and which is the
    /// nearest. Whether the rule as a whole makes sense is for [`check`](Fault::check).
    fn from_str(text: &str) -> Result<Self, FaultError> {
        let pairs = quote::split(text)?;
        Words::of(pairs)?.fault()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (word, value)) in self.words().into_iter().enumerate() {
            let space = if place == 0 { "" } else { " " };
            write!(out, "{space}{word}={}", quote::quoted(&value))?;
        }
        Ok(())
    }
}

impl Fault {
    /// The words that say this rule.
    fn words(&self) -> Vec<(&'static str, String)> {
        let mut words = Vec::new();
        let mut put = |word, value: Option<String>| words.extend(value.map(|value| (word, value)));
        put("on", Some(on_word(self.requests.on)));
        put("kind", self.requests.kind.map(|kind| name_of(KINDS, kind).to_owned()));
        let place = self.place.clone();
        put("topic", place.topic);
        put("queue", place.queue.map(|queue| queue.to_string()));
        put("group", place.group);
        put("client", place.client);
        put("key", place.key);
        put("tag", place.tag);
        put("port", place.port.map(|port| port.to_string()));
        let which = &self.which;
        put("after", (which.after > 0).then(|| which.after.to_string()));
        put("every", which.every.map(|every| every.to_string()));
        put("first", which.first.map(|first| first.to_string()));
        put("probability", which.probability.map(|(probability, _)| probability.to_string()));
        put("seed", which.probability.map(|(_, seed)| seed.to_string()));
        put("for", which.time.map(duration::written));
        put("point", self.after_store.then(|| name_of(POINTS, AFTER_STORE).to_owned()));
        for action in &self.actions {
            put("do", Some(action.name().replace('_', "-")));
            if let Some((word, value)) = action.value() {
                put(word, Some(value));
            }
        }
        put("jitter", self.jitter.map(duration::written));
        put("remark", self.remark.clone());
        words
    }
}

impl Action {
    /// The word that an action needs beside its name.
    fn value(&self) -> Option<(&'static str, String)> {
        Some(match self {
            Self::Refuse(code) | Self::Status(code) => {
                ("code", code.name().map_or_else(|| code.0.to_string(), str::to_owned))
            }
            Self::Delay(time) | Self::SlowClose(time) | Self::Lie(Lie::StaleBy(time)) => {
                ("by", duration::written(*time))
            }
            Self::CutAfter(bytes) | Self::CutRequestAfter(bytes) => ("bytes", bytes.to_string()),
            Self::Trickle(rate) | Self::ReadAt(rate) | Self::WriteAt(rate) => {
                ("rate", rate.to_string())
            }
            Self::Lie(Lie::AnotherAddress(address)) => ("address", address.clone()),
            Self::Lie(Lie::Queues(count)) => ("count", count.to_string()),
            _ => return None,
        })
    }
}

fn on_word(on: On) -> String {
    match on {
        On::Code(code) => code.to_string(),
        on => name_of(REQUESTS, on).to_owned(),
    }
}

/// Words that are all known, each of them once.
struct Words<'a>(Vec<(&'static str, Cow<'a, str>)>);

impl<'a> Words<'a> {
    fn of(pairs: Vec<Pair<'a>>) -> Result<Self, FaultError> {
        let mut words: Vec<(&'static str, Cow<'a, str>)> = Vec::new();
        for (word, value) in pairs {
            let Some(known) = WORDS.iter().find(|known| **known == word) else {
                let there_is = WORDS.iter().copied();
                return Err(vocabulary::unknown("word", &word, there_is));
            };
            if words.iter().any(|(before, _)| before == known) {
                return Err(FaultError::Senseless(format!("{word} is said twice; say it once")));
            }
            words.push((known, value));
        }
        Ok(Self(words))
    }

    fn fault(mut self) -> Result<Fault, FaultError> {
        let on = self.needed("on", "which requests it is for", REQUESTS.iter().map(|it| it.0))?;
        let on = match on.parse::<i32>() {
            Ok(code) => On::Code(code),
            Err(_) => by_name("value of on", REQUESTS, &on)?,
        };
        let kind = self.take("kind").map(|kind| by_name("kind of send", KINDS, &kind));
        let mut fault = Fault::on(Requests { on, kind: kind.transpose()? });
        fault.place.topic = self.text("topic");
        fault.place.queue = self.number("queue")?;
        fault.place.group = self.text("group");
        fault.place.client = self.text("client");
        fault.place.key = self.text("key");
        fault.place.tag = self.text("tag");
        fault.place.port = self.number("port")?;
        fault.which.after = self.number("after")?.unwrap_or(0);
        fault.which.every = self.number("every")?;
        fault.which.first = self.number("first")?;
        let (probability, seed) = (self.number("probability")?, self.number("seed")?);
        if probability.is_none() && seed.is_some() {
            return Err(FaultError::Senseless("a seed is for a probability; say that too".into()));
        }
        fault.which.probability = probability.map(|probability| (probability, seed.unwrap_or(0)));
        fault.which.time = self.time("for")?;
        if let Some(point) = self.take("point") {
            fault.after_store = by_name("point", POINTS, &point)?;
        }
        fault.jitter = self.time("jitter")?;
        fault.remark = self.text("remark");
        let action = self.needed("do", "what it does", ACTIONS.iter().map(|it| it.0))?;
        fault.actions.push(self.action(&action)?);
        match self.0.first() {
            Some((word, _)) => {
                Err(FaultError::Senseless(format!("do={action} has no {word}; leave it out")))
            }
            None => Ok(fault),
        }
    }

    fn action(&mut self, name: &str) -> Result<Action, FaultError> {
        Ok(match by_name("value of do", ACTIONS, name)? {
            Action::Refuse(_) => Action::Refuse(self.code(name)?),
            Action::Status(_) => Action::Status(self.code(name)?),
            Action::Delay(_) => Action::Delay(self.value(name, "by", "200ms", Self::time)?),
            Action::CutAfter(_) => {
                Action::CutAfter(self.value(name, "bytes", "10", Self::number)?)
            }
            Action::SlowClose(_) => Action::SlowClose(self.value(name, "by", "2s", Self::time)?),
            Action::CutRequestAfter(_) => {
                Action::CutRequestAfter(self.value(name, "bytes", "100", Self::number)?)
            }
            Action::Trickle(_) => Action::Trickle(self.value(name, "rate", "100", Self::number)?),
            Action::ReadAt(_) => Action::ReadAt(self.value(name, "rate", "1000", Self::number)?),
            Action::WriteAt(_) => {
                Action::WriteAt(self.value(name, "rate", "1000", Self::number)?)
            }
            Action::Lie(Lie::AnotherAddress(_)) => {
                let text = |words: &mut Self, word| Ok(words.text(word));
                let address = self.value(name, "address", "127.0.0.1:10911", text)?;
                Action::Lie(Lie::AnotherAddress(address))
            }
            Action::Lie(Lie::Queues(_)) => {
                Action::Lie(Lie::Queues(self.value(name, "count", "2", Self::number)?))
            }
            Action::Lie(Lie::StaleBy(_)) => {
                Action::Lie(Lie::StaleBy(self.value(name, "by", "10s", Self::time)?))
            }
            plain => plain,
        })
    }

    fn code(&mut self, name: &str) -> Result<ResponseCode, FaultError> {
        let code = self.value(name, "code", "SYSTEM_BUSY", |words, word| Ok(words.take(word)))?;
        if let Ok(number) = code.parse() {
            return Ok(ResponseCode(number));
        }
        let named = ResponseCode::NAMED.iter().filter_map(|code| Some((code.name()?, *code)));
        let named: Vec<_> = named.collect();
        by_name("code", &named, &code)
    }

    /// A value that an action cannot do without.
    fn value<T>(
        &mut self,
        action: &str,
        word: &'static str,
        example: &str,
        read: impl FnOnce(&mut Self, &'static str) -> Result<Option<T>, FaultError>,
    ) -> Result<T, FaultError> {
        let missing = || FaultError::Senseless(format!("do={action} needs {word}={example}"));
        read(self, word)?.ok_or_else(missing)
    }

    fn needed(
        &mut self,
        word: &'static str,
        what: &str,
        there_is: impl Iterator<Item = &'static str>,
    ) -> Result<Cow<'a, str>, FaultError> {
        self.take(word).ok_or_else(|| {
            let list = there_is.collect::<Vec<_>>().join(", ");
            FaultError::Senseless(format!("a rule says {what}, as {word}=...; there is: {list}"))
        })
    }

    fn take(&mut self, word: &str) -> Option<Cow<'a, str>> {
        let place = self.0.iter().position(|(known, _)| *known == word)?;
        Some(self.0.swap_remove(place).1)
    }

    fn text(&mut self, word: &str) -> Option<String> {
        self.take(word).map(Cow::into_owned)
    }

    fn number<T: FromStr>(&mut self, word: &'static str) -> Result<Option<T>, FaultError> {
        let Some(value) = self.take(word) else { return Ok(None) };
        let wrong = |_| FaultError::Senseless(format!("{word}={value} is no number that fits"));
        value.parse().map(Some).map_err(wrong)
    }

    fn time(&mut self, word: &'static str) -> Result<Option<Duration>, FaultError> {
        self.take(word).map(|value| duration::read(word, &value)).transpose()
    }
}

#[cfg(test)]
mod tests;
