//! Who may ask: each request passes here before its route is looked for.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST,
    HeaderName, HeaderValue, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_core::Stream;

use crate::pages::{Failure, is_for_a_browser};
use crate::reply::Problem;
use crate::shared::Shared;

/// Bytes that a request's body may have.
const BODY: usize = 1024 * 1024;
/// Bytes of a longer one that are read and dropped.
const PASSED_OVER: usize = 32 * BODY;
/// How long a body may take to arrive.
const BODY_PATIENCE: Duration = Duration::from_secs(10);
/// Paths that need no password: what looks after a process asks for them.
const OPEN: [&str; 2] = ["/healthz", "/readyz"];
/// The site that a browser says a request comes from.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// What every answer says of itself.
const HEADERS: [(HeaderName, &str); 5] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'self'; frame-ancestors 'none'; form-action 'self'; base-uri 'none'",
    ),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    // With `no-referrer`, a browser would say `Origin: null` of this server's own forms.
    (REFERRER_POLICY, "same-origin"),
    (CACHE_CONTROL, "no-store"),
];

/// Lets a request through to its route, or says why not.
pub(crate) async fn guard(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    let is_for_a_browser = is_for_a_browser(request.headers());
    let mut response = match pass(&shared, request).await {
        Ok((request, room)) => {
            let response = next.run(request).await;
            drop(room);
            response
        }
        Err(problem) if is_for_a_browser => Failure::from(problem).into_response(),
        Err(problem) => problem.into_response(),
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The request with its whole body, and the room that the body takes.
async fn pass(
    shared: &Shared,
    request: Request,
) -> Result<(Request, Option<crate::room::Taken>), Problem> {
    let host = check_host(shared, &request)?.to_owned();
    check_password(shared, &request)?;
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok((request, None));
    }
    check_origin(request.headers(), &host)?;
    let length = only(request.headers(), &CONTENT_LENGTH)?.unwrap_or_default();
    if length.parse::<usize>().is_ok_and(|length| length > BODY) {
        if is_for_a_browser(request.headers()) {
            let _ = tokio::time::timeout(BODY_PATIENCE, pass_over(request.into_body())).await;
        }
        return Err(too_long());
    }
    let room = shared.room.bytes(BODY).await?;
    let (head, body) = request.into_parts();
    let body = tokio::time::timeout(BODY_PATIENCE, to_bytes(body, BODY)).await.map_err(|_| {
        let message = format!("the body has not come within {} s", BODY_PATIENCE.as_secs());
        Problem::new(StatusCode::REQUEST_TIMEOUT, "slow_body", message, "send it at once")
    })?;
    // It ends early in a client that is gone, too, which hears of nothing any more.
    let body = body.map_err(|_| too_long())?;
    Ok((Request::from_parts(head, Body::from(body)), Some(room)))
}

/// Reads a body that is too long, as far as it is worth it: a browser that cannot send all of it says
/// that the connection was reset, and does not show the answer.
async fn pass_over(body: Body) {
    let mut stream = pin!(body.into_data_stream());
    let mut bytes = 0;
    while bytes < PASSED_OVER
        && let Some(Ok(some)) = poll_fn(|cx| stream.as_mut().poll_next(cx)).await
    {
        bytes += some.len();
    }
}

/// The host that the request names, if this server is called so.
fn check_host<'a>(shared: &Shared, request: &'a Request) -> Result<&'a str, Problem> {
    let host = only(request.headers(), &HOST)?.unwrap_or_default();
    let in_line = request.uri().authority().map(axum::http::uri::Authority::as_str);
    let is_allowed = |host| shared.hosts.allow(host);
    if is_allowed(host) && in_line.is_none_or(is_allowed) {
        return Ok(host);
    }
    let message = format!("this server is not called {:?}", in_line.unwrap_or(host));
    let help = "ask at a loopback address with the port, as in http://127.0.0.1:9877, or give the \
                server this host when it starts";
    Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, "wrong_host", message, help))
}

fn check_password(shared: &Shared, request: &Request) -> Result<(), Problem> {
    let Some(password) = &shared.password else { return Ok(()) };
    let given = only(request.headers(), &AUTHORIZATION)?.unwrap_or_default();
    if OPEN.contains(&request.uri().path()) || password.is_in(given) {
        return Ok(());
    }
    let message = match given {
        "" => "a password is needed here",
        _ => "this is not the password",
    };
    let help = "give it by HTTP Basic, with any name: curl -u me:PASSWORD …";
    Err(Problem::new(StatusCode::UNAUTHORIZED, "password", message, help))
}

/// What changes something comes from a page of this server, or from no page at all.
fn check_origin(headers: &HeaderMap, host: &str) -> Result<(), Problem> {
    let refused = |message: String| {
        let help = "only a program, or a page of this server, may change something";
        Err(Problem::new(StatusCode::FORBIDDEN, "other_site", message, help))
    };
    let site = only(headers, &SEC_FETCH_SITE)?;
    if matches!(site, Some("cross-site" | "same-site")) {
        return refused("a page of another site has sent this".to_owned());
    }
    match only(headers, &ORIGIN)? {
        // An own page that is `null` does not exist: it is in a sandbox, or a file.
        Some(origin) if origin != format!("http://{host}") => {
            refused(format!("a page of {origin:?} has sent this"))
        }
        Some(_) => Ok(()),
        None if is_json(only(headers, &CONTENT_TYPE)?) => Ok(()),
        None => {
            let message = "what changes something is JSON";
            let help = "add the header  content-type: application/json";
            Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "no_json", message, help))
        }
    }
}

fn is_json(content_type: Option<&str>) -> bool {
    let essence = content_type.and_then(|text| text.split(';').next()).unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

/// The value of a header that may stand there once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().map(HeaderValue::to_str).transpose();
    match (value, values.next()) {
        (Ok(value), None) => Ok(value),
        _ => Err(Problem::bad(format!("the header {name} makes no sense"), "send it once")),
    }
}

fn too_long() -> Problem {
    let message = format!("a body has at most {} MiB", BODY >> 20);
    let help = "send less at once; a longer message goes with: posthaste send TOPIC -F FILE";
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_long", message, help)
}
