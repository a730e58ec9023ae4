//! A process that leads, for the tests of this folder: its far end answers like an API server.

use std::sync::Arc;

use http::{Request, Response};
use kube::Client;
use kube::client::Body;
use serde_json::Value;

use crate::controller::context::{Context, Parts};
use crate::observe::stores::Stores;
use crate::runtime::clock::Clock;
use crate::runtime::health::Health;
use crate::runtime::leader::Leadership;
use crate::runtime::metrics::Metrics;
use crate::runtime::pace::Pace;

/// A process that leads, whose API server gives these answers: code and body.
pub fn context<F>(stores: Stores, answer: F) -> Context
where
    F: Fn(&Request<Body>) -> (u16, Value) + Clone + Send + Sync + 'static,
{
    let service = tower::service_fn(move |request: Request<Body>| {
        let (code, answer) = answer(&request);
        let body = Body::from(serde_json::to_vec(&answer).unwrap());
        let reply = Response::builder().status(code).body(body).unwrap();
        std::future::ready(Ok::<_, std::convert::Infallible>(reply))
    });
    let clock = Clock::system();
    let parts = Parts {
        client: Client::new(service, "default"),
        leadership: Leadership::always(clock.clone()),
        metrics: Metrics::new(),
        health: Health::new(clock.clone()),
        clock,
        identity: "test".to_owned(),
        pace: Pace::default(),
        fetch: None,
    };
    Context::new(parts, Arc::new(stores))
}
