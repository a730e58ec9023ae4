//! Server: the API server of a simulated cluster, in memory: a service under the ordinary client.
//!
//! It never waits, loses or delays anything: faults are put between it and the client.

pub mod body;
pub mod call;
pub mod discovery;
mod evict;
pub mod failure;
pub mod options;
pub mod patch;
pub mod read;
pub mod scale;
pub mod shape;
pub mod target;
pub mod twice;
pub mod typed;
pub mod watch;
pub mod write;

use std::convert::Infallible;
use std::task::{Context, Poll};

use futures::StreamExt;
use futures::future::BoxFuture;
use http::header::{CONTENT_TYPE, WARNING};
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame};
use kube::client::{Body, DynBody};
use tower::{BoxError, Service};

use crate::sim::cluster::{Actor, Cluster};
use call::{Call, Reply};

/// The API server as one client sees it: whoever holds it writes as its actor.
#[derive(Debug, Clone)]
pub struct ApiServer {
    cluster: Cluster,
    actor: Actor,
}

impl ApiServer {
    /// Opens a cluster to somebody. The field manager that a request names comes before the
    /// actor's.
    pub fn new(cluster: Cluster, actor: Actor) -> Self {
        Self { cluster, actor }
    }

    /// Carries out a request, in one moment.
    pub fn handle(&self, head: &Parts, body: &Bytes) -> Reply {
        self.handle_as(&self.actor, head, body)
    }

    /// Carries out a request as somebody else, in one moment.
    pub fn handle_as(&self, actor: &Actor, head: &Parts, body: &Bytes) -> Reply {
        Call::new(&self.cluster, actor, head, body).answer()
    }
}

/// Makes an HTTP answer of a reply.
pub fn response(reply: Reply) -> Response<Box<DynBody>> {
    let mut warned = Vec::new();
    let (status, body): (u16, Box<DynBody>) = match reply {
        Reply::Whole { status, body, warnings } => {
            warned = warnings;
            (status, Box::new(Full::new(body).map_err(never)))
        }
        Reply::Watch(stream) => {
            let frames = stream.map(|told| Ok(Frame::data(told.line)));
            (200, Box::new(StreamBody::new(frames)))
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    for warning in warned {
        if let Ok(value) = HeaderValue::from_str(&format!("299 - {warning:?}")) {
            response.headers_mut().append(WARNING, value);
        }
    }
    response
}

fn never(never: Infallible) -> BoxError {
    match never {}
}

impl Service<Request<Body>> for ApiServer {
    type Response = Response<Box<DynBody>>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let server = self.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = body.collect_bytes().await?;
            Ok(response(server.handle(&head, &body)))
        })
    }
}

#[cfg(test)]
mod tests;
