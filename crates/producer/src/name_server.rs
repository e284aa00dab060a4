//! Asking name servers: the one that answered last, and soon the others too.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use posthaste_protocol::request::{RouteOf, TopicRoute};
use posthaste_protocol::{Command, Payload as _, Request, ResponseCode, json};
use tokio::task::JoinSet;

use crate::client::Client;
use crate::connection::{CallError, Connection, Peer};
use crate::{ErrorKind, answer};

/// How long one name server is waited for alone before the next is asked too.
const STAGGER: Duration = Duration::from_millis(300);

#[derive(Debug)]
pub(crate) struct NameServers {
    servers: Vec<Arc<Connection>>,
    /// The one that answered last; it is asked first.
    current: AtomicUsize,
}

/// No name server says what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct NoAnswer {
    /// `NoRoute`; or `Denied` or `Tls`, when that is what keeps them from answering.
    pub(crate) kind: ErrorKind,
    pub(crate) reason: String,
    /// Whether asking again soon will end the same way.
    pub(crate) for_good: bool,
}

impl NoAnswer {
    fn unknown(reason: String) -> Self {
        Self { kind: ErrorKind::NoRoute, reason, for_good: false }
    }

    fn of(error: &CallError) -> Self {
        let (kind, for_good) = match error {
            CallError::Tls { for_good, .. } => (ErrorKind::Tls, *for_good),
            CallError::Refused { code, remark, .. } if answer::is_denied(*code, remark) => {
                (ErrorKind::Denied, true)
            }
            _ => (ErrorKind::NoRoute, false),
        };
        Self { kind, reason: error.to_string(), for_good }
    }

    /// What all of them together mean.
    fn of_all(errors: &[Self]) -> Self {
        let reasons: Vec<&str> = errors.iter().map(|error| error.reason.as_str()).collect();
        let telling = |kind| errors.iter().any(|error| error.kind == kind).then_some(kind);
        let kind = telling(ErrorKind::Denied).or_else(|| telling(ErrorKind::Tls));
        Self {
            kind: kind.unwrap_or(ErrorKind::NoRoute),
            reason: format!("no name server answered: {}", reasons.join("; ")),
            for_good: !errors.is_empty() && errors.iter().all(|error| error.for_good),
        }
    }
}

impl NameServers {
    pub(crate) fn new(client: &Arc<Client>) -> Self {
        let addresses = &client.config().name_servers;
        let servers: Vec<_> = addresses
            .iter()
            .map(|address| Arc::new(Connection::new(client, address.clone(), Peer::NameServer)))
            .collect();
        let current = AtomicUsize::new(fastrand::usize(..servers.len().max(1)));
        Self { servers, current }
    }

    /// The route document of a topic; `None` when the topic is not known.
    pub(crate) async fn route(
        &self,
        topic: &str,
        deadline: Instant,
    ) -> Result<Option<TopicRoute>, NoAnswer> {
        let request = RouteOf { topic: topic.to_owned(), standard_json: Some(true) };
        let answer = self.ask(request, deadline).await?;
        if answer.response_code() == ResponseCode::TOPIC_NOT_EXIST {
            return Ok(None);
        }
        let document = json::read(&answer.body).map(Some);
        document.map_err(|error| NoAnswer::unknown(format!("route of {topic}: {error}")))
    }

    /// Asks until one says yes, or that there is no such topic. Every other answer counts as none.
    pub(crate) async fn ask<R>(&self, request: R, deadline: Instant) -> Result<Command, NoAnswer>
    where
        R: Request + Clone + Send + Sync + 'static,
    {
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

    pub(crate) fn all(&self) -> &[Arc<Connection>] {
        &self.servers
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
