//! The lifecycle, downward: drain, undrain, shutdown.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Shared;
use crate::lifecycle::{Request, Taken};
use crate::problem::Problem;
use crate::runtime::Core;
use crate::timestamp::rfc3339;

/// `POST /mgmt/v1/lifecycle/shutdown`; the body may be empty.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shutdown {
    #[serde(default)]
    force: bool,
}

type Answer = Result<(StatusCode, Json<Value>), Problem>;

pub(super) fn routes() -> Router<Arc<Core>> {
    Router::new()
        .route("/mgmt/v1/lifecycle", get(show))
        .route("/mgmt/v1/lifecycle/drain", post(drain))
        .route("/mgmt/v1/lifecycle/undrain", post(undrain))
        .route("/mgmt/v1/lifecycle/shutdown", post(shutdown))
        .route("/quitquitquit", post(quit))
}

async fn show(State(core): Shared) -> Json<Value> {
    Json(state(&core))
}

async fn drain(State(core): Shared) -> Answer {
    ask(&core, Request::Drain)
}

async fn undrain(State(core): Shared) -> Answer {
    ask(&core, Request::Undrain)
}

async fn quit(State(core): Shared) -> Answer {
    ask(&core, Request::Shutdown)
}

async fn shutdown(State(core): Shared, body: Bytes) -> Answer {
    let wanted: Shutdown = match body.trim_ascii() {
        b"" => Shutdown::default(),
        body => serde_json::from_slice(body)
            .map_err(|error| Problem::bad_request(format!("reading the body: {error}")))?,
    };
    ask(&core, if wanted.force { Request::Force } else { Request::Shutdown })
}

/// 202 when it changes something, 200 when it was so already, 409 when it makes no sense.
fn ask(core: &Core, request: Request) -> Answer {
    let status = match core.request(request) {
        Ok(Taken::Now) => StatusCode::ACCEPTED,
        Ok(Taken::Already) => StatusCode::OK,
        Err(conflict) => return Err(Problem::conflict(conflict.to_string())),
    };
    Ok((status, Json(state(core))))
}

fn state(core: &Core) -> Value {
    let (mut shown, since) = core.with_machine(|machine, _| (machine.to_json(), machine.since()));
    shown["since"] = json!(rfc3339(core.started_at + since));
    shown["in_flight"] = json!(core.in_flight());
    shown
}
