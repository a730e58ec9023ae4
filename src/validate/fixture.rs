//! Fixture: the objects that the tests of this folder begin with, changed by JSON merge patches.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::api::rollout::Rollout;
use crate::model::moment::Timestamp;
use crate::model::release::ReleaseRef;
use crate::model::spec::Routing;
use crate::model::status::{Attempt, Stage, Status, Trigger};
use crate::model::template::Revision;
use crate::model::weight::Weight;
use crate::validate::seen::{Bound, Seen, Source};

/// The revisions that the tests know.
pub const REVISIONS: [&str; 2] = ["aaaaaaaaaa", "bbbbbbbbbb"];

/// A wire object of JSON.
pub fn object<T: DeserializeOwned>(value: Value) -> Arc<T> {
    Arc::new(serde_json::from_value(value).unwrap())
}

/// `base` with a merge patch applied.
pub fn merged(base: &Value, patch: &Value) -> Value {
    let mut value = base.clone();
    json_patch::merge(&mut value, patch);
    value
}

/// The Rollout `prod/shop` behind the route `shop`, changed by a patch.
pub fn rollout(patch: Value) -> Arc<Rollout> {
    let base = json!({
        "apiVersion": "stairlock.dev/v1alpha1",
        "kind": "Rollout",
        "metadata": {
            "namespace": "prod", "name": "shop", "uid": "u1", "resourceVersion": "7",
            "generation": 3, "creationTimestamp": "2026-01-02T03:04:05Z",
        },
        "spec": {
            "replicas": 5,
            "selector": {"matchLabels": {"app": "shop"}},
            "template": {
                "metadata": {"labels": {"app": "shop", "tier": "web"}},
                "spec": {"containers": [{"name": "app", "image": "registry.example/shop:1.2.3"}]},
            },
            "strategy": {"canary": {
                "stableService": "shop-stable",
                "canaryService": "shop-canary",
                "port": 8080,
                "steps": [{"setWeight": 20, "pause": {"duration": "5m"}}, {"setWeight": 100}],
                "trafficRouting": {"gatewayAPI": {"httpRoute": "shop"}},
            }},
        },
    });
    object(merged(&base, &patch))
}

/// A namespace with nothing but a Rollout.
pub fn seen(rollout: Arc<Rollout>) -> Seen {
    Seen {
        rollout,
        replica_sets: Vec::new(),
        pods: None,
        source: Source::None,
        reading: None,
        manifests: Arc::default(),
        gates: Vec::new(),
        checks: None,
        services: Vec::new(),
        slices: Vec::new(),
        routes: Vec::new(),
        grpc_routes: Vec::new(),
        absent: BTreeSet::new(),
        denied: None,
        bound: Bound::default(),
        kustomizations: Vec::new(),
        rivals: Vec::new(),
        watched_since: Timestamp::from_millis(0),
        template_refused: None,
        sent: BTreeSet::new(),
        refused: None,
    }
}

/// The ReplicaSet of a revision, changed by a patch.
pub fn replica_set(revision: &str, patch: Value) -> Value {
    let template = json!({"spec": {"containers": [{"name": "app", "image": "a:1"}]}});
    let base = json!({
        "metadata": {
            "name": format!("shop-{revision}"), "namespace": "prod", "uid": "r1", "generation": 2,
            "resourceVersion": "9", "creationTimestamp": "2026-01-02T03:04:05Z",
            "labels": {"stairlock.dev/rollout": "shop", "stairlock.dev/revision": revision},
            "annotations": {
                "stairlock.dev/template": template.to_string(),
                "stairlock.dev/attempt": "4",
            },
            "ownerReferences": [{
                "apiVersion": "v1", "kind": "Rollout", "name": "shop", "uid": "u1",
                "controller": true,
            }],
        },
        "spec": {"replicas": 3, "minReadySeconds": 5},
        "status": {
            "replicas": 3, "readyReplicas": 2, "availableReplicas": 1, "observedGeneration": 2,
        },
    });
    merged(&base, &patch)
}

/// The labels of what the Kustomization `flux-system/apps` applies.
pub fn flux_labels() -> Value {
    json!({
        "kustomize.toolkit.fluxcd.io/name": "apps",
        "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
    })
}

/// The Kustomization `flux-system/apps` with ignore rules.
pub fn kustomization<T: DeserializeOwned>(ignore: Value) -> Arc<T> {
    object(json!({
        "metadata": {"namespace": "flux-system", "name": "apps"},
        "spec": {"ignore": ignore},
    }))
}

/// A status with an attempt in progress that uses these objects.
pub fn climbing(routing: Routing) -> Status {
    let at = Timestamp::from_millis(0);
    let attempt = Attempt {
        number: 2,
        release: ReleaseRef::default(),
        revision: Revision::parse(REVISIONS[0]).unwrap(),
        trigger: Trigger::Template,
        delivered: true,
        started_at: at,
        stage: Stage::Step { number: 1, entered_at: at, paused_at: None },
        weight: Weight::NONE,
        highest: Weight::NONE,
        routing: Some(routing),
        unpaused: false,
        concludes: false,
        previous: None,
        bake: None,
        kept: false,
        unblocked: false,
        intent: None,
    };
    Status { attempt: Some(attempt), ..Status::default() }
}
