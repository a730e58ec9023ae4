//! Which revisions of the cluster were made by controllers of ours: by the answers to their writes.
//!
//! One for the whole run, since all stories share one cluster and with it one sequence of revisions.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use hyper::Method;
use serde_json::Value;

use super::call::Call;
use crate::support::json::{list, text, version};

static LEDGER: Mutex<Ledger> =
    Mutex::new(Ledger { written: BTreeMap::new(), deleted: BTreeMap::new() });

struct Ledger {
    /// The identity that made a revision.
    written: BTreeMap<u64, Arc<str>>,
    /// The identity that deleted an object, by its uid.
    deleted: BTreeMap<String, Arc<str>>,
}

/// Who made a revision, where it was a controller.
pub fn writer(revision: u64) -> Option<Arc<str>> {
    LEDGER.lock().unwrap().written.get(&revision).cloned()
}

/// Who deleted an object, where it was a controller.
pub fn remover(uid: &str) -> Option<Arc<str>> {
    LEDGER.lock().unwrap().deleted.get(uid).cloned()
}

/// The revisions that a controller made.
pub fn written(by: &str) -> Vec<u64> {
    let ledger = LEDGER.lock().unwrap();
    ledger.written.iter().filter(|(_, who)| ***who == *by).map(|(revision, _)| *revision).collect()
}

/// Enters the answer to a write that was carried out.
pub fn enter(by: &Arc<str>, call: &Call, answer: &Value) {
    let mut ledger = LEDGER.lock().unwrap();
    if call.method == Method::DELETE {
        let uid = [text(answer, "/metadata/uid"), text(answer, "/details/uid")].concat();
        ledger.deleted.insert(uid, Arc::clone(by));
    }
    // A patch that changes nothing is answered with the version that it demanded.
    let demanded = list(&call.body, "").iter();
    let demanded = demanded.filter(|op| text(op, "/path") == "/metadata/resourceVersion");
    let demanded = demanded.filter_map(|op| text(op, "/value").parse().ok()).max();
    let made = version(answer);
    if demanded.unwrap_or(0) < made {
        ledger.written.insert(made, Arc::clone(by));
    }
}
