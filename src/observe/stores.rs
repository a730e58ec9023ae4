//! Stores: one for each kind that is watched, and what they know of one object whatever its kind.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kube::api::Api;
use kube::core::{ApiResource, NamespaceScope};
use kube::{Client, Resource};
use tokio::sync::Notify;

use crate::api::check::HealthCheck;
use crate::api::foreign::{
    EndpointSlice, GrpcRoute, HttpRoute, ImagePolicy, KuberikRollout, Kustomization, Namespace,
    OciRepository, ReplicaSet, Service,
};
use crate::api::gate::RolloutGate;
use crate::api::kind::{Key, Kind, Reference};
use crate::api::rollout::Rollout;
use crate::api::schedule::{ClusterRolloutSchedule, RolloutSchedule};
use crate::observe::objects::Objects;
use crate::observe::refs::{Watched, applied};
use crate::observe::store::{Change, Scope, Store, key};
#[cfg(feature = "planted")]
use crate::planted::{Bug, active};

/// Which namespaces are watched and which of them may be referred to.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    /// Namespaces with Rollouts; empty means all.
    pub namespaces: BTreeSet<String>,
    /// Namespaces whose sources may be named from others.
    pub shared: BTreeSet<String>,
    /// Whether only Rollouts with some labels are watched.
    pub selected: bool,
}

impl Reach {
    /// Tells the scopes of the watches of a kind.
    fn scopes(&self, kind: Kind) -> Vec<Scope> {
        if self.namespaces.is_empty() {
            return vec![None];
        }
        let shared = match kind {
            Kind::ImagePolicy | Kind::OciRepository | Kind::Kustomization => self.shared.clone(),
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
            | Kind::HttpRoute
            | Kind::GrpcRoute
            | Kind::KuberikRollout
            | Kind::Applied
            | Kind::Event => BTreeSet::new(),
        };
        self.namespaces.union(&shared).cloned().map(Some).collect()
    }

    /// Tells the scope of the watch of a kind without namespaces.
    fn whole(&self) -> Option<Scope> {
        self.namespaces.is_empty().then_some(None)
    }

    /// Tells whether a Rollout of that name would be seen, if it existed.
    pub fn sees(&self, rollout: &Key) -> bool {
        let here = self.namespaces.is_empty() || self.namespaces.contains(&rollout.namespace);
        here && !self.selected
    }

    /// Tells whether a Rollout of one namespace may name a source of another.
    pub fn allows(&self, from: &str, to: &str) -> bool {
        from == to || self.shared.contains(to)
    }
}

/// One store for each kind.
#[derive(Debug)]
pub struct Stores {
    /// What may be referred to.
    pub reach: Reach,
    /// Rollouts.
    pub rollouts: Store<Rollout>,
    /// RolloutGates.
    pub gates: Store<RolloutGate>,
    /// RolloutSchedules.
    pub schedules: Store<RolloutSchedule>,
    /// ClusterRolloutSchedules: of no namespace, so that a controller of some has none.
    pub cluster_schedules: Store<ClusterRolloutSchedule>,
    /// HealthChecks.
    pub checks: Store<HealthCheck>,
    /// Namespaces, likewise.
    pub namespaces: Store<Namespace>,
    /// ReplicaSets with our label.
    pub replica_sets: Store<ReplicaSet>,
    /// Services.
    pub services: Store<Service>,
    /// EndpointSlices.
    pub slices: Store<EndpointSlice>,
    /// ImagePolicies.
    pub policies: Store<ImagePolicy>,
    /// HTTPRoutes.
    pub routes: Store<HttpRoute>,
    /// GRPCRoutes.
    pub grpc_routes: Store<GrpcRoute>,
    /// OCIRepositories.
    pub repositories: Store<OciRepository>,
    /// Kustomizations.
    pub kustomizations: Store<Kustomization>,
    /// Rollouts of kuberik.
    pub kuberik: Store<KuberikRollout>,
    /// What the Kustomizations applied that HealthChecks look at.
    pub objects: Objects,
    /// Rings when Rollouts may refer to other kinds than before.
    pub bell: Notify,
}

impl Stores {
    /// Makes empty stores.
    pub fn new(reach: Reach) -> Self {
        Self {
            rollouts: Store::new(reach.scopes(Kind::Rollout)),
            gates: Store::new(reach.scopes(Kind::RolloutGate)),
            schedules: Store::new(reach.scopes(Kind::RolloutSchedule)),
            cluster_schedules: Store::new(reach.whole()),
            checks: Store::new(reach.scopes(Kind::HealthCheck)),
            namespaces: Store::new(reach.whole()),
            replica_sets: Store::new(reach.scopes(Kind::ReplicaSet)),
            services: Store::new(reach.scopes(Kind::Service)),
            slices: Store::new(reach.scopes(Kind::EndpointSlice)),
            policies: Store::new(reach.scopes(Kind::ImagePolicy)),
            routes: Store::new(reach.scopes(Kind::HttpRoute)),
            grpc_routes: Store::new(reach.scopes(Kind::GrpcRoute)),
            repositories: Store::new(reach.scopes(Kind::OciRepository)),
            kustomizations: Store::new(reach.scopes(Kind::Kustomization)),
            kuberik: Store::new(reach.scopes(Kind::KuberikRollout)),
            objects: Objects::new(reach.scopes(Kind::Applied)),
            bell: Notify::new(),
            reach,
        }
    }

    /// Tells whether every kind that any Rollout needs has been read once.
    pub fn ready(&self) -> bool {
        #[cfg(feature = "planted")]
        if active(Bug::ActsBeforeListed) {
            return self.rollouts.ready();
        }
        self.rollouts.ready()
            && self.replica_sets.ready()
            && self.services.ready()
            && self.slices.ready()
    }

    /// Tells whether the further kinds that this Rollout refers to have been read once: one that
    /// cannot be listed stops those that refer to it, and no other.
    pub fn ready_for(&self, rollout: &Rollout) -> bool {
        let refs = self.uses(rollout);
        let listed = |reference: &Reference| {
            let namespace = &reference.key.namespace;
            match reference.kind {
                Kind::ImagePolicy => self.policies.listed(namespace),
                Kind::HttpRoute => self.routes.listed(namespace),
                Kind::GrpcRoute => self.grpc_routes.listed(namespace),
                Kind::OciRepository => self.repositories.listed(namespace),
                Kind::Kustomization => self.kustomizations.listed(namespace),
                Kind::KuberikRollout => self.kuberik.listed(namespace),
                Kind::HealthCheck if namespace.is_empty() => self.checks.ready(),
                Kind::HealthCheck => self.checks.listed(namespace),
                Kind::Namespace => self.namespaces.ready(),
                Kind::Service
                | Kind::Rollout
                | Kind::RolloutGate
                | Kind::RolloutSchedule
                | Kind::ClusterRolloutSchedule
                | Kind::ReplicaSet
                | Kind::Pod
                | Kind::EndpointSlice
                | Kind::Applied
                | Kind::Event => true,
            }
        };
        // A gate that is not known yet may be closed.
        let own = rollout.metadata.namespace.as_deref().unwrap_or_default();
        let gated = self.gates.listed(own);
        // Any of these may bind a field to it.
        let bound = self.kustomizations.settled() && self.repositories.settled();
        gated && bound && refs.iter().chain(&self.applied(&refs)).all(listed)
    }

    /// Tells which of the further kinds that a Rollout refers to the API server does not let us
    /// list, and what it said.
    pub fn denied_for(&self, rollout: &Rollout) -> Option<(Kind, String)> {
        let own = rollout.metadata.namespace.as_deref().unwrap_or_default();
        self.denied_among(own, &self.uses(rollout))
    }

    /// As [`Self::denied_for`], of the namespace of a Rollout and of what it uses.
    pub fn denied_among(&self, own: &str, refs: &[Reference]) -> Option<(Kind, String)> {
        let denied = |reference: &Reference| {
            let namespace = &reference.key.namespace;
            let said = match reference.kind {
                Kind::ImagePolicy => self.policies.denied(namespace),
                Kind::HttpRoute => self.routes.denied(namespace),
                Kind::GrpcRoute => self.grpc_routes.denied(namespace),
                Kind::OciRepository => self.repositories.denied(namespace),
                Kind::Kustomization => self.kustomizations.denied(namespace),
                Kind::KuberikRollout => self.kuberik.denied(namespace),
                Kind::HealthCheck => self.checks.denied(namespace),
                Kind::Namespace if !self.reach.namespaces.is_empty() => {
                    Some("a controller of some namespaces does not read their labels".to_owned())
                }
                Kind::Namespace => self.namespaces.denied(namespace),
                Kind::Service
                | Kind::Rollout
                | Kind::RolloutGate
                | Kind::RolloutSchedule
                | Kind::ClusterRolloutSchedule
                | Kind::ReplicaSet
                | Kind::Pod
                | Kind::EndpointSlice
                | Kind::Applied
                | Kind::Event => None,
            };
            Some((reference.kind, said?))
        };
        let gates = self.gates.denied(own).map(|said| (Kind::RolloutGate, said));
        gates.or_else(|| refs.iter().chain(&self.applied(refs)).find_map(denied))
    }

    /// Tells the Kustomizations that apply what is referred to.
    fn applied(&self, refs: &[Reference]) -> Vec<Reference> {
        let of = |reference: &Reference| match reference.kind {
            Kind::HttpRoute => applied(self.routes.get(&reference.key)?.as_ref()),
            Kind::GrpcRoute => applied(self.grpc_routes.get(&reference.key)?.as_ref()),
            Kind::Service => applied(self.services.get(&reference.key)?.as_ref()),
            Kind::OciRepository => applied(self.repositories.get(&reference.key)?.as_ref()),
            Kind::Kustomization => applied(self.kustomizations.get(&reference.key)?.as_ref()),
            Kind::KuberikRollout
            | Kind::Rollout
            | Kind::RolloutGate
            | Kind::RolloutSchedule
            | Kind::ClusterRolloutSchedule
            | Kind::HealthCheck
            | Kind::Namespace
            | Kind::ReplicaSet
            | Kind::Pod
            | Kind::EndpointSlice
            | Kind::ImagePolicy
            | Kind::Applied
            | Kind::Event => None,
        };
        refs.iter().filter_map(of).collect()
    }

    /// Tells what a Rollout refers to, with the routes that its labels select: those of the kind
    /// that lead to one of its Services.
    pub fn uses(&self, rollout: &Rollout) -> Vec<Reference> {
        let mut refs = rollout.refs();
        let bound = self.bound(&Reference { kind: Kind::Rollout, key: key(rollout) });
        let new: Vec<Reference> = bound.into_iter().filter(|one| !refs.contains(one)).collect();
        refs.extend(new);
        let gateway = rollout.spec.strategy.gateway();
        if gateway.is_none_or(|api| api.labelled().next().is_none()) {
            return refs; // They name each object once.
        }
        let services: Vec<Reference> =
            refs.iter().filter(|reference| reference.kind == Kind::Service).cloned().collect();
        for (kind, labels) in gateway.iter().flat_map(|api| api.labelled()) {
            let mut found: BTreeSet<Reference> = BTreeSet::new();
            for service in &services {
                found.extend(if kind == Kind::GrpcRoute {
                    labelled(&self.grpc_routes, service, labels)
                } else {
                    labelled(&self.routes, service, labels)
                });
            }
            refs.extend(found);
        }
        let mut known = BTreeSet::new();
        refs.retain(|reference| known.insert(reference.clone()));
        refs
    }

    /// Tells what binds a field to a Rollout, and the Rollouts of kuberik that the same annotations
    /// name.
    fn bound(&self, rollout: &Reference) -> BTreeSet<Reference> {
        let mut all = BTreeSet::new();
        bind(&self.kustomizations, rollout, &mut all);
        bind(&self.repositories, rollout, &mut all);
        all
    }

    /// Tells the Rollouts that may use an object: those that name it, and those that select objects
    /// of its kind by labels.
    pub fn users(&self, reference: &Reference) -> BTreeSet<Key> {
        let Reference { kind, key } = reference;
        let any = Reference::any(*kind, key.namespace.as_str());
        let mut users: BTreeSet<Key> = self.rollouts.keys_by(&any).into_iter().collect();
        if reference.is_any() {
            let named = self.rollouts.named(*kind);
            let here = named.iter().filter(|other| other.key.namespace == key.namespace);
            users.extend(here.flat_map(|other| self.rollouts.keys_by(other)));
        } else {
            users.extend(self.rollouts.keys_by(reference));
        }
        users
    }

    /// Tells uid and resourceVersion of an object as it stands in its store.
    pub fn version(&self, reference: &Reference) -> Option<(String, u64)> {
        let key = &reference.key;
        match reference.kind {
            Kind::Rollout => self.rollouts.version(key),
            Kind::RolloutGate => self.gates.version(key),
            Kind::RolloutSchedule => self.schedules.version(key),
            Kind::ClusterRolloutSchedule => self.cluster_schedules.version(key),
            Kind::HealthCheck => self.checks.version(key),
            Kind::Namespace => self.namespaces.version(key),
            Kind::ReplicaSet => self.replica_sets.version(key),
            Kind::Service => self.services.version(key),
            Kind::EndpointSlice => self.slices.version(key),
            Kind::ImagePolicy => self.policies.version(key),
            Kind::HttpRoute => self.routes.version(key),
            Kind::GrpcRoute => self.grpc_routes.version(key),
            Kind::OciRepository => self.repositories.version(key),
            Kind::Kustomization => self.kustomizations.version(key),
            Kind::KuberikRollout => self.kuberik.version(key),
            Kind::Pod | Kind::Applied | Kind::Event => None,
        }
    }

    /// Tells up to which resourceVersion all changes near an object have been told.
    pub fn seen(&self, reference: &Reference) -> u64 {
        let namespace = &reference.key.namespace;
        match reference.kind {
            Kind::Rollout => self.rollouts.seen(namespace),
            Kind::RolloutGate => self.gates.seen(namespace),
            Kind::RolloutSchedule => self.schedules.seen(namespace),
            Kind::ClusterRolloutSchedule => self.cluster_schedules.seen(namespace),
            Kind::HealthCheck => self.checks.seen(namespace),
            Kind::Namespace => self.namespaces.seen(namespace),
            Kind::ReplicaSet => self.replica_sets.seen(namespace),
            Kind::Service => self.services.seen(namespace),
            Kind::EndpointSlice => self.slices.seen(namespace),
            Kind::ImagePolicy => self.policies.seen(namespace),
            Kind::HttpRoute => self.routes.seen(namespace),
            Kind::GrpcRoute => self.grpc_routes.seen(namespace),
            Kind::OciRepository => self.repositories.seen(namespace),
            Kind::Kustomization => self.kustomizations.seen(namespace),
            Kind::KuberikRollout => self.kuberik.seen(namespace),
            Kind::Pod | Kind::Applied | Kind::Event => u64::MAX,
        }
    }

    /// Tells whether any Rollout refers to a kind, directly or through what it uses. Asked at every
    /// change while the kind is absent: it walks over what is used only where that names the kind.
    pub fn referred(&self, kind: Kind) -> bool {
        self.rollouts.names(kind)
            || self.cluster_schedules.names(kind)
            || self.refers_by(Kind::Service, &self.services, kind)
            || self.refers_by(Kind::HttpRoute, &self.routes, kind)
            || self.refers_by(Kind::GrpcRoute, &self.grpc_routes, kind)
            || self.kustomizations.names(kind)
            || self.repositories.names(kind)
    }

    fn refers_by<K: Watched>(&self, used: Kind, store: &Store<K>, kind: Kind) -> bool {
        let names = |object: Arc<K>| object.refs().iter().any(|reference| reference.kind == kind);
        store.names(kind)
            && self.rollouts.named(used).iter().filter_map(|used| store.get(&used.key)).any(names)
    }

    /// Rings the bell for a change of what tells which kinds are referred to, directly or not.
    pub fn ring(&self, change: &Change) {
        let kind = change.reference.kind;
        let binds = [Kind::Kustomization, Kind::OciRepository].contains(&kind);
        let tells = [Kind::Rollout, Kind::ClusterRolloutSchedule].contains(&kind);
        if tells || kind.splits() || binds {
            self.bell.notify_waiters();
        }
    }

    /// Takes a Rollout as the API server answered to a write of ours: its watch may tell of it much
    /// later. The change is for the caller to tell.
    pub fn answered(&self, rollout: Rollout) -> Option<Change> {
        let change = self.rollouts.answer(rollout);
        change.iter().for_each(|change| self.ring(change));
        change
    }

    /// Reads one object from the API server into its store, where it is written by us. The change
    /// is for the caller to tell: the watch, which comes later, finds nothing new.
    ///
    /// # Errors
    /// The client's, if there is no answer.
    pub async fn refresh(
        &self,
        client: &Client,
        reference: &Reference,
    ) -> Result<Option<Change>, kube::Error> {
        let change = match reference.kind {
            Kind::Rollout => fetch(client, &(), reference, &self.rollouts).await?,
            Kind::ReplicaSet => fetch(client, &(), reference, &self.replica_sets).await?,
            Kind::Service => fetch(client, &(), reference, &self.services).await?,
            Kind::HttpRoute => {
                let resource = Kind::HttpRoute.resource();
                fetch::<HttpRoute, ApiResource>(client, &resource, reference, &self.routes).await?
            }
            Kind::GrpcRoute => {
                let (resource, store) = (Kind::GrpcRoute.resource(), &self.grpc_routes);
                fetch::<GrpcRoute, ApiResource>(client, &resource, reference, store).await?
            }
            Kind::RolloutGate => fetch(client, &(), reference, &self.gates).await?,
            Kind::RolloutSchedule => fetch(client, &(), reference, &self.schedules).await?,
            Kind::HealthCheck => fetch(client, &(), reference, &self.checks).await?,
            Kind::ClusterRolloutSchedule => {
                fetch_from(Api::all(client.clone()), reference, &self.cluster_schedules).await?
            }
            Kind::OciRepository => {
                let (resource, store) = (Kind::OciRepository.resource(), &self.repositories);
                fetch::<OciRepository, ApiResource>(client, &resource, reference, store).await?
            }
            Kind::Kustomization => {
                let (resource, store) = (Kind::Kustomization.resource(), &self.kustomizations);
                fetch::<Kustomization, ApiResource>(client, &resource, reference, store).await?
            }
            // Nothing of these is written, or nothing of them is read.
            Kind::Pod
            | Kind::EndpointSlice
            | Kind::ImagePolicy
            | Kind::KuberikRollout
            | Kind::Namespace
            | Kind::Applied
            | Kind::Event => None,
        };
        change.iter().for_each(|change| self.ring(change));
        Ok(change)
    }
}

/// Adds the objects of a kind that bind a field to a Rollout, and the Rollouts of kuberik that they
/// name; mostly there is none, and what each names is not read for nothing.
fn bind<K: Watched>(store: &Store<K>, rollout: &Reference, all: &mut BTreeSet<Reference>) {
    let kuberik = store.names(Kind::KuberikRollout);
    for object in store.by(rollout) {
        all.insert(Reference { kind: K::KIND, key: key(object.as_ref()) });
        let named = if kuberik { object.refs() } else { Vec::new() };
        all.extend(named.into_iter().filter(|other| other.kind == Kind::KuberikRollout));
    }
}

/// The routes that lead to a Service and carry labels.
fn labelled<K: Watched>(
    store: &Store<K>,
    service: &Reference,
    labels: &BTreeMap<String, String>,
) -> Vec<Reference> {
    let carries = |route: &Arc<K>| {
        let own = route.meta().labels.as_ref();
        labels.iter().all(|(key, value)| own.and_then(|own| own.get(key)) == Some(value))
    };
    let routes = store.by(service).into_iter().filter(carries);
    routes.map(|route| Reference { kind: K::KIND, key: key(route.as_ref()) }).collect()
}

async fn fetch<K, D>(
    client: &Client,
    resource: &D,
    reference: &Reference,
    store: &Store<K>,
) -> Result<Option<Change>, kube::Error>
where
    K: Watched + Resource<DynamicType = D> + Clone + std::fmt::Debug,
    K::Scope: NamespaceScope,
{
    let namespace = &reference.key.namespace;
    let api: Api<K> = Api::all_with(client.clone(), resource).constrain(namespace);
    fetch_from(api, reference, store).await
}

/// Reads one object into a store.
///
/// # Errors
/// The client's, if there is no answer.
pub async fn fetch_from<K>(
    api: Api<K>,
    reference: &Reference,
    store: &Store<K>,
) -> Result<Option<Change>, kube::Error>
where
    K: Watched + Clone + std::fmt::Debug,
{
    let key = &reference.key;
    let before = store.version(key).map(|(_, version)| version.to_string());
    Ok(match (api.get_opt(&key.name).await?, before) {
        (Some(object), _) => store.answer(object),
        // What the watch brought while we asked is newer than the answer. A scope that nobody
        // watches: it says nothing about older changes.
        (None, Some(before)) => store.delete(&Some(String::new()), key, Some(&before)),
        (None, None) => None,
    })
}

#[cfg(test)]
mod tests;
