//! An independent watch: the ordered states of objects, with a proof that none was missed.
//!
//! It begins at the resourceVersion of a list and never lists again, so what the API server sends
//! from there on is every change in its order. A watch that ended or was told an error is useless
//! and says so.

use std::sync::{Arc, Mutex};

use futures::StreamExt;
use kube::api::{ListParams, WatchEvent, WatchParams};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::cluster::{Cluster, plain};
use super::json::{name, version};

/// Longer than any story; the API server ends the watch then.
const WATCH_SECS: u32 = 280;

/// One state of one object.
#[derive(Clone, Debug)]
pub struct Seen {
    pub change: Change,
    pub object: Value,
}

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was there when the watch began.
    Listed,
    Added,
    Modified,
    Deleted,
}

#[derive(Default)]
struct Record {
    seen: Vec<Seen>,
    broken: Option<String>,
    /// The state from which the next wait looks on.
    cursor: usize,
}

/// A watch of the objects of one kind in one namespace.
pub struct Watch {
    kind: String,
    record: Arc<Mutex<Record>>,
    grown: watch::Receiver<usize>,
    task: JoinHandle<()>,
}

impl Watch {
    /// Lists, then watches from the list on.
    pub async fn open(cluster: &Cluster, kind: &str) -> Self {
        let api = cluster.api(kind);
        let list = api.list(&ListParams::default()).await.unwrap();
        let from = list.metadata.resource_version.clone().unwrap();
        let listed = list.items.into_iter();
        let listed = listed.map(|item| Seen { change: Change::Listed, object: plain(item) });
        let record = Record { seen: listed.collect(), ..Record::default() };
        let record = Arc::new(Mutex::new(record));
        let (grow, grown) = watch::channel(0);
        let params = WatchParams::default().timeout(WATCH_SECS);
        let mut stream = api.watch(&params, &from).await.unwrap().boxed();
        let shared = Arc::clone(&record);
        let task = tokio::spawn(async move {
            loop {
                let event = stream.next().await;
                let mut record = shared.lock().unwrap();
                let (change, object) = match event {
                    Some(Ok(WatchEvent::Added(object))) => (Change::Added, object),
                    Some(Ok(WatchEvent::Modified(object))) => (Change::Modified, object),
                    Some(Ok(WatchEvent::Deleted(object))) => (Change::Deleted, object),
                    Some(Ok(WatchEvent::Bookmark(_))) => continue,
                    other => {
                        record.broken = Some(format!("{other:?}"));
                        drop(record);
                        grow.send_modify(|count| *count += 1);
                        return;
                    }
                };
                record.seen.push(Seen { change, object: plain(object) });
                drop(record);
                grow.send_modify(|count| *count += 1);
            }
        });
        Self { kind: kind.to_owned(), record, grown, task }
    }

    /// Every state so far in order; fails if any may be missing.
    pub fn seen(&self) -> Vec<Seen> {
        let record = self.record.lock().unwrap();
        assert!(record.broken.is_none(), "the watch of {} broke: {:?}", self.kind, record.broken);
        let fresh = record.seen.iter().filter(|seen| seen.change != Change::Listed);
        let versions: Vec<u64> = fresh.map(|seen| version(&seen.object)).collect();
        assert!(versions.is_sorted(), "the states of {} are out of order", self.kind);
        record.seen.clone()
    }

    /// Every state of one object so far.
    pub fn states(&self, of: &str) -> Vec<Value> {
        let seen = self.seen().into_iter().filter(|seen| name(&seen.object) == of);
        seen.map(|seen| seen.object).collect()
    }

    /// The states that the objects have, the deleted left out.
    pub fn present(&self) -> Vec<Value> {
        present(&self.seen()).into_iter().cloned().collect()
    }

    /// Waits for a state, from the one that the wait before ended at on; returns it.
    pub async fn until(&self, end: Instant, what: &str, test: impl Fn(&Seen) -> bool) -> Value {
        let mut grown = self.grown.clone();
        loop {
            grown.mark_unchanged();
            if let Some(object) = self.advance(&test) {
                return object;
            }
            if timeout_at(end, grown.changed()).await.is_err() {
                self.give_up(what);
            }
        }
    }

    /// Waits until all that was seen so far passes a test.
    pub async fn until_all(&self, end: Instant, what: &str, test: impl Fn(&[Seen]) -> bool) {
        let mut grown = self.grown.clone();
        loop {
            grown.mark_unchanged();
            if test(&self.seen()) {
                return;
            }
            if timeout_at(end, grown.changed()).await.is_err() {
                self.give_up(what);
            }
        }
    }

    /// The first state from the cursor on that passes; the cursor moves onto it.
    fn advance(&self, test: impl Fn(&Seen) -> bool) -> Option<Value> {
        let mut record = self.record.lock().unwrap();
        let cursor = record.cursor;
        let found = record.seen.iter().enumerate().skip(cursor).find(|(_, seen)| test(seen));
        let found = found.map(|(at, seen)| (at, seen.object.clone()));
        if found.is_none() {
            assert!(record.broken.is_none(), "{}: {:?}", self.kind, record.broken);
        }
        let (at, object) = found?;
        record.cursor = at;
        Some(object)
    }

    fn give_up(&self, what: &str) -> ! {
        let record = self.record.lock().unwrap();
        let states = record.seen.len();
        let last = record.seen.last().map(|seen| {
            let mut object = seen.object.clone();
            if let Some(metadata) = object["metadata"].as_object_mut() {
                metadata.remove("managedFields");
            }
            serde_json::to_string_pretty(&object).unwrap()
        });
        drop(record);
        panic!(
            "gave up waiting: {what}; the last of {states} states of {}:\n{}",
            self.kind,
            last.unwrap_or_default()
        );
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The states that objects have after what was seen, the deleted left out.
pub fn present(seen: &[Seen]) -> Vec<&Value> {
    let mut present: Vec<&Value> = Vec::new();
    for Seen { change, object } in seen {
        present.retain(|other| name(other) != name(object));
        if *change != Change::Deleted {
            present.push(object);
        }
    }
    present
}
