//! What an address or a form asks for: texts of which the empty ones say nothing.

use std::str::FromStr;

use axum::extract::rejection::{FormRejection, PathRejection, QueryRejection};
use axum::extract::{Form, FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use posthaste_broker::Position;
use serde::de::DeserializeOwned;

use crate::pages::failure::Failure;
use crate::percent::is_text;
use crate::shared::Shared;

/// What stands behind the `?` of an address.
pub(super) struct Asked<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        if !is_text(parts.uri.query().unwrap_or_default()) {
            return Err(Failure::bad("the percent-encoding of the address is no text", HELP));
        }
        let query = Query::<T>::try_from_uri(&parts.uri);
        let wrong = |wrong: QueryRejection| Failure::bad(wrong.body_text(), HELP);
        query.map(|Query(asked)| Self(asked)).map_err(wrong)
    }
}

/// The parts of a path.
pub(super) struct Parted<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Parted<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let path = Path::<T>::from_request_parts(parts, state).await;
        let wrong = |wrong: PathRejection| Failure::bad(wrong.body_text(), HELP);
        path.map(|Path(parts)| Self(parts)).map_err(wrong)
    }
}

/// What was filled into a form.
pub(super) struct Filled<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Filled<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let form = Form::<T>::from_request(request, state).await;
        let wrong =
            |wrong: FormRejection| Failure::bad(wrong.body_text(), "send the form from its page");
        form.map(|Form(filled)| Self(filled)).map_err(wrong)
    }
}

const HELP: &str = "follow the links of the pages";

/// Whether a form comes from a page of this server.
pub(super) fn check_token(shared: &Shared, given: &str) -> Result<(), Failure> {
    if shared.token.is(given) {
        return Ok(());
    }
    let message = "the form is not of this run of the server; nothing was changed";
    Err(Failure::new(StatusCode::FORBIDDEN, message, "load its page again, and send it from there"))
}

/// A text, unless it is empty.
pub(super) fn text(value: &str) -> Option<&str> {
    Some(value.trim()).filter(|value| !value.is_empty())
}

/// A number, unless nothing was written.
pub(super) fn number<T: FromStr>(name: &str, value: &str) -> Result<Option<T>, String> {
    let wrong = |_| format!("{name} cannot be {value:?}; it is a number");
    text(value).map(|value| value.parse().map_err(wrong)).transpose()
}

/// Where a page begins.
pub(super) fn position(value: &str) -> Result<Position, Failure> {
    value.parse().map_err(|_| {
        Failure::bad(format!("{value:?} is no place in a topic"), "begin with the newest messages")
    })
}
