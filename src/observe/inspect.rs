//! Inspect: takes out of the stores what one turn of a HealthCheck needs, and asks for objects that
//! they do not show.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::stream::{self, StreamExt};
use kube::Client;
use kube::api::Api;

use crate::api::check::HealthCheck;
use crate::api::foreign::Kustomization;
use crate::api::inspected::{Inspected, Sort};
use crate::api::kind::{Key, Kind, Reference};
use crate::observe::objects::Sorted;
use crate::observe::seen::{self, find};
use crate::observe::store::key;
use crate::observe::stores::{Stores, fetch_from};
use crate::validate::check;
use crate::validate::inspection::{Id, Raw, Seen, goes, ids, is_rollout};
use crate::validate::seen::Found;

/// The longest answer of the API server that is kept, in characters.
const ANSWER_MAX: usize = 200;

/// Objects that are asked for at a time: an inventory may have a thousand, and a turn has seconds.
const AT_ONCE: usize = 8;

/// What was said of objects that could not be asked for.
pub type Unread = BTreeMap<Id, String>;

/// Tells whether a Rollout that is watched selects a HealthCheck.
pub fn selected(stores: &Stores, check: &Arc<HealthCheck>) -> bool {
    let namespace = check.metadata.namespace.as_deref().unwrap_or_default();
    let labels = stores.namespaces.get(&Key::new("", namespace));
    let labels: Vec<_> = labels.into_iter().collect();
    let mut anybody = [namespace, ""]
        .into_iter()
        .flat_map(|place| stores.rollouts.by(&Reference::any(Kind::HealthCheck, place)));
    anybody.any(|rollout| {
        let chosen = check::selected(&rollout, [Arc::clone(check)], &labels);
        chosen.is_some_and(|chosen| !chosen.is_empty())
    })
}

/// Names the objects that a HealthCheck looks at, and has their kinds watched.
pub fn follow(stores: &Stores, check: &HealthCheck) -> Vec<Id> {
    let ids = match named(stores, check) {
        Found::Is(kustomization) => ids(&kustomization),
        Found::NotAsked | Found::Denied | Found::KindMissing | Found::Missing => Vec::new(),
    };
    let covered = ids.iter().filter(|id| covers(stores, &id.key.namespace));
    let sorts: BTreeSet<Sort> = covered.map(|id| id.sort.clone()).collect();
    stores.objects.want(&key(check), sorts);
    ids
}

/// Tells whether objects of a namespace are watched; those without one are, where all are.
fn covers(stores: &Stores, namespace: &str) -> bool {
    stores.reach.namespaces.is_empty() || stores.reach.namespaces.contains(namespace)
}

fn named(stores: &Stores, check: &HealthCheck) -> Found<Kustomization> {
    let Some(named) = check::kustomization(check) else { return Found::NotAsked };
    let own = check.metadata.namespace.as_deref().unwrap_or_default();
    find(&stores.kustomizations, stores.reach.allows(own, &named.namespace), &named)
}

/// Gathers what one turn of a HealthCheck needs.
pub fn gather(stores: &Stores, check: &Arc<HealthCheck>, ids: &[Id], unread: &Unread) -> Seen {
    let raw = |id: &Id| match unread.get(id) {
        Some(why) => Raw::Unread(why.clone()),
        None => look(stores, id),
    };
    let own = key(check.as_ref());
    let waits = |rollout: &Key| {
        let rollout = stores.rollouts.get(rollout)?;
        let checks = seen::checks(stores, &rollout, &key(rollout.as_ref()))?;
        checks.iter().any(|check| key(check.as_ref()) == own).then_some(())
    };
    let rollouts = ids.iter().filter(|id| is_rollout(id)).map(|id| &id.key);
    Seen {
        check: Arc::clone(check),
        kustomization: named(stores, check),
        objects: ids.iter().map(|id| (id.clone(), raw(id))).collect(),
        gated: rollouts.filter(|rollout| waits(rollout).is_some()).cloned().collect(),
    }
}

/// Looks at an object as its watch shows it.
fn look(stores: &Stores, id: &Id) -> Raw {
    let namespace = &id.key.namespace;
    if !covers(stores, namespace) {
        return Raw::Unread("it is in no namespace that is watched".to_owned());
    }
    let sorted = match stores.objects.of(&id.sort) {
        Ok(sorted) => sorted,
        Err(why) => return Raw::Unread(why),
    };
    let store = &sorted.store;
    if store.absent() {
        return Raw::Unread(format!("{} has no such kind", id.sort.api_version()));
    }
    if let Some(said) = store.denied(namespace) {
        return Raw::Unread(format!("the controller may not list and watch it: {said}"));
    }
    match store.get(&id.key) {
        Some(object) => Raw::Is(object),
        None if store.listed(namespace) => Raw::Absent,
        None => Raw::Unread("it has not been looked at yet".to_owned()),
    }
}

/// Tells whether the watches have told of all objects that they can tell of.
pub fn listed(stores: &Stores, ids: &[Id]) -> bool {
    ids.iter().all(|id| {
        let namespace = &id.key.namespace;
        let Ok(sorted) = stores.objects.of(&id.sort) else { return true };
        let store = &sorted.store;
        let mute =
            !covers(stores, namespace) || store.absent() || store.denied(namespace).is_some();
        mute || store.listed(namespace)
    })
}

/// Names the objects that their watch does not show: somebody may have taken Flux's label away.
pub fn missing(stores: &Stores, ids: &[Id]) -> Vec<Id> {
    let absent = |id: &&Id| !goes(id) && matches!(look(stores, id), Raw::Absent);
    ids.iter().filter(absent).cloned().collect()
}

/// Asks the API server for objects. Returns what it said of those that it did not show.
///
/// # Errors
/// The client's, if there is no answer.
pub async fn ask(client: &Client, stores: &Stores, ids: &[Id]) -> Result<Unread, Box<kube::Error>> {
    let mut reads = Vec::new();
    for id in ids {
        if let Ok(sorted) = stores.objects.of(&id.sort) {
            reads.push(one(client.clone(), id.clone(), sorted));
        }
    }
    let mut answers = stream::iter(reads).buffered(AT_ONCE);
    let mut unread = Unread::new();
    while let Some((id, answer)) = answers.next().await {
        match answer {
            Ok(()) => {}
            Err(kube::Error::Api(status)) if status.code == 403 => {
                let said = status.message.chars().filter(|c| !c.is_control()).take(ANSWER_MAX);
                let said: String = said.collect();
                unread.insert(id, format!("the controller may not get it: {said}"));
            }
            Err(error) => return Err(Box::new(error)),
        }
    }
    Ok(unread)
}

async fn one(client: Client, id: Id, sorted: Arc<Sorted>) -> (Id, Result<(), kube::Error>) {
    let answer = read(&client, &sorted, &id.key).await;
    (id, answer)
}

async fn read(client: &Client, sorted: &Sorted, key: &Key) -> Result<(), kube::Error> {
    let Some(resource) = sorted.resource.get() else { return Ok(()) };
    let api: Api<Inspected> = match key.namespace.as_str() {
        "" => Api::all_with(client.clone(), resource),
        namespace => Api::namespaced_with(client.clone(), namespace, resource),
    };
    let reference = Reference { kind: Kind::Applied, key: key.clone() };
    // The watch tells of it, too, and wakes whom it wakes.
    fetch_from(api, &reference, &sorted.store).await.map(|_| ())
}
