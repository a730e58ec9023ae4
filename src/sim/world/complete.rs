//! Complete: adds to the manifests of a story what a cluster with such a Rollout would have. It
//! never adds what Stairlock makes itself.

use serde_json::{Value, json};

use crate::api::keys;
use crate::sim::history::Place;
use crate::sim::resource::Resource;
use crate::sim::world::fields::{self, Named};
use crate::sim::world::flux;

/// Adds the sources and routes that Rollouts name and that are not there. Objects
/// without a namespace are of `namespace`.
pub fn complete(objects: &mut Vec<Value>, namespace: &str) {
    let rollouts: Vec<Value> = objects.iter().filter(|o| is(o, "Rollout")).cloned().collect();
    for rollout in rollouts {
        let own = within(&rollout, namespace);
        if let Some(source) = flux::source(&rollout, own) {
            let kind = Resource::named(source.resource).map_or("", |resource| resource.kind);
            if !has(objects, kind, &source, namespace) {
                objects.push(ideal_source(&source));
            }
        }
        let named = fields::named(&rollout);
        for (resource, name) in named.routes.iter().filter(|_| !named.creates) {
            let route = Place::new(resource, own, *name);
            let kind = Resource::named(resource).map_or("", |resource| resource.kind);
            if !has(objects, kind, &route, namespace) {
                objects.push(ideal_route(kind, &route, &named));
            }
        }
    }
}

/// The repositories that Rollouts follow themselves or need digests of, each with the tag that its
/// template has.
pub fn registries(objects: &[Value]) -> Vec<(String, Option<String>)> {
    let one = |rollout: &Value| {
        let image = fields::text(rollout, &["spec", "registry", "image"]);
        let image = Some(image.to_owned()).filter(|image| !image.is_empty());
        let image = image.or_else(|| pinned(rollout))?;
        let containers = fields::items(rollout, &["spec", "template", "spec", "containers"]);
        let mut images = containers.iter().filter_map(fields::image);
        let tag = images.find(|known| known.repository == image).and_then(|known| known.tag);
        Some((image, tag))
    };
    objects.iter().filter(|object| is(object, "Rollout")).filter_map(one).collect()
}

/// The repository of whose images a Rollout has to know the digests, where its source tells
/// versions only.
pub fn pinned(rollout: &Value) -> Option<String> {
    let kind = fields::text(rollout, &["spec", "sourceRef", "kind"]);
    let required = fields::at(rollout, &["spec", "requireDigest"]) == Some(&Value::from(true));
    if !required || !["OCIRepository", "Kustomization"].contains(&kind) {
        return None;
    }
    let named = fields::text(rollout, &["spec", "sourceRef", "image"]);
    let containers = fields::items(rollout, &["spec", "template", "spec", "containers"]);
    let first = || Some(containers.iter().find_map(fields::image)?.repository);
    Some(named.to_owned()).filter(|named| !named.is_empty()).or_else(first)
}

/// Takes out the ImageRepositories; tells the repositories of images that they give to
/// ImagePolicies.
pub fn repositories(objects: &mut Vec<Value>, namespace: &str) -> Vec<(Place, String)> {
    let mut found = Vec::new();
    for policy in objects.iter().filter(|object| is(object, "ImagePolicy")) {
        let own = within(policy, namespace);
        let reference = fields::at(policy, &["spec", "imageRepositoryRef"]).unwrap_or(&Value::Null);
        let there = match fields::text(reference, &["namespace"]) {
            "" => own,
            there => there,
        };
        let named = |object: &&Value| {
            is(object, "ImageRepository")
                && name(object) == fields::text(reference, &["name"])
                && within(object, namespace) == there
        };
        let images = objects.iter().filter(named).map(|one| fields::text(one, &["spec", "image"]));
        if let Some(image) = images.into_iter().find(|image| !image.is_empty()) {
            found.push((Place::new("imagepolicies", own, name(policy)), image.to_owned()));
        }
    }
    objects.retain(|object| !is(object, "ImageRepository"));
    found
}

fn is(object: &Value, kind: &str) -> bool {
    fields::text(object, &["kind"]) == kind
}

fn name(object: &Value) -> &str {
    fields::text(object, &["metadata", "name"])
}

fn within<'a>(object: &'a Value, namespace: &'a str) -> &'a str {
    match fields::text(object, &["metadata", "namespace"]) {
        "" => namespace,
        own => own,
    }
}

fn has(objects: &[Value], kind: &str, place: &Place, namespace: &str) -> bool {
    let mut of_kind = objects.iter().filter(|object| is(object, kind));
    of_kind.any(|one| within(one, namespace) == place.namespace && name(one) == place.name)
}

fn ideal_source(place: &Place) -> Value {
    match place.resource {
        "ocirepositories" => json!({
            "apiVersion": format!("{}/v1", keys::FLUX_SOURCE_GROUP),
            "kind": "OCIRepository",
            "metadata": {"name": place.name, "namespace": place.namespace},
            "spec": {
                "interval": "1m",
                "url": format!("oci://registry.example/manifests/{}", place.name),
                "ref": {"semver": ">=0.0.0-0"},
            },
        }),
        "kustomizations" => json!({
            "apiVersion": format!("{}/v1", keys::FLUX_KUSTOMIZE_GROUP),
            "kind": "Kustomization",
            "metadata": {"name": place.name, "namespace": place.namespace},
            "spec": {
                "interval": "10m",
                "prune": true,
                "sourceRef": {"kind": "OCIRepository", "name": place.name},
            },
        }),
        _ => image_policy(place),
    }
}

fn image_policy(place: &Place) -> Value {
    json!({
        "apiVersion": format!("{}/v1", keys::FLUX_IMAGE_GROUP),
        "kind": "ImagePolicy",
        "metadata": {"name": place.name, "namespace": place.namespace},
        "spec": {
            "imageRepositoryRef": {"name": place.name},
            "policy": {"semver": {"range": ">=0.0.0-0"}},
            "digestReflectionPolicy": "Always",
            "interval": "1m",
        },
    })
}

fn ideal_route(kind: &str, place: &Place, named: &Named<'_>) -> Value {
    let Named { services: [stable, canary], port, .. } = named;
    let backends = [(stable, 100), (canary, 0)]
        .map(|(name, weight)| json!({"name": name, "port": port, "weight": weight}));
    json!({
        "apiVersion": format!("{}/v1", keys::GATEWAY_GROUP),
        "kind": kind,
        "metadata": {"name": place.name, "namespace": place.namespace},
        "spec": {
            "parentRefs": [{"name": "gateway"}],
            "rules": [{"backendRefs": backends}],
        },
    })
}
