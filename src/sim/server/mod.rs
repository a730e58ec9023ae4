//! Server: the API server of a simulated cluster, in memory: a service under the ordinary client.
//!
//! It never waits, loses or delays anything: faults are put between it and the client.

pub mod discovery;
pub mod failure;
pub mod options;
pub mod read;
pub mod shape;
pub mod target;
pub mod watch;
pub mod write;

use std::convert::Infallible;
use std::task::{Context, Poll};

use futures::StreamExt;
use futures::future::BoxFuture;
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame};
use kube::client::{Body, DynBody};
use serde_json::{Value, json};
use tower::{BoxError, Service};

use crate::sim::cluster::feed::json_text;
use crate::sim::cluster::{Actor, Cluster, Part, Run};
use crate::sim::history::Place;
use crate::sim::resource::Resource;
use crate::sim::rules::meta;
use crate::sim::rules::problem::Problem;
use failure::Failure;
use shape::Shape;
use target::{Query, Target};
use watch::WatchStream;
use write::Write;

/// The API server as one client sees it: whoever holds it writes as its actor.
#[derive(Debug, Clone)]
pub struct ApiServer {
    cluster: Cluster,
    actor: Actor,
}

/// An answer.
#[derive(Debug)]
pub enum Reply {
    /// All of it.
    Whole {
        /// The HTTP status.
        status: u16,
        /// JSON.
        body: Bytes,
    },
    /// A watch that has begun, with status 200.
    Watch(WatchStream),
}

impl Reply {
    /// Makes the answer to a request that is not carried out.
    pub fn failure(failure: &Failure) -> Self {
        Self::Whole { status: failure.code, body: failure.text() }
    }

    fn ok(body: Bytes) -> Self {
        Self::Whole { status: 200, body }
    }
}

impl ApiServer {
    /// Opens a cluster to somebody. The field manager of a request comes before the actor's.
    pub fn new(cluster: Cluster, actor: Actor) -> Self {
        Self { cluster, actor }
    }

    /// Carries out a request as the same client, under another writer.
    pub fn handle_as(&self, actor: Actor, head: &Parts, body: &Bytes) -> Reply {
        Self { cluster: self.cluster.clone(), actor }.handle(head, body)
    }

    /// Carries out a request, in one moment.
    pub fn handle(&self, head: &Parts, body: &Bytes) -> Reply {
        let path = head.uri.path();
        let answer = Target::read(path).ok_or_else(|| Failure::nothing_at(path));
        let answer = answer.and_then(|target| self.answer(&target, head, body));
        answer.unwrap_or_else(|failure| Reply::failure(&failure))
    }

    fn answer(&self, target: &Target, head: &Parts, body: &Bytes) -> Result<Reply, Failure> {
        let query = Query::read(head.uri.query().unwrap_or_default());
        let cluster = &self.cluster;
        let shape = Shape::read(header(&head.headers, &ACCEPT));
        let value = |value: Value| Ok(Reply::ok(json_text(&value)));
        match target {
            Target::Document(name) => value(discovery::document(cluster, name)?),
            Target::Group { group, version } => {
                value(discovery::group(cluster, group, version.as_deref())?)
            }
            Target::All { resource, .. } | Target::One { resource, .. }
                if !cluster.installed(resource.plural) =>
            {
                Err(Failure::no_such_page())
            }
            Target::All { resource, namespace } => match head.method {
                Method::GET if query.is_true("watch") => {
                    let namespace = namespace.clone();
                    read::watch(cluster, resource, namespace, &query, shape).map(Reply::Watch)
                }
                Method::GET => {
                    let namespace = namespace.as_deref();
                    read::list(cluster, resource, namespace, &query, shape).map(Reply::ok)
                }
                Method::POST => self.create(resource, namespace.as_deref(), &query, head, body),
                _ => Err(Failure::no_such_verb()),
            },
            Target::One { resource, namespace, name, subresource } => {
                let place = Place::new(resource.plural, namespace, name);
                let part = match subresource.as_deref() {
                    None => Part::Main,
                    Some("status") if resource.status => Part::Status,
                    Some(_) => return Err(Failure::no_such_path()),
                };
                let one = self.one(resource, &place, part, &query, head, body, shape);
                one.map_err(|failure| failure.about(resource, name))
            }
        }
    }

    fn create(
        &self,
        resource: &'static Resource,
        namespace: Option<&str>,
        query: &Query,
        head: &Parts,
        body: &Bytes,
    ) -> Result<Reply, Failure> {
        let object = write::json_body(body)?;
        let name = meta::text(&object, "name").unwrap_or_default().to_owned();
        let own = meta::text(&object, "namespace").unwrap_or_default();
        let namespace = namespace.unwrap_or(own);
        if !own.is_empty() && own != namespace {
            return Err(Failure::bad(
                "the namespace of the provided object does not match the namespace sent on the \
                 request",
            ));
        }
        if name.is_empty() {
            let problem = Problem::required("metadata.name", "name or generateName is required");
            return Err(Failure::invalid(resource.group, resource.kind, "", &[problem]));
        }
        let place = Place::new(resource.plural, namespace, name);
        let actor = self.acting(query, head);
        let write = Write {
            cluster: &self.cluster,
            actor: &actor,
            resource,
            place: &place,
            part: Part::Main,
            run: run(query),
        };
        let stored = write.create(object).map_err(|failure| failure.about(resource, &place.name));
        Ok(Reply::Whole { status: 201, body: stored?.text() })
    }

    #[allow(clippy::too_many_arguments)]
    fn one(
        &self,
        resource: &'static Resource,
        place: &Place,
        part: Part,
        query: &Query,
        head: &Parts,
        body: &Bytes,
        shape: Shape,
    ) -> Result<Reply, Failure> {
        let cluster = &self.cluster;
        let actor = self.acting(query, head);
        let write = Write { cluster, actor: &actor, resource, place, part, run: run(query) };
        let stored = match head.method {
            Method::GET => read::get(cluster, resource, place, query)?,
            Method::PUT => write.replace(write::json_body(body)?)?,
            Method::PATCH => {
                let kind = header(&head.headers, &CONTENT_TYPE).split(';').next();
                match kind.unwrap_or_default().trim() {
                    "application/json-patch+json" => write.json_patch(body)?,
                    "application/merge-patch+json" => write.merge_patch(body)?,
                    _ => {
                        let message = "the body of the request was in an unknown format - accepted \
                            media types include: application/json-patch+json, \
                            application/merge-patch+json, application/apply-patch+yaml";
                        return Err(Failure::new(415, "UnsupportedMediaType", message));
                    }
                }
            }
            Method::DELETE if part == Part::Main => {
                let options = if body.is_empty() { json!({}) } else { write::json_body(body)? };
                return Ok(Reply::ok(write::deleted(resource, &write.delete(&options)?)));
            }
            _ => return Err(Failure::no_such_verb()),
        };
        Ok(Reply::ok(shape.object(resource, &stored)))
    }

    /// Who writes by this request.
    fn acting(&self, query: &Query, head: &Parts) -> Actor {
        let mut actor = self.actor.clone();
        let named = query.text("fieldManager");
        let agent = header(&head.headers, &USER_AGENT).split('/').next().unwrap_or_default();
        if let Some(manager) = [named, agent].into_iter().find(|text| !text.is_empty()) {
            manager.clone_into(&mut actor.manager);
        }
        actor
    }
}

fn run(query: &Query) -> Run {
    if query.text("dryRun") == "All" { Run::Dry } else { Run::Real }
}

fn header<'a>(headers: &'a HeaderMap, name: &http::HeaderName) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Makes an HTTP answer of a reply.
pub fn response(reply: Reply) -> Response<Box<DynBody>> {
    let (status, body): (u16, Box<DynBody>) = match reply {
        Reply::Whole { status, body } => (status, Box::new(Full::new(body).map_err(never))),
        Reply::Watch(stream) => {
            let frames = stream.map(|told| Ok(Frame::data(told.line)));
            (200, Box::new(StreamBody::new(frames)))
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
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
