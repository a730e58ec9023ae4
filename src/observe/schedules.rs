//! Schedules: takes out of the stores what one turn of a schedule needs. It makes no call.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::api::kind::{Key, Kind, Reference};
use crate::api::rollout::Rollout;
use crate::observe::store::{Change, key};
use crate::observe::stores::Stores;
use crate::validate::schedule::{Either, Seen, mark};

/// Finds a schedule; one without a namespace is a ClusterRolloutSchedule.
pub fn find(stores: &Stores, key: &Key) -> Option<Either> {
    if key.namespace.is_empty() {
        return stores.cluster_schedules.get(key).map(Either::Many);
    }
    stores.schedules.get(key).map(Either::One)
}

/// Names a schedule.
pub fn reference(schedule: &Either) -> Reference {
    match schedule {
        Either::One(one) => Reference { kind: Kind::RolloutSchedule, key: key(one.as_ref()) },
        Either::Many(many) => {
            Reference { kind: Kind::ClusterRolloutSchedule, key: key(many.as_ref()) }
        }
    }
}

/// Tells whether there is any schedule.
pub fn any(stores: &Stores) -> bool {
    !(stores.schedules.is_empty() && stores.cluster_schedules.is_empty())
}

/// Names the schedules that may be for the Rollouts of a namespace; without one, those that may be
/// for Rollouts of any.
pub fn keys(stores: &Stores, namespace: Option<&str>) -> BTreeSet<Key> {
    let here = namespace.map(|namespace| stores.schedules.within(namespace)).unwrap_or_default();
    let here = here.iter().map(|one| key(one.as_ref()));
    here.chain(stores.cluster_schedules.keys()).collect()
}

/// Names the schedules that made a gate, or had made it.
pub fn makers(change: &Change) -> BTreeSet<Key> {
    let kinds = [Kind::RolloutSchedule, Kind::ClusterRolloutSchedule];
    let makers = change.refs.iter().filter(|reference| kinds.contains(&reference.kind));
    makers.map(|maker| maker.key.clone()).collect()
}

/// Tells whether all that a schedule looks at has been listed once.
pub fn ready(stores: &Stores, schedule: &Either) -> bool {
    match schedule {
        Either::One(one) => {
            let namespace = one.metadata.namespace.as_deref().unwrap_or_default();
            stores.rollouts.listed(namespace) && stores.gates.listed(namespace)
        }
        Either::Many(many) => {
            let asks = many.spec.namespace_selector.is_some();
            stores.rollouts.ready() && stores.gates.ready() && (!asks || stores.namespaces.ready())
        }
    }
}

/// Gathers what one turn of a schedule needs.
pub fn gather(stores: &Stores, schedule: &Either) -> Seen {
    let rollouts: Vec<Arc<Rollout>> = match schedule {
        Either::One(one) => {
            stores.rollouts.within(one.metadata.namespace.as_deref().unwrap_or_default())
        }
        Either::Many(_) => stores.rollouts.all(),
    };
    let namespaces = match schedule {
        Either::One(_) => Vec::new(),
        Either::Many(many) => {
            let asks = many.spec.namespace_selector.is_some();
            if asks { stores.namespaces.all() } else { Vec::new() }
        }
    };
    let mark = mark(schedule);
    let place = |rollout: &Arc<Rollout>| {
        let Key { namespace, name } = key(rollout.as_ref());
        Key::new(namespace, format!("{mark}-{name}"))
    };
    let owned = stores.gates.by(&reference(schedule));
    let mut names: BTreeSet<Key> = owned.iter().map(|gate| key(gate.as_ref())).collect();
    names.extend(rollouts.iter().map(place));
    let gates = names.iter().filter_map(|name| stores.gates.get(name)).collect();
    Seen { schedule: schedule.clone(), rollouts, namespaces, gates, refused: BTreeMap::new() }
}
