//! Inspection: reads what a HealthCheck of class `kustomization` is about. It never judges.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::api::check::HealthCheck;
use crate::api::foreign::{InventoryEntry, Kustomization, KustomizationStatus};
use crate::api::inspected::{Inspected, Sort};
use crate::api::keys;
use crate::api::kind::Key;
use crate::model::inspection::{Entry, Inspection, Sight, Subject};
use crate::model::moment::Timestamp;
use crate::model::standing::{Standing, Told};
use crate::validate::binding::{fails, present, waits_for_objects};
use crate::validate::excerpt::excerpt;
use crate::validate::seen::Found;
use crate::validate::{check, kstatus};

/// The most objects of a Kustomization that are looked at: each is asked for at every release.
const ENTRIES_MAX: usize = 1000;

/// An object of an inventory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id {
    /// Its kind.
    pub sort: Sort,
    /// Its namespace, empty where it has none, and name.
    pub key: Key,
}

/// What was found of an object.
#[derive(Debug, Clone)]
pub enum Raw {
    /// The object.
    Is(Arc<Inspected>),
    /// It is not there.
    Absent,
    /// Nothing, and why.
    Unread(String),
}

/// The raw objects of one turn of a HealthCheck.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The check.
    pub check: Arc<HealthCheck>,
    /// The Kustomization that it names.
    pub kustomization: Found<Kustomization>,
    /// What was found of the objects of its inventory.
    pub objects: Vec<(Id, Raw)>,
    /// The Rollouts among them that wait for this very check.
    pub gated: BTreeSet<Key>,
}

/// Names the objects of a Kustomization that tell how they stand. Those of some kinds only are
/// there or not, and to read them is no small thing: nobody asks for them.
pub fn ids(kustomization: &Kustomization) -> Vec<Id> {
    let silent = |id: &Id| match (id.sort.group.as_str(), id.sort.kind.as_str()) {
        ("", "Secret" | "ConfigMap" | "ServiceAccount") => true,
        (group, _) => group == "rbac.authorization.k8s.io",
    };
    entries(kustomization).filter_map(id).filter(|id| !silent(id)).take(ENTRIES_MAX).collect()
}

fn entries(kustomization: &Kustomization) -> impl Iterator<Item = &InventoryEntry> {
    let status = kustomization.status.iter();
    status.filter_map(|status| status.inventory.as_ref()).flat_map(|all| &all.entries)
}

/// Reads `<namespace>_<name>_<group>_<kind>`; names of RBAC have `__` for a colon.
///
/// Source: github.com/fluxcd/cli-utils, `object.ParseObjMetadata`.
fn id(entry: &InventoryEntry) -> Option<Id> {
    let (namespace, rest) = entry.id.split_once('_')?;
    let (rest, kind) = rest.rsplit_once('_')?;
    let (name, group) = rest.rsplit_once('_')?;
    let version = entry.version.clone();
    let sort = Sort { group: group.to_owned(), version, kind: kind.to_owned() };
    Some(Id { sort, key: Key::new(namespace, name.replace("__", ":")) })
}

/// Makes of what was read what a turn may rely on.
pub fn of(seen: &Seen) -> Inspection {
    let known = check::read(&seen.check);
    let healthy_at = check::healthy_at(&seen.check);
    Inspection { known, healthy_at, subject: subject(seen) }
}

fn subject(seen: &Seen) -> Subject {
    let nothing = |why: &str| Subject::Nothing(why.to_owned());
    let Some(Key { namespace, name }) = check::kustomization(&seen.check) else {
        return nothing("it names no Kustomization: write spec.kustomizationRef");
    };
    let about = format!("Kustomization {namespace}/{name}");
    let kustomization = match &seen.kustomization {
        Found::Is(kustomization) => kustomization,
        Found::Denied => {
            return Subject::Nothing(format!(
                "{about} is in another namespace; start the controller with \
                 --allow-cross-namespace-refs={namespace} or name one of this namespace"
            ));
        }
        Found::KindMissing => return nothing("Flux's Kustomization is not installed"),
        Found::NotAsked | Found::Missing => {
            return Subject::Nothing(format!("{about} does not exist"));
        }
    };
    match entries(kustomization).count() {
        0 => return Subject::Nothing(format!("{about} has applied nothing yet")),
        count if ENTRIES_MAX < count => {
            return Subject::Nothing(format!(
                "{about} applies {count} objects, at most {ENTRIES_MAX} are looked at: divide it"
            ));
        }
        _ => {}
    }
    let known = check::healthy_at(&seen.check) == Some(check::applied_at(kustomization));
    let own = Sight::Told(own(kustomization, !seen.gated.is_empty(), known));
    let own = Entry { name: about, sight: own };
    let odd = entries(kustomization).filter(|entry| id(entry).is_none()).map(|entry| Entry {
        name: excerpt(&entry.id),
        sight: Sight::Unread("the inventory names it in a way that is not known".to_owned()),
    });
    let gated = |id: &Id| is_rollout(id) && seen.gated.contains(&id.key);
    let others = seen.objects.iter().filter(|(id, _)| !gated(id)).map(entry);
    let all = [own].into_iter().chain(odd).chain(others).collect();
    Subject::Applied { at: check::applied_at(kustomization), all }
}

/// Tells whether an object is a Rollout of ours.
pub fn is_rollout(id: &Id) -> bool {
    (id.sort.group.as_str(), id.sort.kind.as_str()) == (keys::GROUP, "Rollout")
}

/// Tells whether objects of a kind go by themselves once they are done.
pub fn goes(id: &Id) -> bool {
    let Sort { group, kind, .. } = &id.sort;
    [("batch", "Job"), ("", "Pod")].contains(&(group.as_str(), kind.as_str()))
}

fn entry((id, raw): &(Id, Raw)) -> Entry {
    let Id { sort: Sort { group, kind, .. }, key } = id;
    let name = match key.namespace.as_str() {
        "" => format!("{kind} {}", key.name),
        namespace => format!("{kind} {namespace}/{}", key.name),
    };
    let sight = match raw {
        Raw::Is(object) => Sight::Told(told(group, kind, &object.whole)),
        Raw::Absent => Sight::Absent { goes: goes(id) },
        Raw::Unread(why) => Sight::Unread(why.clone()),
    };
    Entry { name, sight }
}

/// What an object says of itself, on one short line.
fn told(group: &str, kind: &str, object: &Value) -> Told {
    let flux = (group, kind) == (keys::FLUX_KUSTOMIZE_GROUP, "Kustomization");
    let told = if flux { applies(object) } else { None };
    let told = told.unwrap_or_else(|| kstatus::told(group, kind, object));
    Told { message: excerpt(&told.message), ..told }
}

/// What a Kustomization says of itself. `gates`: whether it applies a Rollout that waits for what
/// is said, so that a Kustomization that waits for its objects, all applied, may not be waited for;
/// `known`: whether it was found healthy as it stands, so that it is tried again what it says.
fn own(kustomization: &Kustomization, gates: bool, known: bool) -> Told {
    let default = KustomizationStatus::default();
    let status = kustomization.status.as_ref().unwrap_or(&default);
    let meta = &kustomization.metadata;
    let object = json!({
        "metadata": {
            "generation": meta.generation.unwrap_or(0),
            "deletionTimestamp": meta.deletion_timestamp.as_ref().map_or("", |_| "set"),
        },
        "status": {
            "observedGeneration": status.observed_generation.unwrap_or(-1),
            "conditions": status.conditions,
            "lastAppliedRevision": status.last_applied_revision,
            "lastAttemptedRevision": status.last_attempted_revision,
        },
    });
    let told = told(keys::FLUX_KUSTOMIZE_GROUP, "Kustomization", &object);
    let waits = match told.standing {
        Standing::InProgress => known || present(kustomization).is_some_and(waits_for_objects),
        Standing::Failed => reason(&object) == "HealthCheckFailed",
        Standing::Current | Standing::Terminating | Standing::NotFound | Standing::Unknown => false,
    };
    if gates && waits { Told::new(Standing::Current, "") } else { told }
}

fn ready(object: &Value) -> Option<&Value> {
    let all = object.pointer("/status/conditions")?.as_array()?;
    all.iter().find(|condition| condition.get("type").and_then(Value::as_str) == Some("Ready"))
}

fn reason(object: &Value) -> &str {
    let reason = ready(object).and_then(|ready| ready.get("reason"));
    reason.and_then(Value::as_str).unwrap_or_default()
}

/// What a Kustomization says where kstatus does not see it. One that cannot be applied is tried
/// again, which kstatus takes for being on its way; and so does it of one that applies anew, as
/// Flux does at every interval, what it had applied.
fn applies(object: &Value) -> Option<Told> {
    let ready = ready(object)?;
    let text = |key: &str| ready.get(key).and_then(Value::as_str).unwrap_or_default();
    let number = |path: &str| object.pointer(path).and_then(Value::as_i64);
    let deleted = object.pointer("/metadata/deletionTimestamp").and_then(Value::as_str);
    if deleted.is_some_and(|time| !time.is_empty()) {
        return None;
    }
    let generation = number("/metadata/generation");
    let present = ready.get("observedGeneration").and_then(Value::as_i64) == generation;
    if present && text("status") == "False" && fails(text("reason")) {
        let failed_at = Timestamp::parse(text("lastTransitionTime"));
        return Some(Told { failed_at, ..Told::new(Standing::Failed, text("message")) });
    }
    let revision = |key: &str| {
        let text = object.pointer(&format!("/status/{key}")).and_then(Value::as_str);
        text.filter(|text| !text.is_empty())
    };
    let applied = revision("lastAppliedRevision");
    let again = applied.is_some() && applied == revision("lastAttemptedRevision");
    let known = number("/status/observedGeneration") == generation;
    let anew = known && again && text("status") == "Unknown";
    anew.then(|| Told::new(Standing::Current, ""))
}

#[cfg(test)]
mod tests;
