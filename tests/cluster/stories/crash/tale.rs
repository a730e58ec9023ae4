//! The stories that are crashed at every write, as data: what stands there, what is done, and the
//! state in which it ends. A strategy that comes later adds a story here and nothing else.

use serde_json::{Value, json};

use crate::support::json::merged;
use crate::support::shop::{rollout, route, routed, sized, sourced};
use crate::support::story::Story;

/// One story. It begins when the first release, 1.0.0, carries all traffic and all is at rest.
#[derive(Clone, Copy)]
pub struct Tale {
    /// Its name in the table.
    pub name: &'static str,
    /// What stands there.
    pub objects: fn(&Story) -> Vec<Value>,
    /// What happens, one after the other; the last one is its end.
    pub acts: &'static [Act],
    /// The sequence of weights of the route, from the beginning on; empty where there is none.
    pub weights: &'static [(i64, i64)],
    /// The numbers and outcomes of its history at the end, newest first.
    pub history: &'static [(i64, &'static str)],
    /// Fewer writes than this are not the story.
    pub writes_min: usize,
    /// In the short run only one of so many writes is tried.
    pub every: usize,
}

/// One thing that is done or waited for.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// A tag is pushed.
    Push(&'static str),
    /// A person annotates the Rollout.
    Annotate(&'static str, &'static str),
    /// A person deletes the Rollout.
    Delete,
    /// The attempt stands at the pause of the step.
    Paused(i64, i64),
    /// The attempt carries all traffic.
    Completed(i64),
    /// The attempt has failed for this cause, and all is back.
    Failed(i64, &'static str),
    /// The Rollout is gone.
    Gone,
}

const PROMOTE: Act = Act::Annotate("stairlock.dev/promote", "true");

/// Two pauses that a person ends.
fn gated() -> Value {
    json!([{"setWeight": 20, "pause": {}}, {"setWeight": 50, "pause": {}}, {"setWeight": 100}])
}

/// A shop behind a route.
fn behind_a_route(story: &Story) -> Vec<Value> {
    vec![route(), sourced(routed(story, "1.0.0", gated()))]
}

/// A shop behind a route that has little patience.
fn hasty(story: &Story) -> Vec<Value> {
    let over = json!({"spec": {"progressDeadlineSeconds": 10}});
    vec![route(), merged(sourced(routed(story, "1.0.0", gated())), &over)]
}

/// A shop of four pods without a route.
fn by_pods(story: &Story) -> Vec<Value> {
    vec![sized(sourced(rollout(story, "1.0.0", gated())), 4)]
}

/// A canary that is promoted step by step.
pub const PROMOTED: Tale = Tale {
    name: "canary behind a route, promoted",
    objects: behind_a_route,
    acts: &[
        Act::Push("1.1.0"),
        Act::Paused(2, 1),
        PROMOTE,
        Act::Paused(2, 2),
        PROMOTE,
        Act::Completed(2),
    ],
    weights: &[(100, 0), (80, 20), (50, 50), (0, 100), (100, 0)],
    history: &[(2, "Completed"), (1, "Completed")],
    writes_min: 8,
    every: 1,
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
        every: 9,
        ..PROMOTED
    },
    Tale {
        name: "image that never becomes ready, rolled back at the deadline",
        objects: hasty,
        acts: &[Act::Push("1.1.0-bad.1"), Act::Failed(2, "DeadlineExceeded")],
        weights: &[(100, 0)],
        history: &[(2, "DeadlineExceeded"), (1, "Completed")],
        every: 7,
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
        every: 17,
        ..PROMOTED
    },
    Tale {
        name: "deletion mid-ladder",
        acts: &[Act::Push("1.1.0"), Act::Paused(2, 1), Act::Delete, Act::Gone],
        weights: &[(100, 0), (80, 20), (100, 0)],
        history: &[],
        every: 5,
        ..PROMOTED
    },
    Tale {
        name: "canary by the count of pods, promoted",
        objects: by_pods,
        weights: &[],
        every: 11,
        ..PROMOTED
    },
];
