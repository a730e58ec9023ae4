//! The objects of an ordinary shop: a Rollout, its route, its Services, its source.

use serde_json::{Value, json};

use super::json::{merged, text};
use super::rig::rig;
use super::story::{SHOP, Story};

/// The Services of the shop.
pub const STABLE: &str = "shop-stable";
pub const CANARY: &str = "shop-canary";

/// A ladder that needs no person.
pub fn quick() -> Value {
    json!([{"setWeight": 50}, {"setWeight": 100}])
}

/// A ladder that waits for a person at its first step.
pub fn gated() -> Value {
    json!([{"setWeight": 20, "pause": {}}, {"setWeight": 50}, {"setWeight": 100}])
}

/// A ladder that waits for a person at two of its steps.
pub fn gated_twice() -> Value {
    json!([{"setWeight": 20, "pause": {}}, {"setWeight": 50, "pause": {}}, {"setWeight": 100}])
}

/// A Rollout without a router: a ladder of replicas.
pub fn rollout(story: &Story, tag: &str, steps: Value) -> Value {
    named(SHOP, &story.image(tag), steps)
}

/// A Rollout of any name and image, without a router.
pub fn named(name: &str, image: &str, steps: Value) -> Value {
    json!({
        "apiVersion": "stairlock.dev/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [
                    {"name": "app", "image": image, "ports": [{"containerPort": 8080}]},
                ]},
            },
            "strategy": {"canary": {"steps": steps}},
        },
    })
}

/// A Rollout behind the route of the shop.
pub fn routed(story: &Story, tag: &str, steps: Value) -> Value {
    let over = json!({"spec": {"strategy": {"canary": {
        "stableService": STABLE,
        "canaryService": CANARY,
        "port": 8080,
        "trafficRouting": {"gatewayAPI": {"httpRoute": SHOP}},
    }}}});
    merged(rollout(story, tag, steps), &over)
}

/// The same Rollout, or its route, for gRPC.
pub fn grpc(object: Value) -> Value {
    if text(&object, "/kind") == "Rollout" {
        let route = json!({"gatewayAPI": {"httpRoute": null, "grpcRoute": SHOP}});
        return merged(
            object,
            &json!({"spec": {"strategy": {"canary": {"trafficRouting": route}}}}),
        );
    }
    merged(object, &json!({"kind": "GRPCRoute"}))
}

/// The same Rollout with the ImagePolicy of the shop as its source.
pub fn sourced(rollout: Value) -> Value {
    let over = json!({"spec": {"sourceRef": {"kind": "ImagePolicy", "name": SHOP}}});
    merged(rollout, &over)
}

/// The same Rollout with a number of pods.
pub fn sized(rollout: Value, replicas: i64) -> Value {
    merged(rollout, &json!({"spec": {"replicas": replicas}}))
}

/// The same Rollout with two sides in place of its strategy; `over` says more of them.
pub fn two_sides(mut rollout: Value, over: &Value) -> Value {
    let sides = json!({"activeService": STABLE, "previewService": CANARY, "port": 8080});
    rollout["spec"]["strategy"] = json!({"blueGreen": merged(sides, over)});
    rollout
}

/// The same Rollout with an experiment in place of its strategy; `over` says more of it.
pub fn experiment(mut rollout: Value, over: &Value) -> Value {
    let chosen = json!({"variantAService": STABLE, "variantBService": CANARY, "port": 8080,
        "variantBMatch": {"header": {"name": "x-group", "value": "b"}},
        "trafficRouting": {"gatewayAPI": {"httpRoute": SHOP}}});
    rollout["spec"]["strategy"] = json!({"abTesting": merged(chosen, over)});
    rollout
}

/// The same Rollout without an image in its template.
pub fn imageless(mut rollout: Value) -> Value {
    let container = rollout.pointer_mut("/spec/template/spec/containers/0");
    container.unwrap().as_object_mut().unwrap().remove("image");
    rollout
}

/// The route of the shop behind the fake gateway: all traffic on the stable side.
pub fn route() -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": SHOP},
        "spec": {
            "parentRefs": [{"name": "fake", "namespace": "gw"}],
            "rules": [{"backendRefs": [
                {"name": STABLE, "port": 8080, "weight": 100},
                {"name": CANARY, "port": 8080, "weight": 0},
            ]}],
        },
    })
}

/// A Service that selects the shop's pods.
pub fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": SHOP}, "ports": [{"port": 8080, "targetPort": 8080}]},
    })
}

/// The same object as kustomize-controller would label it, of a Kustomization beside it.
pub fn from_git(story: &Story, object: Value) -> Value {
    let over = json!({"metadata": {"labels": {
        "kustomize.toolkit.fluxcd.io/name": "apps",
        "kustomize.toolkit.fluxcd.io/namespace": story.namespace(),
    }}});
    merged(object, &over)
}

/// The Kustomization of [`from_git`], with paths of a kind that it leaves alone.
pub fn kustomization(kind: &str, ignored: &[&str]) -> Value {
    let mut object = json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": "apps"},
        "spec": {
            "interval": "10m",
            "path": "./",
            "prune": true,
            "sourceRef": {"kind": "GitRepository", "name": "apps"},
        },
    });
    if !ignored.is_empty() {
        object["spec"]["ignore"] = json!([{"paths": ignored, "target": {"kind": kind}}]);
    }
    object
}

/// The ImageRepository of the shop.
pub fn image_repository(story: &Story) -> Value {
    json!({
        "apiVersion": "image.toolkit.fluxcd.io/v1",
        "kind": "ImageRepository",
        "metadata": {"name": SHOP},
        "spec": {"image": story.repository(), "interval": "1m", "insecure": true},
    })
}

/// The ImagePolicy of the shop: the highest version, prereleases too.
pub fn image_policy() -> Value {
    json!({
        "apiVersion": "image.toolkit.fluxcd.io/v1",
        "kind": "ImagePolicy",
        "metadata": {"name": SHOP},
        "spec": {
            "imageRepositoryRef": {"name": SHOP},
            "policy": {"semver": {"range": ">=0.0.0-0"}},
        },
    })
}

/// The source of the releases of one Rollout among several.
pub fn sources_of(story: &Story, of: &str) -> [Value; 2] {
    let over = json!({"metadata": {"name": of}, "spec": {"image": story.repository_of(of)}});
    let repository = merged(image_repository(story), &over);
    let over = json!({"metadata": {"name": of}, "spec": {"imageRepositoryRef": {"name": of}}});
    [repository, merged(image_policy(), &over)]
}

impl Story {
    /// Pushes a tag and makes the source that offers it; waits until it does.
    pub async fn offer(&self, tag: &str) {
        self.push(tag).await;
        let policies = self.watch("ImagePolicy").await;
        self.cluster.add(image_repository(self)).await;
        self.cluster.add(image_policy()).await;
        let offered = |seen: &super::watch::Seen| {
            super::json::text(&seen.object, "/status/latestRef/tag") == tag
        };
        policies.until(self.end, &format!("the source offers {tag}"), offered).await;
    }

    /// A route that real pods are reached through, and the host name that tells it.
    pub fn real_route(&self) -> (Value, String) {
        let host = format!("{}.example", self.namespace());
        let over = json!({"spec": {
            "parentRefs": [{"name": "gw", "namespace": "gw"}],
            "hostnames": [host],
        }});
        assert!(rig().real_traffic(), "only where there is a data plane");
        (merged(route(), &over), host)
    }
}
