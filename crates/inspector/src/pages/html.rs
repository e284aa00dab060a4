//! A page as an answer.

use askama::Template;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue, LOCATION};
use axum::response::Response;

use crate::pages::failure::Failure;
use crate::shared::Shared;

/// The type of pages.
pub(super) const HTML: &str = "text/html; charset=utf-8";

/// A page, once there is room for it.
pub(super) async fn html(
    shared: &Shared,
    status: StatusCode,
    page: &impl Template,
) -> Result<Response, Failure> {
    let text = page.render().map_err(|error| {
        let message = format!("the page cannot be written: {error}");
        Failure::new(StatusCode::INTERNAL_SERVER_ERROR, message, "please report this")
    })?;
    let mut response = Response::new(shared.room.body(text.into_bytes()).await?);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(HTML));
    Ok(response)
}

/// The way to another page, as the end of a form or in place of an id.
pub(super) fn see(address: &str) -> Result<Response, Failure> {
    let location = HeaderValue::from_str(address).map_err(|_| {
        Failure::bad(format!("{address:?} is no address"), "follow the links of the pages")
    })?;
    let mut response = Response::new(axum::body::Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}
