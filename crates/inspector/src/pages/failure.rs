//! A page that says what went wrong.

use askama::Template;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use posthaste_broker::KitError;

use crate::pages::html::HTML;
use crate::reply::{BASIC, Problem};
use crate::shared::broken;

/// What went wrong, for a reader.
#[derive(Debug, Template)]
#[template(path = "failure.html")]
pub(crate) struct Failure {
    section: &'static str,
    status: StatusCode,
    message: String,
    help: String,
}

impl Failure {
    pub(super) fn new(
        status: StatusCode,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self { section: "", status, message: message.into(), help: help.into() }
    }

    /// An address that makes no sense.
    pub(super) fn bad(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message, help)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::new(problem.status(), problem.message(), problem.help())
    }
}

impl From<KitError> for Failure {
    fn from(error: KitError) -> Self {
        broken(&error).into()
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        // The template writes into a String, which takes everything.
        let text = self.render().unwrap_or_default();
        let mut response = (self.status, text).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(HTML));
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(BASIC));
        }
        response
    }
}
