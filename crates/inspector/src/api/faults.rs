//! Fault rules: which there are and what they have hit, new ones, waiting for hits, and their end.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use posthaste_broker::{BrokerHandle, Fault, FaultRule};
use serde::{Deserialize, Serialize};

use crate::adding::{add, senseless};
use crate::api::path::Name;
use crate::api::query::{Nothing, Parameters, wait};
use crate::api::rules::Rules;
use crate::reply::Problem;
use crate::shared::{Shared, stopping};

/// A rule, and what it has done.
#[derive(Serialize)]
struct Listed<'a> {
    id: u64,
    /// In words, as the shell has them.
    rule: String,
    /// The same, a member for each word.
    fault: &'a Fault,
    hits: u64,
    hit_messages: u64,
    matched: u64,
}

#[derive(Serialize)]
struct List<'a> {
    faults: Vec<Listed<'a>>,
}

/// The answer when too few requests were hit.
#[derive(Serialize)]
struct TooFew<'a> {
    error: Problem,
    fault: Listed<'a>,
}

impl<'a> Listed<'a> {
    fn of(rule: &'a FaultRule) -> Self {
        Self {
            id: rule.id(),
            rule: rule.fault().to_string(),
            fault: rule.fault(),
            hits: rule.hits(),
            hit_messages: rule.hit_messages(),
            matched: rule.matched(),
        }
    }

    fn all(rules: &'a [FaultRule]) -> List<'a> {
        List { faults: rules.iter().map(Self::of).collect() }
    }
}

/// `GET /api/v1/faults`
pub(crate) async fn faults(
    State(shared): State<Arc<Shared>>,
    Parameters(Nothing {}): Parameters<Nothing>,
) -> Result<Response, Problem> {
    shared.json(StatusCode::OK, &Listed::all(&shared.broker.faults())).await
}

/// `POST /api/v1/faults`: one rule, or a list of which all are added or none.
pub(crate) async fn add_faults(
    State(shared): State<Arc<Shared>>,
    Parameters(Nothing {}): Parameters<Nothing>,
    body: Bytes,
) -> Result<Response, Problem> {
    let wanted: Rules = serde_json::from_slice(&body).map_err(|error| no_rule(&error))?;
    let is_list = matches!(wanted, Rules::List(_));
    let added = add(&shared, wanted.all())?;
    match added.as_slice() {
        [rule] if !is_list => shared.json(StatusCode::CREATED, &Listed::of(rule)).await,
        rules => shared.json(StatusCode::CREATED, &Listed::all(rules)).await,
    }
}

/// The parameters of `GET /api/v1/faults/{id}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Needed {
    hits: Option<u64>,
    wait: Option<String>,
}

/// `GET /api/v1/faults/{id}`: the rule; with `hits` or `wait`, once it has hit enough requests.
pub(crate) async fn fault(
    State(shared): State<Arc<Shared>>,
    Name(id): Name,
    Parameters(needed): Parameters<Needed>,
) -> Result<Response, Problem> {
    let rule = find(&shared.broker, &id)?;
    let time = wait(needed.wait.as_deref())?;
    if needed.hits == Some(0) {
        return Err(Problem::bad("`hits` cannot be 0", "it is 1 or more; without it, 1"));
    }
    let wanted = needed.hits.or(time.map(|_| 1)).unwrap_or_default();
    let missed = wait_for(&shared, &rule, wanted, time.unwrap_or_default()).await?;
    let listed = Listed::of(&rule);
    match missed {
        None => shared.json(StatusCode::OK, &listed).await,
        Some(error) => {
            let status = error.status();
            shared.json(status, &TooFew { error, fault: listed }).await
        }
    }
}

/// `DELETE /api/v1/faults/{id}`
pub(crate) async fn remove_fault(
    State(shared): State<Arc<Shared>>,
    Name(id): Name,
    Parameters(Nothing {}): Parameters<Nothing>,
) -> Result<Response, Problem> {
    let rule = find(&shared.broker, &id)?;
    rule.remove();
    shared.json(StatusCode::OK, &Listed::of(&rule)).await
}

/// `DELETE /api/v1/faults`
pub(crate) async fn remove_faults(
    State(shared): State<Arc<Shared>>,
    Parameters(Nothing {}): Parameters<Nothing>,
) -> Result<Response, Problem> {
    let rules = shared.broker.faults();
    rules.iter().for_each(FaultRule::remove);
    shared.json(StatusCode::OK, &Listed::all(&rules)).await
}

/// Waits until a rule has hit this many requests. Gives back what to say if it has not.
async fn wait_for(
    shared: &Shared,
    rule: &FaultRule,
    hits: u64,
    time: Duration,
) -> Result<Option<Problem>, Problem> {
    let _place = if time.is_zero() { None } else { Some(shared.room.wait()?) };
    let waited = tokio::select! {
        waited = rule.wait_for(hits, time) => waited,
        () = shared.stops() => return Err(stopping()),
    };
    Ok(waited.err().map(|missed| {
        let help = match rule.matched() {
            0 => "nothing fitted the rule: compare its conditions with what is sent",
            _ => "it spares what `first`, `after`, `every` and `probability` leave out",
        };
        Problem::new(StatusCode::GATEWAY_TIMEOUT, "not_hit", missed.to_string(), help)
    }))
}

fn find(broker: &BrokerHandle, id: &str) -> Result<FaultRule, Problem> {
    let rules = broker.faults();
    let number = id.parse().ok();
    let found = rules.iter().find(|rule| Some(rule.id()) == number);
    found.cloned().ok_or_else(|| {
        let ids: Vec<_> = rules.iter().map(|rule| rule.id().to_string()).collect();
        let help = match ids.as_slice() {
            [] => "there is none; POST one to /api/v1/faults".to_owned(),
            ids => format!("there are {}", ids.join(", ")),
        };
        let message = format!("there is no fault rule {id:?}");
        Problem::new(StatusCode::NOT_FOUND, "no_such_fault", message, help)
    })
}

/// What is said of a body that is no rule.
fn no_rule(error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    // Where in the text is of no use when a word is wrong: the word is named.
    let place = format!(" at line {} column {}", error.line(), error.column());
    match error.is_data() {
        true => senseless(text.strip_suffix(place.as_str()).unwrap_or(&text).to_owned()),
        false => senseless(format!("this is no JSON: {text}")),
    }
}
