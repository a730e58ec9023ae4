//! Wire: the way between one controller and the API server, with its delays and its faults. It
//! never changes what is asked or answered.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use fastrand::Rng;
use futures::StreamExt;
use futures::future::pending;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame};
use kube::client::{Body, DynBody};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep, sleep_until};
use tower::{BoxError, Service};

use crate::model::moment::{Duration as Length, Timestamp};
use crate::runtime::clock::Clock;
use crate::sim::cluster::{Actor, Cluster};
use crate::sim::faults::{Disturbance, Faults};
use crate::sim::history::{Place, Sight, Writer};
use crate::sim::hub::Hub;
use crate::sim::judge::Violation;
use crate::sim::manners::{Deed, Manners};
use crate::sim::resource::RESOURCES;
use crate::sim::rules::meta;
use crate::sim::server::ApiServer;
use crate::sim::server::call::Reply;
use crate::sim::server::target::Target;
use crate::sim::server::watch::{Told as Item, WatchStream};
use crate::sim::story::Side;

/// The longest way of a request or a reply, in milliseconds.
const CALL_DELAY_MAX: u64 = 4;
/// The longest way of what a watch tells, in milliseconds.
const WATCH_DELAY_MAX: u64 = 20;
/// The field manager of a write that names none, as the API server takes it from the agent.
const AGENT: &str = "stairlock";

type Answer = Response<Box<DynBody>>;

/// The connection failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Broken {
    #[error("connection refused")]
    Refused,
    #[error("connection closed before the reply was complete")]
    Closed,
}

/// What all wires of a story have in common.
#[derive(Debug, Clone)]
pub struct Ends {
    /// The cluster.
    pub cluster: Cluster,
    /// The true clock.
    pub clock: Clock,
    /// The faults.
    pub faults: Faults,
    /// The registry.
    pub hub: Hub,
}

/// The way between one controller and the API server; clones are the same.
#[derive(Clone)]
pub struct Wire {
    shared: Arc<Shared>,
}

struct Shared {
    cluster: Cluster,
    clock: Clock,
    faults: Faults,
    controller: u32,
    identity: Arc<str>,
    line: Mutex<Line>,
}

struct Line {
    chance: Rng,
    seen: Sight,
    /// The process has ended: nothing passes any more.
    cut: bool,
    requests: u64,
    manners: Manners,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire").field("identity", &self.shared.identity).finish_non_exhaustive()
    }
}

impl Wire {
    /// Lays a wire from a process to a cluster.
    pub fn new(ends: Ends, controller: u32, identity: &str, chance: Rng) -> Self {
        let Ends { cluster, clock, faults, hub: _ } = ends;
        let line = Line {
            chance,
            seen: Sight::new(),
            cut: false,
            requests: 0,
            manners: Manners::new(identity),
        };
        let (identity, line) = (Arc::from(identity), Mutex::new(line));
        Self { shared: Arc::new(Shared { cluster, clock, faults, controller, identity, line }) }
    }

    /// Cuts it: the process at its end is gone.
    pub fn cut(&self) {
        self.line().cut = true;
    }

    /// Tells how many requests went over it.
    pub fn requests(&self) -> u64 {
        self.line().requests
    }

    /// Tells what the process did that it may not, and no change shows.
    pub fn breaches(&self) -> Vec<Violation> {
        self.line().manners.breaches().to_vec()
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.shared.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        self.shared.cluster.now()
    }

    /// The time as a server writes it into a reply.
    fn date(&self) -> String {
        let now = self.shared.clock.now();
        let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
        printer.timestamp_to_rfc9110_string(&now).unwrap_or_default()
    }

    /// The way of a request or a reply: as long as the process does not run, nothing moves.
    async fn travel(&self) {
        let millis = self.line().chance.u64(0..=CALL_DELAY_MAX);
        if 0 < millis {
            sleep(Duration::from_millis(millis)).await;
        }
        self.running().await;
    }

    /// Waits while the process does not run; for ever, once it has ended.
    async fn running(&self) {
        while let Some(until) = self.shared.faults.paused(self.shared.controller, self.now()) {
            self.line().manners.excuse();
            sleep(span(until.since(self.now()))).await;
        }
        if self.line().cut {
            pending::<()>().await;
        }
    }

    /// The server as this process asks it, with what it had been told by then.
    fn server(&self, sight: &Arc<Sight>) -> ApiServer {
        let seen = Some(Arc::clone(sight));
        let identity = Arc::clone(&self.shared.identity);
        let writer = Writer::Controller { identity, seen };
        let actor = Actor { writer, manager: AGENT.to_owned() };
        ApiServer::new(self.shared.cluster.clone(), actor)
    }

    async fn send(self, request: Request<Body>) -> Result<Answer, BoxError> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        // Whoever asks knows no more than it did when it sent this.
        let sight = Arc::new(self.line().seen.clone());
        self.line().requests += 1;
        self.travel().await;
        if self.shared.faults.outage(self.now()) {
            self.line().manners.excuse();
            return self.refuse().await;
        }
        self.line().manners.asks(self.now());
        let write = counts(&head.method, &head.uri);
        let disturbance = write.then(|| self.shared.faults.write(self.now())).flatten();
        let place = place(&head, &body);
        let tried = place.as_ref().filter(|_| write).map(|place| self.tries(place, &body));
        let ask = || self.ask(&head, &body, place.clone(), (write, &sight));
        let revision = self.shared.cluster.revision();
        let Asked { reply, about } = match disturbance {
            None => ask(),
            Some(Disturbance::Crash(side)) => {
                if side == Side::After {
                    let _ = ask();
                }
                self.cut();
                self.shared.faults.crash(self.shared.controller);
                return pending().await;
            }
            Some(Disturbance::LoseReply) => {
                let _ = ask();
                self.unanswered(tried, None);
                self.travel().await;
                return Err(Broken::Closed.into());
            }
            Some(Disturbance::Answer { code, retry_after }) => {
                if code == 504 {
                    let _ = ask();
                }
                self.unanswered(tried, Some(code));
                self.travel().await;
                return failed(code, retry_after.as_deref());
            }
        };
        match reply {
            Reply::Whole { status, body: reply, warnings: _ } => {
                self.travel().await;
                if let Some((place, made)) = about.filter(|_| write) {
                    self.remember((place, made), status, &head, &body);
                }
                self.listed(&head, revision);
                whole(StatusCode::from_u16(status)?, reply)
            }
            Reply::Watch(stream) => {
                self.running().await;
                self.watch(stream)
            }
        }
    }

    /// Notes that a write arrived; tells its object and the version that it demands.
    fn tries(&self, place: &Place, body: &Bytes) -> (Place, Option<u64>) {
        let version = demanded(body);
        let alone = self.shared.cluster.list("rollouts", None).len() < 2;
        self.line().manners.tries(place, version, self.now(), alone);
        (place.clone(), version)
    }

    /// Notes that a write is answered by nobody, or so without a look at it.
    fn unanswered(&self, tried: Option<(Place, Option<u64>)>, code: Option<u16>) {
        let (now, revision) = (self.now(), self.shared.cluster.revision());
        let manners = &mut self.line().manners;
        match (tried, code) {
            (Some((place, Some(version))), Some(409)) => manners.stale(&place, version, now),
            (Some(_), Some(409)) | (None, _) => {}
            (Some((place, _)), _) => manners.unanswered(place, revision, now),
        }
    }

    /// Asks the server, and notes what a write did.
    fn ask(
        &self,
        head: &Parts,
        body: &Bytes,
        place: Option<Place>,
        (write, sight): (bool, &Arc<Sight>),
    ) -> Asked {
        let revision = |place: &Place| {
            let object = self.shared.cluster.read(place)?;
            meta::text(&object, "resourceVersion").and_then(|text| text.parse::<u64>().ok())
        };
        let before = place.as_ref().and_then(revision);
        if !write && let Some(All(resource)) = all(head) {
            self.line().manners.opens(resource, self.now());
        }
        let reply = self.server(sight).handle(head, body);
        let Some(place) = place else { return Asked { reply, about: None } };
        let made = revision(&place);
        let manners = &mut self.line().manners;
        if head.method == Method::GET {
            manners.answered(place.clone(), made);
        } else if write && before != made {
            let after = made.unwrap_or_else(|| self.shared.cluster.revision());
            let alone = self.shared.cluster.list("rollouts", None).len() < 2;
            let deed = Deed { place: place.clone(), before, after, at: self.now() };
            manners.wrote(deed, sight, alone);
        }
        Asked { reply, about: Some((place, made)) }
    }

    /// A list tells of all of its resource, up to the revision at which it was made.
    fn listed(&self, head: &Parts, revision: u64) {
        if let Some(All(resource)) = all(head) {
            self.hears(resource, revision);
        }
    }

    fn hears(&self, resource: &'static str, revision: u64) {
        let mut line = self.line();
        let seen = line.seen.entry(resource).or_default();
        *seen = revision.max(*seen);
        let seen = *seen;
        line.manners.told(resource, seen);
    }

    /// Notes what a write was answered.
    fn remember(
        &self,
        (place, made): (Place, Option<u64>),
        status: u16,
        head: &Parts,
        asked: &Bytes,
    ) {
        let manners = &mut self.line().manners;
        if status == 409 {
            if let Some(demanded) = demanded(asked) {
                manners.stale(&place, demanded, self.now());
            }
        } else if let Some(version) = made.filter(|_| status < 300) {
            // Of a Rollout it reads what a write of status was answered.
            let read = place.resource == "rollouts" && head.uri.path().ends_with("/status");
            manners.made(place, version, read);
        }
    }

    /// A server that is down refuses, or lets hang: either is seen.
    async fn refuse(&self) -> Result<Answer, BoxError> {
        if self.line().chance.bool() { Err(Broken::Refused.into()) } else { pending().await }
    }

    fn watch(self, stream: WatchStream) -> Result<Answer, BoxError> {
        let expires = self.shared.faults.expiry(stream.resource(), self.now());
        let told = Told { wire: self, stream, expires, lost: false, due: None };
        let frames = futures::stream::unfold(Some(told), |told| async move {
            let mut told = told?;
            let item = told.next().await?;
            let last = item.is_none();
            if last {
                let resource = told.stream.resource();
                told.wire.line().manners.ended(resource, told.wire.now());
            }
            let bytes = item.unwrap_or_else(expired);
            let rest = (!last).then_some(told);
            Some((Ok::<_, BoxError>(Frame::data(bytes)), rest))
        });
        let body: Box<DynBody> = Box::new(StreamBody::new(frames.boxed()));
        Response::builder()
            .header(header::CONTENT_TYPE, "application/json")
            .body(body)
            .map_err(Into::into)
    }
}

/// What the server answered.
struct Asked {
    reply: Reply,
    /// The object that was asked for, and the version that it has now, if it is there.
    about: Option<(Place, Option<u64>)>,
}

/// One watch on its way.
struct Told {
    wire: Wire,
    stream: WatchStream,
    expires: Option<Timestamp>,
    /// Something was lost: nothing more arrives on this connection.
    lost: bool,
    /// When the last one arrived: nothing overtakes.
    due: Option<Instant>,
}

impl Told {
    /// The next piece: outer `None` at the end, inner `None` if the watch expired.
    async fn next(&mut self) -> Option<Option<Bytes>> {
        loop {
            let expiry = self.expires.map(|at| span(at.since(self.wire.now())));
            let expiry = async {
                match expiry {
                    Some(wait) => sleep(wait).await,
                    None => pending().await,
                }
            };
            let item = tokio::select! {
                biased;
                () = expiry => return Some(None),
                item = self.stream.next() => item?,
            };
            if let Some(bytes) = self.deliver(item).await {
                return Some(Some(bytes));
            }
        }
    }

    /// Brings one item over the wire; nothing if it is lost.
    async fn deliver(&mut self, item: Item) -> Option<Bytes> {
        let resource = item.resource;
        let treatment = self.wire.shared.faults.watch(resource, self.wire.now());
        self.lost |= treatment.lost || self.wire.shared.faults.outage(self.wire.now());
        if self.lost {
            return None;
        }
        let millis = self.wire.line().chance.u64(0..=WATCH_DELAY_MAX);
        let late = treatment.late.map_or(0, Length::millis);
        let passed = self.wire.now().since(item.at).millis();
        let due = self.wire.shared.clock.monotonic()
            + Duration::from_millis((millis + late).saturating_sub(passed));
        let due = self.due.map_or(due, |last| last.max(due));
        self.due = Some(due);
        sleep_until(due).await;
        self.wire.running().await;
        self.wire.hears(resource, item.revision);
        let twice = || Bytes::from([item.line.as_ref(), item.line.as_ref()].concat());
        Some(if treatment.twice { twice() } else { item.line.clone() })
    }
}

impl Service<Request<Body>> for Wire {
    type Response = Answer;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let wire = self.clone();
        Box::pin(async move {
            let mut answer = wire.clone().send(request).await?;
            answer.headers_mut().insert(header::DATE, wire.date().parse()?);
            Ok(answer)
        })
    }
}

/// All objects of a resource, by its plural.
struct All(&'static str);

/// What is read of an object that is to be created.
#[derive(Deserialize)]
struct Named {
    metadata: Name,
}

#[derive(Deserialize)]
struct Name {
    name: String,
}

/// What is read of an operation of a JSON patch.
#[derive(Deserialize)]
struct Operation<'a> {
    #[serde(borrow)]
    path: Cow<'a, str>,
    #[serde(borrow, default)]
    value: Option<&'a RawValue>,
}

/// Tells the resource that a request lists or watches.
fn all(head: &Parts) -> Option<All> {
    let last = head.uri.path().rsplit('/').next().unwrap_or_default();
    let listed = RESOURCES.iter().find(|known| known.plural == last);
    listed.filter(|_| head.method == Method::GET).map(|resource| All(resource.plural))
}

/// Tells the object that a request is about.
fn place(head: &Parts, body: &Bytes) -> Option<Place> {
    match Target::read(head.uri.path())? {
        Target::One { resource, namespace, name, .. } => {
            Some(Place::new(resource.plural, namespace, name))
        }
        Target::All { resource, namespace } if head.method == Method::POST => {
            let Named { metadata } = serde_json::from_slice(body).ok()?;
            Some(Place::new(resource.plural, namespace?, metadata.name))
        }
        Target::All { .. } | Target::Group { .. } | Target::Document(_) => None,
    }
}

/// Tells whether a request counts as a write: it changes something that stays, and no Lease.
fn counts(method: &Method, uri: &http::Uri) -> bool {
    let reads = [Method::GET, Method::HEAD, Method::OPTIONS].contains(method);
    let dry = uri.query().unwrap_or_default().contains("dryRun=");
    !reads && !dry && !uri.path().contains("/leases")
}

fn whole(status: StatusCode, body: Bytes) -> Result<Answer, BoxError> {
    let body: Box<DynBody> = Box::new(Full::new(body).map_err(BoxError::from));
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/json")
        .body(body)
        .map_err(Into::into)
}

/// An answer of the API server, or of what stands before it, that means no more than its code.
fn failed(code: u16, retry_after: Option<&str>) -> Result<Answer, BoxError> {
    let reason = match code {
        409 => "Conflict",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "InternalError",
    };
    let status = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": format!("the server answers {code}"), "reason": reason, "code": code,
    });
    let mut answer = whole(StatusCode::from_u16(code)?, Bytes::from(status.to_string()))?;
    if let Some(after) = retry_after {
        answer.headers_mut().insert(header::RETRY_AFTER, after.parse()?);
    }
    Ok(answer)
}

/// What a watch is told whose resourceVersion is too old.
fn expired() -> Bytes {
    let event = serde_json::json!({"type": "ERROR", "object": {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "too old resource version", "reason": "Expired", "code": 410,
    }});
    Bytes::from(format!("{event}\n"))
}

/// The resourceVersion that a JSON patch demands. Nothing else of it is read: patches are long.
fn demanded(patch: &Bytes) -> Option<u64> {
    let all: Vec<Operation<'_>> = serde_json::from_slice(patch).ok()?;
    let version = all.iter().find(|one| one.path == "/metadata/resourceVersion")?.value?;
    serde_json::from_str::<String>(version.get()).ok()?.parse().ok()
}

fn span(length: Length) -> Duration {
    Duration::from_millis(length.millis())
}
