//! The pages for a browser: HTML made here, which works without JavaScript but for what moves.
//!
//! Templates are in `templates/`, and escape what they are given. The script and the styles are files of
//! this server (`assets/`): no page has any of its own, as its answer forbids.

mod address;
mod asked;
mod assets;
mod body;
mod clients;
mod copies;
mod failure;
mod faults;
mod figures;
mod find;
mod html;
mod json_text;
mod live;
mod message;
mod moment;
mod newest;
mod overview;
mod row;
mod send;
mod stream;
mod topic;
mod topics;
mod wire;

use std::sync::Arc;

use axum::Router;
use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};

pub(crate) use self::failure::Failure;
use crate::shared::Shared;

/// The routes of all pages.
pub(crate) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/", get(overview::overview))
        .route("/topics", get(topics::topics))
        .route("/topics/{topic}", get(topic::topic))
        .route("/topics/{topic}/{queue}/{offset}", get(message::message))
        .route("/topics/{topic}/{queue}/{offset}/body", get(message::body))
        .route("/messages", get(live::messages))
        .route("/messages/{id}", get(find::message))
        .route("/find", get(find::find))
        .route("/clients", get(clients::clients))
        .route("/send", get(send::form).post(send::send))
        .route("/faults", get(faults::faults).post(faults::add))
        .route("/faults/{id}/remove", post(faults::remove))
        .route("/wire", get(wire::wire))
        .route("/clear", post(topics::clear))
        .route("/live/messages", get(live::stream))
        .route("/live/figures", get(figures::stream))
        .route("/assets/{name}", get(assets::asset))
}

/// Whether a request comes from somebody who reads pages, not from a program.
pub(crate) fn is_for_a_browser(headers: &HeaderMap) -> bool {
    let accepts = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    accepts.is_some_and(|accept| accept.contains("text/html"))
}

/// What a browser gets where there is no page.
pub(crate) fn no_such_page(path: &str) -> Failure {
    let help = "follow the links of the pages";
    Failure::new(StatusCode::NOT_FOUND, format!("there is no {path}"), help)
}
