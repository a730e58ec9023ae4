//! Cuts every call to the API server at its deadline, and lets no write pass that this process
//! may not make. A layer of the client, so that no caller can forget it.

use std::time::Duration;

use futures::future::BoxFuture;
use http::header::DATE;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use kube::client::{Body, DynBody};
use std::task::{Context, Poll};
use tower::{BoxError, Layer, Service};

#[cfg(feature = "planted")]
use crate::planted::{Bug, active};
use crate::runtime::clock::Clock;
use crate::runtime::leader::{Leadership, NotLeading};

/// How long an ordinary call may take, its whole reply included, and how long a watch may take
/// to begin. Ten times what a slow server needs, and short enough that one slow object delays
/// nobody for long.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// A call was cut. Whether the server has carried it out is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no complete reply in time")]
pub struct TimedOut;

/// What stopped a call on our side of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Cut at its deadline: read again before anything else, the write may have been taken.
    TimedOut,
    /// Never sent, since this process does not lead.
    NotLeading,
}

impl Stop {
    /// Returns what stopped a call on our side, or nothing if the server or the network did.
    pub fn of(error: &kube::Error) -> Option<Self> {
        let kube::Error::Service(inner) = error else { return None };
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(inner.as_ref());
        while let Some(error) = cause {
            if error.is::<TimedOut>() {
                return Some(Self::TimedOut);
            }
            if error.is::<NotLeading>() {
                return Some(Self::NotLeading);
            }
            cause = error.source();
        }
        None
    }
}

/// Makes [`Fenced`] services.
#[derive(Clone, Debug)]
pub struct Fence {
    clock: Clock,
    leadership: Option<Leadership>,
}

impl Fence {
    /// Cuts calls at their deadline and lets every write pass: for the elector itself.
    pub fn deadlines(clock: Clock) -> Self {
        Self { clock, leadership: None }
    }

    /// Cuts calls at their deadline, and lets writes pass only while `leadership` allows them.
    /// A write that left in time is cut before anybody else may take the Lease.
    pub fn leading(clock: Clock, leadership: Leadership) -> Self {
        Self { clock, leadership: Some(leadership) }
    }
}

impl<S> Layer<S> for Fence {
    type Service = Fenced<S>;

    fn layer(&self, inner: S) -> Fenced<S> {
        Fenced { inner, fence: self.clone() }
    }
}

/// A service behind a [`Fence`].
#[derive(Clone, Debug)]
pub struct Fenced<S> {
    inner: S,
    fence: Fence,
}

type Reply = Response<Box<DynBody>>;

impl<S> Service<Request<Body>> for Fenced<S>
where
    S: Service<Request<Body>, Response = Reply, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = Reply;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Reply, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let mut deadline = self.fence.clock.monotonic() + CALL_TIMEOUT;
        if let Some(leadership) = self.fence.leadership.as_ref().filter(|_| is_write(&request)) {
            match leadership.write_until() {
                Ok(until) => deadline = until.map_or(deadline, |until| until.min(deadline)),
                #[cfg(feature = "planted")]
                Err(_) if active(Bug::NoWriteGate) => {}
                Err(refused) => return Box::pin(std::future::ready(Err(refused.into()))),
            }
        }
        #[cfg(feature = "planted")]
        if active(Bug::CallWithoutDeadline) {
            deadline += CALL_TIMEOUT * 360;
        }
        let streams = is_watch(&request);
        let (clock, sent) = (self.fence.clock.clone(), self.fence.clock.monotonic());
        let call = self.inner.call(request);
        let reply = async move {
            let reply = call.await?;
            if let Some(date) = date(&reply) {
                clock.hear(date, sent);
            }
            if streams { Ok(reply) } else { whole(reply).await }
        };
        Box::pin(async move {
            // The deadline is asked first: what a process that stood still left half sent does not
            // go on when it runs again.
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(deadline) => Err(TimedOut.into()),
                reply = reply => reply,
            }
        })
    }
}

/// Reads a reply to its end, so that a body that stalls meets the deadline too.
async fn whole(reply: Reply) -> Result<Reply, BoxError> {
    let (head, body) = reply.into_parts();
    let bytes = body.collect().await?.to_bytes();
    Ok(Response::from_parts(head, Box::new(Full::new(bytes).map_err(BoxError::from))))
}

/// The time that the server had. What stands before it may add none, or nonsense.
fn date(reply: &Reply) -> Option<Timestamp> {
    let text = reply.headers().get(DATE)?.to_str().ok()?;
    rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

fn is_write(request: &Request<Body>) -> bool {
    ![Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method())
}

fn is_watch(request: &Request<Body>) -> bool {
    let query = request.uri().query().unwrap_or_default();
    query.split('&').any(|pair| pair == "watch=true" || pair == "watch=1")
}

#[cfg(test)]
mod tests;
