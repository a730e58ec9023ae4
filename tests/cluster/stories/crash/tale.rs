//! The stories that are crashed at every write, as data: what stands there, what is done, and the
//! state in which it ends. A strategy that comes later adds a story here and nothing else.

use serde_json::{Value, json};

use crate::support::shop::{
    experiment, gated_twice, rollout, route, routed, sized, sourced, two_sides,
};
use crate::support::story::{SHOP, Story};

/// One story. It begins when the first release of each Rollout, 1.0.0, carries all traffic and all
/// is at rest; without a Rollout at once.
#[derive(Clone, Copy)]
pub struct Tale {
    /// Its name in the table.
    pub name: &'static str,
    /// What stands there.
    pub objects: fn(&Story) -> Vec<Value>,
    /// What the artifacts 1.0.0 and 1.1.0 hold, from which Flux applies; nothing where none is.
    pub artifact: fn() -> Vec<Value>,
    /// Whether somebody tells of the HealthCheck, that all is well, each time that it begins anew.
    pub well: bool,
    /// What is pushed while the controller is down; nothing where it is not.
    pub down: &'static [&'static str],
    /// How many seconds an attempt has to become ready, from its beginning on.
    pub patience: Option<u32>,
    /// What happens, one after the other; the last one is its end.
    pub acts: &'static [Act],
    /// The sequence of weights of the route, from the beginning on; empty where there is none.
    pub weights: &'static [(i64, i64)],
    /// The values of the variable that is bound, from the beginning on; empty where there is none.
    pub delivered: &'static [&'static str],
    /// The numbers and outcomes of its history at the end, newest first.
    pub history: &'static [(i64, &'static str)],
    /// Fewer writes than this are not the story.
    pub writes_min: usize,
    /// What the short run tries: a write as the table shows it, and which one of those.
    pub tried: &'static [(&'static str, usize)],
}

impl Tale {
    /// The places of the writes that are tried, from 1.
    pub fn chosen(&self, writes: &[String], all: bool) -> Vec<usize> {
        if all {
            return (1..=writes.len()).collect();
        }
        self.tried.iter().filter_map(|tried| place(writes, tried)).collect()
    }

    /// What the short run means to try and there is not.
    pub fn missing(&self, writes: &[String]) -> Vec<(&'static str, usize)> {
        let missing = self.tried.iter().filter(|tried| place(writes, tried).is_none());
        missing.copied().collect()
    }
}

/// The place of a write, from 1.
fn place(writes: &[String], (write, nth): &(&str, usize)) -> Option<usize> {
    let mut like = writes.iter().zip(1..).filter(|(other, _)| other == write);
    like.nth(nth - 1).map(|(_, at)| at)
}

/// What kind of write it is: the method, the resource and the part of it.
pub fn kind(write: &str) -> String {
    let (method, path) = write.split_once(' ').unwrap_or((write, ""));
    let mut parts = path.split('/');
    let resource = parts.next().unwrap_or_default();
    let part = parts.nth(1).map_or(String::new(), |part| format!("/{part}"));
    format!("{method} {resource}{part}")
}

/// One thing that is done or waited for.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// A tag is pushed.
    Push(&'static str),
    /// A tag of another Rollout's image is pushed.
    PushOf(&'static str, &'static str),
    /// Objects are made.
    Add(fn(&Story) -> Vec<Value>),
    /// Manifests are pushed as an artifact of this name, under this tag.
    Publish(&'static str, &'static str, fn(&Story) -> Vec<Value>),
    /// The Kustomization of this name has applied the artifact of this tag.
    Applied(&'static str, &'static str),
    /// Another manager gives the variable a value of its own, or gives it up.
    Rival(Option<&'static str>),
    /// A Rollout of kuberik lives, of the same name.
    Kuberik,
    /// It is deleted.
    KuberikGoes,
    /// The Rollout waits, with this hold.
    Held(&'static str),
    /// The variable has no value.
    Unwritten,
    /// The variable has this value, and the Rollout waits for nothing.
    Stands(&'static str),
    /// A person annotates the Rollout.
    Annotate(&'static str, &'static str),
    /// A person puts the strategy of another Rollout in the place of the present one.
    Change(fn(&Story) -> Vec<Value>),
    /// A person deletes the Rollout.
    Delete,
    /// The attempt stands at the pause of the step.
    Paused(i64, i64),
    /// The new side of the attempt is looked at.
    Previewed(i64),
    /// The experiment of the attempt runs.
    Experimenting(i64),
    /// The attempt carries all traffic.
    Completed(i64),
    /// That of another Rollout does.
    CompletedOf(&'static str, i64),
    /// The attempt has failed for this cause, and all is back.
    Failed(i64, &'static str),
    /// The attempt did not win its experiment, and all is back.
    Concluded(i64),
    /// All pods were replaced, by command.
    Restarted,
    /// The Rollout is gone.
    Gone,
}

const PROMOTE: Act = Act::Annotate("stairlock.dev/promote", "true");

/// A shop behind a route.
fn behind_a_route(story: &Story) -> Vec<Value> {
    vec![route(), sourced(routed(story, "1.0.0", gated_twice()))]
}

/// A shop of four pods without a route.
fn by_pods(story: &Story) -> Vec<Value> {
    vec![sized(sourced(rollout(story, "1.0.0", gated_twice())), 4)]
}

/// A shop of two pods.
fn pair(story: &Story) -> Value {
    sourced(sized(rollout(story, "1.0.0", json!([])), 2))
}

/// Two sides behind a route, of which a person says when they switch.
fn sides(story: &Story) -> Vec<Value> {
    let over = json!({"autoPromotionEnabled": false,
        "trafficRouting": {"gatewayAPI": {"httpRoute": SHOP}}});
    vec![route(), two_sides(pair(story), &over)]
}

/// The same, whose old side goes soon.
fn brief_sides(story: &Story) -> Vec<Value> {
    let over = json!({"autoPromotionEnabled": false, "scaleDownDelaySeconds": 1,
        "trafficRouting": {"gatewayAPI": {"httpRoute": SHOP}}});
    vec![two_sides(pair(story), &over)]
}

/// The same without a route.
fn sides_by_service(story: &Story) -> Vec<Value> {
    let over = json!({"autoPromotionEnabled": false, "previewReplicaCount": 1});
    vec![two_sides(pair(story), &over)]
}

/// An experiment behind a route, of which a person says who wins.
fn variants(story: &Story) -> Vec<Value> {
    vec![route(), experiment(pair(story), &json!({}))]
}

/// A rolling update.
fn rolling(story: &Story) -> Vec<Value> {
    let mut shop = pair(story);
    shop["spec"]["strategy"] = json!({"simple": {"maxSurge": 1}});
    vec![shop]
}

/// A canary that is promoted step by step.
pub const PROMOTED: Tale = Tale {
    name: "canary behind a route, promoted",
    objects: behind_a_route,
    artifact: Vec::new,
    well: false,
    down: &[],
    patience: None,
    acts: &[
        Act::Push("1.1.0"),
        Act::Paused(2, 1),
        PROMOTE,
        Act::Paused(2, 2),
        PROMOTE,
        Act::Completed(2),
    ],
    weights: &[(100, 0), (80, 20), (50, 50), (0, 100), (100, 0)],
    delivered: &[],
    history: &[(2, "Completed"), (1, "Completed")],
    writes_min: 8,
    tried: &[
        ("POST replicasets", 1),
        ("PATCH httproutes/shop", 1),
        ("PATCH services/shop-stable", 1),
        ("PATCH replicasets/shop-<1.0.0>", 1),
    ],
};

/// All others.
pub const OTHERS: &[Tale] = &[
    Tale {
        name: "canary behind a route, aborted",
        acts: &[
            Act::Push("1.1.0"),
            Act::Paused(2, 1),
            Act::Annotate("stairlock.dev/abort", "true"),
            Act::Failed(2, "Aborted"),
        ],
        weights: &[(100, 0), (80, 20), (100, 0)],
        history: &[(2, "Aborted"), (1, "Completed")],
        tried: &[("PATCH httproutes/shop", 2), ("PATCH rollouts/shop", 4)],
        ..PROMOTED
    },
    Tale {
        name: "image that never becomes ready, rolled back at the deadline",
        patience: Some(10),
        acts: &[Act::Push("1.1.0-bad.1"), Act::Failed(2, "DeadlineExceeded")],
        weights: &[(100, 0)],
        history: &[(2, "DeadlineExceeded"), (1, "Completed")],
        tried: &[("PATCH rollouts/shop/status", 4)],
        ..PROMOTED
    },
    Tale {
        name: "newer release mid-way",
        acts: &[
            Act::Push("1.1.0"),
            Act::Paused(2, 1),
            Act::Push("1.2.0"),
            Act::Paused(3, 1),
            PROMOTE,
            Act::Paused(3, 2),
            PROMOTE,
            Act::Completed(3),
        ],
        weights: &[],
        history: &[(3, "Completed"), (2, "Superseded"), (1, "Completed")],
        tried: &[("PATCH rollouts/shop/status", 4), ("POST replicasets", 2)],
        ..PROMOTED
    },
    Tale {
        name: "deletion mid-ladder",
        acts: &[Act::Push("1.1.0"), Act::Paused(2, 1), Act::Delete, Act::Gone],
        weights: &[(100, 0), (80, 20), (100, 0)],
        history: &[],
        tried: &[("PATCH httproutes/shop", 2), ("PATCH rollouts/shop", 2)],
        ..PROMOTED
    },
    Tale {
        name: "canary by the count of pods, promoted",
        objects: by_pods,
        weights: &[],
        tried: &[("PATCH replicasets/shop-<1.0.0>", 2), ("POST events", 3)],
        ..PROMOTED
    },
    Tale {
        name: "blue-green behind a route, promoted",
        objects: sides,
        acts: &[Act::Push("1.1.0"), Act::Previewed(2), PROMOTE, Act::Completed(2)],
        weights: &[(100, 0), (0, 100), (100, 0)],
        tried: &[("PATCH httproutes/shop", 1)],
        ..PROMOTED
    },
    Tale {
        name: "blue-green by the active Service, promoted",
        objects: sides_by_service,
        acts: &[Act::Push("1.1.0"), Act::Previewed(2), PROMOTE, Act::Completed(2)],
        weights: &[],
        tried: &[("PATCH services/shop-stable", 1)],
        ..PROMOTED
    },
    Tale {
        name: "A/B behind a route, won by B",
        objects: variants,
        acts: &[
            Act::Push("1.1.0"),
            Act::Experimenting(2),
            Act::Annotate("stairlock.dev/conclude-experiment", "B"),
            Act::Completed(2),
        ],
        weights: &[(100, 0), (0, 100), (100, 0)],
        tried: &[("PATCH httproutes/shop", 1), ("PATCH httproutes/shop", 3)],
        ..PROMOTED
    },
    Tale {
        name: "A/B behind a route, won by A",
        objects: variants,
        acts: &[
            Act::Push("1.1.0"),
            Act::Experimenting(2),
            Act::Annotate("stairlock.dev/conclude-experiment", "A"),
            Act::Concluded(2),
        ],
        weights: &[(100, 0)],
        history: &[(2, "Concluded"), (1, "Completed")],
        tried: &[("PATCH httproutes/shop", 2)],
        ..PROMOTED
    },
    Tale {
        name: "canary half-way that becomes blue-green",
        acts: &[
            Act::Push("1.1.0"),
            Act::Paused(2, 1),
            Act::Change(brief_sides),
            Act::Previewed(3),
            PROMOTE,
            Act::Completed(3),
        ],
        weights: &[],
        history: &[(3, "Completed"), (2, "StrategyChanged"), (1, "Completed")],
        tried: &[("PATCH httproutes/shop", 2), ("PATCH rollouts/shop/status", 4)],
        ..PROMOTED
    },
    Tale {
        name: "restart of the pods",
        objects: rolling,
        acts: &[Act::Annotate("stairlock.dev/restart", "true"), Act::Restarted],
        weights: &[],
        history: &[(1, "Completed")],
        writes_min: 5,
        tried: &[("PATCH rollouts/shop/status", 1), ("POST pods/shop-<1.0.0>-<x>/eviction", 1)],
        ..PROMOTED
    },
    Tale {
        name: "rolling update",
        objects: rolling,
        acts: &[Act::Push("1.1.0"), Act::Completed(2)],
        weights: &[],
        tried: &[("PATCH replicasets/shop-<1.0.0>", 1)],
        ..PROMOTED
    },
];
