//! The complete ordered history of a story's namespace: every change of every object.
//!
//! Why nothing is missing in it:
//! - Every kind is listed once, when the namespace was just made and nobody knew of it: there is
//!   nothing. It is watched from the revision of that list on, and the watch is never opened again:
//!   the API server sends each change once and in order, or says that it cannot. A watch that ended
//!   or was told an error makes the history useless, and it says so.
//! - A resourceVersion is the revision of etcd that made it. There is one etcd and with it one
//!   sequence for all kinds, and each write is a transaction of its own. Sorted by it, what the
//!   watches told is the total order in which everything was stored; no two changes share one.
//! - It is proven at the end: every object that a list shows, at the very revision that the list
//!   shows, has been told of, and none is left that it does not show; and so has been every
//!   revision that a controller of the story was answered for.
//!
//! What is not exact is the time: when the change was heard of, and not when it was made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, ListParams, WatchEvent, WatchParams};
use serde_json::Value;
use stairlock::model::moment::Timestamp;
use stairlock::sim::history::{Change, Place, Writer};
use stairlock::sim::resource::{RESOURCES, Resource};
use tokio::sync::{OnceCell, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::backstage;
use super::cluster::plain;
use super::install::NAMESPACE;
use super::json::{list, name, text, version};
use super::proxy::ledger;
use super::rig::rig;

/// Longer than any story; the API server ends the watches then.
const WATCH_SECS: u32 = 290;
/// How long the watches may take at the end to tell of what has happened already.
const CATCH_UP_MAX: Duration = Duration::from_secs(20);
/// The Lease is not in the namespace of a story.
const LEASES: &str = "leases";

/// A client that belongs to the threads backstage.
static CLIENT: OnceCell<Client> = OnceCell::const_new();

/// One change as a watch told it.
struct Heard {
    at: Timestamp,
    place: Place,
    deleted: bool,
    object: Arc<Value>,
}

#[derive(Default)]
struct Record {
    /// By revision.
    heard: BTreeMap<u64, Heard>,
    /// The last revision of each resource.
    last: BTreeMap<&'static str, u64>,
    broken: Option<String>,
}

/// Every change in one namespace, and of the Lease.
pub struct History {
    pub namespace: String,
    record: Arc<Mutex<Record>>,
    grown: watch::Receiver<usize>,
    tasks: Vec<JoinHandle<()>>,
}

async fn client() -> Client {
    CLIENT.get_or_init(|| async { rig().client().await }).await.clone()
}

/// What is watched: all that the invariants speak of in the namespace, and the pods.
fn watched() -> impl Iterator<Item = &'static Resource> {
    let left_out = ["configmaps", "clusterrolloutschedules"];
    RESOURCES.iter().filter(move |resource| !left_out.contains(&resource.plural))
}

fn api(client: Client, resource: &Resource, namespace: &str) -> Api<DynamicObject> {
    let kind = ApiResource {
        group: resource.group.to_owned(),
        version: resource.version.to_owned(),
        api_version: resource.api_version(),
        kind: resource.kind.to_owned(),
        plural: resource.plural.to_owned(),
    };
    let namespace = if resource.plural == LEASES { NAMESPACE } else { namespace };
    Api::namespaced_with(client, namespace, &kind)
}

impl History {
    /// Begins in a namespace that was just made.
    pub async fn open(namespace: &str) -> Arc<Self> {
        let namespace = namespace.to_owned();
        backstage::spawn(async move { Arc::new(Self::begin(namespace).await) }).await.unwrap()
    }

    async fn begin(namespace: String) -> Self {
        let record = Arc::new(Mutex::new(Record::default()));
        let (grow, grown) = watch::channel(0);
        let client = client().await;
        let watches = watched().map(|resource| {
            let api = api(client.clone(), resource, &namespace);
            async move {
                let list = api.list(&ListParams::default()).await.unwrap();
                assert!(list.items.is_empty() || resource.plural == LEASES, "{:?}", list.items);
                let from = list.metadata.resource_version.unwrap();
                let params = WatchParams::default().timeout(WATCH_SECS).disable_bookmarks();
                (resource.plural, api.watch(&params, &from).await.unwrap().boxed())
            }
        });
        let watches = join_all(watches).await.into_iter();
        let tasks = watches.map(|(resource, mut events)| {
            let (record, grow) = (Arc::clone(&record), grow.clone());
            tokio::spawn(async move {
                while let Some(event) = events.next().await {
                    if !record.lock().unwrap().hear(resource, event) {
                        break;
                    }
                    grow.send_modify(|count| *count += 1);
                }
                record.lock().unwrap().broken.get_or_insert_with(|| "it ended".to_owned());
                grow.send_modify(|count| *count += 1);
            })
        });
        let tasks = tasks.collect();
        Self { namespace, record, grown, tasks }
    }

    /// Every change in order, once all that has happened by now is told of and nothing is missing.
    ///
    /// # Errors
    /// What is missing.
    pub async fn complete(&self) -> Result<Vec<Change>, String> {
        let end = Instant::now() + CATCH_UP_MAX;
        let client = client().await;
        for resource in watched().filter(|resource| resource.plural != LEASES) {
            let api = api(client.clone(), resource, &self.namespace);
            let list = api.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
            let until = list.metadata.resource_version.as_deref().unwrap_or_default();
            let until = until.parse().map_err(|_| format!("a list is of revision {until}"))?;
            let shown: Vec<Value> = list.items.into_iter().map(plain).collect();
            self.until(end, |record| record.lacks(resource.plural, until, &shown)).await?;
        }
        let own = [self.namespace.as_str(), NAMESPACE];
        let made = ledger::revisions(&format!("{}-", self.namespace), &own);
        let lacks = |record: &Record| {
            let missing = made.iter().find(|revision| !record.heard.contains_key(revision));
            missing.map(|revision| format!("revision {revision}, made by a controller"))
        };
        self.until(end, lacks).await?;
        Ok(self.record.lock().unwrap().changes())
    }

    /// Waits until nothing is lacking.
    async fn until(
        &self,
        end: Instant,
        lacks: impl Fn(&Record) -> Option<String>,
    ) -> Result<(), String> {
        let mut grown = self.grown.clone();
        loop {
            grown.mark_unchanged();
            let (lacking, broken) = {
                let record = self.record.lock().unwrap();
                (lacks(&record), record.broken.clone())
            };
            if let Some(why) = broken {
                return Err(format!("the history is not complete: {why}"));
            }
            let Some(lacking) = lacking else { return Ok(()) };
            if timeout_at(end, grown.changed()).await.is_err() {
                return Err(format!("the history is not complete: no watch told of {lacking}"));
            }
        }
    }
}

impl Drop for History {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Record {
    /// Takes an event; `false` if the watch is broken.
    fn hear(
        &mut self,
        resource: &'static str,
        event: kube::Result<WatchEvent<DynamicObject>>,
    ) -> bool {
        let (object, deleted) = match event {
            Ok(WatchEvent::Added(object) | WatchEvent::Modified(object)) => (object, false),
            Ok(WatchEvent::Deleted(object)) => (object, true),
            other => {
                self.broken = Some(format!("the watch of {resource} says {other:?}"));
                return false;
            }
        };
        let object = plain(object);
        let place = Place::new(resource, text(&object, "/metadata/namespace"), name(&object));
        let revision = version(&object);
        let heard = Heard { at: ledger::now(), place, deleted, object: Arc::new(object) };
        let sorted = self.last.insert(resource, revision).unwrap_or(0) < revision;
        if !sorted || self.heard.insert(revision, heard).is_some() {
            self.broken = Some(format!("revision {revision} of {resource} is out of order"));
        }
        self.broken.is_none()
    }

    /// What of a list has not been told of.
    fn lacks(&self, resource: &str, until: u64, shown: &[Value]) -> Option<String> {
        let mut alive: BTreeSet<&str> = BTreeSet::new();
        for heard in self.heard.range(..=until).map(|(_, heard)| heard) {
            if heard.place.resource == resource {
                alive.remove(heard.place.name.as_str());
                if !heard.deleted {
                    alive.insert(&heard.place.name);
                }
            }
        }
        let there: BTreeSet<&str> = shown.iter().map(name).collect();
        let untold = shown.iter().find(|object| !self.heard.contains_key(&version(object)));
        let gone = alive.difference(&there).next();
        untold
            .map(|object| format!("{resource} {} at {}", name(object), version(object)))
            .or_else(|| gone.map(|gone| format!("the end of {resource} {gone}")))
    }

    fn changes(&self) -> Vec<Change> {
        let mut present: BTreeMap<Place, Arc<Value>> = BTreeMap::new();
        let mut changes = Vec::new();
        for (revision, heard) in &self.heard {
            let before = present.remove(&heard.place);
            let (writer, at) = written(*revision, heard, before.as_deref());
            let place = heard.place.clone();
            let after = (!heard.deleted).then(|| Arc::clone(&heard.object));
            present.extend(after.clone().map(|object| (place.clone(), object)));
            changes.push(Change { revision: *revision, at, writer, place, before, after });
        }
        changes
    }
}

/// Who made a change, and when at the latest.
fn written(revision: u64, heard: &Heard, before: Option<&Value>) -> (Writer, Timestamp) {
    let at = heard.at;
    let entry = match heard.deleted {
        true => ledger::remover(text(&heard.object, "/metadata/uid")),
        false => ledger::maker(revision),
    };
    match entry {
        Some(entry) => {
            let seen = Some(entry.seen);
            (Writer::Controller { identity: entry.identity, seen }, at.min(entry.at))
        }
        None if heard.deleted => (Writer::Other("cluster".into()), at),
        None => (Writer::Other(manager(&heard.object, before).into()), at),
    }
}

/// The manager of the newest entry in managedFields; of several of one second one that is another
/// than before.
fn manager<'a>(object: &'a Value, before: Option<&Value>) -> &'a str {
    let entries = list(object, "/metadata/managedFields");
    let newest = entries.iter().map(|entry| text(entry, "/time")).max();
    let newest = entries.iter().filter(|entry| Some(text(entry, "/time")) == newest);
    let old = before.map_or(&[][..], |before| list(before, "/metadata/managedFields"));
    let entry = newest.max_by_key(|entry| !old.contains(entry));
    entry.map_or("cluster", |entry| text(entry, "/manager"))
}
