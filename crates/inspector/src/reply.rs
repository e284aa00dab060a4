//! Answers: JSON, and errors that say what happened and what to do.

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// How a password is to be given.
pub(crate) const BASIC: &str = "Basic realm=\"posthaste\", charset=\"UTF-8\"";

/// An answer that is an error.
#[derive(Debug, Serialize)]
pub(crate) struct Problem {
    #[serde(skip)]
    status: StatusCode,
    kind: &'static str,
    message: String,
    help: String,
}

/// The object that an error is in.
#[derive(Serialize)]
struct Wrapped<'a> {
    error: &'a Problem,
}

impl Problem {
    pub(crate) fn new(
        status: StatusCode,
        kind: &'static str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self { status, kind, message: message.into(), help: help.into() }
    }

    /// A request that makes no sense.
    pub(crate) fn bad(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message, help)
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn help(&self) -> &str {
        &self.help
    }

    #[cfg(test)]
    pub(crate) fn kind(&self) -> &'static str {
        self.kind
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let text = serde_json::to_vec(&Wrapped { error: &self }).unwrap_or_default();
        let mut response = whole(self.status, Body::from(text));
        if self.status == StatusCode::UNAUTHORIZED {
            // A browser asks for a password then.
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(BASIC));
        }
        response
    }
}

/// An answer whose body is JSON.
pub(crate) fn whole(status: StatusCode, body: Body) -> Response {
    let json = HeaderValue::from_static("application/json");
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
