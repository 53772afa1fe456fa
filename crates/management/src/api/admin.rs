//! What is read upward: the list, info, configuration, network; and the log level.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ADMIN, PROBES, Shared};
use crate::health::lock;
use crate::problem::Problem;
use crate::runtime::{Core, git};
use crate::timestamp::rfc3339;
use crate::{API_VERSION, duration, network};

/// What this version of the contract can do; later parts add their word.
const CAPABILITIES: &[&str] = &["config", "lifecycle", "log-level", "logs", "metrics", "network"];

/// `PUT /mgmt/v1/log-level`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LevelChange {
    filter: String,
    #[serde(default, rename = "for")]
    stays: Option<String>,
}

pub(super) fn routes() -> Router<Arc<Core>> {
    let level = get(level).put(set_level).delete(reset_level);
    Router::new()
        .route("/mgmt/v1", get(list))
        .route("/mgmt/v1/info", get(info))
        .route("/mgmt/v1/config", get(config))
        .route("/mgmt/v1/network", get(network_counters))
        .route("/mgmt/v1/log-level", level)
}

async fn list(State(core): Shared) -> Json<Value> {
    let all = PROBES.iter().chain(ADMIN).chain(&core.endpoints);
    let entry = |e: &crate::Endpoint| json!({"method": e.method, "path": e.path, "about": e.about});
    Json(json!({"api": API_VERSION, "endpoints": all.map(entry).collect::<Vec<_>>()}))
}

async fn info(State(core): Shared) -> Json<Value> {
    Json(json!({
        "image": core.image.name,
        "version": core.image.version,
        "git": git(),
        "pattern": core.image.pattern,
        "about": core.image.about,
        "started": rfc3339(core.started_at),
        "uptime_s": core.now().as_secs(),
        "pid": std::process::id(),
        "api": API_VERSION,
        "probe": core.probe_addr.to_string(),
        "admin": core.admin_addr.to_string(),
        "capabilities": CAPABILITIES,
    }))
}

async fn config(State(core): Shared) -> Json<Value> {
    Json(lock(&core.effective).to_json())
}

async fn network_counters(State(core): Shared) -> Json<Value> {
    let traffic = core.network.as_ref().map(|network| network.snapshot()).unwrap_or_default();
    Json(json!({"traffic": traffic, "host": network::host()}))
}

async fn level(State(core): Shared) -> Json<Value> {
    Json(level_json(&core))
}

async fn set_level(
    State(core): Shared,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let json = headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    let change = match json {
        true => serde_json::from_slice(&body)
            .map_err(|error| Problem::bad_request(format!("reading the body: {error}")))?,
        false => {
            LevelChange { filter: String::from_utf8_lossy(&body).trim().to_owned(), stays: None }
        }
    };
    let stays = change.stays.as_deref().map(duration::parse).transpose();
    let stays = stays.map_err(|error| Problem::bad_request(format!("for: {error}")))?;
    core.logs
        .set_level(&change.filter, stays)
        .map_err(|error| Problem::bad_request(error.to_string()))?;
    Ok(Json(level_json(&core)))
}

async fn reset_level(State(core): Shared) -> Result<Json<Value>, Problem> {
    core.logs.reset_level().map_err(|error| Problem::conflict(error.to_string()))?;
    Ok(Json(level_json(&core)))
}

fn level_json(core: &Core) -> Value {
    let (filter, left) = core.logs.level();
    json!({
        "filter": filter,
        "configured": core.logs.configured_level(),
        "expires_in": left.map(|left| format!("{:.1}s", left.as_secs_f64())),
    })
}
