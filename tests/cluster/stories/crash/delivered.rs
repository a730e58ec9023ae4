//! The stories that real Flux has a part in: what is delivered to its objects, and what keeps it
//! from being delivered.

use serde_json::{Value, json};

use super::tale::{Act, PROMOTED, Tale};
use crate::support::flux::{APPS, VARIABLE, applied, bound, bound_to, delivering};
use crate::support::flux::{oci_repository, shown};
use crate::support::health::{checked, health_check};
use crate::support::json::merged;
use crate::support::kuberik::bound_as_kuberik;
use crate::support::shop::sources_of;
use crate::support::story::{SHOP, Story};

/// The Kustomization that applies another, and the artifact that it reads.
const FLEET: &str = "fleet";
/// Another Rollout.
const CART: &str = "cart";

/// What the Kustomization reads.
fn source(story: &Story) -> Value {
    oci_repository(story, APPS, json!({"tag": "1.0.0"}))
}

/// A Rollout that delivers to a Kustomization which real Flux applies.
fn bound_to_flux(story: &Story) -> Vec<Value> {
    vec![source(story), bound(applied(story, APPS)), delivering(SHOP)]
}

/// The same, and somebody tells whether all is well.
fn found_well(story: &Story) -> Vec<Value> {
    let target = bound(applied(story, APPS));
    vec![source(story), target, health_check(), checked(delivering(SHOP))]
}

/// Two Rollouts with a variable each of one Kustomization.
fn two_of_one(story: &Story) -> Vec<Value> {
    let target = bound_to(bound(applied(story, APPS)), CART);
    let mut all = sources_of(story, CART).to_vec();
    all.extend([source(story), target, delivering(SHOP), delivering(CART)]);
    all
}

/// A Rollout that delivers the tag of an artifact.
fn bound_artifact(story: &Story) -> Vec<Value> {
    let binding = json!({"metadata": {"annotations": {"stairlock.dev/rollout": SHOP}}});
    let source = merged(oci_repository(story, APPS, json!({})), &binding);
    vec![source, applied(story, APPS), delivering(SHOP)]
}

/// No object is there.
fn nothing(_: &Story) -> Vec<Value> {
    Vec::new()
}

/// A Rollout that only delivers.
fn alone(_: &Story) -> Vec<Value> {
    vec![delivering(SHOP)]
}

/// The same with a Kustomization that is bound as kuberik spells it.
fn as_kuberik(story: &Story) -> Vec<Value> {
    vec![source(story), bound_as_kuberik(applied(story, APPS)), delivering(SHOP)]
}

/// What is in Git: the Kustomization, with a value of the variable.
fn with_value(story: &Story) -> Vec<Value> {
    let over = json!({"spec": {"postBuild": {"substitute": {VARIABLE: "0.9.0"}}}});
    vec![source(story), merged(bound(applied(story, APPS)), &over)]
}

/// What is in Git: the Kustomization, without a value of the variable.
fn without_value(story: &Story) -> Vec<Value> {
    vec![source(story), bound(applied(story, APPS))]
}

/// The Kustomization that applies what is in Git.
fn fleet(story: &Story) -> Vec<Value> {
    vec![oci_repository(story, FLEET, json!({"semver": "*"})), applied(story, FLEET)]
}

/// A release that is delivered as a variable.
const VARIABLE_BAKED: Tale = Tale {
    name: "variable of a Kustomization, applied and baked",
    objects: bound_to_flux,
    artifact: shown,
    acts: &[Act::Push("1.1.0"), Act::Completed(2)],
    weights: &[],
    delivered: &["1.0.0", "1.1.0"],
    writes_min: 5,
    tried: &[("PATCH kustomizations/apps", 1), ("PATCH rollouts/shop/status", 3)],
    ..PROMOTED
};

/// All.
pub const DELIVERED: &[Tale] = &[
    VARIABLE_BAKED,
    Tale {
        name: "variable of a Kustomization, applied, found well and baked",
        objects: found_well,
        well: true,
        tried: &[("PATCH healthchecks/errors/status", 1)],
        ..VARIABLE_BAKED
    },
    Tale {
        name: "release that Flux cannot apply, the last good one re-delivered",
        acts: &[Act::Push("2.0.0-BROKEN"), Act::Failed(2, "DeliveryFailed")],
        delivered: &["1.0.0", "2.0.0-BROKEN", "1.0.0"],
        history: &[(2, "DeliveryFailed"), (1, "Completed")],
        tried: &[("PATCH kustomizations/apps", 2)],
        ..VARIABLE_BAKED
    },
    Tale {
        name: "the same, tried again",
        acts: &[
            Act::Push("2.0.0-BROKEN"),
            Act::Failed(2, "DeliveryFailed"),
            Act::Stands("1.0.0"),
            Act::Annotate("stairlock.dev/retry", "true"),
            Act::Failed(3, "DeliveryFailed"),
        ],
        delivered: &["1.0.0", "2.0.0-BROKEN", "1.0.0", "2.0.0-BROKEN", "1.0.0"],
        history: &[(3, "DeliveryFailed"), (2, "DeliveryFailed"), (1, "Completed")],
        tried: &[("PATCH kustomizations/apps", 3)],
        ..VARIABLE_BAKED
    },
    Tale {
        name: "tag of an artifact",
        objects: bound_artifact,
        delivered: &[],
        tried: &[("PATCH ocirepositories/apps", 1)],
        ..VARIABLE_BAKED
    },
    Tale {
        name: "two Rollouts with a variable each of one Kustomization",
        objects: two_of_one,
        acts: &[
            Act::Push("1.1.0"),
            Act::PushOf(CART, "1.1.0"),
            Act::Completed(2),
            Act::CompletedOf(CART, 2),
        ],
        tried: &[("PATCH kustomizations/apps", 1), ("PATCH kustomizations/apps", 2)],
        ..VARIABLE_BAKED
    },
    Tale {
        name: "variable that a parent has in Git, held until it is left out there",
        objects: nothing,
        acts: &[
            Act::Publish(FLEET, "1.0.0", with_value),
            Act::Add(fleet),
            Act::Applied(FLEET, "1.0.0"),
            Act::Add(alone),
            Act::Held("SubstituteOwned"),
            Act::Publish(FLEET, "1.1.0", without_value),
            Act::Applied(FLEET, "1.1.0"),
            Act::Completed(1),
        ],
        delivered: &["0.9.0", "1.0.0"],
        history: &[(1, "Completed")],
        tried: &[("PATCH rollouts/shop/status", 1), ("PATCH kustomizations/apps", 1)],
        ..VARIABLE_BAKED
    },
    Tale {
        name: "variable that a rival takes, held until it is given up",
        acts: &[
            Act::Rival(Some("0.9.0")),
            Act::Held("OwnershipConflict"),
            Act::Rival(None),
            Act::Stands("1.0.0"),
        ],
        delivered: &["1.0.0", "0.9.0", "1.0.0"],
        history: &[(1, "Completed")],
        writes_min: 3,
        tried: &[("PATCH kustomizations/apps", 1)],
        ..VARIABLE_BAKED
    },
    Tale {
        name: "Rollout of kuberik of the same name, held as long as it lives",
        objects: nothing,
        acts: &[
            Act::Kuberik,
            Act::Add(as_kuberik),
            Act::Held("DuplicateBinding"),
            Act::Unwritten,
            Act::KuberikGoes,
            Act::Completed(1),
        ],
        delivered: &["1.0.0"],
        history: &[(1, "Completed")],
        tried: &[("PATCH kustomizations/apps", 1)],
        ..VARIABLE_BAKED
    },
    Tale {
        name: "three tags pushed while the controller is down",
        down: &["1.1.0", "1.3.0", "1.2.0"],
        acts: &[Act::Completed(2)],
        delivered: &["1.0.0", "1.3.0"],
        tried: &[("PATCH kustomizations/apps", 1)],
        ..VARIABLE_BAKED
    },
];
