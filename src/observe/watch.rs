//! Watch: fills the stores. One watch for each kind and scope; a kind that is not installed is
//! asked for again only while a Rollout refers to it.
//!
//! Verbs: `list` and `watch` on each kind, and a GET of the discovery document of its version.

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use backon::ExponentialBuilder;
use futures::{FutureExt, StreamExt, TryStreamExt};
use kube::api::{Api, ApiResource, WatchEvent, WatchParams};
use kube::core::{NamespaceScope, PartialObjectMeta};
use kube::runtime::utils::ResetTimerBackoff;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watcher_of};
use kube::{Client, Resource};

use crate::api::keys;
use crate::api::kind::{Key, Kind};
use crate::api::rollout::Rollout;
use crate::observe::beside::Beside;
use crate::observe::guard::{Guard, Malformed};
use crate::observe::refs::Watched;
use crate::observe::store::{Change, Scope, Store, key};
use crate::observe::stores::Stores;
#[cfg(feature = "planted")]
use crate::planted::{Bug, active};

/// How often an absent kind is asked for while a Rollout refers to it.
pub const PROBE_EVERY: Duration = Duration::from_secs(30);
/// How long a server may take to show that it streams lists.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// The first pause before a failed watch is opened again.
const PAUSE_MIN: Duration = Duration::from_millis(800);
/// The longest, without its jitter.
const PAUSE_MAX: Duration = Duration::from_secs(15);
/// How long a watch has to do well for its pauses to begin anew.
const PAUSE_FORGET: Duration = Duration::from_secs(120);
/// The longest answer of the API server that is kept, in characters.
const ANSWER_MAX: usize = 200;
/// Objects in a page of a list: what is held twice while it is decoded.
const PAGE_SIZE: u32 = 250;
/// The mark of a streamed list's end.
const LIST_END: &str = "k8s.io/initial-events-end";

/// What the watches tell of.
#[derive(Debug)]
pub enum Sighting {
    /// An object is another than before.
    Changed(Change),
    /// A scope of a kind has been listed: the stores may be ready.
    Listed,
    /// A watch failed and is opened again.
    Restarted {
        /// Its kind.
        kind: Kind,
        /// Why.
        error: Box<watcher::Error>,
    },
    /// The API server does not let us list a scope of a kind: what refers to it is to tell so.
    Denied,
    /// An object cannot be read; told once for each object.
    Malformed {
        /// Its kind.
        kind: Kind,
        /// Its name.
        key: Key,
        /// Why.
        error: String,
    },
    /// The number of objects of a kind that cannot be read.
    MalformedCount {
        /// The kind.
        kind: Kind,
        /// How many there are.
        count: usize,
    },
    /// A kind was found to be installed, or not to be.
    Installed {
        /// The kind.
        kind: Kind,
        /// Whether it is.
        installed: bool,
    },
    /// A kind could not be asked for.
    Unanswered {
        /// The kind.
        kind: Kind,
        /// Why.
        error: Box<kube::Error>,
    },
}

/// Hears what the watches tell of. It must return at once.
pub type Tell = Arc<dyn Fn(Sighting) + Send + Sync>;

/// What all watches have in common.
#[derive(Clone)]
pub struct Watches {
    /// The client.
    pub client: Client,
    /// How every watch is opened: timeout, bookmarks.
    pub config: watcher::Config,
    /// The Rollouts that are watched, as a label selector.
    pub selector: Option<String>,
    /// What is filled.
    pub stores: Arc<Stores>,
    /// Who hears of it.
    pub tell: Tell,
}

impl Debug for Watches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watches").finish_non_exhaustive()
    }
}

/// Asks the server whether it streams lists, and has all watches opened accordingly.
pub async fn prepared(mut watches: Watches) -> Watches {
    watches.config = if streams_lists(&watches).await {
        watches.config.streaming_lists()
    } else {
        watches.config.page_size(PAGE_SIZE)
    };
    watches
}

/// Watches all kinds that are known by name, for ever.
pub async fn run(watches: &Watches) {
    let stores = Arc::clone(&watches.stores);
    let mut rollouts = watches.config.clone();
    rollouts.label_selector.clone_from(&watches.selector);
    let labelled = watches.config.clone().labels(keys::LABEL_ROLLOUT);
    let plain = &watches.config;
    Beside::new([
        watches.all(&stores.rollouts, &(), &rollouts).boxed(),
        watches.all(&stores.replica_sets, &(), &labelled).boxed(),
        watches.all(&stores.services, &(), plain).boxed(),
        watches.all(&stores.slices, &(), plain).boxed(),
        watches.own(&stores.gates, plain).boxed(),
        watches.own(&stores.checks, plain).boxed(),
        watches.own(&stores.schedules, &rollouts).boxed(),
        watches.cluster(&stores.cluster_schedules, &rollouts).boxed(),
        watches.cluster(&stores.namespaces, plain).boxed(),
        watches.installed(&stores.policies).boxed(),
        watches.installed(&stores.routes).boxed(),
        watches.installed(&stores.grpc_routes).boxed(),
        watches.installed(&stores.repositories).boxed(),
        watches.installed(&stores.kustomizations).boxed(),
        watches.installed(&stores.kuberik).boxed(),
    ])
    .await;
}

impl Watches {
    /// Watches all scopes of a kind that every cluster has.
    async fn all<K, D>(&self, store: &Store<K>, resource: &D, config: &watcher::Config)
    where
        K: Watched + Resource<DynamicType = D> + Clone + Debug,
        K::Scope: NamespaceScope,
        D: Clone + Send + Sync,
    {
        loop {
            self.scopes(store, resource, config).await;
            // The kind is not there: our own CRD is missing.
            tokio::time::sleep(PROBE_EVERY).await;
        }
    }

    /// Watches a kind of our own while its definition is there: one of an older installation may be
    /// missing.
    async fn own<K>(&self, store: &Store<K>, config: &watcher::Config)
    where
        K: Watched + Resource<DynamicType = ()> + Clone + Debug,
        K::Scope: NamespaceScope,
    {
        if K::KIND == Kind::HealthCheck {
            self.until_referred(K::KIND).await;
        }
        loop {
            self.until_there(store).await;
            self.scopes(store, &(), config).await;
            self.vanish(store);
        }
    }

    /// Watches a kind without namespaces, where the controller is for all of them.
    async fn cluster<K>(&self, store: &Store<K>, config: &watcher::Config)
    where
        K: Watched + Resource<DynamicType = ()> + Clone + Debug,
    {
        if store.scopes().is_empty() {
            return;
        }
        loop {
            if K::KIND == Kind::Namespace {
                // Few schedules ask for their labels, and every cluster has the kind.
                self.until_referred(K::KIND).await;
            } else {
                self.until_there(store).await;
            }
            let api = Api::all(self.client.clone());
            self.one(api, config.clone(), &None, store).await;
            self.vanish(store);
        }
    }

    /// Waits until a kind of our own is there; while it is not, nothing of it is.
    async fn until_there<K: Watched>(&self, store: &Store<K>) {
        loop {
            match self.discover(K::KIND).await {
                Ok(Some(_)) => return store.appear(),
                Ok(None) if !store.absent() => {
                    self.vanish(store);
                    // Whoever waited for the list need not wait for one.
                    (self.tell)(Sighting::Listed);
                }
                Ok(None) => {}
                Err(error) => {
                    let error = Box::new(error);
                    (self.tell)(Sighting::Unanswered { kind: K::KIND, error });
                    tokio::time::sleep(PROBE_TIMEOUT).await;
                    continue;
                }
            }
            tokio::time::sleep(PROBE_EVERY).await;
        }
    }

    /// Watches a kind while it is installed.
    async fn installed<K>(&self, store: &Store<K>)
    where
        K: Watched + Resource<DynamicType = ApiResource> + Clone + Debug,
        K::Scope: NamespaceScope,
    {
        // Few clusters route gRPC or had kuberik: nobody is asked about it before it is named.
        if [Kind::GrpcRoute, Kind::KuberikRollout].contains(&K::KIND) {
            self.until_referred(K::KIND).await;
        }
        loop {
            match self.discover(K::KIND).await {
                Ok(Some(resource)) => {
                    store.appear();
                    (self.tell)(Sighting::Installed { kind: K::KIND, installed: true });
                    self.scopes(store, &resource, &self.config).await;
                    self.vanish(store);
                }
                Ok(None) => self.vanish(store),
                Err(error) => {
                    let error = Box::new(error);
                    (self.tell)(Sighting::Unanswered { kind: K::KIND, error });
                    tokio::time::sleep(PROBE_TIMEOUT).await;
                    continue;
                }
            }
            self.until_wanted(K::KIND).await;
        }
    }

    fn vanish<K: Watched>(&self, store: &Store<K>) {
        let known = store.absent();
        store.vanish().into_iter().for_each(|change| self.changed(change));
        if !known {
            (self.tell)(Sighting::Installed { kind: K::KIND, installed: false });
        }
    }

    /// Waits until an absent kind is to be asked for again.
    async fn until_wanted(&self, kind: Kind) {
        if self.stores.referred(kind) {
            tokio::time::sleep(PROBE_EVERY).await;
        }
        self.until_referred(kind).await;
    }

    /// Waits until a Rollout refers to a kind.
    async fn until_referred(&self, kind: Kind) {
        loop {
            let rung = self.stores.bell.notified();
            if self.stores.referred(kind) {
                return;
            }
            rung.await;
        }
    }

    /// Finds the best version of a kind that the server has.
    async fn discover(&self, kind: Kind) -> Result<Option<ApiResource>, kube::Error> {
        for resource in kind.resources() {
            match self.client.list_api_group_resources(&resource.api_version).await {
                Ok(list) if list.resources.iter().any(|known| known.name == resource.plural) => {
                    return Ok(Some(resource));
                }
                Ok(_) => {}
                Err(error) if missing(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Watches all scopes of a kind until the kind is gone.
    pub async fn scopes<K, D>(&self, store: &Store<K>, resource: &D, config: &watcher::Config)
    where
        K: Watched + Resource<DynamicType = D> + Clone + Debug,
        K::Scope: NamespaceScope,
        D: Clone + Send + Sync,
    {
        let watches = store.scopes().into_iter().map(|scope| async move {
            let namespace = scope.as_deref().unwrap_or_default();
            let api = Api::all_with(self.client.clone(), resource).constrain(namespace);
            self.one(api, config.clone(), &scope, store).await;
        });
        futures::future::select_all(watches.map(Box::pin)).await;
    }

    /// Watches one scope until the kind is gone.
    async fn one<K>(
        &self,
        api: Api<Guard<K>>,
        config: watcher::Config,
        scope: &Scope,
        store: &Store<K>,
    ) where
        K: Watched + Clone + Debug,
        K::DynamicType: Clone,
    {
        let mut pause = PAUSE_MIN;
        let mut events = watcher_of(api.clone(), config.clone()).backoff(pauses()).boxed();
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    // A list that is denied begins all the same.
                    if !matches!(event, Event::Init) {
                        pause = PAUSE_MIN;
                    }
                    self.take(event, scope, store);
                }
                Err(error) if gone(&error) => return,
                #[cfg(feature = "planted")]
                Err(_) if active(Bug::WatchEndsOnError) => return,
                Err(error) => {
                    let said = denied(&error);
                    let error = Box::new(error);
                    (self.tell)(Sighting::Restarted { kind: K::KIND, error });
                    let Some(said) = said else { continue };
                    if store.deny(scope, said) {
                        (self.tell)(Sighting::Denied);
                    }
                    // Only a list tells that we may: a watch that goes on would tell nothing.
                    tokio::time::sleep(pause).await;
                    pause = PAUSE_MAX.min(pause * 2);
                    events = watcher_of(api.clone(), config.clone()).backoff(pauses()).boxed();
                }
            }
        }
    }

    /// Brings one event into the store and tells of it.
    fn take<K: Watched>(&self, event: Event<Guard<K>>, scope: &Scope, store: &Store<K>) {
        let before = store.malformed();
        let changed = match event {
            Event::Init => {
                store.begin(scope);
                None
            }
            Event::InitApply(guard) => match guard.open() {
                Ok(object) => store.list(scope, object),
                // A list is not sorted by version: one object tells nothing of those after it.
                Err(malformed) => self.refuse(malformed, scope, store, None),
            },
            Event::Apply(guard) if store.knows(scope, &key(&guard), guard.meta()) => None,
            Event::Apply(guard) => match guard.open() {
                Ok(object) => store.apply(scope, object),
                Err(malformed) => {
                    let version = malformed.metadata.resource_version.clone();
                    self.refuse(malformed, scope, store, version.as_deref())
                }
            },
            Event::Delete(guard) => {
                let version = guard.meta().resource_version.clone();
                store.delete(scope, &key(&guard), version.as_deref())
            }
            Event::InitDone => {
                store.finish(scope).into_iter().for_each(|change| self.changed(change));
                (self.tell)(Sighting::Listed);
                None
            }
        };
        if let Some(change) = changed {
            self.changed(change);
        }
        let count = store.malformed();
        if count != before {
            (self.tell)(Sighting::MalformedCount { kind: K::KIND, count });
        }
    }

    fn changed(&self, change: Change) {
        self.stores.ring(&change);
        (self.tell)(Sighting::Changed(change));
    }

    fn refuse<K: Watched>(
        &self,
        malformed: Malformed,
        scope: &Scope,
        store: &Store<K>,
        version: Option<&str>,
    ) -> Option<Change> {
        let key = Key::of(&malformed.metadata);
        let (change, first) = store.refuse(scope, key.clone(), version);
        if first {
            let error = malformed.error.chars().filter(|c| !c.is_control()).take(200).collect();
            (self.tell)(Sighting::Malformed { kind: K::KIND, key, error });
        }
        change
    }
}

/// Tells whether the server streams lists, by asking for the list of one Rollout that is not there.
/// kube itself would ask for ever.
async fn streams_lists(watches: &Watches) -> bool {
    // Where only some namespaces are watched, no other may be asked about.
    let scope = watches.stores.rollouts.scopes().into_iter().next().flatten();
    let api: Api<PartialObjectMeta<Rollout>> = Api::all(watches.client.clone());
    let api = api.constrain(scope.as_deref().unwrap_or_default());
    let params = WatchParams {
        field_selector: Some("metadata.name=stairlock-probe".to_owned()),
        timeout: Some(u32::try_from(PROBE_TIMEOUT.as_secs()).unwrap_or(5)),
        bookmarks: true,
        send_initial_events: true,
        ..WatchParams::default()
    };
    bounded(async {
        let Ok(events) = api.watch(&params, "0").await else { return false };
        let mut events = events.boxed();
        while let Ok(Some(event)) = events.try_next().await {
            if let WatchEvent::Bookmark(mark) = event
                && mark.metadata.annotations.contains_key(LIST_END)
            {
                return true;
            }
        }
        false
    })
    .await
}

async fn bounded(probe: impl Future<Output = bool>) -> bool {
    tokio::time::timeout(PROBE_TIMEOUT, probe).await.unwrap_or(false)
}

/// The pauses before a watch is opened again: client-go's, 0.8 s and doubled, but with jitter never
/// more than 30 s, so that the store is up to date so soon after the API server is back.
fn pauses() -> ResetTimerBackoff<watcher::ExponentialBackoff> {
    let growing = ExponentialBuilder::default()
        .with_min_delay(PAUSE_MIN)
        .with_max_delay(PAUSE_MAX)
        .with_factor(2.0)
        .with_jitter() //                          adds up to as much again
        .without_max_times();
    ResetTimerBackoff::new(growing.into(), PAUSE_FORGET)
}

fn missing(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

/// Tells what the API server said that does not let us list or watch.
fn denied(error: &watcher::Error) -> Option<String> {
    let status = match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => status,
        watcher::Error::InitialListFailed(_)
        | watcher::Error::WatchStartFailed(_)
        | watcher::Error::WatchFailed(_)
        | watcher::Error::NoResourceVersion => return None,
    };
    let said = status.message.chars().filter(|c| !c.is_control());
    (status.code == 403).then(|| said.take(ANSWER_MAX).collect())
}

/// Tells whether the kind that was watched is not there any more.
fn gone(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => missing(error),
        watcher::Error::WatchError(status) => status.code == 404,
        watcher::Error::NoResourceVersion => false,
    }
}

#[cfg(test)]
mod tests;
