//! The events of one watch on their way to the controller, and what goes wrong with them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::stream::unfold;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame};
use serde::Deserialize;
use stairlock::sim::history::Sight;
use tokio::sync::watch::Receiver;
use tokio::time::{Instant, sleep_until};

use super::ledger::plural;

/// What ends a connection.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
/// A body of either direction.
pub type Body = UnsyncBoxBody<Bytes, Failure>;

/// Up to which revision a controller has been told of each resource.
pub type Told = Arc<Mutex<Sight>>;

/// What is read of an event.
#[derive(Deserialize)]
struct Event {
    object: Object,
}

#[derive(Deserialize)]
struct Object {
    metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    resource_version: Option<String>,
}

/// What an API server says within a watch that is too old to go on.
const GONE: &[u8] = concat!(
    r#"{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},"#,
    r#""status":"Failure","message":"too old resource version","reason":"Expired","code":410}}"#,
    "\n"
)
.as_bytes();
/// The beginning of an event.
const HALF: &[u8] = br#"{"type":"MODIFIED","object":{"kind":"Roll"#;

/// What goes wrong with the watches of a resource, as long as it is so.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trouble {
    /// Every event comes this much later.
    pub late: Duration,
    /// What happens is never told; bookmarks are, so that the watch looks whole.
    pub lost: bool,
}

/// What ends the watches of a resource that are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strike {
    /// Not a byte comes any more, and no end.
    Freeze,
    /// It is told to be too old.
    Expire,
    /// It breaks in the middle of an event.
    Cut,
}

/// What goes wrong with watches, by the plural of their resource.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    pub trouble: BTreeMap<&'static str, Trouble>,
    pub strikes: Vec<(&'static str, Strike)>,
    /// The events that were lost so far.
    pub lost: Arc<Mutex<Vec<Bytes>>>,
}

/// The events of one watch.
struct Flow {
    resource: String,
    faults: Receiver<Faults>,
    /// Keeps what is lost.
    lost: Arc<Mutex<Vec<Bytes>>>,
    told: Told,
    /// Strikes before its time do not meet it.
    opened: usize,
    upstream: Body,
    /// The beginning of an event that is not complete yet.
    rest: Vec<u8>,
    /// Complete events, and when each is due.
    events: VecDeque<(Instant, Bytes)>,
    /// Half an event has been sent: nothing whole can follow.
    broken: bool,
    over: bool,
}

/// The body of a watch as the controller reads it.
pub fn body(resource: &str, faults: Receiver<Faults>, told: Told, upstream: Body) -> Body {
    let (opened, lost) = {
        let faults = faults.borrow();
        (faults.strikes.len(), Arc::clone(&faults.lost))
    };
    let flow = Flow {
        resource: resource.to_owned(),
        faults,
        lost,
        told,
        opened,
        upstream,
        rest: Vec::new(),
        events: VecDeque::new(),
        broken: false,
        over: false,
    };
    StreamBody::new(unfold(flow, Flow::next)).boxed_unsync()
}

impl Flow {
    /// What comes next; nothing when the watch is over.
    async fn next(mut self) -> Option<(Result<Frame<Bytes>, Failure>, Self)> {
        loop {
            match self.strike() {
                Some(Strike::Freeze) => std::future::pending().await,
                Some(Strike::Expire) => {
                    self.end();
                    return Some((Ok(Frame::data(Bytes::from_static(GONE))), self));
                }
                Some(Strike::Cut) if self.broken => return Some((Err("cut".into()), self)),
                Some(Strike::Cut) => {
                    self.broken = true;
                    return Some((Ok(Frame::data(Bytes::from_static(HALF))), self));
                }
                None => {}
            }
            let due = self.events.front().map(|(at, _)| *at);
            if self.over && due.is_none() {
                return None;
            }
            tokio::select! {
                biased;
                changed = self.faults.changed() => if changed.is_err() {
                    self.end();
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    let (_, event) = self.events.pop_front()?;
                    self.tells(&event);
                    return Some((Ok(Frame::data(event)), self));
                }
                frame = self.upstream.frame(), if !self.over => match frame {
                    Some(Ok(frame)) => self.take(frame),
                    Some(Err(error)) => return Some((Err(error), self)),
                    None => self.over = true,
                },
            }
        }
    }

    /// Notes up to which revision the controller is told.
    fn tells(&self, event: &[u8]) {
        let event: Result<Event, _> = serde_json::from_slice(event);
        let version = event.ok().and_then(|event| event.object.metadata.resource_version);
        let version = version.and_then(|version| version.parse().ok()).unwrap_or(0);
        if let Some(plural) = plural(&self.resource) {
            let mut told = self.told.lock().unwrap();
            let known = told.entry(plural).or_insert(0);
            *known = version.max(*known);
        }
    }

    /// What has met this watch since it was opened.
    fn strike(&mut self) -> Option<Strike> {
        if self.over {
            return None;
        }
        let faults = self.faults.borrow_and_update();
        let mut strikes = faults.strikes.iter().skip(self.opened);
        strikes.find(|(resource, _)| *resource == self.resource).map(|(_, strike)| *strike)
    }

    fn end(&mut self) {
        self.over = true;
        self.events.clear();
    }

    /// Takes what the API server sent apart into events, which are a line each.
    fn take(&mut self, frame: Frame<Bytes>) {
        let Ok(data) = frame.into_data() else { return };
        let trouble = self.faults.borrow().trouble.get(self.resource.as_str()).copied();
        let Trouble { late, lost } = trouble.unwrap_or_default();
        for byte in data {
            self.rest.push(byte);
            if byte == b'\n' {
                let event = std::mem::take(&mut self.rest);
                if lost && !event.starts_with(br#"{"type":"BOOKMARK""#) {
                    self.lost.lock().unwrap().push(event.into());
                } else {
                    self.events.push_back((Instant::now() + late, event.into()));
                }
            }
        }
    }
}
