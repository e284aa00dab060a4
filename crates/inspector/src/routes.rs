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
use crate::{api, health, metrics};

/// Every path, and who answers there.
fn routes() -> [(&'static str, MethodRouter<Arc<Shared>>); 9] {
    [
        ("/healthz", get(health::alive)),
        ("/readyz", get(health::ready)),
        ("/metrics", get(metrics::metrics)),
        ("/api/v1/messages", get(api::messages)),
        ("/api/v1/messages/{id}", get(api::message)),
        ("/api/v1/topics", get(api::topics)),
        ("/api/v1/topics/{topic}", get(api::topic)),
        ("/api/v1/groups", get(api::groups)),
        ("/api/v1/clients", get(api::clients)),
    ]
}

/// All routes behind the guard.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let add = |router: Router<Arc<Shared>>, (path, route)| router.route(path, route);
    routes()
        .into_iter()
        .fold(Router::new(), add)
        .fallback(no_such_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(Arc::clone(&shared), guard))
        .with_state(shared)
}

async fn no_such_path(request: Request) -> Problem {
    let known: Vec<_> = routes().into_iter().map(|(path, _)| path).collect();
    let message = format!("there is no {}", request.uri().path());
    let help = format!("there are {}", known.join(", "));
    Problem::new(StatusCode::NOT_FOUND, "no_such_path", message, help)
}

async fn wrong_method(request: Request) -> Problem {
    let message = format!("{} does not take {}", request.uri().path(), request.method());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", message, "use GET")
}
