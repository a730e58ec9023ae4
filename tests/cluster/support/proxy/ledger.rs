//! What the proxies know of the changes in the cluster: which of them a controller made, when, and
//! what it had been told by then; and what no object tells, such as its end.
//!
//! One for the whole run, since all stories share one cluster and with it one sequence of
//! revisions.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use hyper::Method;
use serde_json::Value;
use stairlock::model::moment::Timestamp;
use stairlock::runtime::clock::Clock;
use stairlock::sim::history::{Place, Sight};
use stairlock::sim::resource::RESOURCES;

use super::call::Call;
use crate::support::json::{list, name, text, version};

static LEDGER: Mutex<Ledger> =
    Mutex::new(Ledger { made: BTreeMap::new(), removed: BTreeMap::new(), words: Vec::new() });

struct Ledger {
    /// Who made a revision.
    made: BTreeMap<u64, Entry>,
    /// Who removed an object, by its uid.
    removed: BTreeMap<String, Entry>,
    words: Vec<(Arc<str>, Timestamp, Word)>,
}

/// One write that was carried out.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Who wrote.
    pub identity: Arc<str>,
    /// Into which namespace; none where the object is in none.
    pub namespace: String,
    /// What it had been told of each resource when the write arrived.
    pub seen: Arc<Sight>,
    /// When the answer came: it was carried out before.
    pub at: Timestamp,
}

/// What no object tells.
#[derive(Clone, Debug)]
pub enum Word {
    /// A controller began.
    Begun {
        /// Whether sources of other namespaces are allowed to it.
        abroad: bool,
        /// Whether it is for all namespaces.
        whole: bool,
    },
    /// It ended without a word.
    Crashed,
    /// It was told to end.
    Told,
    /// Something went wrong between it and the API server.
    Disturbed,
    /// A write of it was not carried out.
    Failed(Place),
}

/// The time, in whole milliseconds.
pub fn now() -> Timestamp {
    Timestamp::from_millis(Clock::system().now().as_millisecond())
}

/// The write that made a revision, where it was a controller's.
pub fn maker(revision: u64) -> Option<Entry> {
    LEDGER.lock().unwrap().made.get(&revision).cloned()
}

/// The write that removed an object, where it was a controller's.
pub fn remover(uid: &str) -> Option<Entry> {
    LEDGER.lock().unwrap().removed.get(uid).cloned()
}

/// All revisions in some namespaces that controllers made whose identity begins so.
pub fn revisions(of: &str, namespaces: &[&str]) -> Vec<u64> {
    let ledger = LEDGER.lock().unwrap();
    let ours = |entry: &Entry| {
        entry.identity.starts_with(of) && namespaces.contains(&entry.namespace.as_str())
    };
    let made = ledger.made.iter().filter(|(_, entry)| ours(entry));
    made.map(|(revision, _)| *revision).collect()
}

/// What was noted about controllers whose identity begins so, in order.
pub fn words(of: &str) -> Vec<(Arc<str>, Timestamp, Word)> {
    let ledger = LEDGER.lock().unwrap();
    ledger.words.iter().filter(|(identity, _, _)| identity.starts_with(of)).cloned().collect()
}

/// Notes something about a controller.
pub fn note(identity: &Arc<str>, word: Word) {
    LEDGER.lock().unwrap().words.push((Arc::clone(identity), now(), word));
}

/// Notes that a write was not carried out.
pub fn failed(identity: &Arc<str>, call: &Call) {
    if let Some(place) = place(call) {
        note(identity, Word::Failed(place));
    }
}

/// Enters the answer to a write that was carried out.
pub fn enter(identity: &Arc<str>, seen: Sight, call: &Call, answer: &Value) {
    let namespace = text(answer, "/metadata/namespace").to_owned();
    let identity = Arc::clone(identity);
    let entry = Entry { identity, namespace, seen: Arc::new(seen), at: now() };
    let mut ledger = LEDGER.lock().unwrap();
    let finalizers = list(answer, "/metadata/finalizers");
    let last = answer.pointer("/metadata/deletionTimestamp").is_some() && finalizers.is_empty();
    if call.method == Method::DELETE || last {
        let uid = [text(answer, "/metadata/uid"), text(answer, "/details/uid")].concat();
        ledger.removed.insert(uid, entry.clone());
    }
    // A patch that changes nothing is answered with the version that it demanded.
    let operations = list(&call.body, "").iter();
    let demanded = operations.filter(|op| text(op, "/path") == "/metadata/resourceVersion");
    let demanded = demanded.filter_map(|op| text(op, "/value").parse().ok()).max();
    let revision = version(answer);
    if demanded.unwrap_or(0) < revision {
        ledger.made.insert(revision, entry);
    }
}

/// The plural of a resource as the histories spell it.
pub fn plural(text: &str) -> Option<&'static str> {
    RESOURCES.iter().map(|resource| resource.plural).find(|plural| *plural == text)
}

/// The object that a write is about.
fn place(call: &Call) -> Option<Place> {
    let (_, within) = call.path.split_once("/namespaces/")?;
    let mut parts = within.split('/');
    let (namespace, resource) = (parts.next()?, plural(parts.next()?)?);
    Some(Place::new(resource, namespace, parts.next().unwrap_or_else(|| name(&call.body))))
}
