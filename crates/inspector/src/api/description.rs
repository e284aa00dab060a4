//! The description of the API in the form of OpenAPI.

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;

use crate::api::query::{Nothing, Parameters};
use crate::reply::whole;

/// Written by hand. Tests compare it with the routes, their parameters and what they answer.
pub(crate) const DESCRIPTION: &str = include_str!("openapi.json");

/// `/api/v1/openapi.json`
pub(crate) async fn description(Parameters(Nothing {}): Parameters<Nothing>) -> Response {
    whole(StatusCode::OK, Body::from(DESCRIPTION))
}
