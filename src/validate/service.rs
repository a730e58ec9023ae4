//! Service: reads the two Services of a Rollout. It never decides whether one may be written.

use std::collections::{BTreeMap, BTreeSet};

use kube::ResourceExt;
use serde_json::Value;

use crate::api::foreign;
use crate::api::keys;
use crate::model::snapshot::{Identity, LiveService, ReplicaSet, Service};
use crate::model::spec::Spec;
use crate::model::template::Revision;
#[cfg(feature = "planted")]
use crate::planted::{Bug, active};
use crate::validate::owner::{self, Object};
use crate::validate::replica_set::controller;
use crate::validate::seen::Seen;

/// What a Service is read against.
pub struct Scene<'a> {
    /// All that was read.
    pub seen: &'a Seen,
    /// The Rollout.
    pub rollout: &'a Identity,
    /// What it asks for.
    pub spec: &'a Spec,
    /// Its ReplicaSets.
    pub sets: &'a [ReplicaSet],
}

impl Scene<'_> {
    /// Reads the Service of a name.
    pub fn service(&self, name: &str) -> Service {
        let found = self.seen.services.iter().find(|service| service.name_any() == name);
        Service { name: name.to_owned(), live: found.map(|service| self.live(service)) }
    }

    /// The Services that are not named and select a revision of the Rollout: before its status was
    /// lost, it used them.
    pub fn forgotten(&self) -> Vec<Service> {
        let ladder = &self.spec.ladder;
        let named = [&ladder.stable_service, &ladder.canary_service];
        let other = |service: &Service| !named.iter().any(|n| n.as_ref() == Some(&service.name));
        let known = |service: &Service| {
            let selects = service.live.as_ref().and_then(|live| live.selects.as_ref());
            self.sets.iter().any(|set| selects == Some(&set.revision))
        };
        let all = self.seen.services.iter();
        let all = all.map(|s| Service { name: s.name_any(), live: Some(self.live(s)) });
        all.filter(|service| other(service) && known(service)).collect()
    }

    fn live(&self, service: &foreign::Service) -> LiveService {
        let ours = controller(&service.metadata) == Some(&self.rollout.uid);
        let object = Object { group: "", version: "v1", kind: "Service", meta: &service.metadata };
        let owner = owner::of_field(&object, "/spec/selector", &self.seen.kustomizations);
        let selected = service.spec.selector.as_ref().and_then(|s| s.get(keys::LABEL_REVISION));
        let (ready, strangers) = self.endpoints(&service.name_any());
        LiveService {
            uid: service.uid().unwrap_or_default(),
            resource_version: service.resource_version().unwrap_or_default(),
            ours,
            ports: ports(service),
            selects: selected.and_then(|revision| Revision::parse(revision)),
            mismatch: self.mismatch(service, ours),
            owner: owner.filter(|_| !ours),
            ready,
            strangers,
        }
    }

    /// What keeps a Service from carrying traffic to our pods.
    fn mismatch(&self, service: &foreign::Service, ours: bool) -> Option<String> {
        let selector = service.spec.selector.iter().flatten().collect::<BTreeMap<_, _>>();
        if selector.is_empty() {
            return Some("has no selector; give it the labels of spec.selector".to_owned());
        }
        let metadata = self.seen.rollout.spec.template.get("metadata");
        let labels = metadata.and_then(|metadata| metadata.get("labels"));
        let misfit = selector.into_iter().find(|(key, value)| match key.as_str() {
            keys::LABEL_REVISION => Revision::parse(value).is_none(),
            keys::LABEL_ROLLOUT => **value != self.rollout.name,
            _ => {
                let label = labels.and_then(|labels| labels.get(key.as_str()));
                label.and_then(Value::as_str) != Some(value.as_str())
            }
        });
        if let Some((key, value)) = misfit {
            return Some(format!(
                "selects {key}: {value}, which the pods of the template do not carry; change the \
                 selector or spec.template.metadata.labels"
            ));
        }
        // One of ours is given the port.
        if ours { None } else { self.port_missing(service) }
    }

    /// The port matters where a route names it.
    fn port_missing(&self, service: &foreign::Service) -> Option<String> {
        let (port, ports) = (self.spec.ladder.port, ports(service));
        if !self.spec.ladder.routed() || ports.contains(&port) {
            return None;
        }
        let there = match ports.as_slice() {
            [] => "none".to_owned(),
            ports => ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        };
        let field = self.spec.ladder.strategy.field();
        Some(format!("has no port {port}, its ports are: {there}; add it or change {field}.port"))
    }

    /// Counts ready endpoints by revision, and those that are no pods of known revisions. A pod
    /// may stand in several slices and counts once.
    fn endpoints(&self, service: &str) -> (BTreeMap<Revision, u32>, u32) {
        let of_service = |slice: &&std::sync::Arc<foreign::EndpointSlice>| {
            slice.labels().get(keys::SLICE_SERVICE).map(String::as_str) == Some(service)
        };
        let slices = self.seen.slices.iter().filter(of_service);
        let endpoints = slices.flat_map(|slice| slice.endpoints.iter().flatten());
        let ready = endpoints.filter(|endpoint| {
            #[cfg(feature = "planted")]
            if active(Bug::UnreadyEndpointsCount) {
                return true;
            }
            endpoint.conditions.as_ref().and_then(|conditions| conditions.ready) != Some(false)
        });
        let (mut pods, mut strangers) = (BTreeSet::new(), 0_u32);
        for endpoint in ready {
            match pod(endpoint) {
                Some(pod) => drop(pods.insert(pod)),
                None => strangers = strangers.saturating_add(1),
            }
        }
        let mut by_revision = BTreeMap::new();
        let bases = if pods.is_empty() { Vec::new() } else { self.bases() };
        for pod in pods {
            let counted = match revision(&bases, pod) {
                Some(revision) => by_revision.entry(revision.clone()).or_insert(0),
                None => &mut strangers,
            };
            *counted = counted.saturating_add(1);
        }
        (by_revision, strangers)
    }

    /// What the names of the pods of each revision begin with.
    fn bases(&self) -> Vec<(&Revision, String)> {
        let revisions: BTreeSet<&Revision> = self.sets.iter().map(|set| &set.revision).collect();
        let base = |revision: &Revision| revision.pod_base(&self.rollout.name);
        revisions.into_iter().map(|revision| (revision, base(revision))).collect()
    }
}

fn ports(service: &foreign::Service) -> Vec<u16> {
    let ports = service.spec.ports.iter().flatten();
    ports.filter_map(|port| u16::try_from(port.port).ok()).collect()
}

/// The revision of a pod, told by its name; none where two would fit.
fn revision<'a>(bases: &[(&'a Revision, String)], pod: &str) -> Option<&'a Revision> {
    let mut fitting = bases.iter().filter(|(_, base)| {
        pod.strip_prefix(base.as_str()).is_some_and(|random| !random.contains('-'))
    });
    let (first, _) = fitting.next()?;
    fitting.next().is_none().then_some(first)
}

fn pod(endpoint: &foreign::Endpoint) -> Option<&str> {
    let target = endpoint.target_ref.as_ref()?;
    target.name.as_deref().filter(|_| target.kind.as_deref() == Some("Pod"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::template::Template;
    use crate::validate::{fixture, replica_set, rollout};

    const NAME: &str = "shop-stable";

    /// What is read of the Service `shop-stable` as a patch changes it.
    fn read(seen: &mut Seen, service: Value) -> LiveService {
        let base = json!({
            "metadata": {"name": NAME, "namespace": "prod", "uid": "s1", "resourceVersion": "4"},
            "spec": {
                "selector": {"app": "shop", "stairlock.dev/revision": fixture::REVISIONS[0]},
                "ports": [{"port": 8080}],
            },
        });
        seen.services = vec![fixture::object(fixture::merged(&base, &service))];
        seen.replica_sets = fixture::REVISIONS
            .map(|revision| fixture::object(fixture::replica_set(revision, json!({}))))
            .to_vec();
        let identity = rollout::identity(&seen.rollout);
        let spec = rollout::spec(&seen.rollout).unwrap();
        let sets = replica_set::of_rollout(
            &identity,
            &Template::new(seen.rollout.spec.template.clone()),
            &seen.replica_sets,
        );
        let scene = Scene { seen, rollout: &identity, spec: &spec, sets: &sets };
        assert_eq!(scene.service("shop-canary").live, None);
        scene.service(NAME).live.unwrap()
    }

    fn seen() -> Seen {
        fixture::seen(fixture::rollout(json!({})))
    }

    #[test]
    fn a_service_has_to_select_our_pods() {
        let selector = |patch: Value| json!({"spec": {"selector": patch}});
        let port = json!({"spec": {"ports": [{"port": 80}, {"port": 443}]}});
        for (case, service, want) in [
            ("a label of the template and a revision", json!({}), None),
            ("no revision yet", selector(json!({"stairlock.dev/revision": null})), None),
            ("another label of the template", selector(json!({"tier": "web"})), None),
            ("our label", selector(json!({"stairlock.dev/rollout": "shop"})), None),
            (
                "another Rollout's label",
                selector(json!({"stairlock.dev/rollout": "cart"})),
                Some("selects stairlock.dev/rollout: cart"),
            ),
            (
                "a label that the pods do not have",
                selector(json!({"zone": "a"})),
                Some("selects zone: a, which the pods of the template do not carry"),
            ),
            ("another value", selector(json!({"app": "cart"})), Some("selects app: cart")),
            (
                "a revision of another form",
                selector(json!({"stairlock.dev/revision": "v1"})),
                Some("selects stairlock.dev/revision: v1"),
            ),
            ("no selector", json!({"spec": {"selector": null}}), Some("has no selector")),
            ("another port", port, Some("has no port 8080, its ports are: 80, 443; add it or")),
            (
                "no port",
                json!({"spec": {"ports": null}}),
                Some("has no port 8080, its ports are: none"),
            ),
        ] {
            let got = read(&mut seen(), service).mismatch;
            match (&got, want) {
                (None, None) => {}
                (Some(got), Some(want)) => assert!(got.starts_with(want), "{case}: {got}"),
                (Some(_), None) | (None, Some(_)) => panic!("{case}: {got:?}"),
            }
        }
        let canary = json!({"trafficRouting": null});
        let unrouted = fixture::rollout(json!({"spec": {"strategy": {"canary": canary}}}));
        let ports = json!({"spec": {"ports": [{"port": 80}]}});
        assert_eq!(read(&mut fixture::seen(unrouted), ports).mismatch, None, "no route, no port");
    }

    #[test]
    fn a_service_is_ours_or_its_owners() {
        let owner = |uid: &str| {
            json!({"metadata": {"labels": fixture::flux_labels(), "ownerReferences": [{
                "apiVersion": "v1", "kind": "Rollout", "name": "n", "uid": uid,
                "controller": true}]}})
        };
        let ours = read(&mut seen(), owner("u1"));
        assert_eq!((ours.ours, ours.owner), (true, None));
        let mut other = owner("u1");
        other["spec"] = json!({"ports": [{"port": 80}]});
        let ours = read(&mut seen(), other);
        assert_eq!((ours.mismatch, ours.ports), (None, vec![80]), "it is given the port");
        let theirs = read(&mut seen(), owner("u2"));
        assert_eq!(theirs.owner.as_deref(), Some("Kustomization flux-system/apps"));
        assert!(!theirs.ours);
        let selects = theirs.selects.as_ref().map(Revision::as_str);
        assert_eq!(selects, Some(fixture::REVISIONS[0]));
    }

    fn slice(service: &str, endpoints: &[(&str, Value)]) -> std::sync::Arc<foreign::EndpointSlice> {
        let endpoint = |(pod, ready): &(&str, Value)| {
            let target = json!({"kind": "Pod", "name": pod});
            json!({"conditions": {"ready": ready}, "targetRef": target})
        };
        let endpoints: Vec<Value> = endpoints.iter().map(endpoint).collect();
        fixture::object(json!({
            "metadata": {"name": "s", "labels": {"kubernetes.io/service-name": service}},
            "endpoints": endpoints,
        }))
    }

    #[test]
    fn ready_endpoints_are_counted_by_revision() {
        let (yes, no) = (json!(true), json!(false));
        let mut seen = seen();
        let bare = fixture::object(json!({
            "metadata": {"labels": {"kubernetes.io/service-name": NAME}},
            "endpoints": [{"conditions": {"ready": true}}],
        }));
        seen.slices = vec![
            slice(NAME, &[("shop-aaaaaaaaaa-x1", yes.clone()), ("shop-aaaaaaaaaa-x2", no.clone())]),
            slice(
                NAME,
                &[("shop-aaaaaaaaaa-x1", yes.clone()), ("shop-aaaaaaaaaa-x3", Value::Null)],
            ),
            slice(NAME, &[("shop-bbbbbbbbbb-y1", yes.clone()), ("cart-1", yes.clone())]),
            slice(NAME, &[("shop-aaaaaaaaaa-b-x9", yes.clone()), ("cart-1", yes.clone())]),
            slice("other", &[("shop-bbbbbbbbbb-y2", yes)]),
            bare,
        ];
        let live = read(&mut seen, json!({}));
        let [a, b] = fixture::REVISIONS.map(|text| Revision::parse(text).unwrap());
        assert_eq!((live.ready_of(&a), live.ready_of(&b), live.strangers), (2, 1, 3));
    }

    #[test]
    fn a_long_pod_name_is_cut_as_the_api_server_cuts_it() {
        let name = "s".repeat(52);
        let labels = json!({"stairlock.dev/rollout": name});
        let mut seen = fixture::seen(fixture::rollout(json!({"metadata": {"name": name}})));
        let full = format!("{name}-{}-", fixture::REVISIONS[0]);
        let pod = format!("{}x4k2p", full.split_at(58).0);
        seen.slices = vec![slice(NAME, &[(&pod, json!(true))])];
        let live = read(&mut seen, json!({"spec": {"selector": labels}}));
        assert_eq!(live.ready.values().copied().collect::<Vec<_>>(), [1]);
        assert_eq!(pod.len(), 63);
    }
}
