//! The routes, and what is said where there is none.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, get};

use crate::guard::guard;
use crate::reply::Problem;
use crate::shared::Shared;
use crate::{api, health, metrics, pages};

/// A path, the methods that it takes, and who answers there.
type Route = (&'static str, &'static str, MethodRouter<Arc<Shared>>);

/// Every path.
fn routes() -> [Route; 13] {
    let all_faults = get(api::faults).post(api::add_faults).delete(api::remove_faults);
    [
        ("/healthz", "GET", get(health::alive)),
        ("/readyz", "GET", get(health::ready)),
        ("/metrics", "GET", get(metrics::metrics)),
        ("/api/v1/openapi.json", "GET", get(api::description)),
        ("/api/v1/messages", "GET", get(api::messages)),
        ("/api/v1/messages/{id}", "GET", get(api::message)),
        ("/api/v1/topics", "GET", get(api::topics)),
        ("/api/v1/topics/{topic}", "GET", get(api::topic)),
        ("/api/v1/groups", "GET", get(api::groups)),
        ("/api/v1/clients", "GET", get(api::clients)),
        ("/api/v1/faults", "GET, POST, DELETE", all_faults),
        ("/api/v1/faults/{id}", "GET, DELETE", get(api::fault).delete(api::remove_fault)),
        ("/api/v1/wire", "GET", get(api::wire)),
    ]
}

/// All routes behind the guard.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let add = |router: Router<Arc<Shared>>, (path, methods, route): Route| {
        let wrong = move |request: Request| async move { wrong_method(methods, &request) };
        router.route(path, route.fallback(wrong))
    };
    routes()
        .into_iter()
        .fold(pages::router(), add)
        .fallback(no_such_path)
        .layer(from_fn_with_state(Arc::clone(&shared), guard))
        .with_state(shared)
}

async fn no_such_path(request: Request) -> Result<Problem, pages::Failure> {
    if pages::is_for_a_browser(request.headers()) {
        return Err(pages::no_such_page(request.uri().path()));
    }
    let known: Vec<_> = routes().into_iter().map(|(path, ..)| path).collect();
    let message = format!("there is no {}", request.uri().path());
    let help = format!("there are {}", known.join(", "));
    Ok(Problem::new(StatusCode::NOT_FOUND, "no_such_path", message, help))
}

fn wrong_method(methods: &str, request: &Request) -> Problem {
    let message = format!("{} does not take {}", request.uri().path(), request.method());
    let help = format!("it takes {methods}");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", message, help)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    /// What is in one of them only is named by its path and method.
    #[test]
    fn the_routes_are_those_of_the_description() {
        let mut there = BTreeSet::new();
        for (path, methods, _) in routes() {
            there.extend(methods.split(", ").map(|method| format!("{method} {path}")));
        }
        let described: Value = serde_json::from_str(api::DESCRIPTION).expect("JSON");
        let mut told = BTreeSet::new();
        for (path, operations) in described["paths"].as_object().expect("paths") {
            for method in operations.as_object().expect("operations").keys() {
                told.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
        let one_sided: Vec<_> = there.symmetric_difference(&told).collect();
        assert!(one_sided.is_empty(), "{one_sided:?}");
    }
}
