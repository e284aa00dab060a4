//! The part of a path that names something.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

use crate::reply::Problem;

/// A name in a path, decoded.
pub(crate) struct Name(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let name = Path::<String>::from_request_parts(parts, state).await;
        name.map(|Path(name)| Self(name)).map_err(|_| {
            let message = "the percent-encoding in the path is no text";
            Problem::bad(message, "encode the bytes of UTF-8, as in caf%C3%A9")
        })
    }
}
