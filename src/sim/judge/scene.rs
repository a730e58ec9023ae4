//! Scene: the objects of a cluster as far as the invariants ask for them, and their last states.
//! It never judges.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::moment::Timestamp;
use crate::sim::history::{Change, Sight, Writer};
use crate::sim::judge::facts::pods::{Lease, Service, Set, Slice, base};
use crate::sim::judge::facts::rollout::{Rollout, Spec};
use crate::sim::judge::facts::route::Route;
use crate::sim::judge::facts::source::{Offer, Source, version};
use crate::sim::judge::facts::status::Routing;
use crate::sim::judge::past::{DECISION_AGE, Past, Window, kinds};
use crate::sim::world::fields::ROUTES;

/// The kinds that offer releases.
pub const SOURCES: [&str; 3] = ["imagepolicies", "kustomizations", "ocirepositories"];

/// An object of a resource: namespace and name.
pub type Name = (String, String);

type Shelf<T> = BTreeMap<Name, Past<Arc<T>>>;

/// What a change says of its object; the inner value is absent if the object is gone.
#[derive(Debug, Clone)]
pub enum Fresh {
    /// A Rollout.
    Rollout(Option<Arc<Rollout>>),
    /// A ReplicaSet.
    Set(Option<Arc<Set>>),
    /// A Service.
    Service(Option<Arc<Service>>),
    /// An EndpointSlice.
    Slice(Option<Arc<Slice>>),
    /// A route.
    Route(Option<Arc<Route>>),
    /// A source; nothing while it offers nothing.
    Offer(Option<Arc<Offer>>),
    /// A Lease.
    Lease(Option<Arc<Lease>>),
    /// Something else.
    Other,
}

/// One change, seen against what was there before it.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// What was there.
    pub scene: &'a Scene,
    /// The change.
    pub change: &'a Change,
    /// What it says of its object.
    pub fresh: &'a Fresh,
    /// What its writer may have been looking at.
    pub window: Window<'a>,
}

/// What is there, and was a short while ago.
#[derive(Debug, Default)]
pub struct Scene {
    /// Rollouts.
    pub rollouts: Shelf<Rollout>,
    /// ReplicaSets.
    pub sets: Shelf<Set>,
    /// Services.
    pub services: Shelf<Service>,
    slices: Shelf<Slice>,
    routes: Shelf<Route>,
    offers: Shelf<Offer>,
    /// The tags of repositories that Rollouts follow themselves, where they are known.
    pub pushed: BTreeMap<String, BTreeSet<String>>,
    /// Up to which revision states of a resource were forgotten.
    forgotten: BTreeMap<&'static str, u64>,
}

impl<'a> Case<'a> {
    /// Sees a change against a scene.
    pub fn new(scene: &'a Scene, change: &'a Change, fresh: &'a Fresh) -> Self {
        let since = change.at.millis().saturating_sub_unsigned(DECISION_AGE.millis());
        let window = Window { sight: sight(&change.writer), since: Timestamp::from_millis(since) };
        Self { scene, change, fresh, window }
    }

    /// The identity of the controller that writes, if one does.
    pub fn controller(&self) -> Option<&'a str> {
        match &self.change.writer {
            Writer::Controller { identity, .. } => Some(identity),
            Writer::Other(_) => None,
        }
    }

    /// The namespace of the object.
    pub fn namespace(&self) -> &'a str {
        &self.change.place.namespace
    }

    /// The name of the object.
    pub fn name(&self) -> &'a str {
        &self.change.place.name
    }

    /// A Rollout before and after the write of a controller to it. Such a write names the
    /// resourceVersion that it was decided on: what was before it is what was looked at.
    pub fn own(&self) -> Option<(&'a Rollout, &'a Rollout)> {
        let Fresh::Rollout(Some(is)) = self.fresh else { return None };
        self.controller()?;
        let name = (self.namespace().to_owned(), self.name().to_owned());
        Some((self.scene.rollout(&name)?, is))
    }

    /// Whether the writer looked at a resource at a time that is still remembered.
    pub fn remembers(&self, resource: &str) -> bool {
        let forgotten = kinds(&resource).iter().filter_map(|one| self.scene.forgotten.get(one));
        let forgotten = forgotten.copied().max().unwrap_or(0);
        self.window.told(resource).is_none_or(|told| forgotten <= told)
    }

    /// The Rollouts of the namespace, present or seen by the writer, each with its states.
    pub fn rollouts(&self) -> impl Iterator<Item = Seen<'a>> + use<'a> {
        let (window, scene) = (self.window, self.scene);
        within(&scene.rollouts, self.namespace()).filter_map(move |past| seen(past, window))
    }

    /// A Rollout of any namespace, likewise.
    pub fn named(&self, name: &Name) -> Option<Seen<'a>> {
        seen(self.scene.rollouts.get(name)?, self.window)
    }

    /// The states of a ReplicaSet that the writer may have looked at.
    pub fn set_states(&self, name: &str) -> Vec<Option<&'a Set>> {
        self.states(&self.scene.sets, name, "replicasets")
    }

    /// The states of a Service that the writer may have looked at.
    pub fn service_states(&self, name: &str) -> Vec<Option<&'a Service>> {
        self.states(&self.scene.services, name, "services")
    }

    /// The route that changes, as a routing names it.
    pub fn route(&self) -> String {
        format!("{}/{}", self.change.place.resource, self.name())
    }

    /// Whether the route that changes is one that a routing names or selects.
    pub fn splits(&self, routing: &Routing) -> bool {
        if !ROUTES.contains(&self.change.place.resource) {
            return false;
        }
        let name = self.route();
        let fresh = match self.fresh {
            Fresh::Route(after) => after.as_deref(),
            Fresh::Rollout(_)
            | Fresh::Set(_)
            | Fresh::Service(_)
            | Fresh::Slice(_)
            | Fresh::Offer(_)
            | Fresh::Lease(_)
            | Fresh::Other => None,
        };
        let selected = |route: &Route| route.selected(self.change.place.resource, routing);
        routing.names().contains(&name)
            || fresh.is_some_and(selected)
            || self.route_states(&name).into_iter().flatten().any(selected)
    }

    /// All routes that a routing names, or selected in a state that the writer may have looked at.
    pub fn routes_of(&self, routing: &Routing) -> Vec<String> {
        let mut all = routing.names();
        if routing.selects.is_empty() {
            return all;
        }
        for (name, past) in within_named(&self.scene.routes, self.namespace()) {
            let resource = name.split('/').next().unwrap_or_default();
            let mut states = past.within(self.window, "httproutes").flatten();
            let hit = states.any(|route| route.selected(resource, routing));
            if hit && !all.iter().any(|known| known == name) {
                all.push(name.to_owned());
            }
        }
        all
    }

    /// The states of a route that the writer may have looked at.
    pub fn route_states(&self, name: &str) -> Vec<Option<&'a Route>> {
        self.states(&self.scene.routes, name, "httproutes")
    }

    /// What a source offered in the states that the writer may have looked at.
    pub fn offers(&self, source: &Source) -> Vec<Offer> {
        let past = self.scene.offers.get(&source.name);
        let states = past.into_iter().flat_map(|past| past.within(self.window, source.resource));
        states.flatten().filter_map(|state| state.to(source)).collect()
    }

    fn states<T>(&self, shelf: &'a Shelf<T>, name: &str, resource: &str) -> Vec<Option<&'a T>> {
        let past = shelf.get(&(self.namespace().to_owned(), name.to_owned()));
        let states = past.into_iter().flat_map(|past| past.within(self.window, resource));
        states.map(|state| state.map(Arc::as_ref)).collect()
    }

    /// The ReplicaSets that a Rollout owns or owned in the window: name and states.
    pub fn sets_of(&self, uid: &str) -> Vec<(&'a str, Vec<Option<&'a Set>>)> {
        let window = self.window;
        let scene = self.scene;
        let of = |set: &Set| set.owner.as_deref() == Some(uid);
        within_named(&scene.sets, self.namespace())
            .map(|(name, past)| {
                let states = past.within(window, "replicasets");
                (name, states.map(|state| state.map(Arc::as_ref)).collect::<Vec<_>>())
            })
            .filter(|(_, states)| states.iter().flatten().any(|set| of(set)))
            .collect()
    }

    /// The most ready endpoints that the writer may have seen of a revision behind a Service.
    pub fn most_ready(&self, service: &str, rollout: &str, revision: &str) -> u32 {
        let base = base(rollout, revision);
        self.endpoints(service, |slice| slice.ready.get(&base).copied().unwrap_or(0), Iterator::max)
    }

    /// The most ready endpoints, of whichever pods, that the writer may have seen.
    pub fn most_ready_of_any(&self, service: &str) -> u32 {
        self.endpoints(service, |slice| slice.any, Iterator::max)
    }

    /// The fewest ready endpoints, of whichever pods, that the writer may have seen.
    pub fn least_ready_of_any(&self, service: &str) -> u32 {
        self.endpoints(service, |slice| slice.any, Iterator::min)
    }

    fn endpoints(
        &self,
        service: &str,
        count: impl Fn(&Slice) -> u32,
        extreme: impl Fn(std::vec::IntoIter<u32>) -> Option<u32>,
    ) -> u32 {
        let slices = within(&self.scene.slices, self.namespace()).map(|past| {
            let of = |slice: &&Arc<Slice>| slice.service == service;
            let states = past.within(self.window, "endpointslices");
            let counts: Vec<u32> =
                states.map(|state| state.filter(of).map_or(0, |slice| count(slice))).collect();
            extreme(counts.into_iter()).unwrap_or(0)
        });
        slices.fold(0, u32::saturating_add)
    }
}

fn seen<'a>(past: &'a Past<Arc<Rollout>>, window: Window<'_>) -> Option<Seen<'a>> {
    let told = Window { since: Timestamp::from_millis(i64::MAX), ..window };
    let mut states = past.within(window, "rollouts").flatten().map(Arc::as_ref);
    let now = states.next()?;
    let before: Vec<_> = states.collect();
    let gone = past.now().is_none();
    let exact = match window.sight {
        Some(_) => past.within(told, "rollouts").flatten().count(),
        None => before.len() + 1,
    };
    Some(Seen { now, before, gone, exact: exact.saturating_sub(1) })
}

/// A Rollout as its writer may have seen it.
#[derive(Debug, Clone)]
pub struct Seen<'a> {
    /// Its newest state.
    pub now: &'a Rollout,
    /// The states before it, newest first.
    pub before: Vec<&'a Rollout>,
    /// Whether it is no more.
    pub gone: bool,
    /// How many of these it had not been told the end of, where that is known.
    exact: usize,
}

impl<'a> Seen<'a> {
    /// All states, newest first.
    pub fn states(&self) -> impl Iterator<Item = &'a Rollout> + '_ {
        std::iter::once(self.now).chain(self.before.iter().copied())
    }

    /// The states that its writer had not been told the end of: a turn sees its own last writes, so
    /// that stages are no older.
    pub fn stages(&self) -> impl Iterator<Item = &'a Rollout> + '_ {
        std::iter::once(self.now).chain(self.before.iter().copied().take(self.exact))
    }

    /// The fewest replicas that were asked for.
    pub fn replicas(&self) -> u32 {
        self.states().map(|state| state.spec.replicas).min().unwrap_or(0)
    }

    /// The objects that split the traffic, in each way that was asked for.
    pub fn routings(&self) -> Vec<Routing> {
        let mut all: Vec<Routing> = Vec::new();
        // Spec and route may name other Services at once: the same route holds another pair then.
        let named = |state: &Rollout| {
            let used = state.used().filter(|_| state.renamed())?.names();
            let named = Some(&*state.named);
            named.filter(|named| named.names().iter().any(|name| used.contains(name))).cloned()
        };
        let each = |state: &Rollout| [state.routing(), state.spec.routing(), named(state)];
        for routing in self.states().flat_map(each).flatten() {
            if !all.contains(&routing) {
                all.push(routing);
            }
        }
        all
    }
}

impl Scene {
    /// Reads what a change says of its object.
    pub fn read(&self, change: &Change) -> Fresh {
        let place = &change.place;
        let name = (place.namespace.clone(), place.name.clone());
        let after = change.after.as_deref();
        match place.resource {
            "rollouts" => {
                let known = self.rollouts.get(&name).and_then(Past::now);
                let before = change.before.as_deref().zip(known.map(Arc::as_ref));
                Fresh::Rollout(after.map(|object| Arc::new(Rollout::read(object, before))))
            }
            "replicasets" => Fresh::Set(after.map(|object| Arc::new(Set::read(object)))),
            "services" => Fresh::Service(after.map(|object| Arc::new(Service::read(object)))),
            "endpointslices" => Fresh::Slice(after.map(|object| Arc::new(Slice::read(object)))),
            resource if ROUTES.contains(&resource) => {
                let name = (name.0, format!("{resource}/{}", name.1));
                let known = self.routes.get(&name).and_then(Past::now).map(Arc::as_ref);
                let read = |object| Arc::new(Route::read(object, known, change.at));
                Fresh::Route(after.map(read))
            }
            resource if SOURCES.contains(&resource) => {
                Fresh::Offer(after.and_then(Offer::read).map(Arc::new))
            }
            "leases" => Fresh::Lease(after.map(|object| Arc::new(Lease::read(object)))),
            _ => Fresh::Other,
        }
    }

    /// Keeps what a change says.
    pub fn keep(&mut self, change: &Change, fresh: Fresh) {
        let forgotten = match fresh {
            Fresh::Rollout(what) => keep(&mut self.rollouts, change, what),
            Fresh::Set(what) => keep(&mut self.sets, change, what),
            Fresh::Service(what) => keep(&mut self.services, change, what),
            Fresh::Slice(what) => keep(&mut self.slices, change, what),
            Fresh::Route(what) => {
                let past = self.routes.entry(kind_name(change)).or_insert_with(Past::new);
                past.push(change.revision, change.at, what)
            }
            Fresh::Offer(what) => {
                let past = self.offers.entry(kind_name(change)).or_insert_with(Past::new);
                past.push(change.revision, change.at, what)
            }
            Fresh::Lease(_) | Fresh::Other => return,
        };
        let known = self.forgotten.entry(change.place.resource).or_insert(0);
        *known = forgotten.max(*known);
    }

    /// The present state of a Rollout.
    pub fn rollout(&self, name: &Name) -> Option<&Arc<Rollout>> {
        self.rollouts.get(name).and_then(Past::now)
    }

    /// The present routes that a routing names or selects: `None` where one does not exist.
    pub fn routes_of(&self, namespace: &str, routing: &Routing) -> Vec<(String, Option<&Route>)> {
        let mut names = routing.names();
        for (name, past) in within_named(&self.routes, namespace) {
            let resource = name.split('/').next().unwrap_or_default();
            let hit = past.now().is_some_and(|route| route.selected(resource, routing));
            if hit && !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        let found = |name: String| {
            let route = self.route(&(namespace.to_owned(), name.clone())).map(Arc::as_ref);
            (name, route)
        };
        names.into_iter().map(found).collect()
    }

    /// The present state of a route, by the plural of its kind and its name.
    pub fn route(&self, name: &Name) -> Option<&Arc<Route>> {
        self.routes.get(name).and_then(Past::now)
    }

    /// The present state of a Service.
    pub fn service(&self, name: &Name) -> Option<&Arc<Service>> {
        self.services.get(name).and_then(Past::now)
    }

    /// What a Rollout is offered at present: what its source shows, or the newest tag of the
    /// repository that it follows itself.
    pub fn offered(&self, spec: &Spec) -> Option<Offer> {
        let Some(registry) = &spec.registry else { return self.offer(spec.source.as_ref()?) };
        let tags = self.pushed.get(&registry.image)?.iter();
        let versions = tags.filter_map(|tag| Some((tag, version(tag)?)));
        // Of prereleases that others than the range allow nothing is known here.
        let told = |version: &semver::Version| version.pre.is_empty() || !registry.prereleases;
        let taken = versions.filter(|(_, version)| spec.takes(version) && told(version));
        let newest = taken.max_by(|(_, a), (_, b)| a.cmp_precedence(b));
        newest.map(|(tag, _)| Offer::tagged(&registry.image, tag))
    }

    /// What a source offers at present.
    pub fn offer(&self, source: &Source) -> Option<Offer> {
        self.offers.get(&source.name).and_then(Past::now).and_then(|offer| offer.to(source))
    }

    /// The present ReplicaSets that a Rollout owns, with their names.
    pub fn sets_now<'a>(
        &'a self,
        namespace: &'a str,
        uid: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a Set)> {
        let present = within_named(&self.sets, namespace)
            .filter_map(|(name, past)| Some((name, past.now()?.as_ref())));
        present.filter(move |(_, set)| set.owner.as_deref() == Some(uid))
    }
}

/// The namespace of an object, and its name after the plural of its kind.
fn kind_name(change: &Change) -> Name {
    let place = &change.place;
    (place.namespace.clone(), format!("{}/{}", place.resource, place.name))
}

fn sight(writer: &Writer) -> Option<&Sight> {
    match writer {
        Writer::Controller { seen, .. } => seen.as_deref(),
        Writer::Other(_) => None,
    }
}

fn keep<T>(shelf: &mut Shelf<T>, change: &Change, what: Option<Arc<T>>) -> u64 {
    let name = (change.place.namespace.clone(), change.place.name.clone());
    shelf.entry(name).or_insert_with(Past::new).push(change.revision, change.at, what)
}

fn within<'a, T>(
    shelf: &'a Shelf<T>,
    namespace: &'a str,
) -> impl Iterator<Item = &'a Past<Arc<T>>> + use<'a, T> {
    within_named(shelf, namespace).map(|(_, past)| past)
}

fn within_named<'a, T>(
    shelf: &'a Shelf<T>,
    namespace: &'a str,
) -> impl Iterator<Item = (&'a str, &'a Past<Arc<T>>)> + use<'a, T> {
    let from = shelf.range((namespace.to_owned(), String::new())..);
    from.take_while(move |((space, _), _)| space == namespace)
        .map(|((_, name), past)| (name.as_str(), past))
}
