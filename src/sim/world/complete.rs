//! Complete: adds to the manifests of a story what a cluster with such a Rollout would have. It
//! never adds what Stairlock makes itself.

use serde_json::{Value, json};

use crate::api::keys;
use crate::sim::history::Place;
use crate::sim::world::fields;
use crate::sim::world::flux;

/// Adds the ImagePolicies and HTTPRoutes that Rollouts name and that are not there. Objects
/// without a namespace are of `namespace`.
pub fn complete(objects: &mut Vec<Value>, namespace: &str) {
    let rollouts: Vec<Value> = objects.iter().filter(|o| is(o, "Rollout")).cloned().collect();
    for rollout in rollouts {
        let own = match fields::text(&rollout, &["metadata", "namespace"]) {
            "" => namespace,
            own => own,
        };
        if let Some(policy) = flux::source(&rollout, own) {
            if !has(objects, "ImagePolicy", &policy, namespace) {
                objects.push(image_policy(&policy));
            }
        }
        let canary = fields::at(&rollout, &["spec", "strategy", "canary"]);
        let canary = canary.unwrap_or(&Value::Null);
        let name = fields::text(canary, &["trafficRouting", "gatewayAPI", "httpRoute"]);
        let route = Place::new("httproutes", own, name);
        if !name.is_empty() && !has(objects, "HTTPRoute", &route, namespace) {
            objects.push(http_route(&route, canary));
        }
    }
}

/// Tells the repositories that ImageRepositories among the objects give to ImagePolicies.
pub fn repositories(objects: &[Value], namespace: &str) -> Vec<(Place, String)> {
    let within = |object: &Value| match fields::text(object, &["metadata", "namespace"]) {
        "" => namespace.to_owned(),
        own => own.to_owned(),
    };
    let mut found = Vec::new();
    for policy in objects.iter().filter(|object| is(object, "ImagePolicy")) {
        let reference = fields::at(policy, &["spec", "imageRepositoryRef"]).unwrap_or(&Value::Null);
        let there = match fields::text(reference, &["namespace"]) {
            "" => within(policy),
            there => there.to_owned(),
        };
        let named = |object: &&Value| {
            is(object, "ImageRepository")
                && fields::text(object, &["metadata", "name"]) == fields::text(reference, &["name"])
                && within(object) == there
        };
        let image =
            objects.iter().find(named).map(|object| fields::text(object, &["spec", "image"]));
        if let Some(image) = image.filter(|image| !image.is_empty()) {
            let name = fields::text(policy, &["metadata", "name"]);
            found.push((Place::new("imagepolicies", within(policy), name), image.to_owned()));
        }
    }
    found
}

fn is(object: &Value, kind: &str) -> bool {
    fields::text(object, &["kind"]) == kind
}

fn has(objects: &[Value], kind: &str, place: &Place, namespace: &str) -> bool {
    objects.iter().any(|object| {
        let own = fields::text(object, &["metadata", "namespace"]);
        let own = if own.is_empty() { namespace } else { own };
        is(object, kind)
            && own == place.namespace
            && fields::text(object, &["metadata", "name"]) == place.name
    })
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

fn http_route(place: &Place, canary: &Value) -> Value {
    let port = fields::number(canary, &["port"]).unwrap_or(80);
    let backend = |service: &str, weight: u32| json!({"name": fields::text(canary, &[service]), "port": port, "weight": weight});
    json!({
        "apiVersion": format!("{}/v1", keys::GATEWAY_GROUP),
        "kind": "HTTPRoute",
        "metadata": {"name": place.name, "namespace": place.namespace},
        "spec": {
            "parentRefs": [{"name": "gateway"}],
            "rules": [{"backendRefs": [backend("stableService", 100), backend("canaryService", 0)]}],
        },
    })
}
