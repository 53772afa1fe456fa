//! `/livez`, `/readyz`, `/startupz`, `/metrics`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Shared;
use crate::health::Status;
use crate::problem::Problem;
use crate::runtime::Core;

pub(super) fn routes() -> Router<Arc<Core>> {
    Router::new()
        .route("/livez", get(livez))
        .route("/healthz", get(livez))
        .route("/readyz", get(readyz))
        .route("/startupz", get(startupz))
        .route("/metrics", get(metrics))
}

async fn livez(State(core): Shared) -> Response {
    let stalled = core.stalled(Instant::now());
    match stalled.is_empty() {
        true => answer(true, json!({"status": "pass"})),
        false => answer(false, json!({"status": "fail", "errors": stalled})),
    }
}

async fn readyz(State(core): Shared) -> Response {
    let status = core.readiness();
    let body = json!({
        "status": status.as_str(),
        "state": core.state().as_str(),
        "ready": core.is_ready(),
        "checks": core.outcomes.to_json(Instant::now()),
    });
    answer(status != Status::Fail, body)
}

async fn startupz(State(core): Shared) -> Response {
    let started = core.was_ready();
    answer(started, json!({"status": if started { "pass" } else { "fail" }}))
}

async fn metrics(State(core): Shared) -> Response {
    match crate::metrics::render(&core) {
        Ok(page) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page)
            .into_response(),
        Err(error) => {
            let detail = format!("writing the metrics: {error}");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail).into_response()
        }
    }
}

fn answer(good: bool, body: Value) -> Response {
    let status = if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}
