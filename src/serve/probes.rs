//! Answers the kubelet and Prometheus: alive, ready, metrics. Changes nothing.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::runtime::health::Health;
use crate::runtime::metrics::Metrics;

/// The content type that Prometheus expects of OpenMetrics text.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the answers are made of; cheap to clone.
#[derive(Clone, Debug)]
pub struct Probes {
    /// What the loop reports to.
    pub health: Health,
    /// What is counted.
    pub metrics: Metrics,
}

// axum takes async functions only; none of these waits for anything.

/// Fails when the loop is wedged, so that the kubelet restarts the pod.
#[allow(clippy::unused_async)]
pub async fn healthz(State(probes): State<Probes>) -> Response {
    if probes.health.is_wedged() {
        let due = probes.health.due_for().as_secs();
        let text = format!("wedged: reconciles due for {due} s, none done\n");
        return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    }
    (StatusCode::OK, "ok\n").into_response()
}

/// Fails until the stores are filled; a follower is ready too.
#[allow(clippy::unused_async)]
pub async fn readyz(State(probes): State<Probes>) -> Response {
    if probes.health.is_ready() {
        return (StatusCode::OK, "ok\n").into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, "the stores are not filled yet\n").into_response()
}

/// Returns all metrics.
#[allow(clippy::unused_async)]
pub async fn metrics(State(probes): State<Probes>) -> Response {
    probes.metrics.set_due(probes.health.due_for());
    match probes.metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
