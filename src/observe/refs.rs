//! Refs: which other objects an object names, and what of it is worth keeping in memory.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, ObjectMeta};
use kube::Resource;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api::check::HealthCheck;
use crate::api::foreign::{
    EndpointSlice, GrpcRoute, HttpRoute, ImagePolicy, KuberikRollout, Kustomization, Namespace,
    OciRepository, ReplicaSet, Service,
};
use crate::api::gate::RolloutGate;
use crate::api::inspected::Inspected;
use crate::api::keys;
use crate::api::kind::{Kind, Reference};
use crate::api::rollout::{Rollout, SourceKind};
use crate::api::schedule::{ClusterRolloutSchedule, RolloutSchedule};
use crate::observe::light;
use crate::validate::binding::{self, Claim};
use crate::validate::{check, kstatus};

/// The copy of the whole object that client-side apply leaves on it.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What is read of the spec of an ImagePolicy: how it chooses.
const CHOICE: [&str; 3] = ["imageRepositoryRef", "policy", "filterTags"];

/// A kind that a store holds.
pub trait Watched: Resource + DeserializeOwned + Send + Sync + 'static {
    /// The kind.
    const KIND: Kind;

    /// Whether the store takes what our own writes are answered with: then most that its watch
    /// tells of is known.
    const ANSWERED: bool = false;

    /// Reads one from JSON.
    ///
    /// # Errors
    /// What cannot be read.
    fn read(text: &str) -> serde_json::Result<Self> {
        serde_json::from_str(text)
    }

    /// Tells which objects it names; a store finds it by each of them.
    fn refs(&self) -> Vec<Reference>;

    /// Drops what nobody reads.
    fn trim(&mut self);

    /// Takes over what is known of its last version and is as true of this one.
    fn inherit(&mut self, _last: &Self) {}
}

impl Watched for Rollout {
    const KIND: Kind = Kind::Rollout;

    const ANSWERED: bool = true;

    fn read(text: &str) -> serde_json::Result<Self> {
        light::rollout(text)
    }

    fn refs(&self) -> Vec<Reference> {
        let own = namespace(&self.metadata);
        let service = |name: &String| Reference::new(Kind::Service, own, name);
        let mut refs: Vec<Reference> = self.services().map(service).collect();
        let mut routes: BTreeSet<Reference> = used(self).into_iter().collect();
        if let Some(api) = self.spec.strategy.gateway() {
            let rollout = self.metadata.name.as_deref().unwrap_or_default();
            let named = api.named(rollout);
            routes.extend(named.map(|(kind, name)| Reference::new(kind, own, name)));
            routes.extend(api.labelled().map(|(kind, _)| Reference::any(kind, own)));
        }
        refs.extend(routes);
        let source = source(self);
        let applied = kustomization(&self.metadata).filter(|one| Some(one) != source.as_ref());
        refs.extend(source);
        refs.extend(applied);
        let known: BTreeSet<Reference> = delivered(self).into_iter().collect();
        refs.extend(known.into_iter().filter(|one| !refs.contains(one)).collect::<Vec<_>>());
        if let Some(wanted) = &self.spec.health_check_selector {
            let many = wanted.namespace_selector.is_some();
            refs.push(Reference::any(Kind::HealthCheck, if many { "" } else { own }));
            refs.extend(many.then(|| Reference::any(Kind::Namespace, "")));
        }
        refs
    }

    fn trim(&mut self) {
        if let Some(entries) = &mut self.metadata.managed_fields {
            entries.retain(owns_image);
        }
        drop_last_applied(&mut self.metadata);
    }

    /// Most writes are of status: its template need not be hashed anew.
    fn inherit(&mut self, last: &Self) {
        if self.spec.template == last.spec.template {
            self.spec.template_id.clone_from(&last.spec.template_id);
        }
    }
}

impl Watched for RolloutGate {
    const KIND: Kind = Kind::RolloutGate;

    fn refs(&self) -> Vec<Reference> {
        let own = namespace(&self.metadata);
        let one = self.spec.rollout_ref.iter();
        let one = one.map(|rollout| Reference::new(Kind::Rollout, own, &rollout.name));
        let many = self.spec.rollout_selector.iter().map(|_| Reference::any(Kind::Rollout, own));
        one.chain(many).chain(depends_on(self)).chain(maker(&self.metadata)).collect()
    }

    fn trim(&mut self) {
        bare(&mut self.metadata);
    }
}

impl Watched for RolloutSchedule {
    const KIND: Kind = Kind::RolloutSchedule;

    fn refs(&self) -> Vec<Reference> {
        Vec::new()
    }

    fn trim(&mut self) {
        bare(&mut self.metadata);
    }
}

impl Watched for ClusterRolloutSchedule {
    const KIND: Kind = Kind::ClusterRolloutSchedule;

    fn refs(&self) -> Vec<Reference> {
        let asks = self.spec.namespace_selector.iter();
        asks.map(|_| Reference::any(Kind::Namespace, "")).collect()
    }

    fn trim(&mut self) {
        bare(&mut self.metadata);
    }
}

impl Watched for HealthCheck {
    const KIND: Kind = Kind::HealthCheck;

    fn refs(&self) -> Vec<Reference> {
        let named = check::kustomization(self);
        named.map(|key| Reference { kind: Kind::Kustomization, key }).into_iter().collect()
    }

    fn trim(&mut self) {
        self.metadata.managed_fields = None;
        if let Some(annotations) = &mut self.metadata.annotations {
            annotations.retain(|key, _| key == keys::CHECKED_KUBERIK);
        }
    }
}

impl Watched for Inspected {
    const KIND: Kind = Kind::Applied;

    fn refs(&self) -> Vec<Reference> {
        kustomization(&self.metadata).into_iter().collect()
    }

    fn trim(&mut self) {
        kstatus::trim(&mut self.whole);
        self.metadata.annotations = None;
        self.metadata.owner_references = None;
    }
}

impl Watched for Namespace {
    const KIND: Kind = Kind::Namespace;

    fn refs(&self) -> Vec<Reference> {
        Vec::new()
    }

    fn trim(&mut self) {
        self.metadata.managed_fields = None;
        self.metadata.annotations = None;
    }
}

/// Names the schedule that made a gate.
fn maker(meta: &ObjectMeta) -> Option<Reference> {
    let group = format!("{}/", keys::GROUP);
    let owners = meta.owner_references.iter().flatten();
    let mut owners = owners.filter(|owner| owner.api_version.starts_with(&group));
    owners.find_map(|owner| match owner.kind.as_str() {
        "RolloutSchedule" => {
            Some(Reference::new(Kind::RolloutSchedule, namespace(meta), &owner.name))
        }
        "ClusterRolloutSchedule" => {
            Some(Reference::new(Kind::ClusterRolloutSchedule, "", &owner.name))
        }
        _ => None,
    })
}

/// Names the Rollout that a gate depends on.
pub fn depends_on(gate: &RolloutGate) -> Option<Reference> {
    let other = &gate.spec.depends_on.as_ref()?.rollout;
    let namespace = other.namespace.as_deref().unwrap_or(namespace(&gate.metadata));
    Some(Reference::new(Kind::Rollout, namespace, &other.name))
}

/// The template that a ReplicaSet was made of, as its annotation tells it.
fn template(set: &ReplicaSet) -> Option<&String> {
    set.metadata.annotations.as_ref()?.get(keys::ANNOTATION_TEMPLATE)
}

impl Watched for ReplicaSet {
    const KIND: Kind = Kind::ReplicaSet;

    fn refs(&self) -> Vec<Reference> {
        let own = namespace(&self.metadata);
        let labels = self.metadata.labels.as_ref();
        let label = labels.and_then(|labels| labels.get(keys::LABEL_ROLLOUT));
        let owners = self.metadata.owner_references.iter().flatten();
        let group = format!("{}/", keys::GROUP);
        let owner = owners
            .filter(|owner| owner.kind == "Rollout" && owner.api_version.starts_with(&group))
            .map(|owner| &owner.name);
        let names = label.into_iter().chain(owner);
        names.map(|name| Reference::new(Kind::Rollout, own, name)).collect()
    }

    fn trim(&mut self) {
        self.metadata.managed_fields = None;
    }

    /// Most changes are of numbers of pods: what it was made of need not be read anew.
    fn inherit(&mut self, last: &Self) {
        if template(self) == template(last) {
            self.made_of.clone_from(&last.made_of);
        }
    }
}

impl Watched for Service {
    const KIND: Kind = Kind::Service;

    fn refs(&self) -> Vec<Reference> {
        kustomization(&self.metadata).into_iter().collect()
    }

    fn trim(&mut self) {
        if let Some(entries) = &mut self.metadata.managed_fields {
            entries.retain(turned);
        }
        drop_last_applied(&mut self.metadata);
    }
}

impl Watched for EndpointSlice {
    const KIND: Kind = Kind::EndpointSlice;

    fn refs(&self) -> Vec<Reference> {
        let labels = self.metadata.labels.as_ref();
        let service = labels.and_then(|labels| labels.get(keys::SLICE_SERVICE));
        let own = namespace(&self.metadata);
        service.map(|name| Reference::new(Kind::Service, own, name)).into_iter().collect()
    }

    fn trim(&mut self) {
        self.metadata.managed_fields = None;
        self.metadata.annotations = None;
        self.metadata.owner_references = None;
    }
}

impl Watched for ImagePolicy {
    const KIND: Kind = Kind::ImagePolicy;

    fn read(text: &str) -> serde_json::Result<Self> {
        light::unmanaged(text)
    }

    fn refs(&self) -> Vec<Reference> {
        Vec::new()
    }

    fn trim(&mut self) {
        self.metadata.managed_fields = None;
        self.metadata.annotations = None;
        if let Value::Object(fields) = &mut self.spec {
            fields.retain(|key, _| CHOICE.contains(&key.as_str()));
        }
    }
}

impl Watched for HttpRoute {
    const KIND: Kind = Kind::HttpRoute;

    fn refs(&self) -> Vec<Reference> {
        let own = kustomization(&self.metadata).into_iter();
        own.chain(backends(&self.spec, namespace(&self.metadata))).collect()
    }

    fn trim(&mut self) {
        bare(&mut self.metadata);
    }
}

impl Watched for GrpcRoute {
    const KIND: Kind = Kind::GrpcRoute;

    fn refs(&self) -> Vec<Reference> {
        let own = kustomization(&self.metadata).into_iter();
        own.chain(backends(&self.spec.0, namespace(&self.metadata))).collect()
    }

    fn trim(&mut self) {
        bare(&mut self.metadata);
    }
}

impl Watched for OciRepository {
    const KIND: Kind = Kind::OciRepository;

    fn read(text: &str) -> serde_json::Result<Self> {
        light::bindable(text)
    }

    fn refs(&self) -> Vec<Reference> {
        let own = kustomization(&self.metadata).into_iter();
        own.chain(claimed(&self.metadata, Kind::OciRepository)).collect()
    }

    fn trim(&mut self) {
        bound(&mut self.metadata, &["f:spec", "f:ref"]);
    }
}

impl Watched for Kustomization {
    const KIND: Kind = Kind::Kustomization;

    fn read(text: &str) -> serde_json::Result<Self> {
        light::bindable(text)
    }

    fn refs(&self) -> Vec<Reference> {
        let own = kustomization(&self.metadata).into_iter();
        let source = self.spec.source_ref.iter().filter(|source| source.kind == "OCIRepository");
        let source = source.map(|source| {
            let namespace = source.namespace.as_deref().unwrap_or(namespace(&self.metadata));
            Reference::new(Kind::OciRepository, namespace, &source.name)
        });
        own.chain(source).chain(claimed(&self.metadata, Kind::Kustomization)).collect()
    }

    fn trim(&mut self) {
        bound(&mut self.metadata, &["f:spec", "f:postBuild"]);
    }
}

impl Watched for KuberikRollout {
    const KIND: Kind = Kind::KuberikRollout;

    fn refs(&self) -> Vec<Reference> {
        Vec::new()
    }

    fn trim(&mut self) {
        bare(&mut self.metadata);
    }
}

/// Names the object that offers the releases of a Rollout.
pub fn source(rollout: &Rollout) -> Option<Reference> {
    let source = rollout.spec.source_ref.as_ref()?;
    let kind = match source.kind {
        SourceKind::ImagePolicy => Kind::ImagePolicy,
        SourceKind::OCIRepository => Kind::OciRepository,
        SourceKind::Kustomization => Kind::Kustomization,
    };
    let own = namespace(&rollout.metadata);
    Some(Reference::new(kind, source.namespace.as_deref().unwrap_or(own), &source.name))
}

/// The Rollouts that annotations name; by kuberik's spelling one of kuberik's, too. Where one can
/// name none, it is found as what is about any Rollout of its namespace.
fn claimed(meta: &ObjectMeta, kind: Kind) -> Vec<Reference> {
    let reads = binding::reads(kind);
    let both = |claim: Claim| {
        let Claim { rollout: key, alias, .. } = claim;
        let kuberik = Reference { kind: Kind::KuberikRollout, key: key.clone() };
        [Some(Reference { kind: Kind::Rollout, key }), Some(kuberik).filter(|_| alias)]
    };
    let claims = binding::claims(meta, reads).into_iter();
    let mut all: Vec<Reference> = claims.flat_map(both).flatten().collect();
    if !binding::nameless(meta, reads).is_empty() {
        all.push(Reference::any(Kind::Rollout, namespace(meta)));
    }
    all.sort();
    all.dedup();
    all
}

/// Drops what nobody reads of the metadata of an object that may bind a field: who has the field is
/// read only where it does.
fn bound(meta: &mut ObjectMeta, path: &[&str]) {
    let annotations = meta.annotations.get_or_insert_default();
    annotations.retain(|key, _| {
        let ours = key.split_once('/').is_some_and(|(group, _)| group == keys::GROUP);
        ours || [keys::FLUX_SSA, keys::FLUX_REQUEST].contains(&key.as_str())
            || key.starts_with(keys::BIND_VARIABLE_KUBERIK)
            || key == keys::BIND_TAG_KUBERIK
    });
    let flux = [keys::FLUX_SSA, keys::FLUX_REQUEST];
    let binds = annotations.keys().any(|key| !flux.contains(&key.as_str()));
    if let Some(entries) = meta.managed_fields.as_mut().filter(|_| binds) {
        entries.retain(|entry| has(entry, path));
    } else {
        meta.managed_fields = None;
    }
}

/// Tells whether a manager has a field, or a part of it, or a whole that holds it.
fn has(entry: &ManagedFieldsEntry, path: &[&str]) -> bool {
    let Some(fields) = &entry.fields_v1 else { return false };
    let mut node = &fields.0;
    for part in path {
        match node.get(part) {
            Some(below) => node = below,
            None => return node.as_object().is_some_and(|parts| parts.is_empty()),
        }
    }
    true
}

/// The routes that the attempt in progress of a Rollout uses.
fn used(rollout: &Rollout) -> Vec<Reference> {
    let own = namespace(&rollout.metadata);
    let attempt = rollout.status.as_ref().and_then(|status| status.attempt.as_ref());
    let routing = attempt.and_then(|attempt| attempt.routing.as_ref());
    let all = routing.iter().flat_map(|routing| routing.all());
    let kind = |word: &str| {
        [Kind::HttpRoute, Kind::GrpcRoute].into_iter().find(|kind| kind.as_str() == word)
    };
    all.filter_map(|(word, name)| Some(Reference::new(kind(word)?, own, name))).collect()
}

/// The Flux objects that a Rollout has delivered to and that bind a field to it.
fn delivered(rollout: &Rollout) -> Vec<Reference> {
    let targets = rollout.status.iter().flat_map(|status| &status.targets);
    let named = targets.filter(|target| !target.unbound).filter_map(|target| {
        let kinds = [Kind::OciRepository, Kind::Kustomization];
        let kind = kinds.into_iter().find(|kind| kind.as_str() == target.kind)?;
        Some(Reference::new(kind, &target.namespace, &target.name))
    });
    named.collect()
}

/// The Services of its namespace that a route leads to: by them it is found where a Rollout selects
/// its routes by labels.
fn backends(spec: &Value, own: &str) -> BTreeSet<Reference> {
    let list = |value: &Value, key: &str| {
        value.get(key).and_then(Value::as_array).cloned().unwrap_or_default()
    };
    let service = |backend: &Value| {
        let text = |key: &str| backend.get(key).and_then(Value::as_str);
        let ours = text("kind").unwrap_or("Service") == "Service"
            && text("group").unwrap_or_default().is_empty()
            && text("namespace").unwrap_or(own) == own;
        text("name").filter(|_| ours).map(|name| Reference::new(Kind::Service, own, name))
    };
    let rules = list(spec, "rules");
    let backends = rules.iter().flat_map(|rule| list(rule, "backendRefs"));
    backends.filter_map(|backend| service(&backend)).collect()
}

/// Names the Kustomization that applies an object.
pub fn applied(object: &impl Watched) -> Option<Reference> {
    kustomization(object.meta())
}

/// Names the Kustomization that applies an object.
fn kustomization(meta: &ObjectMeta) -> Option<Reference> {
    let labels = meta.labels.as_ref()?;
    let (name, namespace) = (labels.get(keys::FLUX_NAME)?, labels.get(keys::FLUX_NAMESPACE)?);
    Some(Reference::new(Kind::Kustomization, namespace, name))
}

fn namespace(meta: &ObjectMeta) -> &str {
    meta.namespace.as_deref().unwrap_or_default()
}

/// Drops what nobody reads of the metadata of an object that somebody else applies.
fn bare(meta: &mut ObjectMeta) {
    meta.managed_fields = None;
    drop_last_applied(meta);
}

fn drop_last_applied(meta: &mut ObjectMeta) {
    if let Some(annotations) = &mut meta.annotations {
        annotations.remove(LAST_APPLIED);
    }
}

/// Tells whether a manager owns the image of a container, or the template as a whole.
fn owns_image(entry: &ManagedFieldsEntry) -> bool {
    let Some(fields) = &entry.fields_v1 else { return false };
    let Some(template) = fields.0.get("f:spec").and_then(|spec| spec.get("f:template")) else {
        return false;
    };
    let Some(spec) = template.get("f:spec") else {
        return template.as_object().is_some_and(|fields| fields.is_empty());
    };
    let lists = ["f:containers", "f:initContainers"].into_iter().filter_map(|key| spec.get(key));
    let mut items = lists.filter_map(Value::as_object).flat_map(|list| list.values());
    items.any(|item| item.get("f:image").is_some())
}

/// Tells whether it was us who wrote the selector of a Service.
fn turned(entry: &ManagedFieldsEntry) -> bool {
    let selector = |fields: &FieldsV1| fields.0.pointer("/f:spec/f:selector").is_some();
    let ours = entry.manager.as_deref() == Some(keys::FIELD_MANAGER);
    ours && entry.fields_v1.as_ref().is_some_and(selector)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_entries_that_own_an_image_are_kept() {
        let image = |list: &str| {
            json!({"f:spec": {"f:template": {"f:spec": {
                list: {"k:{\"name\":\"app\"}": {".": {}, "f:name": {}, "f:image": {}}}}}}})
        };
        let name = json!({"f:spec": {"f:template": {"f:spec": {
            "f:containers": {"k:{\"name\":\"app\"}": {".": {}, "f:name": {}}}}}}});
        for (case, fields, keep) in [
            ("a container's image", image("f:containers"), true),
            ("an init container's image", image("f:initContainers"), true),
            ("a container without image", name, false),
            ("replicas", json!({"f:spec": {"f:replicas": {}}}), false),
            ("the template as one value", json!({"f:spec": {"f:template": {}}}), true),
            ("status", json!({"f:status": {"f:phase": {}}}), false),
        ] {
            let entry: ManagedFieldsEntry =
                serde_json::from_value(json!({"manager": "m", "fieldsV1": fields})).unwrap();
            assert_eq!(owns_image(&entry), keep, "{case}");
        }
    }

    #[test]
    fn a_rollout_names_what_it_uses() {
        let rollout: Rollout = serde_json::from_value(json!({
            "apiVersion": "stairlock.dev/v1alpha1", "kind": "Rollout",
            "metadata": {
                "name": "shop", "namespace": "prod",
                "labels": {
                    "kustomize.toolkit.fluxcd.io/name": "apps",
                    "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
                },
            },
            "spec": {
                "sourceRef": {"kind": "ImagePolicy", "name": "tags", "namespace": "flux-system"},
                "selector": {"matchLabels": {"app": "shop"}},
                "template": {"spec": {"containers": [{"name": "app"}]}},
                "strategy": {"canary": {
                    "stableService": "a", "canaryService": "b", "steps": [{"setWeight": 50}],
                    "trafficRouting": {"gatewayAPI": {"httpRoute": "shop"}},
                }},
            },
        }))
        .unwrap();
        let refs: Vec<String> = rollout.refs().iter().map(ToString::to_string).collect();
        assert_eq!(
            refs,
            [
                "Service prod/a",
                "Service prod/b",
                "HTTPRoute prod/shop",
                "ImagePolicy flux-system/tags",
                "Kustomization flux-system/apps",
            ]
        );
    }
}
