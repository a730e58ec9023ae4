//! Seen: takes out of the stores what one turn needs. It makes no call.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::api::check::HealthCheck;
use crate::api::foreign::{Pod, Service};
use crate::api::gate::RolloutGate;
use crate::api::kind::{Key, Kind, Reference};
use crate::api::rollout::Rollout;
use crate::model::moment::Timestamp;
use crate::observe::refs::{self, Watched, applied, depends_on};
use crate::observe::store::{Store, key};
use crate::observe::stores::Stores;
use crate::validate::seen::{Bound, Found, Manifests, NamedCheck, Reading, Seen, Source};
use crate::validate::{check, gate};

/// What is remembered of a Rollout and is in no store.
#[derive(Debug, Clone)]
pub struct Remembered {
    /// The API server's answer to a dry run of the template, if it refused.
    pub template_refused: Option<String>,
    /// The Rollout's pods, where they were asked for, or why they cannot be read.
    pub pods: Option<Result<Vec<Pod>, String>>,
    /// What is known of the registry of its ImagePolicy.
    pub reading: Option<Reading>,
    /// What is known of the manifests behind its tags.
    pub manifests: Arc<Manifests>,
    /// The ids of notices that are known to be sent.
    pub sent: BTreeSet<String>,
    /// A write that the API server refused: object and answer.
    pub refused: Option<(String, String)>,
    /// Since when this process, as the one that leads, looks at the Rollout.
    pub watched_since: Timestamp,
}

/// Gathers what one turn of a Rollout needs.
///
/// `looked`: whether this process has looked at what a HealthCheck is about.
pub fn gather(
    stores: &Stores,
    rollout: &Arc<Rollout>,
    remembered: Remembered,
    looked: impl Fn(&Key) -> bool,
) -> Seen {
    let own = Reference { kind: Kind::Rollout, key: key(rollout.as_ref()) };
    let refs = stores.uses(rollout);
    let of = |kind| refs.iter().filter(move |reference| reference.kind == kind);
    let replica_sets = stores.replica_sets.by(&own);
    let mut services: Vec<_> =
        of(Kind::Service).filter_map(|service| stores.services.get(&service.key)).collect();
    let attempt = rollout.status.as_ref().and_then(|status| status.attempt.as_ref());
    if attempt.is_none() && !replica_sets.is_empty() {
        services.extend(forgotten(stores, &own.key.namespace));
    }
    let slices = of(Kind::Service).flat_map(|service| stores.slices.by(service)).collect();
    let routes: Vec<_> =
        of(Kind::HttpRoute).filter_map(|route| stores.routes.get(&route.key)).collect();
    let grpc_routes: Vec<_> =
        of(Kind::GrpcRoute).filter_map(|route| stores.grpc_routes.get(&route.key)).collect();
    let absent =
        [(Kind::HttpRoute, stores.routes.absent()), (Kind::GrpcRoute, stores.grpc_routes.absent())];
    let absent = absent.into_iter().filter(|(_, absent)| *absent).map(|(kind, _)| kind).collect();
    let mut kustomizations: BTreeSet<Key> =
        of(Kind::Kustomization).map(|reference| reference.key.clone()).collect();
    let foreign = services.iter().filter_map(|service| applied(service.as_ref()));
    let foreign = foreign.chain(routes.iter().filter_map(|route| applied(route.as_ref())));
    let foreign = foreign.chain(grpc_routes.iter().filter_map(|route| applied(route.as_ref())));
    kustomizations.extend(foreign.map(|reference| reference.key));
    let bound = bound(stores, &own, &refs);
    let parents = bound.kustomizations.iter().filter_map(|object| applied(object.as_ref()));
    let others = bound.repositories.iter().filter_map(|object| applied(object.as_ref()));
    kustomizations.extend(parents.chain(others).map(|reference| reference.key));
    let kustomizations = kustomizations.iter();
    Seen {
        rollout: Arc::clone(rollout),
        replica_sets,
        pods: remembered.pods,
        source: source(stores, &own, rollout),
        reading: remembered.reading,
        manifests: remembered.manifests,
        gates: gates(stores, rollout, &own),
        checks: checks(stores, rollout, &own.key).map(|all| {
            all.into_iter().map(|check| named(stores, &own.key, check, &looked)).collect()
        }),
        services,
        slices,
        routes,
        grpc_routes,
        absent,
        denied: stores.denied_among(&own.key.namespace, &refs),
        bound,
        kustomizations: kustomizations.filter_map(|key| stores.kustomizations.get(key)).collect(),
        rivals: rivals(stores, &own, &refs),
        watched_since: remembered.watched_since,
        template_refused: remembered.template_refused,
        sent: remembered.sent,
        refused: remembered.refused,
    }
}

/// What is bound to a Rollout, and what tells whether it has the fields.
fn bound(stores: &Stores, own: &Reference, refs: &[Reference]) -> Bound {
    let kustomizations = stores.kustomizations.by(own);
    let repositories = stores.repositories.by(own);
    if kustomizations.is_empty() && repositories.is_empty() {
        return Bound::default();
    }
    let named = kustomizations.iter().flat_map(|object| object.refs());
    let named = named.chain(repositories.iter().flat_map(|object| object.refs()));
    let rivals: BTreeSet<Key> = named
        .filter(|other| other.kind == Kind::Rollout && other.key != own.key)
        .map(|other| other.key)
        .collect();
    let appliers = repositories.iter().flat_map(|object| {
        let fetched = Reference { kind: Kind::OciRepository, key: key(object.as_ref()) };
        stores.kustomizations.by(&fetched)
    });
    let kuberik = refs.iter().filter(|reference| reference.kind == Kind::KuberikRollout);
    let kuberik = kuberik.filter(|reference| stores.kuberik.get(&reference.key).is_some());
    let gone = |key: &&Key| stores.reach.sees(key) && stores.rollouts.get(key).is_none();
    Bound {
        appliers: appliers.collect(),
        gone: rivals.iter().filter(gone).cloned().collect(),
        rivals: rivals.iter().filter_map(|key| stores.rollouts.get(key)).collect(),
        kuberik: kuberik.map(|reference| reference.key.clone()).collect(),
        shared: stores.reach.shared.clone(),
        kustomizations,
        repositories,
    }
}

/// The Services of a namespace whose selector we wrote, and that no Rollout names. One of a lost
/// status may be among them.
fn forgotten(stores: &Stores, namespace: &str) -> Vec<Arc<Service>> {
    let ours = |service: &Arc<Service>| {
        let reference = Reference { kind: Kind::Service, key: key(service.as_ref()) };
        let turned = service.metadata.managed_fields.as_ref().is_some_and(|m| !m.is_empty());
        turned && stores.users(&reference).is_empty()
    };
    stores.services.within(namespace).into_iter().filter(ours).collect()
}

/// The object that offers releases, as far as the Rollout may name it.
fn source(stores: &Stores, own: &Reference, rollout: &Rollout) -> Source {
    let Some(source) = refs::source(rollout) else { return Source::None };
    let Reference { kind, key } = &source;
    let reached = stores.reach.allows(&own.key.namespace, &key.namespace);
    match kind {
        Kind::OciRepository => Source::Artifact(find(&stores.repositories, reached, key)),
        Kind::Kustomization => Source::Kustomization(find(&stores.kustomizations, reached, key)),
        Kind::ImagePolicy
        | Kind::Rollout
        | Kind::RolloutGate
        | Kind::RolloutSchedule
        | Kind::ClusterRolloutSchedule
        | Kind::HealthCheck
        | Kind::Namespace
        | Kind::ReplicaSet
        | Kind::Pod
        | Kind::Service
        | Kind::EndpointSlice
        | Kind::HttpRoute
        | Kind::GrpcRoute
        | Kind::KuberikRollout
        | Kind::Applied
        | Kind::Event => Source::Policy(find(&stores.policies, reached, key)),
    }
}

/// A HealthCheck with the Kustomization that it names.
fn named(
    stores: &Stores,
    own: &Key,
    check: Arc<HealthCheck>,
    looked: impl Fn(&Key) -> bool,
) -> NamedCheck {
    let named = check::kustomization(&check);
    let kustomization = named.and_then(|named| stores.kustomizations.get(&named));
    let there = check.metadata.namespace.as_deref().unwrap_or_default();
    let reached = stores.reach.allows(&own.namespace, there);
    let looked = looked(&key(check.as_ref()));
    NamedCheck { check, kustomization, reached, looked }
}

/// The HealthChecks that a Rollout selects.
pub fn checks(stores: &Stores, rollout: &Rollout, own: &Key) -> Option<Vec<Arc<HealthCheck>>> {
    let wanted = rollout.spec.health_check_selector.as_ref()?;
    if wanted.namespace_selector.is_some() {
        return check::selected(rollout, stores.checks.all(), &stores.namespaces.all());
    }
    check::selected(rollout, stores.checks.within(&own.namespace), &[])
}

/// The gates that are for a Rollout, each with the Rollout that it depends on.
fn gates(
    stores: &Stores,
    rollout: &Rollout,
    own: &Reference,
) -> Vec<(Arc<RolloutGate>, Option<Found<Rollout>>)> {
    let namespace = &own.key.namespace;
    let any = Reference::any(Kind::Rollout, namespace.as_str());
    let named = stores.gates.by(own).into_iter().chain(stores.gates.by(&any));
    let all: BTreeSet<Key> =
        named.filter(|gate| gate::is_for(gate, rollout)).map(|gate| key(gate.as_ref())).collect();
    let all = all.iter().filter_map(|key| stores.gates.get(key));
    let with = |gate: Arc<RolloutGate>| {
        let other = match depends_on(&gate) {
            None => None,
            Some(other) => {
                let reached = stores.reach.allows(namespace, &other.key.namespace);
                Some(find(&stores.rollouts, reached, &other.key))
            }
        };
        (gate, other)
    };
    all.map(with).collect()
}

/// Finds an object that another one names; `reached`: whether it may.
pub fn find<K: Watched>(store: &Store<K>, reached: bool, key: &Key) -> Found<K> {
    if !reached {
        return Found::Denied;
    }
    match store.get(key) {
        Some(object) => Found::Is(object),
        None if store.absent() => Found::KindMissing,
        None => Found::Missing,
    }
}

/// Finds the other Rollouts that use one of the Services or routes.
fn rivals(stores: &Stores, own: &Reference, refs: &[Reference]) -> Vec<Arc<Rollout>> {
    let shared = refs.iter().filter(|reference| reference.kind.splits());
    let keys: BTreeSet<Key> = shared.flat_map(|r| stores.users(r)).collect();
    let others = keys.iter().filter(|key| **key != own.key);
    others.filter_map(|key| stores.rollouts.get(key)).collect()
}

#[cfg(test)]
mod tests;
