//! The files that pages need: styles, a script, and the chart (uPlot, under the MIT licence).

use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Response};

use crate::pages::failure::Failure;

const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";
const TEXT: &str = "text/plain; charset=utf-8";

/// Name, type and content of each.
const ASSETS: [(&str, &str, &str); 6] = [
    ("inspector.css", CSS, include_str!("../../assets/inspector.css")),
    ("inspector.js", SCRIPT, include_str!("../../assets/inspector.js")),
    ("icon.svg", SVG, include_str!("../../assets/icon.svg")),
    ("uplot.css", CSS, include_str!("../../assets/uplot.css")),
    ("uplot.js", SCRIPT, include_str!("../../assets/uplot.js")),
    ("uplot.LICENSE", TEXT, include_str!("../../assets/uplot.LICENSE")),
];

/// `/assets/{name}`
pub(super) async fn asset(Path(name): Path<String>) -> Result<Response, Failure> {
    let Some((_, kind, text)) = ASSETS.iter().find(|(known, ..)| *known == name) else {
        let message = format!("there is no file {name:?}");
        return Err(Failure::new(StatusCode::NOT_FOUND, message, "go to the overview"));
    };
    let mut response = (*text).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(response)
}
