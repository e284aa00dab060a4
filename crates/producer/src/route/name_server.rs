//! Asking name servers: first the server that answered last, and soon the others too.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use posthaste_protocol::request::{RouteInZone, RouteOf, TopicRoute};
use posthaste_protocol::{Command, Payload as _, Request, ResponseCode, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::DropGuard;

use crate::ErrorKind;
use crate::connection::answer;
use crate::connection::{CallError, Connection};
use crate::message::cause::Cause;

/// How long one name server is waited for alone before the next is asked too.
const STAGGER: Duration = Duration::from_millis(300);

/// The name servers that are asked. Others can take their places at any time.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    known: watch::Sender<Arc<Known>>,
    /// Ends the task that keeps them up to date, if one does.
    following: Mutex<Option<DropGuard>>,
}

#[derive(Debug, Default)]
struct Known {
    servers: Vec<Arc<Connection>>,
    /// The server that answered last; it is asked first.
    current: AtomicUsize,
    /// Why none is known, if that is known.
    trouble: Option<String>,
}

/// No name server says what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct NoAnswer {
    /// `NoRoute`; or `Denied` or `Tls`, when that is what keeps them from answering.
    pub(crate) kind: ErrorKind,
    pub(crate) reason: String,
    /// What the system or TLS said; of several servers, what it said of the first.
    pub(crate) cause: Option<Cause>,
    /// Whether asking again soon will end the same way.
    pub(crate) for_good: bool,
}

impl NoAnswer {
    fn unknown(reason: String) -> Self {
        Self { kind: ErrorKind::NoRoute, reason, cause: None, for_good: false }
    }

    fn of(error: &CallError) -> Self {
        let (kind, for_good) = match error {
            CallError::Tls { for_good, .. } => (ErrorKind::Tls, *for_good),
            CallError::Refused { code, remark, .. } if answer::is_denied(*code, remark) => {
                (ErrorKind::Denied, true)
            }
            _ => (ErrorKind::NoRoute, false),
        };
        Self { kind, reason: error.to_string(), cause: error.cause().cloned(), for_good }
    }

    /// What all of them together mean.
    fn of_all(errors: &[Self]) -> Self {
        let reasons: Vec<&str> = errors.iter().map(|error| error.reason.as_str()).collect();
        let telling = |kind| errors.iter().any(|error| error.kind == kind).then_some(kind);
        let kind = telling(ErrorKind::Denied).or_else(|| telling(ErrorKind::Tls));
        let kind = kind.unwrap_or(ErrorKind::NoRoute);
        let telling = errors.iter().filter(|error| error.kind == kind);
        let cause = telling.filter_map(|error| error.cause.clone()).next();
        Self {
            kind,
            cause,
            reason: format!("no name server answered: {}", reasons.join("; ")),
            for_good: !errors.is_empty() && errors.iter().all(|error| error.for_good),
        }
    }
}

impl Directory {
    /// These servers are asked from now on, also by look-ups that wait for an answer of others, and
    /// for every known route. A connection that is not needed any more ends when no call waits for
    /// it.
    ///
    /// Nothing changes when it `is_over`, which is asked where the change is made; `open` makes
    /// connections to servers that have none. Whether anything has changed.
    pub(crate) fn put(
        &self,
        addresses: &[Arc<str>],
        is_over: impl Fn() -> bool,
        open: impl Fn(&Arc<str>) -> Arc<Connection>,
    ) -> bool {
        self.known.send_if_modified(|known| {
            let is_known = |address: &Arc<str>| known.connection_to(address).is_some();
            let same = known.servers.len() == addresses.len() && addresses.iter().all(is_known);
            if same || is_over() {
                return false;
            }
            *known = Arc::new(known.replaced_by(addresses, open));
            true
        })
    }

    /// A list could not be had. Whether there is one from before.
    pub(crate) fn trouble(&self, reason: String) -> bool {
        self.known.send_if_modified(|known| {
            if known.servers.is_empty() {
                *known = Arc::new(Known { trouble: Some(reason), ..Known::default() });
            }
            known.servers.is_empty()
        });
        !self.known.borrow().servers.is_empty()
    }

    /// The source that keeps the name servers up to date from now on; the previous one ends.
    pub(crate) fn follow(&self, following: Option<DropGuard>) {
        *self.following.lock().unwrap_or_else(PoisonError::into_inner) = following;
    }

    /// No server is asked any more.
    pub(crate) fn clear(&self) {
        self.known.send_replace(Arc::default());
    }

    pub(crate) fn all(&self) -> Vec<Arc<Connection>> {
        self.known.borrow().servers.clone()
    }

    /// Awaits a change of the name servers.
    pub(crate) async fn changed(&self) {
        // An error means that the directory is gone, which is borrowed here.
        let _ = self.known.subscribe().changed().await;
    }

    /// The route document of a topic, given the topic's name on the wire; `None` when the topic is
    /// not known.
    pub(crate) async fn route(
        &self,
        topic: &str,
        deadline: Instant,
    ) -> Result<Option<TopicRoute>, NoAnswer> {
        let request = RouteOf { topic: topic.to_owned(), standard_json: Some(true) };
        read_route(topic, &self.ask(request, deadline).await?)
    }

    /// As [`route`](Self::route), with the brokers of a zone alone.
    pub(crate) async fn route_in_zone(
        &self,
        topic: &str,
        zone: &str,
        deadline: Instant,
    ) -> Result<Option<TopicRoute>, NoAnswer> {
        let request = RouteInZone {
            topic: topic.to_owned(),
            standard_json: Some(true),
            zone: zone.to_owned(),
            only_zone: true,
        };
        read_route(topic, &self.ask(request, deadline).await?)
    }

    /// Asks until one says yes, or that there is no such topic. Every other answer counts as none.
    pub(crate) async fn ask<R>(&self, request: R, deadline: Instant) -> Result<Command, NoAnswer>
    where
        R: Request + Clone + Send + Sync + 'static,
    {
        let mut watched = self.known.subscribe();
        loop {
            let known = watched.borrow_and_update().clone();
            tokio::select! {
                answer = known.ask(&request, deadline) => return answer,
                // Others are there now: it is they who are asked.
                Ok(()) = watched.changed() => {}
            }
        }
    }
}

/// A route, unless there is no such topic.
fn read_route(topic: &str, answer: &Command) -> Result<Option<TopicRoute>, NoAnswer> {
    if answer.response_code() == ResponseCode::TOPIC_NOT_EXIST {
        return Ok(None);
    }
    let document = json::read(&answer.body).map(Some);
    document.map_err(|error| NoAnswer::unknown(format!("route of {topic}: {error}")))
}

impl Known {
    fn connection_to(&self, address: &str) -> Option<&Arc<Connection>> {
        self.servers.iter().find(|server| **server.address() == *address)
    }

    fn replaced_by(
        &self,
        addresses: &[Arc<str>],
        open: impl Fn(&Arc<str>) -> Arc<Connection>,
    ) -> Self {
        let connection = |address: &Arc<str>| match self.connection_to(address) {
            Some(known) => known.clone(),
            None => open(address),
        };
        let servers: Vec<_> = addresses.iter().map(connection).collect();
        let current = self.servers.get(self.current.load(Ordering::Relaxed));
        let stays = servers.iter().position(|one| current.is_some_and(|at| Arc::ptr_eq(at, one)));
        let first = stays.unwrap_or_else(|| fastrand::usize(..servers.len().max(1)));
        Self { servers, current: AtomicUsize::new(first), trouble: None }
    }

    async fn ask<R>(&self, request: &R, deadline: Instant) -> Result<Command, NoAnswer>
    where
        R: Request + Clone + Send + Sync + 'static,
    {
        if self.servers.is_empty() {
            if self.trouble.is_none() {
                tokio::time::sleep_until(deadline.into()).await;
            }
            let reason = self.trouble.clone();
            return Err(NoAnswer::unknown(reason.unwrap_or("no name server is known yet".into())));
        }
        let first = self.current.load(Ordering::Relaxed);
        let mut order = (0..self.servers.len()).map(|step| (first + step) % self.servers.len());
        let mut asked = JoinSet::new();
        let mut errors = Vec::new();
        loop {
            let next = order.next();
            if let Some((place, server)) = next.and_then(|at| Some((at, self.servers.get(at)?))) {
                let (server, request) = (server.clone(), request.clone());
                asked.spawn(async move { (place, ask_one(&server, &request, deadline).await) });
            }
            let stagger = match order.len() {
                0 => deadline + STAGGER,
                _ => Instant::now() + STAGGER,
            };
            tokio::select! {
                Some(answer) = asked.join_next() => match answer {
                    Ok((place, Ok(answer))) => {
                        self.current.store(place, Ordering::Relaxed);
                        return Ok(answer);
                    }
                    Ok((_, Err(error))) => errors.push(NoAnswer::of(&error)),
                    Err(error) => errors.push(NoAnswer::unknown(error.to_string())),
                },
                () = tokio::time::sleep_until(stagger.into()) => {}
            }
            if asked.is_empty() && order.len() == 0 {
                return Err(NoAnswer::of_all(&errors));
            }
        }
    }
}

async fn ask_one<R: Request>(
    server: &Connection,
    request: &R,
    deadline: Instant,
) -> Result<Command, CallError> {
    let answer = server.call_raw(request, deadline).await?;
    match answer.response_code() {
        ResponseCode::SUCCESS => match R::Answer::read(&answer.fields, &answer.body) {
            Ok(_) => Ok(answer),
            Err(error) => Err(server.garbled(error)),
        },
        ResponseCode::TOPIC_NOT_EXIST => Ok(answer),
        code => Err(CallError::Refused {
            address: server.address().clone(),
            code,
            remark: answer.remark.unwrap_or_default(),
        }),
    }
}
