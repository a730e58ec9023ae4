//! Watch: what a watch tells, one event after the other. It ends by itself at its time.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use hyper::body::Bytes;
use serde_json::json;
use tokio::time::{Instant, Sleep};

use crate::model::moment::Timestamp;
use crate::sim::cluster::Cluster;
use crate::sim::cluster::feed::{Next, Record, Stored, json_text};
use crate::sim::resource::Resource;
use crate::sim::rules::schema::registry::known;
use crate::sim::rules::selector::Selector;
use crate::sim::rules::{kinds, meta};
use crate::sim::server::failure::Failure;
use crate::sim::server::shape::Shape;

/// How often a quiet watch is told the revision, as the API server does.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// How long before its end a watch is told the revision once more.
const BOOKMARK_BEFORE_END: Duration = Duration::from_secs(2);

/// One thing that a watch tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The revision that it is about.
    pub revision: u64,
    /// When it was so, by the true clock: a change that is told late is older than its telling.
    pub at: Timestamp,
    /// The plural.
    pub resource: &'static str,
    /// What kind of thing.
    pub what: What,
    /// One line of JSON, its end included.
    pub line: Bytes,
}

/// Which kind of thing a watch tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A change of an object.
    Change,
    /// An object that was there at the beginning.
    Initial,
    /// A revision only.
    Bookmark,
    /// The end of what was there at the beginning.
    InitialEnd,
    /// A failure, and nothing after it.
    Failure,
}

/// What a watch is about.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The resource.
    pub resource: &'static Resource,
    /// The namespace, or all.
    pub namespace: Option<String>,
    /// Which objects.
    pub selector: Selector,
    /// How objects are shown.
    pub shape: Shape,
    /// Whether bookmarks are wanted.
    pub bookmarks: bool,
    /// How long.
    pub length: Duration,
}

/// Where a watch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// With the changes after this revision.
    Revision(u64),
    /// With all objects that are there.
    Objects,
    /// With all objects that are there and a bookmark after them.
    List,
}

/// A watch; a stream of what it tells.
#[derive(Debug)]
pub struct WatchStream {
    cluster: Cluster,
    wish: Wish,
    place: usize,
    /// Changes up to this revision are known already.
    known: u64,
    first: VecDeque<Told>,
    over: bool,
    end: Instant,
    bookmark: Instant,
    sleep: Pin<Box<Sleep>>,
}

impl WatchStream {
    /// Begins a watch.
    pub fn new(cluster: Cluster, wish: Wish, from: From) -> Self {
        let sleep = Box::pin(tokio::time::sleep(Duration::ZERO));
        let now = sleep.deadline();
        let mut watch = Self {
            cluster,
            place: 0,
            known: 0,
            first: VecDeque::new(),
            over: false,
            end: now + wish.length,
            bookmark: now,
            wish,
            sleep,
        };
        watch.plan_bookmark(now);
        watch.begin(from);
        watch
    }

    /// Tells the plural of what is watched.
    pub fn resource(&self) -> &'static str {
        self.wish.resource.plural
    }

    fn begin(&mut self, from: From) {
        let resource = self.wish.resource.plural;
        let revision = match from {
            From::Revision(revision) => revision,
            From::Objects | From::List => self.objects(),
        };
        self.known = revision;
        if from == From::List {
            self.first.push_back(self.mark(revision, What::InitialEnd));
        }
        match self.cluster.after(resource, revision) {
            Ok(place) => self.place = place,
            Err(floor) => self.first.push_back(self.expired(revision, floor)),
        }
    }

    /// Tells all objects that are there; returns the revision at which they are.
    fn objects(&mut self) -> u64 {
        let resource = self.wish.resource.plural;
        let (all, revision) = self.cluster.snapshot(resource, self.wish.namespace.as_deref());
        let at = self.cluster.now();
        for stored in all.iter().filter(|stored| self.wish.selector.selects(&stored.value)) {
            let line = line("ADDED", &self.wish.shape.object(self.wish.resource, stored));
            self.first.push_back(Told { revision, at, resource, what: What::Initial, line });
        }
        revision
    }

    fn plan_bookmark(&mut self, now: Instant) {
        let last = self.end.checked_sub(BOOKMARK_BEFORE_END).filter(|last| *last > now);
        self.bookmark = match last {
            _ if !self.wish.bookmarks => self.end,
            Some(last) => last.min(now + BOOKMARK_EVERY),
            None => self.end,
        };
        self.sleep.as_mut().reset(self.bookmark);
    }

    fn mark(&self, revision: u64, what: What) -> Told {
        let Resource { kind, plural, .. } = self.wish.resource;
        let mut metadata = json!({"resourceVersion": revision.to_string()});
        if what == What::InitialEnd {
            let value = json!({"k8s.io/initial-events-end": "true"});
            meta::put(&mut metadata, "annotations", Some(value));
        }
        let shown = self.wish.shape.type_meta(self.wish.resource);
        // An object of a built-in kind that has nothing is not empty.
        let mut object = match &shown {
            Some(_) => json!({}),
            None => known(self.wish.resource).empty.clone(),
        };
        kinds::blank(plural, &mut object);
        let (api_version, kind) = shown.unwrap_or((self.wish.resource.api_version(), kind));
        for (key, value) in
            [("apiVersion", json!(api_version)), ("kind", json!(kind)), ("metadata", metadata)]
        {
            meta::put(&mut object, key, Some(value));
        }
        let line = line("BOOKMARK", &json_text(&object));
        Told { revision, at: self.cluster.now(), resource: plural, what, line }
    }

    fn expired(&self, revision: u64, floor: u64) -> Told {
        let message = format!("too old resource version: {revision} ({floor})");
        let line = line("ERROR", &Failure::new(410, "Expired", message).text());
        Told {
            revision,
            at: self.cluster.now(),
            resource: self.resource(),
            what: What::Failure,
            line,
        }
    }

    /// What a record is for whoever has this wish; nothing, if it is about other objects.
    fn told(&self, record: &Arc<Record>) -> Option<Told> {
        let change = &record.change;
        let Wish { resource, namespace, selector, shape, .. } = &self.wish;
        let elsewhere = namespace.as_ref().is_some_and(|name| *name != change.place.namespace);
        if elsewhere || change.revision <= self.known {
            return None;
        }
        let selected = |stored: &Option<Arc<Stored>>| {
            stored.as_ref().is_some_and(|stored| selector.selects(&stored.value))
        };
        let (kind, stored) = match (selected(&record.before), selected(&record.after)) {
            (false, false) => return None,
            (false, true) => ("ADDED", record.after.clone()?),
            (true, true) => ("MODIFIED", record.after.clone()?),
            (true, false) => ("DELETED", record.last()?),
        };
        // Whoever selects everything and sees objects whole is told the same line.
        let whole = selector.everything() && shape.whole();
        let make = || line(kind, &shape.object(resource, &stored));
        let line = if whole { record.line(make) } else { make() };
        let (revision, at, resource) = (change.revision, change.at, resource.plural);
        Some(Told { revision, at, resource, what: What::Change, line })
    }
}

impl Stream for WatchStream {
    type Item = Told;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Told>> {
        let watch = &mut *self;
        if watch.over {
            return Poll::Ready(None);
        }
        if let Some(told) = watch.first.pop_front() {
            watch.over = told.what == What::Failure;
            return Poll::Ready(Some(told));
        }
        let resource = watch.wish.resource.plural;
        loop {
            match watch.cluster.next(resource, watch.place, context.waker()) {
                Next::Record(record) => {
                    watch.place += 1;
                    if let Some(told) = watch.told(&record) {
                        watch.known = told.revision;
                        return Poll::Ready(Some(told));
                    }
                }
                Next::NotYet => break,
                Next::Forgotten => {
                    watch.over = true;
                    return Poll::Ready(Some(watch.expired(watch.known, 0)));
                }
            }
        }
        if std::future::Future::poll(watch.sleep.as_mut(), context).is_ready() {
            let now = watch.sleep.deadline();
            if now >= watch.end {
                watch.over = true;
                return Poll::Ready(None);
            }
            watch.plan_bookmark(now);
            let revision = watch.cluster.revision().max(watch.known);
            return Poll::Ready(Some(watch.mark(revision, What::Bookmark)));
        }
        Poll::Pending
    }
}

/// One line of a watch.
fn line(kind: &str, object: &[u8]) -> Bytes {
    let mut text = Vec::with_capacity(object.len() + 40);
    text.extend_from_slice(b"{\"type\":\"");
    text.extend_from_slice(kind.as_bytes());
    text.extend_from_slice(b"\",\"object\":");
    text.extend_from_slice(object);
    text.extend_from_slice(b"}\n");
    text.into()
}
