//! The fault rules: those that there are, with what they have done; and a form that adds one.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use posthaste_broker::{Fault, FaultError};
use serde::Deserialize;

use crate::pages::address;
use crate::pages::asked::{Asked, Filled, Parted, check_token};
use crate::pages::failure::Failure;
use crate::pages::html::{html, see};
use crate::pages::moment;
use crate::shared::Shared;

/// Rules that are offered, and what they do.
const OFFERED: [(&str, &str); 8] = [
    ("on=send first=3 do=refuse code=SYSTEM_BUSY", "the first three sends are refused: busy"),
    (
        "on=send every=10 point=after-store do=no-answer",
        "every tenth send is stored, and never answered",
    ),
    (
        "on=send probability=0.01 seed=7 do=delay by=200ms",
        "one send in a hundred takes 200 ms longer",
    ),
    ("on=send every=5 do=close", "every fifth send ends its connection"),
    ("on=send do=status code=FLUSH_DISK_TIMEOUT", "sends are stored, and not flushed in time"),
    ("on=send first=1 do=go-away", "the broker says once that it is about to stop"),
    ("on=route do=unknown", "the name server knows no topic"),
    ("on=route do=without-master", "routes have no master"),
];

/// The rule that is filled in.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Wish {
    token: String,
    rule: String,
}

#[derive(Template)]
#[template(path = "faults.html")]
struct Faults<'a> {
    section: &'static str,
    token: &'a str,
    rules: Vec<Rule>,
    rule: &'a str,
    error: &'a str,
    offered: Vec<(&'static str, String, &'static str)>,
}

struct Rule {
    id: u64,
    words: String,
    hits: String,
    messages: String,
    matched: String,
}

/// `/faults`
pub(super) async fn faults(
    State(shared): State<Arc<Shared>>,
    Asked(wish): Asked<Wish>,
) -> Result<Response, Failure> {
    show(&shared, &wish.rule, "").await
}

/// `/faults`, filled in: adds a rule.
pub(super) async fn add(
    State(shared): State<Arc<Shared>>,
    Filled(wish): Filled<Wish>,
) -> Result<Response, Failure> {
    check_token(&shared, &wish.token)?;
    let fault: Result<Fault, FaultError> = wish.rule.trim().parse();
    let fault = match fault {
        Ok(fault) => fault,
        Err(error) => return show(&shared, &wish.rule, &error.to_string()).await,
    };
    match crate::adding::add(&shared, vec![fault]) {
        Ok(_) => see("/faults"),
        Err(problem) => show(&shared, &wish.rule, problem.message()).await,
    }
}

/// `/faults/{id}/remove`
pub(super) async fn remove(
    State(shared): State<Arc<Shared>>,
    Parted(id): Parted<u64>,
    Filled(wish): Filled<Wish>,
) -> Result<Response, Failure> {
    check_token(&shared, &wish.token)?;
    // A rule that is gone already is what was wanted.
    if let Some(rule) = shared.broker.faults().into_iter().find(|rule| rule.id() == id) {
        rule.remove();
    }
    see("/faults")
}

async fn show(shared: &Shared, rule: &str, error: &str) -> Result<Response, Failure> {
    let rules = shared.broker.faults().into_iter().map(|rule| Rule {
        id: rule.id(),
        words: rule.fault().to_string(),
        hits: moment::number(rule.hits()),
        messages: moment::number(rule.hit_messages()),
        matched: moment::number(rule.matched()),
    });
    let offer = |(rule, what)| (rule, address::with("/faults", &[("rule", rule)]), what);
    let page = Faults {
        section: "faults",
        token: shared.token.text(),
        rules: rules.collect(),
        rule,
        error,
        offered: OFFERED.into_iter().map(offer).collect(),
    };
    let status = if error.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    html(shared, status, &page).await
}
