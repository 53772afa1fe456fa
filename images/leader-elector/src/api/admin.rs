//! What operators may do, on the admin listener of `management`: see the group, remove a member,
//! move a lease.

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use management::{Endpoint, Problem};
use serde::Deserialize;
use tokio::runtime::Handle;

use super::message;
use super::route::{is_election, is_holder};
use crate::agent::Agent;
use crate::backend::{Consistency, Failure};

/// The endpoints of this image's own.
pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        method: "GET",
        path: "/mgmt/v1/cluster",
        about: "The group: its members, who leads it, whether a majority answers",
    },
    Endpoint { method: "GET", path: "/mgmt/v1/cluster/members", about: "The members" },
    Endpoint {
        method: "DELETE",
        path: "/mgmt/v1/cluster/members/{name}",
        about: "Remove a member for good",
    },
    Endpoint {
        method: "POST",
        path: "/mgmt/v1/elections/{election}/transfer",
        about: "Give the lease held here to a waiting candidate: `{\"to\": NAME}`",
    },
];

#[derive(Clone)]
struct Admin {
    agent: Arc<Agent>,
    /// Where the backend lives; requests come in on management's own runtime.
    runtime: Handle,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Transfer {
    to: Box<str>,
}

/// The routes, for `management`'s `admin_routes`; what they start runs on `runtime`.
pub fn routes(agent: Arc<Agent>, runtime: Handle) -> Router {
    Router::new()
        .route("/cluster", get(cluster))
        .route("/cluster/members", get(members))
        .route("/cluster/members/{name}", delete(remove))
        .route("/elections/{election}/transfer", post(transfer))
        .with_state(Admin { agent, runtime })
}

async fn cluster(State(admin): State<Admin>) -> Response {
    Json(admin.agent.cluster()).into_response()
}

async fn members(State(admin): State<Admin>) -> Response {
    Json(admin.agent.cluster().members).into_response()
}

async fn remove(State(admin): State<Admin>, Path(name): Path<String>) -> Response {
    if !is_holder(&name) {
        return Problem::unprocessable("this is no name of a member").into_response();
    }
    let Admin { agent, runtime } = admin;
    let removed = runtime.spawn(async move { agent.remove_member(&name).await });
    match removed.await {
        Ok(Ok(())) => StatusCode::NO_CONTENT.into_response(),
        Ok(Err(failure)) => problem(&failure).into_response(),
        Err(_) => ending().into_response(),
    }
}

async fn transfer(
    State(admin): State<Admin>,
    Path(election): Path<String>,
    body: Result<Json<Transfer>, JsonRejection>,
) -> Response {
    let to = match body {
        Ok(Json(Transfer { to })) if is_holder(&to) && is_election(&election) => to,
        Ok(_) => return Problem::unprocessable("one of the names is none").into_response(),
        Err(error) => return Problem::bad_request(error.body_text()).into_response(),
    };
    let Admin { agent, runtime } = admin;
    let (election, to) = (Arc::<str>::from(election), Arc::<str>::from(to));
    let moved = runtime.spawn(async move {
        let view = agent.transfer(&election, &to).await?;
        let standing = agent.standing(&election);
        let standing = standing.as_ref();
        let state = message::State::new(&election, &view, standing, Consistency::Linearizable);
        Ok::<_, Failure>(message::to_json(&state))
    });
    match moved.await {
        Ok(Ok(state)) => ([("content-type", "application/json")], state).into_response(),
        Ok(Err(Failure::Lost(leader))) => {
            let holder = leader.map_or_else(|| "nobody".to_owned(), |it| it.holder.to_string());
            Problem::conflict(format!("the lease is not held here but by {holder}")).into_response()
        }
        Ok(Err(Failure::NoCandidate)) => {
            let detail = "the lease was given up, and somebody else or nobody has followed";
            Problem::conflict(detail).into_response()
        }
        Ok(Err(failure)) => problem(&failure).into_response(),
        Err(_) => ending().into_response(),
    }
}

fn problem(failure: &Failure) -> Problem {
    let status = match failure {
        Failure::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
        Failure::Unsupported(_) => StatusCode::NOT_IMPLEMENTED,
        Failure::NoQuorum(_) => StatusCode::SERVICE_UNAVAILABLE,
        Failure::Unknown(_) => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::CONFLICT,
    };
    Problem::new(status, failure.to_string())
}

fn ending() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the process is ending")
}
