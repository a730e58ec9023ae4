//! Seen: takes out of the stores what one turn needs. It makes no call.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::api::foreign::Pod;
use crate::api::kind::{Key, Kind, Reference};
use crate::api::rollout::Rollout;
use crate::observe::refs::Watched;
use crate::observe::store::{Store, key};
use crate::observe::stores::Stores;
use crate::validate::seen::{Found, Seen};

/// What is remembered of a Rollout and is in no store.
#[derive(Debug, Clone, Default)]
pub struct Remembered {
    /// The API server's answer to a dry run of the template, if it refused.
    pub template_refused: Option<String>,
    /// The Rollout's pods, where they were asked for, or why they cannot be read.
    pub pods: Option<Result<Vec<Pod>, String>>,
    /// The ids of notices that are known to be sent.
    pub sent: BTreeSet<String>,
    /// A write that the API server refused: object and answer.
    pub refused: Option<(String, String)>,
}

/// Gathers what one turn of a Rollout needs.
pub fn gather(stores: &Stores, rollout: &Arc<Rollout>, remembered: Remembered) -> Seen {
    let own = Reference { kind: Kind::Rollout, key: key(rollout.as_ref()) };
    let refs = rollout.refs();
    let of = |kind| refs.iter().filter(move |reference| reference.kind == kind);
    let services: Vec<_> =
        of(Kind::Service).filter_map(|service| stores.services.get(&service.key)).collect();
    let slices = of(Kind::Service).flat_map(|service| stores.slices.by(service)).collect();
    let named = |kind| of(kind).next().map(|reference| &reference.key);
    let route = find(&stores.routes, named(Kind::HttpRoute));
    let grpc_route = find(&stores.grpc_routes, named(Kind::GrpcRoute));
    let mut kustomizations: BTreeSet<Key> =
        of(Kind::Kustomization).map(|reference| reference.key.clone()).collect();
    let foreign = services.iter().flat_map(|service| service.refs());
    kustomizations.extend(foreign.map(|reference| reference.key));
    if let Found::Is(route) = &route {
        kustomizations.extend(route.refs().into_iter().map(|reference| reference.key));
    }
    if let Found::Is(route) = &grpc_route {
        kustomizations.extend(route.refs().into_iter().map(|reference| reference.key));
    }
    let kustomizations = kustomizations.iter();
    Seen {
        rollout: Arc::clone(rollout),
        replica_sets: stores.replica_sets.by(&own),
        pods: remembered.pods,
        source: source(stores, &own, of(Kind::ImagePolicy).next()),
        services,
        slices,
        route,
        grpc_route,
        kustomizations: kustomizations.filter_map(|key| stores.kustomizations.get(key)).collect(),
        rivals: rivals(stores, &own, &refs),
        template_refused: remembered.template_refused,
        sent: remembered.sent,
        refused: remembered.refused,
    }
}

fn source(
    stores: &Stores,
    own: &Reference,
    source: Option<&Reference>,
) -> Found<crate::api::foreign::ImagePolicy> {
    match source {
        Some(source) if !stores.reach.allows(&own.key.namespace, &source.key.namespace) => {
            Found::Denied
        }
        source => find(&stores.policies, source.map(|reference| &reference.key)),
    }
}

fn find<K: Watched>(store: &Store<K>, key: Option<&Key>) -> Found<K> {
    match key {
        None => Found::NotAsked,
        Some(_) if store.absent() => Found::KindMissing,
        Some(key) => store.get(key).map_or(Found::Missing, Found::Is),
    }
}

/// Finds the other Rollouts that use one of the Services or the route.
fn rivals(stores: &Stores, own: &Reference, refs: &[Reference]) -> Vec<Arc<Rollout>> {
    let shared = refs.iter().filter(|reference| reference.kind.splits());
    let keys: BTreeSet<Key> = shared.flat_map(|r| stores.rollouts.keys_by(r)).collect();
    let others = keys.iter().filter(|key| **key != own.key);
    others.filter_map(|key| stores.rollouts.get(key)).collect()
}
