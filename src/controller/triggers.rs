//! Triggers: which Rollouts a change is about. Pure maps over the stores.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::api::gate::RolloutGate;
use crate::api::kind::{Key, Kind, Reference};
use crate::observe::refs::{Watched, depends_on};
use crate::observe::store::{Change, key};
use crate::observe::stores::Stores;
use crate::validate::binding::{self, Claim};
use crate::validate::commands;
use crate::validate::gate::is_for;

/// Tells which Rollouts a change is about.
pub fn touched(stores: &Stores, change: &Change) -> BTreeSet<Key> {
    let users = |reference: &Reference| stores.rollouts.keys_by(reference);
    let named = |kind| change.refs.iter().filter(move |reference| reference.kind == kind);
    match change.reference.kind {
        Kind::Rollout => {
            let shared = change.refs.iter().filter(|reference| reference.kind.splits());
            let rivals = shared.flat_map(|shared| stores.users(shared));
            let after = waiting(stores, &change.reference);
            let alike = bound_alike(stores, &change.reference);
            rivals.chain(after).chain(alike).chain([change.reference.key.clone()]).collect()
        }
        Kind::RolloutGate => gated(stores, change),
        Kind::RolloutSchedule | Kind::ClusterRolloutSchedule => BTreeSet::new(),
        Kind::HealthCheck | Kind::Namespace => {
            let Reference { kind, key } = &change.reference;
            let here = users(&Reference::any(*kind, key.namespace.as_str())).into_iter();
            here.chain(users(&Reference::any(*kind, ""))).collect()
        }
        Kind::ReplicaSet => named(Kind::Rollout).map(|rollout| rollout.key.clone()).collect(),
        Kind::EndpointSlice => named(Kind::Service).flat_map(users).collect(),
        Kind::Service | Kind::ImagePolicy => users(&change.reference).into_iter().collect(),
        Kind::HttpRoute | Kind::GrpcRoute => {
            let named = users(&change.reference).into_iter();
            named.chain(selecting(stores, change)).collect()
        }
        Kind::Kustomization => {
            let bound = named(Kind::Rollout).map(|rollout| rollout.key.clone());
            let fetched = named(Kind::OciRepository).flat_map(|source| binders(stores, source));
            let under = under(stores, &change.reference).into_iter();
            under.chain(bound).chain(fetched).collect()
        }
        Kind::OciRepository => {
            let bound = named(Kind::Rollout).map(|rollout| rollout.key.clone());
            bound.chain(users(&change.reference)).collect()
        }
        Kind::KuberikRollout => bound_beside(stores, &change.reference),
        Kind::Pod | Kind::Applied | Kind::Event => BTreeSet::new(),
    }
}

/// Tells the Rollouts that wait for the answer whether a kind is installed.
pub fn awaiting(stores: &Stores, kind: Kind) -> BTreeSet<Key> {
    match kind {
        // An object of these may bind a field to any Rollout.
        Kind::Kustomization | Kind::OciRepository => stores.rollouts.keys().into_iter().collect(),
        Kind::KuberikRollout => {
            let named = stores.kustomizations.named(kind).into_iter();
            let named = named.chain(stores.repositories.named(kind));
            named.flat_map(|kuberik| bound_beside(stores, &kuberik)).collect()
        }
        Kind::Rollout
        | Kind::RolloutGate
        | Kind::RolloutSchedule
        | Kind::ClusterRolloutSchedule
        | Kind::HealthCheck
        | Kind::Namespace
        | Kind::ReplicaSet
        | Kind::Pod
        | Kind::Service
        | Kind::EndpointSlice
        | Kind::ImagePolicy
        | Kind::HttpRoute
        | Kind::GrpcRoute
        | Kind::Applied
        | Kind::Event => {
            let users = stores.rollouts.named(kind).into_iter();
            users.flat_map(|named| stores.rollouts.keys_by(&named)).collect()
        }
    }
}

/// Tells whether there is something to do for those that a change is about, and not only to tell: a
/// source shows another release, or a person gave a command.
pub fn presses(stores: &Stores, change: &Change) -> bool {
    let Reference { kind, key } = &change.reference;
    let asked = || stores.rollouts.get(key).is_some_and(|rollout| commands::any(&rollout));
    let source = matches!(kind, Kind::ImagePolicy | Kind::OciRepository);
    source || *kind == Kind::Rollout && asked()
}

/// Tells the Rollouts whose gates depend on a Rollout.
fn waiting(stores: &Stores, rollout: &Reference) -> BTreeSet<Key> {
    let gates = stores.gates.by(rollout).into_iter();
    let gates = gates.filter(|gate| depends_on(gate).as_ref() == Some(rollout));
    let namespace = |gate: &Arc<RolloutGate>| gate.metadata.namespace.clone().unwrap_or_default();
    let of_gate = |gate: Arc<RolloutGate>| {
        let here = stores.rollouts.within(&namespace(&gate)).into_iter();
        let here = here.filter(move |rollout| is_for(&gate, rollout));
        here.map(|rollout| key(rollout.as_ref()))
    };
    gates.flat_map(of_gate).collect()
}

/// Tells the Rollouts that a gate is for, or was.
fn gated(stores: &Stores, change: &Change) -> BTreeSet<Key> {
    let named = change.refs.iter().filter(|reference| reference.kind == Kind::Rollout);
    let rollouts = |reference: &Reference| {
        let namespace = &reference.key.namespace;
        if reference.is_any() {
            let here = stores.rollouts.within(namespace);
            return here.iter().map(|rollout| key(rollout.as_ref())).collect();
        }
        vec![reference.key.clone()]
    };
    named.flat_map(rollouts).filter(|key| stores.rollouts.get(key).is_some()).collect()
}

/// Tells the Rollouts that select routes by labels and whose Services a route leads to, or led to.
fn selecting(stores: &Stores, change: &Change) -> Vec<Key> {
    let Reference { kind, key } = &change.reference;
    let any = stores.rollouts.keys_by(&Reference::any(*kind, key.namespace.as_str()));
    if any.is_empty() {
        return any;
    }
    let services = change.refs.iter().filter(|reference| reference.kind == Kind::Service);
    let users: BTreeSet<Key> = services.flat_map(|r| stores.rollouts.keys_by(r)).collect();
    any.into_iter().filter(|key| users.contains(key)).collect()
}

/// Tells the other Rollouts that the same fields are bound to.
fn bound_alike(stores: &Stores, rollout: &Reference) -> BTreeSet<Key> {
    let below = stores.kustomizations.by(rollout).into_iter();
    let below = below.map(|object| binding::variables(&object.metadata));
    let fetched = stores.repositories.by(rollout).into_iter();
    let fetched = fetched.map(|object| binding::tags(&object.metadata));
    let others = |claims: Vec<Claim>| {
        let (own, others): (Vec<Claim>, Vec<Claim>) =
            claims.into_iter().partition(|claim| claim.rollout == rollout.key);
        let alike = move |other: &Claim| own.iter().any(|own| own.variable == other.variable);
        others.into_iter().filter(alike).map(|claim| claim.rollout)
    };
    below.chain(fetched).flat_map(others).collect()
}

/// Tells the Rollouts that the same objects name as one of kuberik.
fn bound_beside(stores: &Stores, kuberik: &Reference) -> BTreeSet<Key> {
    let below = stores.kustomizations.by(kuberik).into_iter().flat_map(|object| object.refs());
    let fetched = stores.repositories.by(kuberik).into_iter().flat_map(|object| object.refs());
    let rollouts = below.chain(fetched).filter(|reference| reference.kind == Kind::Rollout);
    rollouts.map(|rollout| rollout.key).collect()
}

/// Tells the Rollouts that an OCIRepository names.
fn binders(stores: &Stores, source: &Reference) -> Vec<Key> {
    let object = stores.repositories.get(&source.key);
    let refs = object.into_iter().flat_map(|object| object.refs());
    refs.filter(|reference| reference.kind == Kind::Rollout).map(|rollout| rollout.key).collect()
}

/// Tells the Rollouts that a Kustomization applies, or whose Services or routes it applies.
fn under(stores: &Stores, kustomization: &Reference) -> BTreeSet<Key> {
    let named = |kind: Kind| move |key: Key| Reference { kind, key };
    let services = stores.services.keys_by(kustomization).into_iter().map(named(Kind::Service));
    let routes = stores.routes.keys_by(kustomization).into_iter().map(named(Kind::HttpRoute));
    let grpc = stores.grpc_routes.keys_by(kustomization).into_iter();
    let routes = routes.chain(grpc.map(named(Kind::GrpcRoute)));
    let indirect = services.chain(routes).flat_map(|used| stores.users(&used));
    let below = stores.kustomizations.by(kustomization).into_iter().flat_map(|o| o.refs());
    let fetched = stores.repositories.by(kustomization).into_iter().flat_map(|o| o.refs());
    let bound = below.chain(fetched).filter(|reference| reference.kind == Kind::Rollout);
    let indirect = indirect.chain(bound.map(|rollout| rollout.key));
    indirect.chain(stores.rollouts.keys_by(kustomization)).collect()
}

#[cfg(test)]
mod tests;
