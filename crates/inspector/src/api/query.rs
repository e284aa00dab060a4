//! The parameters of a request, and what is said when one is wrong.

use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use posthaste_broker::{PageOf, Position};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::api::time::duration;
use crate::percent::is_text;
use crate::reply::Problem;

/// Messages of an answer: at the most, and if nothing is said of it.
const MOST: usize = 1_000;
pub(super) const USUAL: usize = 100;
/// How long a request may wait.
const LONGEST: Duration = Duration::from_secs(60);

/// The parameters of a request. An unknown one is an error that says which there are.
pub(crate) struct Parameters<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        if !is_text(parts.uri.query().unwrap_or_default()) {
            let message = "the percent-encoding of a parameter is no text";
            return Err(Problem::bad(message, "encode the bytes of UTF-8, as in caf%C3%A9"));
        }
        let query = Query::<T>::try_from_uri(&parts.uri);
        query.map(|Query(value)| Self(value)).map_err(|rejection| wrong(&rejection))
    }
}

fn wrong(rejection: &QueryRejection) -> Problem {
    let text = rejection.body_text();
    let reason = text.rsplit_once("query string: ").map_or(text.as_str(), |(_, reason)| reason);
    Problem::bad(
        format!("a parameter is wrong: {reason}"),
        "use the parameters that this path has, each of them once",
    )
}

/// Parameters where there are none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// The parameters of `/api/v1/messages`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Raw {
    topic: String,
    queue: Option<u16>,
    key: Option<String>,
    tag: Option<String>,
    order: Option<Order>,
    from: Option<String>,
    limit: Option<usize>,
    count: Option<usize>,
    wait: Option<String>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Order {
    Oldest,
    Newest,
}

/// Which messages are wanted.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) topic: String,
    pub(super) page: PageOf,
    /// Messages of an answer.
    pub(super) limit: usize,
    /// What has to be there, if anything has.
    pub(super) needed: Option<Needed>,
    /// The filters in words.
    pub(super) filters: String,
}

/// What has to be stored, and by when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Needed {
    pub(super) count: usize,
    pub(super) wait: Duration,
}

impl Raw {
    pub(super) fn read(self) -> Result<Wanted, Problem> {
        if self.topic.is_empty() {
            return Err(Problem::bad("`topic` is empty", "name a topic: ?topic=orders"));
        }
        let needed = self.needed()?;
        let count = needed.map_or(1, |needed| needed.count);
        let limit = within("limit", self.limit)?.unwrap_or(USUAL).max(count);
        let mut page = PageOf::topic(self.topic.as_str()).count(limit);
        let mut filters = String::new();
        if let Some(queue) = self.queue {
            page = page.queue(queue);
            filters.push_str(&format!(" in queue {queue}"));
        }
        if let Some(key) = self.key {
            filters.push_str(&format!(" with the key {key:?}"));
            page = page.key(key);
        }
        if let Some(tag) = self.tag {
            filters.push_str(&format!(" with the tag {tag:?}"));
            page = page.tag(tag);
        }
        if self.order == Some(Order::Newest) {
            page = page.newest_first();
        }
        if let Some(from) = self.from {
            let position: Position = from.parse().map_err(|_| {
                Problem::bad("`from` is no position", "take the `next` of an earlier answer")
            })?;
            page = page.from(position);
        }
        Ok(Wanted { topic: self.topic, page, limit, needed, filters })
    }

    fn needed(&self) -> Result<Option<Needed>, Problem> {
        let wait = wait(self.wait.as_deref())?;
        let count = within("count", self.count)?;
        if wait.is_none() && count.is_none() {
            return Ok(None);
        }
        if self.order == Some(Order::Newest) {
            let message = "`count` and `wait` look from the oldest message on";
            return Err(Problem::bad(message, "leave out `order=newest`"));
        }
        Ok(Some(Needed { count: count.unwrap_or(1), wait: wait.unwrap_or_default() }))
    }
}

/// How long a request is to wait.
pub(super) fn wait(text: Option<&str>) -> Result<Option<Duration>, Problem> {
    let read = |text: &str| {
        let wait = duration(text).filter(|wait| *wait <= LONGEST);
        wait.ok_or_else(|| {
            let message = format!("`wait` cannot be {text:?}");
            Problem::bad(message, "write it as in 5s or 500ms, up to 60s")
        })
    };
    text.map(read).transpose()
}

pub(super) fn within(name: &str, number: Option<usize>) -> Result<Option<usize>, Problem> {
    match number {
        None | Some(1..=MOST) => Ok(number),
        Some(wrong) => {
            let message = format!("`{name}` cannot be {wrong}");
            Err(Problem::bad(message, format!("it is 1 to {MOST}")))
        }
    }
}
