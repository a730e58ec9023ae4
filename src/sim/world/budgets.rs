//! Budgets: the disruption controller. It counts the pods of each PodDisruptionBudget and says how
//! many of them may go; it never keeps one from going.
//!
//! Source: Kubernetes 1.36, `pkg/controller/disruption`. A budget in percent is not counted.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::sim::history::{Change, Place};
use crate::sim::rules::settle::Part;
use crate::sim::world::fields;
use crate::sim::world::ground::{self, Ground};
use crate::sim::world::timers::Task;

/// The disruption controller.
#[derive(Debug, Default)]
pub struct Budgets {
    all: BTreeSet<Place>,
}

impl Budgets {
    /// Hears of a change.
    pub fn hear(&mut self, ground: &mut Ground, change: &Change) {
        let place = &change.place;
        if place.resource != "poddisruptionbudgets" {
            let here = self.all.iter().filter(|budget| budget.namespace == place.namespace);
            here.for_each(|budget| ground.soon(Task::Budget(budget.clone())));
        } else if change.after.is_none() {
            self.all.remove(place);
            ground.timers.cancel(&Task::Budget(place.clone()));
        } else {
            self.all.insert(place.clone());
            if change.writer != ground::controllers().writer {
                ground.soon(Task::Budget(place.clone()));
            }
        }
    }
}

/// Looks at a PodDisruptionBudget: writes what it counted.
pub fn act(ground: &mut Ground, place: &Place) {
    let Some(budget) = ground.cluster.read(place) else { return };
    let status = counted(ground, place, &budget);
    if budget.get("status") == Some(&status) {
        return;
    }
    // A budget that is gone is heard of soon.
    let _ = ground.cluster.update(&ground::controllers(), place, Part::Status, |object| {
        if let Value::Object(fields) = object {
            fields.insert("status".to_owned(), status);
        }
        Ok(())
    });
}

fn counted(ground: &Ground, place: &Place, budget: &Value) -> Value {
    let pods = ground.cluster.list("pods", Some(&place.namespace));
    let own = || pods.iter().map(|(_, pod)| pod).filter(|pod| fields::budgeted(budget, pod));
    let healthy = own().filter(|pod| fields::ready(pod) && !fields::deleting(pod)).count();
    let healthy = i64::try_from(healthy).unwrap_or(i64::MAX);
    let sets: BTreeSet<&str> = own().map(|pod| set(pod)).collect();
    let asked = |name: &str| {
        let set = Place::new("replicasets", place.namespace.as_str(), name);
        let set = ground.cluster.read(&set);
        set.and_then(|set| fields::number(&set, &["spec", "replicas"])).unwrap_or_default()
    };
    let expected: i64 = sets.into_iter().map(asked).sum();
    let number = |key| fields::number(budget, &["spec", key]);
    let needed = match (number("minAvailable"), number("maxUnavailable")) {
        (Some(least), _) => least,
        (None, Some(most)) => (expected - most).max(0),
        (None, None) => expected,
    };
    json!({
        "observedGeneration": fields::number(budget, &["metadata", "generation"]),
        "currentHealthy": healthy,
        "desiredHealthy": needed,
        "disruptionsAllowed": (healthy - needed).max(0),
        "expectedPods": expected,
    })
}

/// The ReplicaSet of a pod.
fn set(pod: &Value) -> &str {
    let owners = fields::items(pod, &["metadata", "ownerReferences"]);
    owners.first().map_or("", |owner| fields::text(owner, &["name"]))
}
